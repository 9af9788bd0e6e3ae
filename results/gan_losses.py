"""Eight games on the ring of eight Gaussians, five seeds each: modes covered and steps needed.

    python results/gan_losses.py        writes results/gan-losses.json

The networks, the batch, the number of generator steps and (but for the critic) the optimiser are equal.
"""

import statistics
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core import Optimizer
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import Ring
from vidgen_lab.metrics import modes_covered
from vidgen_lab.training.state import write_json

STEPS, EVERY, SEEDS, SAMPLES = 2000, 50, range(5), 1000


def adam(lr: float, betas: tuple[float, float]) -> dict[str, Optimizer]:
    """The same Adam for both players."""
    return {name: Optimizer(lr=lr, betas=betas) for name in ("discriminator", "generator")}


CRITIC = {"loss": "wasserstein", "gradient_penalty": 1.0, "critic_steps": 5, "optimizers": adam(1e-3, (0.0, 0.9))}
GAMES: dict[str, dict[str, Any]] = {
    "minimax": {"loss": "minimax"},
    "non-saturating": {"loss": "non-saturating"},
    "least-squares": {"loss": "least-squares"},
    "hinge": {"loss": "hinge"},
    "hinge-sn": {"loss": "hinge", "spectral_norm": True},
    "wasserstein-gp": CRITIC,
    "non-saturating-r1": {"loss": "non-saturating", "r1": 0.1},
    "relativistic-r1-r2": {"loss": "relativistic", "r1": 0.1, "r2": 0.1},
}

SLOW = {"discriminator": Optimizer(lr=1e-4), "generator": Optimizer(lr=1e-3)}
CHANGED_RATES: dict[str, dict[str, Any]] = {
    "hinge-sn-slow-generator": {
        **GAMES["hinge-sn"],
        "optimizers": {"discriminator": Optimizer(lr=1e-3), "generator": Optimizer(lr=1e-4)},
    },
    "slow-discriminator": {"optimizers": SLOW},
    "slow-discriminator-five-steps": {"optimizers": SLOW, "critic_steps": 5},
    "slow-discriminator-r1": {"optimizers": SLOW, "r1": 0.1},
    "slow-discriminator-relativistic": {"optimizers": SLOW, "loss": "relativistic", "r1": 0.1, "r2": 0.1},
}


def play(game: dict[str, Any], seed: int, scale: float = 1.0) -> dict[str, float | None]:
    """Trains one game; steps are generator steps. `scale` stretches the plane."""
    settings = dict(game)
    steps = STEPS * settings.get("critic_steps", 1)
    every = EVERY * settings.get("critic_steps", 1)
    model = create_model("gan", "ring", seed=seed, **settings)
    ring = Ring(radius=scale, std=0.05 * scale, seed=seed)
    covered: list[int] = []
    near = [0.0]
    logits: list[float] = []

    def look(step: int, model, record) -> None:
        logits.append(record["discriminator/fake_logit"])
        if (step + 1) % every == 0:
            points = model.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
            count, near[0] = modes_covered(points, ring.centers, radius=0.2 * scale)
            covered.append(count)

    fit(model, ring, steps=steps, seed=seed, device="cpu", callback=look, progress=False)
    # Steps after which all eight modes are covered at every later look.
    last_short = max((i for i, count in enumerate(covered) if count < 8), default=-1)
    needed = None if last_short == len(covered) - 1 else (last_short + 2) * EVERY
    return {
        "covered": covered[-1],
        "near": round(near[0], 3),
        "steps_needed": needed,
        "lowest_fake_logit": round(min(logits), 2),
    }


def summary(runs: list[dict[str, float | None]]) -> dict[str, Any]:
    """What a table row says of five runs."""
    needed = [run["steps_needed"] for run in runs if run["steps_needed"] is not None]
    return {
        "covered_mean": statistics.mean(run["covered"] for run in runs),
        "covered_min": min(run["covered"] for run in runs),
        "near_mean": statistics.mean(run["near"] for run in runs),
        "seeds_that_covered_all": len(needed),
        "steps_needed_median": statistics.median(needed) if needed else None,
        "steps_needed_range": f"{min(needed)} to {max(needed)}" if needed else None,
        "lowest_fake_logit": min(run["lowest_fake_logit"] for run in runs),
        "runs": runs,
    }


def main() -> None:
    """Plays every game and writes the manifest."""
    torch.set_num_threads(1)
    games = {}
    for name, game in GAMES.items():
        games[name] = summary([play(game, seed) for seed in SEEDS])
        print(name, {key: value for key, value in games[name].items() if key != "runs"}, flush=True)
    games["hinge-sn-plane-x10"] = summary([play(GAMES["hinge-sn"], seed, scale=10.0) for seed in SEEDS])
    for name, game in CHANGED_RATES.items():
        games[name] = summary([play(game, seed) for seed in SEEDS])
        print(name, {key: value for key, value in games[name].items() if key != "runs"}, flush=True)
    real = Ring("test").__getitems__(list(range(SAMPLES)))["points"]
    manifest = {
        "command": command_line().replace("gan_losses.py", "python results/gan_losses.py"),
        **environment(),
        "protocol": {
            "data": "ring of 8 Gaussians, radius 1, std 0.05",
            "generator_steps": STEPS,
            "batch_size": 128,
            "seeds": len(SEEDS),
            "samples": SAMPLES,
            "covered": "at least 2 % of the samples within 0.2 of the mode",
            "steps_needed": f"first look (every {EVERY} generator steps) from which on all 8 modes stay covered",
        },
        "games": games,
        "real": dict(zip(("covered", "near"), modes_covered(real, Ring().centers, radius=0.2), strict=True)),
    }
    write_json(Path(__file__).parent / "gan-losses.json", manifest)


if __name__ == "__main__":
    main()
