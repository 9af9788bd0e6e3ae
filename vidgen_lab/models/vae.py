"""VAE: an image is written down as a small cloud of points; then any point near 0 is an image. [kingma2014vae]

The encoder does not give a point but a small Gaussian cloud, and the decoder must do with any point of it. A price on
how far the clouds stray from the standard normal distribution, their KL divergence, packs them around the origin. If
it is high enough, a draw from that distribution lands in some cloud, and the decoder makes an image of it.

    symbol   name            shape         meaning
    x        real            (B, C, H, W)  an image in [-1, 1]
    m        mean            (B, Z)        of the cloud q(z | x) = N(m, s^2)
    log s^2  log_variance    (B, Z)        of that cloud
    z        latent          (B, Z)        a point of it
    x'       images          (B, C, H, W)  the mean of the decoder's Gaussian p(x | z) = N(x', variance)

Differs from the paper: a Gaussian decoder instead of a Bernoulli one, Adam instead of Adagrad; presets but `paper` have
convolutions. A weight beta other than 1 is that of higgins2017beta.
Chapter: book/foundations/vqvae.md. Lab: notebooks/03_vqvae.ipynb.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from vidgen_lab.core import (
    ArgumentError,
    Batch,
    DataConfig,
    Draw,
    Losses,
    Model,
    Optimizer,
    Phase,
    Preset,
    Recipe,
    latent_normal,
)
from vidgen_lab.nn.autoencoder import ConvSizes, Decoder, Encoder, check_images


@dataclass(frozen=True)
class VAEConfig(ConvSizes):
    """Sizes of the networks, as in `nn.autoencoder`, and of the latent."""

    latent_dim: int = 32  # Z
    code_dim: int = 16  # numbers at each place of the grid, before and after the latent
    hidden: int = 0  # above 0: MLPs with one hidden layer of this width take the place of the convolutions
    beta: float = 1.0  # weight of the divergence, eq. (vqvae-elbo)
    variance: float = 0.1  # of the decoder's Gaussian, eq. (vqvae-elbo)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("latent_dim", "code_dim", "variance"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be above 0.")
        for name in ("beta", "hidden"):
            if not getattr(self, name) >= 0:
                raise ArgumentError(f"{name}={getattr(self, name)}: must be 0 or more.")


def networks(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """Encoder `(B, C, H, W) -> (B, 2 Z)` and decoder `(B, Z) -> (B, C, H, W)`."""
    shape, side = (config.channels, config.size, config.size), config.side
    if config.hidden:
        pixels = config.channels * config.size**2
        wide_in, wide_out = nn.Linear(pixels, config.hidden), nn.Linear(config.latent_dim, config.hidden)
        encoder = nn.Sequential(nn.Flatten(), wide_in, nn.Tanh(), nn.Linear(config.hidden, 2 * config.latent_dim))
        return encoder, nn.Sequential(wide_out, nn.Tanh(), nn.Linear(config.hidden, pixels), nn.Unflatten(1, shape))
    grid = (config.code_dim, side, side)
    places = config.code_dim * side**2
    return (
        nn.Sequential(Encoder(config, config.code_dim), nn.Flatten(), nn.Linear(places, 2 * config.latent_dim)),
        nn.Sequential(nn.Linear(config.latent_dim, places), nn.Unflatten(1, grid), Decoder(config, config.code_dim)),
    )


class VAE(Model):
    """Encoder and decoder, and a standard normal prior between them."""

    name = "vae"
    phases = (Phase("autoencoder", updates=("encoder", "decoder")),)

    def __init__(self, config: VAEConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.encoder, self.decoder = networks(config)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(B, Z)` of the clouds of images `(B, C, H, W)`."""
        check_images(images, self.config)
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def encode(self, images: Tensor) -> Tensor:
        """The clouds' means `(B, Z)` of images `(B, C, H, W)`, in eval mode."""
        with self.inference():
            return self.posterior(images)[0]

    def decode(self, latent: Tensor) -> Tensor:
        """Images `(B, C, H, W)` in [-1, 1] of latents `(B, Z)`, in eval mode."""
        with self.inference():
            return self.decoder(latent).clamp(-1, 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images in [-1, 1], there and back through the clouds' means."""
        return self.decode(self.encode(images))

    def autoencoder_loss(self, batch: Batch, draw: Draw) -> Losses:
        real = batch["image"]
        mean, log_variance = self.posterior(real)
        noise = draw.normal("latent", tuple(mean.shape))
        latent = mean + (log_variance / 2).exp() * noise  # eq. (vqvae-reparametrisation)
        images = self.decoder(latent)
        pixels = real[0].numel()
        error = mse_loss(images, real)
        divergence = kl_to_standard_normal(mean, log_variance)  # (B, Z)
        terms = {  # both in nats an image, without the constant of the Gaussian
            "reconstruction": pixels * error / (2 * self.config.variance),  # eq. (vqvae-elbo)
            "divergence": self.config.beta * divergence.sum(1).mean(),  # eq. (vqvae-elbo)
        }
        used = (divergence.mean(0) > 0.01).sum().float()  # coordinates that still say something
        return Losses(terms, log={"psnr": 10 * torch.log10(4 / error.detach()), "active_latents": used})

    def _sample(self, n: int, frames: int | None, condition: Batch, generator: torch.Generator | None) -> Tensor:
        return self.decoder(latent_normal(n, self.config.latent_dim, self.device, generator)).clamp(-1, 1)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(m, s^2) || N(0, 1)) of each coordinate, in nats."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2  # eq. (vqvae-kl)


def _recipe(data: DataConfig, batch_size: int, steps: int, lr: float) -> Recipe:
    optimizer = Optimizer("adamw", lr=lr, betas=(0.9, 0.99), schedule="cosine", final_lr=lr / 50, warmup=20)
    return Recipe(data, batch_size, steps, {"autoencoder": optimizer})


_IMAGE = VAEConfig(channels=1, widths=(32, 96), stem=4, blocks=0, leak=0.2, background=-1.0)

VAE.presets = {
    "paper": Preset(
        VAEConfig(channels=1, size=28, latent_dim=20, hidden=500),
        Recipe(
            DataConfig("mnist", size=28),
            batch_size=100,
            steps=200_000,
            optimizers={"autoencoder": Optimizer(lr=1e-3, betas=(0.9, 0.999))},
        ),
        note="one hidden layer of 500 in each network, as published for MNIST; never run here.",
    ),
    "image": Preset(_IMAGE, _recipe(DataConfig("digits", size=32), 32, 4000, 2e-3), note="to be measured."),
}
VAE.presets["ci"] = VAE.presets["image"]
