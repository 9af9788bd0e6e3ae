"""Where images and clips come from. `build(config, split)` makes the data set that a recipe names."""

from torch.utils.data import Dataset, IterableDataset

from vidgen_lab.core.config import DataConfig
from vidgen_lab.core.errors import unknown
from vidgen_lab.data.digits import Digits, load_digits
from vidgen_lab.data.loader import Batches, batches, collate
from vidgen_lab.data.moving import MovingDigits, captions
from vidgen_lab.data.pixels import Split, to_float, to_uint8
from vidgen_lab.data.ring import Ring
from vidgen_lab.data.shards import Shards, write_shards

__all__ = [
    "Batches",
    "Digits",
    "MovingDigits",
    "Ring",
    "Shards",
    "Split",
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
                seed=seed,
            )
    raise unknown("kind of data", config.kind, ("ring", "digits", "moving-digits"))
