"""What a clip in continuous time can be asked for, with the weights that ship, and where it breaks.

    python results/continuous_times.py           all
    python results/continuous_times.py before    only those named: before, pace, solver, runaway

Writes results/continuous-times.json, and pictures to book/_static/continuous/. --fast tries it with few clips.
before: frames before the first one, and the way back to it.
pace: the same path at half and at double pace.
solver: clips on the grid of their training and on finer ones, with an equation without noise and with one with noise.
runaway: the states of two equations over fifteen times the length of training.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from temporal_long import read
from torch import Tensor
from torch.nn.functional import pad

from vidgen_lab import create_model, fit, load_pretrained, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.nn.dynamics import halve_steps
from vidgen_lab.nn.labels import append
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "book" / "_static" / "continuous"
SETTINGS: dict[str, Any] = {"size": 32, "frames": 16}
WINDOWS = (-16, -8, 0, 8, 16)  # first frames of windows of 16
CLIPS, FEW = 500, 100  # for FVD-digits; for all else
HALVINGS = 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance(clips: int) -> Callable[[Tensor], float]:
    """FVD-digits of clips, as a function; all are measured against the same real clips."""
    reader = load_pretrained("digits-3d")

    def features(of: Tensor) -> Tensor:
        return torch.cat([reader.features(part) for part in of.split(100)])

    real = features(metrics.ladder.reference(clips, 0, **SETTINGS))
    return lambda of: metrics.frechet_distance(real, features(of), {"network": "digits-3d"}, "FVD-digits").value


def centres(clips: Tensor) -> Tensor:
    """Centre of the ink of each frame, in pixels: `(B, C, T, H, W) -> (B, T, 2)` as (x, y)."""
    ink = ((clips + 1) / 2).sum(1)  # (B, T, H, W)
    mass, place = ink.sum((2, 3)).clamp_min(1e-6), torch.arange(clips.shape[-1], dtype=clips.dtype)
    return torch.stack([(ink.sum(2) * place).sum(2) / mass, (ink.sum(3) * place).sum(2) / mass], dim=2)


def travelled(clips: Tensor) -> float:
    """Mean way of the centre from a frame to the next, in pixels."""
    return centres(clips).diff(dim=1).norm(dim=2).mean().item()


def drawn(model: Model, n: int, times: list[float]) -> Tensor:
    """n clips, a hundred at a time."""
    generator = rng()
    return torch.cat([model.sample(len(rows), times=times, generator=generator) for rows in torch.arange(n).split(100)])


def before(model: Model, clips: int) -> dict[str, Any]:
    """Windows of frames before, in and after those of training; and the state that was walked back and returned."""
    times = list(range(WINDOWS[0], WINDOWS[-1] + 16))
    film, measure = drawn(model, clips, [float(t) for t in times]), distance(clips)
    digits = read(film, load_pretrained("digits-2d"))
    same = (digits == digits[:, [-WINDOWS[0]]]).float().mean(0)
    rows = {}
    for first in WINDOWS:
        part = slice(first - WINDOWS[0], first - WINDOWS[0] + 16)
        ink = ((film[:, :, part] + 1) / 2).sum((1, 3, 4)).mean().item()
        window = {"fvd": measure(film[:, :, part]), "same_digit": same[part].mean().item(), "ink": ink}
        rows[str(first)] = {**window, "travelled": travelled(film[:, :, part])}
    shown = film[2:8].repeat_interleave(3, 3).repeat_interleave(3, 4)
    write_bytes(OUT / "before.mp4", mp4_bytes(frames_of(shown, columns=6), fps=8))
    viz.save(film[2:6, :, 4:29:2], OUT / "before.png")
    return {"before": {"windows": rows, "back": back(model)}}


def draw_starts(model: Model, n: int, labels: dict[str, Tensor] | None, generator: torch.Generator) -> Tensor:
    """What an equation, or a recurrent network, is given to begin with: noise, moved by labels of motion; `(n, M)`."""
    width = model.config.motion_dim
    dim = getattr(model.config, "start_dim", None) or width
    start = pad(torch.randn(n, dim, generator=generator), (0, width - dim))
    if model.generator.motion_labels:
        start = start + model.generator.shift(append(start[:, :0], labels, model.generator.motion_labels))
    return start


@torch.no_grad()
def back(model: Model) -> dict[str, float]:
    """How far a state is from where it set out after so many frames back and as many forward, as a share."""
    motion = model.generator.motion
    source = draw_starts(model, FEW, model.example_condition(FEW, rng()), rng())
    start = motion.start(source)
    if motion.encoders:
        start = torch.stack([encoder(start) for encoder in motion.encoders])
    errors = {}
    for frames in (4, 8, 16, 32):
        there = motion.equation.states(start, motion.moments([-frames]))[:, :, 0]
        home = motion.equation(there if motion.encoders else there[0], motion.moments([frames]))[:, 0]
        begin = start[0] if motion.encoders else start
        errors[str(frames)] = ((home - begin).norm() / begin.norm()).item()
    return errors


def pace(model: Model, clips: int) -> dict[str, Any]:
    """How far a digit travels from a frame to the next at three paces, in generated and in real clips."""

    class Paced(MovingDigits):
        """The same clips, faster or slower."""

        rate = 1.0

        def _path(self, start: np.ndarray, velocity: np.ndarray, coin: np.ndarray, room: int) -> np.ndarray:
            return super()._path(start, velocity * self.rate, coin, room)

    rows, real, shown = {}, Paced("test", **SETTINGS), {}
    for name, rate in (("half", 0.5), ("usual", 1.0), ("double", 2.0)):
        real.rate = rate
        held_out = real.__getitems__(list(range(clips)))["video"]
        shown[rate] = drawn(model, clips, [rate * k for k in range(16)])
        rows[name] = {"model": travelled(shown[rate]), "real": travelled(held_out)}
    for row in list(rows.values()):
        for name in ("model", "real"):
            row[f"{name}_ratio"] = row[name] / rows["usual"][name]
    shared = apart(shown[0.5][:, :, ::2], shown[1.0][:, :, :8])
    film = torch.cat([clips[:3] for clips in shown.values()]).repeat_interleave(3, 3).repeat_interleave(3, 4)
    write_bytes(OUT / "pace.mp4", mp4_bytes(frames_of(film, columns=3), fps=8))
    viz.save(torch.cat([clips[:1] for clips in shown.values()]), OUT / "pace.png")
    return {"pace": {"rates": rows, "shared_frames_apart": shared}}


@torch.no_grad()
def solver(model: Model, noisy: Model, clips: int) -> dict[str, Any]:
    """Clips on other grids beside those on the grid of training: how far apart, and FVD-digits."""
    measure, found = distance(clips), {}
    equation, step = model.generator.motion.equation, model.generator.motion.equation.step
    usual = model.sample(clips, generator=rng())
    for name, method, finer in (("as trained", "rk4", 1), ("finer", "rk4", 8), ("euler", "euler", 1)):
        equation.solver, equation.step = method, step / finer
        film = model.sample(clips, generator=rng())
        found[name] = {"apart": apart(film, usual), "fvd": measure(film)}
    equation.solver, equation.step = "rk4", step
    return {"solver": {"without": found, "with": same_noise(noisy, FEW)}}


def apart(clips: Tensor, usual: Tensor) -> float:
    """Root mean square of the difference, where black to white is 1."""
    return ((clips - usual) / 2).square().mean().sqrt().item()


def same_noise(model: Model, clips: int) -> dict[str, Any]:
    """The same Brownian paths on finer grids: how far clips are from those on the grid of training."""
    generator, config, rows = model.generator, model.config, {}
    motion, times = generator.motion, range(model.config.frames)
    content = torch.randn(clips, config.content_dim, generator=rng(0))
    labels = model.example_condition(clips, rng(2))
    start = draw_starts(model, clips, labels, rng(1))
    noise = config.noise * torch.randn(clips, motion.noise_steps(times), config.motion_dim, generator=rng(3))
    step, usual = motion.equation.step, None
    for level in range(HALVINGS + 1):
        motion.equation.step = step / 2**level
        film = generator(generator.codes(content, motion(start, times, noise), labels=labels))
        usual = film if usual is None else usual
        rows[str(2**level)] = {"apart": apart(film, usual)}
        noise = halve_steps(noise, config.noise * torch.randn(noise.shape, generator=rng(10 + level)))
    motion.equation.step = step
    return rows


def runaway(model: Model, steps: int | None) -> dict[str, Any]:
    """Root mean square of the state over time: an equation over vectors, and one over maps, trained for a minute."""
    maps = create_model("tganv2-ode", "ci")
    begun = time.process_time()
    fit(maps, steps=steps, device="cpu", progress=False)
    spent = time.process_time() - begun
    times = list(range(0, 241, 8))
    with maps.inference(), model.inference():
        latent = 2 * torch.rand(FEW, maps.config.latent_dim, generator=rng()) - 1
        first = maps.generator.start(latent).unflatten(1, (-1, maps.config.base, maps.config.base))
        recurrent = maps.generator.recurrent
        states = recurrent.equation(first, recurrent.moments(times))  # (B, T, R, s, s)
        source = draw_starts(model, FEW, model.example_condition(FEW, rng()), rng())
        codes = model.generator.motion(source, times)
    curves = {
        "mocogan-ode": codes.square().mean((0, 2)).sqrt().tolist(),
        "tganv2-ode": states.square().mean((0, 2, 3, 4)).sqrt().tolist(),
    }
    fig, ax = viz.figure(
        alt="Root mean square of the state over 240 frames, on a logarithmic axis, for an equation over vectors and "
        "one over maps; a dashed line marks frame 16, where training ends.",
        width=5.6,
        height=3.0,
    )
    for name, values in curves.items():
        ax.semilogy(times, values, label=name)
    ax.axvline(16, color=viz.figures.INK, linewidth=0.8, linestyle="--")
    ax.set(title="size of the state", xlabel="frame")
    ax.legend(fontsize=8)
    viz.save_figure(fig, OUT / "runaway.png")
    ends = {name: {"at_16": row[2], "at_240": row[-1], "times": row[-1] / row[2]} for name, row in curves.items()}
    return {"runaway": {**ends, "cpu_seconds": round(spent, 1)}}


def main() -> None:
    """Runs the parts that are named, and writes each into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("before", "pace", "solver", "runaway")
    parser.add_argument("parts", nargs="*", default=names, help=f"some of: {', '.join(names)}")
    parser.add_argument("--fast", action="store_true", help="few clips, into runs/: a try")
    given = parser.parse_args()
    torch.set_num_threads(1)
    clips = 260 if given.fast else CLIPS
    model = load_pretrained("mocogan-ode")
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "before": lambda: before(model, clips),
        "pace": lambda: pace(model, clips),
        "solver": lambda: solver(model, load_pretrained("mocogan-sde"), clips),
        "runaway": lambda: runaway(model, 2 if given.fast else None),
    }
    out = ROOT / ("runs" if given.fast else "results") / "continuous-times.json"
    numbers = read_json(out) if out.exists() else {}
    for part in given.parts:
        begun = time.process_time()
        numbers |= parts[part]()
        numbers[part]["cpu_seconds"] = round(time.process_time() - begun, 1)
        print(part, numbers[part], flush=True)
        protocol = {"protocol": {"clips": clips, "few": FEW, "seed": 0}}
        write_json(out, {**numbers, **protocol, "command": f"python results/{command_line()}", **environment()})


if __name__ == "__main__":
    main()
