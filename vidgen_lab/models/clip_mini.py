"""CLIP-mini: a clip and its caption become two vectors that point the same way. [radford2021clip]

One network reads clips, another reads captions, and both answer with a vector of length 1. Of all pairs of a batch,
those that belong together shall have the largest cosine [vandenoord2018cpc]. What has been learnt finds the clips that
a caption describes, and says of a generated clip how well it fits what was asked for.

    symbol   name     shape            meaning
    x        clip     (B, C, T, S, S)  a clip in [-1, 1]
    w        caption  B strings        what it shows
    u, v     clips, captions  (B, E)   their vectors, of length 1
    t        scale    ()               the learned inverse temperature, at most 100
    a        logits   (B, B)           a_ij = t <u_i, v_j>

Differs from the paper: clips instead of images, so the first network has convolutions over time too; captions are read
word by word, and their vector is the mean over the words. In a batch of moving digits some captions say the same: the
loss counts them against each other all the same, so that it does not fall to 0.
Chapter: book/video/fusion.md. Lab: notebooks/08_fusion.ipynb.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe
from vidgen_lab.nn.text import TextEncoder, caption_words, masked_mean, tokenize

LARGEST = 100.0  # of the scale


@dataclass(frozen=True)
class ClipMiniConfig:
    """Sizes of both networks. Clips of any length and size can be read; those of training are read best."""

    channels: int = 3
    widths: tuple[int, ...] = (24, 48, 96)  # of the clip network; each layer halves height and width, the first T too
    background: float = -1.0  # pixel value that the network sees as 0
    vocabulary: tuple[str, ...] = caption_words()
    longest: int = 8  # words that a caption may have
    text_dim: int = 48
    text_heads: int = 4
    text_layers: int = 2
    embedding_dim: int = 64  # E
    temperature: float = 0.07  # at the start of training

    def __post_init__(self) -> None:
        if not self.widths:
            raise ArgumentError("widths=(): give the width of one layer or more, for instance widths=(24, 48, 96).")
        if self.text_dim % self.text_heads:
            raise ArgumentError(f"text_dim={self.text_dim}: must be a multiple of text_heads={self.text_heads}.")
        if not self.temperature >= 1 / LARGEST:
            raise ArgumentError(f"temperature={self.temperature}: must be {1 / LARGEST} or more.")


class ClipEncoder(nn.Module):
    """Clips to vectors of length 1: `(B, C, T, H, W) -> (B, E)`."""

    def __init__(self, config: ClipMiniConfig) -> None:
        super().__init__()
        width, *rest = config.widths
        layers = _convolution(config.channels, width, (3, 5, 5), (2, 2, 2))
        for wider in rest:
            layers += _convolution(width, wider, (1, 3, 3), (1, 2, 2)) + _convolution(
                wider, wider, (3, 1, 1), (1, 1, 1)
            )
            width = wider
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.project = nn.Linear(width, config.embedding_dim)
        self.background = config.background

    def forward(self, clips: Tensor) -> Tensor:
        return normalize(self.project(self.layers(clips - self.background)))


class CaptionEncoder(nn.Module):
    """Words to vectors of length 1: ids `(B, N)`, 0 is padding, to `(B, E)`."""

    def __init__(self, config: ClipMiniConfig) -> None:
        super().__init__()
        self.words = TextEncoder(
            len(config.vocabulary), config.longest, config.text_dim, config.text_heads, config.text_layers
        )
        self.project = nn.Linear(config.text_dim, config.embedding_dim)

    def forward(self, ids: Tensor) -> Tensor:
        return normalize(self.project(masked_mean(self.words(ids), ids > 0)))


class Scale(nn.Module):
    """The learned inverse temperature, at most 100; its logarithm is what is learnt."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(-log(temperature)))

    def value(self) -> Tensor:
        return self.log.exp().clamp(max=LARGEST)

    def forward(self, cosines: Tensor) -> Tensor:
        return cosines * self.value()


