"""Digits2d: a small convolutional digit classifier that measures image generators. [lecun1998gradient]

Two strided convolutions and two linear layers read a digit. Its class probabilities give the inception-style score of
chapter 1; the layer before the last gives features for Frechet distances.

    symbol    name    shape           meaning
    x         image   (B, 1, 28, 28)  a digit in [-1, 1]
    p(y | x)  softmax of (B, 10) logits

Chapter: book/appendix/how-good.md.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vidgen_lab.core import Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe


@dataclass(frozen=True)
class Digits2dConfig:
    """Sizes of the classifier."""

    size: int = 28  # of the images, pixels; a multiple of 4
    width: int = 16
    features: int = 64
    classes: int = 10


class Digits2d(Model):
    """Digit images to logits over ten classes."""

    name = "digits-2d"
    output = "labels"
    averaged = ("encoder", "head")
    phases = (Phase("classifier", updates=("encoder", "head"), optimizer="main"),)
    validates = True

    def __init__(self, config: Digits2dConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        width = config.width
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(2 * width * (config.size // 4) ** 2, config.features),
            nn.ReLU(),
        )
        self.head = nn.Linear(config.features, config.classes)

    def features(self, images: Tensor) -> Tensor:
        """`(B, 1, H, W)` in [-1, 1] to features `(B, F)`, in eval mode."""
        with self.inference():
            return self.encoder(images)

    def logits(self, images: Tensor) -> Tensor:
        """`(B, 1, H, W)` in [-1, 1] to logits `(B, 10)`, in eval mode."""
        with self.inference():
            return self.head(self.encoder(images))

    def classifier_loss(self, batch: Batch, draw: Draw) -> Losses:
        images = batch["image"]
        # A little noise and shift, so that the score is not thrown by what a person would not see.
        images = images + 0.1 * draw.normal("noise", tuple(images.shape))
        rows, columns = draw.shared().randint("shift", (2,), -2, 3).tolist()
        images = torch.roll(images, (rows, columns), dims=(2, 3))
        logits = self.head(self.encoder(images))
        accuracy = (logits.argmax(1) == batch["digit"]).float().mean()
        return Losses({"cross_entropy": cross_entropy(logits, batch["digit"])}, log={"accuracy": accuracy})

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        return cross_entropy(self.head(self.encoder(batch["image"])), batch["digit"])


_OPTIMIZER = {"main": Optimizer("adamw", lr=2e-3, betas=(0.9, 0.99), weight_decay=0.01, schedule="cosine")}

Digits2d.presets = {
    "gpu": Preset(
        Digits2dConfig(width=32, features=128),
        Recipe(DataConfig("mnist", size=28), 256, 5000, _OPTIMIZER, ema_decay=0.999),
        note="about a minute on one 16 GB GPU (estimated).",
    ),
    "ci": Preset(
        Digits2dConfig(),
        Recipe(DataConfig("digits", size=28), 64, 1500, _OPTIMIZER, ema_decay=0.99),
        note="15 seconds and 0.8 GB on one CPU thread.",
    ),
}
