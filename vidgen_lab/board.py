"""The leaderboard: every model that makes clips, trained for the same task on the same budget, and measured alike.

The task is one grey digit, 16 frames of 32 x 32; the budget is 300 CPU-seconds on one thread. A model has its own
preset `board` for it. What it stands on is trained first, and counts towards the budget.
"""

import datetime
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import zoo
from vidgen_lab.core import ArgumentError, DataConfig, Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.evaluation import evaluate
from vidgen_lab.training import fit
from vidgen_lab.training.state import read_json

PRESET = "board"
DATA = DataConfig("moving-digits", size=32, frames=16)
BUDGET = 300  # CPU-seconds on one thread
SLACK = 1.4  # a busy machine counts that many CPU-seconds for one


def contenders() -> list[str]:
    """Names of the models that can have a row, in the order of the course."""
    return [row.name for row in zoo.list_models() if PRESET in row.presets and row.model_class.output == "video"]


def make_row(name: str, seeds: int = 3, *, runs: Path, n: int | None = None, resume: bool = False) -> dict[str, Any]:
    """Trains the preset `board` once for each seed from 0 on, measures every run, and returns the row's manifest.

    All runs are measured with the same seed, so that a spread over the runs is a spread over trainings.

    Args:
        name: in the zoo.
        seeds: trainings.
        runs: folder of the runs; each is kept as `runs/NAME/seed-S`.
        n: clips to measure; None: as `evaluate` says.
        resume: go on with runs that are there, finished ones too.

    Raises:
        ArgumentError: the model makes no clips, has no preset `board`, its preset is for another task, or a run took
            more than 1.4 times the budget.
    """
    check(name, seeds)
    trained = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in range(seeds):
            model, spent = _train(name, PRESET, seed, runs / name / f"seed-{seed}", resume)
            measured = {item.name: item.as_json() for item in evaluate(model, n, seed=0)}
            trained.append({"seed": seed, **spent, "metrics": measured})
        machine = environment()
    finally:
        torch.set_num_threads(threads)
    return {
        "model": name,
        "preset": PRESET,
        "captioned": "caption" in model.conditions,
        "command": command_line(),
        "steps": model.recipe.steps,
        "parameters": count_parameters(model),
        "budget_cpu_seconds": BUDGET,
        "seeds": trained,
        **machine,
        "date": datetime.date.today().isoformat(),
    }


def check(name: str, seeds: int = 3) -> None:
    """Raises ArgumentError if the model cannot have a row."""
    cls, presets = zoo.entry(name).model_class, zoo.entry(name).presets
    others = f"These can have a row: {', '.join(contenders()) or 'none yet'}."
    if seeds < 1:
        raise ArgumentError(f"seeds={seeds}: give 1 or more; the leaderboard has 3.")
    if cls.output != "video":
        raise ArgumentError(f"{name} makes no clips ({cls.output}), and the leaderboard compares clips. {others}")
    if PRESET not in presets:
        raise ArgumentError(f'{name} has no preset "{PRESET}"; it has {", ".join(presets)}. {others}')
    for child, below in cls.stands_on.items():
        wanted = cls.presets[PRESET].stages.get(child, PRESET)
        if wanted not in zoo.entry(below).presets:
            raise ArgumentError(f'{name} stands on {below}, which has no preset "{wanted}". Give it one.')
    data = cls.presets[PRESET].recipe.data
    if data != DATA:
        raise ArgumentError(f'preset "{PRESET}" of {name} trains on {data}; the leaderboard is for {DATA}.')


def _train(name: str, preset: str, seed: int, out: Path, resume: bool) -> tuple[Model, dict[str, Any]]:
    """A trained model, and what it cost with all that it stands on."""
    cls, stages, cpu_seconds = zoo.entry(name).model_class, {}, 0.0
    for child, below in cls.stands_on.items():
        folder = out.with_name(f"{out.name}-{child}")
        stages[child], spent = _train(below, cls.presets[preset].stages.get(child, preset), seed, folder, resume)
        cpu_seconds += spent["cpu_seconds"]
    fit(zoo.create_model(name, preset, seed=seed, **stages), seed=seed, out=out, resume=resume, device="cpu")
    run = read_json(out / "manifest.json")
    cpu_seconds += run["cpu_seconds"]
    if cpu_seconds > SLACK * BUDGET:
        raise ArgumentError(
            f"{out} took {cpu_seconds:.0f} CPU-seconds; the budget is {BUDGET}, or {SLACK * BUDGET:.0f} on a busy "
            f'machine. Lower the steps of preset "{preset}".'
        )
    return zoo.load_model(out), {"cpu_seconds": round(cpu_seconds, 2), "weights_sha256": run["weights_sha256"]}
