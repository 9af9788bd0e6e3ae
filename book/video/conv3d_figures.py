"""Figures and clips of chapter 4, and the numbers that its text quotes.

    python book/video/conv3d_figures.py          all of them, about two minutes on one CPU thread
    python book/video/conv3d_figures.py theory   theory, training, streams

Writes book/_static/conv3d/ and results/conv3d-figures.json. `training` repeats vgan's preset `ci`; `streams` uses the
weights that ship with the package. The pictures of films and of repairs come from results/conv3d_films.py and
results/conv3d_repair.py.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import interpolate

from vidgen_lab import create_model, fit, load_pretrained, viz
from vidgen_lab.core import Draw, Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.nn.arithmetic import Row, alias, layer_table, map_bytes, receptive_field
from vidgen_lab.training.memory import LiveBytes, predict_memory
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.files import png_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "conv3d"
RESULTS = ROOT / "results" / "conv3d-figures.json"
FAST, PERIODS = 0.45, (1, 2)  # cycles a frame of the swinging digit; every how many frames are kept


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def show_array(ax: Any, pixels: np.ndarray, title: str, **options: Any) -> None:
    """A picture in a figure, without ticks unless they mean something."""
    ax.imshow(pixels, cmap="gray", **options)
    ax.set_title(title)
    ax.grid(False)


def theory() -> dict[str, Any]:
    """A clip as a box of pixels, receptive fields, temporal aliasing, memory over a step."""
    data = MovingDigits("test", size=32, frames=16)
    clip = data[3]["video"]  # (1, T, H, W)
    slices()
    return {**fields(clip), **aliasing(clip), **memory(), **toy()}


def slices() -> None:
    """What one row of pixels sees while a clip goes by: a digit, at rest, in motion, and with its frames shuffled."""
    data = MovingDigits("test", size=32, frames=16)
    batch = data.__getitems__(list(range(200)))
    index = int(((batch["direction"] == 0) & (batch["speed"] == 1)).nonzero()[1])
    moving = batch["video"][index : index + 1]
    row = int((moving[0, 0] + 1).sum((0, 2)).argmax())
    order = torch.randperm(16, generator=rng(1))
    clips = {
        "at rest": moving[:, :, :1].expand_as(moving),
        "in motion": moving,
        "frames shuffled": moving[:, :, order],
    }
    fig, axes = viz.figure(
        1,
        4,
        alt="A frame with a digit and a line through it, and three pictures of that line over sixteen frames. At rest "
        "the strokes draw upright bars, in motion slanted ones, with shuffled frames torn ones.",
        width=7.6,
        height=2.6,
    )
    show_array(axes[0], moving[0, 0, 0].numpy(), "frame 0", vmin=-1, vmax=1)
    axes[0].axhline(row, color=viz.figures.FAKE)
    axes[0].set(xticks=[], yticks=[])
    for ax, (title, video) in zip(axes[1:], clips.items(), strict=True):
        show_array(ax, viz.x_t_slice(video, row), title, aspect=2)
        ax.set(xlabel="column x", xticks=[], yticks=[0, 15])
    axes[1].set_ylabel("frame t")
    viz.save_figure(fig, OUT / "slices.png")


def fields(clip: Tensor) -> dict[str, Any]:
    """What one number of each layer of the discriminator sees: by the layer table, and by its gradient."""
    critic = create_model("c3dgan", "ci").discriminator.layers
    rows = layer_table(critic, clip[None])
    fields = [receptive_field(rows[: level + 1]) for level in range(len(rows))]
    heat, boxes = [], []
    wide = torch.zeros(1, 1, 64, 96, 96)  # wider than the clips, so that no field sticks out
    for level in range(3):
        video = wide.clone().requires_grad_()
        total = torch.zeros_like(wide)
        for seed in range(8):
            layers = create_model("c3dgan", "ci", seed=seed).discriminator.layers[: 2 * level + 1]
            for leaky in layers[1::2]:
                leaky.inplace = False
            out = layers(video)
            middle = [side // 2 for side in out.shape[2:]]
            (gradient,) = torch.autograd.grad(out[(0, slice(None), *middle)].square().sum(), video)
            total += gradient.abs()
        seen = total[0, 0]
        places = seen.nonzero()
        low, high = places.min(0).values, places.max(0).values + 1
        boxes.append((high - low).tolist())
        heat.append((seen, low, high))
    seen, low, high = heat[2]
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, a frame; right, one row of pixels over time. Three nested boxes mark what one number sees after "
        "one, two and three layers: 4, 10 and 22 pixels, and as many frames. Below them a glow: the gradient of one "
        "number of the third layer is strongest in the middle and fades towards the edge of its box.",
        width=7.0,
        height=3.4,
    )
    centre = (low + high - 1) / 2  # row and column numbers stand in the middle of their pixels
    planes = (("one frame", 0, 1, "row y"), ("one row", 1, 0, "frame t"))
    across = 2
    for ax, (title, summed, down, ylabel) in zip(axes, planes, strict=True):
        plane = seen.sum(summed)
        ax.imshow(plane.sqrt(), cmap=viz.figures.DENSITY, origin="upper")
        for level, (_, first, last) in enumerate(heat):
            box = (last - first).tolist()
            corner = (float(centre[across] - box[across] / 2), float(centre[down] - box[down] / 2))
            color = viz.figures.COLORS[level]
            ax.add_patch(Rectangle(corner, box[across], box[down], fill=False, edgecolor=color, linewidth=1.8))
            ax.text(corner[0] + 0.5, corner[1] - 0.6, f"layer {level + 1}", color=color, fontsize=9)
        ax.set(title=title, xlabel="column x", ylabel=ylabel)
        ax.set(xlim=(centre[across] - 16, centre[across] + 16), ylim=(centre[down] + 16, centre[down] - 16))
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    viz.save_figure(fig, OUT / "fields.png")
    assert boxes == [list(field) for field in fields[:3]], (boxes, fields)
    generator = create_model("c3dgan", "ci").generator
    reach = receptive_field(layer_table(generator, torch.zeros(1, 100))[1:])
    return {"fields": fields, "fields_by_gradient": boxes, "reach": reach}


def swing(clip: Tensor, frequency: float, frames: int) -> Tensor:
    """A digit that swings left and right, `(T, H, W)`: it is shifted by up to 5 pixels, `frequency` cycles a frame."""
    picture = clip[0, 0]
    shifts = [round(5 * np.cos(2 * np.pi * frequency * t)) for t in range(frames)]
    return torch.stack([picture.roll(shift, dims=1) for shift in shifts])


def loudest(video: Tensor) -> float:
    """The strongest frequency in the sideways motion of the ink, in cycles a frame."""
    ink = video + 1
    place = (ink.sum(1) * torch.arange(video.shape[2])).sum(1) / ink.sum((1, 2))
    power = torch.fft.rfft(place - place.mean()).abs()
    return torch.fft.rfftfreq(len(place))[power.argmax()].item()


def aliasing(clip: Tensor) -> dict[str, Any]:
    """A fast swing looks slow when only every second frame is kept."""
    video = swing(clip, FAST, 160)
    found = {str(stride): loudest(video[::stride]) for stride in (1, 2, 4)}
    row = int((video + 1).sum((0, 2)).argmax())
    fig, axes = viz.figure(
        1,
        3,
        alt="Left, one row of pixels over 24 frames: the strokes jump from side to side at nearly every frame. Middle, "
        "every second of 48 frames: the same strokes swing slowly. Right, three zigzag lines: the seen frequency over "
        "the true one, for every frame, every second and every fourth.",
        width=7.6,
        height=3.0,
        width_ratios=(1, 1, 1.5),
    )
    for ax, stride in zip(axes, PERIODS, strict=False):
        kept = video[::stride][:24]
        title = "every frame" if stride == 1 else "every second frame"
        show_array(ax, viz.x_t_slice(kept[None, None], row), title, aspect=1.6)
        ax.set(xlabel="column x", xticks=[], yticks=[0, 23])
    axes[0].set_ylabel("kept frame")
    true = np.linspace(0, 0.5, 201)
    for stride in (1, 2, 4):
        axes[2].plot(true, [alias(f, stride) for f in true], label=f"stride {stride}")
    axes[2].plot([FAST, FAST], [alias(FAST, 1), alias(FAST, 2)], "ko", markersize=5)
    axes[2].set(xlabel="true frequency, cycles a frame", ylabel="seen, cycles a kept frame")
    axes[2].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=0.8, handlelength=1.2)
    viz.save_figure(fig, OUT / "alias.png")
    predicted = {str(stride): alias(FAST, stride) for stride in (1, 2, 4)}
    return {"alias": {"true": FAST, "seen": found, "predicted": predicted}}


def world(pan: int) -> tuple[Tensor, Tensor]:
    """A white square that walks in front of a wall, and where it is; the camera moves `pan` pixels a frame."""
    wall = torch.rand(16, 48, generator=rng()) - 1
    clip = torch.stack([wall[:, pan * t : pan * t + 16] for t in range(16)])
    square = torch.zeros(16, 16, 16)  # (T, H, W)
    for t in range(16):
        square[t, 6:9, max(t - 1, 0) : t + 2] = 1
    return torch.where(square > 0, 1.0, clip), square


def separate(clip: Tensor, price: float = 0.1, steps: int = 400) -> list[Tensor]:
    """A clip `(T, H, W)` as drawn, mask, foreground and background, by gradient descent on these themselves."""
    still = torch.zeros_like(clip[:1], requires_grad=True)
    moving, opening = (torch.zeros_like(clip, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.Adam([still, moving, opening], lr=0.05)
    for _ in range(steps):
        background, foreground, mask = still.tanh(), moving.tanh(), opening.sigmoid()
        drawn = mask * foreground + (1 - mask) * background
        loss = (drawn - clip).abs().mean() + price * mask.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [part.detach() for part in (drawn, mask, foreground, background)]


def toy() -> dict[str, Any]:
    """The streams of a toy clip, with a camera that stands and with one that pans."""
    rows, numbers = [], {}
    for name, pan in (("still", 0), ("panning", 1)):
        clip, square = world(pan)
        drawn, mask, foreground, background = separate(clip)
        numbers[name] = {"mask": mask.mean().item(), "square": square.mean().item()}
        parts = [clip, 2 * mask - 1, foreground, background.expand_as(clip)]
        rows += [torch.stack([part[t] for part in parts for t in (2, 7, 12)])[:, None]]
    pixels = viz.grid(torch.cat(rows), columns=12)
    write_bytes(OUT / "toy.png", png_bytes(pixels.repeat(3, 0).repeat(3, 1)))
    return {"toy": numbers}


class Timeline(LiveBytes):
    """Notes how much is alive after each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.curve: list[float] = []

    def __torch_dispatch__(self, *given: Any, **more: Any) -> Any:
        out = super().__torch_dispatch__(*given, **more)
        self.curve.append(self.now / 1e6)
        return out


