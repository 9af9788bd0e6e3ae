"""Two generator losses on digits, with and without R1, five seeds each: which choice matters?

    python results/gan_digits.py        writes results/gan-digits.json

The rest is the `ci` preset, cut to 1,000 steps.
"""

import statistics
from pathlib import Path

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.evaluation import evaluate
from vidgen_lab.training.state import write_json

STEPS, SEEDS, SAMPLES = 1000, range(5), 1000


def score(loss: str, r1: float, seed: int) -> float:
    """IS-digits after a short training."""
    model = create_model("gan", "ci", seed=seed, loss=loss, r1=r1)
    fit(model, steps=STEPS, seed=seed, device="cpu", progress=False)
    return evaluate(model, SAMPLES, seed)[0].value


def main() -> None:
    """Trains all and writes the manifest."""
    torch.set_num_threads(1)
    table = {}
    for loss in ("minimax", "non-saturating"):
        for r1 in (0.0, 10.0):
            scores = [round(score(loss, r1, seed), 3) for seed in SEEDS]
            row = {"mean": statistics.mean(scores), "least": min(scores), "most": max(scores), "scores": scores}
            table[f"{loss}-r1-{r1:.0f}"] = row
            print(loss, r1, row, flush=True)
    protocol = {"metric": "IS-digits", "steps": STEPS, "seeds": len(SEEDS), "samples": SAMPLES, "preset": "ci"}
    manifest = {"command": f"python results/{command_line()}", **environment(), "protocol": protocol, "games": table}
    write_json(Path(__file__).parent / "gan-digits.json", manifest)


if __name__ == "__main__":
    main()
