"""Training steps of VGAN by `fit`, against a plain PyTorch rebuild of the published layer table.

    python benchmarks/vgan_step.py --json results/bench-vgan-step.json

The published clips, 32 frames of 64 x 64 in colour, with an eighth of the published channels and 8 clips a batch: at
full width a step takes minutes on one thread. The rebuild below reads as the table does, layer by layer, with a head
each for content and mask. Its loop has what a step must have and nothing more. Both train on the same noise in fp32.

Four more cases set our side beside itself: kernels with their channels last in memory against channels first, bf16
against fp32, once here and once in preset `cpu`, whose layers are wide enough for it, and the rebuild compiled by
`torch.compile` against the rebuild as it is. A call is a run of 2 steps.
"""

import functools
from collections.abc import Callable

import torch
from harness import OURS, PEER, Built, Case, run
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vidgen_lab import create_model, fit
from vidgen_lab.core import Model
from vidgen_lab.data import build
from vidgen_lab.training.bench import Replay

STEPS, ROWS = 2, 8
Z, W = 100, 8  # noise; channels of the last hidden layer of each stream and of the first of the discriminator: 64 / 8


@functools.cache
def clips() -> Tensor:
    return 2 * torch.rand(ROWS, 3, 32, 64, 64, generator=torch.Generator().manual_seed(0)) - 1


# Ours: the package.


def model(precision: str = "no") -> Model:
    """The paper's preset with an eighth of its channels."""
    wide, narrow = (8 * W, 4 * W, 2 * W, W), (W, 2 * W, 4 * W, 8 * W)
    sizes = {"generator_widths": wide, "discriminator_widths": narrow}
    return create_model("vgan", "paper", **sizes, batch_size=ROWS, precision=precision)


def fitted(built: Model) -> Built:
    data = Replay([{"video": clips()}], ROWS)
    return Built(
        lambda: fit(built, data, steps=STEPS, device="cpu", progress=False), (built.generator, built.discriminator)
    )


def ours() -> Built:
    """`fit`, as `vidgen train vgan` calls it, without files."""
    return fitted(model())


def channels_first() -> Built:
    built = model()
    for parameter in built.parameters():
        parameter.data = parameter.data.contiguous()
    return fitted(built)


def fresh(make: Callable[[], Model], data: Replay) -> Built:
    """Each call makes its model anew."""
    networks = tuple(make().children())
    return Built(lambda: fit(make(), data, steps=STEPS, device="cpu", progress=False), networks)


def fp32() -> Built:
    return fresh(model, Replay([{"video": clips()}], ROWS))


def bf16() -> Built:
    return fresh(lambda: model("bf16"), Replay([{"video": clips()}], ROWS))


def digits(precision: str = "no") -> Built:
    """Preset `cpu`: moving digits with labels, two critics, R1."""
    recipe = create_model("vgan", "cpu").recipe
    data = Replay([build(recipe.data).__getitems__(list(range(recipe.batch_size)))], recipe.batch_size)
    return fresh(lambda: create_model("vgan", "cpu", precision=precision), data)


def digits_bf16() -> Built:
    return digits("bf16")


# The peer: the table, written down.


