"""Figures and clips of chapter 8, and the numbers that its text quotes.

    python book/video/fusion_figures.py theory                   needs no trained weights; ten CPU-seconds
    python book/video/fusion_figures.py shipped                  with the weights that ship; about a minute
    python book/video/fusion_figures.py shipped --model runs/x   with those of a run

Writes book/_static/fusion/ and results/fusion-figures.json.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor, nn

from vidgen_lab import create_model, load_model, load_pretrained, viz
from vidgen_lab.core import Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.data.moving import COLORS, DIRECTIONS, HELD_OUT
from vidgen_lab.nn.text import TextEncoder, caption_words, masked_mean, split_words, tokenize
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "fusion"
RESULTS = ROOT / "results" / "fusion-figures.json"
INK, WORDS, FRAMES, CODES = (viz.figures.INK, *viz.figures.COLORS[:3])  # what a box of a diagram speaks of
TOLD = (  # the captions at the top of the page
    "a red 3 moves left, fast",
    "a cyan 7 moves up-right, slowly",
    "a green 0 moves down, fast",
    "a yellow 5 moves right, slowly",
    "a magenta 8 moves up-left, fast",
    "a blue 1 moves down-left, slowly",
    "a fast green 4 moves up",
    "a red nine goes left slowly",
)
NEVER = (  # neither colour nor direction of these digits is ever shown
    "a blue 2 moves right, fast",
    "a green 7 moves up, slowly",
    "a yellow 9 moves down, fast",
    "a magenta 4 moves left, slowly",
)
GUIDANCE = 2.0


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def box(ax: Any, at: tuple[float, float], words: str, color: str = INK, half: float = 0.8, tall: float = 0.3) -> None:
    """A rounded box with words in it."""
    corner, style = (at[0] - half, at[1] - tall), "round,pad=0.02"
    ax.add_patch(FancyBboxPatch(corner, 2 * half, 2 * tall, boxstyle=style, facecolor="none", edgecolor=color, lw=1.4))
    ax.text(*at, words, color=color, fontsize=9, ha="center", va="center")


def arrow(ax: Any, start: tuple[float, float], end: tuple[float, float], color: str = INK) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": color})


def note(ax: Any, at: tuple[float, float], words: str, color: str = INK, size: float = 8) -> None:
    ax.text(*at, words, color=color, fontsize=size, ha="center", va="center")


def theory() -> dict[str, Any]:
    """What needs no trained weights."""
    model()
    ways()
    workflows()
    return {"sizes": sizes(), "split": split(), "pooling": pooling(), "mix": mix(), "bug": bug()}


def model() -> None:
    """Two encoders, joint attention, a decoder that writes codes."""
    fig, ax = viz.figure(
        alt="A diagram. A caption goes through a text encoder to words, given frames through patches; a null token "
        "stands beside each. Both enter joint attention and leave it as a memory. A causal decoder reads the codes so "
        "far and looks at the memory by cross-attention; it writes the next code. The tokenizer's decoder draws the "
        "clip when all codes are there.",
        width=7.8,
        height=3.6,
    )
    box(ax, (0.9, 4), "caption", WORDS)
    box(ax, (3.0, 4), "text encoder", WORDS)
    box(ax, (0.9, 2.6), "given frames", FRAMES)
    box(ax, (3.0, 2.6), "patches", FRAMES)
    for y, color, name in ((4, WORDS, "$h$"), (2.6, FRAMES, "$p$")):
        arrow(ax, (1.75, y), (2.15, y), color)
        arrow(ax, (3.85, y), (4.75, y), color)
        note(ax, (4.3, y + 0.22), name, color, 9)
        note(ax, (4.3, y - 0.25), "or null", color)
    box(ax, (5.6, 3.3), "joint\nattention", INK, 0.8, 1.0)
    arrow(ax, (5.6, 2.25), (5.6, 0.95))
    note(ax, (6.35, 1.75), "memory $m$", INK, 9)
    note(ax, (6.55, 1.4), "cross-attention")
    box(ax, (0.9, 0.6), "codes so far", CODES)
    arrow(ax, (1.75, 0.6), (4.75, 0.6), CODES)
    note(ax, (3.25, 0.85), "$s_1 \\dots s_{i-1}$", CODES, 9)
    box(ax, (5.6, 0.6), "causal decoder", CODES)
    arrow(ax, (6.45, 0.6), (7.3, 0.6), CODES)
    box(ax, (8.1, 0.6), "next code $s_i$", CODES)
    arrow(ax, (8.95, 0.6), (9.3, 0.6), CODES)
    box(ax, (9.9, 0.6), "clip", CODES, 0.55)
    note(ax, (9.15, 0.05), "tokenizer's decoder, when all codes are there", CODES)
    ax.set(xlim=(0, 10.6), ylim=(-0.3, 4.6))
    ax.set_axis_off()
    viz.save_figure(fig, OUT / "model.png")


def ways() -> None:
    """The four ways in which a memory can enter the decoder."""
    fig, axes = viz.figure(
        1,
        4,
        alt="Four diagrams of one decoder block. Cross-attention: each code looks at each token of the memory. FiLM: "
        "the memory becomes one mean, which scales and shifts the norms. Concatenation: the mean stands beside each "
        "code's vector. Prefix: the memory's tokens stand in the sequence before the codes.",
        width=8.2,
        height=2.9,
    )
    places = [(0.5 + 0.75 * k, 0.5) for k in range(4)]
    tokens = [(0.5 + 0.75 * k, 3.2) for k in range(4)]

    def squares(ax: Any, at: list[tuple[float, float]], color: str, filled: bool = True) -> None:
        for x, y in at:
            ax.add_patch(
                Rectangle((x - 0.2, y - 0.2), 0.4, 0.4, facecolor=color if filled else "none", edgecolor=color)
            )

    for ax, name in zip(axes, ("cross-attention", "FiLM", "concatenation", "prefix"), strict=True):
        ax.set_title(name, fontsize=10)
        if name == "prefix":
            row = [(0.1 + 0.45 * k, 1.9) for k in range(8)]
            squares(ax, row[:4], INK)
            squares(ax, row[4:], CODES)
            for x, y in row[:-1]:
                ax.annotate(
                    "",
                    row[-1],
                    (x, y + 0.25),
                    arrowprops={"arrowstyle": "-", "color": "#999999", "connectionstyle": "arc3,rad=-0.35", "lw": 0.8},
                )
            note(ax, (0.8, 1.35), "memory")
            note(ax, (2.6, 1.35), "codes", CODES)
        else:
            squares(ax, tokens, INK)
            squares(ax, places, CODES)
        if name == "cross-attention":
            for x, y in places:
                for u, v in tokens:
                    ax.plot([x, u], [y + 0.25, v - 0.25], color="#999999", lw=0.7)
        if name in ("FiLM", "concatenation"):
            for x, y in tokens:
                ax.plot([x, 1.6], [y - 0.25, 2.35], color="#999999", lw=0.7)
            squares(ax, [(1.6, 2.1)], INK, False)
            note(ax, (2.3, 2.1), "mean")
            for x, y in places:
                end = (x, y + 0.3) if name == "FiLM" else (x + 0.02, y + 0.65)
                ax.plot([1.6, end[0]], [1.85, end[1]], color="#999999", lw=0.7)
                if name == "concatenation":
                    squares(ax, [(x, y + 0.42)], INK, False)
            note(ax, (0.35, 1.35), "scale,\nshift" if name == "FiLM" else "", INK)
        if name != "prefix":
            note(ax, (1.6, 3.65), "memory")
            note(ax, (1.6, 0.0), "codes", CODES)
        ax.set(xlim=(-0.3, 3.6), ylim=(-0.2, 4.0), aspect="equal")
        ax.set_axis_off()
    viz.save_figure(fig, OUT / "ways.png")


def workflows() -> None:
    """How DALL-E 2 draws an image, and how VideoGPT draws a clip."""
    fig, ax = viz.figure(
        alt="DALL-E 2 from left to right: a caption goes through CLIP's text encoder to a text vector; the prior, a "
        "diffusion over vectors, makes an image vector; the decoder, a diffusion over pixels, draws 64 by 64 pixels; "
        "two more diffusions enlarge them to 256 and to 1024. CLIP's image encoder is drawn apart: it is needed in "
        "training only.",
        width=8.2,
        height=2.7,
    )
    steps = (
        (0.8, "caption", WORDS, 0.65),
        (2.6, "CLIP's text\nencoder", WORDS, 0.75),
        (4.55, "prior:\ndiffusion over\nvectors", INK, 0.75),
        (6.55, "decoder:\ndiffusion over\n64² pixels", FRAMES, 0.78),
        (8.75, "two diffusions\nthat enlarge:\n256², 1024²", FRAMES, 0.85),
    )
    for at, words, color, half in steps:
        box(ax, (at, 2), words, color, half, 0.5)
    for (start, _, _, before), (end, _, _, after) in zip(steps[:-1], steps[1:], strict=True):
        arrow(ax, (start + before + 0.05, 2), (end - after - 0.05, 2))
    note(ax, (3.6, 2.75), "text vector", WORDS)
    note(ax, (5.6, 2.75), "image vector", INK)
    box(ax, (2.6, 0.4), "CLIP's image\nencoder", FRAMES, 0.75, 0.4)
    box(ax, (0.8, 0.4), "image", FRAMES, 0.65)
    arrow(ax, (1.5, 0.4), (1.8, 0.4), FRAMES)
    ax.plot([3.4, 4.55], [0.4, 0.4], color=FRAMES, lw=1.2, linestyle="--")
    arrow(ax, (4.55, 0.4), (4.55, 1.45), FRAMES)
    note(ax, (6.6, 0.6), "in training only: the vector that the prior\nis to find and the decoder reads", FRAMES)
    ax.set(xlim=(0, 9.8), ylim=(-0.1, 3.0))
    ax.set_axis_off()
    viz.save_figure(fig, OUT / "dalle2.png")

    fig, ax = viz.figure(
        alt="VideoGPT in two rows. Training: a clip goes through the tokenizer's encoder to a box of codes, a few "
        "frames in each; the transformer learns to guess each code from those before it. Drawing: the transformer "
        "writes one code after the other, with a loop back to itself; when the box is full, the tokenizer's decoder "
        "draws all frames at once.",
        width=8.2,
        height=2.7,
    )
    rows = (
        (
            "training",
            2.2,
            ("clip", "tokenizer's\nencoder", "box of codes,\nin raster order", "transformer:\nwhich code next?"),
        ),
        (
            "drawing",
            0.6,
            (
                "nothing, or\nlabels, frames",
                "transformer",
                "box of codes,\none at a time",
                "tokenizer's\ndecoder",
                "all frames\nat once",
            ),
        ),
    )
    for name, y, words in rows:
        note(ax, (0.35, y), name, INK, 9)
        for k, each in enumerate(words):
            box(ax, (1.6 + 1.95 * k, y), each, CODES if "code" in each and "?" not in each else INK, 0.75, 0.4)
            if k:
                arrow(ax, (1.95 * k + 0.42, y), (1.95 * k + 0.82, y))
    loop = {"arrowstyle": "->", "color": CODES, "connectionstyle": "arc3,rad=-0.5"}
    ax.annotate("", (3.75, 0.15), (5.3, 0.15), arrowprops=loop)
    ax.set(xlim=(0, 10.3), ylim=(-0.5, 2.8))
    ax.set_axis_off()
    viz.save_figure(fig, OUT / "videogpt.png")


def sizes() -> dict[str, Any]:
    """What the modalities of preset `cpu` are made of, and how many parameters each part has."""
    with torch.device("meta"):
        fusion = create_model("fusion", "cpu")
    tokenizer, config = fusion.tokenizer.config, fusion.config
    pixels = tokenizer.channels * tokenizer.size**2
    return {
        "vocabulary": len(config.vocabulary),
        "longest": config.longest,
        "image": pixels,
        "patches": tokenizer.side**2,
        "clip": pixels * tokenizer.frames,
        "box": list(fusion.tokenizer.code_shape),
        "codes": math.prod(fusion.tokenizer.code_shape),
        "num_codes": fusion.tokenizer.num_codes,
        "parameters": count_parameters(fusion),
    }


def split() -> dict[str, Any]:
    """Which pairs training never shows."""
    fig, axes = viz.figure(
        1,
        2,
        alt="Two tables with a row for each digit from 0 to 9. Left, with a column for each of eight directions: even "
        "digits lack left and right, odd ones up and down. Right, with a column for each of six colours: each digit "
        "lacks one, along a diagonal.",
        width=7.2,
        height=3.9,
        width_ratios=(8, 6),
    )
    for ax, name, values in zip(axes, ("direction", "color"), (DIRECTIONS, COLORS), strict=True):
        held_out = HELD_OUT[name]
        for digit in range(10):
            for value in range(len(values)):
                color = viz.figures.FAKE if held_out[digit, value] else "#dfe7ee"
                ax.add_patch(Rectangle((value, digit), 0.92, 0.92, facecolor=color))
        ax.set(xlim=(0, len(values)), ylim=(10, 0))
        ax.set_xticks([k + 0.46 for k in range(len(values))], values, rotation=60, ha="right", fontsize=9)
        ax.set_yticks([k + 0.46 for k in range(10)], [str(k) for k in range(10)], fontsize=9)
        ax.grid(False)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    viz.save_figure(fig, OUT / "split.png")
    return {name: {"held_out": int(pairs.sum()), "all": pairs.size} for name, pairs in HELD_OUT.items()}


SWAPPED = (
    "a red 3 moves left, fast and a blue 7 moves right, slowly",
    "a red 3 moves right, slowly and a blue 7 moves left, fast",
)


def pooling() -> dict[str, Any]:
    """Two captions with the same words, and how far their means are apart: of the words, of the words normed with their
    places, and of what a fresh text encoder says of them; another caption for comparison."""
    vocabulary, fresh = caption_words(2), 20
    others = "a green 1 moves up, fast and a cyan 5 moves down-left, slowly"
    ids = tokenize([*SWAPPED, others], vocabulary, 16)
    apart: dict[str, list[float]] = {"words": [], "places": [], "encoded": []}
    for seed in range(fresh):
        torch.manual_seed(seed)
        encoder, placed = (TextEncoder(len(vocabulary), 16, 72, 4, layers) for layers in (1, 0))
        for name, read in (("words", encoder.embedding), ("places", placed), ("encoded", encoder)):
            with torch.no_grad():
                one, other, third = masked_mean(read(ids), ids > 0)
            apart[name].append(((one - other).norm() / (one - third).norm()).item())

    fig, ax = viz.figure(
        alt="Two captions, a red 3 moves left, fast and a blue 7 moves right, slowly, and the same with the two "
        "motions exchanged. The words of each go down into one box, their mean; the two boxes are equal.",
        width=7.8,
        height=2.6,
    )
    for row, caption in enumerate(SWAPPED):
        y, words = 2.2 - 1.5 * row, split_words(caption)
        for k, word in enumerate(words):
            color = {"red": FRAMES, "3": FRAMES, "blue": WORDS, "7": WORDS}.get(word, INK)
            ax.text(0.5 + 0.72 * k, y, word, color=color, fontsize=9, ha="center", va="center")
            ax.plot([0.5 + 0.72 * k, 9.9], [y - 0.18, y - 0.62], color="#bbbbbb", lw=0.6)
        box(ax, (10.25, y - 0.62), "mean", INK, 0.38, 0.22)
    note(ax, (10.25, 0.85), "the same", INK, 9)
    ax.set(xlim=(0, 10.8), ylim=(-0.4, 2.5))
    ax.set_axis_off()
    viz.save_figure(fig, OUT / "pooling.png")
    means = {name: sum(ratios) / fresh for name, ratios in apart.items()}
    return {"captions": list(SWAPPED), "encoders": fresh, **means}


FREE = (0.30, 0.25, 0.20, 0.15, 0.08, 0.02)  # shares of six codes when nothing is asked, made up
ASKED = (0.10, 0.15, 0.40, 0.25, 0.09, 0.01)  # and when a caption is
MIXES = (0, 1, 2, 4, 16)


def mix() -> dict[str, Any]:
    """What guidance makes of a made-up prediction."""
    free, asked = (torch.tensor(shares, dtype=torch.double).log() for shares in (FREE, ASKED))
    fig, axes = viz.figure(
        1,
        len(MIXES),
        alt="Five bar charts of the shares of six codes, for guidance 0, 1, 2, 4 and 16. With growing strength the "
        "code that the caption makes likelier most of all takes the others' shares, until it is almost alone.",
        width=8.0,
        height=2.3,
        sharey=True,
    )
    numbers = {}
    for ax, strength in zip(axes, MIXES, strict=True):
        shares = (free + strength * (asked - free)).softmax(0)
        ax.bar(range(1, 7), shares.tolist(), color=viz.figures.COLORS[0] if strength else "#999999")
        ax.set(title=f"$g = {strength}$", xticks=range(1, 7), ylim=(0, 1.02), xlabel="code")
        numbers[str(strength)] = {
            "largest": shares.max().item(),
            "entropy": -torch.xlogy(shares, shares).sum().item(),
        }
    axes[0].set_ylabel("share")
    viz.save_figure(fig, OUT / "mix.png")
    return numbers


# The bug hunt.


class Added(nn.Module):
    """An image and a text become a video by a sum. Find what is wrong."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.image = nn.Conv2d(3, 64, 3, padding=1)
        self.text = nn.Embedding(words, width)
        self.video = nn.ConvTranspose3d(64, 3, 3, padding=1)

    def forward(self, image: Tensor, ids: Tensor) -> Tensor:
        pixels = self.image(image)  # (B, 64, H, W)
        words = self.text(ids)[:, :, None, None]  # (B, N, 1, 1, width)
        return self.video(pixels + words)


