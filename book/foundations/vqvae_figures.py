"""Figures and clips of chapter 3, and the numbers that its text quotes.

    python book/foundations/vqvae_figures.py            all of them, about six minutes on one CPU thread
    python book/foundations/vqvae_figures.py collapse   only those named: shipped, plane, collapse, vae, sizes, rate

Writes book/_static/vqvae/ and results/vqvae-figures.json. `shipped` draws with the weights that come with the package.
"""

import argparse
import itertools
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidgen_lab import create_model, fit, load_pretrained, metrics, viz
from vidgen_lab.core import Draw
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import Digits, MovingDigits
from vidgen_lab.models.vae import kl_to_standard_normal
from vidgen_lab.nn.quantize import VectorQuantizer
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.files import png_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "vqvae"
RESULTS = ROOT / "results" / "vqvae-figures.json"


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shipped() -> dict[str, Any]:
    """Held-out clips beside their reconstructions, a frame as a grid of numbers, and what each code reaches."""
    model = load_pretrained("vqvae")
    clips = MovingDigits("test", size=32, frames=16).__getitems__(list(range(8)))["video"]
    codes = model.encode(clips)
    back = model.decode(codes)
    pairs = torch.stack([clips, back], dim=1).flatten(0, 1)  # real, reconstruction, real, ...
    film = torch.nn.functional.interpolate(pairs, scale_factor=(1, 2, 2))
    viz.save(film, OUT / "clips.mp4", fps=8)
    viz.save(pairs[:4], OUT / "clips.png")

    frame, numbers, drawn = clips[2, 0, 4], codes[2, 4], back[2, 0, 4]
    alt = "A digit, the sixteen numbers that stand for it in a grid of four by four, and the digit drawn from them."
    fig, axes = viz.figure(1, 3, alt=alt, width=7.2, height=2.6)
    for ax, image, title in zip(axes, (frame, frame, drawn), ("a frame", "its codes", "drawn from them"), strict=True):
        ax.imshow(image, cmap="gray", vmin=-1, vmax=1, alpha=0.25 if title == "its codes" else 1)
        ax.set(title=title, xticks=[], yticks=[])
    for row in range(4):
        for column in range(4):
            axes[1].text(8 * column + 3.5, 8 * row + 3.5, str(numbers[row, column].item()), ha="center", va="center")
    for place in (7.5, 15.5, 23.5):
        axes[1].axhline(place, color="#888888", linewidth=0.6)
        axes[1].axvline(place, color="#888888", linewidth=0.6)
    viz.save_figure(fig, OUT / "codes.png")

    many = MovingDigits("test", size=32, frames=1).__getitems__(list(range(400)))["video"][:, :, 0]
    grids = model.encode(many)
    before, other = model.decode(grids), grids.roll(1, 0)
    changes, inside = [], []
    for row, column in itertools.product(range(4), range(4)):
        swapped = grids.clone()
        swapped[:, row, column] = other[:, row, column]  # one code of another frame
        change = (model.decode(swapped) - before).abs().mean((0, 1))  # (32, 32)
        changes.append(change)
        inside.append(change[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].sum() / change.sum())
    reach = torch.stack(changes).unsqueeze(1)
    reach = 2 * reach / reach.max() - 1
    write_bytes(OUT / "reach.png", png_bytes(viz.grid(reach, columns=4).repeat(3, 0).repeat(3, 1)))
    bits = codes[0, 0].numel() * math.log2(model.num_codes)
    return {
        "bits_per_frame": bits,
        "raw_bits_per_frame": 32 * 32 * 8,
        "compression": 32 * 32 * 8 / bits,
        "codes_per_frame": codes[0, 0].numel(),
        "change_inside_own_patch": torch.stack(inside).mean().item(),
    }


def plane() -> dict[str, Any]:
    """Points of the plane, and the codes that follow them: at the start, and after the running means have settled."""
    centres = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.linspace(0, 2 * math.pi, 9)[:-1].tolist()])
    points = (centres.repeat(60, 1) + 0.12 * torch.randn(480, 2, generator=rng())).contiguous()
    torch.manual_seed(0)
    quantizer = VectorQuantizer(16, 2, decay=0.9, revive_below=0.0)
    seen = {}
    for step in range(60):
        quantizer(points[torch.randperm(480, generator=rng(step))[:240]], Draw(0, step))
        if step in (0, 59):
            seen[step + 1] = quantizer.codebook.clone()
    alt = "Eight clusters of points on a circle and sixteen codes. Each point belongs to its nearest code; after sixty "
    alt += "steps every cluster holds codes, each at the mean of its points."
    fig, axes = viz.figure(1, 2, alt=alt, width=7.2, height=3.6)
    for ax, (step, codebook) in zip(axes, seen.items(), strict=True):
        near = torch.cdist(points, codebook).argmin(1)
        ax.scatter(*points.T, c=near, cmap="tab20", vmin=0, vmax=19, s=5, alpha=0.6)
        ax.scatter(*codebook.T, marker="x", color="black", s=45)
        ax.set(title=f"step {step}", xticks=[], yticks=[], aspect="equal")
    viz.save_figure(fig, OUT / "plane.png")
    return {"plane_error": (points - quantizer.codebook[quantizer.nearest(points)]).square().sum(1).mean().item()}


COLLAPSE_STEPS = 600
CODEBOOKS = {
    "gradient, far away": {"quantizer": "gradient", "data_start": False, "revive_below": 0.0},
    "means, far away": {"data_start": False, "revive_below": 0.0},
    "means, from data": {"revive_below": 0.0},
    "means, from data, revived": {},
}


