"""Fusion: a caption, some given frames, both or neither become one clip. [mittal2017syncdraw]

Each modality has an encoder of its own: a transformer reads the words, patches stand for the frames. A few layers of
joint attention let words and patches look at one another, and a causal transformer, which sees what came out, writes
the codes of a clip. What is not given is replaced by a learned null token, in training too: so one model serves text
to video, image to video, both at once and continuation, and each modality can be guided by a strength of its own.

    symbol   name        shape              meaning
    x        video       (B, C, T, H, W)    a clip in [-1, 1]
    s        tokens      (B, L)             its codes in raster order over moments, rows and columns
    w        ids         (B, N)             the words of the caption, 0 is padding
    h        words       (B, N, E)          what the text encoder says of them
    p        patches     (B, P, E)          k given frames, one upon the other, in patches as large as a code's
    m        memory      (B, M, E)          null, words, null, patches after joint attention, M = 2 + N + P
    -        seen        (B, M)             which of the memory is there
    a        logits      (B, L, K)          p(s_i = k | s_1 ... s_(i-1), m) = softmax(a_i)_k

The memory can enter the decoder in four ways, at about the same number of parameters: by cross-attention; as the scale
and shift of the layer norms [perez2018film] or beside each code's vector, both from the mean of the memory; or as a
prefix of the sequence. A fifth takes the first two at once, as preset `cpu` does. In each, what became of a given patch
is also added to the positions of the codes at its place.

The captioned moving digits and the idea of holding pairs out are those of the paper; the networks are not. Its
variational recurrence is replaced by a transformer over codes, as in [yan2021videogpt].
Chapter: book/video/fusion.md. Lab: notebooks/08_fusion.ipynb.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple, get_args

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, pad

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
    unknown,
)
from vidgen_lab.nn.autoencoder import ConvSizes, Decoder, Encoder, check_images
from vidgen_lab.nn.precision import full_precision
from vidgen_lab.nn.quantize import VectorQuantizer, check_codes
from vidgen_lab.nn.text import NUMBERS, TextEncoder, caption_words, masked_mean, split_words, tokenize
from vidgen_lab.nn.transformer import INIT_STD, Attention, Cache, CrossAttention, Norm, Positions, sharpen
from vidgen_lab.nn.transformer import Block as EncoderBlock

# ---------------------------------------------------------------------------------------------------- the tokenizer


@dataclass(frozen=True)
class FusionTokenizerConfig(ConvSizes):
    """Sizes of the networks, as in `nn.autoencoder`, and of the codebook. `channels` are those of a frame."""

    frames: int = 16  # of a clip, for `code_shape`
    stride: int = 2  # frames that one code stands for: a moment
    num_codes: int = 512  # K
    code_dim: int = 16  # D
    beta: float = 1.0  # weight of the commitment, eq. (vqvae-commitment)
    decay: float = 0.99  # of the running means of the codebook
    revive_below: float = 0.3  # share of an even count below which a code is dead
    variance: float = 0.05  # of the decoder's Gaussian, eq. (vqvae-reconstruction)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride < 1 or self.frames % self.stride:
            raise ArgumentError(f"stride={self.stride} does not divide frames={self.frames}. Give 1, 2 or 4.")


class FusionTokenizer(Model):
    """A VQ-VAE over moments: a few frames one upon the other are an image of more channels. [vandenoord2017vqvae]

    A code then tells how a patch looks and how it moves. Moments are encoded one by one: as cheap as single frames,
    and half as many codes or fewer.
    """

    name = "fusion-tokenizer"
    output = "codes"
    phases = (Phase("autoencoder", updates=("encoder", "decoder")),)

    def __init__(self, config: FusionTokenizerConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        sizes = replace(config, channels=config.channels * config.stride)
        self.encoder = Encoder(sizes, config.code_dim)
        self.codebook = VectorQuantizer(
            config.num_codes,
            config.code_dim,
            beta=config.beta,
            decay=config.decay,
            revive_below=config.revive_below,
        )
        self.decoder = Decoder(sizes, config.code_dim)

    @property
    def num_codes(self) -> int:
        """K, the size of the vocabulary."""
        return self.config.num_codes

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(T', H', W') of a clip as trained."""
        return self.config.frames // self.config.stride, self.config.side, self.config.side

    def encode(self, clips: Tensor) -> Tensor:
        """Codes `(B, T', H', W')` of clips `(B, C, T, H, W)`, in eval mode.

        T must be a multiple of the stride, height and width multiples of a code's patch.
        """
        moments = self._moments(clips)
        with self.inference():
            codes = self.codebook(self.encoder(moments.flatten(0, 1))).codes
        return codes.unflatten(0, moments.shape[:2])

    def decode(self, codes: Tensor) -> Tensor:
        """Clips `(B, C, T, H, W)` in [-1, 1] of codes `(B, T', H', W')`, in eval mode; a box of any size."""
        if codes.dim() != 4:
            raise ArgumentError(f"codes of shape {tuple(codes.shape)}: give (B, T', H', W').")
        check_codes(codes, self.num_codes)
        with self.inference():
            moments = self.decoder(self.codebook.lookup(codes.flatten(0, 1))).clamp(-1, 1)
        return rearrange(moments, "(b t) (s c) h w -> b c (t s) h w", b=codes.shape[0], s=self.config.stride)

    def reconstruct(self, clips: Tensor) -> Tensor:
        """Clips in [-1, 1], there and back."""
        return self.decode(self.encode(clips))

    def autoencoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        """One moment of each clip, drawn: those of one clip look alike."""
        moments = self._moments(batch["video"])
        rows, count = moments.shape[:2]
        real = moments[torch.arange(rows, device=moments.device), draw.randint("moment", (rows,), 0, count)]
        quantized = self.codebook(self.encoder(real), draw)
        error = mse_loss(self.decoder(quantized.latent), real)
        reconstruction = error / (2 * self.config.variance)  # eq. (vqvae-reconstruction)
        log = {"psnr": 10 * torch.log10(4 / error.detach()), **quantized.log}
        return Losses({"reconstruction": reconstruction, **quantized.terms}, log=log)  # eq. (vqvae-objective)

    def _moments(self, clips: Tensor) -> Tensor:
        """`(B, C, T, H, W)` to `(B, T', stride C, H, W)`."""
        stride = self.config.stride
        if clips.dim() != 5 or clips.shape[2] % stride:
            raise ArgumentError(
                f"clips of shape {tuple(clips.shape)}: give (B, {self.config.channels}, T, H, W), T a multiple of "
                f"{stride}."
            )
        check_images(clips[:, :, 0], self.config)
        return rearrange(clips, "b c (t s) h w -> b t (s c) h w", s=stride)


