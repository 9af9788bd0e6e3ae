"""Ring: eight Gaussians on a circle, the plane's classic test of whether a generator covers every mode."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.data.counter import check_indices, uniforms
from vidgen_lab.data.pixels import Split, check_at_least, check_split


class Ring(Dataset):
    """Points of a mixture of equal Gaussians with means evenly on a circle. Point i depends on (seed, split, i) alone.

    Item: `points` (2,) float32, `mode` int64 scalar. `centers` (modes, 2) float32 holds the means; mode 0 lies at
    (radius, 0) and they go on anticlockwise. `std` is the deviation along each axis.
    """

    def __init__(
        self,
        split: Split = "train",
        *,
        modes: int = 8,
        radius: float = 1.0,
        std: float = 0.05,
        length: int = 100_000,
        seed: int = 0,
    ) -> None:
        if radius <= 0 or std < 0:
            raise ArgumentError(f"radius={radius}, std={std}: radius must be above 0 and std at least 0.")
        self.split, self.seed, self.std = check_split(split), seed, std
        self.modes, self.length = check_at_least("modes", modes, 1), check_at_least("length", length, 1)
        angle = 2 * np.pi * np.arange(modes) / modes
        self.centers = torch.from_numpy((radius * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: value[0] for name, value in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch at once: `points` (B, 2), `mode` (B,)."""
        u = uniforms(self.seed, self.split, check_indices(indices, self.length), 3)
        mode = torch.from_numpy((u[:, 0] * self.modes).astype(np.int64))
        distance, angle = np.sqrt(-2 * np.log1p(-u[:, 1])), 2 * np.pi * u[:, 2]  # Box and Muller
        noise = np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1).astype(np.float32)
        return {"points": self.centers[mode] + self.std * torch.from_numpy(noise), "mode": mode}
