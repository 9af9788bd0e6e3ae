"""VQ-VAE: an image is written down in a few words of a learned vocabulary. [vandenoord2017vqvae]

The encoder turns each patch of an image into a vector, and the vector into the nearest of K learned ones: a code. The
decoder draws the image from the codes alone. An image so becomes a small grid of whole numbers, and what generates
such grids (`vqvae-prior`) generates images.

    symbol   name            shape             meaning
    x        real            (B, C, H, W)      an image in [-1, 1], or one frame of a clip
    z_e      latent          (B, D, H', W')    what the encoder says
    k        codes           (B, H', W')       the nearest vectors of the codebook; (B, T, H', W') of a clip
    z_q      quantized       (B, D, H', W')    those vectors, for the decoder
    x'       reconstruction  (B, C, H, W)      what the decoder draws

Clips `(B, C, T, H, W)` are encoded frame by frame.
Differs from the paper: the codebook follows running means (its appendix) instead of a gradient, starts from data and
revives dead codes, unless the config says otherwise; small presets narrow the layers that see all pixels.
Chapter: book/foundations/vqvae.md. Lab: notebooks/03_vqvae.ipynb.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe
from vidgen_lab.nn.quantize import FiniteScalarQuantizer, VectorQuantizer


@dataclass(frozen=True)
class VQVAEConfig:
    """Sizes of the networks and of the codebook. Each width is a level: it halves height and width."""

    channels: int = 1  # C
    size: int = 32  # height and width of an image or a frame, pixels
    clip_frames: int | None = None  # frames of a clip, for `code_shape`; None: images
    widths: tuple[int, ...] = (256, 256)  # of the levels; three levels make 8x8 pixels a code
    blocks: int = 2  # residual blocks at the grid of codes, on each side
    block_width: int = 256  # inside a residual block
    group_norm: bool = False
    num_codes: int = 512  # K
    code_dim: int = 64  # D
    quantizer: Literal["ema", "gradient", "fsq"] = "ema"
    levels: tuple[int, ...] = ()  # fsq: of each coordinate; num_codes is their product, code_dim their number
    beta: float = 0.25  # weight of the commitment, eq. (vqvae-commitment)
    decay: float = 0.99  # of the running means of the codebook
    data_start: bool = True
    revive_below: float = 1.0  # 0: dead codes stay dead
    variance: float = 1.0  # of the decoder's Gaussian, eq. (vqvae-reconstruction)

    def __post_init__(self) -> None:
        if not self.widths or self.size % 2 ** len(self.widths):
            raise ArgumentError(
                f"size={self.size}, widths={self.widths}: give one width or more; each level halves the image, so size "
                f"must be a multiple of {2 ** len(self.widths)}."
            )
        if self.quantizer not in ("ema", "gradient", "fsq"):
            raise ArgumentError(f'quantizer="{self.quantizer}": use "ema", "gradient" or "fsq".')
        if (self.quantizer == "fsq") != bool(self.levels):
            raise ArgumentError(
                f'quantizer="{self.quantizer}", levels={self.levels}: levels belong to "fsq", which needs them, for '
                "instance levels=(8, 6, 5)."
            )
        for name in ("num_codes", "code_dim", "variance"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be above 0.")


def norm(width: int, config: VQVAEConfig) -> nn.Module:
    return nn.GroupNorm(max(1, width // 16), width) if config.group_norm else nn.Identity()


class ResidualBlock(nn.Module):
    """`(B, width, H, W)` to the same: ReLU, 3x3, ReLU, 1x1, added to the input."""

    def __init__(self, width: int, config: VQVAEConfig) -> None:
        super().__init__()
        inner = config.block_width
        self.layers = nn.Sequential(
            norm(width, config), nn.ReLU(), nn.Conv2d(width, inner, 3, padding=1),
            norm(inner, config), nn.ReLU(), nn.Conv2d(inner, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Encoder(nn.Module):
    """Images to vectors: `(B, C, H, W) -> (B, out, H', W')`."""

    def __init__(self, config: VQVAEConfig, out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = config.channels
        for wider in config.widths:
            layers += [nn.Conv2d(width, wider, 4, stride=2, padding=1), norm(wider, config), nn.ReLU()]
            width = wider
        layers[-2:] = [ResidualBlock(width, config) for _ in range(config.blocks)]
        self.layers = nn.Sequential(*layers, norm(width, config), nn.ReLU(), nn.Conv2d(width, out, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Decoder(nn.Module):
    """Vectors to images: `(B, D, H', W') -> (B, C, H, W)`, around [-1, 1] but not bounded."""

    def __init__(self, config: VQVAEConfig, dim: int) -> None:
        super().__init__()
        width, *rest = config.widths[::-1]
        layers: list[nn.Module] = [nn.Conv2d(dim, width, 3, padding=1)]
        layers += [ResidualBlock(width, config) for _ in range(config.blocks)]
        for narrower in rest:
            layers += [norm(width, config), nn.ReLU(), nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1)]
            width = narrower
        layers += [norm(width, config), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, config.channels, 4, stride=2, padding=1))

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


class VQVAE(Model):
    """Encoder, codebook, decoder: a tokenizer for images, and for clips frame by frame."""

    name = "vqvae"
    output = "codes"

    def __init__(self, config: VQVAEConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        if config.quantizer == "fsq":
            self.codebook = FiniteScalarQuantizer(config.levels)
        else:
            self.codebook = VectorQuantizer(
                config.num_codes,
                config.code_dim,
                beta=config.beta,
                decay=config.decay if config.quantizer == "ema" else None,
                data_start=config.data_start,
                revive_below=config.revive_below,
            )
        self.encoder = Encoder(config, self.codebook.dim)
        self.decoder = Decoder(config, self.codebook.dim)
        learned = ("encoder", "codebook", "decoder") if config.quantizer == "gradient" else ("encoder", "decoder")
        self.phases = (Phase("autoencoder", updates=learned),)

    @property
    def num_codes(self) -> int:
        """K, the size of the vocabulary."""
        return self.codebook.num_codes

    @property
    def code_shape(self) -> tuple[int, ...]:
        """The grid of codes: (h, w) of an image, (T, h, w) of a clip as trained."""
        side = self.config.size // 2 ** len(self.config.widths)
        frames = () if self.config.clip_frames is None else (self.config.clip_frames,)
        return (*frames, side, side)

    def encode(self, x: Tensor) -> Tensor:
        """Codes `(B, h, w)` of images `(B, C, H, W)`, or `(B, T, h, w)` of clips `(B, C, T, H, W)`, in eval mode.

        Any number of frames; height and width must be multiples of a code's patch.
        """
        frames, batch = self._frames(x)
        with self.inference():
            codes = self.codebook(self.encoder(frames)).codes
        return codes if batch is None else codes.unflatten(0, (batch, -1))

    def decode(self, codes: Tensor) -> Tensor:
        """Images `(B, C, H, W)` in [-1, 1] of codes `(B, h, w)`, or clips of codes `(B, T, h, w)`, in eval mode."""
        if codes.dim() not in (3, 4):
            raise ArgumentError(f"codes of shape {tuple(codes.shape)}: give (B, h, w), or (B, T, h, w) of clips.")
        with self.inference():
            images = self.decoder(self.codebook.lookup(codes.flatten(0, -3))).clamp(-1, 1)  # (B T, C, H, W)
        return images if codes.dim() == 3 else rearrange(images, "(b t) c h w -> b c t h w", b=len(codes))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images or clips in [-1, 1], there and back."""
        return self.decode(self.encode(x))

    def autoencoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        real, _ = self._frames(batch["image" if self.config.clip_frames is None else "video"])
        quantized = self.codebook(self.encoder(real), draw)
        error = mse_loss(self.decoder(quantized.latent), real)
        terms = {"reconstruction": error / self.config.variance, **quantized.terms}  # eq. (vqvae-objective)
        return Losses(terms, log={"psnr": 10 * torch.log10(4 / error.detach()), **quantized.log})

    def _frames(self, x: Tensor) -> tuple[Tensor, int | None]:
        """Images as they are; clips as images `(B T, C, H, W)`, with B."""
        patch = 2 ** len(self.config.widths)
        if x.dim() not in (4, 5) or x.shape[1] != self.config.channels or x.shape[-1] % patch or x.shape[-2] % patch:
            raise ArgumentError(
                f"x of shape {tuple(x.shape)}: give images (B, {self.config.channels}, H, W) or clips "
                f"(B, {self.config.channels}, T, H, W); H and W must be multiples of {patch}."
            )
        if x.dim() == 4:
            return x, None
        return rearrange(x, "b c t h w -> (b t) c h w"), len(x)


def _recipe(data: DataConfig, batch_size: int, steps: int, lr: float = 1e-3) -> Recipe:
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.99), schedule="cosine", final_lr=lr / 50, warmup=20)
    return Recipe(data, batch_size, steps, {"autoencoder": optimizer})


_SMALL = VQVAEConfig(widths=(24, 48, 96), block_width=96, group_norm=True, num_codes=256, variance=0.1)
_CLIPS = DataConfig("moving-digits", size=32, frames=16)

VQVAE.presets = {
    "cpu": Preset(replace(_SMALL, clip_frames=16), _recipe(_CLIPS, 4, 6000), note="to be measured."),
    "image": Preset(
        replace(_SMALL, widths=(32, 64)), _recipe(DataConfig("digits", size=32), 32, 1000), note="to be measured."
    ),
    "ci": Preset(replace(_SMALL, clip_frames=16), _recipe(_CLIPS, 4, 600), note="to be measured."),
}
