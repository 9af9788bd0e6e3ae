"""How the loss of VideoGPT's prior falls with its size, with the data and with the budget.

    OMP_NUM_THREADS=1 python results/videogpt_scaling.py --tokenizer runs/videogpt-tokenizer-ci
    OMP_NUM_THREADS=1 python results/videogpt_scaling.py --tokenizer RUN --fast       a few steps; writes nothing

Writes results/videogpt-scaling.json and book/_static/videogpt/scaling.png. Transformers of five sizes read the codes of
so many different 16x16 clips of 8 frames, all for the same number of steps, without labels. The rate is constant after
a warm-up, so that a run can be looked at on its way: held-out nats, of the averaged weights, are taken at some steps.
The law is fitted to the last ones of the largest data set, over the parameters of the blocks. The manifest is written
after each run, and a call that was stopped goes on where it was. About 500 CPU-seconds; the largest size takes a
third of that. A law has three numbers: beside the fit stand the exponents of fits that leave one size out.
"""

import argparse
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model, fit, load_model, load_pretrained, metrics, viz
from vidgen_lab.core import Batch, Draw, Model, Optimizer
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.training.state import read_json, write_json

OUT = Path(__file__).parent / "videogpt-scaling.json"
PICTURE = Path(__file__).parents[1] / "book" / "_static" / "videogpt" / "scaling.png"
SIZES = ((24, 1), (36, 2), (48, 2), (72, 3), (96, 4))  # width and layers
CLIPS = (60, 400, 3200)  # different clips
BATCH, STEPS, HELD_OUT = 4, 800, 128  # 3,200 clips are read once
LOOKS = (1, 2, 4, 8)  # a run is looked at after these parts of its length


