"""Code prior: which grids of codes are images? A transformer writes them, code by code. [esser2021vqgan]

A tokenizer turns an image into a grid of codes and back, but most grids decode to rubbish. The prior learns the
distribution of the grids of real images: it reads the codes row by row and says, at each place, how likely each code
is to come next. To draw an image it writes a grid in that order, and the tokenizer decodes it. [vandenoord2017vqvae]

    symbol   name     shape        meaning
    s        tokens   (B, L)       the codes of an image, row by row, L = H' W'
    y        digit    (B,)         what the image shows; only where the prior was trained with labels
    a        logits   (B, L, K)    p(s_i = k | s_1 ... s_(i-1), y) = softmax(a_i)_k

Differs from the papers: a small transformer instead of a PixelCNN (VQ-VAE) or one of hundreds of millions of
parameters (VQGAN). The tokenizer is trained before and stays as it is.
Chapter: book/foundations/vqvae.md. Lab: notebooks/03_vqvae.ipynb.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe
from vidgen_lab.nn.transformer import CausalTransformer, sample_tokens


@dataclass(frozen=True)
class CodePriorConfig:
    """Sizes of the transformer. How many codes there are, and where, the tokenizer says."""

    dim: int = 128
    heads: int = 4
    layers: int = 4
    dropout: float = 0.1
    num_digits: int = 10  # classes that an image may be asked for; 0: trained without labels


class CodePrior(Model):
    """The transformer, on top of a frozen VQ-VAE."""

    name = "vqvae-prior"
    output = "image"
    stands_on = {"tokenizer": "vqvae"}
    averaged = ("prior",)
    phases = (Phase("prior", updates=("prior",)),)
    validates = True

    def __init__(self, config: CodePriorConfig, recipe: Recipe | None = None, *, tokenizer: Model) -> None:
        super().__init__(config, recipe)
        if len(tokenizer.code_shape) != 2:
            raise ArgumentError(
                f"the tokenizer gives codes of shape {tokenizer.code_shape}, those of a clip; {self.name} writes the "
                f"(h, w) codes of one image. Stand on a {tokenizer.name} that was trained on images."
            )
        self.conditions = ("digit",) if config.num_digits else ()
        self.tokenizer = tokenizer
        self.prior = CausalTransformer(
            tokenizer.num_codes,
            prod(tokenizer.code_shape),
            dim=config.dim,
            heads=config.heads,
            layers=config.layers,
            dropout=config.dropout,
            num_labels=config.num_digits,
        )

    def prior_loss(self, batch: Batch, draw: Draw) -> Losses:
        return Losses({"nats_per_token": self._nats(batch)})

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        """Nats a token on held-out images."""
        return self._nats(batch)

    def _nats(self, batch: Batch) -> Tensor:
        """Mean of -log p(s_i | s_1 ... s_(i-1), y) over the tokens of the batch."""
        if self.config.num_digits and "digit" not in batch:
            raise ArgumentError(
                f'{self.name} trains with labels, and the batch has no "digit". Build it with num_digits=0.'
            )
        tokens = self.tokenizer.encode(batch["image"]).flatten(1)  # (B, L)
        logits = self.prior(tokens, batch["digit"] if self.config.num_digits else None)  # (B, L, K)
        return cross_entropy(logits.flatten(0, 1), tokens.flatten())  # eq. (vqvae-likelihood)

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
    ) -> Tensor:
        """Images `(n, C, H, W)`. A prior with labels draws those that are not asked for, all equally often."""
        digit = self._digit(n, condition, generator)
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        tokens = sample_tokens(self.prior, n, label=digit, generator=generator, **options)  # (n, L)
        return self.tokenizer.decode(tokens.view(n, *self.tokenizer.code_shape))

    def _digit(self, n: int, condition: Batch, generator: torch.Generator | None) -> Tensor | None:
        count = self.config.num_digits
        if not count:
            return None
        if "digit" not in condition:
            return torch.randint(count, (n,), generator=generator).to(self.device)
        digit = condition["digit"]
        if digit.shape != (n,) or digit.min() < 0 or digit.max() >= count:
            raise ArgumentError(
                f'condition "digit" is {digit.tolist()}: give n={n} whole numbers from 0 to {count - 1}.'
            )
        return digit


class VQGANPrior(CodePrior):
    """The same transformer, on top of a frozen VQGAN."""

    name = "vqgan-prior"
    stands_on = {"tokenizer": "vqgan"}


def _recipe(data: DataConfig, batch_size: int, steps: int, lr: float) -> Recipe:
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.95), weight_decay=0.05, schedule="cosine", warmup=steps // 20)
    return Recipe(data, batch_size, steps, {"prior": optimizer}, clip_norm=1.0, ema_decay=0.99)


CodePrior.presets = VQGANPrior.presets = {
    "gpu": Preset(
        CodePriorConfig(dim=256, heads=8, layers=8),
        _recipe(DataConfig("mnist", size=32), 128, 20_000, 6e-4),
        note="15 minutes on one 16 GB GPU (estimated).",
        stages={"tokenizer": "image"},
    ),
    "ci": Preset(
        CodePriorConfig(dim=64, heads=2, layers=3, dropout=0.0),
        _recipe(DataConfig("digits", size=32), 32, 2500, 4e-3),
        note="50 seconds and 0.9 GB on one CPU thread, on a tokenizer that was trained before.",
        stages={"tokenizer": "image"},
    ),
}
