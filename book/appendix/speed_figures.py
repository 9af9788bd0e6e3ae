"""The figure of the page on speed, from the manifests that `make bench` writes.

    python book/appendix/speed_figures.py

Writes book/_static/speed/ratios.png.
"""

from pathlib import Path
from typing import Any

from vidgen_lab import viz
from vidgen_lab.training.state import read_json

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "speed"

# manifest, case, what the axis says
ROWS = (
    ("metrics", "frechet_distance", "Fréchet distance"),
    ("metrics", "kernel_distance", "kernel distance"),
    ("metrics", "inception_score", "inception score"),
    ("metrics", "psnr", "PSNR"),
    ("metrics", "ssim", "SSIM"),
    ("gan-step", "gan_step", "GAN training step"),
    ("dcgan-step", "dcgan_step", "DCGAN training step"),
    ("vgan-step", "vgan_step", "VGAN training step"),
    ("mocogan-step", "mocogan_step", "MoCoGAN training step"),
    ("tganv2-step", "tganv2_step", "TGANv2 training step"),
    ("moving-digits", "whole_pixel", "moving digits, whole-pixel"),
    ("moving-digits", "sub_pixel", "moving digits, sub-pixel"),
    ("moving-digits", "with_labels", "moving digits with labels"),
    ("quantizer", "small", "vector quantiser, small"),
    ("quantizer", "large", "vector quantiser, large"),
    ("transformer", "training", "transformer, training"),
    ("transformer", "sampling", "transformer, sampling"),
    ("videogpt-step", "training", "VideoGPT's prior, training"),
    ("videogpt-cache", "x-transformers", "VideoGPT's prior, writing"),
    ("videogpt-cache", "shipped", "the same, larger, beside no cache"),
)


def case(manifest: str, name: str) -> dict[str, Any]:
    """One case of results/bench-MANIFEST.json."""
    return read_json(ROOT / "results" / f"bench-{manifest}.json")["cases"][name]


def ratios() -> viz.figures.Figure:
    """Time of ours over time of the peer: a dot for the median, a diamond above 1, a bar from quartile to quartile."""
    fig, ax = viz.figure(
        alt="A mark for each comparison on a logarithmic axis, time of ours over time of the peer, with a short bar "
        "from quartile to quartile, and a line at 1, where both are equally quick.",
        width=7.2,
        height=0.36 * len(ROWS) + 1.0,
    )
    for place, (manifest, name, _) in enumerate(ROWS):
        ratio = case(manifest, name)["ratio"]
        color = viz.figures.REAL if ratio["median"] <= 1 else viz.figures.FAKE
        ax.plot([ratio["q1"], ratio["q3"]], [place, place], color=color, linewidth=5, alpha=0.4)
        ax.plot(ratio["median"], place, "o" if ratio["median"] <= 1 else "D", color=color)
        ground = {"facecolor": viz.figures.CARD, "edgecolor": "none", "pad": 0.5}  # hides the line behind the number
        number, spot = f"{ratio['median']:.2f}", (ratio["median"], place)
        ax.annotate(number, spot, (0, 7), textcoords="offset points", ha="center", bbox=ground)
    ax.axvline(1, color=viz.figures.INK, linewidth=1)
    ax.set_xscale("log")
    ticks = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(ROWS)), [label for *_, label in ROWS])
    ax.set_ylim(len(ROWS) - 0.4, -0.8)
    ax.set_xlabel("time of ours / time of the peer")
    return fig


if __name__ == "__main__":
    viz.save_figure(ratios(), OUT / "ratios.png")
