"""What guidance buys and what it costs: clips that show what they were asked for, and how much those of one caption
still differ.

    OMP_NUM_THREADS=1 python results/fusion_guidance.py                     with the weights that ship
    OMP_NUM_THREADS=1 python results/fusion_guidance.py --model RUN --fast  those of a run, few clips; writes nothing

Writes results/fusion-guidance.json and two pictures in book/_static/fusion/. Captions are those of held-out clips: of
pairs that training showed, several clips for each caption, and of pairs that it never showed, one for each. A network
that was taught digits reads what the clips show; it reads real clips of the same captions too.
"""

import argparse
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidgen_lab import load_model, load_pretrained, metrics, viz
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.models.digits3d import HEADS
from vidgen_lab.training.state import write_json
from vidgen_lab.zoo import shipped_hash

OUT = Path(__file__).parent / "fusion-guidance.json"
PICTURES = Path(__file__).parents[1] / "book" / "_static" / "fusion"
STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
CAPTIONS, EACH, UNSEEN, CHUNK = 30, 8, 120, 60


def held_out(model: Model, pairs: str) -> MovingDigits:
    """Held-out clips of the shape that the model draws."""
    sizes = model.tokenizer.config
    return MovingDigits("test", size=sizes.size, frames=sizes.frames, color=True, pairs=pairs)


def repeated(captions: int, each: int) -> list[int]:
    """Indices of held-out clips of seen pairs: the first captions that occur so often, `each` clips of every one."""
    labels = MovingDigits("test", size=16, frames=1, color=True, pairs="seen")  # an item's labels have no size
    found: dict[str, list[int]] = {}
    for index, caption in enumerate(labels.__getitems__(list(range(12_000)))["caption"]):
        found.setdefault(caption, []).append(index)
    often = [rows[:each] for rows in found.values() if len(rows) >= each]
    return [index for rows in often[:captions] for index in rows]


def draw(model: Model, captions: list[str], guidance: float) -> tuple[Tensor, float]:
    """A clip for each caption, and the CPU time of all."""
    generator, start = torch.Generator().manual_seed(0), time.process_time()
    parts = [
        model.sample(len(some), condition={"caption": some}, generator=generator, guidance=guidance)
        for some in (captions[first : first + CHUNK] for first in range(0, len(captions), CHUNK))
    ]
    return torch.cat(parts), time.process_time() - start


def right(reader: Model, clips: Tensor, labels: Batch) -> dict[str, float]:
    """Share of clips in which each label is read as it was asked for, and all four of them."""
    heads = [reader.logits(part) for part in clips.split(CHUNK)]
    hits = {name: torch.cat([head[name] for head in heads]).argmax(1) == labels[name] for name in HEADS}
    hits["all"] = torch.stack(list(hits.values())).all(0)
    return {name: hit.float().mean().item() for name, hit in hits.items()}


def variety(clips: Tensor, each: int) -> float:
    """Root-mean-square difference of two clips of one caption, on average over pairs and captions."""
    return sum(metrics.diversity(some).value for some in clips.split(each)) / (len(clips) // each)


def curve(rows: dict[str, dict[str, Any]], real: dict[str, Any]) -> None:
    """What is read as asked, and what is left of the variety, over the strength."""
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, the share of clips that show all four attributes as asked over the strength of guidance: it rises, "
        "stays, and falls, and lies lower for pairs that training did not show. Right, how much clips of one caption "
        "differ: a little less than the dashed line of real clips, and as much as it for the strongest guidance.",
        width=7.6,
        height=3.2,
    )
    strengths = [float(key) for key in rows]
    for index, name in enumerate(("seen", "unseen")):
        axes[0].plot(strengths, [row[name]["all"] for row in rows.values()], "o-", label=f"{name} pairs")
        axes[0].axhline(real[name]["all"], color=viz.figures.COLORS[index], linestyle=":", linewidth=1.2)
    axes[0].set(xscale="log", ylim=(0, 1.02), xlabel="guidance $g$", ylabel="all as asked")
    axes[0].legend()
    axes[1].plot(strengths, [row["variety"] for row in rows.values()], "o-", color=viz.figures.COLORS[2])
    axes[1].axhline(real["variety"], color=viz.figures.INK, linestyle="--", linewidth=1.2)
    axes[1].set(xscale="log", ylim=(0, None), xlabel="guidance $g$", ylabel="difference, one caption")
    for ax in axes:
        ax.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
        ax.minorticks_off()
    viz.save_figure(fig, PICTURES / "guidance.png")


def main() -> None:
    """Draws, reads, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a run instead of the weights that ship")
    parser.add_argument("--fast", action="store_true", help="few clips; writes nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.model) if given.model else load_pretrained("fusion")
    reader, begun = load_pretrained("digits-3d"), time.process_time()
    count, each, unseen = (6, 4, 24) if given.fast else (CAPTIONS, EACH, UNSEEN)
    batches = {
        "seen": held_out(model, "seen").__getitems__(repeated(count, each)),
        "unseen": held_out(model, "unseen").__getitems__(list(range(unseen))),
    }
    rows, strips = {}, []
    for strength in STRENGTHS:
        row: dict[str, Any] = {}
        for name, batch in batches.items():
            clips, seconds = draw(model, batch["caption"], strength)
            row[name] = right(reader, clips, batch)
            if name == "seen":
                row |= {"variety": variety(clips, each), "seconds_a_clip": seconds / len(clips)}
                strips.append(clips[: 3 * each : each])
        rows[f"{strength:g}"] = row
        print(strength, row, flush=True)
    real: dict[str, Any] = {name: right(reader, batch["video"], batch) for name, batch in batches.items()}
    real["variety"] = variety(batches["seen"]["video"], each)
    print("real", real, flush=True)
    if given.fast:
        return
    curve(rows, real)
    strips.append(batches["seen"]["video"][: 3 * each : each])
    frames = torch.cat(strips)
    viz.save(frames[:, :, :: max(1, frames.shape[2] // 8)], PICTURES / "guided.png")
    for row in rows.values():
        row["variety_of_real"] = row["variety"] / real["variety"]
    protocol = {
        "captions": CAPTIONS,
        "clips_a_caption": EACH,
        "unseen_clips": UNSEEN,
        "seed": 0,
        "shown": batches["seen"]["caption"][: 3 * EACH : EACH],
        "strongest": STRENGTHS[-1],
        "network_sha256": shipped_hash("digits-3d"),
    }
    command = "python results/fusion_guidance.py" + (f" --model {given.model}" if given.model else "")
    stated = {"command": command, **environment(), "date": date.today().isoformat(), "protocol": protocol}
    spent = {"cpu_seconds": round(time.process_time() - begun, 1)}
    write_json(OUT, {**stated, **spent, "rows": rows, "real": real})


if __name__ == "__main__":
    main()
