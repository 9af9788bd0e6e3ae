"""Pictures of the bug hunt, and the numbers that its page quotes.

    python book/appendix/bug_hunt_figures.py            all of them, about a minute on one CPU thread
    python book/appendix/bug_hunt_figures.py games      only those named: games, seeds, codes, layers, clips

Writes book/_static/bug-hunt/ and results/bug-hunt.json.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import bug_hunt as hunt
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import Tensor

from vidgen_lab import metrics, viz
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import Digits, Ring
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.files import mp4_bytes, png_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "bug-hunt"
RESULTS = ROOT / "results" / "bug-hunt.json"
STEPS = 500
SHOWN = 48  # frames of the film
GAMES = {
    "right": hunt.right_step,
    "no_fakes": hunt.no_fakes_step,
    "two_sigmoids": hunt.two_sigmoids_step,
    "attached": hunt.attached_step,
    "one_goal": hunt.one_goal_step,
}


def ring_points() -> Tensor:
    """8,000 points of the ring, `(8000, 2)`."""
    return Ring().__getitems__(list(range(8000)))["points"]


def samples(game: hunt.Game, n: int = 1000) -> Tensor:
    """The same draws of noise through a game's generator, `(n, 2)`."""
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        return game.generator(noise)


def games() -> dict[str, Any]:
    """Five loops on the ring, the same start and the same numbers of chance: film, last picture, where they end."""
    real = ring_points()
    shown = {round(4 * (STEPS / 4) ** (i / (SHOWN - 1))) for i in range(SHOWN)}
    seen: dict[int, dict[str, Tensor]] = {step: {} for step in sorted(shown)}
    found = {}
    for name, step_of in GAMES.items():
        count = 0

        def watched(game: hunt.Game, *given: Tensor, name: str = name, step_of: Any = step_of) -> Tensor:
            nonlocal count
            loss = step_of(game, *given)
            count += 1
            if count in seen:
                seen[count][name] = samples(game, 300)
            return loss

        game, losses = hunt.play(watched, real, STEPS)
        fakes = samples(game)
        found[name] = {
            "loss": sum(losses[-100:]) / 100,
            "modes": metrics.modes_covered(fakes, Ring().centers, 0.2)[0],
            "share_on_a_mode": metrics.modes_covered(fakes, Ring().centers, 0.2)[1],
            "distance_from_centre": fakes.mean(0).norm().item(),
            "spread": fakes.std(0).mean().item(),
        }
    frames = [panels(real, step, fakes) for step, fakes in seen.items()]
    write_bytes(OUT / "games.mp4", mp4_bytes(np.stack([*frames, *[frames[-1]] * 8]), fps=8))
    write_bytes(OUT / "games.png", png_bytes(frames[-1]))
    least = math.log1p(math.exp(-1)) + math.log(2)
    return {"games": {"steps": STEPS, **found}, "least_loss_of_two_sigmoids": least, "two_log_2": 2 * math.log(2)}


def panels(real: Tensor, step: int, fakes: dict[str, Tensor]) -> np.ndarray:
    """The five games at one step, as pixels on white `(H, W, 3)`."""
    titles = ("right", *(f"hunt {number}" for number in range(1, 5)))
    fig, axes = viz.figure(1, 5, alt="five scatter plots", width=9.6, height=2.4)
    for ax, title, points in zip(axes, titles, fakes.values(), strict=True):
        viz.points(real[:300], points, ax)
        ax.get_legend().remove()
        ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), xticks=[], yticks=[], title=f"{title}, step {step}")
    fig.set_facecolor("#fafafa")
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def seeds() -> dict[str, Any]:
    """The three games that run at all, over three seeds; and one program taken for two."""
    real, rows = ring_points(), {}
    for name in ("right", "attached", "two_sigmoids"):
        ends = [(samples(hunt.play(GAMES[name], real, n, seed)[0])) for n in (STEPS, 4 * STEPS) for seed in range(3)]
        covered = [metrics.modes_covered(fakes, Ring().centers, 0.2) for fakes in ends]
        rows[name] = {
            "early_share": [share for _, share in covered[:3]],
            "late_modes": [modes for modes, _ in covered[3:]],
        }
    scores = [
        torch.cdist(samples(hunt.play(hunt.right_step, real, STEPS, seed)[0]), Ring().centers).min(1)[0].mean().item()
        for seed in range(6)
    ]
    a, b = scores[:3], scores[3:]
    verdicts = [hunt.wrong_verdict([one], [other]) for one in a for other in b]
    return {
        "seeds": {"early_steps": STEPS, "late_steps": 4 * STEPS, **rows},
        "same_program": {
            "a": a,
            "b": b,
            "single_runs": {name: verdicts.count(name) for name in "ab"},
            "all_runs": hunt.right_verdict(a, b),
        },
    }


