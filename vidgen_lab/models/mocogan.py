"""MoCoGAN: a clip is what stays, drawn once, and what moves, drawn frame by frame. [tulyakov2018mocogan]

The code of a frame has two parts. The content code is drawn once and held for the whole clip; the motion code is the
state of a recurrent network that reads fresh noise at each frame. An image generator turns each code into one frame by
itself, so a clip can have any length. One discriminator sees clips, another sees single frames.

    symbol   name                     shape            meaning
    z_C      content                  (B, Z)           standard normal noise, the same in all frames
    y        category                 (B,)             what the clip shows, if the config has `categories`
    h_0      start                    (B, M)           standard normal noise, the state before the first frame
    e_t      noise                    (B, T, M)        normal noise, fresh at each frame
             labels                   (B,) each        digit, direction, speed, if `labels` names them
    z_M,t    motion                   (B, T, M)        states of the recurrent network (GRU)
    z_t      codes                    (B, T, Z+K+M)    content, what it is asked to be, and motion
    G(z)     generator                (B, C, T, S, S)  each code to a frame, in [-1, 1]
    a_V(x)   video_logits             (B,)             of the critic of clips
    a_I(x)   image_logits             (B k, h, w)      of the critic of frames: one logit for each patch

Differs from the paper: the networks are those of its public code, without the noise that it can add before each layer
of the critics. The frames that the generator is judged by are frames of its clips, not of further clips. The presets
for digits are narrow, sample from averaged weights, and take R1 (`video_r1`, `image_r1`) and biases instead of the
critics' batch normalisation. They start from a recurrent network whose state lasts (`lasting`), with little noise at
each frame (`noise`), since a digit that bounces must remember where it is and where it goes. In `ci` the critic of
clips sees only a run of each clip (`video_frames`). `cpu` and `gpu` are told labels (`labels`, [miyato2018cgans]): the
digit belongs to the content code, direction and speed shift the start of the motion code.
Chapter: book/video/temporal.md. Lab: notebooks/05_temporal.ipynb.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

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
from vidgen_lab.nn.conv3d import SMALLEST, check_clips, check_shape, faster_memory
from vidgen_lab.nn.initialise import initialise
from vidgen_lab.nn.labels import append, asked, check_batch, complete, count_values, draw_labels
from vidgen_lab.nn.precision import full_precision

KERNEL = 4  # of every convolution, in space and in time
CONTENT = ("digit",)  # labels that say what a clip shows, and a single frame too; the others say how it moves


@dataclass(frozen=True)
class MoCoGANConfig:
    """Sizes of the networks. size = 4 * 2^widths, for the generator's and for the video critic's."""

    frames: int = 16  # length of the clips of the data; sampling makes any length
    size: int = 32  # height and width of a frame, pixels
    channels: int = 1
    content_dim: int = 50
    motion_dim: int = 10
    categories: int = 0  # values of the label; 0: no categories
    label: str = "direction"  # key of the batch that holds the category
    labels: tuple[str, ...] = ()  # what a clip is asked to show: any of digit, direction, speed
    lasting: bool = False  # the recurrent network starts with a state that lasts
    noise: float = 1.0  # standard deviation of the noise that the recurrent network reads at each frame
    generator_widths: tuple[int, ...] = (64, 32, 16)  # channels at 4x4, 8x8, ...
    video_widths: tuple[int, ...] = (16, 32, 64)  # channels of the critic of clips after each halving of the sides
    image_widths: tuple[int, ...] = (32, 64)  # the same for the critic of frames; one more halving gives the patches
    video_frames: int = 10  # consecutive frames of each clip that the critic of clips sees
    image_frames: int = 4  # frames of each clip that the critic of frames sees
    discriminator_norm: bool = False  # batch normalisation in all layers of both critics but the first and the last
    init_std: float | None = None  # of every convolution weight; None: torch's own initialisation
    video_r1: float = 1.0  # weight gamma of the penalty on real clips, eq. (gan-r1)
    image_r1: float = 0.5  # the same on real frames
    penalty_every: int = 4  # R1 at every k-th step only, k times as strong

    def __post_init__(self) -> None:
        count_values(self.labels)
        for name in ("generator_widths", "video_widths"):
            check_shape(2 ** len(getattr(self, name)), self.size, name, getattr(self, name))
        if self.frames_left < 1:
            raise ArgumentError(
                f"video_frames={self.video_frames}: each of the {len(self.video_widths)} layers of the critic of clips "
                f"takes {KERNEL - 1} frames away. Give {self.video_frames - self.frames_left + 1} or more."
            )
        if not self.image_widths or self.size % 2 ** (len(self.image_widths) + 1):
            raise ArgumentError(
                f"image_widths={self.image_widths}: give 1 to {len(self.video_widths) + 1} widths for size={self.size}."
            )
        if self.video_frames > self.frames:
            raise ArgumentError(f"video_frames={self.video_frames}: the clips have {self.frames} frames.")
        if self.motion_labels and self.video_frames < self.frames:
            raise ArgumentError(
                f"labels={self.labels} with video_frames={self.video_frames}: {' and '.join(self.motion_labels)} are "
                f"those of the first frame, which the critic must see. Give video_frames={self.frames}."
            )
        if not 1 <= self.image_frames <= self.video_frames:
            raise ArgumentError(f"image_frames={self.image_frames}: give 1 to video_frames={self.video_frames}.")
        if self.categories < 0 or self.categories == 1:
            raise ArgumentError(f"categories={self.categories}: give 0 for none, or 2 or more.")
        for name in ("content_dim", "motion_dim", "penalty_every"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 1 or more.")
        for name in ("noise", "video_r1", "image_r1"):
            if getattr(self, name) < 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 0 or more.")
        for name in ("video_r1", "image_r1"):
            if getattr(self, name) and self.discriminator_norm:
                raise ArgumentError(
                    f"{name}={getattr(self, name)} with batch normalisation in the critics: R1 needs the slope of each "
                    f"clip alone, and batch normalisation mixes clips. Set discriminator_norm=False, or {name}=0."
                )

    @property
    def content_labels(self) -> tuple[str, ...]:
        """The labels that belong to the content code."""
        return tuple(name for name in self.labels if name in CONTENT)

    @property
    def motion_labels(self) -> tuple[str, ...]:
        """The labels that belong to the motion code."""
        return tuple(name for name in self.labels if name not in CONTENT)

    @property
    def frames_left(self) -> int:
        """Frames that the last layer of the critic of clips sees: all others take 3 away."""
        return self.video_frames - (KERNEL - 1) * len(self.video_widths)

    @property
    def critic_bias(self) -> bool:
        """Whether the critics' convolutions have biases: where no normalisation brings a shift.

        With neither, twice a clip has twice the logits, and grey has 0: all that the generator then learns is grey.
        """
        return not self.discriminator_norm

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, T, S, S)` of a clip in training."""
        return self.channels, self.frames, self.size, self.size


