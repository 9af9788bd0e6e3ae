"""Figures and clips of chapter 6, and the numbers that its text quotes.

    python book/video/continuous_figures.py           all of them, about a minute on one CPU thread
    python book/video/continuous_figures.py between   between, steps, tolerance, phase, models, adjoint, noise, calculus

Writes book/_static/continuous/ and results/continuous-figures.json. `adjoint` draws what results/continuous_adjoint.py
measured.
"""

import argparse
from math import exp, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchdiffeq
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate

from vidgen_lab import create_model, viz
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import load_digits, to_float
from vidgen_lab.nn.dynamics import ODE, SDE, brownian, halve_steps, map_field, vector_field
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.figures import COLORS, FAKE, INK, REAL
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "continuous"
RESULTS = ROOT / "results"
FINER = 8  # frames that stand for one
DIGIT = 1  # of the test digits


class Field(nn.Module):
    """A right-hand side from a formula."""

    def __init__(self, formula: Any) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(x)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def count_calls(f: nn.Module) -> list[int]:
    """A list that grows by one each time f is evaluated."""
    calls: list[int] = []
    f.register_forward_hook(lambda *_: calls.append(1))
    return calls


# What stands between two frames


def draw(path: Tensor, size: int = 64) -> Tensor:
    """A digit at each place of a path `(T, 2)`, coordinates in [-1, 1]: a clip `(1, 1, T, size, size)`."""
    digit = to_float(torch.from_numpy(load_digits("test")[0][DIGIT : DIGIT + 1].copy()))[:, None]  # (1, 1, 28, 28)
    canvas = nn.functional.pad(digit, [(size - 28) // 2] * 4, value=-1.0)
    shift = torch.eye(2, 3).repeat(len(path), 1, 1)
    shift[:, :, 2] = -path
    spots = affine_grid(shift, [len(path), 1, size, size], align_corners=False)
    frames = grid_sample(canvas.expand(len(path), -1, -1, -1) + 1, spots, align_corners=False) - 1
    return frames.transpose(0, 1)[None]


def between() -> dict[str, Any]:
    """A digit on a circle, given once every 40 degrees: held, faded, and asked for in between."""
    turn = Field(lambda x: torch.stack([-x[:, 1], x[:, 0]], dim=1))
    ode, start, frames = ODE(turn, step=2 * pi / 72), torch.tensor([[0.5, 0.0]]), 9
    coarse = [2 * pi * k / frames for k in range(frames + 1)]
    fine = [2 * pi * k / frames / FINER for k in range(frames * FINER + 1)]
    given, asked = (draw(ode(start, times)[0]) for times in (coarse, fine))
    held = given.repeat_interleave(FINER, dim=2)[:, :, : len(fine)]
    faded = interpolate(given, size=(len(fine), 64, 64), mode="trilinear", align_corners=True)
    clips = torch.cat([held, faded, asked])[:, :, :-1]  # the last frame is the first again
    twice = interpolate(clips.repeat(1, 1, 2, 1, 1), scale_factor=(1, 3, 3), mode="nearest")
    write_bytes(OUT / "between.mp4", mp4_bytes(frames_of(twice, columns=3), fps=24))
    viz.save(clips[:, :, : FINER + 1 : 2].repeat_interleave(2, 3).repeat_interleave(2, 4), OUT / "between.png")
    return {"between": {"frames": frames, "finer": FINER}}


# Steps


def steps() -> dict[str, Any]:
    """One turn on a circle by Euler and by Runge-Kutta steps; error over the step, and over the evaluations."""
    turn = Field(lambda x: torch.stack([-x[:, 1], x[:, 0]], dim=1))
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, a circle and two walks around it from the same start with the same sixteen steps. Euler's winds "
        "outwards; that of Runge and Kutta stays on the circle. Right, error over the length of a step on logarithmic "
        "axes: two straight lines, the one of Runge and Kutta four times as steep.",
        width=7.6,
        height=3.6,
    )
    count = 16
    grid = [2 * pi * k / count for k in range(count + 1)]
    angle = np.linspace(0, 2 * pi, 200)
    axes[0].plot(np.cos(angle), np.sin(angle), color=INK, linewidth=1, label="the path")
    ends = {}
    for name, color, label in (("euler", FAKE, "Euler"), ("rk4", REAL, "Runge-Kutta")):
        path = ODE(turn, solver=name, step=2 * pi / count)(start, grid)[0]
        axes[0].plot(*path.T, "o-", color=color, markersize=4, linewidth=1, label=label)
        ends[name] = path[-1].norm().item()
    axes[0].set(title=f"one turn in {count} steps", xticks=[], yticks=[], aspect="equal")
    axes[0].legend(loc="upper right", fontsize=8)
    f, x = learned()
    exact = ODE(f, solver="dopri5", tolerance=1e-13)(x, [2.0])
    slopes = {}
    for name, order, color, label in (("euler", 1, FAKE, "Euler"), ("rk4", 4, REAL, "Runge-Kutta")):
        lengths = [2.0 / n for n in (8, 16, 32, 64, 128)]
        errors = [rms(ODE(f, solver=name, step=h)(x, [2.0]) - exact) for h in lengths]
        axes[1].loglog(lengths, errors, "o-", color=color, label=label, markersize=4)
        guide = [errors[-1] * (h / lengths[-1]) ** order for h in lengths]
        axes[1].loglog(lengths, guide, color=INK, linewidth=0.8, linestyle=":")
        slopes[name] = np.polyfit(np.log(lengths[1:]), np.log(errors[1:]), 1)[0]
    axes[1].set(title="error at time 2", xlabel="length of a step h")
    fractions(axes[1], (4, 16, 64))
    axes[1].legend(loc="lower right", fontsize=8)
    viz.save_figure(fig, OUT / "steps.png")
    return {"circle": {"steps": count, "radius": ends}, "orders": slopes}


def fractions(ax: Any, parts: tuple[int, ...]) -> None:
    """Ticks at 1/n along a logarithmic axis."""
    ax.set(xticks=[1 / n for n in parts], xticklabels=[f"1/{n}" for n in parts])
    ax.minorticks_off()


def learned() -> tuple[nn.Module, Tensor]:
    """A network as models have them, with fresh weights, and some starts."""
    torch.manual_seed(0)
    return vector_field(16, 64).double(), normal(64, 16)


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def tolerance() -> dict[str, Any]:
    """Error over evaluations for three solvers, and where an adaptive solver puts its steps."""
    f, x = learned()
    exact = ODE(f, solver="dopri5", tolerance=1e-13)(x, [2.0])
    calls = count_calls(f)
    rows: dict[str, list[dict[str, float]]] = {"euler": [], "rk4": [], "dopri5": []}
    for name, settings in (
        *(("euler", {"step": 2.0 / n}) for n in (8, 32, 128, 512)),
        *(("rk4", {"step": 2.0 / n}) for n in (4, 8, 16, 32, 64, 128)),
        *(("dopri5", {"tolerance": 10.0**-k}) for k in (1, 2, 3, 4, 5, 6, 8)),
    ):
        calls.clear()
        error = rms(ODE(f, solver=name, **settings)(x, [2.0]) - exact)
        rows[name].append({**settings, "evaluations": len(calls), "error": error})
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, error over evaluations on logarithmic axes: Euler falls slowly, Runge-Kutta and the adaptive solver "
        "steeply. Right, a wave with slow stretches and sudden jumps; the marks of an adaptive solver's steps are wide "
        "apart on the slow stretches and crowd at the jumps.",
        width=7.6,
        height=3.4,
    )
    for (name, points), color in zip(rows.items(), (FAKE, REAL, COLORS[2]), strict=True):
        spent, errors = ([point[key] for point in points] for key in ("evaluations", "error"))
        axes[0].loglog(spent, errors, "o-", color=color, label=name, markersize=4)
    axes[0].set(xlabel="evaluations of f", title="error at time 2")
    axes[0].legend(fontsize=8)
    jumps = relaxation(axes[1])
    viz.save_figure(fig, OUT / "tolerance.png")
    return {"tolerance": {name: {str(k): point for k, point in enumerate(points)} for name, points in rows.items()}} | {
        "relaxation": jumps
    }