class Fused(nn.Module):
    """The same in order: places of a clip ask words and patches."""

    def __init__(self, words: int, width: int, frames: int, size: int) -> None:
        super().__init__()
        self.shape = frames, size // 4, size // 4
        self.text = nn.Embedding(words, width, padding_idx=0)
        self.image = nn.Conv2d(3, width, 4, stride=4)
        self.modality = nn.Parameter(torch.randn(2, width))
        places = torch.randn(math.prod(self.shape), width)
        self.places = nn.Parameter(places)
        self.look = nn.MultiheadAttention(width, 4, batch_first=True)
        box = (1, 4, 4)
        self.video = nn.ConvTranspose3d(width, 3, box, stride=box)

    def forward(self, image: Tensor, ids: Tensor) -> Tensor:
        words = self.text(ids) + self.modality[0]  # (B, N, E)
        patches = self.image(image).flatten(2).mT + self.modality[1]
        tokens = torch.cat([words, patches], 1)  # (B, N + P, E)
        padding = nn.functional.pad(ids == 0, (0, patches.shape[1]))
        asks = self.places.expand(len(ids), -1, -1)  # (B, T' H' W', E)
        seen, _ = self.look(asks, tokens, tokens, padding)
        return self.video(seen.mT.unflatten(2, self.shape))


