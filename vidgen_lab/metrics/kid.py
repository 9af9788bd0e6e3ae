"""Kernel distance between two sets of features: unbiased, so it also serves for few samples.

    symbol  variable    shape   meaning
    X, Y    real, fake  (N, d)  features, one row a sample
    k       _kernel     (N, M)  (x.y / d + 1)^3

As for the Frechet distance, features of a network of ours need a name of our own: it is KID only on Inception.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics.features import checked_pair
from vidgen_lab.metrics.scores import Measurement

FEWEST_IN_SUBSET = 10


def kernel_distance(
    real: Tensor, fake: Tensor, protocol: Mapping[str, Any], subsets: int = 20, seed: int = 0, name: str = "KID"
) -> Measurement:
    """Squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, and its 95 % interval.

    Both sets are shuffled and cut into disjoint subsets of equal size. Each pair of subsets gives one unbiased
    estimate; the value is their mean, the interval Student's. On equal distributions the value averages 0, so it is
    often negative. Overlapping subsets, as usual elsewhere, would give an interval that is too narrow.

    Args:
        real: `(N, d)`. fake: `(M, d)`. Both with 10 rows or more a subset.
        protocol: how the features came about; `network` must be there.
        subsets: 10 or more.
        seed: of the shuffle.

    Source: binkowski2018demystifying.
    """
    if subsets < 10:
        raise ArgumentError(f"subsets={subsets}: too few for an interval. Use 10 or more; 20 is usual.")
    real, fake, stated = checked_pair(real, fake, protocol, fewest=FEWEST_IN_SUBSET * subsets)
    generator = torch.Generator().manual_seed(seed)
    size = min(len(real), len(fake)) // subsets
    parts = [_parts(features, subsets, size, generator) for features in (real, fake)]
    estimates = torch.tensor([_discrepancy(x, y) for x, y in zip(*parts, strict=True)], dtype=torch.float64)
    value = estimates.mean().item()
    half = _student(subsets - 1) * estimates.std().item() / subsets**0.5
    stated |= {"subsets": subsets, "subset_size": size, "subset_seed": seed}
    return Measurement(name, value, stated, interval=(value - half, value + half))


def _discrepancy(real: Tensor, fake: Tensor) -> float:
    """Unbiased: no sample is compared with itself. `(n, d), (n, d)` to a number."""
    n = len(real)
    within = _kernel(real, real).fill_diagonal_(0).sum() + _kernel(fake, fake).fill_diagonal_(0).sum()
    return (within / (n * (n - 1)) - 2 * _kernel(real, fake).mean()).item()  # eq. (metrics-kernel)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    inner = a @ b.T / a.shape[1] + 1
    return inner * inner * inner  # three times as quick as a power


def _parts(features: Tensor, subsets: int, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    order = torch.randperm(len(features), generator=generator)[: subsets * size]
    return features[order.to(features.device)].split(size)


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t: two terms of its series about the normal's, within 0.2 % from 9 degrees on."""
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
