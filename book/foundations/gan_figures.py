"""Figures and clips of chapter 1, and the numbers that its text quotes.

    python book/foundations/gan_figures.py            all of them, about four minutes on one CPU thread
    python book/foundations/gan_figures.py theory     only those named: theory, ring, digits

Writes book/_static/gan/ and results/gan-figures.json. `digits` repeats the run of the `ci` preset that ships with the
package: the same seed, so the same weights.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidgen_lab import create_model, fit, losses, metrics, viz
from vidgen_lab.core import Model, Optimizer
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import Digits, Ring
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "gan"
RESULTS = ROOT / "results" / "gan-figures.json"
SLOW = {"discriminator": Optimizer(lr=1e-4), "generator": Optimizer(lr=1e-3)}


def theory() -> dict[str, Any]:
    """The optimal discriminator, the value at it, and the slopes of the generator's losses."""
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    best = metrics.optimal_discriminator(p, q)
    grid, trained, optimal, real, fake = trained_discriminator()
    fig, axes = viz.figure(
        1,
        2,
        alt="Left: two bell curves, real data around 1 and fakes around -1. Right: the optimal discriminator rises "
        "from 0 to 1, through one half where the curves cross; a trained network follows it closely.",
        width=7.6,
        height=3.0,
    )
    axes[0].plot(grid, real, color=viz.figures.REAL, label="data p(x)")
    axes[0].plot(grid, fake, color=viz.figures.FAKE, label="fakes q(x)")
    axes[1].plot(grid, optimal, color=viz.figures.COLORS[2], label="p / (p + q)")
    axes[1].plot(grid, trained, "--", color="black", label="trained network")
    for ax in axes:
        ax.set_xlabel("x")
        ax.legend()
    viz.save_figure(fig, OUT / "optimal.png")

    logits = torch.linspace(-8, 8, 321, dtype=torch.float64, requires_grad=True)
    fig, axes = viz.figure(
        1,
        2,
        alt="The generator's loss against the discriminator's logit on a fake. Left: the losses. Right: their slopes. "
        "For a fake that is seen through, at the far left, the minimax slope is 0 and the non-saturating slope is -1.",
        width=7.6,
        height=3.0,
    )
    curves = {"minimax": losses.minimax_generator, "non-saturating": losses.non_saturating_generator}
    slopes = {}
    for name, loss in curves.items():
        value = torch.stack([loss(None, logit) for logit in logits])
        (slope,) = torch.autograd.grad(value.sum(), logits)
        axes[0].plot(logits.detach(), value.detach(), label=name)
        axes[1].plot(logits.detach(), slope, label=name)
        slopes[name] = slope[logits.detach().eq(-5).nonzero()[0, 0]].item()
    axes[0].set_ylim(-6, 6)
    axes[0].set_ylabel("generator's loss")
    axes[1].set_ylabel("slope")
    for ax in axes:
        ax.set_xlabel("logit of a fake")
        ax.axvline(0, color="#bbbbbb", linewidth=1)
    axes[0].legend()
    viz.save_figure(fig, OUT / "slopes.png")

    mean = Digits("train", 28).__getitems__(list(range(8000)))["image"].mean(0, keepdim=True)
    some = Digits("train", 28).__getitems__(list(range(7)))["image"]
    row = viz.grid(torch.cat([some, mean]), columns=8).repeat(3, 0).repeat(3, 1)
    write_bytes(OUT / "mean-digit.png", viz.files.png_bytes(row))
    pairs = Digits("train", 28).__getitems__(list(range(2000)))["image"].flatten(1)
    return {
        "digits_mean_distance": (pairs[:1000] - pairs[1000:]).norm(dim=1).mean().item(),
        "optimal_discriminator": best.tolist(),
        "value_at_optimum": metrics.value(p, q, best).item(),
        "jensen_shannon": metrics.jensen_shannon(p, q).item(),
        "minus_log_4": -math.log(4),
        "two_log_2": 2 * math.log(2),
        "log_2": math.log(2),
        "slope_at_minus_5": slopes,
        "trained_discriminator_mean_error": float(np.abs(trained - optimal).mean()),
    }


