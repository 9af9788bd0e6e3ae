"""TGANv2: low levels learn motion from all frames, high levels learn detail from few. [saito2020tganv2]

A recurrent network of convolutions makes a small map for each frame. A stack of abstract blocks doubles the sides of
the maps, level by level, and at each level a rendering block turns the maps into a clip of that size. In training, a
subsampling layer before each higher level keeps every s-th frame (and, if asked, every b-th clip) only, so that no
level costs much more than the one below; each level has a discriminator of its own. Sampling leaves the subsampling
out.

    symbol    name      shape                      meaning
    z         latent    (B, Z)                     noise, uniform in [-1, 1]
    y         labels    (B,) each                  digit, direction, speed, if `labels` names them
    h_t       states    (B, R, T, s, s)            of the recurrent network (ConvLSTM), one a frame
    a_k       maps      (B_k, W_k, T_k, S_k, S_k)  of level k, k = 1 ... L; S_(k+1) = 2 S_k
    s_k, b_k  strides   whole numbers              level k + 1 sees T_k / s_k frames of every b_k-th clip
    r_k       offsets   0 ... s_k - 1              the first frame that is kept
    x_k       clips     (B_k, C, T_k, S_k, S_k)    what level k renders, in [-1, 1]
    D_k(x_k)  logits    (B_k,)                     of the discriminator of level k
    lambda    gamma     a number                   weight of the penalty on real clips

Sum and mean: the published penalty is lambda times the sum of the squared slopes over the clips of a batch. That of
eq. (gan-r1) is gamma/2 times their mean; the two are equal for gamma = 2 lambda N with N clips. So the same lambda is
twice as strong in twice the batch; and with L levels of N clips it is L times as strong beside the game, which is a
mean over all logits. `gamma` here is lambda; on several processes, N counts the clips of one.

Differs from the paper: a pooling leaves an axis of size 1 as it is, where the public code pads it and makes it grow.
The 1x1x1 convolution of a shortcut stands where the maps are smaller, after pooling and before doubling: the same where
sides are even, and cheaper. The discriminator moves first, and each phase draws its own noise; all real clips of a
batch keep the same frames. The presets for digits are narrow, start with larger first maps (`start_gain`) and open
forget gates (`forget_bias`), take labels (`labels`, [miyato2018cgans]), lazy penalties (`penalty_every`) and averaged
weights.
Chapter: book/video/temporal.md. Lab: notebooks/05_temporal.ipynb.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, interpolate

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
from vidgen_lab.nn.conv3d import check_clips, convolution, faster_memory
from vidgen_lab.nn.labels import append, asked, check_batch, complete, count_values, draw_labels


@dataclass(frozen=True)
class TGANv2Config:
    """Sizes of the networks. size = base * 2^widths; the `levels` largest maps are rendered, or all with the first."""

    frames: int = 16  # length of the clips of the data; sampling makes any length
    size: int = 32  # height and width of a frame, pixels
    channels: int = 1
    latent_dim: int = 64
    base: int = 4  # side of the maps that the recurrent network makes
    recurrent_width: int = 32  # their channels
    start_gain: float = 4.0  # how far the first maps spread at the start of training; 1: as published
    forget_bias: float = 3.0  # where the forget gates start; 0, as published: half is forgotten with each frame
    widths: tuple[int, ...] = (32, 16, 16)  # channels of the generator after each doubling of the sides
    levels: int = 4
    discriminator_widths: tuple[int, ...] = (16, 32, 64)  # channels after each block, in every level's discriminator
    time_strides: tuple[int, ...] = (2, 2, 2)  # between two levels: every s-th frame goes on
    batch_strides: tuple[int, ...] = (1, 1, 1)  # the same for clips: every b-th goes on
    labels: tuple[str, ...] = ()  # what a clip is asked to show: any of digit, direction, speed
    gamma: float = 0.001  # lambda of eq. (tganv2-penalty), weight of a sum over clips
    penalty_every: int = 4  # the penalty at every k-th step only, k times as strong

    def __post_init__(self) -> None:
        if self.size != self.base * 2 ** len(self.widths):
            raise ArgumentError(
                f"size={self.size} with base={self.base} and widths={self.widths}: each width doubles "
                f"{self.base}x{self.base} once more, which makes {self.base * 2 ** len(self.widths)}."
            )
        if not 1 <= self.levels <= len(self.widths) + 1:
            raise ArgumentError(
                f"levels={self.levels}: give 1 to {len(self.widths) + 1}, one more than there are widths."
            )
        if not self.discriminator_widths:
            raise ArgumentError("discriminator_widths=(): give 1 width or more.")
        for name in ("time_strides", "batch_strides"):
            strides = getattr(self, name)
            if len(strides) != self.levels - 1 or min(strides, default=1) < 1:
                raise ArgumentError(f"{name}={strides}: give {self.levels - 1} whole numbers, each 1 or more.")
        kept = math.prod(self.time_strides)
        if self.frames < 1 or self.frames % kept:
            raise ArgumentError(
                f"frames={self.frames} with time_strides={self.time_strides}: the frames must be a multiple of {kept}. "
                f"Nearest: frames={max(1, round(self.frames / kept)) * kept}."
            )
        count_values(self.labels)
        for name in ("latent_dim", "penalty_every"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 1 or more.")
        if self.gamma < 0:
            raise ArgumentError(f"gamma={self.gamma}: must be 0 or more.")

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, T, S, S)` of a clip in training."""
        return self.channels, self.frames, self.size, self.size


