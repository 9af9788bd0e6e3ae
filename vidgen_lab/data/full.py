"""The full data sets that need a network once: MNIST, Fashion-MNIST and Moving MNIST, through torchvision.

torchvision knows where the files are and how they are read. We fetch them with `download`, which says sizes and checks
hashes; torchvision then finds them in place.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from vidgen_lab.core.errors import ArgumentError, DataError
from vidgen_lab.data.counter import check_indices
from vidgen_lab.data.digits import LabelledImages, resize
from vidgen_lab.data.download import download
from vidgen_lab.data.pixels import Split, check_at_least, check_split, to_float

MOVING_MNIST_MD5 = "be083ec986bfe91a449d63653c411eb2"  # as torchvision checks it
NUM_MOVING_TRAIN = 9_000


def default_folder() -> Path:
    """Where downloaded data is kept when no folder is given: `vidgen_lab` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidgen_lab"


class FullDigits(LabelledImages):
    """MNIST or Fashion-MNIST in full: 60,000 images to train, 10,000 to test. Items are those of `Digits`.

    For Fashion-MNIST `digit` is the class: 0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
    7 sneaker, 8 bag, 9 ankle boot. Downloads 12 MB or 31 MB into `path` unless they are there. Raises DataError when
    they cannot be had.
    """

    def __init__(
        self, kind: Literal["mnist", "fashion-mnist"], split: Split = "train", size: int = 28, path: Path | None = None
    ) -> None:
        from torchvision import datasets

        known = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}
        if kind not in known:
            raise ArgumentError(f'kind="{kind}": must be "mnist" or "fashion-mnist".')
        source, root = known[kind], Path(path) if path else default_folder()
        check_split(split), check_at_least("size", size, 4)
        raw = root / source.__name__ / "raw"
        for name, md5 in source.resources:
            if not (raw / name).with_suffix("").exists():
                _from_first(source.mirrors, name, raw / name, md5)
        try:
            data = source(root, train=split == "train", download=True)  # unpacks what is in place
        except (RuntimeError, OSError, ValueError, EOFError) as error:
            raise DataError(f"{raw}: cannot be read ({error}). Remove the folder to download it again.") from error
        super().__init__(resize(data.data, size), data.targets.long())


class MovingMNIST(Dataset):
    """The published test set of Moving MNIST: 10,000 clips of two digits, 20 frames of 64x64.

    From Srivastava, Mansimov and Salakhutdinov (2015). Item: `video` (1, frames, size, size) float32 in [-1, 1]; there
    are no labels. It has no split of its own: the first 9,000 clips are train here, the last 1,000 test. `frames` up to
    20, taken from the beginning; `size` 64 or a divisor of it, by averaging. Downloads 819 MB into `path` unless it is
    there; clips are read from disk when asked for.
    """

    def __init__(self, split: Split = "train", *, frames: int = 20, size: int = 64, path: Path | None = None) -> None:
        from torchvision import datasets

        if not 1 <= frames <= 20:
            raise ArgumentError(f"frames={frames}: the clips of Moving MNIST have 20 frames.")
        if not 1 <= size <= 64 or 64 % size:
            raise ArgumentError(f"size={size}: Moving MNIST is 64 pixels wide; use 64, 32, 16 or 8.")
        url = datasets.MovingMNIST._URL
        file = (Path(path) if path else default_folder()) / "MovingMNIST" / url.rsplit("/", 1)[-1]
        if not file.exists():
            download(url, file, MOVING_MNIST_MD5, kind="md5")
        try:
            clips = np.load(file, mmap_mode="r", allow_pickle=False)  # (20, 10000, 64, 64)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{file}: cannot be read ({error}). Remove it to download it again.") from error
        part = slice(None, NUM_MOVING_TRAIN) if check_split(split) == "train" else slice(NUM_MOVING_TRAIN, None)
        self._clips, self.size = clips[:frames, part], size

    def __len__(self) -> int:
        return self._clips.shape[1]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        check_indices([index], len(self))
        clip = torch.from_numpy(np.array(self._clips[:, index]))  # (T, 64, 64) uint8
        if self.size < 64:
            clip = F.avg_pool2d(clip.float(), 64 // self.size).round().to(torch.uint8)
        return {"video": to_float(clip)[None]}


def _from_first(mirrors: Sequence[str], name: str, path: Path, md5: str) -> None:
    """Download from the first mirror that has it; the last one's error otherwise."""
    for place, mirror in enumerate(mirrors):
        try:
            download(mirror + name, path, md5, kind="md5")
            return
        except DataError:
            if place == len(mirrors) - 1:
                raise
