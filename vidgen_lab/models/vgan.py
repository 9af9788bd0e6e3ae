"""VGAN: a clip is a still background seen around a moving foreground. [vondrick2016vgan]

One noise vector feeds two streams. The foreground stream doubles space and time and also draws a mask; the background
stream draws one picture, held for the whole clip. The mask decides, pixel by pixel and frame by frame, which of the two
is seen. A 3-D convolutional discriminator sees whole clips.

    symbol   name           shape            meaning
    z        latent         (B, Z)           standard normal noise, the same for both streams
    f        foreground     (B, C, T, S, S)  moving content, in [-1, 1]
    m        mask           (B, 1, T, S, S)  1 where the foreground shows, in (0, 1)
    b        background     (B, C, 1, S, S)  still content, in [-1, 1]
    G(z)     video          (B, C, T, S, S)  m f + (1 - m) b
    x_1      first frame    (B, C, 1, S, S)  takes the place of z in the conditioned form (`first_frame`)
    y        labels         (B,) each        digit, direction, speed, if `labels` names them
    a(x)     logits         (B,)             the discriminator's logit; D = sigmoid(a)

Differs from the paper: its cross-entropy over two classes is written as softplus of the difference of the two outputs,
which is the same function. The two heads of the foreground are one layer. The presets for digits are narrow, start from
torch's own initialisation, sample from averaged weights and take R1 (`r1`) instead of the discriminator's batch
normalisation. Two switches are not in the paper: labels (`labels`, [miyato2018cgans]), in `cpu` and `gpu`; and a second
critic that sees single frames (`frame_widths`, [tulyakov2018mocogan]), in these and in `board`.
Chapter: book/video/conv3d.md. Lab: notebooks/04_conv3d.ipynb.
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
    latent_normal,
)
from vidgen_lab.nn.conv3d import SMALLEST, ClipDiscriminator, after, check_clips, check_shape, doubling, faster_memory
from vidgen_lab.nn.initialise import initialise
from vidgen_lab.nn.labels import append, asked, check_batch, complete, count_values, draw_labels


@dataclass(frozen=True)
class VGANConfig:
    """Sizes of the networks. size = 4 * 2^widths, and the frames are doubled as often as the sides."""

    frames: int = 16
    size: int = 32  # height and width of a frame, pixels
    channels: int = 1
    latent_dim: int = 100
    generator_widths: tuple[int, ...] = (128, 64, 32)  # channels of each stream at 4x4, 8x8, ...
    discriminator_widths: tuple[int, ...] = (32, 64, 128)  # channels after each halving, at 4x4 in the end
    discriminator_norm: bool = True  # batch normalisation in all layers of D but the first and the last
    mask_sparsity: float = 0.1  # weight of the L1 penalty on the mask, eq. (vgan-sparsity)
    first_frame: bool = False  # the clip goes on from a given frame, and there is no noise
    reconstruction: float = 10.0  # weight of the L1 distance to the given frame, eq. (vgan-first-frame)
    labels: tuple[str, ...] = ()  # what a clip is asked to show: any of digit, direction, speed
    frame_widths: tuple[int, ...] = ()  # channels of a second critic that sees single frames; (): there is none
    critic_frames: int = 4  # frames of each clip that it sees
    init_std: float | None = 0.01  # of every convolution weight; None: torch's own initialisation
    r1: float = 0.0  # weight gamma of the penalty on real clips, eq. (gan-r1)
    frame_r1: float = 0.0  # the same for the critic of frames
    penalty_every: int = 1  # R1 at every k-th step only, k times as strong

    def __post_init__(self) -> None:
        for name in ("generator_widths", "discriminator_widths", *(("frame_widths",) if self.frame_widths else ())):
            check_shape(self.frames, self.size, name, getattr(self, name))
        count_values(self.labels)
        if self.labels and self.first_frame:
            raise ArgumentError(f"labels={self.labels} with first_frame=True: the frame says it all. Give one of them.")
        if not 1 <= self.critic_frames <= self.frames:
            raise ArgumentError(f"critic_frames={self.critic_frames}: give 1 to {self.frames}.")
        for name in ("mask_sparsity", "reconstruction", "r1", "frame_r1"):
            if getattr(self, name) < 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 0 or more.")
        if self.penalty_every < 1:
            raise ArgumentError(f"penalty_every={self.penalty_every}: must be 1 or more.")
        if self.r1 and self.discriminator_norm:
            raise ArgumentError(
                f"r1={self.r1} with batch normalisation in the discriminator: R1 needs the slope of each clip alone, "
                "and batch normalisation mixes clips. Set discriminator_norm=False, or r1=0."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, T, S, S)` of a clip."""
        return self.channels, self.frames, self.size, self.size

    @property
    def code_width(self) -> int:
        """Numbers in what feeds the two streams: noise and labels, or the channels of the encoded frame."""
        return self.generator_widths[0] if self.first_frame else self.latent_dim + count_values(self.labels)


