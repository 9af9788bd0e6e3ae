"""Figures and clips of chapter 7, and the numbers that its text quotes.

    python book/video/videogpt_figures.py theory                   needs no trained weights; ten CPU-seconds
    python book/video/videogpt_figures.py shipped                  with the weights that ship; about a minute
    python book/video/videogpt_figures.py shipped --model runs/x   with those of a run

Writes book/_static/videogpt/ and results/videogpt-figures.json.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from vidgen_lab import create_model, load_model, load_pretrained, viz
from vidgen_lab.core import Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.models.videogpt import AxialAttention
from vidgen_lab.nn.labels import count_values
from vidgen_lab.nn.transformer import Attention, Positions, sharpen
from vidgen_lab.training.state import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "videogpt"
RESULTS = ROOT / "results" / "videogpt-figures.json"
SEEN, HERE, OTHER = "#c9d8e6", viz.figures.FAKE, "#ffffff"  # colours of places


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cells(ax: Any, colors: list[list[str]], texts: list[list[str]] | None = None) -> None:
    """A grid of coloured squares, row by row, with a text in each."""
    rows, columns = len(colors), len(colors[0])
    for row in range(rows):
        for column in range(columns):
            ax.add_patch(Rectangle((column, row), 1, 1, facecolor=colors[row][column], edgecolor="#888888", lw=0.6))
            if texts:
                ax.text(column + 0.5, row + 0.52, texts[row][column], ha="center", va="center", fontsize=9)
    ax.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[], aspect="equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)


def theory() -> dict[str, Any]:
    """What needs no trained weights."""
    raster()
    return {"axial": axial(), "positions": positions(), "cache": cache(), "tail": tail(), **cost(), **published()}


def raster(moments: int = 4, side: int = 4, place: tuple[int, int, int] = (2, 1, 2)) -> None:
    """A clip, two frames a moment, and the order in which the codes of its box are written."""
    clip = MovingDigits("test", size=32, frames=2 * moments)[3]["video"]  # (1, T, H, W)
    here = (place[0] * side + place[1]) * side + place[2]
    fig, axes = viz.figure(
        2,
        moments,
        alt="Above, a clip as four pairs of frames. Below, four grids of four by four cells, one for each pair, with "
        "the numbers 0 to 63 row by row and then grid by grid. Cell 38, in the third grid, is marked; all cells with "
        "smaller numbers are shaded.",
        width=7.6,
        height=3.4,
        height_ratios=(1, 1.9),
    )
    for moment in range(moments):
        pair = torch.cat([clip[0, 2 * moment], torch.ones(32, 1), clip[0, 2 * moment + 1]], dim=1)
        axes[0, moment].imshow(pair, cmap="gray", vmin=-1, vmax=1)
        axes[0, moment].set(title=f"frames {2 * moment}, {2 * moment + 1}", xticks=[], yticks=[])
        axes[0, moment].grid(False)
        numbers = [[(moment * side + row) * side + column for column in range(side)] for row in range(side)]
        colors = [[HERE if i == here else SEEN if i < here else OTHER for i in row] for row in numbers]
        cells(axes[1, moment], colors, [[str(i) for i in row] for row in numbers])
        axes[1, moment].set_xlabel(f"moment {moment}")
    viz.save_figure(fig, OUT / "raster.png")


def axial(side: int = 5, place: tuple[int, int, int] = (2, 1, 3)) -> dict[str, Any]:
    """How far one place sees through one, two and three layers of axial attention: where its gradient is not 0."""
    reached = {}
    fig, axes = viz.figure(
        3,
        side,
        alt="Three rows of five grids of five by five cells, one grid for each moment. With one layer the marked cell "
        "sees its own row and column and the same cell of the other moments. With two it sees whole planes. With "
        "three it sees every cell.",
        width=6.6,
        height=4.4,
    )
    for layers in (1, 2, 3):
        torch.manual_seed(0)
        x = torch.randn(1, 8, side, side, side, requires_grad=True)
        out = x
        for _ in range(layers):
            out = out + AxialAttention(8, 2)(out)
        (gradient,) = torch.autograd.grad(out[(0, slice(None), *place)].square().sum(), x)
        seen = gradient[0].abs().sum(0) > 0  # (T, H, W)
        reached[str(layers)] = int(seen.sum())
        for moment in range(side):
            colors = [
                [
                    HERE if (moment, row, column) == place else SEEN if seen[moment, row, column] else OTHER
                    for column in range(side)
                ]
                for row in range(side)
            ]
            cells(axes[layers - 1, moment], colors)
        axes[layers - 1, 0].set_ylabel(f"{layers} layer{'s' * (layers > 1)}")
    for moment in range(side):
        axes[0, moment].set_title(f"moment {moment}")
    viz.save_figure(fig, OUT / "axial.png")
    return {"side": side, "places": side**3, "reached": reached}


def milliseconds(call: Callable[[], Any]) -> float:
    """CPU time of one call, the least of seven."""
    spent = []
    for _ in range(8):
        start = time.process_time()
        call()
        spent.append(1000 * (time.process_time() - start))
    return min(spent[1:])


BOXES = ((4, 4, 4), (4, 8, 8), (8, 8, 8), (8, 16, 16), (4, 32, 32))


def cost(width: int = 48, heads: int = 2) -> dict[str, Any]:
    """Pairs of places that look at each other, by count; and the time of full and of axial attention, by the clock."""
    torch.manual_seed(0)
    full, lines = Attention(width, heads, causal=False, bias=False).eval(), AxialAttention(width, heads).eval()
    table = {}
    for box in BOXES:
        places = math.prod(box)
        x = torch.randn(1, width, *box)
        sequence = x.flatten(2).transpose(1, 2)
        with torch.no_grad():
            spent = {"full": milliseconds(lambda s=sequence: full(s)), "axial": milliseconds(lambda b=x: lines(b))}
        table["x".join(map(str, box))] = {
            "places": places,
            "full": places**2,
            "causal": places * (places + 1) // 2,
            "axial": places * sum(box),
            "fewer": places / sum(box),
            "ms": spent,
        }
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, looks over places on logarithmic axes: the line of full attention has slope two, causal attention "
        "runs half below it, axial attention is far flatter. Right, CPU time of a layer of full and of axial attention "
        "over places: axial is slower for the smallest boxes and far quicker for the largest.",
        width=7.6,
        height=3.2,
    )
    sides = np.array([2, 4, 8, 16, 32])
    places = sides.astype(float) ** 3
    for label, looks in (
        ("full", places**2),
        ("causal", places * (places + 1) / 2),
        ("axial", places * 3 * sides),
    ):
        axes[0].plot(places, looks, label=label)
    axes[0].set(xscale="log", yscale="log", xlabel="places of a cubic box", ylabel="looks in a layer")
    axes[0].legend()
    measured = sorted(table.values(), key=lambda row: row["places"])
    for name, color in (("full", 0), ("axial", 2)):
        axes[1].plot(
            [row["places"] for row in measured],
            [row["ms"][name] for row in measured],
            "o-",
            color=viz.figures.COLORS[color],
            label=name,
        )
    axes[1].set(xscale="log", yscale="log", xlabel="places", ylabel="forward, CPU ms")
    axes[1].legend()
    viz.save_figure(fig, OUT / "cost.png")
    return {"cost": {"width": width, "heads": heads, "boxes": table}}


def cache(length: int = 12) -> dict[str, Any]:
    """Which places each step of sampling computes: all so far, or one."""
    fig, axes = viz.figure(
        1,
        2,
        alt="Two squares of twelve steps by twelve places. Without a cache each step computes all places up to its "
        "own, a triangle. With a cache it computes one, the diagonal; the places before it are read from the cache.",
        width=6.6,
        height=3.3,
    )
    for ax, kept in zip(axes, (False, True), strict=True):
        before = SEEN if kept else HERE
        colors = [
            [HERE if place == step else before if place < step else OTHER for place in range(length)]
            for step in range(length)
        ]
        cells(ax, colors)
        ax.set(title="with a cache" if kept else "without a cache", xlabel="place", ylabel="step")
    viz.save_figure(fig, OUT / "cache.png")
    return {str(n): {"plain": n * (n + 1) // 2, "cached": n} for n in (length, 256, 4096)}


def positions(side: int = 4, place: tuple[int, int, int] = (1, 1, 2)) -> dict[str, Any]:
    """How alike the position vectors of a fresh transformer are: cosine of one place with all places."""
    torch.manual_seed(0)
    vectors = Positions((side, side, side), 576)().detach()
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    alike = (vectors @ vectors[(place[0] * side + place[1]) * side + place[2]]).view(side, side, side)
    coordinates = torch.cartesian_prod(*[torch.arange(side)] * 3)
    shared = (coordinates == torch.tensor(place)).sum(1).view(side, side, side)
    fig, axes = viz.figure(
        1,
        side,
        alt="Four grids of four by four cells with a number in each, the likeness of its position to that of one "
        "marked cell: 1.0 for the cell itself, about 0.67 along its three lines, about 0.33 on its planes, about 0 "
        "elsewhere.",
        width=7.2,
        height=2.2,
    )
    for moment, ax in enumerate(axes):
        ax.imshow(alike[moment], cmap=viz.figures.DENSITY, vmin=0, vmax=1)
        for row in range(side):
            for column in range(side):
                text = f"{alike[moment, row, column].item():.2f}".replace("-0.00", "0.00")
                ax.text(column, row, text, ha="center", va="center", fontsize=9)
        ax.set(title=f"moment {moment}", xticks=[], yticks=[])
        ax.grid(False)
    viz.save_figure(fig, OUT / "positions.png")
    return {"alike": {str(n): alike[shared == n].mean().item() for n in range(4)}}


RIGHT = (0.50, 0.25, 0.12, 0.08, 0.04)  # shares of the codes that fit, in a made-up prediction
WRONG_CODES = 123  # the rest of 1 % is spread over these
SETTINGS: dict[str, dict[str, float]] = {
    "as it is": {},
    "temperature 0.7": {"temperature": 0.7},
    "top-p 0.97": {"top_p": 0.97},
}


def tail() -> dict[str, Any]:
    """A prediction that is wrong once in a hundred draws, and what temperature and top-p make of it."""
    wrong = 1 - sum(RIGHT)
    shares = torch.tensor([*RIGHT, *[wrong / WRONG_CODES] * WRONG_CODES], dtype=torch.double)
    lengths = np.arange(0, 513)
    fig, axes = viz.figure(
        1,
        2,
        alt="Left, bars of the shares of five codes that fit and of the sum of all others, for three settings: the "
        "temperature and top-p make the likely codes likelier and the others rarer. Right, the chance that no wrong "
        "code was drawn over the number of codes: it falls to a few per cent within 256 codes as it is, more slowly "
        "with the temperature, and stays at one with top-p.",
        width=7.6,
        height=3.2,
    )
    numbers = {}
    for index, (name, options) in enumerate(SETTINGS.items()):
        kept = sharpen(shares.log()[None], **options).softmax(1)[0]
        missed = kept[len(RIGHT) :].sum().item()
        bars = [*kept[: len(RIGHT)].tolist(), missed]
        axes[0].bar(np.arange(6) + 0.27 * (index - 1), bars, 0.25, label=name)
        axes[1].plot(lengths, (1 - missed) ** lengths, label=name)
        numbers[name.replace("as it is", "plain").replace(" ", "-").replace(".", "_")] = {
            "wrong": missed,
            "entropy": -torch.xlogy(kept, kept).sum().item(),
            "clean": {str(n): (1 - missed) ** n for n in (256, 4096)},
        }
    axes[0].set(xticks=range(6), xticklabels=["1", "2", "3", "4", "5", "wrong"], xlabel="code", ylabel="share")
    axes[0].legend(fontsize=9)
    axes[1].set(xlabel="codes drawn", ylabel="none of them wrong", ylim=(0, 1.04))
    viz.save_figure(fig, OUT / "tail.png")
    return numbers


def published() -> dict[str, Any]:
    """Sizes of the published presets, counted without memory."""
    table = {}
    for preset in ("paper", "paper-64", "paper-bair"):
        with torch.device("meta"):
            tokenizer = create_model("videogpt-tokenizer", preset=preset)
            model = create_model("videogpt", preset="paper", tokenizer=tokenizer)
        config, length = model.config, math.prod(tokenizer.code_shape)
        counts, below = count_parameters(model), count_parameters(tokenizer)
        prior, frozen = counts["prior"], sum(below.values())
        linear = 12 * length * config.dim**2 * config.layers
        attention = length * (length + 1) * config.dim * config.layers  # queries by keys, and weights by values
        channels, frames, size = tokenizer.config.channels, tokenizer.config.frames, tokenizer.config.size
        bits = length * math.log2(tokenizer.num_codes)
        table[preset] = {
            "tokens": length,
            "prior_parameters": prior,
            "tokenizer_parameters": below,
            "tokenizer_total": frozen,
            "linear_gmacs": linear / 1e9,
            "attention_gmacs": attention / 1e9,
            "attention_share": attention / (attention + linear),
            "cache_mb": 2 * config.layers * length * config.dim * 4 / 1e6,
            "raw_bits": channels * frames * size**2 * 8,
            "bits": bits,
            "compression": channels * frames * size**2 * 8 / bits,
            "state_mb": {
                "weights": 4 * prior / 1e6,
                "gradient": 4 * prior / 1e6,
                "adam": 8 * prior / 1e6,
                "average": 4 * prior / 1e6,
                "tokenizer": 4 * frozen / 1e6,
                "together": (20 * prior + 4 * frozen) / 1e6,
            },
        }
    return {"published": table}


# With trained weights.


def shipped(model: Model) -> dict[str, Any]:
    """Samples, codes as pictures, what a code reaches, frames that still change, and where a place looks."""
    samples(model)
    sizes = model.tokenizer.config
    data = MovingDigits("test", size=sizes.size, frames=sizes.frames)
    clips = data.__getitems__(list(range(64)))["video"]
    codes = model.tokenizer.encode(clips)
    pictures(model.tokenizer, clips[3:4], codes[3:4])
    return {
        "tokens": codes[0].numel(),
        "reach": reach(model.tokenizer, codes),
        "unfinished": unfinished(model.tokenizer, codes),
        "cut": cut(model.tokenizer, clips, codes),
        "looks": looks(model, codes),
    }


def samples(model: Model) -> None:
    """A grid of samples, playing, and as filmstrips."""
    drawn = model.sample(12, generator=rng())
    film = torch.nn.functional.interpolate(drawn, scale_factor=(1, 3, 3), mode="nearest")
    viz.save(film, OUT / "samples.mp4", fps=8)
    viz.save(drawn[:6, :, ::2], OUT / "samples.png")


def pictures(tokenizer: Model, clip: Tensor, codes: Tensor) -> None:
    """A clip, its codes with a shade for each number, and what is drawn from them."""
    back, moments = tokenizer.reconstruct(clip), codes.shape[1]
    step = clip.shape[2] // moments
    fig, axes = viz.figure(
        3,
        moments,
        alt="Three rows. Above, one frame for each moment of a held-out clip. In the middle, the grid of its codes, a "
        "shade of grey for each number: most cells differ, black places too. Below, the frame as drawn from the codes.",
        width=min(7.6, 1.2 + 1.5 * moments),
        height=4.4,
    )
    shade = torch.rand(tokenizer.num_codes, generator=rng(1))
    for moment in range(moments):
        for row, picture in ((0, clip[0, 0, moment * step]), (2, back[0, 0, moment * step])):
            axes[row, moment].imshow(picture, cmap="gray", vmin=-1, vmax=1)
        axes[1, moment].imshow(shade[codes[0, moment]], cmap="gray", vmin=0, vmax=1)
        axes[0, moment].set_title(f"frame {moment * step}")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    for row, name in enumerate(("clip", "codes", "drawn")):
        axes[row, 0].set_ylabel(name)
    viz.save_figure(fig, OUT / "codes.png")


def reach(tokenizer: Model, codes: Tensor) -> dict[str, Any]:
    """Share of the change that falls in a moment's own frames, when its middle code is that of another clip."""
    moments, rows, columns = codes.shape[1:]
    moment, place = moments // 2, (rows // 2, columns // 2)
    swapped = codes.clone()
    swapped[:, moment, *place] = codes.roll(1, 0)[:, moment, *place]
    change = (tokenizer.decode(swapped) - tokenizer.decode(codes)).abs().mean((0, 1, 3, 4))  # (T,)
    share = change / change.sum()
    step = len(share) // moments
    return {
        "frames": share.tolist(),
        "own_frames": share[step * moment : step * (moment + 1)].sum().item(),
        "changed_frames": int((share > 0.01 * share.max()).sum()),
    }


