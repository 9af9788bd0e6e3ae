"""MovingDigits: handwritten digits that fly through the frame and bounce off its walls, with labels and captions.

Clips are made on the fly. A digit starts somewhere, flies in one of eight directions at one of two speeds, and is
reflected by the walls: its position along an axis is a triangle wave. How a clip is drawn, in a few array operations:

    A digit of side s is written once into a row of bytes as if the frame were unrolled: each of its rows is followed by
    (size - s) zeros, and there are enough zeros before and after. The unrolled frame with the digit at (y, x) is then
    the size * size bytes that begin y * size + x before the digit: a frame is one contiguous copy.

A position between pixels is drawn by area: a digit's pixel gives each pixel below it its share of what it covers.
Positions are kept in sixteenths of a pixel: the shares are then whole numbers, and every machine draws the same bytes.

The compositional split, `pairs`: even digits fly neither left nor right, odd ones neither up nor down, and digit d is
never of colour d mod 6. A wall turns left into right, and one diagonal into another: so a direction is held out
together with its opposite, and no clip shows a held-out pair after its first bounce either.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from vidgen_lab.core.errors import ArgumentError, unknown
from vidgen_lab.data.counter import check_indices, uniforms
from vidgen_lab.data.digits import load_digits
from vidgen_lab.data.pixels import Split, check_at_least, check_split, to_float

DIGIT_SIDE = {16: 10, 32: 20, 64: 28}  # side of the digit's box by size of the frame, pixels
COLORS = ("red", "green", "blue", "yellow", "magenta", "cyan")
RGB = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)], np.uint8)
DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")  # anticlockwise
SPEEDS = ("slowly", "fast")  # 1 and 2 pixels a frame in a frame of 32
TURNS = ("left", "right")  # as the digit sees it: left is anticlockwise
WRITTEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FORMS = 8  # of a caption: four orders of its words, the digit as a numeral or written out
FINE = 16  # positions are in sixteenths of a pixel

_H = np.sqrt(0.5)
UNIT = np.array([(0, 1), (-_H, _H), (-1, 0), (-_H, -_H), (0, -1), (_H, -_H), (1, 0), (_H, _H)])  # (y, x), y down
_CACHED = 2**17  # pixels blended at a time, so that they stay in the cache
_FIELDS = 7  # random numbers a digit takes: image, color, direction, speed, y, x, turn

Pairs = Literal["all", "seen", "unseen"]
_EACH = np.arange(10)[:, None]
HELD_OUT = {  # which pairs with a digit, (10, values), `pairs="seen"` leaves out
    "direction": np.arange(8) % 4 == 2 * (_EACH % 2),
    "color": np.arange(6) == _EACH % 6,
}


class MovingDigits(Dataset):
    """Bouncing digits. Item i depends on (seed, split, i) alone; the splits share no digit image.

    Item: `video` (C, frames, size, size) float32 in [-1, 1], C = 3 with `color` and else 1; `digit` 0..9, `direction`
    (index into DIRECTIONS) and `speed` (index into SPEEDS), with `color` also `color` (index into COLORS), with `turn`
    also `turn` (index into TURNS), all int64, scalars for one digit and (2,) for two; `caption`, a string such as
    "a red 3 moves left, fast". Direction and speed are those of frame 0; no digit starts so near a wall that its first
    step would already be reflected.

    Arguments: `size` 16, 32 or 64; `frames` any number (at least 4 with `turn`); `digits` 1 or 2; `subpixel=False`
    rounds positions to whole pixels; with `turn=True` the digit veers by 90 degrees after frame `frames // 2 - 1`, left
    or right by the toss of a coin, and nothing up to that frame tells which (a wall at that place reflects it as
    always); `restless=True` draws another digit in each frame on the same path, as a generator without memory would,
    and `digit` is that of frame 0; `pairs="seen"` leaves out the (digit, direction) and (digit, color) pairs of
    HELD_OUT, and in a clip of `pairs="unseen"` each digit shows a held-out direction, and in colour a held-out colour
    too; `paraphrase=True` writes each digit's part of the caption in one of FORMS, drawn apart from all else; `length`
    is the number of items. Raises ArgumentError for what is not allowed.
    """

    def __init__(
        self,
        split: Split = "train",
        *,
        size: int = 32,
        frames: int = 16,
        digits: int = 1,
        color: bool = False,
        subpixel: bool = True,
        turn: bool = False,
        restless: bool = False,
        pairs: Pairs = "all",
        paraphrase: bool = False,
        length: int = 100_000,
        seed: int = 0,
    ) -> None:
        if size not in DIGIT_SIDE:
            raise ArgumentError(f"size={size!r}: MovingDigits draws frames of 16, 32 or 64 pixels.")
        if digits not in (1, 2):
            raise ArgumentError(f"digits={digits!r}: a clip holds 1 or 2 moving digits.")
        if pairs not in get_args(Pairs):
            raise unknown("kind of pairs", pairs, get_args(Pairs))
        if pairs != "all" and (turn or restless):
            raise ArgumentError(
                f'pairs="{pairs}" with {"turn" if turn else "restless"}=True: clips would show held-out pairs. '
                'Use pairs="all".'
            )
        self.split, self.size, self.digits, self.seed = check_split(split), size, digits, seed
        self.frames = check_at_least("frames", frames, 4 if turn else 1)
        self.length = check_at_least("length", length, 1)
        self.color, self.subpixel, self.turn, self.restless = color, subpixel, turn, restless
        self.paraphrase = paraphrase
        self._allowed = {name: _allowed(held_out, pairs) for name, held_out in HELD_OUT.items()}
        self.side = DIGIT_SIDE[size]
        images, self._labels = load_digits(split)
        self._bank = _unroll(_fit(images, self.side), size)  # (N, side * size) uint8

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        batch = self.__getitems__([index])
        return {name: value[0] for name, value in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor | list[str]]:
        """A batch at once, the same as its items stacked: `video` (B, C, T, H, W), labels (B,) or (B, 2), captions."""
        draw = self._draw(indices)
        labels = {name: value[:, 0] if self.digits == 1 else value for name, value in draw["labels"].items()}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in labels.items()}
        forms = None
        if self.paraphrase:
            u = uniforms(self.seed, f"{self.split} caption", check_indices(indices, self.length), self.digits)
            forms = (u * FORMS).astype(np.int64)
        return {"video": to_float(self._render(draw)), **tensors, "caption": captions(draw["labels"], forms)}

    def frames_uint8(self, indices: Sequence[int]) -> Tensor:
        """The clips alone, as bytes: `(B, C, T, H, W)` uint8. The fast path; 32 to 128 clips a call suit the caches."""
        return torch.from_numpy(self._render(self._draw(indices)))

    def _draw(self, indices: Sequence[int]) -> dict:
        """All that is random: `image` and `labels` of (B, D), `y` and `x` (B, D, T) in sixteenths of a pixel.

        Restless digits have an `image` for each frame, (B, D, T).
        """
        rows = check_indices(indices, self.length)
        u = uniforms(self.seed, self.split, rows, self.digits * _FIELDS).reshape(len(rows), self.digits, _FIELDS)
        image = (u[..., 0] * len(self._labels)).astype(np.int64)
        digit = self._labels[image]
        color, direction = (
            table[digit, (u[..., k] * table.shape[1]).astype(np.int64)]
            for k, table in ((1, self._allowed["color"]), (2, self._allowed["direction"]))
        )
        speed, coin = ((u[..., k] * 2).astype(np.int64) for k in (3, 6))
        labels = {"digit": digit, "direction": direction, "speed": speed}
        if self.color:
            labels["color"] = color
        if self.turn:
            labels["turn"] = coin
        room = self.size - self.side
        velocity = UNIT[direction] * ((speed + 1) * self.size / 32)[..., None]  # (B, D, 2), pixels a frame
        low, high = np.maximum(0, -velocity), room - np.maximum(0, velocity)  # from here the first step stays inside
        if self.subpixel:
            start = low + u[..., 4:6] * (high - low)
        else:
            start = np.ceil(low) + np.floor(u[..., 4:6] * (np.floor(high) - np.ceil(low) + 1))
        path = self._path(start, velocity, coin, room)  # (B, D, T, 2)
        path = np.rint(path * FINE).astype(np.int64) if self.subpixel else np.floor(path + 0.5).astype(np.int64) * FINE
        if self.restless:
            others = uniforms(self.seed, f"{self.split} restless", rows, self.digits * (self.frames - 1))
            others = (others * len(self._labels)).astype(np.int64).reshape(len(rows), self.digits, -1)
            image = np.concatenate([image[..., None], others], 2)
        return {"image": image, "labels": labels, "y": path[..., 0], "x": path[..., 1]}

    def _path(self, start: np.ndarray, velocity: np.ndarray, coin: np.ndarray, room: int) -> np.ndarray:
        time = np.arange(self.frames)[:, None]
        path, sign = _reflect(start[:, :, None] + velocity[:, :, None] * time, room)  # (B, D, T, 2)
        if self.turn:
            last = self.frames // 2 - 1  # the last frame that knows nothing of the turn
            vy, vx = np.moveaxis(velocity * sign[:, :, last], -1, 0)
            left = np.stack([-vx, vy], -1)  # anticlockwise, with y pointing down
            veered = np.where(coin[..., None] == 0, left, -left)
            straight = path[:, :, last : last + 1] + veered[:, :, None] * time[: self.frames - last]
            path[:, :, last:], _ = _reflect(straight, room)
        return path

    def _render(self, draw: dict) -> np.ndarray:
        layers = [self._layer(draw["image"][:, d], draw["y"][:, d], draw["x"][:, d]) for d in range(self.digits)]
        shape = (len(draw["image"]), 1, self.frames, self.size, self.size)
        if not self.color:  # the brighter pixel wins
            grey = layers[0] if self.digits == 1 else np.maximum(*layers, out=layers[0])
            return grey.reshape(shape)
        if self.digits == 2:
            first, second = layers
            wins = first >= second
            layers = [first * wins, second * ~wins]
        rgb = RGB[draw["labels"]["color"]]  # (B, D, 3) of 0 and 1
        return sum(layers[d].reshape(shape) * rgb[:, d, :, None, None, None] for d in range(self.digits))

    def _layer(self, image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """One digit in each clip: image (B,), y and x (B, T) in sixteenths -> unrolled frames (B, T, size * size)."""
        if image.ndim == 2:  # another digit in each frame: each frame is a clip of its own
            return self._layer(image.ravel(), y.reshape(-1, 1), x.reshape(-1, 1)).reshape(*y.shape, -1)
        size, margin = self.size, self.size + 1  # the margin is for the neighbours above and to the left
        before = (size - self.side) * margin + margin
        strip = np.zeros((len(image), before + size * size), np.uint8)
        strip[:, before : before + self._bank.shape[1]] = self._bank[image]
        first = before - margin - (y // FINE * size + x // FINE)  # where the window of each frame begins, (B, T)
        extra = margin if self.subpixel else 0
        windows = np.lib.stride_tricks.sliding_window_view(strip, size * size + extra, axis=1)
        clips = np.arange(len(image))[:, None]
        if not self.subpixel:
            return windows[clips, first + margin]
        fy, fx = ((position % FINE).astype(np.uint16)[..., None] for position in (y, x))
        frames = np.empty((*y.shape, size * size), np.uint8)
        few = max(1, _CACHED // frames[0].size)
        for rows in (slice(begin, begin + few) for begin in range(0, len(frames), few)):
            window = windows[clips[rows], first[rows]].astype(np.uint16)
            across = window[..., 1:] * (FINE - fx[rows]) + window[..., :-1] * fx[rows]  # at most 255 * 16
            both = across[..., size:] * (FINE - fy[rows]) + across[..., : size * size] * fy[rows]  # at most 255 * 256
            frames[rows] = (both + 128) >> 8
        return frames


def captions(labels: dict[str, np.ndarray | Tensor], forms: np.ndarray | Tensor | None = None) -> list[str]:
    """Labels (B,) or (B, digits) to captions: "a red 3 moves left, fast", two digits joined by "and".

    Takes `digit`, `direction` and `speed`, and `color` and `turn` where they are there. `forms`, of the same shape,
    from 0 to FORMS - 1, says how each digit's part is worded; None: as above, form 0.
    """
    given = labels if forms is None else {**labels, "form": forms}
    table = {name: np.asarray(value).reshape(len(value), -1) for name, value in given.items()}
    names, columns = list(table), np.stack(list(table.values()), -1)  # (B, digits, labels)
    return [" and ".join(_phrase(**dict(zip(names, each, strict=True))) for each in row) for row in columns.tolist()]


def _phrase(
    digit: int, direction: int, speed: int, color: int | None = None, turn: int | None = None, form: int = 0
) -> str:
    order, written = divmod(form, 2)
    noun = WRITTEN[digit] if written else str(digit)
    if color is not None:
        noun = f"{COLORS[color]} {noun}"
    where, how = DIRECTIONS[direction], ("slowly", "quickly")[speed]
    words = (
        f"{noun} moves {where}, {SPEEDS[speed]}",
        f"{('slow', 'fast')[speed]} {noun} moves {where}",
        f"{noun} goes {where} {how}",
        f"{noun} flies {how} {where}",
    )[order]
    article = "an" if words.startswith(("8", "eight")) else "a"
    return f"{article} {words}" + ("" if turn is None else f", then turns {TURNS[turn]}")


def _allowed(held_out: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Values that each digit may take, `(10, n)`, from which of them are held out, `(10, values)`."""
    chosen = {"all": np.ones_like(held_out), "seen": ~held_out, "unseen": held_out}[pairs]
    return np.stack([np.flatnonzero(row) for row in chosen])