class Rebuild(nn.Module):
    """The generator's table."""

    def __init__(self) -> None:
        super().__init__()
        self.background = nn.Sequential(
            nn.ConvTranspose2d(Z, 8 * W, 4), nn.BatchNorm2d(8 * W), nn.ReLU(True),
            nn.ConvTranspose2d(8 * W, 4 * W, 4, 2, 1), nn.BatchNorm2d(4 * W), nn.ReLU(True),
            nn.ConvTranspose2d(4 * W, 2 * W, 4, 2, 1), nn.BatchNorm2d(2 * W), nn.ReLU(True),
            nn.ConvTranspose2d(2 * W, W, 4, 2, 1), nn.BatchNorm2d(W), nn.ReLU(True),
            nn.ConvTranspose2d(W, 3, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip
        self.trunk = nn.Sequential(
            nn.ConvTranspose3d(Z, 8 * W, (2, 4, 4)), nn.BatchNorm3d(8 * W), nn.ReLU(True),
            nn.ConvTranspose3d(8 * W, 4 * W, 4, 2, 1), nn.BatchNorm3d(4 * W), nn.ReLU(True),
            nn.ConvTranspose3d(4 * W, 2 * W, 4, 2, 1), nn.BatchNorm3d(2 * W), nn.ReLU(True),
            nn.ConvTranspose3d(2 * W, W, 4, 2, 1), nn.BatchNorm3d(W), nn.ReLU(True),
        )  # fmt: skip
        self.content = nn.Sequential(nn.ConvTranspose3d(W, 3, 4, 2, 1), nn.Tanh())
        self.mask = nn.Sequential(nn.ConvTranspose3d(W, 1, 4, 2, 1), nn.Sigmoid())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(z[:, :, None, None, None])
        mask, background = self.mask(hidden), self.background(z[:, :, None, None]).unsqueeze(2)
        return mask * self.content(hidden) + (1 - mask) * background, mask


def rebuilt_discriminator() -> nn.Sequential:
    """The discriminator's table: two classes."""
    return nn.Sequential(
        nn.Conv3d(3, W, 4, 2, 1), nn.LeakyReLU(0.2, True),
        nn.Conv3d(W, 2 * W, 4, 2, 1), nn.BatchNorm3d(2 * W, 1e-3), nn.LeakyReLU(0.2, True),
        nn.Conv3d(2 * W, 4 * W, 4, 2, 1), nn.BatchNorm3d(4 * W, 1e-3), nn.LeakyReLU(0.2, True),
        nn.Conv3d(4 * W, 8 * W, 4, 2, 1), nn.BatchNorm3d(8 * W, 1e-3), nn.LeakyReLU(0.2, True),
        nn.Conv3d(8 * W, 2, (2, 4, 4)), nn.Flatten(),
    )  # fmt: skip


def rebuilt(compiled: bool = False) -> Built:
    generator, discriminator = Rebuild(), rebuilt_discriminator()
    g, d = (torch.compile(network) if compiled else network for network in (generator, discriminator))
    return Built(functools.partial(train, g, d), (generator, discriminator))


def train(generator: Callable, discriminator: Callable) -> None:
    """The same steps as one writes them for one model."""
    adam_d, adam_g = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        for network in (discriminator, generator)
    )
    real, generated = torch.zeros(ROWS, dtype=torch.long), torch.ones(ROWS, dtype=torch.long)
    for _ in range(STEPS):
        with torch.no_grad():
            fake, _ = generator(torch.randn(ROWS, Z))
        loss = cross_entropy(discriminator(clips()), real) + cross_entropy(discriminator(fake), generated)
        loss.backward()
        adam_d.step()
        adam_d.zero_grad()

        discriminator.requires_grad_(False)
        fake, mask = generator(torch.randn(ROWS, Z))
        (cross_entropy(discriminator(fake), real) + 0.1 * mask.abs().mean()).backward()
        discriminator.requires_grad_(True)
        adam_g.step()
        adam_g.zero_grad()


def peer() -> Built:
    return rebuilt()


def compiled() -> Built:
    return rebuilt(compiled=True)


_ABOUT = f"{STEPS} steps, {ROWS} clips of 32 x 64 x 64 in colour, widths of the paper / 8"
CASES = {
    "vgan_step": Case(_ABOUT, "the layer table written out", {OURS: ours, PEER: peer}, items=STEPS),
    "channels_last": Case(f"channels last: {_ABOUT}", "channels first", {OURS: ours, PEER: channels_first}),
    "bf16": Case(f"bf16: {_ABOUT}", "fp32", {OURS: bf16, PEER: fp32}),
    "bf16_digits": Case(
        f"bf16: {STEPS} steps of preset cpu, 16 clips of 16 x 32 x 32", "fp32", {OURS: digits_bf16, PEER: digits}
    ),
    "compiled": Case(f"torch.compile, the table written out: {_ABOUT}", "not compiled", {OURS: compiled, PEER: peer}),
}

if __name__ == "__main__":
    run(__file__, CASES)
