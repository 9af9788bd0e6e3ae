"""Three failures of temporal generators, made on purpose, each beside the same thing done right.

    python results/temporal_failures.py          all, about three minutes on one CPU thread
    python results/temporal_failures.py noise    only those named: clipping, noise, rates

Writes results/temporal-failures.json, and pictures to book/_static/temporal/.
clipping: tgan's preset `ci` with and without clipping of singular values.
noise: the mocogan that ships, with no noise in the motion code, its own, the paper's and more.
rates: a critic of clips against clips that are all real, but were kept at two rates.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from vidgen_lab import create_model, fit, load_pretrained, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits, batches
from vidgen_lab.nn.conv3d import ClipDiscriminator
from vidgen_lab.training.state import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "book" / "_static" / "temporal"
RESULTS = ROOT / "results" / "temporal-failures.json"
SETTINGS: dict[str, Any] = {"size": 32, "frames": 16}
SAMPLES, SLOPES = 500, 100  # generated clips that are measured; real clips at which the slope is
STEPS, NEVER = 290, 10**9  # of TGAN; "clip at every NEVER-th step" clips at step 0 alone, when there is nothing to clip
SECONDS, BATCH, HELD_OUT, RATE = 15.0, 16, 400, 1e-3  # of the critic of rates


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance() -> Any:
    """FVD-digits of clips, as a function; all are measured against the same real clips."""
    reader = load_pretrained("digits-3d")

    def features(clips: Tensor) -> Tensor:
        return torch.cat([reader.features(part) for part in clips.split(100)])

    real = features(metrics.ladder.reference(SAMPLES, 0, **SETTINGS))
    protocol = {"network": "digits-3d", **SETTINGS}
    return lambda clips: metrics.frechet_distance(real, features(clips), protocol, "FVD-digits").value


def clipping() -> dict[str, Any]:
    """The gap that the critic reports, the largest singular value of its kernels, and what the generator learns."""
    measure, found, curves, spectra = distance(), {}, {}, {}
    for name, every in (("clipped", 5), ("not clipped", NEVER)):
        model = create_model("tgan", "ci", clip_every=every)
        gaps, largest = [], []

        def look(step: int, model: Model, record: dict[str, float]) -> None:
            gaps.append(-record["discriminator/real"] - record["discriminator/fake"])  # noqa: B023
            largest.append(max(values[0].item() for values in spectrum(model)))  # noqa: B023

        start = time.process_time()
        fit(model, steps=STEPS, device="cpu", callback=look, progress=False)
        seconds = time.process_time() - start
        clips = model.sample(SAMPLES, generator=rng())
        curves[name], spectra[name] = (gaps, largest), spectrum(model)
        found[name] = {
            "gap": sum(gaps[-10:]) / 10,
            "singular_value": largest[-1],
            "stretch": stretch(model.discriminator),
            "fvd": measure(clips),
            "steps": STEPS,
            "cpu_seconds": round(seconds, 1),
        }
        print(name, found[name], flush=True)
    fig, axes = viz.figure(
        1,
        3,
        alt="Three graphs, with and without clipping. Left, the gap that the critic reports: with clipping it stays "
        "low, without it climbs by orders of magnitude. Middle, the largest singular value of its kernels: at most a "
        "little above 1, or ever larger. Right, all singular values of the third kernel: with clipping none is much "
        "above 1, without several are.",
        width=8.4,
        height=3.0,
    )
    for name, (gaps, largest) in curves.items():
        axes[0].plot(gaps, label=name)
        axes[1].plot(largest)
        axes[2].plot(spectra[name][2])
    axes[0].set(title="gap of the critic", xlabel="step", yscale="symlog")
    axes[1].set(title="largest singular value", xlabel="step")
    axes[2].set(title="kernel of layer 3", xlabel="singular value, by rank")
    axes[2].axhline(1, color=viz.figures.INK, linewidth=0.8)
    fig.legend(loc="outside upper center", ncols=2, frameon=False, labelcolor=viz.figures.INK)
    viz.save_figure(fig, OUT / "clipping.png")
    return {"clipping": {**found, "slopes": SLOPES}}


def spectrum(model: Model) -> list[Tensor]:
    """Singular values of each kernel of the critic, read as a matrix with a row for each channel that it writes."""
    kernels = [layer.weight.detach() for layer in model.discriminator.modules() if isinstance(layer, nn.Conv3d)]
    return [torch.linalg.svdvals(kernel.flatten(1)) for kernel in kernels]


def stretch(critic: nn.Module) -> float:
    """The steepest slope of the critic that gradients find at real clips, in eval mode, where clips do not mix."""
    critic.eval()
    video = next(batches(MovingDigits("test", **SETTINGS), SLOPES, seed=0))["video"].requires_grad_()
    (slope,) = torch.autograd.grad(critic(video).sum(), video)
    return slope.flatten(1).norm(dim=1).max().item()


def noise() -> dict[str, Any]:
    """One set of weights, with the noise of its training and with others: what moves, and how the ink jumps."""
    model, measure, found, strips = load_pretrained("mocogan"), distance(), {}, []
    trained = model.config.noise
    for name, scale in (("none", 0.0), ("trained", trained), ("one", 1.0), ("four", 4.0)):
        model.config = replace(model.config, noise=scale)
        condition = model.example_condition(SAMPLES, rng(1))
        clips = model.sample(SAMPLES, condition=condition, generator=rng())
        strips.append(clips[:1])
        found[name] = {"noise": scale, "fvd": measure(clips), **restless(clips)}
        print(name, found[name], flush=True)
    viz.save(torch.cat(strips)[:, :, ::2], OUT / "noise.png")
    real = metrics.ladder.reference(SAMPLES, 0, **SETTINGS)
    return {"noise": {"models": found, "real": restless(real)}}


def restless(clips: Tensor) -> dict[str, float]:
    """Motion from a frame to the next and to the next but one, and the change of ink, each a mean over frames."""
    ink = ink_of(clips)  # (B, T)
    return {
        "motion": (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean().item(),
        "motion_over_two": (clips[:, :, 2:] - clips[:, :, :-2]).abs().mean().item(),
        "ink_jump": ((ink[:, 1:] - ink[:, :-1]).abs().mean() / ink.mean()).item(),
    }


def ink_of(clips: Tensor) -> Tensor:
    """White area of each frame, in pixels: `(B, C, T, H, W) -> (B, T)`."""
    return ((clips + 1) / 2).sum((1, 3, 4))


def rates() -> dict[str, Any]:
    """A critic learns to tell real clips from real clips that were kept at another rate, or at the same."""
    found = {}
    for name, stride in (("same rate", 1), ("every second frame", 2)):
        torch.manual_seed(0)
        critic = ClipDiscriminator((1, 8, 32, 32), (16, 32, 64), 1, "3d", norm=False)
        optimizer = torch.optim.Adam(critic.parameters(), RATE)
        streams = clips_at(1, "train", 0, BATCH), clips_at(stride, "train", 1, BATCH)
        start, step = time.process_time(), 0
        while time.process_time() - start < SECONDS:
            first, second = (next(stream) for stream in streams)
            loss = softplus(-critic(first)).mean() + softplus(critic(second)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        held = [next(clips_at(s, "test", seed, HELD_OUT)) for seed, s in ((0, 1), (1, stride))]
        with torch.no_grad():
            right = [
                (critic(clips) * sign > 0).float().mean().item() for clips, sign in zip(held, (1, -1), strict=True)
            ]
        found[name] = {"accuracy": sum(right) / 2, "steps": step}
        print(name, found[name], flush=True)
    return {"rates": {"seconds": SECONDS, "held_out": 2 * HELD_OUT, "pairs": found}}


def clips_at(stride: int, split: str, seed: int, count: int) -> Iterator[Tensor]:
    """Real clips of eight frames, every `stride`-th of the film: `(count, 1, 8, 32, 32)`."""
    data = MovingDigits(split, size=32, frames=8 * stride, seed=seed)
    return (batch["video"][:, :, ::stride] for batch in batches(data, count, seed=seed))


PARTS = {"clipping": clipping, "noise": noise, "rates": rates}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    numbers = read_json(RESULTS) if RESULTS.exists() else {}
    for part in parser.parse_args().parts:
        numbers |= PARTS[part]()
        write_json(RESULTS, {**numbers, "command": f"python results/{command_line()}", **environment()})
