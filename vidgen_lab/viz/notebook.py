"""Samples on a page: pictures and players with alt text, the same in Jupyter, in Colab, in the book and in print.

Each object offers HTML for the screen, PNG for print, and one line of text that never changes from run to run.
"""

import base64
import html
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.viz.arrays import filmstrip, frames_of, grid
from vidgen_lab.viz.files import mp4_bytes, png_bytes

CELL = 192  # a single picture is enlarged to about this many screen pixels
PAGE = 640  # a whole grid is enlarged to at most this many
STORED = 2  # a film is enlarged so many times in its file, as half-resolution colour needs; the page does the rest


def show(samples: Any, title: str | None = None, *, alt: str | None = None, **options: Any) -> None:
    """Display images `(B, C, H, W)` as a grid, clips `(B, C, T, H, W)` as a player, below the cell; both in [-1, 1].

    `alt` says in words what there is to see: required. `title` is set below. `options` go to `picture` (columns, scale,
    clip) or to `player` (these and fps). What brings its own alt text is shown as it is: a figure of `viz.figure`, a
    picture, a player.
    """
    from IPython.display import display

    if not isinstance(samples, Tensor):
        require_alt(getattr(samples, "alt", None))
        display(samples)
    elif samples.ndim == 4:
        display(picture(samples, title, alt=alt, **options))
    else:
        display(player(samples, title, alt=alt, **options))


def picture(
    images: Tensor,
    title: str | None = None,
    *,
    alt: str | None,
    columns: int | None = None,
    scale: int | None = None,
    clip: bool = False,
) -> "Picture":
    """A grid of images `(B, C, H, W)` in [-1, 1] for a page. Small ones are enlarged `scale` times, pixel by pixel."""
    pixels = grid(images, columns, clip=clip)
    scale = enlarge(images.shape[-2:], pixels.shape[1], scale)
    return Picture(
        _counted(images, "image"), require_alt(alt), title, pixels.shape[1] * scale, png_bytes(_zoom(pixels, scale))
    )


def player(
    video: Tensor,
    title: str | None = None,
    *,
    alt: str | None,
    fps: float = 8,
    columns: int | None = None,
    scale: int | None = None,
    clip: bool = False,
) -> "Player":
    """Clips `(B, C, T, H, W)` in [-1, 1] playing side by side in a loop, embedded as H.264; in print a filmstrip.

    Small clips are enlarged `scale` times, pixel by pixel: by default to about 192 pixels a clip, 640 in all. The
    filmstrip of colour clips has 256 colours.
    """
    frames = frames_of(video, columns, clip=clip)
    scale = enlarge(video.shape[-2:], frames.shape[2], scale)
    strip = filmstrip(video, min(8, video.shape[2]), clip=clip)
    width = frames.shape[2] * scale
    film = mp4_bytes(np.stack([_zoom(frame, min(scale, STORED)) for frame in frames]), fps)
    strip = _zoom(strip, enlarge(video.shape[-2:], strip.shape[1], None))
    return Player(_counted(video, "clip"), require_alt(alt), title, width, png_bytes(strip, colors=256), film)


@dataclass(frozen=True, repr=False)
class Picture:
    """A PNG with alt text."""

    what: str  # "64 images of 28x28"
    alt: str
    title: str | None
    width: int  # screen pixels
    png: bytes

    def __repr__(self) -> str:
        return f"{self.what}: {self.alt}"

    def _repr_html_(self) -> str:
        return with_title(image_html(self.png, self.alt, self.width, "image-rendering:pixelated"), self.title)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self._repr_html_(), self.png, repr(self))


@dataclass(frozen=True, repr=False)
class Player(Picture):
    """A film with alt text; `png` is its filmstrip."""

    mp4: bytes

    def _repr_html_(self) -> str:
        alt = html.escape(self.alt)
        film = (
            f'<video controls loop muted playsinline autoplay width="{self.width}" aria-label="{alt}" '
            f'style="max-width:100%;height:auto;image-rendering:pixelated" '
            f'src="data:video/mp4;base64,{base64.b64encode(self.mp4).decode()}">{alt}</video>'
        )
        return with_title(film, self.title)


def image_html(png: bytes, alt: str, width: int, style: str = "") -> str:
    """An `<img>` that carries its PNG, its alt text and its width in screen pixels; it shrinks on a narrow page.

    The class `dark-light` tells the book's theme that the picture is readable on a dark page as it is.
    """
    return (
        f'<img class="dark-light" alt="{html.escape(alt)}" width="{width}" style="max-width:100%;height:auto;{style}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    )


def with_title(element: str, title: str | None) -> str:
    """The element alone, or in a figure with its title as the caption."""
    if title is None:
        return element
    caption = f'<figcaption style="text-align:left;color:inherit">{html.escape(title)}</figcaption>'
    return f'<figure style="margin:0;text-align:left">{element}{caption}</figure>'


def bundle(page: str, png: bytes, text: str) -> dict[str, str]:
    """What a notebook stores. The book takes HTML for the screen and PNG for LaTeX; tests compare the text."""
    return {"text/html": page, "image/png": base64.b64encode(png).decode(), "text/plain": text}


def require_alt(alt: str | None) -> str:
    """The alt text, or ArgumentError where there is none."""
    if not isinstance(alt, str) or not alt.strip():
        raise ArgumentError(
            f"alt={alt!r}: say in words what there is to see, for a reader who cannot see it. "
            'For instance alt="Eight samples: a digit 3 moves left to right".'
        )
    return alt


def enlarge(side: tuple[int, ...], width: int, scale: int | None) -> int:
    """The whole number by which a picture `width` pixels wide with cells of `side` (H, W) is enlarged."""
    if scale is None:
        return max(1, min(CELL // max(side), PAGE // width))
    if scale < 1:
        raise ArgumentError(f"scale={scale}: must be a whole number, 1 or more.")
    return scale


def _zoom(pixels: np.ndarray, scale: int) -> np.ndarray:
    return pixels.repeat(scale, 0).repeat(scale, 1)


def _counted(samples: Tensor, noun: str) -> str:
    count, *_, height, width = samples.shape
    frames = f"{samples.shape[2]} frames of " if samples.ndim == 5 else ""
    return f"{count} {noun}{'s' if count > 1 else ''} of {frames}{height}x{width}"