def trained_discriminator() -> tuple[np.ndarray, ...]:
    """A small network trained to tell N(1, 1) from N(-1, 0.7): grid, D, p/(p+q), p, q."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(1500):
        real, fake = 1 + torch.randn(256, 1), -1 + 0.7 * torch.randn(256, 1)
        loss = sum(losses.cross_entropy_discriminator(net(real), net(fake)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    grid = torch.linspace(-3.5, 4, 151)
    p = torch.distributions.Normal(1.0, 1.0).log_prob(grid).exp()
    q = torch.distributions.Normal(-1.0, 0.7).log_prob(grid).exp()
    with torch.no_grad():
        trained = net(grid[:, None]).sigmoid()[:, 0]
    return tuple(t.numpy() for t in (grid, trained, p / (p + q), p, q))


def ring() -> dict[str, Any]:
    """The same game twice on eight Gaussians: players of equal rate, and a discriminator ten times slower."""
    shown = [25 * i for i in range(1, 61)]
    balanced, slow = watch_ring({}, shown), watch_ring({"optimizers": SLOW}, shown)
    real = Ring().__getitems__(list(range(300)))["points"]
    frames = []
    for step, left, right in zip(shown, balanced, slow, strict=True):
        fig, axes = viz.figure(1, 2, alt="two scatter plots", width=7.2, height=3.9)
        for ax, points, title in zip(axes, (left, right), ("equal rates", "slow discriminator"), strict=True):
            viz.points(real, points[:300], ax)
            ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), title=f"{title}, step {step}")
        frames.append(render(fig))
    write_bytes(OUT / "ring.mp4", mp4_bytes(np.stack(frames), fps=8))
    fig, axes = viz.figure(
        2,
        4,
        alt="Eight clusters on a circle. Top row, equal learning rates: fakes spread from the middle to all eight "
        "clusters. Bottom row, slow discriminator: fakes sit in one place at a time and move around the circle.",
        width=7.6,
        height=4.4,
    )
    for row, history in zip(axes, (balanced, slow), strict=True):
        for ax, index in zip(row, (3, 11, 31, 59), strict=True):
            viz.points(real, history[index][:300], ax)
            ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), title=f"step {shown[index]}", xticks=[], yticks=[])
            ax.get_legend().remove()
    viz.save_figure(fig, OUT / "ring.png")
    covered = {}
    for name, history in (("equal_rates", balanced), ("slow_discriminator", slow)):
        counts = [metrics.modes_covered(points, Ring().centers, 0.2)[0] for points in history[-20:]]
        covered[name] = {"most": max(counts), "least": min(counts)}
    return {"ring_steps": shown[-1], "ring_last_looks": 20, "ring_covered": covered}


def watch_ring(overrides: dict[str, Any], shown: list[int]) -> list[Tensor]:
    """1,000 samples after each of the steps in `shown`."""
    seen = []

    def look(step: int, model: Model, record: dict[str, float]) -> None:
        if step + 1 in shown:
            seen.append(model.sample(1000, generator=torch.Generator().manual_seed(0)))

    fit(create_model("gan", "ring", **overrides), steps=shown[-1], device="cpu", callback=look, progress=False)
    return seen


def digits() -> dict[str, Any]:
    """The ci preset, watched while it learns."""
    steps = create_model("gan", "ci").recipe.steps
    shown = sorted({round(4 * (steps / 4) ** (i / 47)) for i in range(48)})
    budgets = [steps // 30, steps // 6, steps]
    film, pictures, history = [], {}, []

    def look(step: int, model: Model, record: dict[str, float]) -> None:
        history.append(record)
        if step + 1 in shown or step + 1 in budgets:
            images = model.sample(64, generator=torch.Generator().manual_seed(3))
            if step + 1 in shown:
                film.append(images)
            if step + 1 in budgets:
                pictures[step + 1] = images[:16]

    model = create_model("gan", "ci")
    fit(model, device="cpu", callback=look, progress=False)
    film += [film[-1]] * 8  # rest on the last picture
    clip = torch.stack(film, dim=2)  # (64, 1, T, 28, 28)
    clip = torch.nn.functional.interpolate(clip, scale_factor=(1, 2, 2))
    viz.save(clip, OUT / "training.mp4", fps=8)
    poster = clip[:8, :, [0, 7, 14, 20, 26, 32, 38, len(shown) - 1]]
    viz.save(poster, OUT / "training.png")
    rows = torch.cat([pictures[budget] for budget in budgets])
    write_bytes(OUT / "budgets.png", viz.files.png_bytes(viz.grid(rows, columns=16).repeat(2, 0).repeat(2, 1)))
    fig = viz.curves(
        history,
        ["discriminator/real", "discriminator/fake", "generator/adversarial"],
        alt="Losses of the digit GAN over training: after a short start all three curves run nearly level.",
        width=7.2,
        height=3.0,
    )
    viz.save_figure(fig, OUT / "curves.png")
    return {"digits_budgets": budgets, "digits_film_steps": [shown[0], shown[-1]]}


def render(fig: Any) -> np.ndarray:
    """A figure as pixels on white `(H, W, 3)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    fig.set_facecolor("#fafafa")
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


PARTS = {"theory": theory, "ring": ring, "digits": digits}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
    write_json(RESULTS, {**numbers, "command": f"python book/foundations/{command_line()}", **environment()})
