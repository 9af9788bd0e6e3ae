"""VideoGPT: a clip is a text of codes over space and time, and a GPT writes it. [yan2021videogpt]

A tokenizer of 3-D convolutions and axial attention turns a clip into a box of codes and back. A causal transformer
reads the box in raster order, moment by moment and row by row, and learns which code comes next. To make a clip it
writes a whole box, which the tokenizer decodes. Labels scale its layer norms; given frames are seen by cross-attention,
and they are told to each place and to the layer norms.

    symbol   name       shape              meaning
    x        real       (B, C, T, H, W)    a clip in [-1, 1]
    z_e      latent     (B, D, T', H', W') what the encoder says
    k        codes      (B, T', H', W')    the nearest vectors of the codebook
    s        tokens     (B, L)             the same codes in raster order, L = T' H' W'
    v        vectors    (B, L, D)          their vectors in the codebook: what the transformer reads
    y        labels     (B, V)             what is asked for, one-hot, side by side; all 0: nothing is asked
    m        given      see `Given`        what the encoder of given frames says of them
    a        logits     (B, L, K)          p(s_i | s_1 ... s_(i-1), y, m) = softmax(a_i)

Differs from the paper and its public code: along an axis that is not halved, the decoder undoes the encoder's shift,
where the code shifts once more; a GELU is a GELU, where the code has x sigmoid(1.702 x), which is close; the vector in
front of the first is learned and labels change no norm at first, where the code has zeros and a constant; any number of
frames up to `prefix_frames` may be given, and those that are not are marked; what a small residual network says of them
is not only looked at: it is also added to the position of the code in the same row and column, and its mean stands
beside the labels; labels are left out of some training clips, so that sampling can be guided [ho2022classifier].
The digits' presets see black as 0 (`background`) and train without dropout.
Chapter: book/video/videogpt.md. Lab: notebooks/07_videogpt.ipynb.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log2, prod
from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, pad, scaled_dot_product_attention

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe
from vidgen_lab.nn.labels import append, check_batch, complete, count_values, draw_labels
from vidgen_lab.nn.quantize import VectorQuantizer, check_codes
from vidgen_lab.nn.transformer import Attention, Cache, CrossAttention, Norm, Positions, sharpen

# ---------------------------------------------------------------------------------------------------- the tokenizer


@dataclass(frozen=True)
class VideoGPTTokenizerConfig:
    """Sizes of the tokenizer. Defaults are the published ones, for clips of 16x64x64."""

    channels: int = 3
    frames: int = 16
    size: int = 64  # height and width of a frame, pixels
    downsample: tuple[int, int, int] = (4, 2, 2)  # frames, rows and columns that one code stands for; powers of 2
    width: int = 240  # channels of all layers
    blocks: int = 4  # residual blocks with axial attention, in each network
    heads: int = 2  # of each axial attention
    num_codes: int = 2048  # K
    code_dim: int = 256  # D
    beta: float = 0.25  # weight of the commitment, eq. (vqvae-commitment)
    decay: float = 0.99  # of the running means of the codebook
    revive_below: float = 0.3  # share of an even count below which a code is dead
    variance: float = 0.12  # of the decoder's Gaussian, eq. (vqvae-reconstruction)
    background: float = 0.0  # pixel value that the networks see as 0: -1 for digits, which are mostly black

    def __post_init__(self) -> None:
        for stride in self.downsample:
            if stride < 1 or stride & (stride - 1):
                raise ArgumentError(f"downsample={self.downsample}: give powers of 2, for instance (2, 4, 4).")
        if max(self.downsample) == 1:
            raise ArgumentError("downsample=(1, 1, 1): a code for each pixel saves nothing. Halve some axis.")
        if self.frames % self.downsample[0] or self.size % max(self.downsample[1:]):
            raise ArgumentError(
                f"downsample={self.downsample} does not divide frames={self.frames} and size={self.size}."
            )
        if self.width % (2 * self.heads):
            raise ArgumentError(f"width={self.width}: must be a multiple of 2 x heads={self.heads}.")

    @property
    def strides(self) -> list[tuple[int, int, int]]:
        """Of each level: an axis is halved until its share of `downsample` is reached."""
        halvings = [int(log2(stride)) for stride in self.downsample]
        return [tuple(2 if level < count else 1 for count in halvings) for level in range(max(halvings))]

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(T', H', W') of a clip as trained."""
        time, rows, columns = self.downsample
        return self.frames // time, self.size // rows, self.size // columns


