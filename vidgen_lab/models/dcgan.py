"""DCGAN: both players of the game are convolutional. [radford2016dcgan]

The generator starts from a 4x4 map with many channels and doubles its sides with transposed convolutions until it is an
image. The discriminator is the mirror: strided convolutions halve the image down to 4x4, then one number. A handful of
guidelines (normalisation, activations, initialisation) make the pair train.

    symbol   name                     shape         meaning
    z        latent                   (B, Z)        noise: standard normal, or uniform in [-1, 1]
    y        digit                    (B,)          the class, in the conditional form only
    G(z)     generator                (B, C, S, S)  noise to images in [-1, 1]
    a(x)     real_logits/fake_logits  (B,)          the discriminator's logit; D = sigmoid(a)

Differs from the paper: the presets for digits are narrow, learn at a higher rate and sample from averaged weights;
R1 instead of the discriminator's batch normalisation is a choice (`r1`). The conditional form (`classes`) is not in the
paper: the generator reads the class beside its noise, as in [mirza2014conditional], and the discriminator has one
output for each class, a simple form of [miyato2018cgans]. Most guidelines have a switch in the config.
Chapter: book/foundations/dcgan.md. Lab: notebooks/02_dcgan.ipynb.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

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
from vidgen_lab.nn.initialise import initialise

SMALLEST = 4  # side of the first map of G and of the last map of D, pixels


@dataclass(frozen=True)
class DCGANConfig:
    """Sizes of both networks, switches for most guidelines. One width for each doubling: size = 4 * 2^len(widths)."""

    size: int = 32  # height and width of an image, pixels
    channels: int = 1
    latent_dim: int = 64
    noise: Literal["normal", "uniform"] = "normal"
    generator_widths: tuple[int, ...] = (64, 32, 16)  # channels at 4x4, 8x8, ...
    discriminator_widths: tuple[int, ...] = (16, 32, 64)  # channels after each halving, at 4x4 in the end
    kernel: int = 4  # side of the kernels that double and halve; overlaps are even if the stride, 2, divides it
    classes: int = 0  # 0: unconditional; 10: asks for a `digit`
    generator_norm: bool = True  # batch normalisation in all layers of G but the last
    discriminator_norm: bool = True  # the same in all layers of D but the first and the last
    first_norm: bool = False  # batch normalisation in D's first layer too, which the guidelines advise against
    generator_leak: float = 0.0  # slope of G's activation for negative numbers; 0 is ReLU
    discriminator_leak: float = 0.2  # the same in D
    halve: Literal["stride", "pool"] = "stride"  # D: strided convolutions, or max pooling after plain ones
    double: Literal["transposed", "nearest"] = (
        "transposed"  # G: transposed convolutions, or plain ones on repeated pixels
    )
    init_std: float | None = 0.02  # of every convolution weight; None: torch's own initialisation
    r1: float = 0.0  # weight gamma of the penalty on real images, eq. (gan-r1)
    penalty_every: int = 1  # R1 at every k-th step only, k times as strong

    def __post_init__(self) -> None:
        for name in ("generator_widths", "discriminator_widths"):
            widths = getattr(self, name)
            if self.size != SMALLEST * 2 ** len(widths) or not widths:
                right = self.size > SMALLEST and math.log2(self.size / SMALLEST).is_integer()
                fix = f"give {int(math.log2(self.size / SMALLEST))} widths" if right else "use size 8, 16, 32, 64, ..."
                raise ArgumentError(
                    f"size={self.size} with {name}={widths}: each width doubles {SMALLEST}x{SMALLEST} once more; {fix}."
                )
        if self.kernel < 3:
            raise ArgumentError(f"kernel={self.kernel}: with stride 2, a kernel below 3 leaves pixels apart. Use 4.")
        if self.classes < 0 or self.classes == 1:
            raise ArgumentError(f"classes={self.classes}: give 0 for no condition, or 2 or more.")
        if self.r1 < 0 or self.penalty_every < 1:
            raise ArgumentError(f"r1={self.r1}, penalty_every={self.penalty_every}: give r1 >= 0, penalty_every >= 1.")
        if self.r1 and (self.discriminator_norm or self.first_norm):
            raise ArgumentError(
                f"r1={self.r1} with batch normalisation in the discriminator: R1 needs the slope of each image alone, "
                "and batch normalisation mixes images. Set discriminator_norm=False, first_norm=False, or r1=0."
            )


def activation(leak: float) -> nn.Module:
    """ReLU where `leak` is 0, else leaky ReLU."""
    return nn.LeakyReLU(leak, inplace=True) if leak else nn.ReLU(inplace=True)  # eq. (dcgan-leaky)


def plain(width_in: int, width_out: int, kernel: int, bias: bool) -> nn.Conv2d:
    """A convolution that keeps the side: only odd kernels have a middle, so 3 stands in for 4."""
    kernel -= 1 - kernel % 2
    return nn.Conv2d(width_in, width_out, kernel, padding=kernel // 2, bias=bias)


class Generator(nn.Module):
    """Noise to images: `(B, Z)`, and with classes `(B,)`, to `(B, C, S, S)` in [-1, 1]."""

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.classes, self.config = config.classes, config
        widths = config.generator_widths
        # A transposed convolution of a 1x1 map is a linear layer: "project and reshape".
        first = nn.ConvTranspose2d(
            config.latent_dim + config.classes, widths[0], SMALLEST, bias=not config.generator_norm
        )
        layers = [first, *self._after(widths[0])]
        for width_in, width_out in zip(widths, widths[1:], strict=False):
            layers += [*self._double(width_in, width_out, bias=not config.generator_norm), *self._after(width_out)]
        layers += [*self._double(widths[-1], config.channels, bias=not config.generator_norm), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def _after(self, width: int) -> list[nn.Module]:
        # In train mode eq. (dcgan-batch-norm); in eval mode with the averages of eq. (dcgan-running).
        norm = [nn.BatchNorm2d(width)] if self.config.generator_norm else []
        return [*norm, activation(self.config.generator_leak)]

    def _double(self, width_in: int, width_out: int, bias: bool) -> list[nn.Module]:
        kernel = self.config.kernel
        if self.config.double == "nearest":
            return [nn.Upsample(scale_factor=2), plain(width_in, width_out, kernel, bias)]
        pad, more = (kernel - 1) // 2, kernel % 2  # so that the side exactly doubles, eq. (dcgan-transposed-size)
        # Each number is spread over a patch, eq. (dcgan-transposed): the adjoint of D's layer, eq. (dcgan-adjoint).
        return [nn.ConvTranspose2d(width_in, width_out, kernel, 2, pad, output_padding=more, bias=bias)]

    def forward(self, latent: Tensor, digit: Tensor | None = None) -> Tensor:
        if self.classes:
            latent = torch.cat([latent, one_hot(digit, self.classes).to(latent.dtype)], dim=1)  # eq. (dcgan-condition)
        return self.layers(latent[:, :, None, None])


class Discriminator(nn.Module):
    """Images to logits: `(B, C, S, S)`, and with classes `(B,)`, to `(B,)`."""

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.classes = config.classes
        bias = not config.discriminator_norm
        widths = (config.channels, *config.discriminator_widths)
        layers: list[nn.Module] = []
        for level, (width_in, width_out) in enumerate(zip(widths, widths[1:], strict=False)):
            if config.halve == "pool":
                layers += [plain(width_in, width_out, config.kernel, bias), nn.MaxPool2d(2)]
            else:
                padding = (config.kernel - 1) // 2  # so that the side exactly halves, eq. (dcgan-size)
                # A weighted sum of a patch at every second place, eq. (dcgan-convolution).
                layers += [nn.Conv2d(width_in, width_out, config.kernel, 2, padding, bias=bias)]
            if config.discriminator_norm if level else config.first_norm:
                layers += [nn.BatchNorm2d(width_out)]
            layers += [activation(config.discriminator_leak)]
        layers += [nn.Conv2d(widths[-1], max(1, config.classes), SMALLEST, bias=bias)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, digit: Tensor | None = None) -> Tensor:
        logits = self.layers(images).flatten(1)  # (B, 1), or (B, classes): one question for each class
        return logits.gather(1, digit[:, None])[:, 0] if self.classes else logits[:, 0]  # eq. (dcgan-condition)


class DCGAN(Model):
    """The two networks and the non-saturating game between them."""

    name = "dcgan"
    averaged = ("generator",)
    phases = (
        Phase("discriminator", updates=("discriminator",)),
        Phase("generator", updates=("generator",)),
    )

    def __init__(self, config: DCGANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.conditions = ("digit",) if config.classes else ()
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        if config.init_std is not None:
            initialise(self, config.init_std, norm_std=config.init_std)
        self.to(memory_format=torch.channels_last)  # the same numbers in another order in memory: faster on a CPU

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real, digit = self.config, *self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(self._latent(draw, len(real)), digit)
        strength = config.r1 * losses.lazily(draw.step, config.penalty_every)
        real = real.detach().requires_grad_(strength > 0)
        # Two calls, so that real and fake images have batch statistics of their own.
        real_logits, fake_logits = self.discriminator(real, digit), self.discriminator(fake, digit)  # (B,), (B,)
        terms = losses.cross_entropy_discriminator(real_logits, fake_logits)
        if strength:
            terms["r1"] = losses.zero_centred_penalty(real_logits, real, strength)
        return Losses(terms, log={"real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()})

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        real, digit = self._real(batch)
        fake = self.generator(self._latent(draw, len(real)), digit)
        return Losses({"adversarial": losses.non_saturating_generator(None, self.discriminator(fake, digit))})

    def _latent(self, draw: Draw, rows: int) -> Tensor:
        shape = (rows, self.config.latent_dim)
        return draw.normal("latent", shape) if self.config.noise == "normal" else draw.uniform("latent", shape, -1, 1)

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        config = self.config
        if config.noise == "normal":
            latent = latent_normal(n, config.latent_dim, self.device, generator)
        else:
            latent = (2 * torch.rand(n, config.latent_dim, generator=generator) - 1).to(self.device)
        digit = condition.get("digit")
        if config.classes and digit is None:
            digit = torch.randint(config.classes, (n,), generator=generator).to(self.device)
        return self.generator(latent, self._checked(digit))

    def _real(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        config = self.config
        wanted = {"image"} | ({"digit"} if config.classes else set())
        if not wanted <= set(batch):
            raise ArgumentError(f"this DCGAN trains on {sorted(wanted)}; the batch has {sorted(batch)}.")
        shape = (config.channels, config.size, config.size)
        if batch["image"].shape[1:] != shape:
            raise ArgumentError(
                f"the images have shape {tuple(batch['image'].shape[1:])}, the config says channels={config.channels}, "
                f"size={config.size}. Make them equal."
            )
        return batch["image"], self._checked(batch["digit"]) if config.classes else None

    def _checked(self, digit: Tensor | None) -> Tensor | None:
        if digit is not None and (digit.dim() != 1 or digit.min() < 0 or digit.max() >= self.config.classes):
            raise ArgumentError(
                f"digit={digit.tolist()}: give one whole number from 0 to {self.config.classes - 1} a row."
            )
        return digit


def _both(lr: float, betas: tuple[float, float], **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for both players."""
    return {name: Optimizer(lr=lr, betas=betas, **settings) for name in ("discriminator", "generator")}