def relaxation(ax: Any) -> dict[str, Any]:
    """x'' = 5 (1 - x^2) x' - x, which waits and jumps, and the steps of dopri5 on it."""
    swing = ODE(
        Field(lambda both: 5 * (1 - both[:, :1] ** 2) * both[:, 1:] - both[:, :1]),
        2,
        form="textbook",
        solver="dopri5",
        tolerance=1e-4,
    )
    accepted: list[float] = []

    class Watched:
        def __call__(self, t: Tensor, states: Tensor) -> Tensor:
            return swing.derivative(states)

        def callback_accept_step(self, t: Tensor, states: Tensor, dt: Tensor) -> None:
            accepted.append(float(t))

    start = torch.tensor([[[2.0]], [[0.0]]], dtype=torch.float64)
    torchdiffeq.odeint(Watched(), start, torch.tensor([0.0, 20.0]).double(), rtol=1e-4, atol=1e-4, method="dopri5")
    times = torch.linspace(0, 20, 801)
    ax.plot(times, swing(start, times)[0, :, 0], color=INK, linewidth=1.2)
    ax.plot(accepted, swing(start, accepted)[0, :, 0], "o", color=COLORS[2], markersize=4)
    ax.set(xlabel="time", title="steps of dopri5", yticks=[-2, 0, 2])
    lengths = np.diff(accepted)
    return {"steps": len(accepted), "longest": lengths.max(), "shortest": lengths[1:].min()}


