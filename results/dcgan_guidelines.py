"""Each guideline of DCGAN switched off once, and the published recipe beside the one that ships.

    python results/dcgan_guidelines.py        writes results/dcgan-guidelines.json

The base is the published pair in small: batch normalisation in both networks, weights from N(0, 0.02^2). Every game has
the same number of steps, of batch 32. Each row changes one thing, but for R1, which comes with torch's initialisation.
Three of them are then played for longer, with one seed: who is quick need not end well.

    python results/dcgan_guidelines.py long   plays only these three, and adds them to the manifest
"""

import statistics
import sys
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core import Optimizer
from vidgen_lab.core.manifest import environment
from vidgen_lab.evaluation import evaluate
from vidgen_lab.training.state import read_json, write_json

LONG, LONG_STEPS = ("base", "no-norm-in-g", "torch-init"), 1400
STEPS, SEEDS, SAMPLES, RATE = 400, range(2), 1000, 1.5e-3


def adam(lr: float) -> dict[str, Optimizer]:
    """The same Adam for both players."""
    return {name: Optimizer(lr=lr, betas=(0.5, 0.999)) for name in ("discriminator", "generator")}


BASE: dict[str, Any] = {
    "generator_widths": (64, 32, 16),
    "discriminator_widths": (16, 32, 64),
    "discriminator_norm": True,
    "init_std": 0.02,
    "r1": 0.0,
    "batch_size": 32,
    "optimizers": adam(RATE),
}
GAMES: dict[str, dict[str, Any]] = {
    "base": {},
    "norm-in-the-first-layer": {"first_norm": True},
    "no-norm-in-d": {"discriminator_norm": False},
    "no-norm-in-g": {"generator_norm": False},
    "relu-in-d": {"discriminator_leak": 0.0},
    "pooling-in-d": {"halve": "pool"},
    "torch-init": {"init_std": None},
    "published-rate": {"optimizers": adam(2e-4)},
    "r1": {"discriminator_norm": False, "init_std": None, "r1": 1.0, "penalty_every": 8},
}


def play(changes: dict[str, Any], seed: int, steps: int = STEPS) -> dict[str, float]:
    """Trains one game and measures it."""
    model = create_model("dcgan", "ci", seed=seed, **{**BASE, **changes})
    history = fit(model, steps=steps, seed=seed, device="cpu", progress=False)
    score = next(item for item in evaluate(model, SAMPLES, seed) if item.name == "IS-digits")
    last = history[-50:]
    gap = statistics.mean(row["discriminator/real_logit"] - row["discriminator/fake_logit"] for row in last)
    return {"score": round(score.value, 3), "real": score.reference, "logit_gap": round(gap, 2)}


def short() -> dict[str, Any]:
    """Every game, a few seeds."""
    games = {}
    for name, changes in GAMES.items():
        runs = [play(changes, seed) for seed in SEEDS]
        scores = [run["score"] for run in runs]
        gap = round(statistics.mean(run["logit_gap"] for run in runs), 2)
        games[name] = {"mean": statistics.mean(scores), "least": min(scores), "most": max(scores), "logit_gap": gap}
        print(name, games[name], flush=True)
    protocol = {"metric": "IS-digits", "steps": STEPS, "seeds": len(SEEDS), "samples": SAMPLES, "batch_size": 32}
    return {"protocol": protocol, "real": runs[0]["real"], "rate": RATE, "games": games}


def main() -> None:
    """Plays and writes the manifest."""
    torch.set_num_threads(1)
    path = Path(__file__).parent / "dcgan-guidelines.json"
    table = read_json(path) if sys.argv[1:] == ["long"] else short()
    table["long"] = {"steps": LONG_STEPS, "scores": {name: play(GAMES[name], 0, LONG_STEPS)["score"] for name in LONG}}
    print(table["long"], flush=True)
    write_json(path, {**table, "command": "python results/dcgan_guidelines.py", **environment()})


if __name__ == "__main__":
    main()
