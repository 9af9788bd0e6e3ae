"""An equation against what it replaces, on equal terms: TGAN and TGAN-ODE, MoCoGAN and MoCoGAN-ODE.

    OMP_NUM_THREADS=1 python results/continuous_comparison.py    writes results/continuous-comparison.json and a picture

Both of a pair see the same moving digits without labels, in the same order, for the same number of steps, with the
optimisers of the original's preset `ci`; the width inside the equation makes the parameters of their generators
agree. Of a duration of 1 and of 4, each takes the one that did better in a trial with one seed. MoCoGAN's recurrent
network begins with weights that let its state last; so MoCoGAN-ODE is tried as published and with a beginning of that
kind. Five seeds each. The manifest is written after each training: a call that was stopped goes on where it was.
--fast tries all of it with a few steps, and writes to runs/.
"""

import argparse
import statistics
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model, evaluation, fit, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.core.model import count_parameters
from vidgen_lab.training.state import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "results" / "continuous-comparison.json"
PICTURE = ROOT / "book" / "_static" / "continuous" / "comparison.png"
SEEDS, SAMPLES = 5, 1000
STUDENT = 2.776  # 97.5 % point of Student's t with SEEDS - 1 degrees of freedom
_TGAN = {"start_widths": (64, 64), "hidden": 270, "duration": 1.0, "step": 1 / 15, "lasting": False}
_MOCOGAN = {"start_widths": (64,), "hidden": 32, "motion_dim": 32, "duration": 4.0, "step": 4 / 15, "lasting": False}
EQUATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {  # the original, the model, what is not as in its preset
    "tgan-ode": ("tgan", "tgan-ode", _TGAN),
    "mocogan-ode": ("mocogan", "mocogan-ode", _MOCOGAN),
    "mocogan-ode, lasting": ("mocogan", "mocogan-ode", {**_MOCOGAN, "lasting": True}),
}
ORIGINALS = tuple(dict.fromkeys(original for original, _, _ in EQUATIONS.values()))
NAMES = (*ORIGINALS, *EQUATIONS)


def build(name: str, seed: int) -> Model:
    """A fresh model; one with an equation takes the recipe of its original."""
    if name in ORIGINALS:
        return create_model(name, "ci", seed)
    original, kind, changes = EQUATIONS[name]
    model = create_model(kind, "ci", seed, labels=(), order=1, **changes)
    model.recipe = create_model(original, "ci").recipe
    return model


def run(name: str, seed: int, fast: bool) -> dict[str, Any]:
    """Trains and measures one model."""
    model = build(name, seed)
    steps = 2 if fast else model.recipe.steps
    start = time.process_time()
    fit(model, steps=steps, seed=seed, device="cpu", progress=False)
    spent = time.process_time() - start
    measured = evaluation.evaluate(model, 256 if fast else SAMPLES, seed)
    values = {item.name: item.value for item in measured if item.name in ("FVD-digits", "motion", "diversity")}
    generator = count_parameters(model)["generator"]
    return {**values, "steps": steps, "cpu_seconds": round(spent, 1), "generator": generator}


def difference(runs: dict[str, dict[str, Any]], original: str, other: str) -> dict[str, float]:
    """FVD-digits of the one with the equation less that of its original, seed by seed: mean and 95 % interval."""
    gaps = [runs[other][seed]["FVD-digits"] - runs[original][seed]["FVD-digits"] for seed in runs[other]]
    mean, half = statistics.mean(gaps), STUDENT * statistics.stdev(gaps) / len(gaps) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half, "half": half, "better": sum(gap < 0 for gap in gaps)}


def summary(runs: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """What the page prints: a row for each model, a difference for each pair."""
    rows = {}
    for name, seeds in runs.items():
        values = [row["FVD-digits"] for row in seeds.values()]
        rows[name] = {
            "mean": statistics.mean(values),
            "deviation": statistics.stdev(values),
            "least": min(values),
            "most": max(values),
            "motion": statistics.mean(row["motion"] for row in seeds.values()),
            "cpu_seconds": statistics.mean(row["cpu_seconds"] for row in seeds.values()),
            "generator": next(iter(seeds.values()))["generator"],
        }
    return {
        "rows": rows,
        "differences": {name: difference(runs, original, name) for name, (original, _, _) in EQUATIONS.items()},
    }


def draw(runs: dict[str, dict[str, dict[str, Any]]], rows: dict[str, dict[str, Any]]) -> None:
    """Each run a dot, each pair of one seed joined, the means as bars."""
    fig, ax = viz.figure(
        alt="FVD-digits of five trainings each of TGAN and TGAN-ODE, and of MoCoGAN and two MoCoGAN-ODEs, as dots; "
        "those of one seed are joined, and a bar marks each mean.",
        width=6.4,
        height=3.4,
    )
    places = {"tgan": 0, "tgan-ode": 1, "mocogan-ode": 2.4, "mocogan": 3.4, "mocogan-ode, lasting": 4.4}
    for name, (original, _, _) in EQUATIONS.items():
        color = viz.figures.COLORS[ORIGINALS.index(original)]
        for seed in runs[original]:
            pair = [runs[one][seed]["FVD-digits"] for one in (original, name)]
            ax.plot([places[original], places[name]], pair, "o-", color=color, linewidth=0.8, markersize=5)
    for name, place in places.items():
        ax.plot([place - 0.2, place + 0.2], [rows[name]["mean"]] * 2, color=viz.figures.INK, linewidth=2.5)
    words = [name.replace(", ", ",\n") for name in places]
    ax.set(title="FVD-digits of five trainings each", xticks=[*places.values()], xticklabels=words)
    ax.set_ylim(bottom=0)
    viz.save_figure(fig, PICTURE)


def main() -> None:
    """Trains and measures what the manifest lacks, and writes it after each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="two steps each, into runs/: a try")
    fast = parser.parse_args().fast
    torch.set_num_threads(1)
    out = ROOT / "runs" / "continuous-comparison.json" if fast else OUT
    manifest = read_json(out) if out.exists() else {"runs": {}}
    runs = manifest["runs"]
    for seed, name in product(range(SEEDS), NAMES):
        if str(seed) in runs.get(name, {}):
            continue
        runs.setdefault(name, {})[str(seed)] = run(name, seed, fast)
        print(name, seed, runs[name][str(seed)], flush=True)
        protocol = {"seeds": SEEDS, "samples": SAMPLES, "data": "moving-digits 32x32, 16 frames, no labels"}
        settings = {name: changes for name, (_, _, changes) in EQUATIONS.items()}
        command = "python results/continuous_comparison.py"
        manifest = {"command": command, **environment(), "protocol": protocol, "settings": settings, "runs": runs}
        manifest["cpu_seconds"] = round(sum(row["cpu_seconds"] for of in runs.values() for row in of.values()), 1)
        write_json(out, manifest)
    found = summary(runs)
    write_json(out, {**manifest, **found})
    if not fast:
        draw(runs, found["rows"])


if __name__ == "__main__":
    main()