# Orders


def fixed_weights(width: int, weight: list[list[float]], bias: list[float]) -> nn.Sequential:
    """The shallow field of the published models with weights of our choice."""
    f = vector_field(width, inputs=len(weight[0]) // width)
    f[0].weight.data, f[0].bias.data = torch.tensor(weight), torch.tensor(bias)
    return f.requires_grad_(False)


def phase() -> dict[str, Any]:
    """Phase portraits: order 1 in the plane, and order 2 in both forms over place and speed."""
    panels = {
        "order 1: $x' = f(x)$": (
            ODE(fixed_weights(2, [[-0.4, -2.0], [2.0, -0.4]], [0.3, 0.0]), step=1 / 50),
            "$x_1$",
            "$x_2$",
        ),
        "order 2, published: $x'' = f(x')$": (
            ODE(fixed_weights(1, [[-1.5]], [0.6]), 2, step=1 / 50),
            "place $x$",
            "speed $x'$",
        ),
        "order 2, textbook: $x'' = f(x, x')$": (
            ODE(fixed_weights(1, [[-2.0, -0.15]], [0.0]), 2, form="textbook", step=1 / 50),
            "place $x$",
            "speed $x'$",
        ),
    }
    fig, axes = viz.figure(
        1,
        3,
        alt="Three planes with arrows and paths. Order 1: paths wind into one point. Order 2 as published: all arrows "
        "of a row are alike, and the paths are copies of one another, shifted sideways, that end in the same speed. "
        "Order 2 as in textbooks: paths run in rings around the origin.",
        width=8.4,
        height=3.1,
    )
    mesh = torch.cartesian_prod(torch.linspace(-2, 2, 13), torch.linspace(-2, 2, 13))
    times = torch.linspace(0, 5, 251)
    for ax, (title, (ode, across, up)) in zip(axes, panels.items(), strict=True):
        starts = [(-1.8, 0.5), (1.2, -1.6), (0.3, 1.5)] if ode.order == 1 else [(-1.5, 0.0), (-1.5, 1.6), (0.5, -1.6)]
        if ode.form == "textbook":
            starts = [(0.6, 0.0), (1.2, 0.0), (1.8, 0.0)]
        if ode.order == 1:
            arrows = ode.derivative(mesh[None])[0]
            paths = [ode(torch.tensor([start]), times)[0] for start in starts]
        else:
            arrows = ode.derivative(mesh.T[:, :, None])[:, :, 0].T
            paths = [ode.states(torch.tensor(start)[:, None, None], times)[:, 0, :, 0].T for start in starts]
        ax.quiver(*mesh.T, *arrows.T, color="#9a9a9a", angles="xy", width=0.005)
        for path, color in zip(paths, COLORS, strict=False):
            ax.plot(*path.T, color=color)
            ax.plot(*path[0], "o", color=color, markersize=5)
        ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), xlabel=across, ylabel=up, xticks=[], yticks=[], aspect="equal")
        ax.set_title(title, fontsize=9)
        ax.grid(False)
    viz.save_figure(fig, OUT / "phase.png")
    published = {"vector": vector_field(100), "map": map_field(1024)}
    return {"parameters": {name: sum(p.numel() for p in f.parameters()) for name, f in published.items()}}


