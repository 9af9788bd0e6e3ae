"""Clips a second of MovingDigits, against the plain numpy way to draw them.

    python benchmarks/moving_digits.py --json results/bench-moving-digits.json

Two digits, 20 frames of 64x64, uint8. The plain side is written below as one writes it first: a generator for each
clip, a loop over frames and digits, np.maximum into the frame. Given the same positions it draws the same bytes; that
is checked first.
"""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
from harness import OURS, PEER, Built, Case, run

from vidgen_lab.data import MovingDigits, load_digits
from vidgen_lab.data.moving import FINE, UNIT

FRAMES, SIZE, SIDE, BATCH = 20, 64, 28, 64


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


def ours(subpixel: bool, labels: bool) -> Built:
    """Batches of a data set, as uint8 clips or as items with labels and captions."""
    data = MovingDigits(size=SIZE, frames=FRAMES, digits=2, subpixel=subpixel, length=10_000_000)
    return Built(_on_new_rows(data.__getitems__ if labels else data.frames_uint8))


def plain() -> Built:
    images, _ = load_digits("train")
    return Built(_on_new_rows(partial(plain_clips, images)))


def difference() -> float:
    """Largest difference of a byte, over 20 clips whose positions both sides are given."""
    images, _ = load_digits("train")
    data = MovingDigits(size=SIZE, frames=FRAMES, digits=2, subpixel=False, length=10_000_000)
    draw = data._draw(range(20))
    clips = zip(data.frames_uint8(range(20)), draw["image"], draw["y"], draw["x"], strict=True)
    return max(
        float(np.abs(clip[0].numpy().astype(int) - plain_paint(images[image], y // FINE, x // FINE)).max())
        for clip, image, y, x in clips
    )


def _on_new_rows(make: Callable[[range], object]) -> Callable[[], object]:
    """Each call asks for the next clips, as training does."""
    starts = itertools.count(0, BATCH)

    def call() -> object:
        first = next(starts)
        return make(range(first, first + BATCH))

    return call


def case(about: str, subpixel: bool, labels: bool) -> Case:
    sides = {OURS: partial(ours, subpixel, labels), PEER: plain}
    return Case(about, "numpy, clip by clip, whole-pixel", sides, items=BATCH, difference=difference, allowed=0)


CASES = {
    "whole_pixel": case(f"{BATCH} clips of 2 digits, {FRAMES} x {SIZE} x {SIZE}, uint8, whole-pixel", False, False),
    "sub_pixel": case("the same, drawn between pixels", True, False),
    "with_labels": case("the same as the first, as floats with labels and captions", False, True),
}

if __name__ == "__main__":
    run(__file__, CASES)