def memory() -> dict[str, Any]:
    """How much of memory is alive while a step of vgan runs, and the formula for one network by hand."""
    model, batch = create_model("vgan", "ci"), {"video": torch.zeros(16, 1, 16, 32, 32)}
    curves = {}
    for phase in model.phases:
        with Timeline() as live:
            model(phase.name, batch, Draw(0, 1)).total.backward()  # step 1: no lazy penalty
        curves[phase.name] = live.curve
        model.zero_grad()
    fig, ax = viz.figure(
        alt="Megabytes alive over the operations of each phase: they climb in steps during the forward pass, reach "
        "their peak where the backward pass begins, and fall again.",
        width=6.4,
        height=2.8,
    )
    for name, curve in curves.items():
        ax.plot(np.linspace(0, 1, len(curve)), curve, label=f"phase {name}")
    ax.set(xlabel="operations of the phase, from the first to the last", ylabel="alive, MB", xticks=[])
    ax.legend()
    viz.save_figure(fig, OUT / "memory.png")
    rows = layer_table(model.discriminator, batch["video"][:1])
    table = [entry(row) for row in rows]
    paper = predict_memory(model, {"video": torch.zeros(1, 1, 16, 32, 32)})
    return {
        "discriminator": table,
        "discriminator_maps_mb": map_bytes(rows, 16) / 1e6,
        "one_clip_mb": paper.activations / 1e6,
        "costs": {
            name: sum(row.multiply_adds for row in layer_table(network, given))
            for name, network, given in (
                ("discriminator", model.discriminator, batch["video"][:1]),
                ("foreground", model.generator.foreground, torch.zeros(1, 100, 1, 1)),
                ("background", model.generator.background, torch.zeros(1, 100, 1, 1)),
            )
        },
        "parameters": count_parameters(model),
    }