def prior(dim: int, layers: int, tokenizer: Model) -> Model:
    """The rate is the same for all of SIZES: one over the width would count beyond a width of 100 only."""
    rate = Optimizer(lr=min(3e-3, 0.3 / dim), betas=(0.9, 0.99), warmup=50)
    changes = {"labels": (), "prefix_frames": 0, "batch_size": BATCH, "optimizers": {"prior": rate}}
    return create_model("videogpt", "ci", tokenizer=tokenizer, dim=dim, heads=dim // 24, layers=layers, **changes)


def held_out_nats(model: Model, batches: list[Batch]) -> float:
    with model.inference():
        values = [float(model.validation_loss(batch, Draw(0, i).at("validation"))) for i, batch in enumerate(batches)]
    return sum(values) / len(values)


def run(model: Model, clips: int, steps: int, batches: list[Batch]) -> dict[str, Any]:
    """Trains one transformer and looks at it on the way."""
    marks, nats, seconds = {steps // part for part in LOOKS if steps >= part}, {}, 0.0
    start = time.process_time()

    def look(step: int, model: Model, record: dict[str, float]) -> None:
        nonlocal seconds
        if step + 1 in marks:
            begun = time.process_time()
            nats[step + 1] = held_out_nats(model, batches)
            seconds -= time.process_time() - begun  # does not count as training

    data = MovingDigits("train", size=16, frames=8, length=clips)
    history = fit(model, data, steps=steps, device="cpu", progress=False, callback=look)
    last = [record["prior/nats_per_token"] for record in history[-50:]]
    return {
        "steps": list(nats),
        "nats": list(nats.values()),
        "training_nats": sum(last) / len(last),
        "cpu_seconds": round(seconds + time.process_time() - start, 1),
    }


def summary(runs: Mapping[str, Mapping[str, Any]], sizes: list[dict[str, Any]]) -> dict[str, Any]:
    """The table of the page, and the law, once every run is there."""
    if any(str(clips) not in runs[row["name"]] for row in sizes for clips in CLIPS):
        return {}
    rows = [
        {
            **row,
            "nats": [runs[row["name"]][str(clips)]["nats"][-1] for clips in CLIPS],
            "cpu_seconds": runs[row["name"]][str(CLIPS[-1])]["cpu_seconds"],
        }
        for row in sizes
    ]
    points = [(row["parameters"], row["nats"][-1]) for row in rows]
    law = metrics.fit_power_law(*zip(*points, strict=True))
    without = [
        metrics.fit_power_law(*zip(*(points[:i] + points[i + 1 :]), strict=True)).exponent for i in range(len(points))
    ]
    fit_ = {"floor": law.floor, "scale": law.scale, "exponent": law.exponent, "error": law.error}
    return {"rows": rows, "fit": {**fit_, "least": min(without), "most": max(without)}}


def draw(manifest: Mapping[str, Any]) -> None:
    """Loss over size with the law, and loss over budget."""
    rows, law = manifest["rows"], manifest["fit"]
    curve = metrics.PowerLaw(law["floor"], law["scale"], law["exponent"], law["error"])
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, held-out nats a code over parameters for three amounts of data, with the fitted law through the "
        "largest. Right, held-out nats over multiply-adds of training, one curve for each size.",
        width=7.6,
        height=3.4,
    )
    sizes = [row["parameters"] for row in rows]
    for index, clips in enumerate(CLIPS):
        axes[0].plot(sizes, [row["nats"][index] for row in rows], "o", label=f"{clips:,} clips")
    smooth = torch.logspace(*torch.tensor([sizes[0], sizes[-1]]).log10().tolist(), 60).tolist()
    axes[0].plot(smooth, [curve(size) for size in smooth], color="#888888", zorder=1, label="law")
    for row in rows:
        found = manifest["runs"][row["name"]][str(CLIPS[-1])]
        cost = [step * row["multiply_adds_a_step"] for step in found["steps"]]
        axes[1].plot(cost, found["nats"], "o-", markersize=4, label=f"{row['parameters']:,}")
    axes[0].set(xscale="log", xlabel="parameters of the blocks", ylabel="held-out nats a code")
    axes[1].set(xscale="log", xlabel="multiply-adds of training")
    for ax in axes:
        ax.legend(fontsize=9)
    viz.save_figure(fig, PICTURE)


def main() -> None:
    """Trains what the manifest lacks, and writes it after each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, help="a run, of 16x16 clips of 8 frames; else what ships")
    parser.add_argument("--fast", action="store_true", help="8 steps each of two sizes; writes nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = load_model(given.tokenizer) if given.tokenizer else load_pretrained("videogpt-tokenizer", "ci")
    clips = MovingDigits("test", size=16, frames=8).__getitems__(list(range(HELD_OUT)))["video"]
    batches = [{"video": part} for part in clips.split(16)]
    codes = tokenizer.encode(clips)
    length = codes[0].numel()
    sizes = []
    for dim, layers in SIZES:
        with torch.device("meta"):
            parameters = sum(p.numel() for p in prior(dim, layers, tokenizer).prior.blocks.parameters())
        looks = layers * (length + 1) * dim  # a code's, forward
        cost = 3 * BATCH * length * (parameters + looks)  # the backward pass costs twice the forward one
        sizes.append({"name": f"{dim} x {layers}", "parameters": parameters, "multiply_adds_a_step": cost})
    if given.fast:
        for dim, layers in SIZES[:2]:
            print(dim, layers, run(prior(dim, layers, tokenizer), CLIPS[0], 8, batches[:1]))
        return
    runs: dict[str, dict[str, Any]] = read_json(OUT)["runs"] if OUT.exists() else {}
    for (dim, layers), row in zip(SIZES, sizes, strict=True):
        for count in reversed(CLIPS):
            if str(count) in runs.setdefault(row["name"], {}):
                continue
            found = run(prior(dim, layers, tokenizer), count, STEPS, batches)
            runs[row["name"]][str(count)] = found
            print(row["name"], count, found, flush=True)
            manifest = {
                "command": f"python results/videogpt_scaling.py --tokenizer {given.tokenizer}",
                **environment(),
                "date": date.today().isoformat(),
                "protocol": {
                    "sizes": len(SIZES),
                    "steps": STEPS,
                    "batch_size": BATCH,
                    "clips": list(CLIPS),
                    "held_out_clips": HELD_OUT,
                    "tokens_a_clip": length,
                    "seed": 0,
                },
                "unigram": float(torch.tensor(metrics.code_perplexity(codes, tokenizer.num_codes).value).log()),
                "runs": runs,
            }
            manifest |= summary({**{each["name"]: {} for each in sizes}, **runs}, sizes)
            write_json(OUT, manifest)
    draw(read_json(OUT))


if __name__ == "__main__":
    main()