# ------------------------------------------------------------------------------------------------------ the condition

Way = Literal["cross", "film", "concat", "prefix", "both"]  # both: cross and film


@dataclass(frozen=True)
class FusionConfig:
    """Sizes of the encoders and of the decoder. How many codes there are, and where, the tokenizer says."""

    vocabulary: tuple[str, ...] = caption_words()
    longest: int = 8  # words that a caption may have
    digits: int = 1  # moving digits that a caption may ask for
    prefix_frames: int = 4  # the most frames that can be given; 0: none
    condition_dim: int = 96  # E, of words, patches and memory
    condition_heads: int = 4
    text_layers: int = 2
    near_words: bool = False  # whether a word of the caption looks most at those next to it
    fusion_layers: int = 1  # of joint attention
    fusion: Way = "cross"  # how the memory enters the decoder
    dim: int = 144  # D, of the decoder; a third of it tells the moment, a third the row, a third the column
    heads: int = 4
    layers: int = 4
    dropout: float = 0.0  # of the decoder's vectors, and of what each part of a block adds
    caption_dropout: float = 0.15  # share of the training clips whose caption is hidden
    frames_dropout: float = 0.5  # share of the training clips of which no frame is given

    def __post_init__(self) -> None:
        if self.fusion not in get_args(Way):
            raise unknown("fusion", self.fusion, get_args(Way))
        for dim, heads in (("dim", "heads"), ("condition_dim", "condition_heads")):
            width, parts = getattr(self, dim), getattr(self, heads)
            if width % 3 or width % parts:
                raise ArgumentError(
                    f"{dim}={width}: must be a multiple of 3, for moments, rows and columns, and of {heads}={parts}."
                )
        widest = {"film": 5, "both": 2}.get(self.fusion, 0) * self.dim  # what the norms take, the MLP has less: `Block`
        if widest and self.condition_dim >= widest:
            raise ArgumentError(
                f'condition_dim={self.condition_dim}: with fusion="{self.fusion}" and dim={self.dim} nothing is left '
                f"for the decoder's MLP. Give less than {widest}, or a larger dim."
            )
        for name in ("caption_dropout", "frames_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be at least 0 and below 1.")
        if self.prefix_frames < 0:
            raise ArgumentError(f"prefix_frames={self.prefix_frames}: must be 0 or more.")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ArgumentError("vocabulary: a word stands in it twice. Give each word once.")


