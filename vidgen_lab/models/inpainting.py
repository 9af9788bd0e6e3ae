"""Inpainting: search the noise whose picture agrees with the pixels we know. [yeh2017semantic]

A trained generator draws pictures of one kind only. So to fill a hole we do not touch its weights: we move the noise
until the generated picture matches the known pixels, and the discriminator still calls it real. The hole then shows
what the generator drew there.

    symbol  name          shape         meaning
    x       images        (B, C, H, W)  pictures in [-1, 1], whatever stands in the hole
    m       known         (1, 1, H, W)  1 where the pixel is known, 0 in the hole
    w       importance    (1, 1, H, W)  weight of a known pixel: high beside the hole
    z       latent        (B, Z)        what is searched

Differs from the paper: after each step the noise is put back on the sphere of radius sqrt(Z), where normal noise lives
(the paper's noise is uniform, and clipped); several starts are searched at once, and the best point on any of their
ways is kept; the hole is filled with the generated pixels as they are, without Poisson blending.
Chapter: book/foundations/dcgan.md. Lab: notebooks/02_dcgan.ipynb.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, normalize, softplus

from vidgen_lab.core import ArgumentError, unknown

Mask = Literal["centre", "random", "half", "lines"]


class Inpainting(NamedTuple):
    """What a search found."""

    images: Tensor  # (B, C, H, W): known pixels untouched, the hole filled
    generated: Tensor  # (B, C, H, W): the whole picture that the generator drew
    latent: Tensor  # (B, Z)
    losses: Tensor  # (steps, B): of the start that won


def mask(kind: Mask, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Which pixels are known: `(1, 1, size, size)`, 1 where known, 0 where missing.

    Missing are: centre, a square of half the side; half, the right half; lines, every second band of an eighth of the
    side; random, each pixel with probability 0.75, drawn from `generator`.
    """
    if kind not in get_args(Mask):
        raise unknown("mask", kind, get_args(Mask))
    known = torch.ones(1, 1, size, size)
    match kind:
        case "centre":
            known[:, :, size // 4 : size - size // 4, size // 4 : size - size // 4] = 0
        case "half":
            known[:, :, :, size // 2 :] = 0
        case "lines":
            known[:, :, torch.arange(size) // max(1, size // 8) % 2 == 1] = 0
        case "random":
            known = (torch.rand(1, 1, size, size, generator=generator) > 0.75).float()
    return known


def importance(known: Tensor, window: int) -> Tensor:
    """Weight of each known pixel: the share of missing pixels in the `window` around it; 0 in the hole itself.

    A known pixel far from the hole says little about it. Beyond the border of the picture nothing counts.
    """
    if window < 3 or window % 2 == 0:
        raise ArgumentError(f"window={window}: give an odd number of pixels, 3 or more.")
    missing = avg_pool2d(1 - known, window, stride=1, padding=window // 2, count_include_pad=False)
    return known * missing  # eq. (dcgan-importance)


def composite(images: Tensor, generated: Tensor, known: Tensor) -> Tensor:
    """Known pixels of `images`, bit for bit, and generated ones in the hole: `(B, C, H, W)`."""
    return torch.where(known.bool(), images, generated)  # eq. (dcgan-composite)


def inpaint(
    generator: Callable[[Tensor], Tensor],
    discriminator: Callable[[Tensor], Tensor] | None,
    images: Tensor,
    known: Tensor,
    *,
    latent_dim: int,
    steps: int = 150,
    lr: float = 0.1,
    prior: float = 1.0,
    window: int = 7,
    starts: int = 4,
    rng: torch.Generator | None = None,
) -> Inpainting:
    """Fills the hole in each picture. Neither network's weights get a gradient.

    Args:
        generator: latents `(N, Z)` to pictures `(N, C, H, W)`; in eval mode, so that pictures do not mix.
        discriminator: pictures to logits `(N,)`, high for real; None where there is none (then `prior` must be 0).
        images: `(B, C, H, W)` in [-1, 1]; what stands in the hole is not looked at.
        known: `(1, 1, H, W)` or `(B, 1, H, W)`, 1 known, 0 missing.
        prior: weight of the discriminator's word, eq. (dcgan-prior), against the pixels' sum, eq. (dcgan-context).
        window: side of the neighbourhood that makes a known pixel count, see `importance`.
        starts: searches for each picture, from different noise; the one with the least loss is kept.

    Source: yeh2017semantic.
    """
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        if isinstance(network, nn.Module) and network.training:
            raise ArgumentError(f"{name} is in train mode: batch normalisation would mix pictures. Call {name}.eval().")
    if discriminator is None and prior:
        raise ArgumentError(f"prior={prior} without a discriminator: give one, or set prior=0.")
    if steps < 1 or starts < 1:
        raise ArgumentError(f"steps={steps}, starts={starts}: both must be 1 or more.")
    if known.shape[-2:] != images.shape[-2:] or known.shape[1] != 1:
        raise ArgumentError(
            f"known has shape {tuple(known.shape)}, images {tuple(images.shape)}: give (1, 1, H, W) with equal H, W."
        )
    if bool((known == 1).all()) or bool((known == 0).all()):
        raise ArgumentError("known: some pixels must be known (1) and some missing (0).")
    rows = len(images)
    target = images.where(known.bool(), 0)  # so that not even a NaN in the hole can reach the loss
    target = target.repeat(starts, 1, 1, 1)  # (starts * B, C, H, W), picture b in rows b, b + B, ...
    weight = importance(known.to(images), window).expand(rows, -1, -1, -1).repeat(starts, 1, 1, 1)
    radius = latent_dim**0.5
    latent = radius * normalize(torch.randn(starts * rows, latent_dim, generator=rng).to(images))
    optimizer = torch.optim.Adam([latent], lr=lr)
    history, best_loss, best = [], torch.full((len(latent),), torch.inf).to(images), latent.clone()
    for _ in range(steps):
        latent.requires_grad_()
        with torch.enable_grad():
            generated = generator(latent)
            loss = (weight * (generated - target).abs()).flatten(1).sum(1)  # eq. (dcgan-context)
            if prior:
                loss = loss - prior * softplus(discriminator(generated))  # eq. (dcgan-prior), log(1 - D)
            (latent.grad,) = torch.autograd.grad(loss.sum(), latent)
        history.append(loss.detach())
        better = history[-1] < best_loss
        best_loss = torch.where(better, history[-1], best_loss)
        best = torch.where(better[:, None], latent.detach(), best)
        optimizer.step()
        with torch.no_grad():
            latent.copy_(radius * normalize(latent))  # where normal noise lives
    winner = best_loss.view(starts, rows).argmin(0) * rows + torch.arange(rows, device=images.device)
    with torch.no_grad():
        generated = generator(best[winner])
    filled = composite(images, generated, known)
    return Inpainting(filled, generated, best[winner], torch.stack(history)[:, winner])
