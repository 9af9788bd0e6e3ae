"""GAN: a generator learns to fool a discriminator that learns to tell. [goodfellow2014gan]

The generator turns noise into samples. The discriminator says of each sample whether it is real. Each is trained
against the other, and where neither can gain any more, the samples follow the distribution of the data.

    symbol   name                     shape        meaning
    z        latent                   (B, Z)       standard normal noise
    G        generator                (B, *shape)  noise to images (1, 28, 28) in [-1, 1], or to points (2,)
    a        real_logits/fake_logits  (B,)         the discriminator's logit; D = sigmoid(a)

Differs from the paper: leaky ReLU networks trained by Adam instead of maxout, dropout and momentum; the widths of
preset `paper` are those of the MLP that most tutorials train. The game is chosen by `loss`, so that chapter 1 can
compare games on equal networks.
Chapter: book/foundations/gan.md. Lab: notebooks/01_gan.ipynb.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vidgen_lab import losses
from vidgen_lab.core import (
    ArgumentError,
    Batch,
    DataConfig,
    Draw,
    Losses,
    Model,
    Optimizer,
    Phase,
    Preset,
    Recipe,
    latent_normal,
    unknown,
)


@dataclass(frozen=True)
class GANConfig:
    """Sizes of both networks, and the game they play."""

    shape: tuple[int, ...] = (1, 28, 28)  # of one sample: (channels, height, width), or (2,) for points
    latent_dim: int = 100
    generator_widths: tuple[int, ...] = (256, 512, 1024)
    discriminator_widths: tuple[int, ...] = (512, 256)
    loss: Literal["minimax", "non-saturating", "hinge", "least-squares", "wasserstein", "relativistic"] = (
        "non-saturating"
    )
    r1: float = 0.0  # weight gamma of the penalty on real samples, eq. (gan-r1)
    r2: float = 0.0  # the same on fakes
    penalty_every: int = 1  # R1 and R2 at every k-th step only, k times as strong; k = 4 saves a third of the time
    gradient_penalty: float = 0.0  # weight lambda, eq. (gan-gradient-penalty)
    spectral_norm: bool = False  # eq. (gan-spectral)
    critic_steps: int = 1  # discriminator steps for each generator step

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 3):
            raise ArgumentError(f"shape={self.shape}: give (channels, height, width) for images or (2,) for points.")
        if self.loss not in losses.ADVERSARIAL:
            raise unknown("loss", self.loss, losses.ADVERSARIAL)
        for name in ("r1", "r2", "gradient_penalty"):
            if getattr(self, name) < 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: a weight must be 0 or more.")
        for name in ("critic_steps", "penalty_every"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 1 or more.")


def mlp(sizes: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with leaky ReLU between them: `(B, sizes[0]) -> (B, sizes[-1])`."""
    layers: list[nn.Module] = []
    for width_in, width_out in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class Generator(nn.Module):
    """Noise to samples: `(B, Z) -> (B, *shape)`, images in [-1, 1], points anywhere in the plane."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.shape = config.shape
        self.layers = mlp((config.latent_dim, *config.generator_widths, prod(config.shape)))
        self.squash = nn.Tanh() if len(config.shape) == 3 else nn.Identity()

    def forward(self, latent: Tensor) -> Tensor:
        return self.squash(self.layers(latent)).view(-1, *self.shape)


class Discriminator(nn.Module):
    """Samples to logits: `(B, *shape) -> (B,)`."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.layers = mlp((prod(config.shape), *config.discriminator_widths, 1))
        if config.spectral_norm:
            losses.spectral_norm(self.layers)

    def forward(self, samples: Tensor) -> Tensor:
        return self.layers(samples.flatten(1)).squeeze(1)


class GAN(Model):
    """The two networks and the game between them."""

    name = "gan"
    averaged = ("generator",)

    def __init__(self, config: GANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.output = "image" if len(config.shape) == 3 else "points"
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        self.phases = (
            Phase("discriminator", updates=("discriminator",)),
            Phase("generator", updates=("generator",), every=config.critic_steps),
        )
        self.game = losses.ADVERSARIAL[config.loss]

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real = self.config, self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(draw.normal("latent", (len(real), config.latent_dim)))
        strength = losses.lazily(draw.step, config.penalty_every)
        r1, r2 = strength * config.r1, strength * config.r2
        real, fake = real.detach().requires_grad_(r1 > 0), fake.requires_grad_(r2 > 0)
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)  # (B,), (B,)
        terms = self.game.discriminator(real_logits, fake_logits)
        if r1:
            terms["r1"] = losses.zero_centred_penalty(real_logits, real, r1)
        if r2:
            terms["r2"] = losses.zero_centred_penalty(fake_logits, fake, r2)
        if config.gradient_penalty:
            mix = draw.uniform("mix", (len(real),))
            terms["gradient_penalty"] = losses.gradient_penalty(
                self.discriminator, real, fake, mix, config.gradient_penalty
            )
        return Losses(terms, log={"real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()})

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        real = self._real(batch)
        fake = self.generator(draw.normal("latent", (len(real), self.config.latent_dim)))
        real_logits = self.discriminator(real) if self.game.needs_real else None
        return Losses({"adversarial": self.game.generator(real_logits, self.discriminator(fake))})

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        return self.generator(latent_normal(n, self.config.latent_dim, self.device, generator))

    def _real(self, batch: Batch) -> Tensor:
        key = self.output
        if key not in batch:
            raise ArgumentError(
                f'this GAN of shape {self.config.shape} trains on "{key}"; the batch has {sorted(batch)}.'
            )
        if batch[key].shape[1:] != self.config.shape:
            raise ArgumentError(
                f"the data has shape {tuple(batch[key].shape[1:])}, the config says shape={self.config.shape}. "
                "Make them equal."
            )
        return batch[key]


def _both(lr: float, **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for both players."""
    return {"discriminator": Optimizer(lr=lr, **settings), "generator": Optimizer(lr=lr, **settings)}


GAN.presets = {
    "paper": Preset(
        GANConfig(),
        Recipe(DataConfig("mnist", size=28), batch_size=64, steps=200_000, optimizers=_both(2e-4)),
        note="200,000 steps of 64 digits of the full MNIST (never run here).",
    ),
    "gpu": Preset(
        GANConfig(r1=10.0, penalty_every=4),
        Recipe(
            DataConfig("mnist", size=28),
            batch_size=128,
            steps=60_000,
            optimizers=_both(1e-3, schedule="linear", final_lr=1e-4),
            ema_decay=0.999,
        ),
        note="15 minutes on one 16 GB GPU (estimated).",
    ),
    "ci": Preset(
        GANConfig(
            latent_dim=64,
            generator_widths=(128, 256, 512),
            discriminator_widths=(256, 128),
            r1=10.0,
            penalty_every=4,
        ),
        Recipe(
            DataConfig("digits", size=28),
            batch_size=64,
            steps=4000,
            optimizers=_both(2e-3, schedule="linear", final_lr=2e-4),
            ema_decay=0.999,
        ),
        note="50 seconds and 0.9 GB on one CPU thread.",
    ),
    "ring": Preset(
        GANConfig(shape=(2,), latent_dim=2, generator_widths=(64, 64), discriminator_widths=(64, 64)),
        Recipe(DataConfig("ring"), batch_size=128, steps=2000, optimizers=_both(1e-3)),
        note="eight Gaussians in the plane: some seconds on one CPU thread.",
    ),
}
