"""Where images and clips come from. `build(config, split)` makes the data set that a recipe names."""

from typing import get_args

from torch.utils.data import Dataset, IterableDataset

from vidgen_lab.core.config import DataConfig, DataKind
from vidgen_lab.core.errors import ArgumentError, unknown
from vidgen_lab.data.digits import Digits, load_digits
from vidgen_lab.data.films import Images, VideoFolder
from vidgen_lab.data.full import FullDigits, MovingMNIST
from vidgen_lab.data.loader import Batches, batches, collate
from vidgen_lab.data.moving import MovingDigits, captions
from vidgen_lab.data.pixels import Split, to_float, to_uint8
from vidgen_lab.data.ring import Ring
from vidgen_lab.data.shards import Shards, write_shards

__all__ = [
    "Batches",
    "Digits",
    "FullDigits",
    "Images",
    "MovingDigits",
    "MovingMNIST",
    "Ring",
    "Shards",
    "Split",
    "VideoFolder",
    "batches",
    "build",
    "captions",
    "collate",
    "load_digits",
    "to_float",
    "to_uint8",
    "write_shards",
]


def build(config: DataConfig, split: Split = "train", seed: int = 0) -> Dataset | IterableDataset:
    """The data set that a config names. `seed` matters where items are made on the fly, or shards are shuffled."""
    if config.kind in ("images", "films", "shards") and config.path is None:
        raise ArgumentError(f'path=None: data of the kind "{config.kind}" is read from a folder; give its path.')
    match config.kind:
        case "ring":
            return Ring(split, seed=seed)
        case "digits":
            return Digits(split, config.size)
        case "moving-digits":
            return MovingDigits(
                split,
                size=config.size,
                frames=config.frames,
                digits=config.digits,
                color=config.color,
                subpixel=config.subpixel,
                turn=config.turn,
                pairs=config.pairs,
                paraphrase=config.paraphrase,
                seed=seed,
            )
        case "mnist" | "fashion-mnist":
            return FullDigits(config.kind, split, config.size, config.path)
        case "moving-mnist":
            return MovingMNIST(split, frames=config.frames, size=config.size, path=config.path)
        case "images":
            return Images(config.path, config.size, split=split)
        case "films":
            return VideoFolder(config.path, frames=config.frames, size=config.size, stride=config.stride, split=split)
        case "shards":
            return _shards(config, split)
    raise unknown("kind of data", config.kind, get_args(DataKind))


def _shards(config: DataConfig, split: Split) -> Shards:
    """The shards in the folder of the split; a folder without splits is all train. Their clips must fit the config."""
    inside = config.path / split
    shards = Shards(config.path if split == "train" and not inside.is_dir() else inside)
    for name, (_, *frames, height, width) in shards.shape.items():
        wanted = (*([config.frames] if frames else []), config.size, config.size)
        if (*frames, height, width) != wanted:
            raise ArgumentError(
                f"{shards.folder} holds {name}s of {_by(*frames, height, width)}, the config asks for {_by(*wanted)}. "
                f"Set size={height}{f' and frames={frames[0]}' if frames else ''}, or write the shards anew."
            )
    return shards


def _by(*sizes: int) -> str:
    return " x ".join(str(size) for size in sizes)
