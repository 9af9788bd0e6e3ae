"""Scores of discrete codes: how much of a codebook is used, and how well a prior predicts it.

symbol  variable  shape     meaning
k       codes     (...)     whole numbers from 0 to K - 1
K       size      ()        entries of the codebook
a       logits    (..., K)  what a prior says of each code before it sees it
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics.scores import Measurement


def code_usage(codes: Tensor, size: int, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """Share of the codebook that occurs at all, from 1/K to 1. It rises with the number of codes looked at.

    Args:
        codes: integers of any shape, from 0 to `size - 1`.
    """
    counts = _counts(codes, size)
    return Measurement("code usage", (counts > 0).double().mean().item(), _stated(codes, size, protocol))


def code_perplexity(codes: Tensor, size: int, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """exp of the entropy of the codes: K if all are equally frequent, 1 if only one is used.

    Args:
        codes: integers of any shape, from 0 to `size - 1`.

    Source: vandenoord2017vqvae, whose code reports it of each batch.
    """
    share = _counts(codes, size).double() / codes.numel()
    entropy = -torch.xlogy(share, share).sum()  # eq. (metrics-perplexity)
    return Measurement("code perplexity", entropy.exp().item(), _stated(codes, size, protocol))


def gaussian_distortion(variances: Tensor, bits: float) -> float:
    """The least mean squared error at which Gaussian vectors can be written down in so many bits each.

    For codes of many vectors at once, by reverse water-filling: a coordinate whose variance is above the water level
    gets as many bits as bring its error down to that level, the others get none. No other source of the same covariance
    needs more bits for that error.

    Args:
        variances: `(D,)`, at least 0: the eigenvalues of the covariance.
        bits: of a vector, at least 0.

    Returns:
        The squared error of a vector, summed over its coordinates. Found by bisection of the level.

    Source: cover2006elements, chapter 10.
    """
    if variances.dim() != 1 or (variances < 0).any() or not bits >= 0:
        raise ArgumentError(
            f"variances of shape {tuple(variances.shape)}, least {variances.min().item():g}, bits={bits}: give a row "
            "of numbers that are at least 0, and bits that are."
        )
    variances = variances.double()
    low, high = variances.new_zeros(()), variances.max()
    for _ in range(200):
        level = (low + high) / 2
        needed = 0.5 * torch.log2(variances / level).clamp(min=0).sum()  # eq. (vqvae-rate)
        low, high = (level, high) if needed > bits else (low, level)
    return torch.minimum(variances, high).sum().item()  # eq. (vqvae-distortion)


def bits_per_code(logits: Tensor, codes: Tensor, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """Bits per dimension of codes: mean of -log2 p(k), with one code for a dimension. log2 K for a uniform prior.

    It is no bits per pixel: another codebook or another grid of codes gives another scale.

    Args:
        logits: `(..., K)`. codes: `(...)`, integers from 0 to K - 1.
    """
    if logits.shape[:-1] != codes.shape:
        raise ArgumentError(
            f"logits has shape {tuple(logits.shape)}, codes has {tuple(codes.shape)}: give (..., K) and (...)."
        )
    size = logits.shape[-1]
    _counts(codes, size)
    if not torch.isfinite(logits).all():
        raise ArgumentError("logits holds NaN or infinity: look at the prior before you score it.")
    nats = cross_entropy(logits.double().reshape(-1, size), codes.reshape(-1).long())  # eq. (metrics-bits)
    return Measurement("bits per code", nats.item() / math.log(2), _stated(codes, size, protocol))


def _counts(codes: Tensor, size: int) -> Tensor:
    """How often each code occurs, `(K,)`."""
    if codes.is_floating_point() or codes.dtype == torch.bool or not codes.numel():
        raise ArgumentError(f"codes has {codes.numel()} values of {codes.dtype}: give one integer or more.")
    low, high = codes.min().item(), codes.max().item()
    if low < 0 or high >= size:
        raise ArgumentError(f"codes run from {low} to {high}: a codebook of {size} has codes from 0 to {size - 1}.")
    return torch.bincount(codes.reshape(-1), minlength=size)


def _stated(codes: Tensor, size: int, protocol: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**(protocol or {}), "codes": codes.numel(), "codebook": size}
