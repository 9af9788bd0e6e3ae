"""Figures and clips of chapter 2, and the numbers that its text quotes.

    python book/foundations/dcgan_figures.py          all of them, about three minutes on one CPU thread
    python book/foundations/dcgan_figures.py theory   theory, training, latent, inpainting, classes

Writes book/_static/dcgan/ and results/dcgan-figures.json. `training` repeats the `ci` preset; `latent`, `inpainting`
and `classes` use the weights that ship with the package.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate

from vidgen_lab import create_model, fit, load_pretrained, metrics, viz
from vidgen_lab.core import Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import Digits
from vidgen_lab.models.inpainting import inpaint, mask
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.viz.explorer import slerp
from vidgen_lab.viz.files import png_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "book" / "_static" / "dcgan"
RESULTS = ROOT / "results" / "dcgan-figures.json"
MASKS = ("centre", "half", "lines", "random")
EDGES = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def save_grid(images: Tensor, name: str, columns: int, zoom: int = 2) -> None:
    """A grid of images in [-1, 1], enlarged pixel by pixel."""
    write_bytes(OUT / name, png_bytes(viz.grid(images, columns=columns).repeat(zoom, 0).repeat(zoom, 1)))


def real_digits(split: str = "test", n: int | None = None) -> dict[str, Tensor]:
    digits = Digits(split, 32)
    return digits.__getitems__(list(range(n or len(digits))))


def theory() -> dict[str, Any]:
    """Convolution, overlaps, what a norm does to a deep stack, activations."""
    digit = real_digits(n=8)["image"][3:4]
    parts = {"input, 32x32": digit[0, 0]}
    for stride in (1, 2):
        edges = conv2d(digit, EDGES[None, None], stride=stride, padding=1)[0, 0]
        parts[f"stride {stride}, {edges.shape[0]}x{edges.shape[1]}"] = edges / 4
    fig, axes = viz.figure(
        2,
        2,
        alt="A handwritten digit, a 3x3 kernel of numbers from -2 to 2, and two results: left edges of strokes bright, "
        "right edges dark, once at full size and once at half size.",
        width=4.6,
        height=4.8,
    )
    panels = [("input, 32x32", digit[0, 0]), ("kernel, 3x3", EDGES / 2), *list(parts.items())[1:]]
    for ax, (title, pixels) in zip(axes.flat, panels, strict=True):
        ax.imshow(pixels, cmap="gray", vmin=-1, vmax=1)
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    for (row, column), number in np.ndenumerate(EDGES.numpy()):
        ink = "black" if number >= 0 else "white"
        axes[0, 1].text(column, row, f"{number:.0f}", ha="center", va="center", color=ink, fontsize=16)
    viz.save_figure(fig, OUT / "convolution.png")

    fig, axes = viz.figure(
        1,
        3,
        alt="How often each pixel of the result is written. Kernel 3 and kernel 5: a checkerboard of dark and light "
        "squares. Kernel 4: one even shade inside, darker only at the border.",
        width=6.4,
        height=2.5,
    )
    counts = {}
    for ax, kernel in zip(axes, (3, 5, 4), strict=True):
        ones = torch.ones(1, 1, 6, 6)
        count = conv_transpose2d(ones, torch.ones(1, 1, kernel, kernel), None, 2, (kernel - 1) // 2, kernel % 2)[0, 0]
        counts[str(kernel)] = ", ".join(str(number) for number in count[3:-3, 3:-3].unique().int().tolist())
        ax.imshow(count, cmap="gray", vmin=0)
        ax.set(title=f"kernel {kernel}, stride 2", xticks=[], yticks=[])
        ax.grid(False)
    viz.save_figure(fig, OUT / "overlaps.png")

    depth, spreads = 12, {}
    for name, std, norm in (("without a norm", 0.02, False), ("with batch norm", 0.02, True)):
        torch.manual_seed(0)
        x, spread = real_digits(n=32)["image"], []
        for layer in range(depth):
            conv = nn.Conv2d(1 if layer == 0 else 32, 32, 3, padding=1, bias=False)
            nn.init.normal_(conv.weight, 0, std)
            x = conv(x)
            x = nn.BatchNorm2d(32)(x) if norm else x
            x = torch.relu(x).detach()
            spread.append(x.std().item())
        spreads[name] = spread
    x = torch.linspace(-4, 4, 401, requires_grad=True)
    functions = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "ReLU": torch.relu,
        "leaky ReLU": nn.LeakyReLU(0.2),
    }
    fig, ax = viz.figure(
        alt="Spread of the numbers after each of twelve layers, on a logarithmic axis. Without a norm it falls by a "
        "factor of about four at each layer; with batch normalisation it stays level.",
        width=6.0,
        height=2.8,
    )
    for name, spread in spreads.items():
        ax.plot(range(1, depth + 1), spread, "o-", label=name)
    ax.set(xlabel="layer", ylabel="spread (standard deviation)", yscale="log")
    ax.legend()
    viz.save_figure(fig, OUT / "norm.png")
    fig, axes = viz.figure(
        1,
        2,
        alt="Left: sigmoid, tanh, ReLU and leaky ReLU. Right: their slopes. Sigmoid and tanh are flat on both sides, "
        "ReLU is flat on the left, leaky ReLU keeps a slope of 0.2 there.",
        width=6.0,
        height=3.0,
    )
    for name, function in functions.items():
        y, line = function(x), "--" if name == "leaky ReLU" else "-"  # it covers the ReLU on the right
        axes[0].plot(x.detach(), y.detach(), line, label=name)
        axes[1].plot(x.detach(), torch.autograd.grad(y.sum(), x)[0], line, label=name)
    axes[0].set(ylim=(-1.5, 2.5), xlabel="x", title="activation")
    axes[1].set(xlabel="x", title="slope")
    axes[0].legend()
    viz.save_figure(fig, OUT / "activations.png")
    plain = spreads["without a norm"]
    return {"overlaps": counts, "spread_first": plain[0], "spread_last": plain[-1], "depth": depth}


def training() -> dict[str, Any]:
    """The ci preset, watched while it learns."""
    model = create_model("dcgan", "ci")
    steps = model.recipe.steps
    shown = sorted({round(4 * (steps / 4) ** (i / 39)) for i in range(40)})
    budgets = [steps // 10, steps // 3, steps]
    film, pictures, history = [], {}, []

    def look(step: int, model: Model, record: dict[str, float]) -> None:
        history.append(record)
        if step + 1 in shown or step + 1 in budgets:
            images = model.sample(32, generator=rng(3))
            if step + 1 in shown:
                film.append(images)
            if step + 1 in budgets:
                pictures[step + 1] = images[:16]

    fit(model, device="cpu", callback=look, progress=False)
    film += [film[-1]] * 8  # rest on the last picture
    clip = interpolate(torch.stack(film, dim=2), scale_factor=(1, 2, 2))  # (32, 1, T, 64, 64)
    viz.save(clip, OUT / "training.mp4", fps=8)
    viz.save(clip[:8, :, [0, 6, 12, 18, 24, 30, 36, len(shown) - 1]], OUT / "training.png")
    save_grid(torch.cat([pictures[budget] for budget in budgets]), "budgets.png", 16)
    return {"budgets": budgets, "ci": count_parameters(model)}


def latent() -> dict[str, Any]:
    """Walks, why they bend, arithmetic, and the nearest training digits."""
    model = load_pretrained("dcgan").eval()
    size = model.config.latent_dim

    def draw(latents: Tensor) -> Tensor:
        with torch.no_grad():
            return model.generator(latents)

    start, end = torch.randn(2, 9, size, generator=rng(4))
    angles = torch.linspace(0, 2 * torch.pi, 49)[:-1]  # once around: a mixture that stays normal
    walk = torch.stack([draw(a.cos() * start + a.sin() * end) for a in angles], dim=2)
    viz.save(interpolate(walk, scale_factor=(1, 3, 3)), OUT / "walk.mp4", fps=10)
    viz.save(interpolate(walk[:6, :, ::6], scale_factor=(1, 2, 2)), OUT / "walk.png")

    # Straight and bent.
    starts, ends = torch.randn(2, 400, size, generator=rng(5))
    mixes = torch.linspace(0, 1, 41).tolist()
    straight = [(starts + mix * (ends - starts)).norm(dim=1) for mix in mixes]
    bent = [
        torch.cat([slerp(a[None], b[None], mix) for a, b in zip(starts[:100], ends[:100], strict=True)]).norm(dim=1)
        for mix in mixes
    ]
    usual = torch.randn(10_000, size, generator=rng(6)).norm(dim=1)
    fig, ax = viz.figure(
        alt="Length of the latent along a walk. A grey band shows where the lengths of normal noise lie, around 8. The "
        "bent walk stays inside the band; the straight one falls out of it and is shortest in the middle.",
        width=6.2,
        height=2.8,
    )
    low, high = usual.quantile(torch.tensor([0.005, 0.995])).tolist()
    ax.axhspan(low, high, color="#dddddd", label="99 % of all draws")
    ax.plot(mixes, [lengths.mean() for lengths in straight], label="straight")
    ax.plot(mixes, [lengths.mean() for lengths in bent], label="slerp")
    ax.set(xlabel="mix", ylabel="length of the latent", ylim=(0, high + 2))
    ax.legend(loc="lower right")
    viz.save_figure(fig, OUT / "lengths.png")
    judge = load_pretrained("digits-2d")

    def sureness(latents: Tensor) -> float:
        return judge.logits(draw(latents)[:, :, 2:-2, 2:-2]).softmax(1).max(1).values.mean().item()

    middle = (starts + ends) / 2
    on_sphere = middle * (starts.norm(dim=1, keepdim=True) + ends.norm(dim=1, keepdim=True)) / 2
    on_sphere = on_sphere / middle.norm(dim=1, keepdim=True)
    rows = []
    for index in (1, 4):
        for mixer in ("straight", "slerp"):
            a, b = starts[index : index + 1], ends[index : index + 1]
            path = [a + mix * (b - a) if mixer == "straight" else slerp(a, b, mix) for mix in np.linspace(0, 1, 11)]
            rows.append(draw(torch.cat(path)))
    save_grid(torch.cat(rows), "walks.png", 11)

    # Arithmetic: heavy minus light strokes, and leaning right minus leaning left.
    many = torch.randn(4000, size, generator=rng(7))
    pictures = draw(many)
    ink = (pictures + 1).mean((1, 2, 3)) / 2
    directions = {"ink": ink, "slant": slant(pictures)}
    base = torch.randn(8, size, generator=rng(9))[[0, 1, 3, 5]]
    arithmetic, effects = [], {}
    for name, value in directions.items():
        order = value.argsort()
        direction = many[order[-400:]].mean(0) - many[order[:400]].mean(0)
        shown = [at_usual_length(base + strength * direction) for strength in (-0.6, -0.3, 0.0, 0.3, 0.6)]
        arithmetic.append(torch.stack([draw(latents) for latents in shown], dim=1).flatten(0, 1))
        fresh = torch.randn(1000, size, generator=rng(10))
        measure = {"ink": lambda x: (x + 1).mean((1, 2, 3)) / 2, "slant": slant}[name]
        ends_of = [measure(draw(at_usual_length(fresh + s * direction))) for s in (-0.6, 0.6)]
        effects[name] = {
            "minus": ends_of[0].mean().item(),
            "plus": ends_of[1].mean().item(),
            "share_that_grew": (ends_of[1] > ends_of[0]).float().mean().item(),
        }
    left, right = (part.unflatten(0, (4, 5)) for part in arithmetic)
    save_grid(torch.cat([left, right], dim=1).flatten(0, 1), "arithmetic.png", 10)

    # Is it memorising?
    train, held_out = real_digits("train")["image"], real_digits("test")["image"][:1000]
    samples = model.sample(1000, generator=rng(0))
    index, distance = metrics.nearest(samples, train)
    _, real_distance = metrics.nearest(held_out, train)
    shown = torch.arange(12)
    save_grid(torch.cat([samples[shown], train[index[shown]]]), "nearest.png", 12)
    fig, ax = viz.figure(
        alt="Two histograms of the distance to the nearest training digit: of generated digits and of held-out real "
        "ones. They overlap; neither reaches down to 0.",
        width=6.2,
        height=2.6,
    )
    bins = np.linspace(0, 18, 55)
    ax.hist(real_distance.numpy(), bins, alpha=0.6, color=viz.figures.REAL, label="held-out digits")
    ax.hist(distance.numpy(), bins, alpha=0.6, color=viz.figures.FAKE, label="generated digits")
    ax.set(xlabel="distance to the nearest of 8,000 training digits", ylabel="digits")
    ax.legend()
    viz.save_figure(fig, OUT / "distances.png")
    return {
        "parameters": count_parameters(model),
        "length_root": size**0.5,
        "length_straight_middle": straight[20].mean().item(),
        "length_slerp_middle": bent[20].mean().item(),
        "length_shortest_of_10000": usual.min().item(),
        "sure_straight": sureness(middle),
        "sure_slerp": sureness(on_sphere),
        "sure_ends": sureness(starts),
        "arithmetic": effects,
        "nearest_median": distance.median().item(),
        "nearest_least": distance.min().item(),
        "nearest_median_held_out": real_distance.median().item(),
        "nearest_least_held_out": real_distance.min().item(),
        "nearest_samples": len(samples),
    }


def at_usual_length(latents: Tensor) -> Tensor:
    """Put latents back on the sphere where normal noise lives."""
    return latents * latents.shape[1] ** 0.5 / latents.norm(dim=1, keepdim=True)


def slant(images: Tensor) -> Tensor:
    """How far a digit leans to the right: pixels sideways for each pixel upwards, `(B, 1, H, W) -> (B,)`."""
    weight = (images[:, 0] + 1) / 2
    weight = weight / weight.sum((1, 2), keepdim=True)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    mean_y, mean_x = ((weight * axis).sum((1, 2), keepdim=True) for axis in (y, x))
    covariance = (weight * (x - mean_x) * (y - mean_y)).sum((1, 2))
    return -covariance / (weight * (y - mean_y) ** 2).sum((1, 2))


def inpainting() -> dict[str, Any]:
    """Four kinds of holes in held-out digits, filled by search."""
    model = load_pretrained("dcgan").eval()
    judge = load_pretrained("digits-2d")
    batch = real_digits(n=40)
    images, labels = batch["image"][:24], batch["digit"][:24]
    numbers: dict[str, Any] = {"inpainting_images": len(images)}
    sheet = viz.to_uint8(torch.cat(list(images[:8]), dim=2))[0]  # (32, 256): the live figure reads it
    write_bytes(OUT / "held-out.png", png_bytes(sheet[..., None].repeat(3, 2)))
    rows, curves = [images[:8]], {}
    for kind in MASKS:
        known = mask(kind, 32, rng(1))
        found = inpaint(
            model.generator, model.discriminator, images, known, latent_dim=model.config.latent_dim, rng=rng(0)
        )
        holes = torch.where(known.bool(), images, torch.zeros(()))
        rows += [holes[:8], found.images[:8]]
        curves[kind] = found.losses.mean(1)
        right = (judge.logits(found.images[:, :, 2:-2, 2:-2]).argmax(1) == labels).float().mean().item()
        black = torch.where(known.bool(), images, -torch.ones(()))
        right_black = (judge.logits(black[:, :, 2:-2, 2:-2]).argmax(1) == labels).float().mean().item()
        missing = (1 - known).mean().item()
        error = ((found.images - images).abs() * (1 - known)).mean().item() / missing
        error_black = ((black - images).abs() * (1 - known)).mean().item() / missing
        numbers[kind] = {
            "missing": missing,
            "read_right": right,
            "read_right_black": right_black,
            "error": error,
            "error_black": error_black,
            "loss_first": curves[kind][0].item(),
            "loss_last": curves[kind][-1].item(),
        }
        print(kind, numbers[kind], flush=True)
    save_grid(torch.cat(rows), "inpainting.png", 8)
    fig, ax = viz.figure(
        alt="The loss of the search over its steps, one curve for each kind of hole. All fall steeply at first and are "
        "level at the end.",
        width=6.2,
        height=2.8,
    )
    for kind, curve in curves.items():
        ax.plot(curve, label=kind)
    ax.set(xlabel="step of the search", ylabel="loss, mean of the pictures")
    ax.legend()
    viz.save_figure(fig, OUT / "search.png")
    return {"inpainting": numbers}


def classes() -> dict[str, Any]:
    """A class-conditional form: the same noise, ten classes."""
    model = load_pretrained("dcgan", "classes").eval()
    latents = torch.randn(10, model.config.latent_dim, generator=rng(2))
    with model.inference():
        rows = [model.generator(latent.expand(10, -1), torch.arange(10)) for latent in latents[:8]]
    save_grid(torch.cat(rows), "classes.png", 10)
    labels = torch.arange(1000) % 10
    samples = model.sample(1000, condition={"digit": labels}, generator=rng(0))
    logits = load_pretrained("digits-2d").logits(samples[:, :, 2:-2, 2:-2])
    right = (logits.argmax(1) == labels).float()
    score = metrics.inception_score(logits, {"network": "digits-2d", "size": 28}, name="IS-digits")
    return {
        "classes_read_right": right.mean().item(),
        "classes_worst": min(right[labels == digit].mean().item() for digit in range(10)),
        "classes_score": score.value,
    }


PARTS = {"theory": theory, "training": training, "latent": latent, "inpainting": inpainting, "classes": classes}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
        write_json(RESULTS, {**numbers, "command": f"python book/foundations/{command_line()}", **environment()})
