"""Clips four times as long as those of training: what holds, and what drifts.

    python results/temporal_long.py    writes results/temporal-long.json and book/_static/temporal/long*

Two models that can draw any length draw 64 frames. Real clips of 64 frames stand beside them. Each window of 16 frames
is measured by itself. The digit is read frame by frame: a frame is cut to 28x28 pixels around the centre of its ink, as
digits of MNIST are centred.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vidgen_lab import load_pretrained, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.training.state import write_json
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "book" / "_static" / "temporal"
MODELS = ("mocogan", "tganv2")
WINDOW, WINDOWS, CLIPS = 16, 4, 600
FRAMES = WINDOW * WINDOWS


def drawn(model: Model) -> Tensor:
    """Long clips, a hundred at a time."""
    generator = torch.Generator().manual_seed(0)
    condition = model.example_condition(CLIPS, generator) or {}
    parts = []
    for rows in torch.arange(CLIPS).split(100):
        asked = {name: values[rows] for name, values in condition.items()} or None
        parts.append(model.sample(len(rows), frames=FRAMES, condition=asked, generator=generator))
    return torch.cat(parts)


def centred(frames: Tensor, side: int) -> Tensor:
    """Cuts frames `(N, 1, S, S)` to `(N, 1, side, side)` around the centre of their ink; what lies outside is black."""
    ink = (frames[:, 0] + 1) / 2  # (N, S, S)
    place = torch.arange(frames.shape[-1], dtype=ink.dtype)
    mass = ink.sum((1, 2)).clamp_min(1e-6)
    top, left = ((ink.sum(axis) * place).sum(1).div(mass).round().long() for axis in (2, 1))
    wide = pad(frames[:, 0], (side // 2,) * 4, value=-1.0)
    box = torch.arange(side)
    rows, columns = top[:, None, None] + box[:, None], left[:, None, None] + box
    return wide[torch.arange(len(frames))[:, None, None], rows, columns].unsqueeze(1)


def read(clips: Tensor, reader: Model) -> Tensor:
    """The digit of each frame: `(N, 1, T, S, S) -> (N, T)`."""
    parts = []
    for some in clips.split(100):
        frames = centred(some.transpose(1, 2).flatten(0, 1), reader.config.size)
        parts.append(reader.logits(frames).argmax(1).view(len(some), -1))
    return torch.cat(parts)


def windows(clips: Tensor) -> list[Tensor]:
    """Clips of 64 frames as four sets of 16."""
    return list(clips.split(WINDOW, dim=2))


def measure(clips: Tensor, real: list[Tensor], features: Any, reader: Model) -> dict[str, Any]:
    """One number a window, and curves over all frames."""
    digits = read(clips, reader)
    same = (digits == digits[:, :1]).float().mean(0)  # (T,)
    ink = ((clips + 1) / 2).sum((1, 3, 4))  # (N, T)
    motion = (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean((0, 1, 3, 4))  # (T - 1,)
    first = (digits != digits[:, :1]).float()
    unbroken = (first.cumsum(1) == 0).float().sum(1)  # frames until the reading first changes
    protocol = {"network": "digits-3d", "frames": WINDOW}
    pairs = zip(real, windows(clips), strict=True)
    return {
        "fvd": [metrics.frechet_distance(a, features(b), protocol, "FVD-digits").value for a, b in pairs],
        "same_digit": [part.mean().item() for part in same.split(WINDOW)],
        "frames_until_another_digit": unbroken.median().item(),
        "never_another_digit": (unbroken == FRAMES).float().mean().item(),
        "ink": [part.mean().item() for part in ink.mean(0).split(WINDOW)],
        "motion": [part.mean().item() for part in motion.split(WINDOW)],
        "curves": {"same_digit": same.tolist(), "ink": ink.mean(0).tolist(), "motion": motion.tolist()},
    }


def draw(rows: dict[str, dict[str, Any]]) -> None:
    """The four measurements over time."""
    fig, axes = viz.figure(
        2,
        2,
        alt=ALT,
        width=7.6,
        height=5.2,
    )
    panels = (
        ("FVD-digits of a window", "fvd"),
        ("still read as the first digit", "same_digit"),
        ("ink, pixels", "ink"),
        ("motion per frame", "motion"),
    )
    for ax, (title, key) in zip(axes.flat, panels, strict=True):
        for name, row in rows.items():
            values = row["curves"].get(key, row[key])
            if key == "fvd":
                ax.plot(np.arange(WINDOWS) * WINDOW + WINDOW / 2, values, "o-", label=name)
            else:
                ax.plot(values)
        ax.axvline(WINDOW, color=viz.figures.INK, linewidth=0.8, linestyle="--")
        ax.set(title=title, xlim=(0, FRAMES))
        ax.set_ylim(bottom=0)
    for ax in axes[1]:
        ax.set_xlabel("frame")
    fig.legend(loc="outside upper center", ncols=3, frameon=False, labelcolor=viz.figures.INK)
    viz.save_figure(fig, OUT / "long.png")


ALT = (
    "Four graphs over 64 frames, for real clips, MoCoGAN and TGANv2, with a dashed line at frame 16, where training "
    "clips end: FVD-digits of each window of 16 frames, the share of clips still read as their first digit, the mean "
    "ink of a frame, and the mean motion per frame."
)


def main() -> None:
    """Draws, measures, writes."""
    torch.set_num_threads(1)
    start = time.process_time()
    judge, reader = load_pretrained("digits-3d"), load_pretrained("digits-2d")

    def features(clips: Tensor) -> Tensor:
        return torch.cat([judge.features(part) for part in clips.split(100)])

    settings = {"size": 32, "frames": FRAMES}
    reference = [features(part) for part in windows(metrics.ladder.reference(CLIPS, 0, **settings))]
    sets = {"real clips": metrics.ladder.reference(CLIPS, 1, **settings)}
    sets |= {name: drawn(load_pretrained(name)) for name in MODELS}
    rows = {}
    for name, clips in sets.items():
        rows[name] = measure(clips, reference, features, reader)
        print(name, {key: value for key, value in rows[name].items() if key != "curves"}, flush=True)
    draw(rows)
    shown = torch.cat([clips[2:4] for clips in sets.values()])
    film = [viz.grid(shown[:, :, t], columns=2).repeat(3, 0).repeat(3, 1) for t in range(FRAMES)]
    write_bytes(OUT / "long.mp4", mp4_bytes(np.stack(film), fps=8))
    viz.save(torch.cat([clips[2:3] for clips in sets.values()])[:, :, ::4], OUT / "long-strips.png")
    protocol = {"clips": CLIPS, "frames": FRAMES, "window": WINDOW, "seed": 0}
    manifest = {"command": "python results/temporal_long.py", **environment(), "protocol": protocol}
    seconds = round(time.process_time() - start, 1)
    write_json(ROOT / "results" / "temporal-long.json", {**manifest, "cpu_seconds": seconds, "rows": rows})


if __name__ == "__main__":
    main()
