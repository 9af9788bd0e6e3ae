"""Figures and clips of chapter 5, and the numbers that its text quotes.

    python book/video/temporal_figures.py          all of them, about two minutes on one CPU thread
    python book/video/temporal_figures.py plane    only those named: walks, plane, forgetting, mocogan, carried,
                                                   tganv2, costs, memory, samples

Writes book/_static/temporal/ and results/temporal-figures.json. `walks`, `mocogan`, `carried`, `tganv2` and `samples`
use weights that ship with the package. The pictures of failures and of long clips come from
results/temporal_failures.py and results/temporal_long.py.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from vidgen_lab import create_model, load_pretrained, viz
from vidgen_lab.core import Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.models.tgan import clip_singular_values
from vidgen_lab.nn.arithmetic import Row, layer_table, map_bytes
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.explorer import slerp
from vidgen_lab.viz.files import mp4_bytes, png_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "temporal"
RESULTS = ROOT / "results" / "temporal-figures.json"
DRAWN, CONTENTS, MOTIONS = 30, 5, 6  # contents and motions that are drawn; rows and columns of the grid of swaps
SAME = 12  # contents and motions of each digit in `carried`
SEEDS, FRAMES = 5, 33  # of `forgetting`: fresh networks, and how far their paths are followed
OFFSETS = [1, 0, 1]  # first frames that the subsampling layers of `flow` keep
MODELS = ("tgan", "mocogan", "tganv2")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def save_film(clips: Tensor, name: str, columns: int, zoom: int = 2, fps: float = 8) -> None:
    """Clips playing side by side, `columns` in a row, enlarged pixel by pixel."""
    frames = [viz.grid(clips[:, :, t], columns).repeat(zoom, 0).repeat(zoom, 1) for t in range(clips.shape[2])]
    write_bytes(OUT / name, mp4_bytes(np.stack(frames), fps=fps))


def walks() -> dict[str, Any]:
    """Three films that an image generator can make: one point, points at random, points along an arc."""
    model = load_pretrained("dcgan")
    start, end, *others = torch.randn(9, 1, model.config.latent_dim, generator=rng(9))
    paths = [
        [start] * 8,
        [start, *others],
        [slerp(start, end, mix) for mix in np.linspace(0, 1, 8)],
    ]
    with model.inference():
        frames = model.generator(torch.cat([torch.cat(path) for path in paths]))
    write_bytes(OUT / "walks.png", png_bytes(viz.grid(frames, columns=8)))
    return {}


def plane() -> dict[str, Any]:
    """What a matrix does to the circle of all directions, after clipping its singular values, after dividing by one."""
    turn = torch.tensor([[0.87, -0.5], [0.5, 0.87]])
    matrix = turn @ torch.diag(torch.tensor([1.9, 0.6])) @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    clipped = matrix.clone()
    clip_singular_values(clipped)
    matrices = {
        "as trained": matrix,
        "singular values clipped": clipped,
        "spectral norm": matrix / torch.linalg.svdvals(matrix)[0],
    }
    angles = torch.linspace(0, 2 * torch.pi, 200)
    circle = torch.stack([angles.cos(), angles.sin()])  # (2, 200)
    fig, axes = viz.figure(
        1,
        3,
        alt="Three times a dashed circle of radius 1 and an ellipse, the picture of that circle. As trained, the "
        "ellipse is almost twice as long as the circle and a little over half as wide. With its singular values "
        "clipped, it is as long as the circle and as wide as before. With spectral norm, it is as long as the circle "
        "and much thinner than before.",
        width=7.6,
        height=2.4,
        sharex=True,
        sharey=True,
    )
    for ax, (name, values) in zip(axes, matrices.items(), strict=True):
        left, sizes, _ = torch.linalg.svd(values)
        ellipse = values @ circle
        ax.plot(*circle, color=viz.figures.INK, linestyle="--", linewidth=1)
        ax.fill(*ellipse, color=viz.figures.REAL, alpha=0.15)
        ax.plot(*ellipse, color=viz.figures.REAL)
        for axis, size in zip(left.T, sizes, strict=True):
            ax.plot(*torch.stack([torch.zeros(2), size * axis], 1), color=viz.figures.FAKE, linewidth=2)
        ax.set_title(f"{name}\n{sizes[0]:.2f} and {sizes[1]:.2f}", fontsize=11)
        ax.set_aspect("equal")
        ax.set_axis_off()
    viz.save_figure(fig, OUT / "plane.png")
    return {}


def forgetting() -> dict[str, Any]:
    """How long two paths of a fresh network stay apart that differ in their start alone, as a share of frame 0."""
    curves = {}
    for label, lasting in (("GRU as torch makes it", False), ("GRU that lasts", True)):
        curves[label] = []
        for seed in range(SEEDS):
            net = create_model("mocogan", "ci", seed=seed, motion_dim=64, lasting=lasting).generator
            starts = torch.randn(2, 50, 64, generator=rng(seed))
            curves[label].append(apart(*(net.motion_codes(start, torch.zeros(50, FRAMES, 64)) for start in starts)))
    for label, bias in (("ConvLSTM, forget bias 0", 0.0), ("ConvLSTM, forget bias 3", 3.0)):
        curves[label] = []
        for seed in range(SEEDS):
            net = create_model("tganv2", "ci", seed=seed, forget_bias=bias).generator.recurrent
            starts = torch.randn(2, 50, net.state.in_channels, 2, 2, generator=rng(seed))
            curves[label].append(apart(*(net(start, FRAMES).transpose(1, 2) for start in starts)))
    means = {label: torch.stack(of).mean(0) for label, of in curves.items()}
    fig, ax = viz.figure(
        alt="How far two paths with different starts are apart over 32 frames, on a logarithmic scale. With the two "
        "networks as they are usually begun they fall to a thousandth in 15 frames; with the two that are begun to "
        "last they stay far apart.",
        width=6.4,
        height=3.0,
    )
    for label, values in means.items():
        ax.plot(values, label=label)
    ax.axvline(16, color=viz.figures.INK, linewidth=0.8, linestyle="--")
    ax.set(xlabel="frame", ylabel="apart, share of frame 0", yscale="log", ylim=(1e-4, 10))
    fig.legend(loc="outside upper center", ncols=2, frameon=False, labelcolor=viz.figures.INK)
    viz.save_figure(fig, OUT / "forgetting.png")
    return {"apart_at_15": {label: values[15].item() for label, values in means.items()}}


@torch.no_grad()
def apart(one: Tensor, other: Tensor) -> Tensor:
    """Mean distance of two sets of paths `(B, T, ...)` in each frame, over that in frame 0: `(T,)`."""
    distance = (one - other).flatten(2).norm(dim=2).mean(0)
    return distance / distance[0]


def parts(model: Model, n: int, seed: int) -> dict[str, Tensor]:
    """What MoCoGAN draws before it draws a clip, for n clips of 16 frames: content, start, noise and labels."""
    config, generator = model.config, rng(seed)
    labels = model.example_condition(n, generator) or {}
    return {
        "content": torch.randn(n, config.content_dim, generator=generator),
        "start": torch.randn(n, config.motion_dim, generator=generator),
        "noise": torch.randn(n, config.frames, config.motion_dim, generator=generator),
        **labels,
    }


def swapped(model: Model, content: dict[str, Tensor], motion: dict[str, Tensor]) -> Tensor:
    """Every content of one set with every motion of the other: `(contents * motions, C, T, S, S)`."""
    rows, columns = len(content["content"]), len(motion["start"])
    with model.inference():
        codes = model.generator.motion_codes(motion["start"], model.config.noise * motion["noise"], motion)
        codes = codes.repeat(rows, 1, 1)  # (rows * columns, T, M)
        held = {name: values.repeat_interleave(columns, 0) for name, values in content.items()}
        return model.generator(model.generator.codes(held["content"], codes, labels=held))


def mocogan() -> dict[str, Any]:
    """Content and motion exchanged between clips, and the motion code as a path."""
    model, reader = load_pretrained("mocogan"), load_pretrained("digits-3d")
    content, motion = parts(model, DRAWN, 1), parts(model, DRAWN, 2)
    clips = swapped(model, content, motion)
    logits = [reader.logits(some) for some in clips.split(100)]
    read = {name: torch.cat([part[name] for part in logits]).argmax(1).view(DRAWN, DRAWN) for name in logits[0]}
    right = (read["digit"] == content["digit"][:, None]).float()  # (contents, motions)
    rows: list[int] = []  # the contents that are read best, each of another digit
    for row in right.mean(1).argsort(descending=True, stable=True).tolist():
        if len(rows) < CONTENTS and content["digit"][row] not in content["digit"][rows]:
            rows.append(row)
    columns = right.mean(0).argsort(descending=True, stable=True)[:MOTIONS]
    shown = clips.unflatten(0, (DRAWN, DRAWN))[rows][:, columns].flatten(0, 1)
    save_film(shown, "swap.mp4", MOTIONS, zoom=3)
    # In print: of the first content and of the second, the first three motions, frame by frame.
    strip = torch.cat([shown[row * MOTIONS : row * MOTIONS + 3] for row in (0, 1)])
    viz.save(strip[:, :, ::2], OUT / "swap.png")
    orbits(model)
    hits = {name: (read[name] == motion[name]).float().mean().item() for name in ("direction", "speed")}
    return {"kept": {"drawn": DRAWN, "clips": len(clips), "digit": right.mean().item(), **hits}}


def carried() -> dict[str, Any]:
    """What no label says, within each digit: shares of its variance that go with the content, and with the motion."""
    model, sums = load_pretrained("mocogan"), []
    for digit in range(10):
        content, motion = parts(model, SAME, 100 + digit), parts(model, SAME, 200 + digit)
        content["digit"] = torch.full((SAME,), digit)
        spread = looks(swapped(model, content, motion)).view(4, SAME, SAME)
        spread -= spread.mean((1, 2), keepdim=True)
        by = [SAME * spread.mean(axis).square().sum(1) for axis in (2, 1)]  # of the contents, of the motions
        sums.append(torch.stack([*by, spread.square().sum((1, 2))]))
    slant, ink, x, y = torch.stack(sums).sum(0).T  # (3,) each
    found = {"slant": slant, "ink": ink, "place": x + y}
    shares = {key: {"content": (a / c).item(), "motion": (b / c).item()} for key, (a, b, c) in found.items()}
    return {"carried": {"clips": 10 * SAME**2, "drawn": SAME, **shares}}


def looks(clips: Tensor) -> Tensor:
    """Slant and ink of the digit, means over the frames, and where it is in frame 0: `(N, 1, T, S, S) -> (4, N)`."""
    ink = ((clips[:, 0] + 1) / 2).clamp_min(1e-6)  # (N, T, S, S)
    place = torch.arange(clips.shape[-1], dtype=ink.dtype)
    mass = ink.sum((2, 3))
    x, y = ((ink.sum(axis) * place).sum(2) / mass for axis in (2, 3))  # (N, T)
    right, down = place - x[..., None, None], (place - y[..., None])[..., None]
    slant = (ink * right * down).sum((2, 3)) / (ink * down.square()).sum((2, 3))  # pixels to the right for one down
    return torch.stack([slant.mean(1), mass.mean(1), x[:, 0], y[:, 0]])


def orbits(model: Model) -> None:
    """The motion code in the plane of its two strongest directions, with no noise, as trained, and with more."""
    sample = parts(model, 200, 5)
    with model.inference():
        walk = model.generator.motion_codes
        usual = walk(sample["start"], model.config.noise * sample["noise"], sample)
        middle = usual.mean((0, 1))
        axes_of_codes = torch.linalg.svd((usual - middle).flatten(0, 1), full_matrices=False)[2][:2]  # (2, M)
        first = {name: values[:1].expand(6, *values.shape[1:]) for name, values in sample.items()}
        noises = torch.randn(6, 48, model.config.motion_dim, generator=rng(6))
        paths = {
            "no noise": walk(first["start"][:1], 0 * noises[:1], {name: values[:1] for name, values in first.items()}),
            "noise as trained": walk(first["start"], model.config.noise * noises, first),
            "noise of 1": walk(first["start"], noises, first),
        }
    fig, axes = viz.figure(
        1,
        3,
        alt="Three pictures of paths in a plane, all from one start. Without noise there is one smooth path, with the "
        "noise of its training six paths that are almost one, with noise of 1 six frayed ones.",
        width=7.8,
        height=2.9,
        sharex=True,
        sharey=True,
    )
    for ax, (title, codes) in zip(axes, paths.items(), strict=True):
        for path in (codes - middle) @ axes_of_codes.T:
            ax.plot(*path.T, marker=".", markersize=3, linewidth=1)
            ax.plot(*path[0], "o", color=viz.figures.INK, markersize=5)
        ax.set(title=title, xticks=[], yticks=[])
    viz.save_figure(fig, OUT / "orbits.png")


def noise_for(model: Model, n: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """TGANv2's noise and labels for n clips."""
    generator = rng(seed)
    labels = model.example_condition(n, generator) or {}
    return 2 * torch.rand(n, model.config.latent_dim, generator=generator) - 1, labels