def tokenizer(objective: Any, points: Tensor, steps: int = 1500) -> hunt.Tokenizer:
    """A tokenizer trained on points of the plane."""
    model, generator = hunt.Tokenizer(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(steps):
        rows = torch.randint(0, len(points), (128,), generator=generator)
        hunt.descend(objective(model, points[rows]), optimizer)
    return model


def codes() -> dict[str, Any]:
    """The ring through three tokenizers: without the quantiser, through its untouched book, and mended."""
    points, fresh = ring_points(), hunt.Tokenizer()
    plain, mended = tokenizer(hunt.no_quantiser, points), tokenizer(hunt.right_objective, points)
    some = points[:300]
    with torch.no_grad():
        shown = {
            "what the loop sees": plain.decoder(plain.encoder(some)),
            "from the codes alone": plain.reconstruct(some),
            "mended, from the codes": mended.reconstruct(some),
        }
    fig, axes = viz.figure(
        1,
        3,
        alt="Points of a ring of eight clusters and their reconstructions. Left: they coincide. Middle: a few "
        "crosses, most of them far from every cluster. Right: crosses on the clusters.",
        width=7.6,
        height=2.9,
    )
    for ax, (title, rebuilt) in zip(axes, shown.items(), strict=True):
        viz.points(some, rebuilt, ax)
        ax.get_legend().remove()
        ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), xticks=[], yticks=[], title=title)
    viz.save_figure(fig, OUT / "codes.png")
    torch.manual_seed(0)
    soft, hard = hunt.SoftQuantiser(), hunt.HardQuantiser()
    latent = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        once, twice = soft(latent), soft(soft(latent))
        distinct = {"soft": len(once.unique(dim=0)), "hard": len(hard.codebook[nearest(latent, hard)].unique(dim=0))}
    return {
        "codes": {
            "errors": [(rebuilt - some).norm(dim=1).mean().item() for rebuilt in shown.values()],
            "book_moved": [(model.codebook - fresh.codebook).abs().max().item() for model in (plain, mended)],
            "distinct": distinct,
            "soft_spread": [rows.std(0).mean().item() for rows in (once, twice)],
        }
    }


def nearest(latent: Tensor, quantiser: hunt.HardQuantiser) -> Tensor:
    return torch.cdist(latent, quantiser.codebook).argmin(1)


def layers() -> dict[str, Any]:
    """Sizes, starts and ranges of image networks."""
    torch.manual_seed(0)
    with torch.no_grad():
        wide = hunt.maps(hunt.wrong_discriminator(), torch.zeros(1, 1, 32, 32))
        narrow = hunt.maps(hunt.right_discriminator(), torch.zeros(1, 1, 32, 32))
    digits = Digits("test", 28).__getitems__(list(range(8)))["image"]
    both = torch.cat([digits, digits.clamp(min=0)])  # what a sigmoid can reach of each pixel
    write_bytes(OUT / "range.png", png_bytes(viz.grid(both, columns=8).repeat(2, 0).repeat(2, 1)))
    x = 0.5 + 3 * torch.randn(256, 1, generator=torch.Generator().manual_seed(0))
    return {
        "layers": {
            "sides": {
                "claimed": hunt.wrong_side(4, 4, 2, 1),
                "true": hunt.right_side(4, 4, 2, 1),
            },
            "last_side": {"wrong": wide[-1][1], "right": narrow[-2][1]},
            "numbers": {"wrong": sum(map(math.prod, wide)), "right": sum(map(math.prod, narrow))},
            "batch_norm": {
                "deviation": x.std().item(),
                "wrong": hunt.wrong_batch_norm(x).std().item(),
                "right": hunt.RightBatchNorm(1)(x).std().item(),
            },
            "weights": {
                "torch": hunt.three_doublings()[2].weight.std().item(),
                "right": hunt.right_generator()[2].weight.std().item(),
            },
            "below_zero": (Digits("train", 28).__getitems__(list(range(2000)))["image"] < 0).float().mean().item(),
        }
    }


def clips() -> dict[str, Any]:
    """How far a number of the noise reaches; pairs of codes drawn together and one by one."""
    torch.manual_seed(0)
    noise = torch.randn(1, 1, 8, 32, 32)
    middle = noise[0].numel() // 2 + 16 * 32 + 16
    joint, generator = torch.eye(4) / 4, torch.Generator().manual_seed(0)
    drawn = {"at_once": hunt.frame_at_once(joint, 10_000, generator)}
    drawn["code_by_code"] = hunt.code_by_code(joint, 10_000, generator)
    return {
        "clips": {
            "noise": {"same_size": noise.numel(), "latent": 32},
            "reach": {
                "same_size": hunt.reach(hunt.same_size(), noise, middle),
                "latent": hunt.reach(hunt.from_latent(), torch.randn(1, 32), 0),
            },
            "torn": {name: (pair[:, 0] != pair[:, 1]).float().mean().item() for name, pair in drawn.items()},
        }
    }


PARTS = {"games": games, "seeds": seeds, "codes": codes, "layers": layers, "clips": clips}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
    write_json(RESULTS, {**numbers, "command": f"python book/appendix/{command_line()}", **environment()})
