"""Scores of sets of samples: the inception-style score, classes hit, modes covered."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError


@dataclass(frozen=True)
class Measurement:
    """A value and how it was measured.

    `reference` is what real data score under the same protocol; `interval` holds the true value with 95 % confidence.
    """

    name: str
    value: float
    protocol: dict[str, Any] = field(default_factory=dict)
    reference: float | None = None
    interval: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """What a manifest keeps under this metric's name."""
        interval = {} if self.interval is None else {"interval": list(self.interval)}
        return {"value": self.value, **interval, "real": self.reference, "protocol": self.protocol}


def difference(a: Measurement, b: Measurement) -> float:
    """`a.value - b.value`, if both are the same metric under the same protocol; otherwise `ArgumentError`."""
    if a.name != b.name:
        raise ArgumentError(f"{a.name} and {b.name} are two metrics: their values have no common scale.")
    differing = []
    for key in dict.fromkeys([*a.protocol, *b.protocol]):
        left, right = (repr(item.protocol[key]) if key in item.protocol else "not stated" for item in (a, b))
        if left != right:
            differing.append(f"{key} ({left} and {right})")
    if differing:
        raise ArgumentError(
            f"two values of {a.name} differ in protocol: {', '.join(differing)}. Measure both alike, then compare."
        )
    return a.value - b.value


def inception_score(logits: Tensor, protocol: Mapping[str, Any], splits: int = 1, name: str = "IS") -> Measurement:
    """exp E_x KL(p(y|x) || p(y)): 1 when all samples look alike, K when K classes are sure and equally often.

    Args:
        logits: `(N, K)` of any classifier. A toy classifier gives a toy score: name it so.
        protocol: how the logits came about; the `network` must be there.
        splits: the samples are cut into so many equal parts, in order, and the value is the mean of their scores.
            More splits give a lower score, since each part sees fewer classes.
        name: what to call the result, such as "IS-digits".

    Source: salimans2016improved, which has 10 splits of 5,000.
    """
    if "network" not in protocol:
        raise ArgumentError('the protocol does not name the classifier of these logits. Add "network": ....')
    if splits < 1:
        raise ArgumentError(f"splits={splits}: give 1 or more.")
    if logits.dim() != 2 or len(logits) < 2 * splits:
        raise ArgumentError(f"logits of shape {tuple(logits.shape)}: give (N, K) with {2 * splits} samples or more.")
    if not torch.isfinite(logits).all():
        raise ArgumentError("logits hold NaN or infinity: look at the samples before you score them.")
    log_p = logits.double().log_softmax(1)
    parts = log_p[: len(log_p) // splits * splits].view(splits, -1, log_p.shape[1])  # (splits, n, K)
    log_marginal = parts.logsumexp(1, keepdim=True) - math.log(parts.shape[1])  # (splits, 1, K)
    scores = (parts.exp() * (parts - log_marginal)).sum(2).mean(1).exp()  # eq. (gan-score), (splits,)
    return Measurement(name, scores.mean().item(), {**protocol, "samples": len(logits), "splits": splits})


def class_shares(logits: Tensor) -> Tensor:
    """Share of samples that the classifier puts in each class: `(N, K) -> (K,)`, summing to 1."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1]) / len(logits)


def modes_covered(points: Tensor, centres: Tensor, radius: float, share: float = 0.02) -> tuple[int, float]:
    """Modes that hold at least `share` of the points within `radius`, and the share of points near any mode.

    Args:
        points: `(N, 2)`. centres: `(K, 2)`.
    """
    distance, nearest = torch.cdist(points, centres).min(1)  # (N,), (N,)
    near = distance <= radius
    counts = torch.bincount(nearest[near], minlength=len(centres))
    return int((counts >= share * len(points)).sum()), near.float().mean().item()