def enlarged(clips: Tensor, side: int) -> Tensor:
    """Clips with each pixel repeated until a frame has `side` of them."""
    factor = side // clips.shape[-1]
    return clips.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def tganv2() -> dict[str, Any]:
    """What each level renders: of all frames, and of those that are left in training."""
    model = load_pretrained("tganv2")
    size = model.config.size
    latent, labels = noise_for(model, 6, 0)
    with model.inference():
        clips = model.levels(latent, labels)
    save_film(torch.cat([enlarged(level, size) for level in clips]), "levels.mp4", columns=6, zoom=3)
    viz.save(torch.cat([enlarged(level[:1], size) for level in clips])[:, :, ::2], OUT / "levels.png")
    flow(model)
    latent, labels = noise_for(model, 200, 1)
    with model.inference():
        *lower, top = model.levels(latent, labels)
    return {"levels_agree": [correlation(level, top) for level in lower]}


def correlation(clips: Tensor, top: Tensor) -> float:
    """Of the pixels of a level with those of the highest level, averaged down to its size."""
    pooled = avg_pool3d(top, (1, *(big // small for big, small in zip(top.shape[3:], clips.shape[3:], strict=True))))
    return torch.corrcoef(torch.stack([clips.flatten(), pooled.flatten()]))[0, 1].item()


def flow(model: Model) -> None:
    """Four clips on their way through the levels in training; frames and clips that are dropped leave an empty cell."""
    config = replace(model.config, batch_strides=(1, 2, 2))
    copy = type(model)(config).eval()
    with model.inference():
        copy.generator.load_state_dict(model.generator.state_dict())
        latent, labels = noise_for(model, 4, 2)
        clips = copy.levels(latent, labels, subsample=True, offsets=OFFSETS)
    fig, axes = viz.figure(
        config.levels,
        1,
        alt="Four grids of four rows, one a clip, and sixteen columns, one a frame. At the first level every cell "
        "shows a frame of a few coarse pixels. At each further level half of the frames are left, at the last two "
        "also half of the clips, and the pixels are half as large. At the last, one clip has two sharp frames; all "
        "other cells are empty.",
        width=7.6,
        height=8.2,
    )
    rows, columns = torch.arange(4), torch.arange(config.frames)
    for level, (ax, level_clips) in enumerate(zip(axes, clips, strict=True)):
        if level:
            rows = rows[:: config.batch_strides[level - 1]]
            columns = columns[OFFSETS[level - 1] :: config.time_strides[level - 1]]
        count, _, frames, side, _ = level_clips.shape
        assert (count, frames) == (len(rows), len(columns))
        ax.set(xlim=(0, config.frames), ylim=(4, 0), aspect="equal", yticks=[], xticks=[])
        for row in range(4):
            for column in range(config.frames):
                ax.add_patch(Rectangle((column + 0.04, row + 0.04), 0.92, 0.92, fill=False, edgecolor="#cccccc"))
        for row, clip in zip(rows.tolist(), level_clips, strict=True):
            for column, frame in zip(columns.tolist(), clip[0], strict=True):
                place = (column + 0.04, column + 0.96, row + 0.96, row + 0.04)
                ax.imshow(frame, cmap="gray", vmin=-1, vmax=1, extent=place, interpolation="nearest")
        ax.set(xlim=(0, config.frames), ylim=(4, 0))
        ax.grid(False)
        ax.spines[:].set_visible(False)
        ax.set_title(f"level {level + 1}: {side}x{side} pixels, {frames} frames, clips left: {count}", loc="left")
    axes[-1].set_xlabel("frame")
    axes[-1].set_xticks(np.arange(config.frames) + 0.5, range(config.frames), fontsize=9)
    viz.save_figure(fig, OUT / "flow.png")


class Training(nn.Module):
    """The path of training: a generator with its subsampling layers, `(B, Z)` to the clips of all levels."""

    def __init__(self, generator: nn.Module, offsets: list[int]) -> None:
        super().__init__()
        self.generator, self.offsets = generator, offsets

    def forward(self, latent: Tensor) -> list[Tensor]:
        return self.generator(latent, None, self.offsets)


def costs() -> dict[str, Any]:
    """The published TGANv2 by its layer table: each level with all frames, and with those that subsampling leaves."""
    with torch.device("meta"):
        model = create_model("tganv2", "paper")
        config = model.config
        latent = torch.zeros(1, config.latent_dim)
        rows = {
            "all": layer_table(model.generator, latent),
            "kept": layer_table(Training(model.generator, [0] * (config.levels - 1)), latent),
        }
        table = []
        for level in range(config.levels):
            side, left = config.size // 2 ** (config.levels - 1 - level), config.frames // 2**level
            entry: dict[str, Any] = {"side": side, "frames": left}
            for name, frames in (("all", config.frames), ("kept", left)):
                own = [
                    row for row in rows[name] if f"abstract.{level}." in row.name or f"rendering.{level}." in row.name
                ]
                clips = torch.zeros(1, config.channels, frames, side, side)
                entry[name] = {"generator": cost(own), "discriminator": cost(layer_table(critic(model, level), clips))}
            table.append(entry)
    sums = {
        name: {
            net: {key: sum(entry[name][net][key] for entry in table) for key in ("billions", "maps_mb")}
            for net in ("generator", "discriminator")
        }
        for name in ("all", "kept")
    }
    with torch.device("meta"):
        published = {name: count_parameters(create_model(name, "paper")) for name in MODELS}
    recurrent = cost([row for row in rows["all"] if "recurrent" in row.name])
    return {"costs": {"levels": table, "sums": sums, "recurrent": recurrent}, "published": published}


def critic(model: Model, level: int) -> nn.Module:
    return model.discriminator.levels[level]


def cost(rows: list[Row]) -> dict[str, float]:
    """Of one clip: multiply-adds in billions, and megabytes of what the layers write."""
    return {"billions": sum(row.multiply_adds for row in rows) / 1e9, "maps_mb": map_bytes(rows, 1) / 1e6}


def memory() -> dict[str, Any]:
    """What a pass keeps for its way back, level by level, in the four ways to subsample; results/tganv2_memory.py."""
    rows = read_json(ROOT / "results" / "tganv2-memory.json")["rows"]
    fig, axes = viz.figure(
        1,
        2,
        alt="Two bar charts, generator and critics, with a bar for each of four ways to train: naive, every second "
        "frame, every second clip, both. Each bar is stacked from four levels. In the naive way the highest level is "
        "most of the bar. The bars shrink from left to right; with both ways little is left. "
        "A line marks the floor at about half of each bar, a cross the measured memory above it.",
        width=7.8,
        height=3.6,
    )
    names = {"naive": "naive", "frame": "frames", "batch": "clips", "both": "both"}
    for ax, (network, title) in zip(axes, {"generator": "generator", "discriminator": "critics"}.items(), strict=True):
        bottom = np.zeros(len(names))
        levels = np.array([rows[case][network]["saved"] for case in names]) / 1e6  # (cases, levels)
        for level, height in enumerate(levels.T):
            ax.bar(list(names.values()), height, bottom=bottom, label=f"level {level + 1}", width=0.6)
            bottom += height
        floors, measured = ([rows[case][network][key] for case in names] for key in ("floor_mb", "resident_mb"))
        ax.hlines(floors, np.arange(4) - 0.4, np.arange(4) + 0.4, color=viz.figures.INK, label="floor")
        ax.plot(range(4), measured, "x", color=viz.figures.INK, markersize=8, label="measured")
        ax.set(title=title)
    axes[0].set_ylabel("MB")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, columnspacing=1.0, handlelength=1.2)
    viz.save_figure(fig, OUT / "memory.png")
    return {}


def samples() -> dict[str, Any]:
    """Six clips of each model that ships."""
    clips = torch.cat([load_pretrained(name).sample(6, generator=rng(0)) for name in MODELS])
    save_film(clips, "samples.mp4", columns=6, zoom=3)
    viz.save(torch.cat([clips[row * 6 : row * 6 + 2] for row in range(len(MODELS))])[:, :, ::2], OUT / "samples.png")
    return {}


PARTS = {
    "walks": walks,
    "plane": plane,
    "forgetting": forgetting,
    "mocogan": mocogan,
    "carried": carried,
    "tganv2": tganv2,
    "costs": costs,
    "memory": memory,
    "samples": samples,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
        write_json(RESULTS, {**numbers, "command": f"python book/video/{command_line()}", **environment()})
