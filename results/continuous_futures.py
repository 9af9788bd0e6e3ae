"""One start, many futures: clips of mocogan-sde that share a start and a content, and differ in their Brownian path.

    python results/continuous_futures.py    writes results/continuous-futures.json and book/_static/continuous/futures*

The model was trained on digits that veer left or right in mid-clip, by the toss of a coin. STARTS starts have FUTURES
futures each. Measured are: where the digits of one start go, how many starts turn both ways, and FVD-digits of all
these clips beside that of as many clips with a start each. --fast tries it with fewer, into runs/.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from continuous_times import centres
from continuous_turns import bend_of, misses
from torch import Tensor

from vidgen_lab import load_pretrained, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.training.state import write_json
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "book" / "_static" / "continuous"
STARTS, FUTURES = 64, 32
OFTEN = 1 / 8  # of a start's futures that must take the rarer turn
SETTINGS: dict[str, Any] = {"size": 32, "frames": 16, "turn": True}
SHOWN = (0, 1, 2)  # the starts whose fans are drawn


def draw_clips(model: Model, n: int, futures: int, seed: int, even: bool = False) -> Tensor:
    """n clips `(n, C, T, S, S)`, so many in a row from one start and with one set of labels.

    With `even`, each direction, each speed and each digit is asked of as many starts, as nearly as their number allows.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = model.example_condition(n // futures, generator) or {}
    if even:
        k = torch.arange(n // futures)
        labels = {"digit": torch.randperm(len(k), generator=generator) % 10, "direction": k % 8, "speed": k // 8 % 2}
    labels = {name: values.repeat_interleave(futures) for name, values in labels.items()}
    parts = []
    for rows in torch.arange(n).split(128):
        asked = {name: values[rows] for name, values in labels.items()} or None
        parts.append(model.sample(len(rows), condition=asked, generator=generator, futures=futures))
    return torch.cat(parts)


class Decided(MovingDigits):
    """Clips whose coins all show `toss`: an index into TURNS."""

    toss = 0

    def _path(self, start: np.ndarray, velocity: np.ndarray, coin: np.ndarray, room: int) -> np.ndarray:
        return super()._path(start, velocity, np.full_like(coin, self.toss), room)


def real_tracks(starts: int) -> Tensor:
    """Tracks of held-out clips that turn left, and of the same that turn right: `(starts, 2, T, 2)`."""
    data, pair = Decided("test", **SETTINGS), []
    for data.toss in (0, 1):
        pair.append(centres(data.__getitems__(list(range(starts)))["video"]))
    return torch.stack(pair, dim=1)


def fan(tracks: Tensor, real: Tensor) -> None:
    """The tracks of three starts, and how far the tracks of a start are from their mean over time."""
    fig, axes = viz.figure(1, 4, alt=ALT, width=8.8, height=2.7, width_ratios=(1, 1, 1, 1.3))
    for ax, of_one in zip(axes, tracks[list(SHOWN)], strict=False):
        ax.plot(*of_one.permute(2, 1, 0), color=viz.figures.FAKE, linewidth=0.7, alpha=0.7)
        ax.plot(*of_one[0, 0], "o", color=viz.figures.INK, markersize=5)
        ax.set(xlim=(5, 26), ylim=(26, 5), aspect="equal", xticks=[], yticks=[])
    axes[1].set(title="the futures of three starts")
    axes[3].plot(spread(real).mean(0), color=viz.figures.REAL, label="real, two turns")
    axes[3].plot(spread(tracks).mean(0), color=viz.figures.FAKE, label="generated")
    axes[3].set(title="spread, pixels", xlabel="frame")
    axes[3].set_ylim(bottom=0)
    axes[3].legend(fontsize=7)
    viz.save_figure(fig, OUT / "futures.png")


def spread(tracks: Tensor) -> Tensor:
    """Root mean square way of the centre from the mean centre of its start: `(starts, futures, T, 2)` to
    `(starts, T)`."""
    return (tracks - tracks.mean(1, keepdim=True)).square().sum(3).mean(1).sqrt()


def turns(clips: Tensor, reader: Model) -> dict[str, float]:
    """Of clips `(starts, futures, C, T, S, S)`: how many turn left, and how many starts turn both ways.

    A turn is read from the nearest path that a digit may fly, which every clip has. A bend is stricter: digits-3d reads
    directions before and after mid-clip that are a right angle apart.
    """
    flat, shape = clips.flatten(0, 1), clips.shape[:2]
    miss, bend = misses(flat), bend_of(flat, reader).unflatten(0, shape)
    left = (miss.argmin(1) == 0).unflatten(0, shape)  # (starts, futures)
    turn_left, turn_right, bend_left, bend_right = (of.float().mean(1) for of in (left, ~left, bend == 2, bend == 6))
    rarer, rarer_bend = torch.minimum(turn_left, turn_right), torch.minimum(bend_left, bend_right)
    return {
        "left": turn_left.mean().item(),
        "both": (rarer > 0).float().mean().item(),
        "both_often": (rarer >= OFTEN).float().mean().item(),
        "bends": (bend_left + bend_right).mean().item(),
        "both_bends": (rarer_bend > 0).float().mean().item(),
        "miss": miss.amin(1).mean().item(),
    }


def bending(clips: Tensor, reader: Model) -> float:
    """How many clips bend by a right angle."""
    bend = bend_of(clips, reader)
    return ((bend == 2) | (bend == 6)).float().mean().item()


def by_start(clips: Tensor) -> Tensor:
    return clips.unflatten(0, (-1, FUTURES))


def main() -> None:
    """Draws, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few starts, into runs/: a try")
    fast = parser.parse_args().fast
    torch.set_num_threads(1)
    begun, count = time.process_time(), (16 if fast else STARTS) * FUTURES
    model, reader = load_pretrained("mocogan-sde"), load_pretrained("digits-3d")

    def features(clips: Tensor) -> Tensor:
        return torch.cat([reader.features(part) for part in clips.split(128)])

    real, held_out = (metrics.ladder.reference(count, seed, **SETTINGS) for seed in (0, 1))
    reference, protocol = features(real), {"network": "digits-3d"}

    def distance(clips: Tensor) -> float:
        return metrics.frechet_distance(reference, features(clips), protocol, "FVD-digits").value

    shared, alone = draw_clips(model, count, FUTURES, 0, even=True), draw_clips(model, count, 1, 1)
    tracks = by_start(centres(shared))  # (starts, futures, T, 2)
    apart, real_apart = spread(tracks).mean(0), spread(real_tracks(STARTS)).mean(0)
    fvd = {
        "real": distance(held_out),
        "real, few starts": distance(held_out[::FUTURES].repeat_interleave(FUTURES, dim=0)),
        "shared": distance(shared),
        "shared, labels at random": distance(draw_clips(model, count, FUTURES, 0)),
        "alone": distance(alone),
    }
    found = {
        "fvd": {**fvd, "ratio": fvd["shared"] / fvd["alone"]},
        "ratio, labels at random": fvd["shared, labels at random"] / fvd["alone"],
        "real_bends": bending(held_out, reader),
        "straight_bends": bending(metrics.ladder.reference(count, 1, **SETTINGS | {"turn": False}), reader),
        "turns": turns(by_start(shared), reader),
        "turns, a start each": turns(by_start(alone), reader),
        "spread": {"middle": apart[7].item(), "last": apart[-1].item()},
        "spread, real": {"middle": real_apart[7].item(), "last": real_apart[-1].item()},
        "noise": {},
    }
    usual = model.config
    for name, scale in (("none", 0.0), ("half", 0.5), ("twice", 2.0)):
        model.config = replace(usual, noise=scale * usual.noise)
        clips = by_start(draw_clips(model, count // 4, FUTURES, 0, even=True))
        last = spread(by_start(centres(clips.flatten(0, 1)))).mean(0)[-1].item()
        found["noise"][name] = {"scale": scale, "last": last, **turns(clips, reader)}
    print(found, flush=True)
    fan(tracks, real_tracks(STARTS))
    shown = by_start(shared)[:3, :6].flatten(0, 1)
    write_bytes(OUT / "futures.mp4", mp4_bytes(frames_of(shown, columns=6).repeat(3, 1).repeat(3, 2), fps=8))
    viz.save(by_start(shared)[SHOWN[0], :6, :, ::2], OUT / "futures-strips.png")
    spent = round(time.process_time() - begun, 1)
    stated = {"starts": count // FUTURES, "futures": FUTURES, "clips": count, "often": OFTEN, **SETTINGS}
    manifest = {"command": "python results/continuous_futures.py", **environment(), "cpu_seconds": spent}
    write_json(
        ROOT / ("runs" if fast else "results") / "continuous-futures.json", manifest | {"protocol": stated} | found
    )


ALT = (
    "Three squares with the tracks of the futures of one start each, from a dot. Right, how far the futures of a start "
    "are apart over the frames, for real clips and for generated ones."
)


if __name__ == "__main__":
    main()
