"""Draw: all randomness of training, as a pure function of (seed, step, phase, name).

A phase asks `draw.normal("latent", (batch, 100))`. The numbers are drawn for the whole global batch, and this process
gets its rows. So a resumed run repeats exactly, and one process with 64 rows sees what two processes with 32 see.
"""

import copy
import hashlib

import torch
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError


def fold(*key: int | str) -> int:
    """A 63-bit seed from any tuple of numbers and names. Equal keys give equal seeds, on every machine."""
    digest = hashlib.sha256("/".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Draw:
    """The random numbers of one training step.

    Args:
        seed: seed of the run.
        step: this step, from 0. A loss may use it (`if draw.step % 16 == 0`).
        steps: steps of the whole run, for what changes over a run.
        shard, shards: which part of the global batch this process (and micro-batch) holds, out of how many.
        device: where the numbers end up. They are always drawn on the CPU, so that they do not depend on the device.

    The same name in the same phase gives the same numbers again: use a name of its own for each need.
    """

    def __init__(
        self, seed: int, step: int = 0, steps: int = 1, *, shard: int = 0, shards: int = 1, device: str = "cpu"
    ) -> None:
        self.seed, self.step, self.steps = seed, step, steps
        self.device = torch.device(device)
        self._phase = ""
        self._shard, self._shards = shard, shards

    def at(self, phase: str) -> "Draw":
        """This draw inside a phase; the model's `forward` calls it."""
        draw = copy.copy(self)
        draw._phase = phase
        return draw

    def shared(self) -> "Draw":
        """A draw that is the same on all rows and processes: subsampling offsets, frame times.

        `draw.shared().randint("offset", (), 0, 4)` is one number for the whole global batch.
        """
        draw = copy.copy(self)
        draw._shard, draw._shards = 0, 1
        draw._phase += "/shared"
        return draw

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers, float32. The first axis of `shape` counts this process's rows."""
        return self._rows(shape, lambda whole, generator: torch.randn(whole, generator=generator), name)

    def uniform(self, name: str, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers in [low, high), float32. The first axis of `shape` counts this process's rows."""
        return (
            self._rows(shape, lambda whole, generator: torch.rand(whole, generator=generator), name) * (high - low)
            + low
        )

    def randint(self, name: str, shape: tuple[int, ...], low: int, high: int) -> Tensor:
        """Uniform integers in [low, high), int64. The first axis of `shape` counts this process's rows."""
        return self._rows(shape, lambda whole, generator: torch.randint(low, high, whole, generator=generator), name)

    def _rows(self, shape, sampler, name: str) -> Tensor:
        if self._shards > 1 and not shape:
            raise ArgumentError(
                f'draw of "{name}" with shape (): it has no rows to hand out. Use draw.shared() for one number.'
            )
        rows = shape[0] if shape else 0
        whole = (rows * self._shards, *shape[1:]) if shape else ()
        generator = torch.Generator().manual_seed(fold(self.seed, self.step, self._phase, name))
        numbers = sampler(whole, generator)
        if self._shards > 1:
            numbers = numbers[self._shard * rows : (self._shard + 1) * rows]
        return numbers.to(self.device)