def _reflect(position: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Fold a straight path into 0..room by reflection: the position, and the sign (+1 or -1) of the motion there."""
    phase = np.mod(position, 2 * room)
    return np.minimum(phase, 2 * room - phase), np.where(phase < room, 1.0, -1.0)


def _fit(images: np.ndarray, side: int) -> np.ndarray:
    """28x28 digits to `side`: 28 as they are; 20 is the box that MNIST drew them in; 10 is its 2x2 means."""
    if side == 28:
        return images
    boxes = np.stack([_ink_box(image) for image in images])  # (N, 20, 20)
    return boxes if side == 20 else F.avg_pool2d(torch.from_numpy(boxes).float(), 2).round().to(torch.uint8).numpy()


def _ink_box(image: np.ndarray) -> np.ndarray:
    """The 20x20 box around a digit's ink, centred on it. MNIST scaled each digit to fit such a box."""
    ys, xs = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    ink = image[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    top, left = (20 - ink.shape[0]) // 2, (20 - ink.shape[1]) // 2
    box = np.zeros((20, 20), np.uint8)
    box[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return box


def _unroll(images: np.ndarray, size: int) -> np.ndarray:
    """Digits (N, side, side) as rows of an unrolled frame: (N, side * size), zeros after each row of the digit."""
    side = images.shape[1]
    return np.pad(images, ((0, 0), (0, 0), (0, size - side))).reshape(len(images), side * size)
