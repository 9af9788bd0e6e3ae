"""TGAN: one generator makes a latent for each frame, a second turns each latent into its frame. [saito2017tgan]

The temporal generator is a stack of 1-D transposed convolutions over time: one noise vector becomes a row of latents,
one a frame. The image generator draws each frame by itself from the noise and that frame's latent. The critic is a
Wasserstein one; its slope is held down by singular value clipping: every few steps no singular value of a kernel is
left above 1.

    symbol   name                     shape            meaning
    z_0      latent                   (B, Z)           noise, uniform in [-1, 1], the same in all frames
    z_1^t    frame_latents            (B, T, Z)        what the temporal generator makes of it, in [-1, 1]
    G(z)     generator                (B, C, T, S, S)  (z_0, z_1^t) to frame t, in [-1, 1]
    y        labels                   (B,) each        digit, direction, speed, if `labels` names them; beside z_0
    f(x)     real_logits/fake_logits  (B,)             the critic's value, any real number

Differs from the paper: the networks are those of its public code, written so that the parameters are those of the usual
count (biases in the temporal generator, in the last layer of the image generator, and in the critic). The presets for
digits are narrow, use Adam at a higher rate, and sample from averaged weights; `cpu` and `gpu` are told labels, which
the critic reads as in [miyato2018cgans].
Chapter: book/video/temporal.md. Lab: notebooks/05_temporal.ipynb.
"""

from dataclasses import dataclass, replace
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
)
from vidgen_lab.nn.conv3d import SMALLEST, ClipDiscriminator, after, check_clips, check_shape, faster_memory
from vidgen_lab.nn.labels import append, asked, check_batch, complete, count_values, draw_labels