# The models


def models() -> dict[str, Any]:
    """What an equation replaces in three generators, and what that costs in parameters."""
    fig, ax = viz.figure(
        alt="Three rows of boxes, for TGAN, MoCoGAN and TGANv2. In each row noise goes into a box, start; from there a "
        "curve with dots for the frames leads on, and a box, the image generator, makes a frame of each dot. Below "
        "each curve stands what it replaces: transposed convolutions, a GRU, a convolutional LSTM.",
        width=7.8,
        height=4.2,
    )
    rows = (
        ("TGAN-ODE", "noise $z_0$", "100 numbers", "transposed convolutions", "frame from $z_0$, $x(t_k)$"),
        ("MoCoGAN-ODE", "noise $h_0$", "motion code", "GRU", "frame from $z_C$, $x(t_k)$"),
        ("TGANv2-ODE", "noise $z$", "feature map", "convolutional LSTM", "levels, from $x(t_k)$"),
    )
    for row, (name, noise_name, state, replaced, picture) in enumerate(rows):
        y = 2 * (len(rows) - 1 - row)
        ax.text(0, y + 0.85, name, color=INK, fontsize=10, weight="bold", va="center")
        box(ax, (0.7, y), noise_name, INK)
        box(ax, (2.9, y), "start $s$", REAL)
        k = np.linspace(0, 1, 100)
        ax.plot(4.1 + 3.0 * k, y + 0.3 * np.sin(6 * k), color=REAL, linewidth=2)
        dots = np.linspace(0, 1, 6)
        ax.plot(4.1 + 3.0 * dots, y + 0.3 * np.sin(6 * dots), "o", color=REAL, markersize=5)
        ax.text(5.6, y - 0.62, f"{state}; was: {replaced}", color=INK, fontsize=8, ha="center", va="center")
        box(ax, (8.9, y), picture, INK, 1.35)
        for x0, x1 in ((1.4, 2.2), (3.6, 4.0), (7.2, 7.5)):
            ax.annotate("", (x1, y), (x0, y), arrowprops={"arrowstyle": "->", "color": INK})
    ax.set(xlim=(-0.1, 10.4), ylim=(-0.9, 5.2))
    ax.set_axis_off()
    viz.save_figure(fig, OUT / "models.png")
    counts = {}
    with torch.device("meta"):
        for name, part in (("tgan", "temporal"), ("mocogan", "motion"), ("tganv2", "recurrent")):
            found = counts.setdefault(name, {})
            for key, model in (("", create_model(name, "paper")), ("_ode", create_model(f"{name}-ode", "paper"))):
                found[f"whole{key}"] = parameters(model.generator)
                found[key.strip("_") or "before"] = parameters(getattr(model.generator, part))
    return {"models": counts}


def box(ax: Any, at: tuple[float, float], words: str, color: str, half: float = 0.7) -> None:
    """A rounded box with words in it."""
    shape = FancyBboxPatch(
        (at[0] - half, at[1] - 0.3), 2 * half, 0.6, boxstyle="round,pad=0.02", facecolor="none", edgecolor=color
    )
    ax.add_patch(shape)
    ax.text(*at, words, color=color, fontsize=9, ha="center", va="center")


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# The adjoint