# Subsampling.


def subsample(clips: Tensor, stride: int, offset: int = 0, batch_stride: int = 1) -> Tensor:
    """Every `stride`-th frame from `offset` on, of every `batch_stride`-th clip: eq. (tganv2-subsampling).

    Args:
        clips: `(B, C, T, H, W)`, clips or maps.
        offset: 0 to stride - 1.

    Returns:
        `(ceil(B / batch_stride), C, T', H, W)`, T' = T / stride where stride divides T.
    """
    if not 0 <= offset < stride:
        raise ArgumentError(f"offset={offset}: with stride={stride} a clip begins at frame 0 to {stride - 1}.")
    return clips[::batch_stride, :, offset::stride]


def pool_levels(
    real: Tensor, time_strides: Sequence[int], batch_strides: Sequence[int], offsets: Sequence[int]
) -> list[Tensor]:
    """What each level's discriminator sees of real clips: fewer frames, the larger they are.

    Args:
        real: `(B, C, T, S, S)`; S is divisible by 2^strides.
        time_strides, batch_strides, offsets: one number for each step from a level to the next.

    Returns:
        `(B_k, C, T_k, S_k, S_k)` for each level, frames averaged down to S / 2^strides, ..., S / 2, S.
    """
    clips, kept = [], real
    steps = [(1, 0, 1), *zip(time_strides, offsets, batch_strides, strict=True)]
    for level, step in enumerate(steps, start=1):
        kept = subsample(kept, *step)
        factor = 2 ** (len(steps) - level)
        clips.append(avg_pool3d(kept, (1, factor, factor)))
    return clips


# The generator.


