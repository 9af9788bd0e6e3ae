"""Five ways to generate digits, on equal terms: GAN, DCGAN, VAE, VQ-VAE + prior, VQGAN + prior.

    OMP_NUM_THREADS=1 python results/generators.py        writes results/generators.json and the picture of the page

Each sees the same 32x32 digits without labels, on one thread, for the same CPU time; a prior shares it half and half
with its tokenizer. How many steps that is was timed once, all models in turn, and is kept in the manifest: every seed
takes as many. Weights and sample grids go to runs/generators/. The manifest is written after each training: a call that
was stopped goes on where it was. Names of models restrict a call to these; --again trains them anew.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model, data, evaluation, fit, load_model, metrics, viz
from vidgen_lab.core import DataConfig, Model, write_weights
from vidgen_lab.core.manifest import environment
from vidgen_lab.core.model import count_parameters
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.files import png_bytes, write_bytes

OUT = Path(__file__).parent / "generators.json"
PICTURE = Path(__file__).parents[1] / "book" / "_static" / "vqvae" / "generators.png"
RUNS = Path(__file__).parents[1] / "runs" / "generators"
BUDGET = 120.0  # CPU-seconds of training, a tokenizer's included
SEEDS, SAMPLES, HELD_OUT = range(3), 1000, 2000
TIMED, ROUNDS = 100, 3  # steps a timing, timings of which the median counts
DIGITS = DataConfig("digits", size=32)


@dataclass(frozen=True)
class Contestant:
    """A model, and the tokenizer that it stands on, with what is changed from their presets."""

    model: str
    preset: str = "ci"
    changes: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = ""  # its preset is "image"

    @property
    def stages(self) -> tuple[str, ...]:
        """What is trained, in order; the budget is shared equally."""
        return (self.tokenizer, self.model) if self.tokenizer else (self.model,)

    def build(self, stage: str, seed: int, tokenizer: Model | None, **changes: Any) -> Model:
        """A fresh model for one stage."""
        if stage == self.tokenizer:
            return create_model(stage, "image", seed, data=DIGITS, **changes)
        below = {} if tokenizer is None else {"tokenizer": tokenizer}
        return create_model(stage, self.preset, seed, data=DIGITS, **self.changes, **changes, **below)


CONTESTANTS = (
    Contestant("gan", changes={"shape": (1, 32, 32)}),
    Contestant("dcgan"),
    Contestant("vae", preset="image"),
    Contestant("vqvae-prior", changes={"num_digits": 0}, tokenizer="vqvae"),
    Contestant("vqgan-prior", changes={"num_digits": 0}, tokenizer="vqgan"),
)


def train(model: Model, steps: int, seed: int) -> float:
    """Trains in place; CPU seconds."""
    start = time.process_time()
    fit(model, steps=steps, seed=seed, device="cpu", progress=False)
    return time.process_time() - start


def timings(contestants: Sequence[Contestant]) -> dict[str, dict[str, int]]:
    """Steps of each stage that fill its share of the budget. Models take turns, so that a busy hour hits all alike."""
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for contestant in contestants:
            tokenizer = None
            for stage in contestant.stages:
                model = contestant.build(stage, 0, tokenizer)
                train(model, 4, 0)  # the first steps pay for imports and buffers
                rates.setdefault((contestant.model, stage), []).append(train(model, TIMED, 0) / TIMED)
                tokenizer = model
    steps: dict[str, dict[str, int]] = {}
    for contestant in contestants:
        share = BUDGET / len(contestant.stages)
        steps[contestant.model] = {
            stage: round(share / statistics.median(rates[contestant.model, stage])) for stage in contestant.stages
        }
    return steps


def measure(model: Model, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """What the table of the chapter shows of a trained model, and what real digits score in its place."""
    held_out = data.build(DIGITS, "test").__getitems__(list(range(HELD_OUT)))["image"]
    start = time.process_time()
    samples, _ = evaluation.draw_samples(model, SAMPLES, seed)
    values = {"sampling_seconds": time.process_time() - start}
    measured = evaluation.evaluate(model, SAMPLES, seed)
    values |= {item.name: item.value for item in measured}
    values["diversity"] = metrics.diversity(samples[:, :, None]).value
    tokenizer = getattr(model, "tokenizer", model)
    if hasattr(tokenizer, "reconstruct"):
        values["PSNR"] = metrics.psnr(tokenizer.reconstruct(held_out)[:, :, None], held_out[:, :, None]).value
    real = {item.name: item.reference for item in measured}
    return values, {**real, "diversity": metrics.diversity(held_out[:SAMPLES, :, None]).value}


def run(contestant: Contestant, steps: dict[str, int], seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Trains one contestant with one seed, keeps it in runs/, and measures the file."""
    model, spent = None, 0.0
    for stage in contestant.stages:
        model = contestant.build(stage, seed, model, steps=steps[stage])
        spent += train(model, steps[stage], seed)
    file = RUNS / f"{contestant.model}-{seed}.safetensors"
    write_weights(model, file)
    model = load_model(file)
    viz.save(model.sample(64, generator=torch.Generator().manual_seed(seed)), file.with_suffix(".png"))
    values, real = measure(model, seed)
    return {"cpu_seconds": spent, "parameters": sum(count_parameters(model).values()), **values}, real