def bug() -> dict[str, Any]:
    """What the sum says when it runs: three errors, then a clip whose time is made of the image's channels."""

    def fails(width: int, rows: int, count: int) -> str:
        try:
            Added(100, width)(torch.randn(rows, 3, 64, 64), torch.zeros(rows, count, dtype=torch.long))
        except RuntimeError as error:
            return str(error).split(". ")[0].split("\n")[0]
        raise AssertionError("it ran")

    torch.manual_seed(0)
    found: dict[str, Any] = {
        "as_written": fails(128, 1, 10),
        "same_width": fails(64, 1, 10),
        "two_clips": fails(64, 2, 64),
    }
    model = Added(100, 64)
    image, ids = torch.randn(1, 3, 64, 64), torch.randint(100, (1, 64), generator=rng())
    with torch.no_grad():
        clip = model(image, ids)
        order = torch.arange(63, -1, -1)
        model.image.weight.copy_(model.image.weight[order])
        model.image.bias.copy_(model.image.bias[order])
        model.video.weight.copy_(model.video.weight.flip(2))
        back = model(image, ids)
    found["runs"] = "x".join(map(str, clip.shape))
    found["channels_are_frames"] = bool(torch.allclose(back, clip.flip(2), atol=1e-4))
    with torch.no_grad():
        fused = Fused(100, 64, 16, 64)
        ids = torch.tensor([[5, 9, 2, 0], [5, 9, 2, 7]])
        twice = fused(torch.cat([image, image]), ids)
        alone = fused(image, ids[:1, :3])
    found["repaired"] = "x".join(map(str, twice.shape))
    found["padding_is_not_seen"] = bool(torch.allclose(twice[:1], alone, atol=1e-5))
    return found


