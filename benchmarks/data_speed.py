"""Clips a second of MovingDigits, against the plain numpy way to draw them.

    OMP_NUM_THREADS=1 python benchmarks/data_speed.py --json results/data-speed.json

Two digits, 20 frames of 64x64, uint8. Both sides take turns; the figure is the median over the rounds, in seconds of
CPU time on one thread. The plain side is written below as one writes it first: a generator for each clip, a loop over
frames and digits, np.maximum into the frame. Given the same positions it draws the same bytes; that is checked first.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch

from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits, load_digits
from vidgen_lab.data.moving import FINE, UNIT

FRAMES, SIZE, SIDE, BATCH = 20, 64, 28, 64
TARGET = 3000


def plain_paint(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Digits (D, 28, 28) at whole-pixel positions (D, T) -> a clip (T, 64, 64)."""
    clip = np.zeros((y.shape[1], SIZE, SIZE), np.uint8)
    for t in range(len(clip)):
        for d in range(len(images)):
            window = clip[t, y[d, t] : y[d, t] + SIDE, x[d, t] : x[d, t] + SIDE]
            np.maximum(window, images[d], out=window)
    return clip


def plain_clips(images: np.ndarray, indices: range) -> np.ndarray:
    """Clips (B, T, 64, 64) with whole-pixel motion, each from its own generator."""
    clips = []
    for index in indices:
        rng = np.random.default_rng((0, index))
        chosen = images[rng.integers(len(images), size=2)]
        speed = 2 * (1 + rng.integers(2, size=2))  # 2 or 4 pixels a frame at 64
        step = UNIT[rng.integers(8, size=2)] * speed[:, None]  # (D, 2)
        room = SIZE - SIDE
        phase = np.mod(rng.integers(room + 1, size=(2, 1, 2)) + step[:, None] * np.arange(FRAMES)[:, None], 2 * room)
        path = np.floor(np.minimum(phase, 2 * room - phase) + 0.5).astype(int)  # (D, T, 2)
        clips.append(plain_paint(chosen, path[..., 0], path[..., 1]))
    return np.stack(clips)


def rate(make: Callable[[range], object], first: int, seconds: float) -> float:
    """Clips a second of CPU time, over at least `seconds`."""
    start, made = time.process_time(), 0
    while (spent := time.process_time() - start) < seconds:
        make(range(first + made, first + made + BATCH))
        made += BATCH
    return made / spent


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Median, least and most."""
    sizes = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) if digits else round(value) for name, value in sizes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU seconds a side and round")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)

    images, _ = load_digits("train")
    whole = MovingDigits(size=SIZE, frames=FRAMES, digits=2, subpixel=False, length=10_000_000)
    fine = MovingDigits(size=SIZE, frames=FRAMES, digits=2, length=10_000_000)
    draw = whole._draw(range(20))
    for clip, image, y, x in zip(whole.frames_uint8(range(20)), draw["image"], draw["y"], draw["x"], strict=True):
        assert np.array_equal(clip[0].numpy(), plain_paint(images[image], y // FINE, x // FINE)), "not the same clips"

    sides = {
        "batched, whole-pixel": whole.frames_uint8,
        "batched, sub-pixel": fine.frames_uint8,
        "batched, whole-pixel, as float with labels and captions": whole.__getitems__,
        "plain numpy, whole-pixel": lambda rows: plain_clips(images, rows),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(given.rounds):
        for name, make in sides.items():
            rates[name].append(rate(make, turn * 100_000, given.seconds))
    first, last = rates["batched, whole-pixel"], rates["plain numpy, whole-pixel"]
    ratios = [quick / plain for quick, plain in zip(first, last, strict=True)]
    medians = {name: round(statistics.median(values)) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{medians[name]:8,d} clips/s ({min(values):,.0f} to {max(values):,.0f})  {name}")
    print(f"{statistics.median(ratios):.1f} times as quick as plain numpy")
    print(f"at least {TARGET:,} clips/s: {medians['batched, whole-pixel'] >= TARGET}")
    if given.json:
        options = f"--rounds {given.rounds} --seconds {given.seconds}"
        manifest = {
            "command": f"OMP_NUM_THREADS=1 python benchmarks/data_speed.py {options}",
            "clips": {"digits": 2, "frames": FRAMES, "size": SIZE, "dtype": "uint8", "batch": BATCH},
            "clips_per_cpu_second": {name: spread(values, 0) for name, values in rates.items()},
            "ratio": spread(ratios, 1),
            "required": TARGET,
            **environment(),
            "date": date.today().isoformat(),
        }
        given.json.write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