class Asked(NamedTuple):
    """What is asked for. N and k may be 0."""

    ids: Tensor  # (B, N) int64: words, 0 is padding
    words: Tensor  # (B, N) bool: which of them are told
    frames: Tensor  # (B, C, k, S, S)
    given: Tensor  # (B, k) bool: which of them are told


class FrameEncoder(nn.Module):
    """Given frames to patches, one for each place of a moment's codes: `(B, C, k, S, S)` to `(B, P, E)`.

    The frames are one image of more channels, so that a patch tells its motion too. Those that are not given, and those
    up to `prefix_frames`, are background, and further channels say so.
    """

    def __init__(self, config: FusionConfig, sizes: FusionTokenizerConfig) -> None:
        super().__init__()
        self.frames, self.background = config.prefix_frames, sizes.background
        channels = self.frames * (sizes.channels + 1)
        self.patches = nn.Conv2d(channels, config.condition_dim, sizes.patch, sizes.patch)
        self.positions = Positions((1, sizes.side, sizes.side), config.condition_dim)

    def forward(self, frames: Tensor, given: Tensor) -> Tensor:
        """`given` `(B, k)`: which of the frames are told."""
        told = given[:, None, :, None, None].to(frames.dtype).expand_as(frames[:, :1])
        images = torch.cat([(frames - self.background) * told, told], dim=1)  # (B, C + 1, k, S, S)
        images = pad(images, (0, 0, 0, 0, 0, self.frames - frames.shape[2]))
        with full_precision(images):  # on a CPU, torch's convolution in bf16 is wrong for some of these shapes
            patches = self.patches(images.flatten(1, 2).float())
        return rearrange(patches, "b e h w -> b (h w) e") + self.positions()


class FusionEncoder(nn.Module):
    """Joint attention: words `(B, N, E)` and patches `(B, P, E)`, with masks, to a memory `(B, M, E)` and its mask.

    It has no positions: a word's place in its caption and a patch's place in its frame are in their vectors.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        width = config.condition_dim
        self.null = nn.Parameter(INIT_STD * torch.randn(2, 1, width))  # stand for a missing caption, missing frames
        self.modality = nn.Parameter(INIT_STD * torch.randn(2, 1, width))
        self.blocks = nn.ModuleList(
            EncoderBlock(width, config.condition_heads, causal=False) for _ in range(config.fusion_layers)
        )
        self.norm, self.norm_own = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, words: Tensor, told: Tensor, patches: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        tokens, masks = [], []
        for kind, (part, mask) in enumerate(((words, told), (patches, given))):
            null = self.null[kind].expand(part.shape[0], 1, -1)
            tokens.append(torch.cat([null, part], dim=1) + self.modality[kind])
            masks.append(torch.cat([~mask.any(1, keepdim=True), mask], dim=1))  # the null, or what it stands for
        memory, seen = torch.cat(tokens, dim=1), torch.cat(masks, dim=1)
        own = self.norm_own(memory)  # what each is by itself; the blocks may drown it
        for block in self.blocks:
            memory = block(memory, mask=seen[:, None, None])  # eq. (fusion-joint)
        return own + self.norm(memory), seen


# -------------------------------------------------------------------------------------------------------- the decoder


class Told(NamedTuple):
    """What the decoder is told, computed once a clip."""

    memory: Tensor  # (B, M, E), "prefix": (B, M, D)
    mask: Tensor  # (B, 1, 1, M) bool: which of it is there
    mean: Tensor  # (B, E): of what is there
    pairs: list[Tensor | None]  # "cross", "both": keys and values of the memory, one a block
    places: Tensor  # (B or 1, L, D): where each code is, and what was given there


class Block(nn.Module):
    """Each place looks back, learns what is asked for, and thinks: `(B, L, D)` to the same.

    The MLP is as wide as makes a block of each way of fusion as big as one with cross-attention and an MLP of 4 D.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        dim, width, way = config.dim, config.condition_dim, config.fusion
        self.norm_attention, self.norm_mlp = (Norm(dim, width if way in ("film", "both") else 0) for _ in range(2))
        self.attention = Attention(dim, config.heads)
        self.cross = None
        spent, most = 4 * dim * width if way in ("film", "both") else 0, 2 * dim * (dim + width)
        if way in ("cross", "both"):
            self.norm_cross, self.cross = nn.LayerNorm(dim), CrossAttention(dim, width, config.heads)
            spent += most
        hidden = 4 * dim + (most - spent) // (2 * dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, told: Told, pair: Tensor | None, cache: Cache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """`pair`: of `told`, for this block; `cache`: of `FusionDecoder.caches`; `mask`: as `Attention` takes it."""
        x = x + self.dropout(self.attention(self.norm_attention(x, told.mean), cache, mask))
        if self.cross is not None:
            x = x + self.dropout(self.cross(self.norm_cross(x), pair, told.mask))  # eq. (fusion-cross)
        return x + self.dropout(self.mlp(self.norm_mlp(x, told.mean)))