def collapse() -> dict[str, Any]:
    """The same model with four codebooks: what becomes of them."""
    used: dict[str, list[float]] = {}
    ends = {}
    held_out = Digits("test", 32).__getitems__(list(range(1000)))["image"]
    for name, changes in CODEBOOKS.items():
        model = create_model("vqvae", "image", **changes)
        if "far" in name:  # noise, 3 from where the encoder's outputs are
            book = model.codebook
            with torch.no_grad():
                book.codebook += 3.0
                if book.decay is not None:
                    book.sums += 3.0
        history = fit(model, steps=COLLAPSE_STEPS, device="cpu", progress=False)
        used[name] = [record["autoencoder/perplexity"] for record in history]
        codes = model.encode(held_out)
        back = model.decode(codes)
        ends[name.replace(", ", "-").replace(" ", "-")] = {
            "usage": metrics.code_usage(codes, model.num_codes).value,
            "perplexity": metrics.code_perplexity(codes, model.num_codes).value,
            "psnr": metrics.psnr(back.unsqueeze(2), held_out.unsqueeze(2)).value,
        }
    alt = "Perplexity of the codes of a batch over 600 steps. A far codebook that learns by gradient stays at the "
    alt += "bottom. One of running means stays there for some twenty steps, then rises. One from data falls at "
    alt += "once and rises again. With revival it is soon the highest."
    fig, ax = viz.figure(alt=alt, width=7.2, height=3.0)
    for name, values in used.items():
        ax.plot(range(1, len(values) + 1), values, label=name)
    ax.set(xlabel="step", ylabel="perplexity of a batch", xscale="log")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    viz.save_figure(fig, OUT / "collapse.png")
    return {"collapse_steps": COLLAPSE_STEPS, "collapse": ends}


VAE_STEPS = 1500
BETAS = (1.0, 10.0, 300.0)


def vae() -> dict[str, Any]:
    """Three VAEs with three prices: what comes back, what a draw looks like, and how many nats the latent carries."""
    real = Digits("test", 32).__getitems__(list(range(1000)))["image"]
    rows: list[Tensor] = [real[:16]]
    ends = {}
    for beta in BETAS:
        model = create_model("vae", "image", beta=beta)
        history = fit(model, steps=VAE_STEPS, device="cpu", progress=False)
        back = model.reconstruct(real)
        with model.inference():
            mean, log_variance = model.posterior(real)
        drawn = model.decode(mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=rng()))
        nats = kl_to_standard_normal(mean, log_variance).sum(1).mean().item()
        last = history[-100:]
        rows += [back[:16], model.sample(16, generator=rng())]
        ends[f"beta-{beta:g}"] = {
            "bits": nats / math.log(2),
            "active": sum(record["autoencoder/active_latents"] for record in last) / len(last),
            "psnr": metrics.psnr(back.unsqueeze(2), real.unsqueeze(2)).value,
            "decibels": decibels((drawn - real).square().mean().item()),
        }
    write_bytes(OUT / "vae.png", png_bytes(viz.grid(torch.cat(rows), columns=16)))
    return {"vae_steps": VAE_STEPS, "vae": ends}


SIZE_STEPS = 1500
SIZES = (4, 16, 64, 256, 1024)


def decibels(error: float) -> float:
    """The PSNR of a mean squared error of pixels in [-1, 1]."""
    return 10 * math.log10(4 / error)


def sizes() -> dict[str, Any]:
    """Codebooks of five sizes: how good the pictures are for their bits."""
    real = Digits("test", 32).__getitems__(list(range(1000)))["image"]
    ends = {}
    for size in SIZES:
        model = create_model("vqvae", "image", num_codes=size)
        fit(model, steps=SIZE_STEPS, device="cpu", progress=False)
        error = (model.reconstruct(real) - real).square().mean().item()
        ends[f"codes-{size}"] = {"bits": 16 * math.log2(size), "decibels": decibels(error)}
    return {"size_steps": SIZE_STEPS, "sizes": ends}


def rate() -> dict[str, Any]:
    """Bits against error: what `vae` and `sizes` measured, and a Gaussian source with the digits' covariance."""
    train = Digits("train", 32)
    images = train.__getitems__(list(range(len(train))))["image"].flatten(1)
    variances = torch.linalg.eigvalsh(torch.cov(images.T)).clamp(min=0)
    gaussian = {
        bits: decibels(metrics.gaussian_distortion(variances, bits) / len(variances)) for bits in range(0, 601, 4)
    }
    known = read_json(RESULTS)
    alt = (
        "PSNR over bits a digit. The curve of the Gaussian source rises from the left, ever more slowly. Five VQ-VAEs "
    )
    alt += "lie a little above it, two VAEs a little further above, and one VAE at its lower end."
    fig, ax = viz.figure(alt=alt, width=7.2, height=3.4)
    ax.plot(list(gaussian), list(gaussian.values()), color="#888888", label="Gaussian source, best code")
    for name, key, marker in (("VQ-VAE", "sizes", "o"), ("VAE", "vae", "s")):
        ends = known[key].values()
        ax.plot([end["bits"] for end in ends], [end["decibels"] for end in ends], marker, label=name)
    ax.set(xlabel="bits a digit", ylabel="PSNR of the mean error (dB)", xlim=(-5, 265), ylim=(12, 25))
    ax.legend()
    viz.save_figure(fig, OUT / "rate.png")
    return {"gaussian": {f"bits-{bits}": gaussian[bits] for bits in (128, 256, 600)}}


PARTS = {"plane": plane, "collapse": collapse, "vae": vae, "sizes": sizes, "rate": rate, "shipped": shipped}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
        write_json(RESULTS, {**numbers, "command": f"python book/foundations/{command_line()}", **environment()})
