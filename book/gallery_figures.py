"""The gallery: a few clips from each model that ships, drawn anew from its weights. `book/gallery.md` shows them.

    python book/gallery_figures.py              all, about a minute on one CPU thread
    python book/gallery_figures.py vgan tgan    only those named

Writes a film and its filmstrip for each model into book/_static/gallery/, and gallery.gif for the README.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidgen_lab import load_pretrained, viz
from vidgen_lab.data import MovingDigits, batches
from vidgen_lab.viz.files import gif_bytes, mp4_bytes, write_bytes

OUT = Path(__file__).resolve().parent / "_static" / "gallery"
COUNT = 8
WALKS = ("gan", "dcgan")  # pictures: a walk through their noise
TOKENIZERS = ("vqvae", "videogpt-tokenizer")  # held-out clips, and below them what the codes keep
CLIPS = ("vgan", "tgan", "mocogan", "tganv2", "mocogan-ode", "mocogan-sde", "videogpt", "fusion")
FRAMES = 16


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def walk(name: str) -> Tensor:
    """A closed walk through a generator's noise, `(8, 1, 48, 32, 32)`."""
    model = load_pretrained(name)
    start, end = torch.randn(2, COUNT, model.config.latent_dim, generator=seeded())
    angles = torch.linspace(0, 2 * torch.pi, 49)[:-1]
    with torch.no_grad():
        frames = [model.generator(angle.cos() * start + angle.sin() * end) for angle in angles]
    clip = torch.stack(frames, dim=2)  # (8, 1, 48, S, S)
    return torch.nn.functional.pad(clip, [(32 - clip.shape[-1]) // 2] * 4, value=-1.0)


def rebuilt(name: str) -> Tensor:
    """Eight held-out clips and their reconstructions, `(16, 1, 16, 32, 32)`."""
    clips = next(batches(MovingDigits("test", size=32, frames=FRAMES), COUNT, seed=0))["video"]
    return torch.cat([clips, load_pretrained(name).reconstruct(clips)])


def drawn(name: str) -> Tensor:
    """Eight clips of a model, `(8, C, T, 32, 32)`, the first of its draws."""
    model = load_pretrained(name)
    given = model.example_condition(COUNT, seeded()) if model.conditions else None
    return model.sample(COUNT, condition=given, generator=seeded())


def tiled(clips: Tensor) -> np.ndarray:
    """Clips in rows of eight, each pixel twice as large: `(T, H, W, 3)`."""
    return viz.arrays.frames_of(torch.nn.functional.interpolate(clips, scale_factor=(1, 2, 2)), columns=COUNT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    makers = {**dict.fromkeys(WALKS, walk), **dict.fromkeys(TOKENIZERS, rebuilt), **dict.fromkeys(CLIPS, drawn)}
    parser.add_argument("names", nargs="*", default=list(makers), help=f"some of: {', '.join(makers)}")
    torch.set_num_threads(1)
    made = {name: makers[name](name) for name in parser.parse_args().names}
    for name, clips in made.items():
        print(name, tuple(clips.shape), flush=True)
        write_bytes(OUT / f"{name}.mp4", mp4_bytes(tiled(clips), fps=8))
        viz.save(clips[:1, :, :: max(1, clips.shape[2] // 8)], OUT / f"{name}.png")
    if set(CLIPS) <= set(made):
        rows = torch.cat([made[name][:, :, :FRAMES].expand(-1, 3, -1, -1, -1) for name in CLIPS])
        write_bytes(OUT / "gallery.gif", gif_bytes(tiled(rows), fps=8))


if __name__ == "__main__":
    main()