class FusionDecoder(nn.Module):
    """Vectors of the codes so far, and a memory, to logits of the next code: `(B, L, D) -> (B, L, K)`."""

    def __init__(self, config: FusionConfig, shape: tuple[int, int, int], num_codes: int, code_dim: int) -> None:
        super().__init__()
        dim, width, self.way = config.dim, config.condition_dim, config.fusion
        self.embed = nn.Linear(code_dim, dim, bias=False)
        self.start = nn.Parameter(INIT_STD * torch.randn(dim))  # stands in front of the first vector
        self.positions = Positions(shape, dim)
        if config.prefix_frames:
            self.beside = nn.Linear(width, shape[0] * dim, bias=False)  # a patch says something else to each moment
            nn.init.normal_(self.beside.weight, std=INIT_STD)
        if self.way in ("concat", "prefix"):
            self.join = nn.Linear(width + (dim if self.way == "concat" else 0), dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(dim, width if self.way in ("film", "both") else 0)
        self.head = nn.Linear(dim, num_codes)
        nn.init.normal_(self.embed.weight, std=INIT_STD)
        for block in self.blocks:
            for part in filter(None, (block.attention, block.cross)):
                nn.init.normal_(part.out.weight, std=(dim * config.layers) ** -0.5)
                nn.init.zeros_(part.out.bias)
        nn.init.zeros_(self.head.weight)  # a fresh decoder finds all codes equally likely: its loss is ln K
        nn.init.zeros_(self.head.bias)

    def tell(self, memory: Tensor, seen: Tensor, patches: Tensor | None = None) -> Told:
        """A memory `(B, M, E)`, its mask `(B, M)` and the patches in it `(B, P, E)` in the form the blocks take."""
        places = self.positions().unsqueeze(0)
        if patches is not None:
            places = places + rearrange(self.beside(patches), "b p (t d) -> b (t p) d", d=places.shape[2])
        pairs = [None if block.cross is None else block.cross.remember(memory) for block in self.blocks]
        mean = masked_mean(memory, seen)  # eq. (fusion-pool)
        return Told(self.join(memory) if self.way == "prefix" else memory, seen[:, None, None], mean, pairs, places)

    def forward(self, vectors: Tensor, told: Told) -> Tensor:
        """Logits of all places at once. The last vector is seen by none."""
        rows, length = vectors.shape[:2]
        start = self.start.expand(rows, 1, -1)
        x = self._enter(torch.cat([start, self.embed(vectors[:, :-1])], dim=1), told.places[:, :length], told)
        mask = None
        if self.way == "prefix":  # all look at the memory; codes look at the codes before them as well
            x, front = torch.cat([told.memory, x], dim=1), told.memory.shape[1]
            mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
            mask[:, :front] = True
            mask = mask & _extend(told.mask, length)
        for block, pair in zip(self.blocks, told.pairs, strict=True):
            x = block(x, told, pair, mask=mask)
        return self.head(self.norm(x[:, -length:], told.mean))  # eq. (fusion-likelihood)

    def caches(self, told: Told, length: int) -> list[Cache]:
        """Caches, one a block, for as many boxes of `length` codes as `told` has rows; a prefix is in them already."""
        rows, front = len(told.memory), told.memory.shape[1] if self.way == "prefix" else 0
        heads, dim = self.blocks[0].attention.heads, len(self.start)
        caches = [Cache(rows, heads, front + length, dim // heads, like=self.start) for _ in self.blocks]
        if front:
            x = told.memory
            for block, cache in zip(self.blocks, caches, strict=True):
                x = block(x, told, None, cache, told.mask)
        return caches

    def step(self, caches: list[Cache], place: int, last: Tensor | None, told: Told) -> Tensor:
        """Logits `(B, K)` of a place, from 0 on; `last`: vectors `(B, D)` of the code before."""
        x = self.start.expand(len(told.memory), -1) if last is None else self.embed(last)
        return self.advance(caches, x, told.places[:, place], told)

    def advance(self, caches: Sequence[Cache], x: Tensor, place: Tensor, told: Told) -> Tensor:
        """The same for what is read there, `(B, D)`, and what the place is told, `(B or 1, D)`: of `told.places`."""
        x = self._enter(x.unsqueeze(1), place.unsqueeze(1), told)
        mask = None
        if self.way == "prefix":
            mask = _extend(told.mask, caches[0].filled + 1 - told.memory.shape[1])
        for block, pair, cache in zip(self.blocks, told.pairs, caches, strict=True):
            x = block(x, told, pair, cache, mask)
        return self.head(self.norm(x, told.mean))[:, 0]

    def _enter(self, x: Tensor, places: Tensor, told: Told) -> Tensor:
        if self.way == "concat":
            x = self.join(torch.cat([x, told.mean.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=2))
        return self.dropout(x + places)


def _extend(mask: Tensor, length: int) -> Tensor:
    """`(B, 1, 1, M)` to `(B, 1, 1, M + length)`: the codes behind a prefix are all there."""
    return torch.cat([mask, mask.new_ones(len(mask), 1, 1, length)], dim=3)


# ---------------------------------------------------------------------------------------------------------- the model


class Fusion(Model):
    """Encoders of words and frames, joint attention, and a decoder on top of a frozen tokenizer."""

    name = "fusion"
    output = "video"
    stands_on = {"tokenizer": "fusion-tokenizer"}
    validates = True

    def __init__(self, config: FusionConfig, recipe: Recipe | None = None, *, tokenizer: Model) -> None:
        super().__init__(config, recipe)
        sizes = tokenizer.config
        if config.prefix_frames > sizes.frames:
            raise ArgumentError(
                f"prefix_frames={config.prefix_frames}: the clips have {sizes.frames} frames. Give no more."
            )
        self.tokenizer = tokenizer
        self.conditions = ("caption", *(("image", "prefix") if config.prefix_frames else ()))
        self.text_encoder = TextEncoder(
            len(config.vocabulary),
            config.longest,
            config.condition_dim,
            config.condition_heads,
            config.text_layers,
            config.near_words,
        )
        learned = ["text_encoder", "fusion_encoder", "decoder"]
        if config.prefix_frames:
            self.frame_encoder = FrameEncoder(config, sizes)
            learned.insert(1, "frame_encoder")
        self.fusion_encoder = FusionEncoder(config)
        self.decoder = FusionDecoder(config, tokenizer.code_shape, tokenizer.num_codes, sizes.code_dim)
        self.averaged = tuple(learned)
        self.phases = (Phase("decoder", updates=tuple(learned)),)

    # training

    def decoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        return Losses({"nats_per_token": self._nats(batch, draw)})

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        """Nats a token on held-out clips, as much told of each as in training."""
        return self._nats(batch, draw)

    def nats(self, video: Tensor, condition: Batch | None = None) -> Tensor:
        """How badly each clip `(B, C, T, H, W)` fits what is asked for, `(B,)` nats a token, in eval mode.

        `condition` as `sample` takes it. Comparing captions of one clip tells whether the caption is used.
        """
        with self.inference():
            asked = self._asked(len(video), self._checked_condition(len(video), condition))
            codes = self._codes(video).flatten(1)
            logits = self.decoder(self._vectors(codes), self.decoder.tell(*self.fuse(asked)))
            return cross_entropy(logits.movedim(2, 1), codes, reduction="none").mean(1)

    def _nats(self, batch: Batch, draw: Draw) -> Tensor:
        """Mean of -log p(s_i | s_1 ... s_(i-1), m) over the tokens of the batch."""
        config, video = self.config, batch["video"]
        if "caption" not in batch:
            raise ArgumentError(f"{self.name} trains with captions; the batch has {sorted(batch)}.")
        rows, most = len(video), config.prefix_frames
        ids = self._read(batch["caption"])
        told = draw.uniform("caption", (rows, 1)) >= config.caption_dropout
        some = draw.uniform("frames", (rows, 1)) >= config.frames_dropout
        count = draw.randint("count", (rows, 1), 1, max(1, most) + 1)
        given = some & (torch.arange(most, device=video.device) < count)  # (B, k)
        asked = Asked(ids, (ids > 0) & told, video[:, :, :most], given)
        codes = self._codes(video).flatten(1)
        logits = self.decoder(self._vectors(codes), self.decoder.tell(*self.fuse(asked)))  # (B, L, K)
        return cross_entropy(logits.flatten(0, 1), codes.flatten())  # eq. (fusion-likelihood)

    def fuse(self, asked: Asked) -> tuple[Tensor, Tensor, Tensor | None]:
        """Memory `(B, M, E)` and its mask `(B, M)`: null, words, null, patches; a null is there for what is not.

        Then the patches alone `(B, P, E)`, 0 where no frame is told; None if there are no frames.
        """
        rows, width = asked.ids.shape[0], self.config.condition_dim
        words = patches = self.decoder.start.new_zeros(rows, 0, width)
        if asked.ids.shape[1]:
            words = self.text_encoder(asked.ids)
        if asked.given.shape[1]:
            patches = self.frame_encoder(asked.frames, asked.given)
        given = asked.given.any(1, keepdim=True).expand(-1, patches.shape[1])
        memory, seen = self.fusion_encoder(words, asked.words, patches, given)
        if not asked.given.shape[1]:
            return memory, seen, None
        return memory, seen, memory[:, -patches.shape[1] :] * given.unsqueeze(2)

    # sampling

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
        frames_guidance: float = 1.0,
        keep_given: bool = True,
    ) -> Tensor:
        """Clips `(n, C, T, H, W)`. A condition has a `caption`, and an `image` or a `prefix` of a few frames, or less.

        temperature, top_k, top_p: see `nn.transformer.sharpen`. guidance, frames_guidance: above 1, the caption or the
        given frames weigh more. keep_given: whether given frames are put in the place of what the decoder drew there.
        """
        tokenizer = self.tokenizer
        if frames not in (None, tokenizer.config.frames):
            raise ArgumentError(
                f"frames={frames}: this {self.name} writes clips of {tokenizer.config.frames} frames, the positions "
                "that it learnt. Leave frames out."
            )
        asked = self._asked(n, condition)
        mix = self._mix(asked, guidance, frames_guidance)
        copies = [asked._replace(words=asked.words & caption, given=asked.given & frames) for _, caption, frames in mix]
        told = self.decoder.tell(*self.fuse(Asked(*map(torch.cat, zip(*copies, strict=True)))))
        length, tokens = prod(tokenizer.code_shape), []
        caches = self.decoder.caches(told, length)
        for place in range(length):
            last = self._vectors(tokens[-1][:, None])[:, 0].repeat(len(mix), 1) if tokens else None  # (copies n, D)
            parts = self.decoder.step(caches, place, last, told).split(n)
            logits = sum(weight * part for (weight, _, _), part in zip(mix, parts, strict=True))
            shares = sharpen(logits, temperature, top_k, top_p).softmax(1).cpu()
            tokens.append(torch.multinomial(shares, 1, generator=generator)[:, 0].to(logits.device))
        clips = tokenizer.decode(torch.stack(tokens, dim=1).view(n, *tokenizer.code_shape))
        if keep_given:
            clips[:, :, : asked.frames.shape[2]] = asked.frames
        return clips

    def _mix(self, asked: Asked, guidance: float, frames_guidance: float) -> list[tuple[float, bool, bool]]:
        """Weights of the logits of up to three copies, and whether each is told the caption and the frames.

        eq. (fusion-guidance): a = a(0, 0) + f (a(0, p) - a(0, 0)) + g (a(w, p) - a(0, p)). [brooks2022instructpix2pix]
        """
        given = {
            "guidance": (guidance, asked.words, "caption"),
            "frames_guidance": (frames_guidance, asked.given, "frames"),
        }
        for name, (strength, told, what) in given.items():
            drop = getattr(self.config, f"{what}_dropout")
            if strength != 1 and not (told.numel() and drop):
                raise ArgumentError(
                    f"{name}={strength}: {f'no {what} asked for' if drop else f'{what}_dropout was 0 in training'}, so "
                    f"there is nothing to guide by. Leave {name} out."
                )
        mix = [(guidance, True, True), (frames_guidance - guidance, False, True), (1 - frames_guidance, False, False)]
        return [part for part in mix if part[0]]

    def attention(self, video: Tensor, condition: Batch) -> Tensor:
        """How much each code of a clip looks at each word: `(layers, B, heads, T', H', W', N)`, shares of 1.

        `video` `(B, C, T, H, W)`, `condition` as `sample` takes it. What is left of 1 goes to frames and nulls. A code
        is looked at as it is written: from the place before it. Raises ArgumentError without cross-attention.
        """
        if self.config.fusion not in ("cross", "both"):
            raise ArgumentError(
                f'fusion="{self.config.fusion}" has no cross-attention. Use fusion="cross" or fusion="both".'
            )
        with self.inference():
            asked = self._asked(len(video), self._checked_condition(len(video), condition))
            told, looks = self.decoder.tell(*self.fuse(asked)), []
            hooks = [
                block.cross.register_forward_pre_hook(lambda cross, given: looks.append(cross.weights(*given)))
                for block in self.decoder.blocks
            ]
            try:
                self.decoder(self._vectors(self._codes(video).flatten(1)), told)
            finally:
                for hook in hooks:
                    hook.remove()
        words = torch.stack(looks)[..., 1 : 1 + asked.ids.shape[1]]
        return words.unflatten(3, self.tokenizer.code_shape)

    # what is asked for

    def _asked(self, n: int, condition: Batch) -> Asked:
        size, channels = self.tokenizer.config.size, self.tokenizer.config.channels
        if "image" in condition and "prefix" in condition:
            raise ArgumentError("condition has an image and a prefix. Give the image as the prefix's first frame.")
        frames = torch.zeros(n, channels, 0, size, size, device=self.device)
        if "image" in condition:
            frames = self._checked(condition["image"], "image", (n, channels, size, size)).unsqueeze(2)
        if "prefix" in condition:
            frames, most = condition["prefix"], self.config.prefix_frames
            count = frames.shape[2] if frames.dim() == 5 else most
            if not 1 <= count <= most:
                raise ArgumentError(f"prefix of {count} frames: this {self.name} goes on from 1 to {most}.")
            frames = self._checked(frames, "prefix", (n, channels, count, size, size))
        ids = torch.zeros(n, 0, dtype=torch.long, device=self.device)
        if "caption" in condition:
            ids = self._read(condition["caption"])
        return Asked(ids, ids > 0, frames, torch.ones(n, frames.shape[2], dtype=torch.bool, device=self.device))

    @staticmethod
    def _checked(frames: Tensor, name: str, shape: tuple[int, ...]) -> Tensor:
        if tuple(frames.shape) != shape:
            raise ArgumentError(f"{name} of shape {tuple(frames.shape)}: give {shape}, in [-1, 1].")
        return frames

    def _read(self, captions: Sequence[str]) -> Tensor:
        """Captions to ids `(B, N)`."""
        config = self.config
        for caption in captions:
            count = sum(word in NUMBERS for word in split_words(caption))
            if count > config.digits:
                raise ArgumentError(
                    f'caption="{caption}" asks for {count} digits; this {self.name} moves {config.digits}. Ask for '
                    f"{config.digits}, or train one with digits={count}."
                )
        return tokenize(captions, config.vocabulary, config.longest).to(self.device)

    def _codes(self, video: Tensor) -> Tensor:
        with full_precision(video):  # 16 bits would find other codes
            codes = self.tokenizer.encode(video)
        shape = self.tokenizer.code_shape
        if tuple(codes.shape[1:]) != tuple(shape):
            raise ArgumentError(f"clips with {tuple(codes.shape[1:])} codes; trained for {shape}.")
        return codes

    def _vectors(self, tokens: Tensor) -> Tensor:
        """`(B, L) -> (B, L, D)`, the codebook's."""
        return self.tokenizer.codebook.lookup(tokens).movedim(1, -1)


# -------------------------------------------------------------------------------------------------------- the presets


def _tokenizer_recipe(data: DataConfig, batch_size: int, steps: int, lr: float, final_lr: float = 1e-4) -> Recipe:
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.99), schedule="cosine", final_lr=final_lr, warmup=20)
    return Recipe(replace(data, frames=8), batch_size, steps, {"autoencoder": optimizer})


def _recipe(data: DataConfig, batch_size: int, steps: int, lr: float) -> Recipe:
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.95), weight_decay=0.01, schedule="cosine", warmup=100)
    return Recipe(data, batch_size, steps, {"decoder": optimizer}, clip_norm=1.0, ema_decay=0.995)


