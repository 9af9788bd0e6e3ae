"""VQGAN: a VQ-VAE whose decoder must also fool a discriminator, and so draws strokes, not means. [esser2021vqgan]

Where the codes leave open how a patch looks, a squared error asks for the mean of all that it could be, and the mean is
blurred. A discriminator that judges patches asks for one that could be real. An adaptive weight keeps the two demands
in a fixed ratio at the decoder's last layer.

    symbol   name            shape              meaning
    x, x'    real, images    (B, C, H, W)       an image and its reconstruction
    a(x)     logits          (B, h, w)          the discriminator's logit of each patch, high for real
    w        weight          ()                 of the adversarial term

Everything else is as in `vqvae`.
Differs from the paper: no perceptual distance, since its network was trained on photographs; softplus losses and R1
instead of a hinge; the VQ-VAE's own small networks; the discriminator has no normalisation.
Chapter: book/foundations/vqvae.md. Lab: notebooks/03_vqvae.ipynb.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidgen_lab import losses
from vidgen_lab.core import ArgumentError, Batch, DataConfig, Draw, Losses, Optimizer, Phase, Preset, Recipe
from vidgen_lab.models.vqvae import VQVAE, VQVAEConfig
from vidgen_lab.nn.processes import processes, sum_over_processes


@dataclass(frozen=True)
class VQGANConfig(VQVAEConfig):
    """Sizes of the tokenizer and of the discriminator, and how much the latter counts."""

    discriminator_widths: tuple[int, ...] = (32, 64)  # each level halves height and width
    adversarial: float = 0.8  # the adversarial gradient at the last layer, as a share of the reconstruction's
    adversarial_from: float = 0.3  # part of the run after which the decoder hears the discriminator
    r1: float = 1.0  # weight gamma of the penalty on real images, eq. (gan-r1)
    penalty_every: int = 4  # at every k-th step only, k times as strong

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.discriminator_widths:
            raise ArgumentError("discriminator_widths=(): give one width or more.")
        for name in ("adversarial", "r1"):
            if not getattr(self, name) >= 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: a weight must be 0 or more.")
        if not 0 <= self.adversarial_from <= 1:
            raise ArgumentError(f"adversarial_from={self.adversarial_from}: a part of the run is from 0 to 1.")
        if self.penalty_every < 1:
            raise ArgumentError(f"penalty_every={self.penalty_every}: must be 1 or more.")


class PatchDiscriminator(nn.Module):
    """Images to a logit for each patch: `(B, C, H, W) -> (B, h, w)`."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = config.channels
        for wider in config.discriminator_widths:
            layers += [nn.Conv2d(width, wider, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            width = wider
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).squeeze(1)


class VQGAN(VQVAE):
    """A VQ-VAE and a discriminator of patches."""

    name = "vqgan"

    def __init__(self, config: VQGANConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.discriminator = PatchDiscriminator(config)
        self.phases = (*self.phases, Phase("discriminator", updates=("discriminator",)))

    def autoencoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        images, result = self._autoencode(self._real(batch), draw)
        if draw.step >= self.config.adversarial_from * draw.steps:
            adversarial = losses.non_saturating_generator(None, self.discriminator(images))
            weight = self._adaptive_weight(result.terms["reconstruction"], adversarial)
            result.terms["adversarial"] = weight * adversarial  # eq. (vqvae-vqgan)
            result.log["weight"] = weight
        return result

    def discriminator_loss(self, batch: Batch, draw: Draw) -> Losses:
        config, real = self.config, self._real(batch)
        with self.inference():  # the codebook must not learn in this phase
            fake = self.decoder(self.codebook(self.encoder(real)).latent)
        strength = config.r1 * losses.lazily(draw.step, config.penalty_every)
        real = real.detach().requires_grad_(strength > 0)
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)  # (B, h, w)
        terms = losses.cross_entropy_discriminator(real_logits, fake_logits)
        if strength:
            terms["r1"] = losses.zero_centred_penalty(real_logits.flatten(1).mean(1), real, strength)
        return Losses(terms, log={"real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()})

    def _adaptive_weight(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """Makes the two gradients at the decoder's last layer stand in the ratio `config.adversarial`."""
        last = self.decoder.last.weight
        norms = []
        for term in (reconstruction, adversarial):
            (gradient,) = torch.autograd.grad(term, last, retain_graph=True)
            norms.append((sum_over_processes(gradient) / processes()).norm())  # of the whole batch
        return self.config.adversarial * (norms[0] / (norms[1] + 1e-6)).clamp(max=1e4)  # eq. (vqvae-adaptive)


_IMAGE = VQVAE.presets["image"]

VQGAN.presets = {
    "image": Preset(
        VQGANConfig(**vars(_IMAGE.config)),
        Recipe(
            DataConfig("digits", size=32),
            batch_size=_IMAGE.recipe.batch_size,
            steps=_IMAGE.recipe.steps,
            optimizers={
                **_IMAGE.recipe.optimizers,
                "discriminator": Optimizer(lr=1e-3, betas=(0.5, 0.99), schedule="linear", final_lr=1e-4),
            },
        ),
        note="to be measured.",
    ),
}
VQGAN.presets["ci"] = VQGAN.presets["image"]
