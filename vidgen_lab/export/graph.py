"""What is exported as one file: a function of tensors, and the shapes and ranges of what goes in and comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.nn.labels import VALUES


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Args:
        shape: whole numbers, and names for axes of any length: `("batch", 64)`.
        low, high: the range of its numbers. Without them: normal noise with standard deviation `std`.
        whole: int64 instead of float32.
    """

    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | None = None
    std: float = 1.0
    whole: bool = False

    def draw(self, sizes: dict[str, int], generator: torch.Generator | None = None) -> Tensor:
        """Numbers in range, for instance to try the graph; `sizes` gives the length of each named axis."""
        shape = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.shape)
        if self.low is None or self.high is None:
            return self.std * torch.randn(shape, generator=generator)
        if self.whole:
            return torch.randint(int(self.low), int(self.high) + 1, shape, generator=generator)
        return self.low + (self.high - self.low) * torch.rand(shape, generator=generator)

    def as_json(self) -> dict[str, Any]:
        numbers = {"normal": self.std} if self.low is None else {"range": [self.low, self.high]}
        return {"shape": list(self.shape), "dtype": "int64" if self.whole else "float32", **numbers}


@dataclass(frozen=True)
class Graph:
    """What is exported as one file: `call` takes the inputs and gives the outputs, each in their order."""

    call: Callable[..., Tensor | tuple[Tensor, ...]]
    inputs: dict[str, Port]
    outputs: dict[str, Port]


def picture(*axes: int | str) -> Port:
    return Port(("batch", *axes), -1.0, 1.0)


def label(values: int) -> Port:
    return Port(("batch",), 0, values - 1, whole=True)


def label_ports(names: Sequence[str]) -> dict[str, Port]:
    return {name: label(VALUES[name]) for name in names}