def make_lasting(motion: nn.GRU) -> None:
    """Lets the state of a fresh recurrent network last, in place.

    As torch makes it, more than a third of what the start decides is lost at each frame. Here the update gates begin
    almost closed: an eighth of the state is replaced at a frame. What replaces it is the state turned by a random
    orthogonal matrix and stretched, so that it moves on and neither dies out nor comes to rest.
    """
    dim = motion.hidden_size
    with torch.no_grad():
        motion.bias_hh_l0[dim : 2 * dim] += 2.0  # torch keeps the biases of gates r, z, n one after the other
        nn.init.orthogonal_(motion.weight_hh_l0[2 * dim :], gain=3.0)


class Generator(nn.Module):
    """Noise to clips: a recurrent network over motion codes, and an image generator that sees one code at a time."""

    def __init__(self, config: MoCoGANConfig) -> None:
        super().__init__()
        self.categories = config.categories
        self.content_labels, self.motion_labels = config.content_labels, config.motion_labels
        dim = config.motion_dim
        self.motion = nn.GRU(dim, dim, batch_first=True)
        if config.lasting:
            make_lasting(self.motion)
        if self.motion_labels:  # one vector for each value
            self.shift = nn.Linear(count_values(self.motion_labels), dim, bias=False)
            nn.init.normal_(self.shift.weight)  # as strong as the noise
        widths = config.generator_widths
        width_in, layers = config.content_dim + count_values(self.content_labels) + config.categories + dim, []
        for level, width in enumerate(widths):
            shape = (2, 1) if level else (1, 0)  # stride and padding: first from one pixel to 4x4, then doubling
            layers += [nn.ConvTranspose2d(width_in, width, KERNEL, *shape, bias=False), nn.BatchNorm2d(width)]
            layers.append(nn.ReLU(inplace=True))
            width_in = width
        layers += [nn.ConvTranspose2d(width_in, config.channels, KERNEL, 2, 1, bias=False), nn.Tanh()]
        self.images = nn.Sequential(*layers)

    def motion_codes(self, start: Tensor, noise: Tensor, labels: Batch | None = None) -> Tensor:
        """`(B, M)` and `(B, T, M)` to the states after each noise, `(B, T, M)`, without the start.

        Labels of motion, `(B,)` int64 each, shift the start.
        """
        with full_precision(start):  # a position needs more digits than bf16 keeps
            if self.motion_labels:
                start = start + self.shift(append(start[:, :0], labels, self.motion_labels))
            return self.motion(noise, start.unsqueeze(0))[0]  # eq. (mocogan-motion)

    def codes(
        self, content: Tensor, motion: Tensor, category: Tensor | None = None, labels: Batch | None = None
    ) -> Tensor:
        """`(B, Z)`, `(B, T, M)`, and `(B,)` for a category and each label of content, to codes `(B, T, Z + K + M)`."""
        content = append(content, labels, self.content_labels)
        if self.categories:
            content = torch.cat([content, one_hot(category, self.categories).to(content.dtype)], dim=1)
        still = content.unsqueeze(1).expand(-1, motion.shape[1], -1)  # the same in every frame
        return torch.cat([still, motion], dim=2)  # eq. (mocogan-code)

    def draw_frames(self, codes: Tensor) -> Tensor:
        """Each code to a frame, whatever the others are: `(N, Z + K + M) -> (N, C, S, S)` in [-1, 1]."""
        return self.images(codes[:, :, None, None])

    def forward(self, codes: Tensor) -> Tensor:
        """`(B, T, Z + K + M) -> (B, C, T, S, S)` in [-1, 1], for any T."""
        frames = self.draw_frames(codes.flatten(0, 1))  # (B T, C, S, S), one clip after the other
        return frames.unflatten(0, codes.shape[:2]).transpose(1, 2)


