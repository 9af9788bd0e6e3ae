"""Digits3d: a small 3-D convolutional network that reads moving digits and measures clip generators. [tran2018closer]

A stem and three factorised blocks, each a convolution over the pixels of a frame and then one over time, and a mean
over all places and frames. The mean gives features for Frechet distances; four linear heads read it: which digit, in
which colour, flying where and how fast. They tell whether a clip shows what was asked for. A fifth, used in training
only, reads how blurred the clip is.

    symbol    name      shape              meaning
    x         clip      (B, 3, T, 32, 32)  a moving digit in [-1, 1], T of 8 or more
    f(x)      features  (B, 128)           the mean after the last block
    p(y | x)  softmax of (B, 10), (B, 6), (B, 8) and (B, 2) logits: digit, color, direction, speed

A distance follows what its network was taught to see and to overlook. Training adds noise of a standard deviation up
to 0.12 and says nothing of it: what a person hardly sees then changes little, and what goes far beyond still counts. It
adds blur, and asks how much: the labels alone can be read from a blurred clip, so that the features would forget it.

Chapter: book/appendix/how-good.md. Lab: notebooks/90_metrics.ipynb.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, binary_cross_entropy_with_logits, cross_entropy, interpolate

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Model, Optimizer, Phase, Preset, Recipe

HEADS = {"digit": 10, "color": 6, "direction": 8, "speed": 2}  # classes of each head, by the label's name in a batch
SIZE = 32  # of the frames that the network sees, pixels
FRAMES = 8  # the fewest that it reads
WHITE = 6  # grey digits among the seven colours of training


@dataclass(frozen=True)
class Digits3dConfig:
    """Sizes of the network, and what its training adds to clips."""

    widths: tuple[int, ...] = (24, 48, 96, 128)  # of the stem and of the blocks; the last is that of the features
    blurred: float = 0.4  # share of clips that are blurred, each by its own strength
    blur: float = 1.0  # largest strength: the way to the mean of each 3 x 3 pixels that is gone
    noisy: float = 0.5  # share of clips that get noise, each of its own standard deviation
    noise: float = 0.12  # largest standard deviation of that noise, on the scale of [-1, 1]

    def __post_init__(self) -> None:
        if not self.widths:
            raise ArgumentError("widths=(): give the width of the stem, for instance widths=(24, 48, 96, 128).")
        for name in ("blurred", "blur", "noisy"):
            if not 0 <= getattr(self, name) <= 1:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be from 0 to 1.")
        if not self.noise >= 0:
            raise ArgumentError(f"noise={self.noise}: must be 0 or more.")


class Digits3d(Model):
    """Clips of moving digits to logits of four labels."""

    name = "digits-3d"
    output = "labels"
    averaged = ("encoder", "head")
    phases = (Phase("classifier", updates=("encoder", "head"), optimizer="main"),)
    validates = True

    def __init__(self, config: Digits3dConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        width, *rest = config.widths
        layers = [*_convolution(3, width, (3, 5, 5), stride=(2, 2, 2))]
        for wider in rest:
            layers += _convolution(width, wider, (1, 3, 3), stride=(1, 2, 2))
            layers += _convolution(wider, wider, (3, 1, 1), stride=(1, 1, 1))
            width = wider
        self.encoder = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = nn.Linear(width, sum(HEADS.values()) + 1)  # the last logit: how blurred

    def features(self, clips: Tensor) -> Tensor:
        """`(B, 1 or 3, T, H, W)` in [-1, 1] to features `(B, F)`, in eval mode.

        Grey is repeated to three channels and frames are resized to 32 x 32.

        Raises:
            ArgumentError: another shape, or fewer than 8 frames.
        """
        with self.inference():
            return self.encoder(_prepared(clips))

    def logits(self, clips: Tensor) -> dict[str, Tensor]:
        """`(B, 1 or 3, T, H, W)` in [-1, 1] to logits `(B, classes)` of each head, by its name, in eval mode.

        Clips are prepared as in `features`. The colour of a grey clip means nothing.
        """
        with self.inference():
            return self._heads(_prepared(clips))[0]

    def classifier_loss(self, batch: Batch, draw: Draw) -> Losses:
        clips, white, blur = self._augmented(_prepared(batch["video"]), draw)
        labels = {name: batch[name] for name in HEADS} | {"color": batch["color"].masked_fill(white, -100)}
        logits, blur_logit = self._heads(clips)
        right = {f"{name}_accuracy": (logits[name].argmax(1) == batch[name]).float().mean() for name in HEADS}
        del right["color_accuracy"]  # some clips have none
        blur_loss = binary_cross_entropy_with_logits(blur_logit, blur)
        return Losses({**_cross_entropies(logits, labels), "blur": blur_loss}, log=right)

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        losses = _cross_entropies(self._heads(_prepared(batch["video"]))[0], batch)
        return torch.stack(list(losses.values())).sum()

    def _heads(self, clips: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        *labels, blur = self.head(self.encoder(clips)).split([*HEADS.values(), 1], dim=1)
        return dict(zip(HEADS, labels, strict=True)), blur.squeeze(1)

    def _augmented(self, clips: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Some clips grey, some blurred, some noisy; which are grey `(B,)`, and how blurred each is `(B,)`, 0 to 1."""
        config, n = self.config, len(clips)

        def some(name: str, share: float, largest: float) -> Tensor:
            chosen = draw.uniform(f"{name} clips", (n, 1, 1, 1, 1)) < share
            return chosen * draw.uniform(f"{name} strength", (n, 1, 1, 1, 1), 0.0, largest)

        white = draw.randint("color", (n,), 0, WHITE + 1) == WHITE
        clips = torch.where(white.view(n, 1, 1, 1, 1), clips.amax(1, keepdim=True), clips)
        soft = avg_pool3d(clips, (1, 3, 3), stride=1, padding=(0, 1, 1), count_include_pad=False)
        blur = some("blurred", config.blurred, config.blur)
        clips = torch.lerp(clips, soft, blur)
        noise = draw.normal("noise", tuple(clips.shape)) * some("noisy", config.noisy, config.noise)
        return (clips + noise).clamp(-1, 1), white, blur.flatten()


