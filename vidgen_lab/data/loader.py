"""Batches for training: an endless stream that can be stopped, and resumed elsewhere, without a batch changing."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, get_worker_info

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.data.counter import permutation
from vidgen_lab.data.pixels import check_at_least
from vidgen_lab.data.shards import Shards

Batch = dict[str, Tensor | list[str]]
_SHARD = "_shard"  # the key under which a streamed clip says which shard it is from


def collate(items: Batch | list[dict[str, Any]]) -> Batch:
    """Items to a batch: tensors and numbers are stacked, strings become a list. A batch passes through."""
    if isinstance(items, dict):
        return items
    batch: Batch = {}
    for name, first in items[0].items():
        values = [item[name] for item in items]
        if isinstance(first, str):
            batch[name] = values
        else:
            batch[name] = torch.stack(values) if isinstance(first, Tensor) else torch.tensor(values)
    return batch


class Batches(Iterator[Batch]):
    """What `batches` returns: an endless iterator. Its `position` goes into JSON and back into `batches(start=...)`."""

    def __init__(self, loader: DataLoader, start: dict[str, int]) -> None:
        self._batches, self._position = iter(loader), dict(start)

    @property
    def position(self) -> dict[str, int]:
        """Where the next batch is: `step`, and for shards also `shard`, the number of the next shard in the stream."""
        return dict(self._position)

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self._position["step"] += 1
        if _SHARD in batch:
            self._position["shard"] = max(self._position["shard"], int(batch.pop(_SHARD).max()) + 1)
        return batch


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int = 0,
    start: dict[str, int] | None = None,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
) -> Batches:
    """An endless stream of batches of `batch_size` rows over all `world` processes; each gets its share of the rows.

    Map-style data: each epoch is a shuffle, its last incomplete batch is dropped, and the batch of step s depends on
    (seed, s) alone. Process `rank` gets rows `rank * batch_size / world` to `(rank + 1) * batch_size / world`.
    A stream with `start={"step": k}` goes on exactly as an uninterrupted one from step k.

    Shards: each process, and each worker in it, reads its own shards, shuffled anew each epoch. A stream that starts at
    a `position` goes on with the shards after those begun. `workers` is the number of loader processes (0: none).
    The global random generators are left as they are. Raises ArgumentError for a batch that cannot be had.
    """
    check_at_least("batch_size", batch_size, 1)
    if not 0 <= rank < world:
        raise ArgumentError(f"rank={rank}: with world={world} processes it must be from 0 to {world - 1}.")
    if batch_size % world:
        raise ArgumentError(f"batch_size={batch_size}: must be a multiple of the {world} processes.")
    rows = batch_size // world
    position = {"step": 0, **(start or {})}
    if isinstance(dataset, IterableDataset):
        if not isinstance(dataset, Shards):
            raise ArgumentError(f"{type(dataset).__name__}: the only streams are Shards; other data must be map-style.")
        position = {"shard": 0, **position}
        source = _ShardStream(dataset, seed, position["shard"], rank, world)
        options = {"batch_size": rows}
    else:
        if len(dataset) < batch_size:
            raise ArgumentError(
                f"batch_size={batch_size}: the data set has {len(dataset)} items, so at most batch_size={len(dataset)}."
            )
        source = dataset
        options = {"batch_sampler": _Schedule(len(dataset), batch_size, seed, position["step"], rank * rows, rows)}
    loader = DataLoader(
        source, num_workers=workers, collate_fn=collate, generator=torch.Generator().manual_seed(0), **options
    )
    return Batches(loader, position)


class _Schedule(Sampler[list[int]]):
    """Which items this process takes at each step, from `start` on, for ever."""

    def __init__(self, length: int, batch_size: int, seed: int, start: int, first_row: int, rows: int) -> None:
        self.length, self.batch_size, self.seed, self.start = length, batch_size, seed, start
        self.first_row, self.rows = first_row, rows

    def __iter__(self) -> Iterator[list[int]]:
        steps, shuffled = self.length // self.batch_size, -1
        for step in itertools.count(self.start):
            epoch, within = divmod(step, steps)
            if epoch != shuffled:
                order, shuffled = permutation(self.seed, f"epoch {epoch}", self.length), epoch
            first = within * self.batch_size + self.first_row
            yield order[first : first + self.rows].tolist()


class _ShardStream(IterableDataset):
    """This process's part of the endless stream of shards, divided among its loader workers."""

    def __init__(self, shards: Shards, seed: int, start: int, rank: int, world: int) -> None:
        self.shards, self.seed, self.start, self.rank, self.world = shards, seed, start, rank, world

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        index, count = (worker.id, worker.num_workers) if worker else (0, 1)
        part, parts = self.rank * count + index, self.world * count
        for shard, item in self.shards.stream(self.seed, start=self.start, part=part, parts=parts):
            yield {**item, _SHARD: shard}