_PUBLISHED = _both(2e-4, (0.5, 0.999))
_DIGITS = DataConfig("digits", size=32)
_REFERENCE = DCGANConfig(64, 3, 100, generator_widths=(512, 256, 128, 64), discriminator_widths=(64, 128, 256, 512))

DCGAN.presets = {
    "paper": Preset(
        DCGANConfig(
            size=64,
            channels=3,
            latent_dim=100,
            noise="uniform",
            generator_widths=(1024, 512, 256, 128),
            discriminator_widths=(128, 256, 512, 1024),
            kernel=5,
        ),
        Recipe(DataConfig("images", size=64), batch_size=128, steps=100_000, optimizers=_PUBLISHED),
        note="the generator of the paper's Figure 1 and a discriminator that mirrors it; never run here.",
    ),
    "reference": Preset(
        _REFERENCE,
        Recipe(DataConfig("images", size=64), batch_size=64, steps=100_000, optimizers=_PUBLISHED),
        note="the networks of PyTorch's public DCGAN example; never run in full here.",
    ),
    "gpu": Preset(
        _REFERENCE,
        Recipe(DataConfig("images", size=64), batch_size=64, steps=20_000, optimizers=_PUBLISHED, ema_decay=0.999),
        note="a folder of your own images; 20 minutes on one 16 GB GPU (estimated).",
    ),
    "cpu": Preset(
        DCGANConfig(discriminator_norm=False, init_std=None, r1=1.0, penalty_every=4),
        Recipe(
            _DIGITS,
            batch_size=64,
            steps=9000,
            optimizers=_both(6e-4, (0.5, 0.99), schedule="linear", final_lr=1e-4),
            ema_decay=0.999,
        ),
        note="420 CPU-seconds on one thread of a busy machine.",
    ),
    "classes": Preset(
        DCGANConfig(classes=10),
        Recipe(
            _DIGITS,
            batch_size=32,
            steps=4000,
            optimizers=_both(1.5e-3, (0.5, 0.999), schedule="linear", final_lr=1e-4),
            ema_decay=0.999,
        ),
        note="the class-conditional form; 110 CPU-seconds on one thread.",
    ),
    "ci": Preset(
        DCGANConfig(),
        Recipe(_DIGITS, batch_size=32, steps=1400, optimizers=_both(1.5e-3, (0.5, 0.999)), ema_decay=0.999),
        note="41 seconds and 0.9 GB on one CPU thread.",
    ),
}
