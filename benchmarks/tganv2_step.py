"""Training steps of TGANv2 by `fit`, against a plain PyTorch rebuild of the published layer tables.

    python benchmarks/tganv2_step.py --json results/bench-tganv2-step.json

The published four levels and strides at half the published sides, 16 frames of 96 x 96 in colour, with an eighth of the
published channels and 8 clips a batch. The rebuild below reads as the tables do, block by block, in the order of the
public code: a shortcut doubles before its convolution, and pools after it; ours does it the other way round, with the
same result. Generated frames stand in the batch as images. The loop has what a step must have and nothing more, the
penalty at every step included. Both train on the same noise in fp32. A call is a run of 2 steps.
"""

import functools

import torch
from harness import OURS, PEER, Built, Case, run
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, interpolate, softplus

from vidgen_lab import create_model, fit
from vidgen_lab.training.bench import Replay

STEPS, ROWS, FRAMES, SIDE = 2, 8, 16, 96
Z, R, S, LAMBDA = 256, 128, 3, 0.5  # noise; the recurrent network's channels, 1024 / 8, and side; the penalty
LEVELS = (32, 16), (8,), (4,), (4,)  # channels of the blocks of each level, / 8
CRITIC = 8, 16, 32, 64, 128  # the same of each discriminator


@functools.cache
def clips() -> Tensor:
    return 2 * torch.rand(ROWS, 3, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 1


def ours() -> Built:
    """`fit`, as `vidgen train tganv2` calls it, without files."""
    sizes = {"size": SIDE, "recurrent_width": R, "widths": sum(LEVELS, ()), "discriminator_widths": CRITIC}
    model = create_model("tganv2", "paper", **sizes, batch_size=ROWS)
    data = Replay([{"video": clips()}], ROWS)
    return Built(lambda: fit(model, data, steps=STEPS, device="cpu", progress=False), tuple(model.children()))


# The peer: the tables, written down.


class Up(nn.Module):
    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width_in), nn.BatchNorm2d(width)
        self.conv1, self.conv2 = nn.Conv2d(width_in, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.shortcut = nn.Conv2d(width_in, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(interpolate(torch.relu_(self.norm1(x)), scale_factor=2))
        return self.conv2(torch.relu_(self.norm2(h))) + self.shortcut(interpolate(x, scale_factor=2))


class Rebuild(nn.Module):
    """The generator's table."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(Z, R * S * S)
        self.lstm_in, self.lstm_state = nn.Conv2d(R, 4 * R, 3, 1, 1), nn.Conv2d(R, 4 * R, 3, 1, 1, bias=False)
        self.levels, self.render, width_in = nn.ModuleList(), nn.ModuleList(), R
        for widths in LEVELS:
            blocks = []
            for width in widths:
                blocks.append(Up(width_in, width))
                width_in = width
            self.levels.append(nn.Sequential(*blocks))
            last = nn.BatchNorm2d(width_in), nn.ReLU(True), nn.Conv2d(width_in, 3, 3, 1, 1), nn.Tanh()
            self.render.append(nn.Sequential(*last))

    def forward(self, z: Tensor) -> list[Tensor]:
        gates, c, states = self.lstm_in(self.fc(z).view(-1, R, S, S)), 0.0, []
        for t in range(FRAMES):
            if t:
                gates = self.lstm_in.bias[:, None, None] + self.lstm_state(states[-1])
            i, f, o, g = gates.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            states.append(o.sigmoid() * c.tanh())
        h, frames, out = torch.stack(states, 1).flatten(0, 1), FRAMES, []
        for level, (blocks, render) in enumerate(zip(self.levels, self.render, strict=True)):
            if level:
                frames //= 2
                h = h.view(ROWS, 2 * frames, *h.shape[1:])[:, torch.randint(2, ()) :: 2].flatten(0, 1)
            h = blocks(h)
            out.append(render(h).view(ROWS, frames, 3, *h.shape[2:]).transpose(1, 2))
        return out


class Down(nn.Module):
    def __init__(self, width_in: int, width: int, first: bool) -> None:
        super().__init__()
        self.is_first, hidden = first, width if first else width_in
        self.conv1, self.conv2 = nn.Conv3d(width_in, hidden, 3, 1, 1), nn.Conv3d(hidden, width, 3, 1, 1)
        self.shortcut = nn.Conv3d(width_in, width, 1)

    def pool(self, x: Tensor) -> Tensor:
        kernel = [1 if size == 1 else 2 for size in x.shape[2:]]
        kernel[0] = 1 if self.is_first else kernel[0]
        return avg_pool3d(x, kernel, padding=[size % 2 if k == 2 else 0 for size, k in zip(x.shape[2:], kernel)])  # noqa: B905

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(torch.relu_(self.conv1(x if self.is_first else torch.relu(x))))
        return self.pool(h) + self.pool(self.shortcut(x))


class RebuiltDiscriminator(nn.Module):
    """The table of one level's discriminator."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((3, *CRITIC), CRITIC, strict=False)
        self.blocks = nn.Sequential(*(Down(*pair, first=index == 0) for index, pair in enumerate(pairs)))
        self.score = nn.Linear(CRITIC[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(torch.relu(self.blocks(x)).sum((2, 3, 4)))


def peer() -> Built:
    networks = Rebuild(), nn.ModuleList(RebuiltDiscriminator() for _ in LEVELS)
    return Built(functools.partial(train, *networks), networks)


def real_levels() -> list[Tensor]:
    """Real clips at the rate and size of each level."""
    kept, levels = clips(), []
    for level in range(len(LEVELS)):
        kept = kept[:, :, torch.randint(2, ()) :: 2] if level else kept
        factor = 2 ** (len(LEVELS) - 1 - level)
        levels.append(avg_pool3d(kept, (1, factor, factor)))
    return levels


def train(generator: nn.Module, discriminators: nn.ModuleList) -> None:
    """The same steps as one writes them for one model."""
    adam_d, adam_g = (
        torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.0, 0.9), fused=True)
        for network in (discriminators, generator)
    )

    def judge(levels: list[Tensor]) -> Tensor:
        return torch.cat([critic(level) for critic, level in zip(discriminators, levels, strict=True)])

    for _ in range(STEPS):
        with torch.no_grad():
            fake = generator(2 * torch.rand(ROWS, Z) - 1)
        real = [level.requires_grad_() for level in real_levels()]
        logits = judge(real)
        slopes = torch.autograd.grad(logits.sum(), real, create_graph=True)
        penalty = LAMBDA * sum(slope.square().sum() for slope in slopes)
        (softplus(-logits).mean() + softplus(judge(fake)).mean() + penalty).backward()
        adam_d.step()
        adam_d.zero_grad()

        discriminators.requires_grad_(False)
        softplus(-judge(generator(2 * torch.rand(ROWS, Z) - 1))).mean().backward()
        discriminators.requires_grad_(True)
        adam_g.step()
        adam_g.zero_grad()


_ABOUT = f"{STEPS} steps, {ROWS} clips of {FRAMES} x {SIDE} x {SIDE} in colour, widths of the paper / 8"
CASES = {"tganv2_step": Case(_ABOUT, "the layer tables written out", {OURS: ours, PEER: peer}, items=STEPS)}

if __name__ == "__main__":
    run(__file__, CASES)