class Halve(nn.Module):
    """Kernel 4 along all axes; those of stride 2 are halved, the others keep their length."""

    def __init__(self, width_in: int, width_out: int, stride: tuple[int, int, int]) -> None:
        super().__init__()
        # Kernel 4 and stride 1 need 3 more places: two in front and one behind. `pad` counts from the last axis.
        self.padding = [side for step in reversed(stride) for side in ((1, 1) if step == 2 else (2, 1))]
        self.convolution = nn.Conv3d(width_in, width_out, 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(pad(x, self.padding))


class Double(nn.Module):
    """The adjoint of `Halve`: axes of stride 2 are doubled, the others keep their length."""

    def __init__(self, width_in: int, width_out: int, stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.stride = stride
        self.convolution = nn.ConvTranspose3d(width_in, width_out, 4, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        time, rows, columns = (step * length for step, length in zip(self.stride, x.shape[2:], strict=True))
        return self.convolution(x)[:, :, -time:, -rows:, -columns:]  # an axis of stride 1 comes out one longer


class AxialAttention(nn.Module):
    """Each place looks along its own line of columns, of rows and of moments: `(B, C, T, H, W)` to the same.

    The three answers are added. Lines are short: T'H'W' places cost T' + H' + W' looks each and not T'H'W'.
    """

    LINES = {  # the axis along which a place looks, as a sequence; the others count as more clips
        "columns": "(b t h) w c",
        "rows": "(b t w) h c",
        "moments": "(b h w) t c",
    }

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.along = nn.ModuleDict({axis: Attention(width, heads, causal=False, bias=False) for axis in self.LINES})
        for attention in self.along.values():
            for layer in (attention.project, attention.out):
                nn.init.normal_(layer.weight, std=width**-0.5)
            nn.init.zeros_(attention.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        sizes = dict(zip("bcthw", x.shape, strict=True))
        seen = 0
        for axis, line in self.LINES.items():
            told = self.along[axis](rearrange(x, f"b c t h w -> {line}"))
            seen = seen + rearrange(told, f"{line} -> b c t h w", **{name: sizes[name] for name in "bthw"})
        return seen  # eq. (videogpt-axial)


class ResidualBlock(nn.Module):
    """`(B, C, T, H, W)` to the same: two convolutions and axial attention, added to the input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.BatchNorm3d(width), nn.ReLU(), nn.Conv3d(width, width // 2, 3, padding=1, bias=False)),
            *(nn.BatchNorm3d(width // 2), nn.ReLU(), nn.Conv3d(width // 2, width, 1, bias=False)),
            *(nn.BatchNorm3d(width), nn.ReLU(), AxialAttention(width, heads)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _blocks(config: VideoGPTTokenizerConfig) -> list[nn.Module]:
    blocks = [ResidualBlock(config.width, config.heads) for _ in range(config.blocks)]
    return [*blocks, nn.BatchNorm3d(config.width), nn.ReLU()]


class Encoder(nn.Module):
    """Clips to a box of vectors: `(B, C, T, H, W) -> (B, D, T', H', W')`."""

    def __init__(self, config: VideoGPTTokenizerConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, stride in enumerate(config.strides):
            layers += [Halve(config.width if level else config.channels, config.width, stride), nn.ReLU()]
        layers += [nn.Conv3d(config.width, config.width, 3, padding=1), *_blocks(config)]
        self.layers = nn.Sequential(*layers, nn.Conv3d(config.width, config.code_dim, 1))
        self.background = config.background

    def forward(self, clips: Tensor) -> Tensor:
        return self.layers(clips - self.background)


class Decoder(nn.Module):
    """A box of vectors to clips: `(B, D, T', H', W') -> (B, C, T, H, W)`, not bounded."""

    def __init__(self, config: VideoGPTTokenizerConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv3d(config.code_dim, config.width, 1), *_blocks(config)]
        *strides, last = config.strides
        for stride in strides:
            layers += [Double(config.width, config.width, stride), nn.ReLU()]
        self.layers = nn.Sequential(*layers, Double(config.width, config.channels, last))
        self.background = config.background

    def forward(self, vectors: Tensor) -> Tensor:
        return self.layers(vectors) + self.background


class VideoGPTTokenizer(Model):
    """Encoder, codebook, decoder: clips to boxes of codes and back."""

    name = "videogpt-tokenizer"
    output = "codes"
    phases = (Phase("autoencoder", updates=("encoder", "decoder")),)

    def __init__(self, config: VideoGPTTokenizerConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.encoder = Encoder(config)
        self.codebook = VectorQuantizer(
            config.num_codes,
            config.code_dim,
            beta=config.beta,
            decay=config.decay,
            revive_below=config.revive_below,
        )
        self.decoder = Decoder(config)

    @property
    def num_codes(self) -> int:
        """K, the size of the vocabulary."""
        return self.config.num_codes

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(T', H', W') of a clip as trained."""
        return self.config.code_shape

    def encode(self, clips: Tensor) -> Tensor:
        """Codes `(B, T', H', W')` of clips `(B, C, T, H, W)`, in eval mode; any T, H, W that `downsample` divides."""
        self._check(clips)
        with self.inference():
            return self.codebook(self.encoder(clips)).codes

    def decode(self, codes: Tensor) -> Tensor:
        """Clips `(B, C, T, H, W)` in [-1, 1] of codes `(B, T', H', W')`, in eval mode; a box of any size."""
        if codes.dim() != 4:
            raise ArgumentError(f"codes of shape {tuple(codes.shape)}: give (B, T', H', W').")
        check_codes(codes, self.num_codes)
        with self.inference():
            return self.decoder(self.codebook.lookup(codes)).clamp(-1, 1)

    def reconstruct(self, clips: Tensor) -> Tensor:
        """Clips in [-1, 1], there and back."""
        return self.decode(self.encode(clips))

    def autoencoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        real = batch["video"]
        self._check(real)
        quantized = self.codebook(self.encoder(real), draw)
        error = mse_loss(self.decoder(quantized.latent), real)
        reconstruction = error / (2 * self.config.variance)  # eq. (vqvae-reconstruction)
        log = {"psnr": 10 * torch.log10(4 / error.detach()), **quantized.log}
        return Losses({"reconstruction": reconstruction, **quantized.terms}, log=log)  # eq. (vqvae-objective)

    def _check(self, clips: Tensor) -> None:
        config = self.config
        shape = tuple(clips.shape)
        if (
            clips.dim() != 5
            or shape[1] != config.channels
            or any(length % step for length, step in zip(shape[2:], config.downsample, strict=True))
        ):
            time, rows, columns = config.downsample
            raise ArgumentError(
                f"clips of shape {shape}: give (B, {config.channels}, T, H, W) with T a multiple of {time}, H of "
                f"{rows} and W of {columns}."
            )


# -------------------------------------------------------------------------------------------------------- the prior


@dataclass(frozen=True)
class VideoGPTConfig:
    """Sizes of the transformer. How many codes there are, and where, the tokenizer says. Defaults are published."""

    dim: int = 576  # a third of it tells the moment, a third the row, a third the column
    heads: int = 4
    layers: int = 8
    dropout: float = 0.2  # of the vectors, and of what each part of a block adds
    attention_dropout: float = 0.3
    labels: tuple[str, ...] = ()  # what a clip may be asked to show: any of digit, direction, speed
    label_dropout: float = 0.1  # share of the training clips of which nothing is asked
    prefix_frames: int = 0  # the most frames that can be given; 0: none
    prefix_width: int = 240  # channels of what is said of given frames
    prefix_blocks: int = 4  # residual blocks of their encoder
    prefix_pooled: int = 16  # numbers that say together what all of it shows

    @property
    def values(self) -> int:
        """V + P: what the layer norms are told."""
        return count_values(self.labels) + (self.prefix_pooled if self.prefix_frames else 0)

    def __post_init__(self) -> None:
        if self.dim % 3 or self.dim % self.heads:
            raise ArgumentError(
                f"dim={self.dim}: must be a multiple of 3, for moments, rows and columns, and of heads={self.heads}."
            )
        if self.prefix_frames and (self.prefix_width % 3 or self.prefix_pooled < 1):
            raise ArgumentError(
                f"prefix_width={self.prefix_width}, prefix_pooled={self.prefix_pooled}: the first must be a multiple "
                "of 3, the second at least 1."
            )
        if self.prefix_frames < 0:
            raise ArgumentError(f"prefix_frames={self.prefix_frames}: must be 0 or more.")
        if not 0 <= self.label_dropout < 1:
            raise ArgumentError(f"label_dropout={self.label_dropout}: must be at least 0 and below 1.")
        count_values(self.labels)


class Given(NamedTuple):
    """What an encoder says of given frames: to be looked at, and to be told to each place that is written."""

    memory: Tensor  # (B, M, E), a vector for each patch of a code's size, M = H' W'
    beside: Tensor  # (B, L, dim), added to the position of each code; `dim` is the transformer's width
    pooled: Tensor  # (B, P), of all patches together; stands beside the labels in each layer norm


class PrefixBlock(nn.Module):
    """`(B, E, H', W')` to the same: two convolutions, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):  # a group norm with one group: the layer norm of a map
            layers += [nn.GroupNorm(1, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PrefixEncoder(nn.Module):
    """Given frames `(B, C, k, S, S)`, k at most `prefix_frames`, to what is said of them.

    The frames are one image of more channels, so that a patch tells its motion too, and are halved until a patch is as
    large as that of a code. Frames that are not given are 0, grey, and further channels say so.
    """

    def __init__(self, config: VideoGPTConfig, tokenizer: Any) -> None:
        super().__init__()
        self.frames, width = config.prefix_frames, config.prefix_width
        moments, rows, columns = tokenizer.code_shape
        stem: list[nn.Module] = [nn.Conv2d(self.frames * (tokenizer.config.channels + 1), width, 3, padding=1)]
        for _, *stride in tokenizer.config.strides:
            if max(stride) > 1:
                kernel = [4 if step == 2 else 3 for step in stride]
                stem += [nn.ReLU(), nn.Conv2d(width, width, kernel, stride, 1)]
        self.layers = nn.Sequential(*stem, *(PrefixBlock(width) for _ in range(config.prefix_blocks)))
        self.norm = nn.LayerNorm(width)
        self.positions = Positions((1, rows, columns), width)
        self.dim, self.beside = config.dim, nn.Linear(width, moments * config.dim)
        self.pool = nn.Linear(width, config.prefix_pooled)

    def forward(self, frames: Tensor, count: Tensor) -> Given:
        """`count` `(B,)`: how many of the frames of each row are given."""
        frames = pad(frames, (0, 0, 0, 0, 0, self.frames - frames.shape[2]))
        given = torch.arange(self.frames, device=frames.device) < count[:, None]  # (B, frames)
        given = given[:, None, :, None, None].to(frames.dtype).expand_as(frames[:, :1])
        maps = self.layers(torch.cat([frames * given, given], dim=1).flatten(1, 2))  # (B, E, H', W')
        said = self.norm(rearrange(maps, "b e h w -> b (h w) e"))
        beside = rearrange(self.beside(said), "b p (t d) -> b (t p) d", d=self.dim)
        return Given(said + self.positions(), beside, self.pool(said).relu().mean(1))


class Block(nn.Module):
    """Each place looks back, looks at the given frames, and thinks: `(B, L, D)` to the same."""

    def __init__(self, config: VideoGPTConfig) -> None:
        super().__init__()
        dim, values = config.dim, config.values
        settings = {"bias": False, "dropout": config.attention_dropout}
        self.norm_attention, self.norm_mlp = Norm(dim, values), Norm(dim, values)  # eq. (videogpt-label-norm)
        self.attention = Attention(dim, config.heads, **settings)
        if config.prefix_frames:
            self.norm_cross = Norm(dim, values)
            self.cross = CrossAttention(dim, config.prefix_width, config.heads, **settings)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, condition: Tensor | None, pair: Tensor | None) -> Tensor:
        """`condition`, `pair`: of `Prior.condition` and `Prior.remember`."""
        x = x + self.dropout(self.attention(self.norm_attention(x, condition)))
        if pair is not None:
            x = x + self.dropout(self.cross(self.norm_cross(x, condition), pair))
        return x + self.dropout(self.mlp(self.norm_mlp(x, condition)))


class Prior(nn.Module):
    """Vectors of the codes so far to logits of the next code: `(B, L, D) -> (B, L, K)`."""

    def __init__(self, config: VideoGPTConfig, shape: tuple[int, int, int], num_codes: int, code_dim: int) -> None:
        super().__init__()
        dim = config.dim
        self.embed = nn.Linear(code_dim, dim, bias=False)
        self.start = nn.Parameter(0.02 * torch.randn(dim))  # stands in front of the first vector
        self.positions = Positions(shape, dim)  # eq. (videogpt-positions)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(dim, config.values)
        self.head = nn.Linear(dim, num_codes, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        for block in self.blocks:
            for part in filter(None, (block.attention, getattr(block, "cross", None))):
                nn.init.normal_(part.out.weight, std=(dim * config.layers) ** -0.5)
                nn.init.zeros_(part.out.bias)
        nn.init.zeros_(self.head.weight)  # a fresh prior finds all codes equally likely: its loss is ln K

    def remember(self, given: Given | None) -> list[Tensor | None]:
        """Keys and values of what is said of given frames, one a block."""
        return [None if given is None else block.cross.remember(given.memory) for block in self.blocks]

    def condition(self, labels: Tensor | None, given: Given | None) -> Tensor | None:
        """What the layer norms are told, `(B, V + P)`: the labels and what the given frames show together."""
        told = [part for part in (labels, given and given.pooled) if part is not None]
        return torch.cat(told, dim=1) if told else None

    def places(self, given: Given | None) -> Tensor:
        """What each place is told before any code is read, `(1, L, D)` or `(B, L, D)`: where it is, what was given."""
        positions = self.positions().unsqueeze(0)
        return positions if given is None else positions + given.beside

    def forward(self, vectors: Tensor, labels: Tensor | None = None, given: Given | None = None) -> Tensor:
        """Logits of all places at once. The last vector is seen by none."""
        start = self.start.expand(len(vectors), 1, -1)
        x = torch.cat([start, self.embed(vectors[:, :-1])], dim=1) + self.places(given)[:, : vectors.shape[1]]
        x, condition = self.dropout(x), self.condition(labels, given)
        for block, pair in zip(self.blocks, self.remember(given), strict=True):
            x = block(x, condition, pair)
        return self.head(self.norm(x, condition))  # eq. (videogpt-likelihood)

    def caches(self, batch: int, length: int) -> list[Cache]:
        """Empty caches, one a block, for `batch` boxes of `length` codes."""
        heads, dim = self.blocks[0].attention.heads, len(self.start)
        return [Cache(batch, heads, length, dim // heads, like=self.start) for _ in self.blocks]


class Steps:
    """The transformer, one place at a time; what stays the same from place to place is computed once.

    Called place after place, in eval mode: `(B,)`, the codes just written (None at the first place), to the logits
    `(B, K)` of the next ones.
    """

    def __init__(
        self, prior: Prior, codebook: Tensor, batch: int, labels: Tensor | None = None, given: Given | None = None
    ) -> None:
        self.read = prior.embed(codebook)  # (K, D): what each code says to the place after it
        self.places = prior.places(given).unbind(1)
        caches, self.condition = prior.caches(batch, len(self.places)), prior.condition(labels, given)
        self.step = Step(prior, self.condition, prior.remember(given), caches)
        self.start, self.written = prior.start.expand(batch, -1), 0

    def __call__(self, last: Tensor | None) -> Tensor:
        x = (self.start if last is None else self.read[last]) + self.places[self.written]
        self.written += 1
        return self.step(x)


class Step:
    """All blocks at the next place, `(B, D)`, to its logits `(B, K)`; `caches` keep what later places look at.

    `condition`, `pairs`: of `Prior.condition` and `Prior.remember`.
    """

    def __init__(
        self, prior: Prior, condition: Tensor | None, pairs: Sequence[Tensor | None], caches: Sequence[Cache]
    ) -> None:
        self.prior = prior
        self.layers = list(zip(prior.blocks, pairs, caches, strict=True))
        self.norms = {norm: told(norm, condition) for norm in prior.modules() if isinstance(norm, Norm)}

    def __call__(self, x: Tensor) -> Tensor:
        for block, pair, cache in self.layers:
            attention = block.attention
            projected = attention.project(self.norms[block.norm_attention](x))
            projected = projected.unflatten(1, (3, attention.heads, 1, -1)).transpose(0, 1)
            x = x + attention.out(look(projected[0], cache.extend(projected[1:])))
            if pair is not None:
                query = block.cross.query(self.norms[block.norm_cross](x)).unflatten(1, (block.cross.heads, 1, -1))
                x = x + block.cross.out(look(query, pair))
            x = x + block.mlp(self.norms[block.norm_mlp](x))
        return self.prior.head(self.norms[self.prior.norm](x))


def look(query: Tensor, pair: Tensor) -> Tensor:
    """What one place sees: a query `(B, heads, 1, d)`, keys and values `(2, B, heads, L, d)`, to `(B, D)`."""
    return scaled_dot_product_attention(query, *pair).flatten(1)


def told(norm: Norm, condition: Tensor | None) -> Callable[[Tensor], Tensor]:
    """A norm that was told its condition: `(B, D)` to the same."""
    if norm.affine is None:
        return norm.norm
    scale, shift = norm.affine(condition).chunk(2, dim=1)
    scale = 1 + scale
    return lambda x: torch.addcmul(shift, norm.norm(x), scale)  # eq. (videogpt-label-norm)


class VideoGPT(Model):
    """The transformer, on top of a frozen tokenizer."""

    name = "videogpt"
    output = "video"
    stands_on = {"tokenizer": "videogpt-tokenizer"}
    averaged = ("prior",)
    validates = True

    def __init__(self, config: VideoGPTConfig, recipe: Recipe | None = None, *, tokenizer: Model) -> None:
        super().__init__(config, recipe)
        self.conditions = (*config.labels, *(("prefix",) if config.prefix_frames else ()))
        self.tokenizer = tokenizer
        self.prior = Prior(config, tokenizer.code_shape, tokenizer.num_codes, tokenizer.config.code_dim)
        if config.prefix_frames:
            self.prefix_encoder = PrefixEncoder(config, tokenizer)
        learned = ("prior", "prefix_encoder") if config.prefix_frames else ("prior",)
        self.averaged = learned
        self.phases = (Phase("prior", updates=learned),)

    def prior_loss(self, batch: Batch, draw: Draw) -> Losses:
        return Losses({"nats_per_token": self._nats(batch, draw)})

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        """Nats a token on held-out clips."""
        return self._nats(batch, draw)

    def _nats(self, batch: Batch, draw: Draw) -> Tensor:
        """Mean of -log p(s_i | s_1 ... s_(i-1), y, m) over the tokens of the batch."""
        config = self.config
        check_batch(batch, config.labels, "VideoGPT")
        video = batch["video"]
        codes = self.tokenizer.encode(video)
        if tuple(codes.shape[1:]) != tuple(self.tokenizer.code_shape):
            raise ArgumentError(f"clips with {tuple(codes.shape[1:])} codes; trained for {self.tokenizer.code_shape}.")
        labels = given = None
        if config.labels:
            keep = draw.uniform("labels", (len(video), 1), 0, 1) >= config.label_dropout
            labels = self._one_hot(batch) * keep
        if config.prefix_frames:
            count = draw.randint("prefix", (len(video),), 1, config.prefix_frames + 1)
            count = count * (draw.uniform("no prefix", (len(video),), 0, 1) < 0.5)
            given = self.prefix_encoder(video[:, :, : config.prefix_frames], count)
        logits = self.prior(self._vectors(codes.flatten(1)), labels, given)  # (B, L, K)
        return cross_entropy(logits.flatten(0, 1), codes.flatten())  # eq. (videogpt-likelihood)

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch | None:
        """Labels drawn uniformly, and no given frames."""
        return draw_labels(n, self.config.labels, generator) or None

    def stream(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Iterator[Tensor]:
        """Clips while they are written: after each moment of codes, all frames so far, `(n, C, t, H, W)` in [-1, 1].

        The decoder looks to both sides, so frames near the end still change when later ones come. The last is what
        `sample` returns. Arguments as in `sample`.
        """
        with self.inference():
            writer = Writer(self, n, self._checked_condition(n, condition), generator, **options)
        for moment in range(self.tokenizer.code_shape[0]):
            with self.inference():
                writer.write(prod(self.tokenizer.code_shape[1:]))
                clips = writer.clips(moment + 1)
            yield clips

    def _sample(
        self,
        n: int,
        frames: int | None,
        condition: Batch,
        generator: torch.Generator | None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance: float = 1.0,
    ) -> Tensor:
        """Clips `(n, C, T, H, W)`. Labels that are not asked for are drawn; with given frames they are left open.

        temperature, top_k, top_p: see `nn.transformer.sharpen`. guidance: above 1, what is asked for weighs more.
        """
        if frames not in (None, self.tokenizer.config.frames):
            raise ArgumentError(
                f"frames={frames}: this VideoGPT writes clips of {self.tokenizer.config.frames} frames, the positions "
                "that it learnt. Leave frames out."
            )
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}
        writer = Writer(self, n, condition, generator, **options)
        writer.write(prod(self.tokenizer.code_shape))
        return writer.clips(self.tokenizer.code_shape[0])

    def tell(self, n: int, frames: Tensor | None = None) -> Given:
        """What is said of given frames `(n, C, k, S, S)`; None: that none are given."""
        sizes = self.tokenizer.config
        if frames is None:
            frames = self.prior.start.new_zeros(n, sizes.channels, 0, sizes.size, sizes.size)
        return self.prefix_encoder(frames, torch.full((n,), frames.shape[2], device=self.device))

    def _vectors(self, tokens: Tensor) -> Tensor:
        """`(B, L) -> (B, L, D)`, the codebook's."""
        return self.tokenizer.codebook.lookup(tokens).movedim(1, -1)

    def _one_hot(self, labels: Batch) -> Tensor:
        """`(B, V)` of the labels that are there; those that are not stay 0."""
        rows = len(next(iter(labels.values())))
        parts = [
            append(self.prior.start.new_empty(rows, 0), labels, (name,))
            if name in labels
            else self.prior.start.new_zeros(rows, count_values((name,)))
            for name in self.config.labels
        ]
        return torch.cat(parts, dim=1)


class Writer:
    """Writes boxes of codes place by place. Use it inside `with model.inference():`."""

    def __init__(
        self,
        model: VideoGPT,
        n: int,
        condition: Batch,
        generator: torch.Generator | None = None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance: float = 1.0,
    ) -> None:
        config, prior = model.config, model.prior
        if guidance != 1 and not (config.labels and config.label_dropout):
            raise ArgumentError(
                f"guidance={guidance}: only a VideoGPT that was trained with labels, some of them left out "
                "(label_dropout), can be guided. Leave guidance out."
            )
        self.model, self.n, self.generator, self.guidance = model, n, generator, guidance
        self.sharper = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        self.prefix = self._checked_prefix(condition)
        names = config.labels if self.prefix is None else tuple(name for name in config.labels if name in condition)
        labels, given = None, None
        if config.labels:
            asked = complete(condition, n, names, model.device, generator)
            labels = model._one_hot(asked) if asked else prior.start.new_zeros(n, count_values(config.labels))
        if config.prefix_frames:
            given = model.tell(n, self.prefix)
        copies = 1 if guidance == 1 else 2  # the second is asked for nothing
        if copies == 2:
            labels = torch.cat([labels, torch.zeros_like(labels)])
            given = given and Given(*(torch.cat([part, part]) for part in given))
        self.steps = Steps(prior, model.tokenizer.codebook.codebook, copies * n, labels, given)
        self.tokens: list[Tensor] = []

    def write(self, count: int) -> None:
        """Draws the next `count` codes of all boxes."""
        for _ in range(count):
            last = self.tokens[-1] if self.tokens else None
            if last is not None and self.guidance != 1:
                last = last.repeat(2)
            logits = self.steps(last)
            if self.guidance != 1:
                asked, free = logits.chunk(2)
                logits = free + self.guidance * (asked - free)  # eq. (videogpt-guidance)
            shares = sharpen(logits, **self.sharper).softmax(1).cpu()
            drawn = torch.multinomial(shares, 1, generator=self.generator)[:, 0]
            self.tokens.append(drawn.to(logits.device))

    def clips(self, moments: int) -> Tensor:
        """Clips of the first so many moments of codes; frames that were given are as they were given."""
        shape = (self.n, moments, *self.model.tokenizer.code_shape[1:])
        clips = self.model.tokenizer.decode(torch.stack(self.tokens, dim=1)[:, : prod(shape[1:])].view(shape))
        if self.prefix is not None:
            kept = min(self.prefix.shape[2], clips.shape[2])
            clips[:, :, :kept] = self.prefix[:, :, :kept]
        return clips

    def _checked_prefix(self, condition: Batch) -> Tensor | None:
        if "prefix" not in condition:
            return None
        prefix, most = condition["prefix"], self.model.config.prefix_frames
        sizes = self.model.tokenizer.config
        if prefix.dim() != 5 or prefix.shape[1] != sizes.channels or tuple(prefix.shape[3:]) != (sizes.size,) * 2:
            raise ArgumentError(
                f"prefix of shape {tuple(prefix.shape)}: give (n, {sizes.channels}, k, {sizes.size}, {sizes.size})."
            )
        if not 1 <= prefix.shape[2] <= most:
            raise ArgumentError(f"prefix of {prefix.shape[2]} frames: this VideoGPT goes on from 1 to {most}.")
        return prefix


# ------------------------------------------------------------------------------------------------------ the presets


def _tokenizer_recipe(data: DataConfig, batch_size: int, steps: int, lr: float, **settings: Any) -> Recipe:
    optimizer = Optimizer(lr=lr, **{"betas": (0.9, 0.999), **settings})
    return Recipe(data, batch_size, steps, {"autoencoder": optimizer}, clip_norm=1.0)


def _prior_recipe(data: DataConfig, batch_size: int, steps: int, lr: float, **settings: Any) -> Recipe:
    optimizer = Optimizer(lr=lr, schedule="cosine", **{"betas": (0.9, 0.999), **settings})
    return Recipe(data, batch_size, steps, {"prior": optimizer}, clip_norm=1.0, ema_decay=0.99)


_SMALL = VideoGPTTokenizerConfig(
    channels=1,
    frames=8,
    size=16,
    downsample=(2, 2, 2),
    width=48,
    blocks=1,
    num_codes=128,
    code_dim=16,
    background=-1.0,
)
_DIGITS_16 = DataConfig("moving-digits", size=16, frames=8)
_DIGITS_32 = DataConfig("moving-digits", size=32, frames=16)
_DIGITS_64 = DataConfig("moving-digits", size=64, frames=16)
_FILMS_64, _FILMS_128 = (DataConfig("films", size=size, frames=16) for size in (64, 128))
_MIDDLE = replace(
    _SMALL, frames=16, size=32, downsample=(4, 4, 4), width=64, num_codes=128, code_dim=32, revive_below=0.05
)
_ASKED = VideoGPTConfig(labels=("digit", "direction", "speed"), dropout=0.0, attention_dropout=0.0)

VideoGPTTokenizer.presets = {
    "paper": Preset(
        VideoGPTTokenizerConfig(size=128, downsample=(4, 4, 4)),
        _tokenizer_recipe(_FILMS_128, 32, 200_000, 3e-4),
        note="the public code's networks for 16x128x128 films; never run here.",
    ),
    "paper-64": Preset(
        VideoGPTTokenizerConfig(),
        _tokenizer_recipe(_FILMS_64, 32, 200_000, 3e-4),
        note="the same for 16x64x64, 4x2x2 pixels a code; never run here.",
    ),
    "paper-bair": Preset(
        VideoGPTTokenizerConfig(downsample=(2, 2, 2)),
        _tokenizer_recipe(_FILMS_64, 32, 200_000, 3e-4),
        note="the same, 2x2x2 pixels a code, as for the robot films of the paper; never run here.",
    ),
    "gpu": Preset(
        VideoGPTTokenizerConfig(channels=1, downsample=(4, 4, 4), width=128, num_codes=1024, background=-1.0),
        _tokenizer_recipe(_DIGITS_64, 32, 10_000, 1e-3, schedule="cosine", final_lr=1e-5),
        note="20 minutes on one 16 GB GPU (estimated); never run here.",
    ),
    "cpu": Preset(
        _MIDDLE,
        replace(
            _tokenizer_recipe(
                _DIGITS_32, 8, 3500, 3e-3, betas=(0.9, 0.99), schedule="cosine", final_lr=8e-5, warmup=20
            ),
            precision="bf16",
        ),
        note="390 seconds and 0.9 GB on one thread of a busy CPU that multiplies in bf16: 25 dB on held-out clips.",
    ),
    "board": Preset(
        _MIDDLE,
        replace(
            _tokenizer_recipe(_DIGITS_32, 8, 750, 3e-3, betas=(0.9, 0.99), schedule="cosine", final_lr=8e-5, warmup=20),
            precision="bf16",
        ),
        note="85 CPU-seconds on one thread of a busy CPU that multiplies in bf16.",
    ),
    "ci": Preset(
        _SMALL,
        _tokenizer_recipe(_DIGITS_16, 16, 400, 3e-3, schedule="cosine", final_lr=1e-4),
        note="45 CPU-seconds on one thread of a busy machine: 24 dB on held-out clips.",
    ),
}
VideoGPT.presets = {
    "paper": Preset(
        VideoGPTConfig(),
        _prior_recipe(_FILMS_128, 32, 200_000, 3e-4),
        note="the public code's transformer; never run here.",
    ),
    "paper-bair": Preset(
        VideoGPTConfig(prefix_frames=1),
        _prior_recipe(_FILMS_64, 32, 200_000, 3e-4),
        note="the same, going on from one given frame; never run here.",
    ),
    "gpu": Preset(
        replace(_ASKED, dim=384, heads=6, layers=8, prefix_frames=4, prefix_width=96, prefix_blocks=2),
        _prior_recipe(_DIGITS_64, 32, 20_000, 6e-4, warmup=500),
        note="30 minutes on one 16 GB GPU (estimated); never run here.",
    ),
    "cpu": Preset(
        replace(
            _ASKED,
            dim=132,
            heads=3,
            layers=3,
            label_dropout=0.5,
            prefix_frames=4,
            prefix_width=48,
            prefix_blocks=2,
        ),
        replace(_prior_recipe(_DIGITS_32, 4, 14_000, 3e-3, betas=(0.9, 0.95), warmup=100), precision="bf16"),
        note="1,540 seconds and 1.0 GB on one thread of a busy CPU that multiplies in bf16, on the tokenizer that "
        "ships; FVD-digits 5.2, floor 0.4.",
    ),
    "board": Preset(
        replace(_ASKED, dim=144, heads=3, layers=3),
        replace(_prior_recipe(_DIGITS_32, 4, 1900, 3e-3, betas=(0.9, 0.95), warmup=100), precision="bf16"),
        note="160 CPU-seconds on one thread of a busy CPU that multiplies in bf16, after its tokenizer's.",
    ),
    "ci": Preset(
        replace(_ASKED, dim=96, heads=2, layers=2),
        _prior_recipe(_DIGITS_16, 4, 900, 5e-3, betas=(0.9, 0.95), warmup=40),
        note="46 CPU-seconds on one thread of a busy machine, on a tokenizer that was trained before.",
    ),
}