class VideoDiscriminator(nn.Module):
    """Clips `(B, C, T, S, S)`, and labels, to logits `(B,)` and, with categories, to scores of each `(B, K)`.

    Each layer halves the sides and takes three frames away; the last sees all that is left.
    """

    def __init__(self, config: MoCoGANConfig) -> None:
        super().__init__()
        self.labels = config.labels
        layers: list[nn.Module] = []
        widths, bias = (config.channels, *config.video_widths), config.critic_bias
        for level, (width_in, width_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers.append(nn.Conv3d(width_in, width_out, KERNEL, (1, 2, 2), (0, 1, 1), bias=bias))
            layers += [nn.BatchNorm3d(width_out)] if level and config.discriminator_norm else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        kernel = config.frames_left, SMALLEST, SMALLEST
        self.outputs = 1, count_values(self.labels), config.categories
        layers.append(nn.Conv3d(widths[-1], sum(self.outputs), kernel, bias=bias))
        self.layers = nn.Sequential(*layers)

    def forward(self, clips: Tensor, labels: Batch | None = None) -> tuple[Tensor, Tensor]:
        logits, values, scores = self.layers(clips).flatten(1).split(self.outputs, dim=1)
        return logits[:, 0] + asked(values, labels, self.labels), scores


class ImageDiscriminator(nn.Module):
    """Frames, and labels of content, to one logit for each patch: `(N, C, S, S) -> (N, h, w)`."""

    def __init__(self, config: MoCoGANConfig) -> None:
        super().__init__()
        self.labels = config.content_labels
        layers: list[nn.Module] = []
        widths, bias = (config.channels, *config.image_widths), config.critic_bias
        for level, (width_in, width_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers.append(nn.Conv2d(width_in, width_out, KERNEL, 2, 1, bias=bias))
            layers += [nn.BatchNorm2d(width_out)] if level and config.discriminator_norm else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1 + count_values(self.labels), KERNEL, 2, 1, bias=bias))
        self.layers = nn.Sequential(*layers)

    def forward(self, frames: Tensor, labels: Batch | None = None) -> Tensor:
        outputs = self.layers(frames)
        values = outputs[:, 1:].mean((2, 3))  # what the whole frame shows
        return outputs[:, 0] + asked(values, labels, self.labels)[:, None, None]