def entry(row: Row) -> dict[str, Any]:
    """A row of the layer table as a manifest holds it."""
    return {
        "kernel": row.kernel,
        "width_out": row.width_out,
        "size_out": row.size_out,
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
    }


def training() -> dict[str, Any]:
    """vgan's ci preset, watched while it learns."""
    model = create_model("vgan", "ci")
    steps = model.recipe.steps
    budgets, strips, masks = [steps // 10, steps // 3, steps], [], []

    def look(step: int, model: Model, record: dict[str, float]) -> None:
        masks.append(record["generator/mask"])
        if step + 1 in budgets:
            strips.append(model.sample(2, generator=rng(3)))

    fit(model, device="cpu", callback=look, progress=False)
    viz.save(torch.cat(strips)[:, :, ::2], OUT / "budgets.png")
    return {"budgets": budgets, "mask_first": masks[0], "mask_last": sum(masks[-20:]) / 20}


def streams() -> dict[str, Any]:
    """The shipped generator, its parts, and what happens when the mask is held open or shut."""
    model = load_pretrained("vgan").eval()
    clips = model.sample(12, generator=rng(0))
    viz.save(interpolate(clips, scale_factor=(1, 3, 3), mode="nearest"), OUT / "samples.mp4", fps=8)
    viz.save(clips[:6, :, ::2], OUT / "samples.png")
    labels = model.example_condition(1, rng(0)) or {}
    with model.inference():
        parts = model.streams(torch.randn(1, model.config.latent_dim, generator=rng(0)), labels)
    shape = parts["video"].shape
    strips = [parts["video"], 2 * parts["mask"] - 1, parts["foreground"], parts["background"]]
    viz.save(torch.cat([strip.expand(shape) for strip in strips])[:, :, ::2], OUT / "streams.png")
    return {"mask": parts["mask"].mean().item(), "mask_open": (parts["mask"] > 0.5).float().mean().item()}


PARTS = {"theory": theory, "training": training, "streams": streams}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
        write_json(RESULTS, {**numbers, "command": f"python book/video/{command_line()}", **environment()})
