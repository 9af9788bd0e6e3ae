"""What a critic of clips must see: real clips against spoilt ones, read by a 3-D CNN and frame by frame.

    python results/conv3d_critic.py    writes results/conv3d-critic.json

Two classifiers with the same widths get the same CPU time: one with 3-D convolutions, the discriminator of c3dgan; one
that reads each frame alone, with 2-D convolutions, and takes the mean of its logits over the frames. Accuracy is
measured on clips of held-out digits.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits, batches
from vidgen_lab.metrics.ladder import shuffled
from vidgen_lab.nn.arithmetic import layer_table
from vidgen_lab.nn.conv3d import ClipDiscriminator
from vidgen_lab.training.state import write_json

SECONDS, BATCH, RATE, HELD_OUT = 25.0, 16, 1e-3, 500
SHAPE, WIDTHS = (1, 16, 32, 32), (16, 32, 64)


class PerFrame(nn.Module):
    """A critic of single frames, `(B, C, T, H, W) -> (B, 1)`: the mean of its logits, so that their order is lost."""

    def __init__(self) -> None:
        super().__init__()
        channels, _, *sides = SHAPE
        self.critic = ClipDiscriminator((channels, 1, *sides), WIDTHS, 1, "2d", norm=False)

    def forward(self, clips: Tensor) -> Tensor:
        frames = clips.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # (B T, C, 1, H, W)
        return self.critic(frames).unflatten(0, clips.shape[:1] + clips.shape[2:3]).mean(1)


def spoil(kind: str, clips: Tensor, restless: Tensor, generator: torch.Generator) -> Tensor:
    """Clips that go wrong in time and in nothing else."""
    if kind == "frozen":
        return clips[:, :, SHAPE[1] // 2, None].expand_as(clips)
    if kind == "backwards":
        return clips.flip(2)
    return shuffled(clips, generator) if kind == "shuffled" else restless


def stream(split: str, seed: int, restless: bool = False) -> Any:
    data = MovingDigits(split, size=SHAPE[2], frames=SHAPE[1], seed=seed, restless=restless)
    return batches(data, BATCH if split == "train" else HELD_OUT, seed=seed)


def accuracy(critic: nn.Module, kind: str) -> tuple[float, float]:
    """On held-out clips, half of them real; for each class, the share that gets the right sign."""
    rng = torch.Generator().manual_seed(1)
    real, other, restless = (
        next(stream("test", seed, flag))["video"] for seed, flag in ((0, False), (1, False), (2, True))
    )
    spoilt = spoil(kind, other, restless, rng)
    with torch.no_grad():
        return tuple(
            (torch.cat([critic(part) for part in clips.split(50)]) * sign > 0).float().mean().item()
            for clips, sign in ((real, 1), (spoilt, -1))
        )


def teach(critic: nn.Module, kind: str) -> dict[str, Any]:
    """Trains for `SECONDS` of CPU time."""
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(critic.parameters(), RATE)
    streams = stream("train", 0), stream("train", 1), stream("train", 2, restless=True)
    start, step = time.process_time(), 0
    while time.process_time() - start < SECONDS:
        real, other, restless = (next(clips)["video"] for clips in streams)
        spoilt = spoil(kind, other, restless, rng)
        loss = softplus(-critic(real)).mean() + softplus(critic(spoilt)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    right = accuracy(critic, kind)
    return {"accuracy": sum(right) / 2, "real": right[0], "spoilt": right[1], "steps": step}


def main() -> None:
    """Teaches all and writes the manifest."""
    torch.set_num_threads(1)
    table: dict[str, Any] = {}
    for kind in ("frozen", "shuffled", "restless", "backwards"):
        for name in ("clips", "frames"):
            torch.manual_seed(0)
            critic = PerFrame() if name == "frames" else ClipDiscriminator(SHAPE, WIDTHS, 1, "3d", norm=False)
            table.setdefault(name, {})[kind] = teach(critic, kind)
            print(name, kind, table[name][kind], flush=True)
    costs = {}
    for name, critic in (("clips", ClipDiscriminator(SHAPE, WIDTHS, 1, "3d", norm=False)), ("frames", PerFrame())):
        rows = layer_table(critic, torch.zeros(1, *SHAPE))
        costs[name] = {
            "parameters": sum(row.parameters for row in rows),
            "multiply_adds": sum(row.multiply_adds for row in rows),
        }
    protocol = {"seconds": SECONDS, "batch_size": 2 * BATCH, "held_out": 2 * HELD_OUT, "seed": 0, "lr": RATE}
    manifest = {"command": "python results/conv3d_critic.py", **environment(), "protocol": protocol}
    path = Path(__file__).parent / "conv3d-critic.json"
    write_json(path, {**manifest, "critics": table, "costs": costs})


if __name__ == "__main__":
    main()
