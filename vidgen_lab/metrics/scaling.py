"""Scaling laws: how a loss falls with the size of a model, of the data or of the budget. [kaplan2020scaling]

    symbol     variable   meaning
    P          sizes      parameters, clips, or multiply-adds
    L          losses     held-out loss at each size
    L_inf      floor      what no size would go below, as far as these points can tell
    b, alpha   scale, exponent

Equation: book/video/videogpt.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidgen_lab.core import ArgumentError

FEWEST = 4  # points, for three numbers


@dataclass(frozen=True)
class PowerLaw:
    """A loss as a function of a size. `error` is the root mean square of what the points differ from it."""

    floor: float
    scale: float
    exponent: float
    error: float

    def __call__(self, size: float) -> float:
        return self.floor + self.scale * size**-self.exponent  # eq. (videogpt-power-law)


def fit_power_law(sizes: Sequence[float], losses: Sequence[float]) -> PowerLaw:
    """The law with the least squared error on these points; floor and scale are at least 0.

    For a given exponent the law is a line, whose two numbers have a closed form; exponents from 0.01 to 3 are tried,
    ever more finely around the best. With so few numbers for three unknowns a fit bends easily: leave one point out at
    a time and look how far the exponent moves.

    Args:
        sizes: four or more, above 0, not all equal. losses: one for each.
    """
    x, y = np.asarray(sizes, dtype=float), np.asarray(losses, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or len(set(x.tolist())) < FEWEST:
        raise ArgumentError(f"{x.size} sizes and {y.size} losses: give as many of both, at {FEWEST} sizes or more.")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x > 0).all()):
        raise ArgumentError(f"sizes {x.tolist()}, losses {y.tolist()}: sizes must be above 0, and all numbers finite.")
    middle = math.exp(np.log(x).mean())  # sizes as multiples of it: large numbers would swamp the small ones
    low, high = 0.01, 3.0
    for _ in range(6):
        exponents = np.geomspace(low, high, 41)
        fits = [_line((x / middle) ** -c, y) for c in exponents]
        best = int(np.argmin([error for _, _, error in fits]))
        low, high = exponents[max(best - 1, 0)], exponents[min(best + 1, 40)]
    floor, scale, error = fits[best]
    exponent = float(exponents[best])
    return PowerLaw(floor, scale * middle**exponent, exponent, error)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Floor and scale, at least 0, of the best line y = floor + scale x, and its root-mean-square error."""
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    options = [(y.mean() - slope * x.mean(), slope), (0.0, (x * y).sum() / (x * x).sum()), (y.mean(), 0.0)]
    tried = [(float(a), float(b), float(((a + b * x - y) ** 2).mean() ** 0.5)) for a, b in options if a >= 0 and b >= 0]
    return min(tried, key=lambda line: line[2])
