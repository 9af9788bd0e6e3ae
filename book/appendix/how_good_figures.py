"""Figures of "How good is it?", and the numbers of them that its text quotes.

    python book/appendix/how_good_figures.py          all of them, about a minute on one CPU thread
    python book/appendix/how_good_figures.py ladder   only those named: rungs, blind, ladder, network, bias

Writes book/_static/how-good/ and results/how-good-figures.json. `rungs` and `ladder` draw results/ladder-*.json, which
`vidgen evaluate --ladder` writes; `bias` draws results/bias.json, which results/bias.py writes.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidgen_lab import metrics, viz, zoo
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.metrics.ladder import FLOOR, blurred, noisy
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "how-good"
RESULTS = ROOT / "results" / "how-good-figures.json"
SETTINGS = {"size": 32, "frames": 16, "color": False}
CLIPS = 1000  # of each point of `network`


def rungs() -> dict[str, Any]:
    """Four clips of each rung, playing, with the distance of the rung."""
    floors = read_json(ROOT / "results" / "ladder-grey.json")["rungs"]
    made = {name: clips[:4] for name, clips in metrics.ladder.rungs(4, seed=3, **SETTINGS)}
    frames = []
    for t in range(SETTINGS["frames"]):
        fig, axes = viz.figure(3, 3, alt="nine boxes of four clips", width=6.0, height=6.9)
        for ax, (name, clips) in zip(axes.flat, made.items(), strict=True):
            picture = viz.grid(clips[:, :, t], columns=2).repeat(3, 0).repeat(3, 1)
            ax.imshow(picture, interpolation="nearest")
            title = name.replace("digit in", "digit\nin")  # or it runs into its neighbour
            ax.set_title(f"{title}\n{floors[name]['value']:.1f}", fontsize=13)
            ax.set_axis_off()
        frames.append(render(fig))
    write_bytes(OUT / "rungs.mp4", mp4_bytes(np.stack(frames), fps=6))
    fig, axes = viz.figure(9, 1, alt="One clip of each rung, frame by frame.", width=6.0, height=8.6)
    for ax, (name, clips) in zip(axes, made.items(), strict=True):
        ax.imshow(viz.filmstrip(clips[:1], 8).repeat(2, 0).repeat(2, 1), interpolation="nearest")
        ax.set_title(f"{name}: {floors[name]['value']:.1f}", fontsize=11, loc="left")
        ax.set_axis_off()
    viz.save_figure(fig, OUT / "rungs.png")
    return {}


def blind() -> dict[str, Any]:
    """Two sets of numbers with equal mean and variance, and nothing else in common."""
    generator = torch.Generator().manual_seed(0)
    bell = torch.randn(20000, generator=generator, dtype=torch.float64)
    two = torch.randint(0, 2, (20000,), generator=generator) * 2.0 - 1 + 0.1 * torch.randn(20000, generator=generator)
    two = (two.double() - two.double().mean()) / two.double().std() * bell.std() + bell.mean()
    protocol = {"network": "none"}
    distance = metrics.frechet_distance(bell[:, None], two[:, None], protocol).value
    kernel = metrics.kernel_distance(bell[:4000, None], two[:4000, None], protocol)
    fig, ax = viz.figure(
        alt="Two histograms over the same axis: one bell around 0, and two narrow peaks at minus 1 and 1.",
        width=6.0,
        height=2.8,
    )
    bins = np.linspace(-3.2, 3.2, 81)
    ax.hist(bell.numpy(), bins, density=True, alpha=0.6, color=viz.figures.REAL, label="one set")
    ax.hist(two.numpy(), bins, density=True, alpha=0.6, color=viz.figures.FAKE, label="the other")
    ax.set(xlabel="the one feature", yticks=[])
    ax.legend()
    viz.save_figure(fig, OUT / "blind.png")
    return {"blind": {"distance": abs(distance), "kernel": kernel.value, "kernel_interval": list(kernel.interval)}}


def ladder() -> dict[str, Any]:
    """The rungs as bars, in floors: grey and coloured clips of 16 frames, grey ones of 8."""
    kinds = {"grey": "grey, 16 frames", "color": "six colours, 16 frames", "grey-8": "grey, 8 frames"}
    measured = {label: read_json(ROOT / "results" / f"ladder-{kind}.json")["rungs"] for kind, label in kinds.items()}
    names = [name for name in metrics.ladder.RUNGS if name != FLOOR]
    fig, ax = viz.figure(
        alt="Bars on a logarithmic scale, in floors. Faint noise is just above one floor; blur and shuffled frames are "
        "above ten; all other rungs lie between forty and two hundred. The three kinds of clips agree.",
        width=6.6,
        height=5.4,
    )
    for k, (label, rung) in enumerate(measured.items()):
        places = np.arange(len(names)) + 0.27 * (k - 1)
        ax.barh(places, [rung[name]["floors"] for name in names], 0.25, label=label, color=viz.figures.COLORS[k])
    ax.axvline(1, color="black", linewidth=1)
    ax.axvline(5, color="black", linewidth=1, linestyle="--")
    ax.set(xscale="log", xlim=(0.8, 400), xlabel="FVD-digits, in floors", yticks=range(len(names)))
    ax.set_yticklabels(names)
    ax.set_xticks([1, 5, 10, 100], ["1", "5", "10", "100"])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    viz.save_figure(fig, OUT / "ladder.png")
    least = min(rung[name]["floors"] for rung in measured.values() for name in names if name != "faint noise")
    return {"ladder_least_floors": least}


def network() -> dict[str, Any]:
    """What the network was taught not to ask, noise, and what it was taught to ask, blur: the distance of each."""
    reader = zoo.load_pretrained("digits-3d")
    real, other = (metrics.ladder.reference(CLIPS, seed, **SETTINGS) for seed in (10, 11))
    protocol = {"network": "digits-3d", "network_sha256": zoo.shipped_hash("digits-3d"), **SETTINGS}

    def features(clips: Tensor) -> Tensor:
        return torch.cat([reader.features(part) for part in clips.split(100)])

    target = features(real)

    def distance(clips: Tensor) -> float:
        return metrics.frechet_distance(target, features(clips), protocol).value

    sigmas, strengths = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.3), (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
    noise = [distance(noisy(other, sigma, torch.Generator().manual_seed(0))) for sigma in sigmas]
    blur = [distance(torch.lerp(other, blurred(other), strength)) for strength in strengths]
    fig, axes = viz.figure(
        1,
        2,
        alt="Left: the distance little more than doubles for noise up to 0.12, the most that training added, and "
        "climbs steeply beyond. Right: with the blur that training added, and asked for, it grows about twelvefold.",
        width=7.2,
        height=3.0,
        sharey=True,
    )
    axes[0].axvspan(0, reader.config.noise, color="#dddddd")
    axes[0].plot(sigmas, noise, "o-", color=viz.figures.COLORS[0])
    axes[0].set(xlabel="standard deviation of the noise", ylabel="FVD-digits", yscale="log")
    axes[0].text(
        reader.config.noise / 2,
        max(noise) / 1.6,
        "training adds it\nand asks nothing",
        ha="center",
        va="top",
        fontsize=9,
    )
    axes[1].axvspan(0, reader.config.blur, color="#dddddd")
    axes[1].plot(strengths, blur, "o-", color=viz.figures.COLORS[1])
    axes[1].set(xlabel="strength of the blur")
    axes[1].text(0.5, max(noise) / 1.6, "training adds it\nand asks how much", ha="center", va="top", fontsize=9)
    viz.save_figure(fig, OUT / "network.png")
    return {
        "network": {
            "clips": CLIPS,
            "noise": [{"at": x, "distance": y, "floors": y / noise[0]} for x, y in zip(sigmas, noise, strict=True)],
            "blur": [{"at": x, "distance": y, "floors": y / blur[0]} for x, y in zip(strengths, blur, strict=True)],
            "protocol": protocol,
        }
    }


def bias() -> dict[str, Any]:
    """The distance of two sets from one Gaussian, and of two sets of real clips, by the number of samples."""
    measured = read_json(ROOT / "results" / "bias.json")
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, two sets of one Gaussian: on logarithmic axes the distance falls as one over N, for 8, 32 and 128 "
        "features, and dots lie on the lines of the law. Right, real clips: the distance over one over N is nearly a "
        "straight line through 0, and the law runs close to it.",
        width=7.4,
        height=3.4,
    )
    left, right = axes
    for color, d in zip(viz.figures.COLORS, (8, 32, 128), strict=False):
        rows = [row for row in measured["gaussians"].values() if row["d"] == d]
        sizes = [row["n"] for row in rows]
        left.plot(sizes, [row["law"] for row in rows], color=color, label=f"d = {d}")
        left.plot(sizes, [row["distance"] for row in rows], "o", color=color)
    left.set(xscale="log", yscale="log", xlabel="samples in each set, N", ylabel="Fréchet distance, truth 0")
    left.legend()
    rows = list(measured["clips"].values())
    inverse = [1 / row["n"] for row in rows]
    right.plot([0, *inverse], [0, *(row["law"] for row in rows)], color=viz.figures.COLORS[1], label="law")
    right.plot(inverse, [row["distance"] for row in rows], "o", color=viz.figures.COLORS[0], label="measured")
    right.set(xlabel="1 / N", ylabel="FVD-digits, real to real")
    right.set_xticks([1 / 256, 1 / 500, 1 / 1000, 0], ["1/256", "1/500", "1/1000", "0"])
    right.legend()
    viz.save_figure(fig, OUT / "bias.png")
    return {}


def render(fig: Any) -> np.ndarray:
    """A figure as pixels on its card `(H, W, 3)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    fig.set_facecolor(viz.figures.CARD)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


PARTS = {"rungs": rungs, "blind": blind, "ladder": ladder, "network": network, "bias": bias}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
    write_json(RESULTS, {**numbers, "command": f"python book/appendix/{command_line()}", **environment()})
