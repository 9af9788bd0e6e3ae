"""The generator of noise and same-size convolutions, and what mends it: a critic, a latent, upsampling.

    python results/conv3d_repair.py    writes results/conv3d-repair.json and book/_static/conv3d/repair.png

Every generator that is trained gets the same CPU time. "pixels" trains without a critic: the mean squared difference
from a real clip that is drawn at random. The last generator and all critics are those of c3dgan's preset `ci`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vidgen_lab import create_model, load_pretrained, losses, metrics, viz
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits, batches
from vidgen_lab.nn.arithmetic import layer_table, receptive_field
from vidgen_lab.training.state import write_json

ROOT = Path(__file__).resolve().parents[1]
SECONDS, BATCH, SAMPLES, RATE = 50.0, 16, 1000, 5e-4
SHAPE = (1, 16, 32, 32)  # C, T, H, W
WIDTH, FAR = 16, 8  # channels of the same-size layers; pixels between the two whose correlation is measured


class Row(NamedTuple):
    """A generator, the noise that it reads, and who trains it."""

    generator: nn.Module
    noise: Callable[[int], Tensor]
    teacher: Literal["none", "pixels", "critic"]


def same_size(width_in: int) -> nn.Sequential:
    """Four convolutions that keep frames and sides."""
    layers: list[nn.Module] = []
    for width in (width_in, WIDTH, WIDTH):
        layers += [nn.Conv3d(width, WIDTH, 3, padding=1), nn.BatchNorm3d(WIDTH), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv3d(WIDTH, SHAPE[0], 3, padding=1), nn.Tanh())


def rows() -> dict[str, Row]:
    """From the sketch to c3dgan."""

    def volume(n: int) -> Tensor:
        return torch.randn(n, *SHAPE)

    def spread(n: int) -> Tensor:  # one latent, the same at all places
        return torch.randn(n, WIDTH, 1, 1, 1).expand(-1, -1, *SHAPE[1:])

    def latent(n: int) -> Tensor:
        return torch.randn(n, 100)

    def doubling() -> nn.Module:
        return create_model("c3dgan", "ci").generator

    return {
        "sketch": Row(same_size(1), volume, "none"),
        "sketch, pixels": Row(same_size(1), volume, "pixels"),
        "sketch, critic": Row(same_size(1), volume, "critic"),
        "latent at all places, critic": Row(same_size(WIDTH), spread, "critic"),
        "upsampling": Row(doubling(), latent, "none"),
        "upsampling, pixels": Row(doubling(), latent, "pixels"),
        "upsampling, critic": Row(doubling(), latent, "critic"),
    }


def train(row: Row) -> tuple[int, float]:
    """Trains for `SECONDS` of CPU time; returns the steps that this bought, and the seconds."""
    model = create_model("c3dgan", "ci")
    config, critic = model.config, model.discriminator
    players = [torch.optim.Adam(net.parameters(), RATE, (0.5, 0.99)) for net in (row.generator, critic)]
    stream = batches(MovingDigits("train", size=SHAPE[2], frames=SHAPE[1]), BATCH, seed=0)
    start, step = time.process_time(), 0
    while time.process_time() - start < SECONDS:
        real, fake = next(stream)["video"], row.generator(row.noise(BATCH))
        if row.teacher == "critic":
            lazy = step % config.penalty_every == 0
            real.requires_grad_(lazy)
            logits = critic(real)[:, 0]
            terms = losses.cross_entropy_discriminator(logits, critic(fake.detach())[:, 0])
            if lazy:
                terms["r1"] = losses.zero_centred_penalty(logits, real, config.r1 * config.penalty_every)
            move(players[1], sum(terms.values()))
            loss = losses.non_saturating_generator(None, critic(fake)[:, 0])
        else:
            loss = (fake - real).square().mean()
        move(players[0], loss)
        step += 1
    return step, time.process_time() - start


def move(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of one player."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def correlation(clips: Tensor) -> float:
    """Of two pixels of a frame, `FAR` columns apart, over all clips; of the middle rows, where digits are."""
    middle = clips[:, 0, SHAPE[1] // 2, 8:24]
    left, right = middle[..., :-FAR], middle[..., FAR:]
    left, right = (side - side.mean(0) for side in (left, right))
    return ((left * right).mean() / (left.square().mean() * right.square().mean()).sqrt()).item()


def main() -> None:
    """Trains, measures, draws, writes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    reader = load_pretrained("digits-3d")

    def features(clips: Tensor) -> Tensor:
        return torch.cat([reader.features(part) for part in clips.split(100)])

    settings = {"size": SHAPE[2], "frames": SHAPE[1], "color": False}
    reference, others = (metrics.ladder.reference(SAMPLES, seed, **settings) for seed in (0, 1))
    real, protocol = features(reference), {"network": "digits-3d", **settings}
    floor = metrics.frechet_distance(real, features(others), protocol, "FVD-digits")
    table: dict[str, Any] = {}
    shown = [others[:1]]
    for name, row in rows().items():
        steps, seconds = train(row) if row.teacher != "none" else (0, 0.0)
        row.generator.eval()
        with torch.no_grad():
            clips = torch.cat([row.generator(row.noise(50)) for _ in range(SAMPLES // 50)])
        shown.append(clips[:1])
        spread = layer_table(row.generator, row.noise(1))
        table[name] = {
            "fvd": metrics.frechet_distance(real, features(clips), protocol, "FVD-digits").value,
            "steps": steps,
            "cpu_seconds": round(seconds, 1),
            "correlation": correlation(clips),
            "field": receptive_field(spread),
            "multiply_adds": sum(layer.multiply_adds for layer in spread),
            "parameters": sum(parameter.numel() for parameter in row.generator.parameters()),
            "between_clips": clips.std(0).mean().item(),
        }
        print(name, table[name], flush=True)
    viz.save(torch.cat(shown)[:, :, ::2], ROOT / "book" / "_static" / "conv3d" / "repair.png")
    manifest = {
        "command": "python results/conv3d_repair.py",
        **environment(),
        "protocol": {**protocol, "samples": SAMPLES, "seconds": SECONDS, "batch_size": BATCH, "seed": 0, "far": FAR},
        "floor": floor.value,
        "real_correlation": correlation(others),
        "rows": table,
    }
    write_json(ROOT / "results" / "conv3d-repair.json", manifest)


if __name__ == "__main__":
    main()
