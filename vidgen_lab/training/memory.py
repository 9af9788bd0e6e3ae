"""How much memory a training step needs, before there is any: the step is run on the meta device.

There, tensors have a shape and no numbers. Each phase runs forward and backward, and a counter adds up the bytes of the
tensors that are alive at the same time. While a convolution runs, what it reads and writes counts twice: the libraries
that compute it lay both out anew.

Chapter: book/video/conv3d.md. Lab: notebooks/04_conv3d.ipynb.
"""

import copy
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from vidgen_lab.core import Batch, Draw, Model

MOMENTS = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 0}  # numbers that an optimiser keeps for each weight
CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


@dataclass(frozen=True)
class Memory:
    """Bytes that a training step needs at its worst moment.

    Activations are what a phase makes and drops again: maps, of which most wait for the backward pass, and gradients,
    those of the weights with them. Each phase has its own peak; the step needs the largest.
    """

    weights: int  # parameters and buffers
    optimizer: int  # what the optimisers remember
    average: int  # the averaged copy
    batch: int
    phases: dict[str, int]  # peak of the activations in each phase

    @property
    def activations(self) -> int:
        return max(self.phases.values())

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.average + self.batch + self.activations


def predict_memory(model: Model, batch: Batch) -> Memory:
    """What a step of `fit` on such a batch needs, in float32 and without micro-batches; lazy penalties are included.

    Args:
        model: with a recipe. It is copied to the meta device and stays as it is.
        batch: as training gives it. Only shapes count: tensors of the meta device will do.
    """
    model = copy.deepcopy(model).to("meta").train()
    batch = {key: value.to("meta") if isinstance(value, Tensor) else value for key, value in batch.items()}
    phases = {}
    for phase in model.phases:
        with LiveBytes() as live:
            model(phase.name, batch, Draw(0, 0, device="meta")).total.backward()  # at step 0 every penalty is due
        phases[phase.name] = live.peak
        model.zero_grad()
    moved = {(phase.optimizer_name, child) for phase in model.phases for child in phase.updates}
    moments = [
        MOMENTS[model.recipe.optimizers[name].kind] * nbytes(getattr(model, child).parameters())
        for name, child in moved
    ]
    return Memory(
        weights=nbytes([*model.parameters(), *model.buffers()]),
        optimizer=sum(moments),
        average=nbytes(model.averaged_tensors().values()) if model.recipe.ema_decay is not None else 0,
        batch=nbytes(value for value in batch.values() if isinstance(value, Tensor)),
        phases=phases,
    )


def nbytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of their numbers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class LiveBytes(TorchDispatchMode):
    """Inside, every tensor that is made counts until it is dropped: `now`, and `peak`, the most at one time, in bytes.

    A view adds nothing, since it shares its numbers with another tensor. What was made before adds nothing either.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._counted: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        given, made = _storages((args, kwargs)), _storages(out)
        for key in made.keys() - given.keys():
            self._count(made[key])
        copies = {**given, **made}.values() if function in CONVOLUTIONS else ()
        self.peak = max(self.peak, self.now + sum(storage.nbytes() for storage in copies))
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._counted:
            self._counted.add(storage)
            self.now += storage.nbytes()
            weakref.finalize(storage, self._drop, storage.nbytes())

    def _drop(self, size: int) -> None:
        self.now -= size


def _storages(tree: Any) -> dict[int, torch.UntypedStorage]:
    """Where the numbers of all tensors in nested arguments lie, each place once."""
    storages = (item.untyped_storage() for item in tree_iter(tree) if isinstance(item, Tensor))
    return {storage._cdata: storage for storage in storages}
