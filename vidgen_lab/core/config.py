"""Presets: what a model is (its config) and how it is trained (its recipe)."""

import types
import typing
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vidgen_lab.core.errors import ArgumentError, unknown

DataKind = Literal[
    "ring", "digits", "moving-digits", "mnist", "fashion-mnist", "moving-mnist", "images", "films", "shards"
]


@dataclass(frozen=True)
class DataConfig:
    """Which data a recipe trains on. Fields that a kind does not use are ignored by it.

    `vidgen_lab.data.build(config, split)` turns it into a data set.
    """

    kind: DataKind = "digits"
    size: int = 28  # height and width of an image or a frame, pixels
    frames: int = 16  # frames a clip
    digits: int = 1  # moving digits in a clip, 1 or 2
    color: bool = False  # six colours on three channels, or grey on one
    subpixel: bool = True  # area-filtered positions, or whole pixels
    turn: bool = False  # the digit veers left or right at mid-clip
    pairs: Literal["all", "seen", "unseen"] = "all"  # moving digits: without, or only with, what is held out
    paraphrase: bool = False  # moving digits: captions in eight forms instead of one
    stride: int = 1  # films: take every stride-th frame
    path: Path | None = None  # images, films, shards: the folder; downloaded sets: where to keep them


@dataclass(frozen=True)
class Optimizer:
    """One optimiser and its schedule. The learning rate at a step is a function of the step alone."""

    kind: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)  # adam, adamw
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"  # from lr to final_lr
    final_lr: float = 0.0  # where a linear or cosine schedule ends
    warmup: int = 0  # steps of linear rise from 0

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ArgumentError(f"lr={self.lr}: the learning rate must be above 0, for instance lr=2e-4.")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ArgumentError(f"betas={self.betas}: both must be at least 0 and below 1, for instance (0.5, 0.999).")
        for name in ("weight_decay", "final_lr", "warmup"):
            if not getattr(self, name) >= 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 0 or more.")


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. `optimizers` maps the name that a phase asks for to its settings."""

    data: DataConfig = field(default_factory=DataConfig)
    batch_size: int = 64  # rows of the whole batch, over all processes and micro-batches
    steps: int = 1000
    optimizers: dict[str, Optimizer] = field(default_factory=lambda: {"main": Optimizer()})
    clip_norm: float | None = None  # largest norm of a phase's gradient
    ema_decay: float | None = None  # None: no averaged copy
    precision: Literal["no", "bf16", "fp16"] = "no"
    accumulate: int = 1  # micro-batches in a batch

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "accumulate"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 1 or more.")
        if self.batch_size % self.accumulate:
            raise ArgumentError(
                f"accumulate={self.accumulate} does not divide batch_size={self.batch_size}. "
                f"Nearest: batch_size={self.batch_size // self.accumulate * self.accumulate or self.accumulate}."
            )
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ArgumentError(f"clip_norm={self.clip_norm}: must be above 0, or None for no clipping.")
        if self.ema_decay is not None and not 0.0 <= self.ema_decay < 1.0:
            raise ArgumentError(f"ema_decay={self.ema_decay}: must be at least 0 and below 1, for instance 0.999.")


@dataclass(frozen=True)
class Preset:
    """A config and a recipe that belong together. `note` says what was measured, or that it is an estimate.

    `stages` names the preset of each model that this one stands on, where it is not the preset of the same name.
    """

    config: Any
    recipe: Recipe
    note: str = ""
    stages: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shared = set(self.config.__dataclass_fields__) & set(Recipe.__dataclass_fields__)
        if shared:
            raise ArgumentError(
                f"{type(self.config).__name__} has a field {min(shared)}, and so has Recipe: an override could mean "
                "either. Rename the one in the config."
            )

    def override(self, **changes: Any) -> "Preset":
        """A copy with fields of the config or of the recipe replaced. A name that neither has raises ArgumentError."""
        config_names, recipe_names = set(self.config.__dataclass_fields__), set(Recipe.__dataclass_fields__)
        for name in changes:
            if name not in config_names | recipe_names:
                raise unknown("setting", name, sorted(config_names | recipe_names))
        in_config = {name: value for name, value in changes.items() if name in config_names}
        in_recipe = {name: value for name, value in changes.items() if name not in config_names}
        return replace(self, config=replace(self.config, **in_config), recipe=replace(self.recipe, **in_recipe))


def to_json(settings: Any) -> dict[str, Any]:
    """A config or recipe as plain JSON values."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return plain(asdict(settings))


def from_json(cls: type, values: dict[str, Any]) -> Any:
    """The dataclass `cls` from what `to_json` wrote. A field that `cls` does not have raises ArgumentError."""
    hints = typing.get_type_hints(cls)
    for name in values:
        if name not in hints:
            raise unknown(f"field of {cls.__name__}", name, hints)
    return cls(**{name: _restore(hints[name], value) for name, value in values.items()})


def _restore(hint: Any, value: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin in (typing.Union, types.UnionType):
        return _restore(next(arg for arg in args if arg is not type(None)), value)
    if is_dataclass(hint):
        return from_json(hint, value)
    if origin is dict:
        return {key: _restore(args[1], item) for key, item in value.items()}
    if origin is tuple:
        item_hints = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(_restore(item_hint, item) for item_hint, item in zip(item_hints, value, strict=True))
    return Path(value) if hint is Path else value
