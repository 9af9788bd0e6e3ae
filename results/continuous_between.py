"""Frames between frames: held-out clips are met at every frame, and compared with the truth at eighths of a frame.

    python results/continuous_between.py    writes results/continuous-between.json and book/_static/continuous/frames*

Clips of moving digits are simulated at eighths of a frame: at an eighth of the speed, so that every eighth moment is
a frame of the ordinary clip. Only these frames are given, or every second of them, or every fourth. A model is fitted
to them by gradient descent: first its content and its start, then its generator as well, for all clips together. Then
it is asked for all moments. Beside it: given frames that fade into each other, MoCoGAN with its recurrent codes joined
by straight lines, and the codes of the equation joined so. --fast tries it with a few steps, into runs/.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from continuous_times import draw_starts
from torch import Tensor, nn

from vidgen_lab import load_pretrained, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.data.moving import SPEEDS
from vidgen_lab.nn.labels import append
from vidgen_lab.training.state import write_json
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "book" / "_static" / "continuous"
RATE, FRAMES, SIZE = 8, 16, 32
MOMENTS = [k / RATE for k in range(RATE * (FRAMES - 1) + 1)]  # 121 of them, in frames
GAPS = {1: "every frame", 2: "every 2nd frame", 4: "every 4th frame"}  # which frames are given
CLIPS, TRIES = 32, 32
SEARCH, TUNE = 300, 150  # steps: content and start; the generator around them
CODE_RATE, WEIGHT_RATE = 0.05, 5e-4  # of Adam


class Finer(MovingDigits):
    """RATE moments a frame: every RATE-th of item i is a frame of item i of MovingDigits."""

    def _path(self, start: np.ndarray, velocity: np.ndarray, coin: np.ndarray, room: int) -> np.ndarray:
        return super()._path(start, velocity / RATE, coin, room)


@dataclass
class Found:
    """What a clip is made of: its content and label as numbers, `(B, Z + K)`, and the start of its path, `(B, M)`."""

    content: Tensor
    start: Tensor


def path(model: Model, start: Tensor, times: Sequence[float], straight: bool = False) -> Tensor:
    """Motion codes `(B, T, M)` at times in frames; `straight`: lines between those of whole frames."""
    motion = model.generator.motion
    if not straight:
        return motion(start, times)
    if isinstance(motion, nn.GRU):
        codes = motion(start.new_zeros(len(start), FRAMES, motion.input_size), start[None])[0]
    else:
        codes = motion(start, range(FRAMES))
    low = [min(int(t), FRAMES - 2) for t in times]
    share = codes.new_tensor([t - k for t, k in zip(times, low, strict=True)])[:, None]
    return torch.lerp(codes[:, low], codes[:, [k + 1 for k in low]], share)


def render(model: Model, found: Found, times: Sequence[float], straight: bool = False) -> Tensor:
    """Clips `(B, C, T, S, S)` at these times."""
    codes = path(model, found.start, times, straight)
    still = found.content[:, None].expand(-1, codes.shape[1], -1)
    return model.generator(torch.cat([still, codes], dim=2))


def error(clips: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference of each clip, `(B,)`."""
    return (clips - wanted).square().flatten(1).mean(1)


@torch.no_grad()
def guess(model: Model, wanted: Tensor, given: list[float], labels: dict[str, Tensor], straight: bool) -> Found:
    """The best of TRIES draws for each clip, all asked for its true labels."""
    rng, config, generator = torch.Generator().manual_seed(0), model.config, model.generator
    best, least = None, torch.full((len(wanted),), torch.inf)
    for _ in range(TRIES):
        content = torch.randn(len(wanted), config.content_dim, generator=rng)
        start = draw_starts(model, len(wanted), labels, rng)
        drawn = Found(append(content, labels, generator.content_labels), start)
        missed = error(render(model, drawn, given, straight), wanted)
        better = missed < least
        if best is None:
            best = drawn
        best.content[better], best.start[better] = drawn.content[better], drawn.start[better]
        least = torch.minimum(least, missed)
    return best


def descend(model: Model, wanted: Tensor, given: list[float], found: Found, straight: bool, steps: int) -> None:
    """Moves content and start in place so that the given frames are met; and what else of the model has a gradient."""
    weights = [p for p in model.generator.parameters() if p.requires_grad]
    codes = [found.content.requires_grad_(), found.start.requires_grad_()]
    optimizer = torch.optim.Adam([{"params": codes, "lr": CODE_RATE}, {"params": weights, "lr": WEIGHT_RATE}])
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / steps)))
    for _ in range(steps):
        optimizer.zero_grad()
        error(render(model, found, given, straight), wanted).sum().backward()
        optimizer.step()
        falling.step()


def scores(clips: Tensor, truth: Tensor, gap: int, speed: Tensor) -> dict[str, float]:
    """PSNR at the given frames and at the moments between them, of all clips and by speed."""
    at = torch.arange(truth.shape[2]) % (gap * RATE) == 0
    rows = {"all": torch.ones_like(speed, dtype=torch.bool)} | {name: speed == k for k, name in enumerate(SPEEDS)}
    found = {}
    for name, some in rows.items():
        found[name] = {"between": metrics.psnr(clips[some][:, :, ~at], truth[some][:, :, ~at]).value}
        given = clips[some][:, :, at], truth[some][:, :, at]
        found[name]["given"] = None if torch.equal(*given) else metrics.psnr(*given).value
    return found


