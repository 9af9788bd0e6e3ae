"""Figures that read on a white and on a near-black page: dark ink on a rounded light card, with alt text.

No single grey reaches a contrast of 4.5:1 on white and on near-black at once, and most colours of a colour-blind-safe
palette fade on one of the two. So a figure brings its own card, and every colour is chosen against that card alone.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.patches import FancyBboxPatch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError, unknown
from vidgen_lab.viz.files import write_bytes
from vidgen_lab.viz.notebook import bundle, image_html, require_alt

CARD = "#fafafa"
INK = "#333333"
# Okabe and Ito's colours, those with the strongest contrast against the card first; the yellow is left out.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
REAL, FAKE = COLORS[0], COLORS[1]  # in every figure of the course
DENSITY = LinearSegmentedColormap.from_list("card-to-grey", [CARD, "#9a9a9a"])  # points stay visible on it

_STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "font.size": 11,
}
_DPI = 100  # one inch of a figure is 100 screen pixels; the stored picture has twice as many


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that knows its alt text and shows itself in a notebook. Made by `figure`."""

    alt: str

    def __repr__(self) -> str:
        width, height = self.get_size_inches() * _DPI
        return f"Figure of {width:.0f}x{height:.0f}: {self.alt}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        png = _render(self, "png")
        return bundle(image_html(png, self.alt, round(self.get_figwidth() * _DPI)), png, repr(self))


def figure(
    rows: int = 1, columns: int = 1, *, alt: str, width: float = 6.4, height: float = 3.6, **options: Any
) -> tuple[Figure, Any]:
    """A figure and its axes: one Axes, or an array of them as `matplotlib.figure.Figure.subplots` gives.

    `alt` says in words what there is to see. `width` and `height` are inches of 100 screen pixels. `options` go to
    `subplots` (`sharex`, `sharey`, `width_ratios`, `squeeze`, ...). pyplot does not know the figure: end a cell with
    it, or call `viz.show(fig)`. Raises ArgumentError without alt text.
    """
    alt = require_alt(alt)
    with mpl.rc_context(_STYLE):
        fig = Figure(figsize=(width, height), dpi=_DPI, facecolor="none", layout="constrained")
        axes = fig.subplots(rows, columns, **options)
    fig.alt = alt
    fig.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    margin = 0.08  # inches between the corner of the page and the straight part of the card's edge
    card = FancyBboxPatch(
        (margin, margin),
        width - 2 * margin,
        height - 2 * margin,
        boxstyle=f"round,pad={margin}",
        transform=fig.dpi_scale_trans,
        facecolor=CARD,
        edgecolor="none",
        zorder=-10,
    )
    card.set_in_layout(False)
    fig.add_artist(card)
    return fig, axes


