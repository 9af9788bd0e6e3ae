"""Prediction: the best of N futures of held-out clips, by PSNR and SSIM over time, against copying the last frame.

    OMP_NUM_THREADS=1 python results/videogpt_prediction.py                     with the weights that ship
    OMP_NUM_THREADS=1 python results/videogpt_prediction.py --model RUN         with those of a run
    OMP_NUM_THREADS=1 python results/videogpt_prediction.py --model RUN --fast  4 clips, 2 futures; writes nothing

Writes results/videogpt-prediction.json and two pictures in book/_static/videogpt/. Each clip's first frames are given,
as many as the model takes; nothing else is asked for. Of N futures the one with the best mean over the predicted frames
counts, by each score for itself; beside it the mean over all futures, the last given frame copied, and the true clip
through the tokenizer. About 300 CPU-seconds for 64 clips and 20 futures of 256 codes.
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidgen_lab import load_model, load_pretrained, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.training.state import write_json

OUT = Path(__file__).parent / "videogpt-prediction.json"
PICTURES = Path(__file__).parents[1] / "book" / "_static" / "videogpt"
CLIPS, FUTURES = 64, 20
EQUAL = 50.0  # dB, for frames that are equal: a digit that bounced may be where it was, and then a copy is perfect
SCORES = {"psnr": metrics.psnr, "ssim": metrics.ssim}


def over_time(score: str, prediction: Tensor, target: Tensor) -> Tensor:
    """A score of each clip and frame, at most EQUAL: `(B, C, T, H, W)` twice to `(B, T)`."""
    rows = [
        [SCORES[score](prediction[b : b + 1, :, [t]], target[b : b + 1, :, [t]]).value for t in range(target.shape[2])]
        for b in range(len(target))
    ]
    return torch.tensor(rows).clamp(max=EQUAL)


def futures(model: Model, prefix: Tensor, count: int) -> Tensor:
    """`(N, B, C, T, H, W)`; the given frames come first in each."""
    generator = torch.Generator().manual_seed(0)
    drawn = [model.sample(len(prefix), condition={"prefix": prefix}, generator=generator) for _ in range(count)]
    return torch.stack(drawn)


def measure(model: Model, clips: Tensor, count: int) -> tuple[dict[str, Any], Tensor]:
    """Curves and means of each way to predict; a clip, its best future and its first one, for the filmstrips."""
    given = model.config.prefix_frames
    drawn, truth = futures(model, clips[:, :, :given], count), clips[:, :, given:]
    others = {
        "copy": clips[:, :, given - 1 : given].expand_as(truth),
        "tokenizer": model.tokenizer.reconstruct(clips)[:, :, given:],
    }
    rows: dict[str, dict[str, Any]] = {name: {} for name in ("best", "mean", *others)}
    for score in SCORES:
        each = torch.stack([over_time(score, sample[:, :, given:], truth) for sample in drawn])  # (N, B, T)
        best = each.mean(2).argmax(0)  # (B,)
        curves = {"best": each[best, torch.arange(len(truth))], "mean": each.mean(0)}
        curves |= {name: over_time(score, prediction, truth) for name, prediction in others.items()}
        for name, curve in curves.items():
            rows[name] |= {score: curve.mean().item(), f"{score}_curve": curve.mean(0).tolist()}
        if score == "psnr":
            shown = torch.cat(
                [torch.stack([clips[b], drawn[best[b], b], drawn[0, b]]) for b in range(min(3, len(best)))]
            )
    ahead = {
        name: sum(a > b for a, b in zip(rows[name]["psnr_curve"], rows["copy"]["psnr_curve"], strict=True))
        for name in ("best", "mean")
    }
    return {"rows": rows, "frames_ahead": ahead}, shown


def draw(rows: dict[str, dict[str, Any]], given: int, count: int) -> None:
    """Both scores over time."""
    names = {
        "best": f"best of {count}",
        "mean": "mean future",
        "copy": "last frame copied",
        "tokenizer": "truth, reconstructed",
    }
    fig, axes = viz.figure(
        1,
        2,
        alt="Two graphs over the predicted frames, PSNR and SSIM, for the best of N futures, the mean future, the "
        "copied last frame and the tokenizer's reconstruction.",
        width=7.6,
        height=3.4,
    )
    for ax, (score, label) in zip(axes, (("psnr", "PSNR, dB"), ("ssim", "SSIM")), strict=True):
        for name, title in names.items():
            curve = rows[name][f"{score}_curve"]
            ax.plot(range(given, given + len(curve)), curve, label=title)
        ax.set(xlabel="frame", ylabel=label)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    viz.save_figure(fig, PICTURES / "prediction.png")


def main() -> None:
    """Draws, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a run instead of the weights that ship")
    parser.add_argument("--fast", action="store_true", help="4 clips, 2 futures; writes nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(asked.model) if asked.model else load_pretrained("videogpt")
    sizes, given = model.tokenizer.config, model.config.prefix_frames
    clips, count = (4, 2) if asked.fast else (CLIPS, FUTURES)
    held_out = MovingDigits("test", size=sizes.size, frames=sizes.frames).__getitems__(list(range(clips)))["video"]
    found, shown = measure(model, held_out, count)
    print({name: (row["psnr"], row["ssim"]) for name, row in found["rows"].items()}, found["frames_ahead"], flush=True)
    if asked.fast:
        return
    draw(found["rows"], given, count)
    viz.save(shown[:, :, :: max(1, sizes.frames // 8)], PICTURES / "prediction-strips.png")
    protocol = {
        "given": given,
        "predicted": sizes.frames - given,
        "clips": clips,
        "futures": count,
        "size": sizes.size,
        "picked_by": "the mean over the predicted frames, by each score for itself",
        "psnr_of_equal_frames": EQUAL,
        "seed": 0,
    }
    command = "python results/videogpt_prediction.py" + (f" --model {asked.model}" if asked.model else "")
    stated = {"command": command, **environment(), "date": date.today().isoformat(), "protocol": protocol}
    write_json(OUT, {**stated, **found})


if __name__ == "__main__":
    main()
