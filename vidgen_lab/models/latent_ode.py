"""TGAN, MoCoGAN and TGANv2 in continuous time: a differential equation moves the latent. [gordon2021latent]

What made a latent for each frame, a stack of transposed convolutions in TGAN and a recurrent network in the others,
gives way to an equation. A small network makes its start of the noise; frame k stands at time k; all else stays. So a
clip can be asked for at any times: between frames, after the last one and, without noise, before the first one.

    symbol   name     shape            meaning
    z        latent   (B, Z)           noise, as in the model without an equation
    x(0)     start    (B, Z)           what the network before the equation makes of it
    x(t)     path     (B, T, Z)        the latent at each time
    f, g     f, g     (B, Z)->(B, Z)   slope or drift, and diffusion
    n_k      noise    (B, K, Z)        standard normal, one set for each step of an equation with noise
    t        times    (T,)             in frames of a training clip, the first at 0

Six models, one of each without and with noise; the latent of `tganv2-ode` and `tganv2-sde` is a feature map.

Differs from the paper: gradients go back through the steps, where the paper takes the adjoint, unless `adjoint` is set.
The noise is drawn by the model, so the same latent with the same noise is the same clip. All weights before and in the
equation start as the paper's of TGAN, those of MoCoGAN too. The presets of both for digits start from the noise
itself (`start_widths`), with an equation that keeps what the start decides (`lasting`) and has time to turn it around
(`duration`). In `mocogan-sde` little else than the way is random: most numbers of the start are 0 (`start_dim`). And
noise pushes half of the numbers only (`noisy`), as in Langevin's equation it pushes the speed and not the place, so
that digits do not tremble.
Chapter: book/video/continuous.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from math import prod, sqrt
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from vidgen_lab.core import (
    ArgumentError,
    Batch,
    DataConfig,
    Draw,
    Model,
    Optimizer,
    Preset,
    Recipe,
    latent_normal,
)
from vidgen_lab.models import mocogan, tgan, tganv2
from vidgen_lab.nn.conv3d import check_shape, faster_memory
from vidgen_lab.nn.dynamics import ODE, SDE, Form, make_lasting, map_field, vector_field
from vidgen_lab.nn.initialise import initialise
from vidgen_lab.nn.labels import VALUES, append, complete, count_values

TURNS = 4.0  # of a lasting equation: half of what its fastest numbers turn by in a training clip, radians


@dataclass(frozen=True)
class Motion:
    """The equation, and what stands before it. Fields of the configs of the models of vectors."""

    start_widths: tuple[int, ...] = (64,)  # hidden layers between the noise and the start; (): the noise is the start
    order: int = 1  # of the equation; 2 and 3 without noise only
    form: Form = "published"  # of an equation of order 2 or 3, see nn/dynamics.py
    hidden: int | None = None  # of f and g; None: a single layer and tanh
    lasting: bool = False  # f starts so that what the start decides lasts, see nn/dynamics.py; order 1 only
    duration: float = 1.0  # time of the equation that passes from the first frame of a training clip to its last
    step: float = 1 / 15  # of the solver, in the same time
    adjoint: bool = False  # gradients by a second equation, without noise only
    noisy: int | None = None  # how many numbers of the latent, the last ones, noise pushes; None: all

    def check_motion(self) -> None:
        if not self.duration > 0:
            raise ArgumentError(f"duration={self.duration}: give a length of time above 0.")
        if self.lasting and self.order > 1:
            raise ArgumentError(f"lasting=True with order={self.order}: it is for order=1. Leave it out.")


@dataclass(frozen=True)
class TGANODEConfig(Motion, tgan.TGANConfig):
    """Sizes. As TGAN's, without `temporal_widths`: any number of frames that the critic can halve will do."""

    temporal_widths: tuple[int, ...] = ()
    start_widths: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        self.check_motion()
        for name in ("generator_widths", "discriminator_widths"):
            check_shape(self.frames, self.size, name, getattr(self, name))
        if self.temporal_widths:
            raise ArgumentError(f"temporal_widths={self.temporal_widths}: an equation takes their place. Leave it out.")
        if self.labels and not self.start_widths:
            raise ArgumentError(f"labels={self.labels}: a network must read them. Give start_widths, such as (64,).")
        count_values(self.labels)


