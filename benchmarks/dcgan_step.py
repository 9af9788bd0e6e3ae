"""Training steps of DCGAN's preset `reference` by `fit`, against the loop of PyTorch's public example, written anew.

    python benchmarks/dcgan_step.py --json results/bench-dcgan-step.json

The published sizes, images of 64 x 64 in colour, with 16 a batch, where the example has 64: the ratio is that of the
work, and a call stays short. The loop below does what the example's does: it draws one batch of fakes a step and shows
it to the discriminator twice, and it lets the generator's loss compute the discriminator's gradients too, only to throw
them away. `fit` draws fakes for each player and computes no gradient that is not used. A call is a run of 2 steps.
"""

import functools

import torch
from harness import OURS, PEER, Built, Case, run
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from vidgen_lab import create_model, fit
from vidgen_lab.training.bench import Replay

STEPS, ROWS = 2, 16
Z, W = 100, 64  # noise; channels of the generator's last hidden layer and of the discriminator's first


@functools.cache
def images() -> Tensor:
    return 2 * torch.rand(ROWS, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 1


def ours() -> Built:
    """`fit`, as `vidgen train dcgan --preset reference` calls it, without files."""
    model = create_model("dcgan", "reference", batch_size=ROWS)
    data = Replay([{"image": images()}], ROWS)
    return Built(
        lambda: fit(model, data, steps=STEPS, device="cpu", progress=False), (model.generator, model.discriminator)
    )


def plain() -> Built:
    """The example's networks and steps, as one writes them for one model."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(Z, 8 * W, 4, bias=False), nn.BatchNorm2d(8 * W), nn.ReLU(True),
        nn.ConvTranspose2d(8 * W, 4 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * W), nn.ReLU(True),
        nn.ConvTranspose2d(4 * W, 2 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * W), nn.ReLU(True),
        nn.ConvTranspose2d(2 * W, W, 4, 2, 1, bias=False), nn.BatchNorm2d(W), nn.ReLU(True),
        nn.ConvTranspose2d(W, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, W, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(W, 2 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * W), nn.LeakyReLU(0.2, True),
        nn.Conv2d(2 * W, 4 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * W), nn.LeakyReLU(0.2, True),
        nn.Conv2d(4 * W, 8 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(8 * W), nn.LeakyReLU(0.2, True),
        nn.Conv2d(8 * W, 1, 4, bias=False), nn.Flatten(0),
    )  # fmt: skip
    one, zero = torch.ones(ROWS), torch.zeros(ROWS)

    def train() -> None:
        adam_d, adam_g = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
            for network in (discriminator, generator)
        )
        for _ in range(STEPS):
            adam_d.zero_grad()
            binary_cross_entropy_with_logits(discriminator(images()), one).backward()
            fake = generator(torch.randn(ROWS, Z, 1, 1))
            binary_cross_entropy_with_logits(discriminator(fake.detach()), zero).backward()
            adam_d.step()

            adam_g.zero_grad()
            binary_cross_entropy_with_logits(discriminator(fake), one).backward()
            adam_g.step()

    return Built(train, (generator, discriminator))


CASES = {
    "dcgan_step": Case(
        f"{STEPS} steps of preset reference, {ROWS} images of 64 x 64 in colour",
        "the public example's loop written out",
        {OURS: ours, PEER: plain},
        items=STEPS,
    )
}

if __name__ == "__main__":
    run(__file__, CASES)