def save_figure(fig: Figure, path: str | Path) -> Path:
    """Write a figure as `.png` or `.svg`, its alt text inside: the same bytes each time. Returns the path.

    Raises ArgumentError for another suffix or a place that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".svg"):
        raise ArgumentError(f'path="{path}": a figure cannot be saved as "{path.suffix}". Choose .png or .svg.')
    return write_bytes(path, _render(fig, path.suffix.lower()[1:]))


def curves(
    history: Iterable[Mapping[str, Any]], keys: Sequence[str] | None = None, *, alt: str, **options: Any
) -> Figure:
    """Training curves from records such as `{"step": 10, "discriminator/real": 0.61}`.

    The raw line is faint; the bold one is smoothed over about a twenty-fifth of the records. A record need not hold
    every key. `keys=None` draws every number except the step. `options` go to `figure`. Raises ArgumentError for a key
    that no record holds, or where there is nothing to draw.
    """
    records = list(history)
    known = list(dict.fromkeys(k for r in records for k, v in r.items() if k != "step" and isinstance(v, int | float)))
    for key in keys or ():
        if key not in known:
            raise unknown("curve", key, known)
    if not known or any("step" not in record for record in records):
        raise ArgumentError('history: each record needs a "step", and one a number, as in {"step": 0, "loss": 1.0}.')
    fig, ax = figure(alt=alt, **options)
    for key in known if keys is None else keys:
        pairs = [(record["step"], record[key]) for record in records if key in record]
        steps, values = np.array(pairs, dtype=float).T
        reach = len(values) // 25  # records on either side
        (line,) = ax.plot(steps, _smooth(values, reach), label=key)
        if reach:
            ax.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8, zorder=1)
    ax.set_xlabel("step")
    fig.legend(loc="outside upper center", ncols=3, frameon=False, labelcolor=INK)
    return fig


def points(real: Tensor, fake: Tensor, ax: Axes) -> None:
    """Points of the plane, `real (N, 2)` and `fake (M, 2)`, told apart by colour and by shape."""
    for name, plane in (("real", real), ("fake", fake)):
        if plane.ndim != 2 or plane.shape[1] != 2:
            raise ArgumentError(f"{name} of shape {tuple(plane.shape)}: must be points of the plane, (N, 2).")
    for name, plane, color, marker in (("real", real, REAL, "o"), ("fake", fake, FAKE, "x")):
        x, y = plane.detach().cpu().numpy().T
        ax.scatter(x, y, s=12, c=color, marker=marker, linewidths=0.8, alpha=0.7, label=name)
    ax.set_aspect("equal")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False, labelcolor=INK, markerscale=1.5)


def landscape(
    function: Callable[[Tensor], Tensor],
    ax: Axes,
    extent: tuple[float, float, float, float] = (-3, 3, -3, 3),
    resolution: int = 101,
) -> QuadContourSet:
    """The value of `function` over the plane, `(N, 2) -> (N,)` or `(N, 1)`: darker where higher, with labelled lines.

    `extent` is (left, right, bottom, top); `function` is asked at `resolution` x `resolution` points without gradients.
    Returns the contours, for a colour bar.
    """
    left, right, bottom, top = extent
    x, y = torch.linspace(left, right, resolution), torch.linspace(bottom, top, resolution)
    plane = torch.cartesian_prod(y, x).flip(1)  # (resolution * resolution, 2), x fastest
    with torch.no_grad():
        values = function(plane)
    if values.numel() != len(plane):
        raise ArgumentError(
            f"function: gave {tuple(values.shape)} for points {tuple(plane.shape)}; must give one value a point."
        )
    height = values.cpu().reshape(resolution, resolution).numpy()
    filled = ax.contourf(x.numpy(), y.numpy(), height, levels=10, cmap=DENSITY)
    lines = ax.contour(x.numpy(), y.numpy(), height, levels=filled.levels[::2], colors=INK, linewidths=0.6)
    ax.clabel(lines, fontsize=8)
    ax.set_aspect("equal")
    return filled


def _smooth(values: np.ndarray, reach: int) -> np.ndarray:
    kernel = np.hanning(2 * reach + 3)[1:-1]  # a bell over 2 * reach + 1 records
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def _render(fig: Figure, kind: str) -> bytes:
    """The figure as PNG in 256 colours, a quarter of the bytes, or as SVG: without dates, versions or random ids."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None, "Title": fig.alt}
    with mpl.rc_context({"svg.hashsalt": "vidgen_lab"}):
        fig.savefig(buffer, format=kind, dpi=2 * _DPI, metadata=metadata)
    return buffer.getvalue() if kind == "svg" else _fewer_colors(buffer, fig.alt)


def _fewer_colors(png: io.BytesIO, alt: str) -> bytes:
    drawn, buffer, text = Image.open(png), io.BytesIO(), PngInfo()
    text.add_itxt("Description", alt)
    few = drawn.quantize(256, method=Image.Quantize.FASTOCTREE)
    few.save(buffer, "PNG", optimize=True, dpi=drawn.info["dpi"], pnginfo=text)
    return buffer.getvalue()