def unfinished(tokenizer: Model, codes: Tensor) -> dict[str, Any]:
    """How much frames still change after their moment is written: decoded from the moments so far, against all."""
    whole = tokenizer.decode(codes)
    moments = codes.shape[1]
    step = whole.shape[2] // moments
    late = []
    for count in range(1, moments):
        so_far = tokenizer.decode(codes[:, :count])
        gap = (so_far - whole[:, :, : step * count]).abs().mean((0, 1, 3, 4))  # (step * count,)
        late.append(gap.flip(0))  # the newest frame first
    longest = late[-1]
    fig, ax = viz.figure(
        alt="Mean change of a frame, once the later moments are written, over how many frames it lies before the end "
        "of what was written: large for the newest frame, and falling to almost nothing for older ones.",
        width=5.6,
        height=2.8,
    )
    ax.plot(range(len(longest)), longest.tolist(), "o-")
    ax.set(xlabel="frames before the newest", ylabel="change still to come", ylim=(0, None))
    viz.save_figure(fig, OUT / "unfinished.png")
    return {"newest": longest[0].item(), "moment_before": longest[step].item() if len(longest) > step else None}


def cut(tokenizer: Model, clips: Tensor, codes: Tensor) -> dict[str, Any]:
    """Share of the codes of each moment that change when the clip is cut in half: the encoder looks ahead."""
    kept = codes.shape[1] // 2
    short = tokenizer.encode(clips[:, :, : clips.shape[2] // 2])
    changed = (short != codes[:, :kept]).float().mean((0, 2, 3))  # (kept,)
    return {"moments": kept, "first": changed[0].item(), "last": changed[-1].item()}


def looks(model: Model, codes: Tensor) -> dict[str, Any]:
    """Attention of one place of the last moment, each layer's mean over heads and clips, as a box."""
    moments, rows, columns = codes.shape[1:]
    place = (moments - 1, rows // 2, columns // 2)
    here = (place[0] * rows + place[1]) * columns + place[2]
    seen: list[Tensor] = []

    def note(attention: Attention, given: tuple[Tensor, ...], _: Tensor) -> None:
        x = given[0]
        query, key, _ = attention.project(x).view(*x.shape[:2], 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query[:, :, here : here + 1] @ key[:, :, : here + 1].transpose(2, 3) / query.shape[-1] ** 0.5
        weights = scores.softmax(3).mean((0, 1, 2))[1:]  # (here,): place j holds the code of place j - 1
        seen.append(torch.cat([weights, weights.new_zeros(codes[0].numel() - here)]).view(moments, rows, columns))

    hooks = [block.attention.register_forward_hook(note) for block in model.prior.blocks]
    with model.inference():
        labels = None
        if model.config.labels:
            labels = torch.zeros(len(codes), count_values(model.config.labels))
        given = model.tell(len(codes)) if model.config.prefix_frames else None
        model.prior(model._vectors(codes.flatten(1)), labels, given)
    for hook in hooks:
        hook.remove()
    fig, axes = viz.figure(
        len(seen),
        moments,
        alt="One row for each layer, one grid for each moment. The cell that is about to be written is framed in the "
        "last grid; the darker a cell, the more it is looked at. Dark cells lie just before the framed one, and in "
        "the last layer, fainter, around the same place of earlier moments.",
        width=min(7.6, 1.2 + 1.4 * moments),
        height=0.6 + 1.3 * len(seen),
        squeeze=False,
    )
    for layer, box in enumerate(seen):
        for moment in range(moments):
            ax = axes[layer, moment]
            ax.imshow(box[moment].sqrt(), cmap=viz.figures.DENSITY, vmin=0, vmax=box.max().sqrt().item())
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            if layer == 0:
                ax.set_title(f"moment {moment}")
        corner = (place[2] - 0.5, place[1] - 0.5)
        axes[layer, place[0]].add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=HERE, lw=2))
        axes[layer, 0].set_ylabel(f"layer {layer + 1}")
    viz.save_figure(fig, OUT / "looks.png")
    own = [box[place[0]].sum().item() for box in seen]
    return {"own_moment": own, "moment_before": [box[place[0] - 1].sum().item() for box in seen]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["theory", "shipped"], help="some of: theory, shipped")
    parser.add_argument("--model", type=Path, help="a run instead of the weights that ship")
    given = parser.parse_args()
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in given.parts:
        if part == "theory":
            numbers |= theory()
        else:
            numbers["shipped"] = shipped(load_model(given.model) if given.model else load_pretrained("videogpt"))
        write_json(RESULTS, {**numbers, "command": f"python book/video/{command_line()}", **environment()})
