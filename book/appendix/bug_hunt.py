"""Eighteen mistakes, rebuilt small: of each the code that goes wrong and the code that does not.

The listings of book/appendix/bug-hunt.md are the functions below; bug_hunt_figures.py draws what they do, and
tests/repository/test_bug_hunt.py holds symptom and cure of each.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import softplus


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with a leaky ReLU between them."""
    layers: list[nn.Module] = []
    for width_in, width_out in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


@dataclass
class Game:
    """Two players on points of the plane, each with its optimiser. A step takes real points and noise, both (B, 2)."""

    generator: nn.Module
    discriminator: nn.Module
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer


def new_game(seed: int = 0, rate: float = 1e-3, width: int = 64) -> Game:
    """Fresh players; the same seed gives the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator, discriminator = mlp(2, width, width, 2), mlp(2, width, width, 1)
    optimizers = [torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.9)) for net in (generator, discriminator)]
    return Game(generator, discriminator, *optimizers)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step of one player."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def right_step(game: Game, real: Tensor, noise: Tensor) -> Tensor:
    """A step of each player. Returns the discriminator's loss."""
    fake = game.generator(noise)
    on_real = softplus(-game.discriminator(real)).mean()
    on_fake = softplus(game.discriminator(fake.detach())).mean()
    descend(on_real + on_fake, game.optimizer_d)
    descend(softplus(-game.discriminator(fake)).mean(), game.optimizer_g)
    return (on_real + on_fake).detach()


def play(
    step: Callable[[Game, Tensor, Tensor], Tensor], real: Tensor, steps: int, seed: int = 0, batch: int = 128
) -> tuple[Game, list[float]]:
    """A whole game on the points `real` `(N, 2)`: the players, and the discriminator's loss at each step."""
    game, generator = new_game(seed), torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(steps):
        rows = torch.randint(0, len(real), (batch,), generator=generator)
        losses.append(step(game, real[rows], torch.randn(batch, 2, generator=generator)).item())
    return game, losses


# 1. Both halves of the loss on the real batch.


def no_fakes_step(game: Game, real: Tensor, noise: Tensor) -> Tensor:
    on_real = game.discriminator(real)
    loss = softplus(-on_real).mean() + softplus(on_real).mean()
    descend(loss, game.optimizer_d)
    descend(softplus(-game.discriminator(game.generator(noise))).mean(), game.optimizer_g)
    return loss.detach()


# 2. A sigmoid at the end of the discriminator, and another one in the loss.


def two_sigmoids_step(game: Game, real: Tensor, noise: Tensor) -> Tensor:
    fake = game.generator(noise)
    on_real = game.discriminator(real).sigmoid()
    on_fake = game.discriminator(fake.detach()).sigmoid()
    loss = F.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
    loss = loss + F.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
    descend(loss, game.optimizer_d)
    on_fake = game.discriminator(fake).sigmoid()
    descend(F.binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake)), game.optimizer_g)
    return loss.detach()


# 3. Truth values for targets, and fakes that are still tied to the generator.


def truth_value_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    real = F.binary_cross_entropy(on_real.sigmoid(), True)
    fake = F.binary_cross_entropy(on_fake.sigmoid(), False)
    return real + fake


def attached_step(game: Game, real: Tensor, noise: Tensor) -> Tensor:
    game.optimizer_d.zero_grad()
    game.optimizer_g.zero_grad()
    fake = game.generator(noise)
    on_real = softplus(-game.discriminator(real)).mean()
    on_fake = softplus(game.discriminator(fake)).mean()
    (on_real + on_fake).backward()
    game.optimizer_d.step()
    softplus(-game.discriminator(game.generator(noise))).mean().backward()
    game.optimizer_g.step()
    return (on_real + on_fake).detach()


# 4. Both players told to bring D(G(z)) to one half.


def one_goal_step(game: Game, real: Tensor, noise: Tensor) -> Tensor:
    def goal() -> Tensor:
        return (game.discriminator(game.generator(noise)).sigmoid() - 0.5).square().mean()

    loss = goal()
    descend(loss, game.optimizer_d)
    descend(goal(), game.optimizer_g)
    return loss.detach()


# 5. The update rule with its sign turned.


@torch.no_grad()
def wrong_update(parameters: Iterable[Tensor], rate: float) -> None:
    for parameter in parameters:
        parameter += rate * parameter.grad


@torch.no_grad()
def right_update(parameters: Iterable[Tensor], rate: float) -> None:
    for parameter in parameters:
        parameter -= rate * parameter.grad


# 6 to 8. A quantiser that is none.


