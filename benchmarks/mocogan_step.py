"""Training steps of MoCoGAN by `fit`, against a plain PyTorch rebuild of the published layer tables.

    python benchmarks/mocogan_step.py --json results/bench-mocogan-step.json

The published clips, 16 frames of 64 x 64 in colour, with an eighth of the published channels and 8 clips a batch: at
full width a step takes a minute on one thread. The rebuild below reads as the tables do, layer by layer. Its loop has
what a step must have and nothing more. Both train on the same noise in fp32. A call is a run of 2 steps.

The two sides do the same work: the critic of clips judges 8 real and 8 generated clips, the critic of frames one frame
of each, and of the generated frames only these are drawn.
"""

import functools

import torch
from harness import OURS, PEER, Built, Case, run
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from vidgen_lab import create_model, fit
from vidgen_lab.training.bench import Replay

STEPS, ROWS, FRAMES = 2, 8, 16
CONTENT, MOTION = 50, 10
W = 8  # channels of the last hidden layer of the generator and of the first of both critics: 64 / 8


@functools.cache
def clips() -> Tensor:
    return 2 * torch.rand(ROWS, 3, FRAMES, 64, 64, generator=torch.Generator().manual_seed(0)) - 1


def ours() -> Built:
    """`fit`, as `vidgen train mocogan` calls it, without files."""
    wide, narrow = (8 * W, 4 * W, 2 * W, W), (W, 2 * W, 4 * W, 8 * W)
    sizes = {"generator_widths": wide, "video_widths": narrow, "image_widths": narrow[:3]}
    model = create_model("mocogan", "paper", **sizes, batch_size=ROWS)
    data = Replay([{"video": clips()}], ROWS)
    return Built(lambda: fit(model, data, steps=STEPS, device="cpu", progress=False), tuple(model.children()))


# The peer: the tables, written down.


class Rebuild(nn.Module):
    """The generator's table."""

    def __init__(self) -> None:
        super().__init__()
        self.motion = nn.GRU(MOTION, MOTION, batch_first=True)
        self.images = nn.Sequential(
            nn.ConvTranspose2d(CONTENT + MOTION, 8 * W, 4, bias=False), nn.BatchNorm2d(8 * W), nn.ReLU(True),
            nn.ConvTranspose2d(8 * W, 4 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * W), nn.ReLU(True),
            nn.ConvTranspose2d(4 * W, 2 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * W), nn.ReLU(True),
            nn.ConvTranspose2d(2 * W, W, 4, 2, 1, bias=False), nn.BatchNorm2d(W), nn.ReLU(True),
            nn.ConvTranspose2d(W, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def codes(self) -> Tensor:
        motion, _ = self.motion(torch.randn(ROWS, FRAMES, MOTION), torch.randn(1, ROWS, MOTION))
        content = torch.randn(ROWS, 1, CONTENT).expand(-1, FRAMES, -1)
        return torch.cat([content, motion], 2)

    def forward(self, codes: Tensor) -> Tensor:
        return self.images(codes.view(-1, CONTENT + MOTION, 1, 1))

    def clips(self) -> Tensor:
        return self(self.codes()).view(ROWS, FRAMES, 3, 64, 64).transpose(1, 2)


def rebuilt_video_discriminator() -> nn.Sequential:
    """The table of the critic of clips."""
    shape = 4, (1, 2, 2), (0, 1, 1)
    return nn.Sequential(
        nn.Conv3d(3, W, *shape, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv3d(W, 2 * W, *shape, bias=False), nn.BatchNorm3d(2 * W), nn.LeakyReLU(0.2, True),
        nn.Conv3d(2 * W, 4 * W, *shape, bias=False), nn.BatchNorm3d(4 * W), nn.LeakyReLU(0.2, True),
        nn.Conv3d(4 * W, 8 * W, *shape, bias=False), nn.BatchNorm3d(8 * W), nn.LeakyReLU(0.2, True),
        nn.Conv3d(8 * W, 1, 4, bias=False),
    )  # fmt: skip


def rebuilt_image_discriminator() -> nn.Sequential:
    """The table of the critic of frames."""
    return nn.Sequential(
        nn.Conv2d(3, W, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(W, 2 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * W), nn.LeakyReLU(0.2, True),
        nn.Conv2d(2 * W, 4 * W, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * W), nn.LeakyReLU(0.2, True),
        nn.Conv2d(4 * W, 1, 4, 2, 1, bias=False),
    )  # fmt: skip


def peer() -> Built:
    networks = Rebuild(), rebuilt_video_discriminator(), rebuilt_image_discriminator()
    return Built(functools.partial(train, *networks), networks)


def train(generator: Rebuild, video_critic: nn.Module, image_critic: nn.Module) -> None:
    """The same steps as one writes them for one model."""
    adam_g, adam_v, adam_i = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), weight_decay=1e-5, fused=True)
        for network in (generator, video_critic, image_critic)
    )
    rows = torch.arange(ROWS)

    def loss(logits: Tensor, target: float) -> Tensor:
        return cross_entropy(logits, torch.full_like(logits, target))

    for _ in range(STEPS):
        with torch.no_grad():
            fake = generator.clips()
        (loss(video_critic(clips()), 1.0) + loss(video_critic(fake), 0.0)).backward()
        adam_v.step()
        adam_v.zero_grad()

        real = clips()[rows, :, torch.randint(FRAMES, (ROWS,))]
        with torch.no_grad():
            fake = generator(generator.codes()[rows, torch.randint(FRAMES, (ROWS,))])
        (loss(image_critic(real), 1.0) + loss(image_critic(fake), 0.0)).backward()
        adam_i.step()
        adam_i.zero_grad()

        video_critic.requires_grad_(False)
        image_critic.requires_grad_(False)
        fake = generator.clips()
        frames = fake[rows, :, torch.randint(FRAMES, (ROWS,))]
        (loss(video_critic(fake), 1.0) + loss(image_critic(frames), 1.0)).backward()
        video_critic.requires_grad_(True)
        image_critic.requires_grad_(True)
        adam_g.step()
        adam_g.zero_grad()


_ABOUT = f"{STEPS} steps, {ROWS} clips of {FRAMES} x 64 x 64 in colour, widths of the paper / 8"
CASES = {"mocogan_step": Case(_ABOUT, "the layer tables written out", {OURS: ours, PEER: peer}, items=STEPS)}

if __name__ == "__main__":
    run(__file__, CASES)