@dataclass(frozen=True)
class MoCoGANODEConfig(Motion, mocogan.MoCoGANConfig):
    """Sizes. As MoCoGAN's; `noise` scales the noise of an equation that has one."""

    motion_dim: int = 16
    start_dim: int | None = None  # numbers of noise that a path starts from, the others are 0; None: all

    def __post_init__(self) -> None:
        self.check_motion()
        super().__post_init__()
        if self.start_dim is not None and not 1 <= self.start_dim <= self.motion_dim:
            raise ArgumentError(f"start_dim={self.start_dim}: give 1 to motion_dim={self.motion_dim}, or None for all.")


class Path(nn.Module):
    """An equation whose time is counted in frames, and the noise that its path takes.

    Args:
        state: shape of a latent without its batch, `(Z,)` or `(R, s, s)`.
        duration: time of the equation from the first of `frames` frames to the last.
    """

    def __init__(self, equation: ODE | SDE, state: tuple[int, ...], duration: float, frames: int) -> None:
        super().__init__()
        self.equation, self.state = equation, state
        self.pace = duration / max(1, frames - 1)  # time of the equation from a frame to the next, eq. (latent-times)

    def walk(self, start: Tensor, times: Sequence[float], noise: Tensor | None = None) -> Tensor:
        """`(B, ...)` and times `(T,)` in frames to `(B, T, ...)`.

        `noise (B, K, ...)`: for an equation with noise, `noise_steps(times)` sets or more.
        """
        moments = self.moments(times)
        if isinstance(self.equation, SDE):
            return self.equation(start, moments, noise)
        return self.equation(start, moments)

    def moments(self, times: Sequence[float]) -> list[float]:
        """Times in frames to those of the equation."""
        return [self.pace * float(t) for t in times]

    def noise_steps(self, times: Sequence[float]) -> int:
        """How many sets of noise a path needs: 0 without noise."""
        return self.equation.steps(self.moments(times)) if isinstance(self.equation, SDE) else 0

    def draw_noise(self, draw: Draw, rows: int, times: Sequence[float]) -> Tensor:
        """For training: `(B, K, ...)`."""
        return draw.normal("path", (rows, self.noise_steps(times), *self.state))

    def sample_noise(self, rows: int, times: Sequence[float], device: Any, generator: torch.Generator | None) -> Tensor:
        """The same for samples. From the same seed, a longer path begins as the shorter one."""
        sets = [latent_normal(rows, prod(self.state), device, generator) for _ in range(self.noise_steps(times))]
        noise = torch.stack(sets, dim=1) if sets else torch.empty(rows, 0, prod(self.state), device=device)
        return noise.unflatten(2, self.state)


class Dynamics(Path):
    """Noise to the path of a latent: `(B, V)` and times `(T,)` in frames to `(B, T, Z)`.

    Args:
        width_in, width: numbers of the noise, V, and of the latent, Z.
        random: an equation with noise; without it, its path has only one future.
    """

    def __init__(self, config: Motion, width_in: int, width: int, frames: int, random: bool) -> None:
        if random and (config.order > 1 or config.adjoint):
            raise ArgumentError(
                f"order={config.order}, adjoint={config.adjoint}: an equation with noise is of order 1, and its "
                "gradients go back through the steps. Give order=1 and adjoint=False, or take the model without noise."
            )
        if config.noisy is not None and not (random and 1 <= config.noisy <= width):
            raise ArgumentError(f"noisy={config.noisy}: give 1 to {width} with noise, None for all and without noise.")
        layers: list[nn.Module] = []
        for pair in pairwise((width_in, *config.start_widths, width)) if config.start_widths else ():
            layers += [nn.Linear(*pair), nn.LeakyReLU(0.2)]
        encoders = [nn.Linear(width, width) for _ in range(config.order if config.order > 1 else 0)]
        for layer in (*layers, *encoders):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, gain=sqrt(2))
        f = vector_field(width, config.hidden, inputs=config.order if config.form == "textbook" else 1)
        if config.lasting:
            make_lasting(f, TURNS / config.duration)
        if random:
            equation: ODE | SDE = SDE(f, vector_field(width, config.hidden, moved=config.noisy), step=config.step)
        else:
            equation = ODE(f, config.order, form=config.form, step=config.step, adjoint=config.adjoint)
        super().__init__(equation, (width,), config.duration, frames)
        self.start, self.encoders = nn.Sequential(*layers), nn.ModuleList(encoders)

    def forward(self, source: Tensor, times: Sequence[float], noise: Tensor | None = None) -> Tensor:
        """`noise (B, K, Z)`: as `walk` says."""
        start = self.start(source)
        if self.encoders:
            start = torch.stack([encoder(start) for encoder in self.encoders])
        return self.walk(start, times, noise)


