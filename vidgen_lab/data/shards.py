"""Clips in WebDataset tar shards: for data that outgrows one disk, read front to back, a clip in memory at a time.

A shard is a plain tar. Clip k of the data set is two files: `00000000k.video.npy` (or `.image.npy`), the pixels as
uint8, and `00000000k.json`, its labels and the CRC-32 of the pixels. `shards.json` beside the shards lists them with
their number of clips; it is written last, so a folder with it is whole. Nothing is pickled.
"""

import io
import itertools
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info
from tqdm.auto import tqdm
from webdataset import TarWriter
from webdataset.tariterators import group_by_keys, tar_file_expander

from vidgen_lab.core.errors import ArgumentError, DataError
from vidgen_lab.data.atomic import appears_whole
from vidgen_lab.data.counter import permutation
from vidgen_lab.data.pixels import check_at_least, to_float, to_uint8

INDEX = "shards.json"
_PIXELS = ("video", "image")


def write_shards(dataset: Dataset, path: Path | str, clips_per_shard: int = 1000, *, seed: int | None = None) -> Path:
    """Write a map-style data set into the folder `path`, in its order, or shuffled when a `seed` is given.

    Clips keep their order within a shard when they are read, so shuffle films here. An item needs a `video` or an
    `image` in [-1, 1] made of bytes; other entries are int64 tensors and strings. Reading gives every bit back.
    A shard appears under its name only when it is whole. Raises ArgumentError for items that cannot be kept exactly,
    and DataError when the folder already holds shards or cannot be written.
    """
    check_at_least("clips_per_shard", clips_per_shard, 1)
    folder, length = Path(path), len(dataset)
    if (folder / INDEX).exists():
        raise DataError(f"{folder} already holds shards. Give another folder, or remove it first.")
    order = range(length) if seed is None else permutation(seed, "shards", length).tolist()
    index: dict[str, Any] = {"format": 1, "shards": {}, "shape": {}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tqdm(total=length, unit="clip", desc=f"writing {folder.name}") as bar:
            for number, first in enumerate(range(0, length, clips_per_shard)):
                rows = order[first : first + clips_per_shard]
                name = f"shard-{number:06d}.tar"
                with appears_whole(folder / name) as file, TarWriter(file, encoder=False, mtime=0) as tar:
                    for key, row in enumerate(rows, first):
                        sample, shape = _encode(dataset[row])
                        tar.write({"__key__": f"{key:09d}", **sample})
                        bar.update()
                index["shards"][name], index["shape"] = len(rows), shape
        with appears_whole(folder / INDEX) as file:
            file.write(json.dumps(index, indent=1).encode())
    except OSError as error:
        raise DataError(f"{folder}: cannot write the shards ({error.strerror or error}).") from error
    return folder


class Shards(IterableDataset):
    """The shards in a folder that `write_shards` made. Iterating gives each clip once, in order, as a `Dataset` item.

    Loader workers share the shards out among themselves. For training, `vidgen_lab.data.batches` reads `stream`.
    `shape` maps `video` or `image` to its shape. Raises DataError when the folder holds no whole set of shards, and
    when a damaged shard is read: cut short, bytes changed, clips missing.
    """

    def __init__(self, path: Path | str) -> None:
        self.folder = Path(path)
        try:
            index = json.loads((self.folder / INDEX).read_text())
            self.counts: dict[str, int] = index["shards"]
            self.shape: dict[str, tuple[int, ...]] = {name: tuple(shape) for name, shape in index["shape"].items()}
        except FileNotFoundError as error:
            raise DataError(
                f"{self.folder}: no {INDEX} here. Write the shards with write_shards; if that was interrupted, "
                "remove the folder and write it again."
            ) from error
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(f"{self.folder / INDEX}: cannot be read ({error}). Write the shards again.") from error
        if not self.counts:
            raise DataError(f"{self.folder}: holds no shards. Write them with write_shards.")
        missing = [name for name in self.counts if not (self.folder / name).exists()]
        if missing:
            count = f"{len(missing)} of {len(self.counts)}"
            raise DataError(f"{self.folder}: {count} shards are missing, the first is {missing[0]}. Write them again.")

    def __len__(self) -> int:
        """Number of clips in all shards."""
        return sum(self.counts.values())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for name in list(self.counts)[first::step]:
            yield from self._read(name)

    def stream(
        self, seed: int, *, start: int = 0, part: int = 0, parts: int = 1
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Endless pairs (shard, item). The shards of all epochs, each epoch shuffled, form one numbered sequence.

        Reader `part` of `parts` takes the shards whose number is `part` modulo `parts`, from number `start` on.
        """
        names = list(self.counts)
        for epoch in itertools.count(start // len(names)):
            order = permutation(seed, f"shards {epoch}", len(names))
            for number in range(max(start, epoch * len(names)), (epoch + 1) * len(names)):
                if number % parts == part:
                    for item in self._read(names[order[number % len(names)]]):
                        yield number, item

    def _read(self, name: str) -> Iterator[dict[str, Any]]:
        path, clips = self.folder / name, 0
        try:
            with open(path, "rb") as file:
                for sample in group_by_keys(tar_file_expander([{"url": name, "stream": file}])):
                    yield _decode(sample)
                    clips += 1
        except (OSError, tarfile.TarError, zlib.error, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{path}: the shard is damaged after {clips} clips ({error}). Write it again.") from error
        if clips != self.counts[name]:
            count = f"{clips} of {self.counts[name]}"
            raise DataError(f"{path}: the shard is damaged, it holds {count} clips. Write it again.")


def _encode(item: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, list[int]]]:
    names = [name for name in _PIXELS if name in item]
    if len(names) != 1:
        raise ArgumentError(f"an item with {', '.join(item)}: shards hold items with one video or one image each.")
    pixels = to_uint8(item[names[0]])
    if not torch.equal(to_float(pixels), item[names[0]]):
        raise ArgumentError(f"{names[0]}: its values are not bytes scaled to [-1, 1], so a shard would change them.")
    labels = {}
    for name, value in item.items():
        if name in _PIXELS:
            continue
        if not isinstance(value, str) and not (isinstance(value, Tensor) and value.dtype == torch.int64):
            raise ArgumentError(f"{name}: a label must be an int64 tensor or a string, to come back exactly as it was.")
        labels[name] = value if isinstance(value, str) else value.tolist()
    raw = io.BytesIO()
    np.save(raw, pixels.numpy(), allow_pickle=False)
    info = {"crc32": zlib.crc32(raw.getvalue()), "labels": labels}
    return {f"{names[0]}.npy": raw.getvalue(), "json": json.dumps(info).encode()}, {names[0]: list(pixels.shape)}


def _decode(sample: dict[str, Any]) -> dict[str, Any]:
    name = next((name for name in _PIXELS if f"{name}.npy" in sample), None)
    if name is None or "json" not in sample:
        raise ValueError(f"clip {sample.get('__key__')} is incomplete")
    raw, info = sample[f"{name}.npy"], json.loads(sample["json"])
    if zlib.crc32(raw) != info["crc32"]:
        raise ValueError(f"clip {sample['__key__']} does not match its checksum")
    labels = {key: value if isinstance(value, str) else torch.tensor(value) for key, value in info["labels"].items()}
    return {name: to_float(np.load(io.BytesIO(raw), allow_pickle=False)), **labels}
