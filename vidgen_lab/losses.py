"""Adversarial losses and the penalties that tame a discriminator.

Discriminators return logits a (any real number, high for real); the sigmoid lives in here: D(x) = sigmoid(a).
With softplus(a) = log(1 + e^a): -log D = softplus(-a) and -log(1 - D) = softplus(a), exact where a sigmoid would
round to 0 or 1.

    symbol   variable     shape  meaning
    a(x)     real_logits  (B,)   logits on real data
    a(G(z))  fake_logits  (B,)   logits on generated data

Every function returns scalars to be minimised. Equations: book/foundations/gan.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus
from torch.nn.utils import parametrizations


class AdversarialLoss(NamedTuple):
    """Both players' losses of one game.

    `discriminator(real_logits, fake_logits)` gives named terms; `generator(real_logits, fake_logits)` one scalar.
    Only a pairing loss reads `real_logits` in the generator's turn (`needs_real`); the others take None there.
    """

    discriminator: Callable[[Tensor, Tensor], dict[str, Tensor]]
    generator: Callable[[Tensor | None, Tensor], Tensor]
    needs_real: bool = False


def cross_entropy_discriminator(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """-V(D, G) of goodfellow2014gan: both halves of the binary cross-entropy."""
    return {
        "real": softplus(-real_logits).mean(),  # eq. (gan-value), -E log D(x)
        "fake": softplus(fake_logits).mean(),  # eq. (gan-value), -E log(1 - D(G(z)))
    }


def minimax_generator(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """E log(1 - D(G(z))): the generator's half of the value itself. It saturates. goodfellow2014gan"""
    return -softplus(fake_logits).mean()  # eq. (gan-minimax)


def non_saturating_generator(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)): same fixed point, a gradient that lasts. goodfellow2014gan"""
    return softplus(-fake_logits).mean()  # eq. (gan-non-saturating)


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """Logits beyond the margins -1 and 1 earn nothing more. miyato2018spectral"""
    return {"real": relu(1 - real_logits).mean(), "fake": relu(1 + fake_logits).mean()}  # eq. (gan-hinge)


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """Squared distance to 1 for real and to 0 for fake. mao2017lsgan"""
    return {
        "real": (real_logits - 1).square().mean() / 2,
        "fake": fake_logits.square().mean() / 2,
    }  # eq. (gan-least-squares)


def least_squares_generator(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """Squared distance of fakes to 1. mao2017lsgan"""
    return (fake_logits - 1).square().mean() / 2  # eq. (gan-least-squares)


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """The critic's gap, negated; needs a gradient penalty or clipping. arjovsky2017wgan"""
    return {"real": -real_logits.mean(), "fake": fake_logits.mean()}  # eq. (gan-wasserstein)


def critic_generator(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """-E a(G(z)): the generator's side of the Wasserstein and the hinge game."""
    return -fake_logits.mean()  # eq. (gan-wasserstein)


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """Each real sample must beat the fake it is paired with. jolicoeur2019relativistic, huang2024r3gan"""
    return {"pair": softplus(-(real_logits - fake_logits)).mean()}  # eq. (gan-relativistic)


def relativistic_generator(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """Each fake must beat the real sample it is paired with. huang2024r3gan"""
    return softplus(-(fake_logits - real_logits)).mean()  # eq. (gan-relativistic)


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator),
    "non-saturating": AdversarialLoss(cross_entropy_discriminator, non_saturating_generator),
    "hinge": AdversarialLoss(hinge_discriminator, critic_generator),
    "least-squares": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, critic_generator),
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator, needs_real=True),
}


def slope_squared(logits: Tensor, inputs: Tensor) -> Tensor:
    """|d logit_b / d input_b|^2 for each row: `(B,)`. `inputs` must require grad; rows must not mix (no batch norm)."""
    # The sum, not the mean: row b's gradient then is its own, without a factor 1/B that a square would turn into 1/B^2.
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def zero_centred_penalty(logits: Tensor, inputs: Tensor, gamma: float) -> Tensor:
    """gamma/2 E|grad_x a(x)|^2: R1 on real inputs, R2 on fakes. mescheder2018r1"""
    return gamma / 2 * slope_squared(logits, inputs).mean()  # eq. (gan-r1)


def lazily(step: int, every: int) -> int:
    """How much stronger a penalty is at this step that is taken at every k-th only: k, or 0 where it is left out."""
    return 0 if step % every else every


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor, weight: float = 10.0) -> Tensor:
    """Pulls the critic's slope to 1 on points between real and fake. gulrajani2017wgangp

    Args:
        real, fake: `(B, ...)`, the same shape.
        mix: `(B,)` in [0, 1], where on the line from fake (0) to real (1).
    """
    mix = mix.view(-1, *[1] * (real.dim() - 1))
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    slope = (slope_squared(discriminator(between), between) + 1e-12).sqrt()  # 1e-12: the root has no gradient at 0
    return weight * (slope - 1).square().mean()  # eq. (gan-gradient-penalty)


def spectral_norm(module: nn.Module) -> nn.Module:
    """Divides every linear and convolution weight by its largest singular value, in place. miyato2018spectral"""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            parametrizations.spectral_norm(layer)  # eq. (gan-spectral)
    return module