# With trained weights.


def shipped(fusion: Model) -> dict[str, Any]:
    """Clips of the captions at the top, clips of pairs that training never showed, and where codes look."""
    drawn = asked(fusion, TOLD)
    write_bytes(OUT / "samples.mp4", mp4_bytes(frames_of(drawn, columns=4).repeat(4, 1).repeat(4, 2), fps=8))
    viz.save(drawn[:, :, ::2], OUT / "samples.png")
    viz.save(asked(fusion, NEVER)[:, :, ::2], OUT / "unseen.png")
    captions = {"captions": dict(enumerate(TOLD)), "unseen": dict(enumerate(NEVER))}
    return {**captions, "guidance": GUIDANCE, "attention": attention(fusion)}


def asked(fusion: Model, captions: Sequence[str]) -> Tensor:
    """A clip for each caption, guided."""
    return fusion.sample(len(captions), condition={"caption": list(captions)}, generator=rng(), guidance=GUIDANCE)


def kind(word: str) -> str:
    """What a word of a caption speaks of."""
    if word in COLORS:
        return "color"
    if word in DIRECTIONS:
        return "direction"
    if word in ("slowly", "fast", "slow", "quickly"):
        return "speed"
    return "other" if word in ("a", "an", "moves", "goes", "flies") else "digit"


