"""Model: the one interface between a paper's file and everything that trains, samples, measures or draws it.

A model file writes down its networks (direct children), its phases, one loss method a phase, and how it samples:

    class GAN(Model):
        phases = (Phase("discriminator", updates=("discriminator",)), Phase("generator", updates=("generator",)))

        def discriminator_loss(self, batch, draw): ...   # -> Losses
        def generator_loss(self, batch, draw): ...       # -> Losses
        def _sample(self, n, frames, condition, generator): ...
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from vidgen_lab.core.config import Preset, Recipe, to_json
from vidgen_lab.core.draw import Draw
from vidgen_lab.core.errors import ArgumentError, unknown

Batch = Mapping[str, Any]
"""`video (B, C, T, H, W)` or `image (B, C, H, W)` in [-1, 1], or `points (B, 2)`; labels int64 `(B,)` or `(B, digits)`;
`caption` a list of strings; a condition may hold `prefix (B, C, t, H, W)` too."""


@dataclass(frozen=True)
class Phase:
    """One optimiser step inside a training step.

    Args:
        name: the model's method `{name}_loss` computes its loss.
        updates: names of the direct children whose parameters it moves.
        optimizer: key into the recipe's `optimizers`; two phases may share one. Empty: the phase's own name.
        every: it runs when `step % every == 0` (a critic 1, its generator 5).
    """

    name: str
    updates: tuple[str, ...]
    optimizer: str = ""
    every: int = 1

    @property
    def optimizer_name(self) -> str:
        return self.optimizer or self.name


@dataclass
class Losses:
    """What a phase returns. The sum of `terms` is minimised; `log` holds further numbers worth a curve."""

    terms: dict[str, Tensor]
    log: dict[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        return torch.stack([term for term in self.terms.values()]).sum()


class Model(nn.Module):
    """Base of all models. `config` holds every size; `recipe` (or None) says how `fit` trains it."""

    name: ClassVar[str] = ""
    presets: ClassVar[dict[str, Preset]] = {}
    output: ClassVar[Literal["points", "image", "video", "codes", "labels", "embedding"]] = "image"
    phases: tuple[Phase, ...] = ()
    conditions: ClassVar[tuple[str, ...]] = ()  # batch keys that `sample(condition=...)` understands
    averaged: ClassVar[tuple[str, ...]] = ()  # children with an EMA copy, the ones that sampling uses
    frozen: ClassVar[tuple[str, ...]] = ()  # children that are never trained here (a tokenizer)
    stands_on: ClassVar[dict[str, str]] = {}  # child -> its model in the zoo, {"tokenizer": "vqvae"}; frozen too
    validates: ClassVar[bool] = False  # whether `validation_loss` exists; then `fit` keeps the best state

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.frozen = tuple(dict.fromkeys((*cls.frozen, *cls.stands_on)))

    def __init__(self, config: Any, recipe: Recipe | None = None) -> None:
        super().__init__()
        self.config, self.recipe, self.preset = config, recipe, ""
        self.trained = False  # whether the weights came from training, here or in the file they were loaded from
        self.ema: dict[str, Tensor] | None = None  # averaged weights, by their name in the state dict

    # training

    def forward(self, phase: str, batch: Batch, draw: Draw) -> Losses:
        """Losses of one phase. Gradients are on for the phase's children only."""
        updates = self.phase(phase).updates
        for name, child in self.named_children():
            child.requires_grad_(name in updates)
        return getattr(self, f"{phase}_loss")(batch, draw.at(phase))

    def phase(self, name: str) -> Phase:
        """The phase of that name; ArgumentError for any other."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise unknown("phase", name, [phase.name for phase in self.phases])

    def after_step(self, phase: str, draw: Draw) -> None:
        """What a paper does to the weights after the optimiser's step (singular value clipping, retraction)."""

    def validation_loss(self, batch: Batch, draw: Draw) -> Tensor:
        """A scalar on held-out data, lower is better, for models that set `validates`."""
        raise ArgumentError(f"{self.name} declares no validation loss.")

    def train(self, mode: bool = True) -> "Model":
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    # weights

    def averaged_tensors(self) -> dict[str, Tensor]:
        """Live parameters and buffers of the children that have an averaged copy, by name."""
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: tensor for name, tensor in tensors.items() if name.split(".")[0] in self.averaged}

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Inside, the model carries its averaged weights, if it has any."""
        if self.ema is None:
            yield
            return
        tensors = self.averaged_tensors()
        live = {name: tensor.data for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            tensor.data = self.ema[name].to(tensor.device)
        try:
            yield
        finally:
            for name, tensor in tensors.items():
                tensor.data = live[name]

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Eval mode, no gradients, averaged weights: how a model samples, encodes and decodes."""
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad(), self.averaged_weights():
                yield
        finally:
            self.train(was_training)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    # sampling

    def sample(
        self,
        n: int,
        *,
        frames: int | None = None,
        condition: Batch | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Tensor:
        """Draws n samples, images or clips in [-1, 1], in eval mode with the averaged weights.

        Args:
            n: how many.
            frames: length of the clips; None: as trained. A model that cannot make that length says which it can.
            condition: any subset of `self.conditions`, n rows each.
            generator: a CPU generator; the same seed gives the same samples. None: torch's global one.
            options: what `sampling_options()` lists, for instance temperature.

        Raises:
            ArgumentError: for anything this model cannot do, saying what it can.
        """
        if n < 1:
            raise ArgumentError(f"n={n}: ask for 1 sample or more.")
        if frames is not None and self.output != "video":
            raise ArgumentError(
                f"frames={frames}: {self.name} makes a single {self.output}, not a clip. Leave frames out."
            )
        offered = self.sampling_options()
        for option in options:
            if option not in offered:
                raise unknown(
                    "sampling option", option, offered, f"({self.name} offers {', '.join(offered) or 'none'})"
                )
        condition = self._checked_condition(n, condition)
        with self.inference():
            return self._sample(n, frames, condition, generator, **options)

    def sampling_options(self) -> dict[str, Any]:
        """Options of `sample` beyond the common ones, with their defaults: the keyword-only arguments of `_sample`."""
        parameters = inspect.signature(self._sample).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch | None:
        """A condition for n samples, for models that cannot do without one. None: no condition needed."""
        return None

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        raise ArgumentError(
            f"{self.name} makes no samples; it gives {self.output}. vidgen list shows which models sample."
        )

    def _checked_condition(self, n: int, condition: Batch | None) -> Batch:
        checked = {}
        for key, value in (condition or {}).items():
            if key not in self.conditions:
                raise unknown(
                    "condition", key, self.conditions, f"({self.name} takes {', '.join(self.conditions) or 'none'})"
                )
            if len(value) != n:
                raise ArgumentError(f'condition "{key}" has {len(value)} rows for n={n} samples. Give {n} rows.')
            checked[key] = value.to(self.device) if isinstance(value, Tensor) else value
        return checked


def latent_normal(n: int, dim: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Sampling noise `(n, dim)`, drawn on the CPU so that a seed means the same on every device."""
    return torch.randn(n, dim, generator=generator).to(device)


def describe(model: Model) -> dict[str, Any]:
    """What rebuilds an untrained copy of the model, as JSON values: name, preset, config, recipe, and its stages."""
    return {
        "model": model.name,
        "preset": model.preset,
        "config": to_json(model.config),
        "recipe": to_json(model.recipe) if model.recipe else None,
        "stages": {child: describe(getattr(model, child)) for child in model.stands_on},
    }


def count_parameters(module: nn.Module) -> dict[str, int]:
    """Parameters of each direct child, by name; also works on the meta device."""
    return {name: sum(p.numel() for p in child.parameters()) for name, child in module.named_children()}
