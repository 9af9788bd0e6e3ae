"""VQ-VAE: an image is written down in a few words of a learned vocabulary. [vandenoord2017vqvae]

The encoder turns each patch of an image into a vector, and the vector into the nearest of K learned ones: a code. The
decoder draws the image from the codes alone. An image so becomes a small grid of whole numbers, and what generates
such grids (`vqvae-prior`) generates images.

    symbol   name            shape             meaning
    x        real            (B, C, H, W)      an image in [-1, 1], or one frame of a clip
    z_e      latent          (B, D, H', W')    what the encoder says
    k        codes           (B, H', W')       the nearest vectors of the codebook; (B, T, H', W') of a clip
    z_q      quantized       (B, D, H', W')    those vectors, for the decoder
    x'       images          (B, C, H, W)      what the decoder draws

Clips `(B, C, T, H, W)` are encoded frame by frame.
Differs from the paper: the codebook follows running means (its appendix) instead of a gradient, starts from data and
revives dead codes, unless the config says otherwise; small presets narrow the layers that see all pixels, and bigger
ones let the places of the grid see one another.
Chapter: book/foundations/vqvae.md. Lab: notebooks/03_vqvae.ipynb.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import mse_loss

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe
from vidgen_lab.nn.autoencoder import ConvSizes, Decoder, Encoder, check_images
from vidgen_lab.nn.quantize import FiniteScalarQuantizer, VectorQuantizer, check_codes


@dataclass(frozen=True)
class VQVAEConfig(ConvSizes):
    """Sizes of the networks, as in `nn.autoencoder`, and of the codebook."""

    clip_frames: int | None = None  # frames of a clip, for `code_shape`; None: images
    num_codes: int = 512  # K
    code_dim: int = 64  # D
    quantizer: Literal["ema", "gradient", "fsq"] = "ema"
    levels: tuple[int, ...] = ()  # fsq: of each coordinate; their product is K, their number D
    beta: float = 0.25  # weight of the commitment, eq. (vqvae-commitment)
    decay: float = 0.99  # of the running means of the codebook
    data_start: bool = True
    revive_below: float = 0.3  # share of an even count below which a code is dead; 0: dead codes stay dead
    variance: float = 1.0  # of the decoder's Gaussian, eq. (vqvae-reconstruction)

    def __post_init__(self) -> None:
        super().__post_init__()
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
        side = self.config.side
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
        check_codes(codes, self.num_codes)
        with self.inference():
            images = self.decoder(self.codebook.lookup(codes.flatten(0, -3))).clamp(-1, 1)  # (B T, C, H, W)
        return images if codes.dim() == 3 else rearrange(images, "(b t) c h w -> b c t h w", b=len(codes))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images or clips in [-1, 1], there and back."""
        return self.decode(self.encode(x))

    def autoencoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        return self._autoencode(self._real(batch), draw)[1]

    def _autoencode(self, real: Tensor, draw: Draw) -> tuple[Tensor, Losses]:
        """Reconstructions of images `(B, C, H, W)`, and the loss."""
        quantized = self.codebook(self.encoder(real), draw)
        images = self.decoder(quantized.latent)
        error = mse_loss(images, real)
        reconstruction = error / (2 * self.config.variance)  # eq. (vqvae-reconstruction)
        losses = Losses({"reconstruction": reconstruction, **quantized.terms})  # eq. (vqvae-objective)
        losses.log = {"psnr": 10 * torch.log10(4 / error.detach()), **quantized.log}
        return images, losses

    def _real(self, batch: Batch) -> Tensor:
        """The batch's images, or the frames of its clips: `(B, C, H, W)`."""
        key = "image" if self.config.clip_frames is None else "video"
        if key not in batch:
            raise ArgumentError(
                f'clip_frames={self.config.clip_frames}: this {self.name} trains on "{key}"; the batch has '
                f"{sorted(batch)}. Set clip_frames to the frames of a clip, or to None for images."
            )
        return self._frames(batch[key])[0]

    def _frames(self, x: Tensor) -> tuple[Tensor, int | None]:
        """Images as they are; clips as images `(B T, C, H, W)`, with B."""
        if x.dim() == 5:
            frames = rearrange(x, "b c t h w -> (b t) c h w")
            check_images(frames, self.config)
            return frames, len(x)
        check_images(x, self.config)
        return x, None


def _recipe(data: DataConfig, batch_size: int, steps: int, lr: float, final_lr: float = 1e-4) -> Recipe:
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.99), schedule="cosine", final_lr=final_lr, warmup=20)
    return Recipe(data, batch_size, steps, {"autoencoder": optimizer})


_SMALL = VQVAEConfig(
    channels=1,
    widths=(48, 96),
    stem=4,
    blocks=1,
    block_width=64,
    fine_blocks=1,
    leak=0.2,
    background=-1.0,
    clip_frames=16,
    num_codes=256,
    code_dim=16,
    beta=1.0,
    variance=0.05,
)
_FRAMES = DataConfig("moving-digits", size=32, frames=1)  # one frame of each clip: frames of one clip look alike

VQVAE.presets = {
    "paper": Preset(
        VQVAEConfig(quantizer="gradient", data_start=False, revive_below=0.0),
        Recipe(
            DataConfig("images", size=32),
            batch_size=128,
            steps=250_000,
            optimizers={"autoencoder": Optimizer(lr=2e-4, betas=(0.9, 0.999))},
        ),
        note="the published networks and optimiser for 32x32 colour images, from a folder of yours; never run here.",
    ),
    "gpu": Preset(
        replace(_SMALL, widths=(96, 192), blocks=2, block_width=192, attention=2, fine_blocks=2),
        _recipe(_FRAMES, 256, 40_000, 2e-3, final_lr=4e-5),
        note="20 minutes on one 16 GB GPU (estimated).",
    ),
    "cpu": Preset(
        replace(_SMALL, widths=(48, 128), blocks=2, block_width=96, attention=2),
        _recipe(_FRAMES, 48, 14_000, 3e-3, final_lr=8e-5),
        note="24 minutes of CPU time on one thread of a busy machine.",
    ),
    "image": Preset(
        replace(_SMALL, clip_frames=None),
        _recipe(DataConfig("digits", size=32), 32, 2100, 5e-3),
        note="the ci preset for single digits; 50 CPU-seconds on one thread.",
    ),
    "ci": Preset(_SMALL, _recipe(_FRAMES, 32, 2100, 5e-3), note="50 CPU-seconds on one thread."),
}
