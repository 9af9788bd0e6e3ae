"""The theory of the GAN objective on finite sets, where every expectation is a sum."""

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError


def value(p: Tensor, q: Tensor, discriminator: Tensor) -> Tensor:
    """V(D, G) = sum_x p(x) log D(x) + q(x) log(1 - D(x)), in nats.

    Args:
        p: data distribution `(K,)`. q: generator's distribution `(K,)`. discriminator: D(x) in [0, 1], `(K,)`.

    Source: goodfellow2014gan, equation 1.
    """
    _check(p, q)
    return (torch.xlogy(p, discriminator) + torch.xlogy(q, 1 - discriminator)).sum()  # eq. (gan-value)


def optimal_discriminator(p: Tensor, q: Tensor) -> Tensor:
    """D*(x) = p(x) / (p(x) + q(x)), `(K,)`; 1/2 where neither has mass. Source: goodfellow2014gan, proposition 1."""
    _check(p, q)
    return torch.where(p + q > 0, p / (p + q).clamp_min(torch.finfo(p.dtype).tiny), 0.5)  # eq. (gan-optimal)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Half of KL(p || m) plus half of KL(q || m), with m = (p + q)/2, in nats: 0 if equal, log 2 if disjoint."""
    _check(p, q)
    middle = (p + q) / 2
    return (_kl(p, middle) + _kl(q, middle)) / 2  # eq. (gan-divergence)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def _check(p: Tensor, q: Tensor) -> None:
    for name, distribution in (("p", p), ("q", q)):
        if (distribution < 0).any() or abs(distribution.sum().item() - 1) > 1e-4:
            raise ArgumentError(
                f"{name} must be probabilities that sum to 1; it sums to {distribution.sum().item():.4g}."
            )
    if p.shape != q.shape:
        raise ArgumentError(f"p has shape {tuple(p.shape)}, q has {tuple(q.shape)}: give both over the same outcomes.")