class Encoder(nn.Module):
    """The given frame to a code: `(B, C, S, S) -> (B, W, 4, 4)`, the way of the background backwards."""

    def __init__(self, config: VGANConfig) -> None:
        super().__init__()
        widths = (config.channels, *reversed(config.generator_widths))
        layers: list[nn.Module] = []
        for level, (width_in, width_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers.append(nn.Conv2d(width_in, width_out, 4, 2, 1))
            layers += [nn.BatchNorm2d(width_out, eps=1e-3)] if level else []
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers)

    def forward(self, frame: Tensor) -> Tensor:
        return self.layers(frame)


class Background(nn.Module):
    """A code to one picture: `(B, W, 1, 1)`, or the encoded frame `(B, W, 4, 4)`, to `(B, C, S, S)` in [-1, 1]."""

    def __init__(self, config: VGANConfig) -> None:
        super().__init__()
        widths = config.generator_widths
        first = [nn.ConvTranspose2d(config.code_width, widths[0], SMALLEST), *after(widths[0], 2)]
        last = [nn.ConvTranspose2d(widths[-1], config.channels, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*([] if config.first_frame else first), *doubling(widths, 2), *last)

    def forward(self, code: Tensor) -> Tensor:
        return self.layers(code)


class Foreground(nn.Module):
    """A code to moving content `(B, C, T, S, S)` in [-1, 1] and its mask `(B, 1, T, S, S)` in (0, 1)."""

    def __init__(self, config: VGANConfig) -> None:
        super().__init__()
        self.channels, widths = config.channels, config.generator_widths
        side = 1 if config.first_frame else SMALLEST  # the encoded frame has its 4x4 pixels already
        kernel = (config.frames // 2 ** len(widths), side, side)
        first = nn.ConvTranspose3d(config.code_width, widths[0], kernel)
        self.trunk = nn.Sequential(first, *after(widths[0], 3), *doubling(widths))
        self.heads = nn.ConvTranspose3d(widths[-1], config.channels + 1, 4, 2, 1)  # content, and below it the mask

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        content, mask = self.heads(self.trunk(code.unsqueeze(2))).split([self.channels, 1], dim=1)
        return content.tanh(), mask.sigmoid()


class Generator(nn.Module):
    """Noise and labels, or a first frame, to the parts of a clip."""

    def __init__(self, config: VGANConfig) -> None:
        super().__init__()
        self.labels = config.labels
        self.encoder = Encoder(config) if config.first_frame else None
        self.background = Background(config)
        self.foreground = Foreground(config)

    def forward(self, source: Tensor, labels: Batch | None = None) -> dict[str, Tensor]:
        """What `VGAN.streams` says."""
        if self.encoder is not None:
            code = self.encoder(source[:, :, 0])  # (B, W, 4, 4)
        else:
            code = append(source, labels, self.labels)[:, :, None, None]  # (B, Z + values, 1, 1)
        background = self.background(code).unsqueeze(2)  # (B, C, 1, S, S): one picture, broadcast over time
        foreground, mask = self.foreground(code)
        video = mask * foreground + (1 - mask) * background  # eq. (vgan-composite)
        return {"video": video, "foreground": foreground, "mask": mask, "background": background}


class Discriminator(ClipDiscriminator):
    """Clips, or single frames as clips of length 1, to logits: `(B, C, T, S, S)`, and labels, to `(B,)`.

    The two classes of the paper are outputs 0 (real) and 1 (generated). Each value of a label has an output of its own,
    which is added where the clip was asked to have that value.
    """

    def __init__(self, shape: tuple[int, ...], widths: tuple[int, ...], labels: tuple[str, ...], **kind: Any) -> None:
        super().__init__(shape, widths, 2 + count_values(labels), **kind)
        self.labels = labels

    def forward(self, clips: Tensor, labels: Batch | None = None) -> Tensor:
        outputs = super().forward(clips)
        logits = outputs[:, 0] - outputs[:, 1]  # eq. (vgan-discriminator): a softmax over two is a sigmoid
        return logits + asked(outputs[:, 2:], labels, self.labels)


class VGAN(Model):
    """The two-stream generator against a critic of clips, and one of frames where the config has it."""

    name = "vgan"
    output = "video"
    averaged = ("generator",)

    def __init__(self, config: VGANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.conditions = ("prefix",) if config.first_frame else config.labels
        self.generator = Generator(config)
        norm = config.discriminator_norm
        self.discriminator = Discriminator(config.shape, config.discriminator_widths, config.labels, norm=norm)
        critics = ("discriminator",)
        if config.frame_widths:
            channels, _, *sides = config.shape
            seen = tuple(name for name in config.labels if name == "digit")  # what a single frame can tell
            self.frame_discriminator = Discriminator(
                (channels, 1, *sides), config.frame_widths, seen, kind="2d", norm=False
            )
            critics += ("frame_discriminator",)
        self.phases = Phase("discriminator", updates=critics), Phase("generator", updates=("generator",))
        if config.init_std is not None:
            initialise(self, config.init_std)
        faster_memory(self)

    def streams(self, source: Tensor, labels: Batch | None = None) -> dict[str, Tensor]:
        """The parts of a clip, with the live weights; inside `with model.inference():` with those that sampling uses.

        Args:
            source: noise `(B, Z)`, or with `first_frame` the given frames `(B, C, 1, S, S)` in [-1, 1].
            labels: `(B,)` int64 for each name in the config's `labels`.

        Returns:
            `video` and `foreground` `(B, C, T, S, S)` in [-1, 1], `background` `(B, C, 1, S, S)` in [-1, 1], `mask`
            `(B, 1, T, S, S)` in (0, 1).
        """
        return self.generator(source, labels)

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real = self.config, self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(self._source(real, draw), batch)["video"]
        lazy = losses.lazily(draw.step, config.penalty_every)
        terms = self._game(self.discriminator, real, fake, batch, config.r1 * lazy)
        if config.frame_widths:
            labels, frames = self._frame_labels(batch), (self._frames(clips, draw) for clips in (real, fake))
            game = self._game(self.frame_discriminator, *frames, labels, config.frame_r1 * lazy)
            terms |= {f"frame_{name}": term for name, term in game.items()}
        return Losses(terms)

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real = self.config, self._real(batch)
        parts = self.generator(self._source(real, draw), batch)
        video, mask = parts["video"], parts["mask"]
        terms = {"adversarial": losses.non_saturating_generator(None, self.discriminator(video, batch))}
        if config.frame_widths:
            logits = self.frame_discriminator(self._frames(video, draw), self._frame_labels(batch))
            terms["frame_adversarial"] = losses.non_saturating_generator(None, logits)
        if config.first_frame:
            distance = (video[:, :, :1] - real[:, :, :1]).abs().mean()
            terms["reconstruction"] = config.reconstruction * distance  # eq. (vgan-first-frame)
        else:
            terms["sparsity"] = config.mask_sparsity * mask.abs().mean()  # eq. (vgan-sparsity)
        return Losses(terms, log={"mask": mask.mean()})

    def _game(self, critic: nn.Module, real: Tensor, fake: Tensor, labels: Batch, gamma: float) -> dict[str, Tensor]:
        """The critic's side: both halves of the cross-entropy, and R1 where gamma is above 0."""
        real = real.detach().requires_grad_(gamma > 0)
        # Two calls, so that real and fake clips have batch statistics of their own.
        real_logits, fake_logits = critic(real, labels), critic(fake, labels)  # (B,), (B,)
        terms = losses.cross_entropy_discriminator(real_logits, fake_logits)  # eq. (vgan-discriminator)
        if gamma:
            terms["r1"] = losses.zero_centred_penalty(real_logits, real, gamma)
        return terms

    def _frames(self, clips: Tensor, draw: Draw) -> Tensor:
        """Some frames of each clip, as clips of length 1: `(B, C, T, S, S) -> (B k, C, 1, S, S)`."""
        rows = torch.arange(len(clips), device=clips.device)[:, None]
        chosen = draw.randint("frames", (len(clips), self.config.critic_frames), 0, self.config.frames)
        return clips.transpose(1, 2)[rows, chosen].flatten(0, 1).unsqueeze(2)

    def _frame_labels(self, batch: Batch) -> Batch:
        return {
            name: batch[name].repeat_interleave(self.config.critic_frames) for name in self.frame_discriminator.labels
        }

    def _source(self, real: Tensor, draw: Draw) -> Tensor:
        """What the generator starts from: noise, or the first frames of the real clips."""
        config = self.config
        return real[:, :, :1] if config.first_frame else draw.normal("latent", (len(real), config.latent_dim))

    def _real(self, batch: Batch) -> Tensor:
        check_batch(batch, self.config.labels, "VGAN")
        return check_clips(batch["video"], self.config.shape)

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch | None:
        """Labels drawn uniformly, or frames of noise in the place of first frames."""
        config = self.config
        if config.first_frame:
            return {"prefix": 2 * torch.rand(n, config.channels, 1, config.size, config.size, generator=generator) - 1}
        return draw_labels(n, config.labels, generator) or None

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        config = self.config
        if frames not in (None, config.frames):
            raise ArgumentError(
                f"frames={frames}: this VGAN makes clips of {config.frames} frames, its layers double them from "
                f"{config.frames // 2 ** len(config.generator_widths)}. Leave frames out."
            )
        if config.first_frame:
            return self.generator(self._prefix(condition))["video"]
        labels = complete(condition, n, config.labels, self.device, generator)
        return self.generator(latent_normal(n, config.latent_dim, self.device, generator), labels)["video"]

    def _prefix(self, condition: Batch) -> Tensor:
        config = self.config
        if "prefix" not in condition:
            raise ArgumentError('this VGAN goes on from a frame: give condition={"prefix": (n, C, 1, H, W)}.')
        shape = (config.channels, 1, config.size, config.size)
        if condition["prefix"].shape[1:] != shape:
            raise ArgumentError(
                f"prefix of shape {tuple(condition['prefix'].shape[1:])}: this VGAN goes on from {shape}, one frame."
            )
        return condition["prefix"]


def _both(lr: float, betas: tuple[float, float], **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for both players."""
    return {name: Optimizer(lr=lr, betas=betas, **settings) for name in ("discriminator", "generator")}


_PUBLISHED = _both(2e-4, (0.5, 0.999))
_DIGITS = DataConfig("moving-digits", size=32, frames=16)
_PAPER = VGANConfig(
    frames=32, size=64, channels=3, generator_widths=(512, 256, 128, 64), discriminator_widths=(64, 128, 256, 512)
)
_DIGIT = VGANConfig(
    latent_dim=64,
    generator_widths=(192, 64, 32),
    discriminator_norm=False,
    labels=("digit", "direction", "speed"),
    frame_widths=(32, 64, 128),
    init_std=None,
    r1=1.0,
    frame_r1=0.5,
    penalty_every=4,
)
_TWO_RATES = {
    "discriminator": Optimizer(lr=4e-4, betas=(0.5, 0.99), schedule="linear", final_lr=4e-5),
    "generator": Optimizer(lr=8e-4, betas=(0.5, 0.99), schedule="linear", final_lr=8e-5),
}
_SMALL = VGANConfig(
    generator_widths=(64, 32, 16),
    discriminator_widths=(16, 32, 64),
    discriminator_norm=False,
    init_std=None,
    r1=1.0,
    penalty_every=4,
)

VGAN.presets = {
    "paper": Preset(
        _PAPER,
        Recipe(DataConfig("films", size=64, frames=32), batch_size=64, steps=100_000, optimizers=_PUBLISHED),
        note="the published networks; never run here.",
    ),
    "first-frame": Preset(
        replace(
            _PAPER,
            first_frame=True,
            generator_widths=(1024, 512, 256, 128),
            discriminator_widths=(128, 256, 512, 1024),
        ),
        Recipe(DataConfig("films", size=64, frames=32), batch_size=32, steps=100_000, optimizers=_PUBLISHED),
        note="the published form that goes on from a given frame, twice as wide; never run here.",
    ),
    "gpu": Preset(
        replace(
            _DIGIT,
            latent_dim=100,
            generator_widths=(512, 256, 128),
            discriminator_widths=(64, 128, 256),
            frame_widths=(64, 128, 256),
        ),
        Recipe(
            _DIGITS,
            batch_size=64,
            steps=20_000,
            optimizers=_both(4e-4, (0.5, 0.99), schedule="linear", final_lr=4e-5),
            ema_decay=0.999,
            precision="bf16",
        ),
        note="20 minutes on one 16 GB GPU (estimated).",
    ),
    "cpu": Preset(
        _DIGIT,
        Recipe(_DIGITS, batch_size=16, steps=6600, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="1,500 seconds and 1.0 GB on one thread of a busy CPU that multiplies in bf16; FVD-digits 1.4, floor 0.4.",
    ),
    "board": Preset(
        replace(_DIGIT, labels=()),
        Recipe(_DIGITS, batch_size=16, steps=1400, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="about 320 CPU-seconds on one thread of a busy machine.",
    ),
    "ci": Preset(
        _SMALL,
        Recipe(
            _DIGITS,
            batch_size=16,
            steps=320,
            optimizers=_both(1e-3, (0.5, 0.99), schedule="linear", final_lr=2e-4),
            ema_decay=0.999,
        ),
        note="50 seconds and 0.9 GB on one CPU thread: blobs, which hardly move.",
    ),
}