def adjoint() -> dict[str, Any]:
    """Memory, time and error of the adjoint's gradient over the number of steps; and walking back."""
    measured = read_json(RESULTS / "continuous-adjoint.json")
    depth = measured["depth"]
    count = [int(key) for key in depth]
    fig, axes = viz.figure(
        1,
        3,
        alt="Over the number of steps: memory of back-propagation grows in proportion, that of the adjoint is level; "
        "CPU time of both grows in proportion, the adjoint's above the other; the error of the adjoint's gradient "
        "falls, least with Euler steps, more with Runge-Kutta, and most where f is smooth.",
        width=8.6,
        height=3.0,
    )
    for ax, key, title in ((axes[0], "mb", "memory, MB"), (axes[1], "ms", "CPU time, ms")):
        for way, color, label in (("backprop", FAKE, "back-propagation"), ("adjoint", REAL, "adjoint")):
            ax.loglog(count, [row[way][key] for row in depth.values()], "o-", color=color, label=label, markersize=4)
        ax.set(title=title)
    axes[0].legend(fontsize=8)
    for key, color, label in (
        ("euler_error", FAKE, "Euler"),
        ("error", REAL, "Runge-Kutta"),
        ("smooth_error", COLORS[2], "Runge-Kutta, smooth f"),
    ):
        axes[2].loglog(count, [row[key] for row in depth.values()], "s-", color=color, label=label, markersize=4)
    axes[2].set(title="error of the adjoint", ylim=(1e-10, 1))
    axes[2].legend(fontsize=8, loc="lower left")
    for ax in axes:
        ax.set(xlabel="steps", xticks=count[::2], xticklabels=count[::2])
        ax.minorticks_off()
    viz.save_figure(fig, OUT / "adjoint.png")
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, paths that start far apart and run together. Right, the error after walking to time 1 and back over "
        "the rate of running together, on a logarithmic axis: it climbs from rounding errors to errors far larger than "
        "the start itself.",
        width=7.4,
        height=3.0,
    )
    times = torch.linspace(0, 1, 101)
    together = ODE(Field(lambda x: -8 * (x - torch.tanh(x / 2 + 0.3))), step=1 / 400)
    axes[0].plot(times, together(torch.linspace(-2, 2, 12)[:, None], times)[:, :, 0].T, color=REAL, linewidth=1)
    axes[0].set(title="a flow that forgets its start", xlabel="time", ylabel="x")
    back = measured["back"]
    axes[1].semilogy([row["rate"] for row in back], [row["error"] for row in back], "o-", color=FAKE, markersize=4)
    axes[1].set(title="error after walking there and back", xlabel="rate c")
    viz.save_figure(fig, OUT / "back.png")
    return {}


# Noise


def noise() -> dict[str, Any]:
    """One Brownian path, looked at more and more closely; and a start with two futures."""
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, one ragged path drawn with 8, 64 and 512 steps: each finer one passes through the points of the "
        "coarser. Right, many paths from one start in the middle: they part, and gather about 1 and about -1.",
        width=7.6,
        height=3.2,
    )
    given, drawn = normal(1, 8, 1, seed=3), {}
    for level in range(7):
        drawn[given.shape[1]] = brownian(given, 1 / given.shape[1])[0, :, 0]
        given = halve_steps(given, normal(*given.shape, seed=20 + level))
    for count, color, width in ((512, COLORS[6], 0.8), (64, REAL, 1.2), (8, FAKE, 1.8)):
        points = "o-" if count == 8 else "-"
        times = torch.linspace(0, 1, count + 1)
        axes[0].plot(times, drawn[count], points, color=color, linewidth=width, markersize=4, label=f"{count} steps")
    axes[0].set(title="one Brownian path", xlabel="time")
    axes[0].legend(fontsize=8)
    sde = SDE(Field(lambda x: 4 * (x - x**3)), Field(lambda x: 0.5 + 0 * x), step=1 / 200)
    paths, times = 2000, [k / 50 for k in range(101)]
    fan = sde(torch.zeros(paths, 1).double(), times, normal(paths, sde.steps(times), 1))[:, :, 0]
    axes[1].plot(times, fan[:40].T, color=REAL, linewidth=0.7, alpha=0.6)
    axes[1].set(title="one start, many futures", xlabel="time", yticks=[-1, 0, 1])
    viz.save_figure(fig, OUT / "noise.png")
    ends = fan[:, -1]
    return {
        "fan": {"paths": paths, "up": (ends > 0.5).double().mean().item(), "down": (ends < -0.5).double().mean().item()}
    }


