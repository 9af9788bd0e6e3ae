"""Samples to a file: the suffix chooses the format, and a file is whole or not there."""

import io
import os
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import safetensors.torch
from PIL import Image
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.viz.arrays import PAD_GREY, filmstrip, frames_of, grid


def save(samples: Tensor, path: str | Path, fps: float = 8, *, clip: bool = False) -> Path:
    """Write images `(B, C, H, W)` or clips `(B, C, T, H, W)`, floats in [-1, 1]; returns the path.

    - `.png`: a grid of the images; a filmstrip of the clips, one row a clip
    - `.gif`, `.mp4`: the grid of the clips as a film of `fps` frames a second. The GIF loops. MP4 is H.264 with colour
      at half resolution, and gains a grey row or column where a side is odd
    - `.safetensors`: the tensor itself, whatever its values, under the name `samples`

    Folders on the way are made. Raises ArgumentError for another suffix, for images as a film, for values outside
    [-1, 1] (see `to_uint8` for `clip`), and for a place that cannot be written; then no file is left there.
    """
    path = Path(path)
    kinds = {4: "images", 5: "clips"}
    if samples.ndim not in kinds:
        raise ArgumentError(
            f"samples of shape {tuple(samples.shape)}: must be images (B, C, H, W) or clips (B, C, T, H, W)."
        )
    writers: dict[str, Callable[[], bytes]]
    if samples.ndim == 4:
        writers = {".png": lambda: png_bytes(grid(samples, clip=clip))}
    else:
        writers = {
            ".png": lambda: png_bytes(filmstrip(samples, clip=clip)),
            ".gif": lambda: gif_bytes(frames_of(samples, clip=clip), fps),
            ".mp4": lambda: mp4_bytes(frames_of(samples, clip=clip), fps),
        }
    writers[".safetensors"] = lambda: safetensors.torch.save({"samples": samples.detach().cpu().contiguous()})
    if path.suffix.lower() not in writers:
        raise ArgumentError(
            f'path="{path}": {kinds[samples.ndim]} cannot be saved as "{path.suffix}". Choose {", ".join(writers)}.'
        )
    return write_bytes(path, writers[path.suffix.lower()]())


def write_bytes(path: Path, content: bytes) -> Path:
    """Write to a temporary neighbour, then rename: a reader sees the old file or the whole new one."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ArgumentError(
            f'path="{path}" cannot be written: {error.strerror or error}. Choose a folder with room and write access.'
        ) from error
    return path


def png_bytes(picture: np.ndarray, colors: int | None = None) -> bytes:
    """A picture `(H, W, 3)` uint8 as PNG: exact, in one channel if it is grey; with `colors`, in at most so many."""
    grey = (picture == picture[..., :1]).all()
    image = Image.fromarray(picture[..., 0] if grey else picture)
    buffer = io.BytesIO()
    (image if grey or colors is None else image.quantize(colors)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def gif_bytes(frames: np.ndarray, fps: float) -> bytes:
    """A film `(T, H, W, 3)` uint8 as a looping GIF. Grey is exact; colours share one palette of 256.

    GIF counts time in hundredths of a second: durations alternate so that the whole film keeps `fps`.
    """
    if not 0 < fps <= 50:
        raise ArgumentError(f"fps={fps}: a GIF plays at most 50 frames a second. Save as .mp4 for more.")
    if (frames == frames[..., :1]).all():
        images = [Image.fromarray(frame[..., 0]) for frame in frames]
    else:
        palette = Image.fromarray(frames.reshape(-1, *frames.shape[2:])).quantize(256)
        images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    ticks = (np.arange(len(frames) + 1) * 100 / fps).round().astype(int)
    durations = [int(step) * 10 for step in np.diff(ticks)]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, disposal=1, optimize=False
    )
    return buffer.getvalue()


def mp4_bytes(frames: np.ndarray, fps: float) -> bytes:
    """A film `(T, H, W, 3)` uint8 as MP4: H.264, yuv420p; the same bytes for the same film."""
    import av

    if fps <= 0:
        raise ArgumentError(f"fps={fps}: must be above 0, for instance fps=8.")
    odd_height, odd_width = frames.shape[1] % 2, frames.shape[2] % 2
    frames = np.pad(frames, ((0, 0), (0, odd_height), (0, odd_width), (0, 0)), constant_values=PAD_GREY)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        # x264's look-ahead was seen to give other bytes from run to run; B-frames and mbtree are what uses it.
        options = {"crf": "22", "preset": "slow", "bf": "0", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        codec = stream.codec_context
        codec.thread_count = 1
        codec.colorspace, codec.color_range = 5, 1  # BT.601 in 16..235: what reformat makes of RGB
        codec.color_primaries, codec.color_trc = 1, 1  # of RGB itself: BT.709, as on every screen
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()
