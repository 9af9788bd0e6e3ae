"""Frechet distance between two sets of features, and what it tends to with ever more samples.

    symbol  variable    shape    meaning
    X, Y    real, fake  (N, d)   features, one row a sample
    R       factor      (d, d)   a root of the covariance: R^T R gives it back

Both sets are taken for Gaussians. What the distance sees is what the network sees: on the features of a network of
ours it is not FID and not FVD, and its name must say so.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics.features import checked_pair
from vidgen_lab.metrics.scores import Measurement


def frechet_distance(real: Tensor, fake: Tensor, protocol: Mapping[str, Any], name: str = "FD") -> Measurement:
    """|m_x - m_y|^2 + Tr(S_x + S_y - 2 (S_x S_y)^(1/2)): 0 for equal means and covariances, else positive.

    The estimate is too large, by about d^2/2N for two sets of N samples with d features of variance 1: see
    `frechet_bias`. Compare only at equal N, or use `frechet_infinity`.

    Args:
        real: `(N, d)`. fake: `(M, d)`. Both N and M at least 2 d.
        protocol: how the features came about; `network` must be there.
        name: what to call the result, such as "FVD-digits".

    Source: heusel2017ttur, equation 6. Computed in float64.
    """
    real, fake, stated = checked_pair(real, fake, protocol, fewest=2 * real.shape[-1])
    return Measurement(name, gaussian_distance(real, fake), stated)


def frechet_infinity(
    real: Tensor, fake: Tensor, protocol: Mapping[str, Any], seed: int = 0, sizes: int = 15, name: str = "FD-infinity"
) -> Measurement:
    """The Frechet distance extrapolated to infinitely many samples: the intercept of a line in 1/n.

    The distance is measured on random subsets of n rows of both sets, at `sizes` values of n from a quarter of the
    smaller set to all of it. The intercept may fall below 0, by chance, where the distance is small.

    Args:
        real: `(N, d)`. fake: `(M, d)`. Both N and M at least 8 d.
        protocol: as for `frechet_distance`.
        seed: of the subsets.

    Source: chong2020effectively. There the real set stays whole, so that its own bias stays too.
    """
    if sizes < 3:
        raise ArgumentError(f"sizes={sizes}: a line needs 3 sizes or more; 15 is usual.")
    real, fake, stated = checked_pair(real, fake, protocol, fewest=8 * real.shape[-1])
    generator = torch.Generator().manual_seed(seed)
    most = min(len(real), len(fake))
    counts = torch.linspace(most / 4, most, sizes, dtype=torch.float64).ceil().long()  # (sizes,)
    distances = [gaussian_distance(_subset(real, n, generator), _subset(fake, n, generator)) for n in counts.tolist()]
    line = torch.stack([torch.ones(sizes, dtype=torch.float64), 1 / counts], 1)  # (sizes, 2)
    fit = torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution  # (2, 1)
    intercept = fit[0].item()  # eq. (metrics-infinity)
    return Measurement(name, intercept, {**stated, "sizes": sizes, "subset_seed": seed})


def frechet_bias(features: Tensor, n: int, m: int) -> float:
    """What the distance of two sets is on average although both come from one Gaussian: to first order in 1/n and 1/m.

    With the eigenvalues l of the covariance it is (1/n + 1/m) (sum_i 5 l_i / 4 + sum_ij l_i l_j / (2 (l_i + l_j))); for
    d features of variance 1 that is (1/n + 1/m) d (d + 5) / 4. It is a guess for features that are no Gaussian, and
    below the truth where n or m is not far above d.

    Args:
        features: `(N, d)`, as many as there are: their covariance stands for the true one.
        n, m: rows of the two sets.
    """
    if min(n, m) < 1:
        raise ArgumentError(f"n={n}, m={m}: give the sizes of the two sets, 1 or more each.")
    features = features.double()
    values = torch.linalg.eigvalsh(features.T.cov()).clamp_min(0)  # (d,)
    pairs = values[:, None] * values / (values[:, None] + values).clamp_min(torch.finfo(values.dtype).tiny)  # (d, d)
    return ((1 / n + 1 / m) * (1.25 * values.sum() + pairs.sum() / 2)).item()  # eq. (metrics-bias)


def gaussian_distance(real: Tensor, fake: Tensor) -> float:
    """The bare number of `frechet_distance`, of rows `(N, d)` and `(M, d)` in float64. Checks nothing, and so also
    serves the published protocols that take fewer samples than features."""
    (mean, factor), (fake_mean, fake_factor) = _moments(real), _moments(fake)
    # Tr (S_x S_y)^(1/2) is the sum of the singular values of R_x R_y^T: no root of a matrix, nothing imaginary.
    shared = torch.linalg.svdvals(factor @ fake_factor.T).sum()
    spread = factor.square().sum() + fake_factor.square().sum() - 2 * shared
    distance = (mean - fake_mean).square().sum() + spread  # eq. (metrics-frechet)
    return distance.clamp_min(0).item()  # rounding may leave -1e-14


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean(0)  # (d,)
    rows = features - mean
    values, vectors = torch.linalg.eigh(rows.T @ rows / (len(rows) - 1))
    return mean, values.clamp_min(0).sqrt()[:, None] * vectors.T  # (d, d)


def _subset(features: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return features[torch.randperm(len(features), generator=generator)[:n].to(features.device)]