def summary(runs: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, least and most over the seeds of each measured value."""
    seeds = list(runs.values())
    columns = {name: [values[name] for values in seeds] for name in seeds[0]}
    return {name: {"mean": statistics.mean(v), "least": min(v), "most": max(v)} for name, v in columns.items()}


def main() -> None:
    """Times, trains and measures what the manifest lacks, and writes it after each model."""
    known = {contestant.model: contestant for contestant in CONTESTANTS}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"some of: {', '.join(known)}; none: all")
    parser.add_argument("--again", action="store_true", help="train them anew, with new timings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    RUNS.mkdir(parents=True, exist_ok=True)
    contestants = [known[name] for name in given.models or known]
    manifest = read_json(OUT) if OUT.exists() else {"steps": {}, "models": {}}
    if given.again:
        for contestant in contestants:
            manifest["steps"].pop(contestant.model, None)
            manifest["models"].pop(contestant.model, None)
    manifest["steps"] |= timings([item for item in contestants if item.model not in manifest["steps"]])
    for contestant, seed in product(contestants, SEEDS):
        if str(seed) in manifest["models"].get(contestant.model, {}).get("seeds", {}):
            continue
        values, real = run(contestant, manifest["steps"][contestant.model], seed)
        print(contestant.model, seed, {name: round(value, 3) for name, value in values.items()}, flush=True)
        seeds = manifest["models"].get(contestant.model, {}).get("seeds", {}) | {str(seed): values}
        manifest["models"][contestant.model] = {**summary(seeds), "seeds": seeds}
        protocol = {
            "budget_cpu_seconds": BUDGET,
            "seeds": len(SEEDS),
            "samples": SAMPLES,
            "psnr_images": HELD_OUT,
            "data": "32x32 digits, no labels",
        }
        manifest = {
            "command": "python results/generators.py",
            **environment(),
            "date": date.today().isoformat(),
            "protocol": protocol,
            "steps": manifest["steps"],
            "real": real,
            "models": manifest["models"],
        }
        write_json(OUT, manifest)
    picture()


def picture() -> None:
    """The first sixteen samples of each contestant's first seed, a row each."""
    rows = []
    for contestant in CONTESTANTS:
        model = load_model(RUNS / f"{contestant.model}-0.safetensors")
        rows.append(model.sample(16, generator=torch.Generator().manual_seed(0)))
    write_bytes(PICTURE, png_bytes(viz.grid(torch.cat(rows), columns=16)))


if __name__ == "__main__":
    main()