def calculus() -> dict[str, Any]:
    """Growth, x' = r x with noise s x: the same noise in both readings, the means, and the error over the step."""
    r, s = 0.5, 1.0
    pair = {"ito": FAKE, "stratonovich": REAL}
    drift, diffusion = Field(lambda x: r * x), Field(lambda x: s * x)
    fig, axes = viz.figure(
        1,
        3,
        alt="Growth with noise, read in two ways. Left, the same noise gives two paths; Ito's lies lower. Middle, the "
        "mean over many paths follows another exponential in each reading. Right, error over the step: both fall, "
        "Stratonovich's twice as steeply; Euler-Maruyama steps against Stratonovich's path stay where they are.",
        width=8.8,
        height=3.1,
    )
    one, times = normal(1, 256, 1, seed=5), [k / 256 for k in range(257)]
    path = brownian(one, 1 / 256)[0, :, 0]
    clock = torch.tensor(times, dtype=torch.float64)
    for name, color in pair.items():
        walked = SDE(drift, diffusion, step=1 / 256, calculus=name)(torch.ones(1, 1).double(), times, one)[0, :, 0]
        exact = torch.exp((r - (s**2 / 2 if name == "ito" else 0)) * clock + s * path)
        axes[0].plot(times, walked, color=color, linewidth=1.2, label=name)
        axes[0].plot(times, exact, color=INK, linewidth=0.8, linestyle=":")
    axes[0].set(title="one noise", xlabel="time")
    axes[0].legend(fontsize=8)
    paths, few = 50_000, [k / 8 for k in range(9)]
    numbers: dict[str, Any] = {"paths": paths}
    for name, color in pair.items():
        sde = SDE(drift, diffusion, step=1 / 64, calculus=name)
        means = sde(torch.ones(paths, 1).double(), few, normal(paths, 64, 1)).mean(0)[:, 0]
        rate = r + (0 if name == "ito" else s**2 / 2)
        axes[1].plot(few, means, "o", color=color, markersize=5, label=name)
        axes[1].plot(clock, torch.exp(rate * clock), color=INK, linewidth=0.8, linestyle=":")
        numbers[name] = {"mean": means[-1].item(), "exact": exp(rate)}
    axes[1].set(title="mean over paths", xlabel="time")
    errors = strong_errors(drift, diffusion, r, s)
    lengths = [1 / n for n in errors["steps"]]
    for name, color, label in (
        ("ito", FAKE, "Ito"),
        ("stratonovich", REAL, "Stratonovich"),
        ("mixed", COLORS[2], "Ito steps, Stratonovich path"),
    ):
        axes[2].loglog(lengths, errors[name], "o-", color=color, markersize=4, label=label)
        numbers[f"{name}_order"] = np.polyfit(np.log(lengths), np.log(errors[name]), 1)[0]
    axes[2].set(title="error at time 1", xlabel="length of a step h")
    fractions(axes[2], (8, 32, 128))
    axes[2].legend(fontsize=7)
    viz.save_figure(fig, OUT / "calculus.png")
    return {"growth": numbers}


def strong_errors(drift: nn.Module, diffusion: nn.Module, r: float, s: float) -> dict[str, list[float]]:
    """Mean distance from the exact end of the same path, over the step; "mixed": Ito's steps, the other's path."""
    given, start = normal(2000, 8, 1, seed=7), torch.ones(2000, 1).double()
    found: dict[str, list[float]] = {"steps": [], "ito": [], "stratonovich": [], "mixed": []}
    for level in range(6):
        count = given.shape[1]
        end = brownian(given, 1 / count)[:, -1]
        exact = {"ito": torch.exp(r - s**2 / 2 + s * end), "stratonovich": torch.exp(r + s * end)}
        walked = {
            name: SDE(drift, diffusion, step=1 / count, calculus=name)(start, [1.0], given)[:, 0] for name in exact
        }
        found["steps"].append(count)
        for name in exact:
            found[name].append((walked[name] - exact[name]).abs().mean().item())
        found["mixed"].append((walked["ito"] - exact["stratonovich"]).abs().mean().item())
        given = halve_steps(given, normal(*given.shape, seed=30 + level))
    return found


PARTS = {
    "between": between,
    "steps": steps,
    "tolerance": tolerance,
    "phase": phase,
    "models": models,
    "adjoint": adjoint,
    "noise": noise,
    "calculus": calculus,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    target = RESULTS / "continuous-figures.json"
    numbers = read_json(target) if target.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
        write_json(target, {**numbers, "command": f"python book/video/{command_line()}", **environment()})
