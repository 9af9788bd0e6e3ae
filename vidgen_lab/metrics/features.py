"""What every metric on features asks of them, and what it writes down."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError


def checked_pair(
    real: Tensor, fake: Tensor, protocol: Mapping[str, Any], fewest: int
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Both sets `(N, d)` in float64, and the protocol with their sizes. Raises `ArgumentError` on what gives no score.

    Args:
        protocol: how the features came about. It must name the `network`.
        fewest: rows below which a set is refused.
    """
    if "network" not in protocol:
        raise ArgumentError(
            'the protocol does not name the network of these features. Give protocol={"network": ..., '
            '"network_sha256": ..., "frames": ..., "size": ..., "seed": ...}, as they apply.'
        )
    for name, features in (("real", real), ("fake", fake)):
        _check(name, features, fewest)
    if real.shape[1] != fake.shape[1]:
        raise ArgumentError(
            f"real has {real.shape[1]} features a row, fake has {fake.shape[1]}: use one network for both."
        )
    stated = {**protocol, "features": real.shape[1], "real": len(real), "samples": len(fake)}
    return real.double(), fake.double(), stated


def _check(name: str, features: Tensor, fewest: int) -> None:
    if features.dim() != 2:
        raise ArgumentError(f"{name} has shape {tuple(features.shape)}: give features (N, d), one row a sample.")
    if len(features) < fewest:
        raise ArgumentError(
            f"{name} has {len(features)} rows of {features.shape[1]} features; this score needs {fewest} rows or more. "
            "Draw more samples, or use a network with fewer features."
        )
    low, high = features.amin(0), features.amax(0)  # (d,); NaN and infinity show in them too
    if not torch.isfinite(low).all() or not torch.isfinite(high).all():
        raise ArgumentError(f"{name} holds NaN or infinity: look at the samples before you score them.")
    if (high - low).max() <= 4e-6 * torch.maximum(high.abs(), low.abs()).max():
        raise ArgumentError(
            f"{name} has the same features in all {len(features)} rows: either all samples are equal, or the network "
            "sees none of them. Look at the samples, and at the weights of the network."
        )
