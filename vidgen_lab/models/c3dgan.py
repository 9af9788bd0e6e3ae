"""C3DGAN: one stream of 3-D transposed convolutions against a 3-D convolutional critic. [vondrick2016vgan]

DCGAN with one more axis: the generator starts from a map of 4x4 pixels and few frames and doubles space and time until
it is a clip. The paper has this form as its one-stream baseline, beside the two streams of VGAN. `conv` says what a
convolution is: the full kernel over space and time, or its factorised form, space and then time [tran2018closer].

    symbol   name                     shape            meaning
    z        latent                   (B, Z)           standard normal noise
    G(z)     generator                (B, C, T, S, S)  noise to clips in [-1, 1]
    a(x)     real_logits/fake_logits  (B,)             the discriminator's logit; D = sigmoid(a)

Differs from the paper: the networks are as narrow as moving digits allow, start from torch's own initialisation, sample
from averaged weights, and take R1 (`r1`) instead of batch normalisation in the discriminator, which has one
output instead of two. The factorised form is not in it.
Chapter: book/video/conv3d.md. Lab: notebooks/04_conv3d.ipynb.
"""

from dataclasses import dataclass
from typing import Any

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
)
from vidgen_lab.nn.conv3d import (
    SMALLEST,
    ClipDiscriminator,
    Kind,
    after,
    check_clips,
    check_shape,
    convolution,
    doubling,
    faster_memory,
)
from vidgen_lab.nn.initialise import initialise


@dataclass(frozen=True)
class C3DGANConfig:
    """Sizes of both networks. size = 4 * 2^widths, and the frames are doubled as often as the sides."""

    frames: int = 16
    size: int = 32  # height and width of a frame, pixels
    channels: int = 1
    latent_dim: int = 100
    conv: Kind = "3d"  # or "2+1d", in both networks
    generator_widths: tuple[int, ...] = (64, 32, 16)  # channels at 4x4, 8x8, ...
    discriminator_widths: tuple[int, ...] = (16, 32, 64)  # channels after each halving, at 4x4 in the end
    discriminator_norm: bool = False  # batch normalisation in all layers of D but the first and the last
    init_std: float | None = None  # of every convolution weight; None: torch's own initialisation
    r1: float = 1.0  # weight gamma of the penalty on real clips, eq. (gan-r1)
    penalty_every: int = 4  # R1 at every k-th step only, k times as strong

    def __post_init__(self) -> None:
        for name in ("generator_widths", "discriminator_widths"):
            check_shape(self.frames, self.size, name, getattr(self, name))
        if self.conv == "2d":
            raise ArgumentError('conv="2d": layers that see single frames cannot double them. Use "3d" or "2+1d".')
        if self.r1 < 0 or self.penalty_every < 1:
            raise ArgumentError(f"r1={self.r1}, penalty_every={self.penalty_every}: give r1 >= 0, penalty_every >= 1.")
        if self.r1 and self.discriminator_norm:
            raise ArgumentError(
                f"r1={self.r1} with batch normalisation in the discriminator: R1 needs the slope of each clip alone, "
                "and batch normalisation mixes clips. Set discriminator_norm=False, or r1=0."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, T, S, S)` of a clip."""
        return self.channels, self.frames, self.size, self.size


class Generator(nn.Module):
    """Noise to clips: `(B, Z) -> (B, C, T, S, S)` in [-1, 1]."""

    def __init__(self, config: C3DGANConfig) -> None:
        super().__init__()
        widths = config.generator_widths
        kernel = (config.frames // 2 ** len(widths), SMALLEST, SMALLEST)
        self.layers = nn.Sequential(
            nn.ConvTranspose3d(config.latent_dim, widths[0], kernel),
            *after(widths[0], 3),
            *doubling(widths, kind=config.conv),
            convolution(widths[-1], config.channels, config.conv, transposed=True),
            nn.Tanh(),
        )

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent[:, :, None, None, None])


class C3DGAN(Model):
    """The two networks and the non-saturating game between them."""

    name = "c3dgan"
    output = "video"
    averaged = ("generator",)
    phases = (
        Phase("discriminator", updates=("discriminator",)),
        Phase("generator", updates=("generator",)),
    )

    def __init__(self, config: C3DGANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.generator = Generator(config)
        self.discriminator = ClipDiscriminator(
            config.shape, config.discriminator_widths, 1, config.conv, config.discriminator_norm
        )
        if config.init_std is not None:
            initialise(self, config.init_std)
        faster_memory(self)

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real = self.config, self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(self._latent(draw, len(real)))
        gamma = config.r1 * losses.lazily(draw.step, config.penalty_every)
        real = real.detach().requires_grad_(gamma > 0)
        # Two calls, so that real and fake clips have batch statistics of their own.
        real_logits, fake_logits = self.discriminator(real)[:, 0], self.discriminator(fake)[:, 0]  # (B,), (B,)
        terms = losses.cross_entropy_discriminator(real_logits, fake_logits)
        if gamma:
            terms["r1"] = losses.zero_centred_penalty(real_logits, real, gamma)
        return Losses(terms)

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        fake = self.generator(self._latent(draw, len(self._real(batch))))
        return Losses({"adversarial": losses.non_saturating_generator(None, self.discriminator(fake)[:, 0])})

    def _latent(self, draw: Draw, rows: int) -> Tensor:
        return draw.normal("latent", (rows, self.config.latent_dim))

    def _real(self, batch: Batch) -> Tensor:
        return check_clips(batch["video"], self.config.shape)

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        config = self.config
        if frames not in (None, config.frames):
            raise ArgumentError(
                f"frames={frames}: this C3DGAN makes clips of {config.frames} frames, its layers double them from "
                f"{config.frames // 2 ** len(config.generator_widths)}. Leave frames out."
            )
        return self.generator(latent_normal(n, config.latent_dim, self.device, generator))


def _both(lr: float, betas: tuple[float, float], **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for both players."""
    return {name: Optimizer(lr=lr, betas=betas, **settings) for name in ("discriminator", "generator")}


_DIGITS = DataConfig("moving-digits", size=32, frames=16)

C3DGAN.presets = {
    "gpu": Preset(
        C3DGANConfig(generator_widths=(256, 128, 64), discriminator_widths=(64, 128, 256)),
        Recipe(
            _DIGITS,
            batch_size=64,
            steps=20_000,
            optimizers=_both(4e-4, (0.5, 0.99), schedule="linear", final_lr=1e-4),
            ema_decay=0.999,
        ),
        note="20 minutes on one 16 GB GPU (estimated).",
    ),
    "cpu": Preset(
        C3DGANConfig(generator_widths=(128, 64, 32), discriminator_widths=(32, 64, 128)),
        Recipe(
            _DIGITS,
            batch_size=16,
            steps=5000,
            optimizers=_both(6e-4, (0.5, 0.99), schedule="linear", final_lr=6e-5),
            ema_decay=0.999,
            precision="bf16",
        ),
        note="20 minutes on one CPU thread (estimated).",
    ),
    "ci": Preset(
        C3DGANConfig(),
        Recipe(
            _DIGITS,
            batch_size=16,
            steps=320,
            optimizers=_both(1e-3, (0.5, 0.99), schedule="linear", final_lr=2e-4),
            ema_decay=0.999,
        ),
        note="45 seconds and 0.9 GB on one CPU thread: blobs, which hardly move.",
    ),
}
