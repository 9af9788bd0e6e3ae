"""MNIST-10k: ten thousand real handwritten digits, small enough to live inside the package.

The npz was shuffled once when it was made (`files/rebuild_mnist10k.py`): its first 8,000 images are the train split,
its last 2,000 the test split. Licence and origin: `files/LICENSE-mnist.md`.
"""

import hashlib
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from vidgen_lab.core.errors import DataError
from vidgen_lab.data.pixels import Split, check_at_least, check_split, to_float

FILE = Path(__file__).parent / "files" / "mnist10k.npz"
SHA256 = "55fdb993b351a7fbef3d0232925db67753f021dbd9ca52bc29eb754cf861bf7c"
NUM_TRAIN = 8_000


@cache
def load_digits(split: Split = "train") -> tuple[np.ndarray, np.ndarray]:
    """All images `(N, 28, 28)` uint8 and labels `(N,)` int64 of a split: 8,000 to train, 2,000 to test. Read-only.

    Raises DataError when the file is missing or its SHA-256 is not that of the package.
    """
    images, labels = _read(FILE)
    part = slice(None, NUM_TRAIN) if check_split(split) == "train" else slice(NUM_TRAIN, None)
    return images[part], labels[part]


@cache
def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the digits ({error.strerror}). Install vidgen_lab again.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(f"{path}: SHA-256 is {found}, expected {SHA256}. It is damaged: install vidgen_lab again.")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def resize(images: Tensor, size: int) -> Tensor:
    """uint8 images `(N, 28, 28)` to `(N, size, size)`.

    28 and 32 keep every pixel (32 adds two black ones on each side). Smaller sizes average areas, others interpolate.
    """
    if size == 28:
        return images
    if size == 32:
        return F.pad(images, (2, 2, 2, 2))
    mode = {"mode": "area"} if size < 28 else {"mode": "bilinear", "align_corners": False}
    return F.interpolate(images[:, None].float(), (size, size), **mode)[:, 0].round().to(torch.uint8)


class LabelledImages(Dataset):
    """Images held in memory as bytes. Item: `image` (1, H, W) float32 in [-1, 1], `digit` int64 scalar.

    `images` (N, H, W) uint8 and `labels` (N,) int64 hold all of them.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"image": to_float(self.images[index])[None], "digit": self.labels[index].clone()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch at once: `image` (B, 1, H, W), `digit` (B,)."""
        rows = torch.as_tensor(indices)
        return {"image": to_float(self.images[rows])[:, None], "digit": self.labels[rows]}


class Digits(LabelledImages):
    """MNIST-10k. Item: `image` (1, size, size) float32 in [-1, 1], `digit` int64 scalar. `resize` makes the size."""

    def __init__(self, split: Split = "train", size: int = 28) -> None:
        images, labels = load_digits(split)
        super().__init__(resize(torch.tensor(images), check_at_least("size", size, 4)), torch.tensor(labels))