_TOKENIZER = FusionTokenizerConfig(
    widths=(48, 96), stem=4, blocks=1, block_width=64, fine_blocks=1, leak=0.2, background=-1.0
)
_TOKENIZER_16 = replace(_TOKENIZER, size=16, frames=8, stem=2, stride=4, num_codes=256, revive_below=0.05)
_SEEN = DataConfig("moving-digits", color=True, pairs="seen", paraphrase=True)
_SEEN_16, _SEEN_32, _SEEN_64 = (
    replace(_SEEN, size=size, frames=frames) for size, frames in ((16, 8), (32, 16), (64, 16))
)
_GREY_32 = DataConfig("moving-digits", size=32, frames=16)
_GREY = caption_words(color=False)

FusionTokenizer.presets = {
    "gpu": Preset(
        replace(_TOKENIZER, size=64, widths=(64, 128, 192), blocks=2, block_width=128, num_codes=1024),
        _tokenizer_recipe(_SEEN_64, 128, 30_000, 2e-3, final_lr=4e-5),
        note="10 minutes on one 16 GB GPU (estimated); never run.",
    ),
    "cpu": Preset(
        replace(_TOKENIZER, widths=(96,), stride=4, num_codes=256, revive_below=0.05),
        _tokenizer_recipe(_SEEN_32, 32, 6000, 3e-3, final_lr=8e-5),
        note="330 seconds and 0.9 GB on one thread of a busy CPU: 26 dB on held-out clips.",
    ),
    "board": Preset(
        replace(_TOKENIZER, channels=1, widths=(96,), stride=4, num_codes=128, revive_below=0.05),
        _tokenizer_recipe(_GREY_32, 32, 1400, 5e-3),
        note="60 CPU-seconds on one thread.",
    ),
    "ci": Preset(
        _TOKENIZER_16,
        _tokenizer_recipe(_SEEN_16, 32, 1200, 5e-3),
        note="26 CPU-seconds on one thread: 24 dB on held-out clips.",
    ),
}
Fusion.presets = {
    "gpu": Preset(
        FusionConfig(
            condition_dim=192,
            condition_heads=6,
            text_layers=3,
            fusion_layers=3,
            dim=384,
            heads=6,
            layers=8,
            dropout=0.1,
        ),
        _recipe(_SEEN_64, 64, 30_000, 6e-4),
        note="30 minutes on one 16 GB GPU (estimated); never run.",
    ),
    "cpu": Preset(
        FusionConfig(fusion="both", condition_dim=72, text_layers=1, dim=144, heads=3, layers=3),
        replace(_recipe(_SEEN_32, 4, 15_000, 2e-3), precision="bf16"),
        note="22 minutes of CPU time on one thread, beside its tokenizer's six.",
    ),
    "board": Preset(
        FusionConfig(
            vocabulary=_GREY,
            prefix_frames=0,
            fusion="both",
            condition_dim=72,
            text_layers=1,
            dim=144,
            heads=3,
            layers=3,
        ),
        replace(_recipe(_GREY_32, 4, 2200, 3e-3), precision="bf16"),
        note="180 CPU-seconds on one thread, beside its tokenizer's 60.",
    ),
    "ci": Preset(
        FusionConfig(fusion="both", condition_dim=48, text_layers=1, dim=96, layers=3, prefix_frames=2),
        replace(_recipe(_SEEN_16, 16, 800, 3e-3), precision="bf16"),
        note="32 CPU-seconds on one thread, beside its tokenizer's: learns colour and, in part, direction.",
    ),
}