def attention(fusion: Model, count: int = 100, shown: int = 3) -> dict[str, Any]:
    """How much codes look at the words of a caption: where the digit is and where all is black; and one clip's map."""
    config = fusion.tokenizer.config
    batch = MovingDigits("test", size=config.size, frames=config.frames, color=True, pairs="seen").__getitems__(
        list(range(count))
    )
    video, captions = batch["video"], batch["caption"]
    looks = fusion.attention(video, {"caption": captions}).mean(2)  # (layers, B, T', H', W', N), mean over heads
    moments, rows, columns = fusion.tokenizer.code_shape
    ink = ((video + 1) / 2).amax(1)  # (B, T, H, W)
    blocks = ink.unflatten(1, (moments, -1)).unflatten(3, (rows, -1)).unflatten(5, (columns, -1))
    here = blocks.mean((2, 4, 6)) > 0.1  # (B, T', H', W'): the digit is here
    kinds = [kind(word) for word in split_words(captions[0])]  # all captions have the same form
    table = {
        name: {
            place: [layer[mask][:, [k == name for k in kinds]].sum(1).mean().item() for layer in looks]
            for place, mask in (("digit", here), ("black", ~here))
        }
        for name in ("digit", "color", "direction", "speed", "other")
    }
    by_moment = {
        name: looks[..., [k == name for k in kinds]].sum(-1).mean((1, 3, 4)).tolist() for name in table
    }  # layers x moments
    chosen = [kinds.index(name) for name in ("color", "digit", "direction", "speed")]
    maps = looks[:, shown].mean(0)  # (T', H', W', N), mean over layers
    words = split_words(captions[shown])
    fig, axes = viz.figure(
        1 + len(chosen),
        moments,
        alt="Five rows. Above, one frame for each moment of a held-out clip. Below it a map for each of four words of "
        "its caption, the colour, the digit, the direction and the speed: the darker a cell, the more the code that "
        "is written there looks at that word.",
        width=min(8.0, 1.4 + 0.9 * moments),
        height=0.4 + 0.95 * (1 + len(chosen)),
        squeeze=False,
    )
    for moment in range(moments):
        frame = video[shown, :, moment * (config.frames // moments)].permute(1, 2, 0)
        axes[0, moment].imshow((frame + 1) / 2)
        axes[0, moment].set_title(f"{moment}", fontsize=9)
        for row, word in enumerate(chosen, 1):
            axes[row, moment].imshow(
                maps[moment, ..., word], cmap=viz.figures.DENSITY, vmin=0, vmax=maps[..., word].max().item()
            )
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    axes[0, 0].set_ylabel("clip", fontsize=9)
    for row, word in enumerate(chosen, 1):
        axes[row, 0].set_ylabel(words[word], fontsize=9)
    viz.save_figure(fig, OUT / "attention.png")
    return {"caption": captions[shown], "layers": len(looks), "clips": count, "places": table, "moments": by_moment}


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
            numbers["shipped"] = shipped(load_model(given.model) if given.model else load_pretrained("fusion"))
        write_json(RESULTS, {**numbers, "command": f"python book/video/{command_line()}", **environment()})