class ClipMini(Model):
    """Both networks, and the temperature."""

    name = "clip-mini"
    output = "embedding"
    averaged = ("clip_encoder", "caption_encoder")
    phases = (Phase("contrast", updates=("clip_encoder", "caption_encoder", "scale")),)
    validates = True

    def __init__(self, config: ClipMiniConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.clip_encoder = ClipEncoder(config)
        self.caption_encoder = CaptionEncoder(config)
        self.scale = Scale(config.temperature)

    def embed_clips(self, clips: Tensor) -> Tensor:
        """Vectors `(B, E)` of length 1 of clips `(B, C, T, H, W)`, in eval mode."""
        self._check(clips)
        with self.inference():
            return self.clip_encoder(clips)

    def embed_captions(self, captions: Sequence[str]) -> Tensor:
        """Vectors `(B, E)` of length 1 of captions, in eval mode. Raises ArgumentError for one that cannot be read."""
        ids = self._read(captions)
        with self.inference():
            return self.caption_encoder(ids)

    def score(self, clips: Tensor, captions: Sequence[str]) -> Tensor:
        """How well each clip fits its own caption: cosines `(B,)`.

        Their mean over generated clips is a score in the manner of CLIPSIM [wu2021godiva]; real clips with their own
        captions, and with those of others, say what is much and what is little.
        """
        if len(clips) != len(captions):
            raise ArgumentError(f"{len(clips)} clips and {len(captions)} captions: give one caption a clip.")
        return (self.embed_clips(clips) * self.embed_captions(captions)).sum(1)

    def contrast_loss(self, batch: Batch, draw: Draw) -> Losses:
        loss, logits = self._contrast(batch)
        best = logits.argmax(1) == torch.arange(len(logits), device=logits.device)
        return Losses({"contrast": loss}, log={"caption_found": best.float().mean(), "scale": self.scale.value()})

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        """The same loss on held-out clips."""
        return self._contrast(batch)[0]

    def _contrast(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits `(B, B)` of clips against captions."""
        if "caption" not in batch:
            raise ArgumentError(f"clip-mini trains with captions; the batch has {sorted(batch)}.")
        self._check(batch["video"])
        clips, captions = self.clip_encoder(batch["video"]), self.caption_encoder(self._read(batch["caption"]))
        logits = self.scale(clips @ captions.T)
        own = torch.arange(len(logits), device=logits.device)
        loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2  # eq. (fusion-contrast)
        return loss, logits

    def _read(self, captions: Sequence[str]) -> Tensor:
        return tokenize(captions, self.config.vocabulary, self.config.longest).to(self.device)

    def _check(self, clips: Tensor) -> None:
        if clips.dim() != 5 or clips.shape[1] != self.config.channels:
            raise ArgumentError(f"clips of shape {tuple(clips.shape)}: give (B, {self.config.channels}, T, H, W).")


def recall(cosines: Tensor, k: int = 1) -> float:
    """R@k: the share of rows of `(B, B)` whose own column is among the k largest; where some are equal, chance decides.

    So a row whose own column shares its value counts by the probability: 1/B for k = 1, if all are equal.
    Rows clips and columns captions: captions are found for clips; transposed, clips for captions.
    """
    if cosines.dim() != 2 or cosines.shape[0] != cosines.shape[1] or not 1 <= k <= len(cosines):
        raise ArgumentError(f"cosines of shape {tuple(cosines.shape)}, k={k}: give (B, B), and k from 1 to B.")
    own = cosines.diagonal().unsqueeze(1)
    larger, equal = (cosines > own).sum(1), (cosines == own).sum(1)
    return ((k - larger).double() / equal).clamp(0, 1).mean().item()


def _convolution(
    width_in: int, width_out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> list[nn.Module]:
    padding = tuple(side // 2 for side in kernel)
    convolution = nn.Conv3d(width_in, width_out, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm3d(width_out), nn.ReLU()]


def _recipe(batch_size: int, steps: int, size: int, frames: int, lr: float = 3e-3) -> Recipe:
    data = DataConfig("moving-digits", size=size, frames=frames, color=True, paraphrase=True)
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.99), weight_decay=0.02, schedule="cosine", warmup=steps // 10)
    return Recipe(data, batch_size, steps, {"contrast": optimizer}, ema_decay=0.99)


_SMALL = ClipMiniConfig(text_layers=1)
ClipMini.presets = {
    "gpu": Preset(
        replace(_SMALL, widths=(32, 64, 128, 192), text_dim=96, text_layers=3, embedding_dim=128),
        _recipe(512, 8000, 64, 16, lr=1e-3),
        note="15 minutes on one 16 GB GPU (estimated); never run.",
    ),
    "cpu": Preset(
        replace(_SMALL, widths=(24, 48, 96, 128)),
        _recipe(48, 1000, 32, 16),
        note="190 seconds and 1.0 GB on one thread of a busy CPU: finds the caption of 92 in 100 clips among 100.",
    ),
    "ci": Preset(_SMALL, _recipe(64, 350, 16, 8), note="13 CPU-seconds on one thread: finds 86 of 100 captions."),
}
