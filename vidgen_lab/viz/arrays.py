"""Images and clips as pictures: plain uint8 arrays, ready for a file, a figure or a page."""

import math

import numpy as np
import torch
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError

PAD_GREY = 128  # the gap between pictures: seen beside black and beside white


def to_uint8(tensor: Tensor, *, clip: bool = False) -> np.ndarray:
    """Floats in [-1, 1] to whole numbers in 0..255, rounded; the shape stays.

    A value is in range when it rounds to one of the 256 levels. With `clip`, values outside are cut to the range:
    for models whose last layer is linear. Raises ArgumentError for whole numbers, NaN, infinity and values out of
    range.
    """
    if not tensor.is_floating_point():
        raise ArgumentError(
            f"samples are {tensor.dtype}: pictures must be floats in [-1, 1]. From 0..255: samples.float() / 127.5 - 1."
        )
    levels = (tensor.detach().to("cpu", torch.float32) + 1) * 127.5
    if not torch.isfinite(levels).all():
        raise ArgumentError("samples hold NaN or infinity: there is nothing to show. Look for the step that made them.")
    if levels.numel() and not clip and (levels.min() < -0.5 or levels.max() > 255.5):
        low, high = float(tensor.min()), float(tensor.max())
        fix = "samples / 127.5 - 1" if low >= 0 and 2 < high <= 255 else "clip=True cuts what a linear layer overshoots"
        raise ArgumentError(f"samples lie in [{low:.3g}, {high:.3g}]: pictures must be in [-1, 1]. Fix: {fix}.")
    return levels.clamp(0, 255).round().to(torch.uint8).numpy()


def grid(images: Tensor, columns: int | None = None, pad: int = 2, *, clip: bool = False) -> np.ndarray:
    """Images `(B, C, H, W)` in [-1, 1] side by side, row by row: uint8 `(height, width, 3)`.

    `columns` is by default the root of B, rounded up. `pad` grey pixels lie between two pictures. `clip`: see
    `to_uint8`.
    """
    return tile(channels_last(images, "images", 4, clip), columns, pad)


def filmstrip(video: Tensor, frames: int | None = None, pad: int = 2, *, clip: bool = False) -> np.ndarray:
    """Clips `(B, C, T, H, W)` in [-1, 1], one row a clip, time from left to right: uint8 `(height, width, 3)`.

    `frames` shows that many, spread evenly from the first to the last; None shows all.
    """
    clips = channels_last(video, "video", 5, clip)  # (B, T, H, W, 3)
    total = clips.shape[1]
    shown = total if frames is None else frames
    if not 1 <= shown <= total:
        raise ArgumentError(f"frames={frames}: the clips have {total} frames, so 1 to {total} can be shown.")
    clips = clips[:, np.linspace(0, total - 1, shown).round().astype(int)]
    return tile(clips.reshape(-1, *clips.shape[2:]), shown, pad)


def x_t_slice(video: Tensor, row: int, pad: int = 2, *, clip: bool = False) -> np.ndarray:
    """One pixel row of each clip `(B, C, T, H, W)`, as time goes by: uint8 `(T, B * W + gaps, 3)`, time downwards.

    A thing at rest draws an upright line, steady motion a slanted one, flicker a horizontal one.
    """
    clips = channels_last(video, "video", 5, clip)  # (B, T, H, W, 3)
    height = clips.shape[2]
    if not 0 <= row < height:
        raise ArgumentError(f"row={row}: the frames have {height} rows, so row must be 0 to {height - 1}.")
    return tile(clips[:, :, row], len(clips), pad)


def tile(pictures: np.ndarray, columns: int | None, pad: int) -> np.ndarray:
    """Pictures `(N, h, w, 3)` uint8 in rows of `columns`; the cells left over are grey."""
    count, height, width, _ = pictures.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or pad < 0:
        raise ArgumentError(f"columns={columns}, pad={pad}: columns must be 1 or more, pad 0 or more.")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    canvas = np.full((rows, height + pad, columns, width + pad, 3), PAD_GREY, np.uint8)
    for index, picture in enumerate(pictures):
        canvas[index // columns, :height, index % columns, :width] = picture
    return canvas.reshape(rows * (height + pad), columns * (width + pad), 3)[: -pad or None, : -pad or None]


def channels_last(samples: Tensor, name: str, ndim: int, clip: bool) -> np.ndarray:
    """`(B, C, ..., H, W)` in [-1, 1] to uint8 `(B, ..., H, W, 3)`; grey is repeated on three channels."""
    want = "(B, C, H, W)" if ndim == 4 else "(B, C, T, H, W)"
    shape = tuple(samples.shape)
    if samples.ndim != ndim:
        fix = f" One alone: {name}[None]." if samples.ndim == ndim - 1 else ""
        raise ArgumentError(f"{name} of shape {shape}: must be {want}.{fix}")
    if shape[1] not in (1, 3):
        raise ArgumentError(f"{name} of shape {shape}: must be {want} with C = 1 (grey) or 3 (RGB), not {shape[1]}.")
    if 0 in shape:
        raise ArgumentError(f"{name} of shape {shape}: there is nothing to show.")
    pixels = np.moveaxis(to_uint8(samples, clip=clip), 1, -1)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:-1], 3)))


def frames_of(video: Tensor, columns: int | None = None, pad: int = 2, *, clip: bool = False) -> np.ndarray:
    """Clips `(B, C, T, H, W)` as one film: each frame is the grid of all clips. uint8 `(T, height, width, 3)`."""
    clips = channels_last(video, "video", 5, clip)
    return np.stack([tile(clips[:, t], columns, pad) for t in range(clips.shape[1])])