class ConvLSTM(nn.Module):
    """A first map to a map for each frame: `(B, R, s, s) -> (B, R, T, s, s)`. Input, state and output are R wide.

    An LSTM whose products are 3x3 convolutions. It reads the first map at t = 0, and zeros at all later times. So no
    later input exists here: the convolution of zeros is its bias.
    """

    def __init__(self, width: int, forget_bias: float = 0.0) -> None:
        super().__init__()
        self.input = nn.Conv2d(width, 4 * width, 3, 1, 1)
        self.state = nn.Conv2d(width, 4 * width, 3, 1, 1, bias=False)
        lecun(self.input, self.state)
        nn.init.constant_(self.input.bias[width : 2 * width], forget_bias)

    def forward(self, first: Tensor, frames: int) -> Tensor:
        states: list[Tensor] = []
        gates, cell = self.input(first), torch.zeros_like(first, dtype=torch.float32)
        for t in range(frames):
            if t:
                gates = self.input.bias.view(1, -1, 1, 1) + self.state(states[-1])
            enter, keep, out, new = gates.float().chunk(4, dim=1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()  # eq. (tganv2-cell)
            states.append(out.sigmoid() * cell.tanh())  # eq. (tganv2-state)
        return torch.stack(states, dim=2)


class Doubling(nn.Module):
    """A residual block over single frames that doubles their sides: `(B, V, T, s, s) -> (B, W, T, 2s, 2s)`."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm3d(width_in), nn.BatchNorm3d(width_out)])
        self.first = convolution(width_in, width_out, "2d", kernel=3, stride=1)
        self.second = convolution(width_out, width_out, "2d", kernel=3, stride=1)
        self.shortcut = convolution(width_in, width_out, "2d", kernel=1, stride=1, padding=0)
        glorot(self)

    def forward(self, maps: Tensor) -> Tensor:
        h = self.first(double(self.norms[0](maps).relu_()))
        return self.second(self.norms[1](h).relu_()) + double(self.shortcut(maps))


class Rendering(nn.Module):
    """Maps to clips of the same size: `(B, W, T, S, S) -> (B, C, T, S, S)` in [-1, 1]."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(width)
        self.convolution = convolution(width, channels, "2d", kernel=3, stride=1)
        lecun(self.convolution)

    def forward(self, maps: Tensor) -> Tensor:
        return self.convolution(self.norm(maps).relu_()).tanh()


class Generator(nn.Module):
    """Noise and labels to the clips of all levels."""

    def __init__(self, config: TGANv2Config) -> None:
        super().__init__()
        self.config = config
        width = config.recurrent_width
        self.start = nn.Linear(config.latent_dim + count_values(config.labels), width * config.base**2)
        lecun(self.start)
        self.start.weight.data *= config.start_gain
        self.recurrent = ConvLSTM(width, config.forget_bias)
        blocks = [Doubling(*pair) for pair in zip((width, *config.widths), config.widths, strict=False)]
        lowest = len(blocks) - config.levels + 1  # blocks of the first level; each further one has a single block
        self.abstract = nn.ModuleList([nn.Sequential(*blocks[:lowest]), *blocks[lowest:]])
        rendered = (width, *config.widths)[-config.levels :]
        self.rendering = nn.ModuleList(Rendering(width, config.channels) for width in rendered)

    def maps(
        self, latent: Tensor, labels: Batch | None, frames: int, offsets: Sequence[int] | None
    ) -> Iterator[Tensor]:
        """Maps `(B_k, W_k, T_k, S_k, S_k)`, level by level. Offsets None: without subsampling."""
        config = self.config
        code = append(latent, labels, config.labels)  # (B, Z + classes)
        maps = self.recurrent(self.start(code).unflatten(1, (-1, config.base, config.base)), frames)
        for level, abstract in enumerate(self.abstract):
            if level and offsets is not None:
                steps = (config.time_strides, offsets, config.batch_strides)
                maps = subsample(maps, *(numbers[level - 1] for numbers in steps))
            maps = abstract(maps)  # eq. (tganv2-levels)
            yield maps

    def forward(
        self, latent: Tensor, labels: Batch | None = None, offsets: Sequence[int] | None = None
    ) -> list[Tensor]:
        """What `TGANv2.levels` says."""
        maps = self.maps(latent, labels, self.config.frames, offsets)
        return [render(each) for render, each in zip(self.rendering, maps, strict=True)]


def double(maps: Tensor) -> Tensor:
    """Each pixel twice, in both directions of a frame."""
    return interpolate(maps, scale_factor=(1, 2, 2))


def lecun(*layers: nn.Linear | nn.modules.conv._ConvNd) -> None:
    """Weights normal with variance 1 / inputs, so that what is passed on varies as what comes in; biases 0."""
    for layer in layers:
        nn.init.normal_(layer.weight, 0.0, layer.weight[0].numel() ** -0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def glorot(block: nn.Module) -> None:
    """For a residual block: weights uniform with variance 4 / (inputs + outputs), half of it in the shortcut."""
    for name, layer in block.named_children():
        if isinstance(layer, nn.Conv3d):
            nn.init.xavier_uniform_(layer.weight, 1.0 if name == "shortcut" else math.sqrt(2))
            nn.init.zeros_(layer.bias)


# The discriminators.


class Halving(nn.Module):
    """A residual block over clips: `(B, V, T, S, S) -> (B, W, T/2, S/2, S/2)`. The first halves the sides only."""

    def __init__(self, width_in: int, width_out: int, first: bool) -> None:
        super().__init__()
        self.is_first = first
        hidden = width_out if first else width_in
        self.first = convolution(width_in, hidden, kernel=3, stride=1)
        self.second = convolution(hidden, width_out, kernel=3, stride=1)
        self.shortcut = convolution(width_in, width_out, kernel=1, stride=1, padding=0)
        glorot(self)

    def forward(self, clips: Tensor) -> Tensor:
        h = self.first(clips if self.is_first else clips.relu())
        h = self.second(h.relu_())
        return halve(h, not self.is_first) + self.shortcut(halve(clips, not self.is_first))


def halve(clips: Tensor, time: bool = True) -> Tensor:
    """Averages neighbours in space, and in time if asked. Odd sizes are padded with zeros first; size 1 stays 1."""
    kernel = [2 if size > 1 else 1 for size in clips.shape[2:]]
    kernel[0] = kernel[0] if time else 1
    padding = [size % 2 if k == 2 else 0 for size, k in zip(clips.shape[2:], kernel, strict=True)]
    return avg_pool3d(clips, kernel, padding=padding)


class LevelDiscriminator(nn.Module):
    """Clips of one level, and labels, to logits: `(B, C, T, S, S)` of any length and size to `(B,)`.

    The sum of the last maps over time and space is read by a linear layer. Each value of a label has an output of its
    own, which is added where the clip was asked to have that value.
    """

    def __init__(self, config: TGANv2Config) -> None:
        super().__init__()
        self.labels, widths = config.labels, config.discriminator_widths
        pairs = zip((config.channels, *widths), widths, strict=False)
        self.blocks = nn.Sequential(*(Halving(*pair, first=block == 0) for block, pair in enumerate(pairs)))
        self.score = nn.Linear(widths[-1], 1 + count_values(config.labels))
        nn.init.xavier_uniform_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, clips: Tensor, labels: Batch | None = None) -> Tensor:
        outputs = self.score(self.blocks(clips).relu().sum((2, 3, 4)))  # (B, 1 + classes)
        return outputs[:, 0] + asked(outputs[:, 1:], labels, self.labels)


class Discriminator(nn.Module):
    """A discriminator for each level, with the same layers and weights of its own."""

    def __init__(self, config: TGANv2Config) -> None:
        super().__init__()
        self.levels = nn.ModuleList(LevelDiscriminator(config) for _ in range(config.levels))

    def forward(self, clips: Sequence[Tensor], labels: Sequence[Batch]) -> list[Tensor]:
        """Clips and labels of each level to its logits `(B_k,)`."""
        return [level(*each) for level, *each in zip(self.levels, clips, labels, strict=True)]


class TGANv2(Model):
    """The generator of several levels against a discriminator for each."""

    name = "tganv2"
    output = "video"
    averaged = ("generator",)
    phases = (
        Phase("discriminator", updates=("discriminator",)),
        Phase("generator", updates=("generator",)),
    )

    def __init__(self, config: TGANv2Config, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.conditions = config.labels
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        faster_memory(self)

    def levels(
        self,
        latent: Tensor,
        labels: Batch | None = None,
        subsample: bool = False,
        offsets: Sequence[int] | None = None,
    ) -> list[Tensor]:
        """The clips of all levels, lowest first, with the live weights; inside `with model.inference():` with those
        that sampling uses.

        Args:
            latent: noise `(B, Z)`, uniform in [-1, 1].
            labels: `(B,)` int64 for each name in the config's `labels`.
            subsample: with subsampling layers, as in training; else each level has all frames of all clips.
            offsets: with `subsample`, the first frame that each layer keeps, 0 to its stride - 1; None: 0.

        Returns:
            `(B_k, C, T_k, S_k, S_k)` for each level, in [-1, 1].

        Raises:
            ArgumentError: offsets without subsampling, not one for each layer, or beyond its stride.
        """
        layers = self.config.levels - 1
        if offsets is not None and not (subsample and len(offsets) == layers):
            raise ArgumentError(
                f"offsets={tuple(offsets)} with subsample={subsample}: give {layers} with subsample=True, or none."
            )
        return self.generator(latent, labels, offsets or [0] * layers if subsample else None)

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, (real, labels) = self.config, self._real(batch)
        with torch.no_grad():  # the generator is not trained in this phase
            fake = self.generator(self._latent(draw, len(real)), batch, self._offsets("offset", draw))
        real = pool_levels(real, config.time_strides, config.batch_strides, self._offsets("real_offset", draw))
        gamma = config.gamma * losses.lazily(draw.step, config.penalty_every)
        real = [clips.detach().requires_grad_(gamma > 0) for clips in real]
        real_logits, fake_logits = self.discriminator(real, labels), self.discriminator(fake, labels)
        terms = losses.cross_entropy_discriminator(torch.cat(real_logits), torch.cat(fake_logits))  # eq. (tganv2-game)
        if gamma:
            slopes = map(losses.slope_squared, real_logits, real)
            terms["penalty"] = gamma * torch.cat(list(slopes)).sum()  # eq. (tganv2-penalty)
        return Losses(terms)

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        real, labels = self._real(batch)
        fake = self.generator(self._latent(draw, len(real)), batch, self._offsets("offset", draw))
        logits = torch.cat(self.discriminator(fake, labels))
        return Losses({"adversarial": losses.non_saturating_generator(None, logits)})  # eq. (tganv2-game)

    def _latent(self, draw: Draw, rows: int) -> Tensor:
        return draw.uniform("latent", (rows, self.config.latent_dim), -1, 1)

    def _offsets(self, name: str, draw: Draw) -> list[int]:
        """The first frame that each subsampling layer keeps, the same for all clips of the batch."""
        draw = draw.shared()
        draw.device = torch.device("cpu")  # they count frames: no network reads them
        strides = self.config.time_strides
        return [int(draw.randint(f"{name} {level}", (), 0, stride)) for level, stride in enumerate(strides)]

    def _real(self, batch: Batch) -> tuple[Tensor, list[Batch]]:
        """The real clips, and the labels of those that each level sees."""
        config = self.config
        check_batch(batch, config.labels, "TGANv2")
        video = check_clips(batch["video"], config.shape)
        strides = [math.prod(config.batch_strides[:level]) for level in range(config.levels)]
        return video, [{name: batch[name][::stride] for name in config.labels} for stride in strides]

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch | None:
        """Labels drawn uniformly."""
        return draw_labels(n, self.config.labels, generator) or None

    def _sample(
        self,
        n: int,
        frames: int | None,
        condition: Batch,
        generator: torch.Generator | None,
        *,
        level: int | None = None,
    ) -> Tensor:
        """Clips of any length, without subsampling; level 1, 2, ...: as that level renders them, smaller."""
        frames = self.config.frames if frames is None else frames
        if frames < 1:
            raise ArgumentError(f"frames={frames}: ask for 1 frame or more.")
        latent = 2 * torch.rand(n, self.config.latent_dim, generator=generator) - 1  # on the CPU: a seed means the same
        labels = complete(condition, n, self.conditions, self.device, generator)
        return self._render(latent.to(self.device), labels, frames, level)

    def _render(self, latent: Any, labels: Batch, frames: Any, level: int | None) -> Tensor:
        """`latent` and `frames`: what `generator.maps` takes, here noise and a number."""
        level = self.config.levels if level is None else level
        if not 1 <= level <= self.config.levels:
            raise ArgumentError(f"level={level}: this TGANv2 has levels 1 to {self.config.levels}.")
        maps = self.generator.maps(latent, labels, frames, None)
        return self.generator.rendering[level - 1](next(islice(maps, level - 1, None)))


def _both(lr: float, betas: tuple[float, float], **settings: Any) -> dict[str, Optimizer]:
    """The same optimiser settings for both players."""
    return {phase.name: Optimizer(lr=lr, betas=betas, **settings) for phase in TGANv2.phases}


_DIGITS = DataConfig("moving-digits", size=32, frames=16)
_TWO_RATES = {
    "discriminator": Optimizer(lr=8e-4, betas=(0.5, 0.99), schedule="linear", final_lr=8e-5),
    "generator": Optimizer(lr=6e-4, betas=(0.5, 0.99), schedule="linear", final_lr=6e-5),
}
_SMALL = TGANv2Config()
_DIGIT = replace(
    _SMALL,
    recurrent_width=64,
    widths=(64, 32, 32),
    labels=("digit", "direction", "speed"),
)

TGANv2.presets = {
    "paper": Preset(
        TGANv2Config(
            size=192,
            channels=3,
            latent_dim=256,
            base=3,
            recurrent_width=1024,
            start_gain=1.0,
            forget_bias=0.0,
            widths=(512, 256, 128, 64, 32, 32),
            discriminator_widths=(64, 128, 256, 512, 1024),
            gamma=0.5,
            penalty_every=1,
        ),
        Recipe(
            DataConfig("films", size=192, frames=16),
            batch_size=128,
            steps=100_000,
            optimizers=_both(1e-4, (0.0, 0.9), schedule="linear"),
        ),
        note="the networks and settings of the public code, on four GPUs with 32 clips each; here never run beyond one "
        "step of one clip, which took 27 CPU-seconds and 4.4 GB.",
    ),
    "gpu": Preset(
        replace(
            _DIGIT, latent_dim=128, recurrent_width=256, widths=(256, 128, 64), discriminator_widths=(64, 128, 256)
        ),
        Recipe(
            _DIGITS,
            batch_size=64,
            steps=20_000,
            optimizers=_both(4e-4, (0.5, 0.99), schedule="linear", final_lr=4e-5),
            ema_decay=0.999,
            precision="bf16",
        ),
        note="20 minutes on one 16 GB GPU (estimated); never run here.",
    ),
    "cpu": Preset(
        _DIGIT,
        Recipe(_DIGITS, batch_size=16, steps=5000, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="1,600 seconds and 1.1 GB on one thread of a busy CPU that multiplies in bf16; FVD-digits 2.4, floor 0.4.",
    ),
    "board": Preset(
        replace(_DIGIT, labels=()),
        Recipe(_DIGITS, batch_size=16, steps=900, optimizers=_TWO_RATES, ema_decay=0.999, precision="bf16"),
        note="281 to 300 CPU-seconds on one thread of a busy machine; FVD-digits 31 to 42 over three seeds.",
    ),
    "ci": Preset(
        _SMALL,
        Recipe(
            _DIGITS,
            batch_size=16,
            steps=130,
            optimizers=_both(1e-3, (0.5, 0.99), schedule="linear", final_lr=2e-4),
            ema_decay=0.999,
        ),
        note="53 seconds and 1.0 GB on one busy CPU thread: strokes that hardly move; FVD-digits 30.",
    ),
}