class Tokenizer(nn.Module):
    """Points of the plane `(B, 2)` through a codebook `(K, 2)`."""

    def __init__(self, num_codes: int = 16, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder, self.decoder = mlp(2, 64, 2), mlp(2, 64, 2)
            self.codebook = nn.Parameter(torch.randn(num_codes, 2))

    def nearest(self, latent: Tensor) -> Tensor:
        """`(B, 2) -> (B,)`, the number of the nearest vector."""
        return torch.cdist(latent, self.codebook).argmin(1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """What comes out when only the numbers of the codes are kept."""
        return self.decoder(self.codebook[self.nearest(self.encoder(x))])


def reconstruction_only(model: Tokenizer, x: Tensor) -> Tensor:
    probabilities = (model.encoder(x) @ model.codebook.T).softmax(1)
    chosen = model.codebook[probabilities.argmax(1)]
    return F.mse_loss(model.decoder(chosen), x)


def no_quantiser(model: Tokenizer, x: Tensor) -> Tensor:
    return F.mse_loss(model.decoder(model.encoder(x)), x)


def right_objective(model: Tokenizer, x: Tensor, beta: float = 0.25) -> Tensor:
    latent = model.encoder(x)
    chosen = model.codebook[model.nearest(latent)]
    passed = latent + (chosen - latent).detach()  # straight through
    reconstruction = F.mse_loss(model.decoder(passed), x)
    codebook = F.mse_loss(chosen, latent.detach())
    commitment = F.mse_loss(latent, chosen.detach())
    return reconstruction + codebook + beta * commitment


class SoftQuantiser(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, latent: Tensor) -> Tensor:
        return self.layer(latent).softmax(1)


class HardQuantiser(nn.Module):
    def __init__(self, width: int = 16, num_codes: int = 32) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(num_codes, width))

    def forward(self, latent: Tensor) -> Tensor:
        chosen = self.codebook[torch.cdist(latent, self.codebook).argmin(1)]
        return latent + (chosen - latent).detach()


# 9. Code that cannot run, and its neighbour that can.


def encoder(images: Tensor) -> Tensor:
    """`(B, 784) -> (B, 128)`: here simply the first numbers."""
    return images[:, :128]


def shadowed(images: Tensor) -> Tensor:
    encoder = encoder(images)  # noqa: F823
    return encoder.mean()


def code_minus_image(images: Tensor) -> Tensor:
    return (images - encoder(images)).square().mean()


def stray_axis(images: Tensor) -> Tensor:
    noise = torch.zeros(len(images), 1, images.shape[1])
    return (images - noise).square().mean()


def axis_that_is_not_there(images: Tensor) -> int:
    return images.shape[2]


# 10. A transposed convolution with the formula of a convolution.


def wrong_side(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1


def right_side(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side - 1) * stride - 2 * padding + kernel


def adjoint_gap(forward: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """How far <A x, y> is from <x, B y>, of their size: 0 if B is the adjoint of A."""
    left, right = (forward(x) * y).sum(), (x * back(y)).sum()
    return ((left - right).abs() / left.abs()).item()


# 11. Layers in the wrong network.


def wrong_discriminator(width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(1, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(width, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.LazyLinear(1),
    )


def right_discriminator(width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * width, 1, 4),  # 4x4 to one logit
        nn.Flatten(),
    )


def wrong_generator(width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(16, width, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.LazyLinear(32 * 32),
    )


def faults(generator: nn.Module, discriminator: nn.Module) -> list[str]:
    """What the guidelines of DCGAN forbid and the two networks have."""
    rules = (
        ("transposed convolution in D", discriminator, nn.ConvTranspose2d),
        ("plain convolution in G", generator, nn.Conv2d),
        ("leaky ReLU in G", generator, nn.LeakyReLU),
        ("dense layer in G", generator, nn.Linear),
        ("dense layer in D", discriminator, nn.Linear),
    )
    return [name for name, network, kind in rules if any(isinstance(layer, kind) for layer in network.modules())]


def maps(network: nn.Sequential, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes `(C, H, W)` of the maps that a network makes on the way."""
    found = []
    for layer in network:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            found.append(tuple(x.shape[1:]))
    return found


# 12. One doubling too few, and no initialisation.


def three_doublings(latent_dim: int = 16, width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(latent_dim, 4 * width, 4),  # 1x1 to 4x4
        nn.ReLU(),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1),
        nn.Tanh(),
    )


def right_generator(size: int = 64, latent_dim: int = 16, width: int = 8) -> nn.Sequential:
    doublings = int(math.log2(size / 4))
    widths = [width * 2 ** (doublings - 1 - i) for i in range(doublings)]
    layers = [nn.ConvTranspose2d(latent_dim, widths[0], 4), nn.ReLU()]
    for width_in, width_out in zip(widths, [*widths[1:], 1], strict=True):
        layers += [nn.ConvTranspose2d(width_in, width_out, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Tanh()).apply(start)


def start(layer: nn.Module) -> None:
    """DCGAN's start: weights from N(0, 0.02)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)


# 13. Batch normalisation by a formula that is not it.


def wrong_batch_norm(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.var(0, correction=0)


class RightBatchNorm(nn.Module):
    """Features `(B, C)`: normalised by the batch in train mode, by running averages in eval mode; then scale, shift."""

    def __init__(self, width: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_variance
        if self.training:
            mean, variance = x.mean(0), x.var(0, correction=0)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_variance.lerp_(x.detach().var(0), self.momentum)
        return self.scale * (x - mean) / (variance + self.eps).sqrt() + self.shift


# 14. A sigmoid where a hyperbolic tangent is meant.


def wrong_tanh(x: Tensor) -> Tensor:
    return x.sigmoid()


def right_tanh(x: Tensor) -> Tensor:
    return 2 * (2 * x).sigmoid() - 1


def is_linear(f: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> bool:
    """Whether f(x + y) = f(x) + f(y) for these two."""
    return torch.allclose(f(x + y), f(x) + f(y))


# 15. Noise as large as the clip, and layers that keep its size.


def same_size(width: int = 4) -> nn.Sequential:
    """`(B, 1, T, H, W)` of noise to as large a clip."""
    return nn.Sequential(
        nn.Conv3d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv3d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv3d(width, 1, 3, padding=1),
        nn.Tanh(),
    )


def from_latent(latent_dim: int = 32, width: int = 8) -> nn.Sequential:
    """`(B, Z)` to `(B, 1, 8, 32, 32)`: one small map, doubled three times; the last time in space alone."""
    return nn.Sequential(
        nn.Linear(latent_dim, 4 * width * 2 * 4 * 4),
        nn.Unflatten(1, (4 * width, 2, 4, 4)),
        nn.ReLU(),
        nn.ConvTranspose3d(4 * width, 2 * width, 4, 2, 1),  # 4x8x8
        nn.ReLU(),
        nn.ConvTranspose3d(2 * width, width, 4, 2, 1),  # 8x16x16
        nn.ReLU(),
        nn.ConvTranspose3d(width, 1, (3, 4, 4), (1, 2, 2), 1),  # 8x32x32
        nn.Tanh(),
    )


def reach(network: nn.Module, noise: Tensor, index: int) -> float:
    """Share of the clip that changes when one number of the noise `(1, ...)` does."""
    moved = noise.clone()
    moved.view(-1)[index] += 1
    with torch.no_grad():
        return (network(noise) != network(moved)).float().mean().item()


# 16. Two modalities added with shapes that do not fit, or fit by accident.


def added(picture: Tensor, words: Tensor) -> Tensor:
    return picture + words


class Fusion(nn.Module):
    """A picture `(B, D)` and words `(B, L, D)` as one sequence under attention: `(B, D)`."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.summary = nn.Parameter(torch.randn(1, 1, width))
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, picture: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        """`padding` `(B, L)` is true where a caption is shorter than the longest one."""
        sequence = torch.cat([picture[:, None], words], dim=1)
        hidden = F.pad(padding, (1, 0), value=False)  # the picture is always there
        query = self.summary.expand(len(picture), -1, -1)
        return self.attention(query, sequence, sequence, key_padding_mask=hidden)[0][:, 0]


# 17. All codes of a frame at once.


def frame_at_once(joint: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Frames of two codes `(n, 2)`; `joint` `(K, K)` says how often each pair occurs."""
    first = torch.multinomial(joint.sum(1), n, replacement=True, generator=generator)
    second = torch.multinomial(joint.sum(0), n, replacement=True, generator=generator)
    return torch.stack([first, second], dim=1)


def code_by_code(joint: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """The same, the second code drawn when the first is known."""
    first = torch.multinomial(joint.sum(1), n, replacement=True, generator=generator)
    second = torch.multinomial(joint[first], 1, generator=generator)[:, 0]
    return torch.stack([first, second], dim=1)


# 18. A winner without a measurement.


def wrong_verdict(a: list[float], b: list[float]) -> str:
    """Scores of the runs of two models, the smaller the better."""
    return "a" if a[0] < b[0] else "b"


def right_verdict(a: list[float], b: list[float]) -> str:
    """The same: a winner only if each of its runs beats each of the other's."""
    if max(a) < min(b):
        return "a"
    return "b" if max(b) < min(a) else "undecided"