@dataclass(frozen=True)
class TGANConfig:
    """Sizes of both networks. size = 4 * 2^generator_widths, frames = 2^temporal_widths."""

    frames: int = 16
    size: int = 32  # height and width of a frame, pixels
    channels: int = 1
    latent_dim: int = 100  # of the noise, and of each frame's latent
    temporal_widths: tuple[int, ...] = (128, 64, 32, 32)  # channels at 1, 2, 4, ... moments
    generator_widths: tuple[int, ...] = (32, 16, 8)  # channels of the image generator at 8x8, 16x16, ...
    discriminator_widths: tuple[int, ...] = (16, 32, 64)  # channels after each halving, at 4x4 in the end
    labels: tuple[str, ...] = ()  # what a clip is asked to show: any of digit, direction, speed
    image_bound: float | None = None  # image generator: weights start uniform in +-bound; None: torch's own way
    clip_every: int = 5  # singular values of the critic are clipped at every k-th step

    def __post_init__(self) -> None:
        count_values(self.labels)
        for name in ("generator_widths", "discriminator_widths"):
            check_shape(self.frames, self.size, name, getattr(self, name))
        if not self.temporal_widths or self.frames != 2 ** len(self.temporal_widths):
            raise ArgumentError(
                f"frames={self.frames} with temporal_widths={self.temporal_widths}: each width doubles one moment once "
                f"more. Use frames={2 ** max(1, len(self.temporal_widths))}, or another number of widths."
            )
        if self.latent_dim < 1 or self.clip_every < 1:
            raise ArgumentError(f"latent_dim={self.latent_dim}, clip_every={self.clip_every}: give 1 or more.")
        if self.image_bound is not None and not self.image_bound > 0:
            raise ArgumentError(f"image_bound={self.image_bound}: must be above 0, or None.")

    @property
    def source_dim(self) -> int:
        """Numbers that both generators start from: noise and labels."""
        return self.latent_dim + count_values(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, T, S, S)` of a clip."""
        return self.channels, self.frames, self.size, self.size


class TemporalGenerator(nn.Module):
    """Noise and labels to one latent for each frame: `(B, Z + K) -> (B, T, Z)` in [-1, 1]."""

    def __init__(self, config: TGANConfig) -> None:
        super().__init__()
        widths = config.temporal_widths
        layers: list[nn.Module] = [nn.ConvTranspose1d(config.source_dim, widths[0], 1)]  # one moment
        for width_in, width_out in zip(widths, (*widths[1:], config.latent_dim), strict=True):
            layers += [nn.BatchNorm1d(width_in), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose1d(width_in, width_out, 4, 2, 1))  # twice as many
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, source: Tensor) -> Tensor:
        return self.layers(source[:, :, None]).transpose(1, 2)


class ImageGenerator(nn.Module):
    """Noise and labels, and a latent for each frame, to frames: `(B, Z + K)` and `(B, T, Z)` to `(B, T, C, S, S)`."""

    def __init__(self, config: TGANConfig) -> None:
        super().__init__()
        widths = config.generator_widths
        self.first_width = widths[0]
        self.still, self.moving = (self._project(width) for width in (config.source_dim, config.latent_dim))
        width_in, layers = 2 * widths[0], []
        for width in widths:
            layers += [nn.ConvTranspose2d(width_in, width, 4, 2, 1, bias=False), *after(width, 2)]
            width_in = width
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width_in, config.channels, 3, 1, 1), nn.Tanh())

    def _project(self, width_in: int) -> nn.Sequential:
        """A vector to the numbers of a 4x4 map."""
        numbers = self.first_width * SMALLEST**2
        return nn.Sequential(nn.Linear(width_in, numbers, bias=False), nn.BatchNorm1d(numbers), nn.ReLU(inplace=True))

    def forward(self, source: Tensor, frame_latents: Tensor) -> Tensor:
        batch, frames, _ = frame_latents.shape
        still = self.still(source).repeat_interleave(frames, dim=0)  # (B T, W 16): computed once for each clip
        moving = self.moving(frame_latents.flatten(0, 1))
        maps = [half.unflatten(1, (self.first_width, SMALLEST, SMALLEST)) for half in (still, moving)]
        return self.layers(torch.cat(maps, dim=1)).unflatten(0, (batch, frames))


class Generator(nn.Module):
    """Noise, and labels, to clips: `(B, Z) -> (B, C, T, S, S)` in [-1, 1]."""

    def __init__(self, config: TGANConfig) -> None:
        super().__init__()
        self.labels = config.labels
        self.temporal = TemporalGenerator(config)
        self.image = ImageGenerator(config)

    def forward(self, latent: Tensor, labels: Batch | None = None) -> Tensor:
        source = append(latent, labels, self.labels)
        return self.image(source, self.temporal(source)).transpose(1, 2)  # eq. (tgan-generator)


class Discriminator(ClipDiscriminator):
    """Clips, and labels, to values: `(B, C, T, S, S) -> (B,)`, any real numbers."""

    def __init__(self, config: TGANConfig) -> None:
        super().__init__(config.shape, config.discriminator_widths, 1 + count_values(config.labels))
        self.labels = config.labels

    def forward(self, clips: Tensor, labels: Batch | None = None) -> Tensor:
        outputs = super().forward(clips)
        return outputs[:, 0] + asked(outputs[:, 1:], labels, self.labels)


def clip_singular_values(weight: Tensor) -> None:
    """Sets every singular value above 1 to 1, in place. A weight that has none is left as it is.

    Args:
        weight: `(out, ...)`, a kernel; it is read as a matrix of `out` rows.
    """
    left, values, right = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
    if values[0] > 1:
        weight.data.copy_(((left * values.clamp(max=1)) @ right).view(weight.shape))  # eq. (tgan-clipping)


def clamp_scale(norm: nn.modules.batchnorm._BatchNorm) -> None:
    """Keeps the scales of a batch normalisation in [0.01, 1] running deviations, in place: it then stretches nothing.

    A channel is divided by its deviation and multiplied by its scale, so their ratio is what the layer multiplies by.
    """
    deviation = norm.running_var.sqrt()
    norm.weight.data.clamp_(0.01 * deviation, deviation)  # eq. (tgan-scale)


class TGAN(Model):
    """The two generators against a critic whose singular values are clipped."""

    name = "tgan"
    output = "video"
    averaged = ("generator",)
    phases = (
        Phase("discriminator", updates=("discriminator",)),
        Phase("generator", updates=("generator",)),
    )

    def __init__(self, config: TGANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.conditions = config.labels
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        if config.image_bound is not None:
            for layer in self.generator.image.modules():
                if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                    nn.init.uniform_(layer.weight, -config.image_bound, config.image_bound)
        faster_memory(self)

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        real = self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(self._latent(draw, len(real)), batch)
        # Two calls, so that real and fake clips have batch statistics of their own.
        real_logits, fake_logits = self.discriminator(real, batch), self.discriminator(fake, batch)  # (B,), (B,)
        return Losses(losses.wasserstein_discriminator(real_logits, fake_logits))  # eq. (gan-wasserstein)

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        fake = self.generator(self._latent(draw, len(self._real(batch))), batch)
        return Losses({"adversarial": losses.critic_generator(None, self.discriminator(fake, batch))})

    @torch.no_grad()
    def after_step(self, phase: str, draw: Draw) -> None:
        """Every few steps of the critic: singular values of its kernels at most 1, scales at most a deviation."""
        if phase != "discriminator" or draw.step % self.config.clip_every:
            return
        for layer in self.discriminator.modules():
            if isinstance(layer, nn.Conv3d):
                clip_singular_values(layer.weight)
            elif isinstance(layer, nn.BatchNorm3d):
                clamp_scale(layer)

    def _latent(self, draw: Draw, rows: int) -> Tensor:
        return draw.uniform("latent", (rows, self.config.latent_dim), -1, 1)

    def _real(self, batch: Batch) -> Tensor:
        check_batch(batch, self.conditions, "TGAN")
        return check_clips(batch["video"], self.config.shape)

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch | None:
        """Labels drawn uniformly."""
        return draw_labels(n, self.conditions, generator) or None

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        config = self.config
        if frames not in (None, config.frames):
            raise ArgumentError(
                f"frames={frames}: this TGAN makes clips of {config.frames} frames, its temporal generator doubles one "
                f"moment {len(config.temporal_widths)} times. Leave frames out."
            )
        labels = complete(condition, n, config.labels, self.device, generator)
        latent = 2 * torch.rand(n, config.latent_dim, generator=generator) - 1  # on the CPU: a seed means the same
        return self.generator(latent.to(self.device), labels)


def _both(lr: float, **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for both players."""
    return {phase.name: Optimizer(lr=lr, **settings) for phase in TGAN.phases}


_DIGITS = DataConfig("moving-digits", size=32, frames=16)
_FALLING = _both(1e-3, betas=(0.5, 0.99), schedule="linear", final_lr=1e-4)
_SMALL = TGANConfig()
_DIGIT = TGANConfig(
    latent_dim=48,
    labels=("digit", "direction", "speed"),
    temporal_widths=(256, 128, 64, 64),
    generator_widths=(64, 32, 16),
    discriminator_widths=(32, 64, 128),
)

TGAN.presets = {
    "paper": Preset(
        TGANConfig(
            size=64,
            channels=3,
            temporal_widths=(512, 256, 128, 128),
            generator_widths=(256, 128, 64, 32),
            discriminator_widths=(64, 128, 256, 512),
            image_bound=0.01,
        ),
        Recipe(
            DataConfig("films", size=64, frames=16),
            batch_size=32,
            steps=100_000,
            optimizers=_both(5e-5, kind="rmsprop"),
        ),
        note="the networks of the paper's public code; never run here, and the number of steps is ours.",
    ),
    "gpu": Preset(
        replace(
            _DIGIT,
            temporal_widths=(512, 256, 128, 128),
            generator_widths=(128, 64, 32),
            discriminator_widths=(64, 128, 256),
        ),
        Recipe(_DIGITS, batch_size=64, steps=20_000, optimizers=_FALLING, ema_decay=0.999, precision="bf16"),
        note="20 minutes on one 16 GB GPU (estimated); never run here.",
    ),
    "cpu": Preset(
        _DIGIT,
        Recipe(_DIGITS, batch_size=16, steps=4300, optimizers=_FALLING, ema_decay=0.999, precision="bf16"),
        note="1,030 seconds and 1.0 GB on one thread of a busy CPU that multiplies in bf16; FVD-digits 9.0, floor 0.4.",
    ),
    "board": Preset(
        replace(_DIGIT, labels=()),
        Recipe(_DIGITS, batch_size=16, steps=1250, optimizers=_FALLING, ema_decay=0.999, precision="bf16"),
        note="310 to 350 CPU-seconds on one thread of a busy machine.",
    ),
    "ci": Preset(
        _SMALL,
        Recipe(
            _DIGITS,
            batch_size=16,
            steps=290,
            optimizers=_both(1e-3, betas=(0.5, 0.99), schedule="linear", final_lr=2e-4),
            ema_decay=0.999,
        ),
        note="57 CPU-seconds on one busy CPU thread: strokes that drift slowly.",
    ),
}