def _convolution(width_in: int, width_out: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> list[nn.Module]:
    padding = tuple(side // 2 for side in kernel)
    convolution = nn.Conv3d(width_in, width_out, kernel, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm3d(width_out), nn.ReLU()]


def _cross_entropies(logits: dict[str, Tensor], labels: Batch) -> dict[str, Tensor]:
    """One term a head; a label of -100 does not count."""
    terms = {}
    for name, given in logits.items():
        counted = (labels[name] >= 0).sum().clamp(min=1)
        terms[name] = cross_entropy(given, labels[name], reduction="sum") / counted
    return terms


def _prepared(clips: Tensor) -> Tensor:
    """`(B, 1 or 3, T, H, W)` to `(B, 3, T, 32, 32)`."""
    if clips.dim() != 5 or clips.shape[1] not in (1, 3):
        raise ArgumentError(f"clips of shape {tuple(clips.shape)}: give (B, C, T, H, W) with C of 1 or 3.")
    if clips.shape[2] < FRAMES:
        raise ArgumentError(f"clips of {clips.shape[2]} frames: digits-3d reads {FRAMES} frames or more.")
    if clips.shape[3:] != (SIZE, SIZE):
        frames = clips.transpose(1, 2).flatten(0, 1)  # (B T, C, H, W)
        frames = interpolate(frames, (SIZE, SIZE), mode="bilinear", antialias=True)
        clips = frames.unflatten(0, (len(clips), -1)).transpose(1, 2)
    return clips.expand(-1, 3, -1, -1, -1)


def _recipe(batch_size: int, steps: int, warmup: int, lr: float = 4e-3, ema_decay: float = 0.99) -> Recipe:
    data = DataConfig("moving-digits", size=SIZE, frames=16, color=True)
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.99), weight_decay=0.02, schedule="cosine", warmup=warmup)
    return Recipe(data, batch_size, steps, {"main": optimizer}, ema_decay=ema_decay)


Digits3d.presets = {
    "gpu": Preset(
        Digits3dConfig(),
        _recipe(256, 6000, 600, ema_decay=0.999),
        note="a few minutes on one 16 GB GPU (estimated).",
    ),
    "cpu": Preset(
        Digits3dConfig(),
        _recipe(48, 1000, 150),
        note="256 seconds and 1.0 GB on one CPU thread.",
    ),
    "ci": Preset(
        Digits3dConfig(),
        _recipe(48, 180, 30),
        note="43 seconds and 1.1 GB on one CPU thread: learns colour and speed, reads half of the digits.",
    ),
}