def faded(truth: Tensor, gap: int) -> Tensor:
    """Given frames that fade into each other, pixel by pixel."""
    step = gap * RATE
    share = torch.arange(step)[:, None, None] / step
    pairs = zip(truth[:, :, ::step].unbind(2), truth[:, :, step::step].unbind(2), strict=False)
    pieces = [torch.lerp(a[:, :, None], b[:, :, None], share) for a, b in pairs]
    return torch.cat([*pieces, truth[:, :, -1:]], dim=2)


def phases(clips: Tensor, truth: Tensor, gap: int) -> list[float]:
    """Mean squared difference by how far a moment is from the given frame before it."""
    missed = (clips - truth).square().mean((0, 1, 3, 4))  # (T,)
    return [missed[k :: gap * RATE].mean().item() for k in range(gap * RATE)]


def measure(name: str, truth: Tensor, labels: dict[str, Tensor], gap: int, fast: bool) -> dict[str, Any]:
    """Fits one model; its clips at all moments, before and after its generator is tuned."""
    model = load_pretrained(name).eval()
    straight, given = name == "mocogan", MOMENTS[: truth.shape[2] : gap * RATE]
    wanted, moments = truth[:, :, :: gap * RATE], MOMENTS[: truth.shape[2]]
    model.generator.requires_grad_(False)
    found, clips = guess(model, wanted, given, labels, straight), {}
    for stage, steps in (("found", 4 if fast else SEARCH), ("tuned", 4 if fast else TUNE)):
        model.generator.requires_grad_(stage == "tuned")
        descend(model, wanted, given, found, straight, steps)
        with torch.no_grad():
            clips[f"{name} {stage}"] = render(model, found, moments, straight)
            if not straight:
                clips[f"{name} {stage}, straight"] = render(model, found, moments, True)
    return clips


def draw(rows: dict[int, dict[str, list[float]]]) -> None:
    """The error over the place between two given frames."""
    fig, axes = viz.figure(
        1,
        len(rows),
        alt="Mean squared difference from the truth over the place between two given frames, on a logarithmic axis, "
        "with every frame given, every second and every fourth. Fading is exact at given frames and far off between "
        "them; for the fitted models the hill is lower.",
        width=8.8,
        height=3.0,
        sharey=True,
    )
    for ax, (gap, curves) in zip(axes, rows.items(), strict=True):
        for name, values in curves.items():
            ax.semilogy([k / RATE for k in range(len(values))], [max(v, 1e-5) for v in values], ".-", label=name)
        ax.set(title=f"given: {GAPS[gap]}", xlabel="frames since the given one")
    axes[0].legend(fontsize=7)
    viz.save_figure(fig, OUT / "frames-error.png")


def main() -> None:
    """Simulates, fits, measures, draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="a few steps, into runs/: a try")
    fast = parser.parse_args().fast
    torch.set_num_threads(1)
    begun = time.process_time()
    batch = Finer("test", size=SIZE, frames=len(MOMENTS)).__getitems__(list(range(CLIPS)))
    labels = {name: batch[name] for name in ("digit", "direction", "speed")}
    gaps, curves, shown = {}, {}, {}
    for gap in GAPS:
        truth = batch["video"][:, :, : (FRAMES - 1) // gap * gap * RATE + 1]
        clips = {"faded": faded(truth, gap)}
        for name in ("mocogan-ode", "mocogan"):
            clips |= measure(name, truth, labels, gap, fast)
        gaps[str(gap)] = {name: scores(some, truth, gap, labels["speed"]) for name, some in clips.items()}
        print(gap, {name: row["all"] for name, row in gaps[str(gap)].items()}, flush=True)
        kept = ("faded", "mocogan-ode tuned", "mocogan tuned")
        curves[gap] = {name.removesuffix(" tuned"): phases(clips[name], truth, gap) for name in kept}
        shown[gap] = {"truth": truth} | clips
    protocol = {
        "clips": CLIPS,
        "moments": len(MOMENTS),
        "rate": RATE,
        "fast": int(labels["speed"].sum()),
        "tries": TRIES,
        "search": SEARCH,
        "tune": TUNE,
        "data": "moving-digits 32x32, held-out digits",
    }
    spent = {"cpu_seconds": round(time.process_time() - begun, 1)}
    command = {"command": "python results/continuous_between.py"}
    out = ROOT / ("runs" if fast else "results") / "continuous-between.json"
    write_json(out, {**command, **environment(), **spent, "protocol": protocol, "gaps": gaps})
    draw(curves)
    film(shown, labels["speed"])


def film(shown: dict[int, dict[str, Tensor]], speed: Tensor) -> None:
    """Three clips of each speed, every fourth frame of them given: the truth, the model, and fading, a row each."""
    columns = torch.cat([(speed == k).nonzero()[:3, 0] for k in (1, 0)])
    rows = torch.cat([shown[4][name][columns] for name in ("truth", "mocogan-ode tuned", "faded")])
    frames = frames_of(rows, columns=len(columns)).repeat(3, 1).repeat(3, 2)
    write_bytes(OUT / "frames.mp4", mp4_bytes(frames, fps=24))
    viz.save(rows[::3, :, 32:65:4], OUT / "frames.png")


if __name__ == "__main__":
    main()
