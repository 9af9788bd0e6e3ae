"""Is a sample a copy? The nearest picture of a set, in pixels."""

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError


def nearest(samples: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample the row of the nearest picture in `among`, and its distance, the root of the summed squares.

    Args:
        samples: `(N, ...)`. among: `(M, ...)`, of the same size; for instance the training pictures.

    Returns:
        index `(N,)` int64, distance `(N,)`. A distance alone says little: compare with that of held-out pictures.
    """
    if samples.shape[1:] != among.shape[1:]:
        raise ArgumentError(
            f"samples have shape {tuple(samples.shape[1:])}, the set has {tuple(among.shape[1:])}: make them equal."
        )
    rows = samples.flatten(1).split(256)  # so that N x M distances never stand in memory at once
    index = torch.cat([torch.cdist(part, among.flatten(1)).argmin(1) for part in rows])  # eq. (dcgan-nearest)
    # cdist takes differences of large squares, off by 0.1 for a copy: the distance is computed anew.
    pairs = zip(rows, index.split(256), strict=True)
    distance = torch.cat([(part - among.flatten(1)[at]).norm(dim=1) for part, at in pairs])
    return index, distance