class MoCoGAN(Model):
    """The generator against its two critics."""

    name = "mocogan"
    output = "video"
    averaged = ("generator",)
    phases = (
        Phase("video_discriminator", updates=("video_discriminator",)),
        Phase("image_discriminator", updates=("image_discriminator",)),
        Phase("generator", updates=("generator",)),
    )

    def __init__(self, config: MoCoGANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.conditions = (*config.labels, *((config.label,) if config.categories else ()))
        self.generator = Generator(config)
        self.video_discriminator = VideoDiscriminator(config)
        self.image_discriminator = ImageDiscriminator(config)
        if config.init_std is not None:
            initialise(self, config.init_std)
        faster_memory(self)

    def video_discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real = self.config, self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(self._run(self._codes(batch, draw)[0], draw))
        real = self._run(real.transpose(1, 2), draw).transpose(1, 2)
        gamma = config.video_r1 * losses.lazily(draw.step, config.penalty_every)
        real = real.detach().requires_grad_(gamma > 0)
        # Two calls, so that real and fake clips have batch statistics of their own.
        real_logits, scores = self.video_discriminator(real, batch)  # (B,), (B, K)
        fake_logits, _ = self.video_discriminator(fake, batch)
        terms = losses.cross_entropy_discriminator(real_logits, fake_logits)  # eq. (mocogan-game)
        if config.categories:
            terms["category"] = cross_entropy(scores, batch[config.label])  # eq. (mocogan-category)
        if gamma:
            terms["r1"] = losses.zero_centred_penalty(real_logits, real, gamma)
        return Losses(terms)

    def image_discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, clips = self.config, self._real(batch)
        real = self._some(clips.transpose(1, 2), draw)  # (B k, C, S, S)
        with torch.no_grad():
            # The codes of whole clips, but only the frames that are looked at.
            fake = self.generator.draw_frames(self._some(self._codes(batch, draw)[0], draw))
        gamma = config.image_r1 * losses.lazily(draw.step, config.penalty_every)
        real = real.detach().requires_grad_(gamma > 0)
        labels = self._frame_labels(batch)
        real_logits = self.image_discriminator(real, labels)  # (B k, h, w)
        terms = losses.cross_entropy_discriminator(
            real_logits, self.image_discriminator(fake, labels)
        )  # eq. (mocogan-game)
        if gamma:
            terms["r1"] = losses.zero_centred_penalty(real_logits.mean((1, 2)), real, gamma)
        return Losses(terms)

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        self._real(batch)
        codes, category = self._codes(batch, draw)
        fake = self.generator(self._run(codes, draw))
        video_logits, scores = self.video_discriminator(fake, batch)
        frames = self._some(fake.transpose(1, 2), draw)
        image_logits = self.image_discriminator(frames, self._frame_labels(batch))
        terms = {
            "video": losses.non_saturating_generator(None, video_logits),  # eq. (mocogan-game)
            "image": losses.non_saturating_generator(None, image_logits),
        }
        if category is not None:
            terms["category"] = cross_entropy(scores, category)  # eq. (mocogan-category)
        return Losses(terms)

    def _codes(self, batch: Batch, draw: Draw) -> tuple[Tensor, Tensor | None]:
        """Codes `(B, T, Z + K + M)` of as many clips as the batch has, with its labels; and their categories `(B,)`."""
        config, rows = self.config, len(batch["video"])
        content = draw.normal("content", (rows, config.content_dim))
        start = draw.normal("start", (rows, config.motion_dim))
        noise = config.noise * draw.normal("noise", (rows, config.frames, config.motion_dim))
        motion = self.generator.motion_codes(start, noise, batch)
        category = draw.randint("category", (rows,), 0, config.categories) if config.categories else None
        return self.generator.codes(content, motion, category, batch), category

    def _frame_labels(self, batch: Batch) -> Batch:
        """Labels of content of each frame that `_some` takes: `(B k,)`."""
        return {name: batch[name].repeat_interleave(self.config.image_frames) for name in self.config.content_labels}

    def _run(self, of: Tensor, draw: Draw) -> Tensor:
        """`video_frames` consecutive entries of each row, from a first of its own: `(B, T, ...) -> (B, t, ...)`."""
        rows, count = torch.arange(len(of), device=of.device)[:, None], self.config.video_frames
        first = draw.randint("first", (len(of), 1), 0, of.shape[1] - count + 1)
        return of[rows, first + torch.arange(count, device=of.device)]

    def _some(self, of: Tensor, draw: Draw) -> Tensor:
        """`image_frames` entries of each row: `(B, T, ...) -> (B k, ...)`."""
        rows = torch.arange(len(of), device=of.device)[:, None]
        chosen = draw.randint("frames", (len(of), self.config.image_frames), 0, of.shape[1])
        return of[rows, chosen].flatten(0, 1)

    def _real(self, batch: Batch) -> Tensor:
        check_batch(batch, self.conditions, "MoCoGAN")
        if self.config.categories:
            self._checked(batch[self.config.label])
        return check_clips(batch["video"], self.config.shape)

    def _checked(self, category: Tensor) -> Tensor:
        config = self.config
        if category.dim() != 1 or category.min() < 0 or category.max() >= config.categories:
            raise ArgumentError(
                f"{config.label}={category.tolist()}: give one whole number from 0 to {config.categories - 1} a clip."
            )
        return category

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch | None:
        """Labels drawn uniformly."""
        return draw_labels(n, self.config.labels, generator) or None

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        """Clips of any length. From the same seed, a longer clip begins as the shorter one."""
        config, frames = self.config, self.config.frames if frames is None else frames
        if frames < 1:
            raise ArgumentError(f"frames={frames}: ask for 1 frame or more.")
        labels = complete(condition, n, config.labels, self.device, generator)
        category = None
        if config.categories:
            drawn = torch.randint(config.categories, (n,), generator=generator).to(self.device)
            category = self._checked(condition.get(config.label, drawn))
        content = latent_normal(n, config.content_dim, self.device, generator)
        start = latent_normal(n, config.motion_dim, self.device, generator)
        noise = [latent_normal(n, config.motion_dim, self.device, generator) for _ in range(frames)]
        motion = self.generator.motion_codes(start, config.noise * torch.stack(noise, dim=1), labels)
        return self.generator(self.generator.codes(content, motion, category, labels))


def _all(lr: float, betas: tuple[float, float], **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for the three networks."""
    return {phase.name: Optimizer(lr=lr, betas=betas, **settings) for phase in MoCoGAN.phases}


_DIGITS = DataConfig("moving-digits", size=32, frames=16)
_SMALL = MoCoGANConfig(motion_dim=32, lasting=True, noise=0.05)
_DIGIT = MoCoGANConfig(
    motion_dim=64,
    labels=("digit", "direction", "speed"),
    lasting=True,
    noise=0.05,
    generator_widths=(192, 64, 32),
    video_widths=(16, 48, 96),
    image_widths=(32, 64, 128),
    video_frames=16,
)
_CRITIC = Optimizer(lr=4e-4, betas=(0.5, 0.99), schedule="linear", final_lr=4e-5)
_TWO_RATES = {
    "video_discriminator": _CRITIC,
    "image_discriminator": _CRITIC,
    "generator": Optimizer(lr=8e-4, betas=(0.5, 0.99), schedule="linear", final_lr=8e-5),
}

MoCoGAN.presets = {
    "paper": Preset(
        MoCoGANConfig(
            size=64,
            channels=3,
            generator_widths=(512, 256, 128, 64),
            video_widths=(64, 128, 256, 512),
            video_frames=16,
            image_frames=1,
            image_widths=(64, 128, 256),
            discriminator_norm=True,
            video_r1=0.0,
            image_r1=0.0,
        ),
        Recipe(
            DataConfig("films", size=64, frames=16, stride=2),
            batch_size=32,
            steps=100_000,
            optimizers=_all(2e-4, (0.5, 0.999), weight_decay=1e-5),
        ),
        note="the networks of the paper's public code, without categories; never run here.",
    ),
    "gpu": Preset(
        replace(_DIGIT, generator_widths=(512, 256, 128), video_widths=(64, 128, 256), image_widths=(64, 128, 256)),
        Recipe(_DIGITS, batch_size=64, steps=20_000, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="20 minutes on one 16 GB GPU (estimated); never run here.",
    ),
    "cpu": Preset(
        _DIGIT,
        Recipe(_DIGITS, batch_size=16, steps=3300, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="980 seconds and 0.9 GB on one thread of a busy CPU that multiplies in bf16; FVD-digits 5.9, floor 0.4.",
    ),
    "board": Preset(
        replace(_DIGIT, labels=()),
        Recipe(_DIGITS, batch_size=16, steps=950, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="about 290 CPU-seconds on one thread of a busy machine.",
    ),
    "ci": Preset(
        _SMALL,
        Recipe(
            _DIGITS,
            batch_size=16,
            steps=280,
            optimizers=_all(1e-3, (0.5, 0.99), schedule="linear", final_lr=2e-4),
            ema_decay=0.999,
        ),
        note="51 seconds and 0.9 GB on one thread of a busy CPU: blobs that glide slowly.",
    ),
}
