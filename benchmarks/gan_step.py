"""Training steps of the GAN's preset `ci` by `fit`, against the same loop written out by hand for this one model.

    python benchmarks/gan_step.py --json results/bench-gan-step.json

The plain side below has what the step must have and nothing more: no phases, no logging, no check for NaN, no seed of
its own for each draw. Networks, losses, lazy R1, learning rates, average and data are the same, and so is the fused
Adam. A call is a run of 100 steps; that of `fit` includes what it does before its first step.
"""

import torch
from harness import OURS, PEER, Built, Case, run
from torch.nn.functional import softplus

from vidgen_lab import create_model, fit
from vidgen_lab.data import Digits
from vidgen_lab.models.gan import Discriminator, Generator

STEPS = 100


def ours() -> Built:
    """`fit`, as `vidgen train gan --preset ci` calls it, without files."""
    model, digits = create_model("gan", "ci"), Digits("train", 28)
    return Built(
        lambda: fit(model, digits, steps=STEPS, device="cpu", progress=False), (model.generator, model.discriminator)
    )


def plain() -> Built:
    """The same steps as one writes them for one model."""
    preset = create_model("gan", "ci")
    config, recipe = preset.config, preset.recipe
    generator, discriminator = Generator(config), Discriminator(config)
    images = Digits("train", 28).__getitems__(list(range(8000)))["image"]  # (8000, 1, 28, 28)

    def train() -> None:
        average = [p.detach().clone() for p in generator.parameters()]
        adams = [
            torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.5, 0.999), fused=True)
            for network in (generator, discriminator)
        ]
        adam_g, adam_d = adams
        order = torch.randperm(len(images))
        for step in range(STEPS):
            for adam in adams:
                adam.param_groups[0]["lr"] = 2e-3 + (2e-4 - 2e-3) * step / STEPS
            rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            penalised = step % config.penalty_every == 0
            real = images[rows].requires_grad_(penalised)

            with torch.no_grad():
                fake = generator(torch.randn(len(real), config.latent_dim))
            real_logits = discriminator(real)
            loss = softplus(-real_logits).mean() + softplus(discriminator(fake)).mean()
            if penalised:
                (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
                penalty = slope.square().flatten(1).sum(1).mean() / 2
                loss = loss + config.penalty_every * config.r1 * penalty
            loss.backward()
            adam_d.step()
            adam_d.zero_grad()

            discriminator.requires_grad_(False)
            fake = generator(torch.randn(len(real), config.latent_dim))
            softplus(-discriminator(fake)).mean().backward()
            discriminator.requires_grad_(True)
            adam_g.step()
            adam_g.zero_grad()
            decay = min(recipe.ema_decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(average, [p.detach() for p in generator.parameters()], 1 - decay)

    return Built(train, (generator, discriminator))


CASES = {
    "gan_step": Case(
        f"{STEPS} steps of preset ci, batch 64", "the same loop written out", {OURS: ours, PEER: plain}, items=STEPS
    )
}

if __name__ == "__main__":
    run(__file__, CASES)