def asked_times(frames: int | None, times: Sequence[float] | None, usual: int) -> list[float]:
    """The times, in frames, that a sample is drawn at. Raises ArgumentError for none, or for both kinds of request."""
    if times is None:
        count = usual if frames is None else frames
        if count < 1:
            raise ArgumentError(f"frames={frames}: ask for 1 frame or more.")
        return [float(k) for k in range(count)]
    if frames is not None or not len(times):
        raise ArgumentError(f"frames={frames}, times={times}: give one of them, and one time or more.")
    return [float(t) for t in times]


def starts(n: int, futures: int, random: bool) -> int:
    """How many starts n clips have, with so many futures each. Raises ArgumentError if that is not possible."""
    if futures < 1 or n % futures or (futures > 1 and not random):
        raise ArgumentError(
            f"futures={futures} of {n} clips: give a number that divides {n}"
            + ("." if random else "; and without noise each start has one future, so futures=1.")
        )
    return n // futures


def labels_of(
    condition: Batch,
    n: int,
    futures: int,
    names: Sequence[str],
    device: torch.device,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    """The named labels of n clips; those that the condition leaves out are drawn once for each start."""
    drawn = complete({}, n // futures, names, device, generator)
    repeated = {name: values.repeat_interleave(futures) for name, values in drawn.items()}
    return complete(repeated | dict(condition), n, names, device)


class Latent(NamedTuple):
    """What a clip is made of: noise `(B, Z)`, and noise of its path `(B, K, ...)`."""

    latent: Tensor
    noise: Tensor


def sample_latent(
    path: Path,
    n: int,
    dim: int,
    futures: int,
    times: Sequence[float],
    device: torch.device,
    generator: torch.Generator | None,
) -> Latent:
    """Uniform noise in [-1, 1], one for all futures of a start, and a path of its own for each of n clips."""
    latent = 2 * torch.rand(n // futures, dim, generator=generator) - 1  # on the CPU: a seed means the same
    noise = path.sample_noise(n, times, device, generator)
    return Latent(latent.to(device).repeat_interleave(futures, dim=0), noise)


# TGAN


class TGANGenerator(tgan.Generator):
    """Noise, labels, and times in frames, to clips: `(B, C, T, S, S)` in [-1, 1]."""

    def __init__(self, config: TGANODEConfig, random: bool) -> None:
        nn.Module.__init__(self)
        self.labels, self.times = config.labels, list(range(config.frames))
        self.temporal = Dynamics(config, config.source_dim, config.latent_dim, config.frames, random)
        self.image = tgan.ImageGenerator(config)

    def forward(self, drawn: Latent, labels: Batch | None = None, times: Sequence[float] | None = None) -> Tensor:
        source = append(drawn.latent, labels, self.labels)
        path = self.temporal(source, self.times if times is None else times, drawn.noise)
        return self.image(source, path).transpose(1, 2)  # eq. (latent-tgan)


class TGANODE(tgan.TGAN):
    """TGAN with an ordinary differential equation as its temporal generator."""

    name = "tgan-ode"
    random: ClassVar[bool] = False

    def __init__(self, config: TGANODEConfig, recipe: Recipe | None = None) -> None:
        Model.__init__(self, config, recipe)
        self.conditions = config.labels
        self.generator = TGANGenerator(config, self.random)
        self.discriminator = tgan.Discriminator(config)
        if config.image_bound is not None:
            for layer in self.generator.image.modules():
                if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                    nn.init.uniform_(layer.weight, -config.image_bound, config.image_bound)
        faster_memory(self)

    def _latent(self, draw: Draw, rows: int) -> Latent:
        noise = self.generator.temporal.draw_noise(draw, rows, self.generator.times)
        return Latent(super()._latent(draw, rows), noise)

    def _sample(
        self,
        n: int,
        frames: int | None,
        condition: Batch,
        generator: torch.Generator | None,
        *,
        times: Sequence[float] | None = None,
        futures: int = 1,
    ) -> Tensor:
        """Clips at any times, in frames; with `futures`, as many clips in a row have one start."""
        config, moments = self.config, asked_times(frames, times, self.config.frames)
        starts(n, futures, self.random)
        labels = labels_of(condition, n, futures, config.labels, self.device, generator)
        latent = sample_latent(self.generator.temporal, n, config.latent_dim, futures, moments, self.device, generator)
        return self.generator(latent, labels, moments)


class TGANSDE(TGANODE):
    """TGAN with an equation with noise as its temporal generator."""

    name = "tgan-sde"
    random = True


# MoCoGAN


class MoCoGANGenerator(mocogan.Generator):
    """Noise to clips: an equation over motion codes, and MoCoGAN's image generator."""

    def __init__(self, config: MoCoGANODEConfig, random: bool) -> None:
        super().__init__(config)
        self.motion = Dynamics(config, config.motion_dim, config.motion_dim, config.frames, random)
        if self.motion_labels:  # a mean over the values of a label would be a path that all clips share
            with torch.no_grad():
                nn.init.normal_(self.shift.weight, std=0.7)  # two labels together are as strong as the noise
                for vectors in self.shift.weight.split([VALUES[name] for name in self.motion_labels], dim=1):
                    vectors -= vectors.mean(1, keepdim=True)

    def path(self, start: Tensor, times: Sequence[float], noise: Tensor, labels: Batch | None = None) -> Tensor:
        """`(B, S)`, times in frames and `(B, K, M)` to motion codes `(B, T, M)`. Labels of motion shift the start."""
        start = pad(start, (0, self.motion.state[0] - start.shape[1]))  # (B, M)
        if self.motion_labels:
            start = start + self.shift(append(start[:, :0], labels, self.motion_labels))
        return self.motion(start, times, noise)  # eq. (latent-mocogan)


class MoCoGANODE(mocogan.MoCoGAN):
    """MoCoGAN with an ordinary differential equation in place of its recurrent network."""

    name = "mocogan-ode"
    random: ClassVar[bool] = False

    def __init__(self, config: MoCoGANODEConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.generator = MoCoGANGenerator(config, self.random)
        if config.init_std is not None:
            initialise(self.generator, config.init_std)
        faster_memory(self.generator)

    def _codes(self, batch: Batch, draw: Draw) -> tuple[Tensor, Tensor | None]:
        config, rows, times = self.config, len(batch["video"]), range(self.config.frames)
        content = draw.normal("content", (rows, config.content_dim))
        start = draw.normal("start", (rows, config.start_dim or config.motion_dim))
        noise = config.noise * self.generator.motion.draw_noise(draw, rows, times)
        motion = self.generator.path(start, times, noise, batch)
        category = draw.randint("category", (rows,), 0, config.categories) if config.categories else None
        return self.generator.codes(content, motion, category, batch), category

    def _sample(
        self,
        n: int,
        frames: int | None,
        condition: Batch,
        generator: torch.Generator | None,
        *,
        times: Sequence[float] | None = None,
        futures: int = 1,
    ) -> Tensor:
        """Clips at any times, in frames; with `futures`, as many clips in a row have one start and one content."""
        config, moments = self.config, asked_times(frames, times, self.config.frames)
        different = starts(n, futures, self.random)
        labels = labels_of(condition, n, futures, config.labels, self.device, generator)
        category = None
        if config.categories:
            drawn = torch.randint(config.categories, (different,), generator=generator).to(self.device)
            category = self._checked(condition.get(config.label, drawn.repeat_interleave(futures)))
        content, start = (
            latent_normal(different, dim, self.device, generator).repeat_interleave(futures, dim=0)
            for dim in (config.content_dim, config.start_dim or config.motion_dim)
        )
        noise = config.noise * self.generator.motion.sample_noise(n, moments, self.device, generator)
        motion = self.generator.path(start, moments, noise, labels)
        return self.generator(self.generator.codes(content, motion, category, labels))


class MoCoGANSDE(MoCoGANODE):
    """MoCoGAN with an equation with noise in place of its recurrent network."""

    name = "mocogan-sde"
    random = True


# TGANv2


@dataclass(frozen=True)
class TGANv2ODEConfig(tganv2.TGANv2Config):
    """Sizes. As TGANv2's, with an equation over maps in place of the recurrent network."""

    forget_bias: float = 0.0
    duration: float = 1.0  # time of the equation that passes from the first frame of a training clip to its last
    step: float = 1 / 15  # of the solver, in the same time
    adjoint: bool = False  # gradients by a second equation, without noise only

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.duration > 0:
            raise ArgumentError(f"duration={self.duration}: give a length of time above 0.")
        if self.forget_bias:
            raise ArgumentError(f"forget_bias={self.forget_bias}: there are no gates here. Leave it out.")


class Walk(NamedTuple):
    """Which path of maps: at these times, in frames, with this noise `(B, K, R, s, s)`."""

    times: Sequence[float]
    noise: Tensor | None = None


class MapDynamics(Path):
    """A first map to the maps of a walk: `(B, R, s, s) -> (B, R, T, s, s)`."""

    def __init__(self, config: TGANv2ODEConfig, random: bool) -> None:
        width = config.recurrent_width
        if random and config.adjoint:
            raise ArgumentError("adjoint=True: there is none here with noise. Leave it out, or take tganv2-ode.")
        if random:
            f, g = (map_field(width, slope=0.0) for _ in range(2))
            equation: ODE | SDE = SDE(f, g, step=config.step)
        else:
            equation = ODE(map_field(width), step=config.step, adjoint=config.adjoint)
        super().__init__(equation, (width, config.base, config.base), config.duration, config.frames)

    def forward(self, first: Tensor, walk: Walk) -> Tensor:
        return self.walk(first, *walk).transpose(1, 2)  # eq. (latent-tganv2)


class TGANv2Generator(tganv2.Generator):
    """Noise and labels to the clips of all levels: an equation over maps, and TGANv2's levels."""

    def __init__(self, config: TGANv2ODEConfig, random: bool) -> None:
        super().__init__(config)
        self.recurrent = MapDynamics(config, random)

    def maps(
        self, drawn: Latent, labels: Batch | None, times: int | Sequence[float], offsets: Sequence[int] | None
    ) -> Iterator[Tensor]:
        """As TGANv2's, at times in frames, or at frames 0 to n - 1."""
        walk = Walk(range(times) if isinstance(times, int) else times, drawn.noise)
        return super().maps(drawn.latent, labels, walk, offsets)


class TGANv2ODE(tganv2.TGANv2):
    """TGANv2 with an ordinary differential equation over maps in place of its recurrent network.

    Its method `levels` takes a `Latent`.
    """

    name = "tganv2-ode"
    random: ClassVar[bool] = False

    def __init__(self, config: TGANv2ODEConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.generator = TGANv2Generator(config, self.random)
        faster_memory(self.generator)

    def _latent(self, draw: Draw, rows: int) -> Latent:
        noise = self.generator.recurrent.draw_noise(draw, rows, range(self.config.frames))
        return Latent(super()._latent(draw, rows), noise)

    def _sample(
        self,
        n: int,
        frames: int | None,
        condition: Batch,
        generator: torch.Generator | None,
        *,
        level: int | None = None,
        times: Sequence[float] | None = None,
        futures: int = 1,
    ) -> Tensor:
        """Clips at any times, in frames; level 1, 2, ...: as that level renders them, smaller; with `futures`, as many
        clips in a row have one start."""
        config, moments = self.config, asked_times(frames, times, self.config.frames)
        starts(n, futures, self.random)
        labels = labels_of(condition, n, futures, config.labels, self.device, generator)
        path = self.generator.recurrent
        latent = sample_latent(path, n, config.latent_dim, futures, moments, self.device, generator)
        return self._render(latent, labels, moments, level)


class TGANv2SDE(TGANv2ODE):
    """TGANv2 with an equation with noise over maps in place of its recurrent network."""

    name = "tganv2-sde"
    random = True


_FILMS = DataConfig("films", size=64, frames=16)
_DIGITS = DataConfig("moving-digits", size=32, frames=16)
_PAPER = "the networks of the paper's public code; never run here."
_SHORT = {
    ("tgan", False): "54 CPU-seconds and 1.0 GB on one busy thread: blobs that drift and fade; FVD-digits 46.",
    ("tgan", True): "59 CPU-seconds and 1.0 GB on one very busy thread: blobs that drift and fade; FVD-digits 40.",
    ("mocogan", False): "57 CPU-seconds and 0.9 GB on one busy thread: blobs that move; FVD-digits 51.",
    ("mocogan", True): "56 CPU-seconds and 0.9 GB on one busy thread: blobs that move; FVD-digits 61.",
    ("tganv2", False): "51 CPU-seconds and 1.1 GB on one busy thread: blobs that move a little; FVD-digits 53.",
    ("tganv2", True): "52 CPU-seconds and 1.1 GB on one busy thread: blobs that move a little; FVD-digits 44.",
}
_PUBLISHED_STEP = {False: 1 / 15, True: 1 / 40}
_LONG = {
    False: "1,010 seconds and 1.0 GB on one thread of a busy CPU that multiplies in bf16; FVD-digits 5.6, floor 0.4.",
    True: "970 seconds and 1.0 GB on one thread of a busy CPU that multiplies in bf16; digits that veer in mid-clip; "
    "FVD-digits 5.4, floor 0.3.",
}


def _tgan(random: bool) -> dict[str, Preset]:
    published = TGANODEConfig(
        size=64,
        channels=3,
        start_widths=(512, 512, 512),
        generator_widths=(256, 128, 64, 32),
        discriminator_widths=(64, 128, 256, 512),
        step=_PUBLISHED_STEP[random],
    )
    rmsprop = {phase.name: Optimizer(lr=5e-5, kind="rmsprop") for phase in TGANODE.phases}
    adam = {
        phase.name: Optimizer(lr=1e-3, betas=(0.5, 0.99), schedule="linear", final_lr=2e-4) for phase in TGANODE.phases
    }
    return {
        "paper": Preset(published, Recipe(_FILMS, batch_size=32, steps=100_000, optimizers=rmsprop), note=_PAPER),
        "ci": Preset(
            TGANODEConfig(start_widths=(), lasting=True, duration=4.0, step=4 / 30 if random else 4 / 15),
            Recipe(_DIGITS, batch_size=16, steps=240, optimizers=adam, ema_decay=0.999),
            note=_SHORT["tgan", random],
        ),
    }


def _mocogan(random: bool) -> dict[str, Preset]:
    published = MoCoGANODEConfig(
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
        start_widths=() if random else (64,),
        hidden=49 if random else None,
        step=_PUBLISHED_STEP[random],
    )
    phases = [phase.name for phase in MoCoGANODE.phases]
    published_adam = {name: Optimizer(lr=2e-4, betas=(0.5, 0.999), weight_decay=1e-5) for name in phases}
    adam = {name: Optimizer(lr=1e-3, betas=(0.5, 0.99), schedule="linear", final_lr=2e-4) for name in phases}
    long = mocogan.MoCoGAN.presets["cpu"].recipe
    turning = replace(_DIGITS, turn=random)
    small = MoCoGANODEConfig(
        motion_dim=32,
        start_widths=(),
        start_dim=4 if random else None,
        lasting=True,
        duration=4.0,
        step=4 / 30 if random else 4 / 15,
        noisy=16 if random else None,
    )
    digit = replace(
        small,
        content_dim=32 if random else 50,
        motion_dim=64,
        noisy=32 if random else None,
        labels=("digit", "direction", "speed"),
        generator_widths=(192, 64, 32),
        video_widths=(16, 48, 96),
        image_widths=(32, 64, 128),
        video_frames=16,
    )
    return {
        "paper": Preset(
            published, Recipe(_FILMS, batch_size=32, steps=100_000, optimizers=published_adam), note=_PAPER
        ),
        "cpu": Preset(digit, replace(long, data=turning), note=_LONG[random]),
        "board": Preset(
            replace(digit, labels=()),
            replace(long, steps=900),
            note="260 to 300 CPU-seconds on one thread of a busy machine.",
        ),
        "ci": Preset(
            small,
            Recipe(turning, batch_size=16, steps=280, optimizers=adam, ema_decay=0.999),
            note=_SHORT["mocogan", random],
        ),
    }


def _tganv2(random: bool) -> dict[str, Preset]:
    published = tganv2.TGANv2.presets["paper"]
    config = TGANv2ODEConfig(
        **{field.name: getattr(published.config, field.name) for field in fields(published.config)},
        step=1 / 20 if random else 1 / 15,
    )
    adam = {
        phase.name: Optimizer(lr=1e-3, betas=(0.5, 0.99), schedule="linear", final_lr=2e-4)
        for phase in TGANv2ODE.phases
    }
    return {
        "paper": Preset(config, replace(published.recipe, batch_size=32), note=_PAPER),
        "ci": Preset(
            TGANv2ODEConfig(step=1 / 30 if random else 1 / 15),
            Recipe(_DIGITS, batch_size=16, steps=120, optimizers=adam, ema_decay=0.999),
            note=_SHORT["tganv2", random],
        ),
    }


TGANODE.presets, TGANSDE.presets = _tgan(random=False), _tgan(random=True)
MoCoGANODE.presets, MoCoGANSDE.presets = _mocogan(random=False), _mocogan(random=True)
TGANv2ODE.presets, TGANv2SDE.presets = _tganv2(random=False), _tganv2(random=True)
