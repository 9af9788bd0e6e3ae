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
