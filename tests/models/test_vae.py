"""The plain VAE: the closed form of its divergence, clouds and their mean, collapse under a heavy price."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.vae import VAE, VAEConfig, kl_to_standard_normal
from vidgen_lab.zoo import load_model

TINY = VAEConfig(
    channels=1, size=8, widths=(6, 8), blocks=1, block_width=4, latent_dim=3, code_dim=2, leak=0.2, background=-1.0
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=rng(seed)) * 2 - 1


def built(config: VAEConfig = TINY) -> VAE:
    torch.manual_seed(0)
    return VAE(config)


def trained(config: VAEConfig, batch: dict, steps: int = 200):
    model = built(config)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(steps):
        optimizer.zero_grad()
        losses = model("autoencoder", batch, Draw(0, step))
        losses.total.backward()
        optimizer.step()
    return model, losses


def stripes() -> dict:
    steps = torch.linspace(-1, 1, 8)
    return {"image": torch.stack([steps.expand(8, 8), -steps.expand(8, 8), steps.expand(8, 8).T])[:, None]}


def test_the_paper_preset_has_one_hidden_layer_of_500_in_each_network():
    with torch.device("meta"):
        model = create_model("vae", preset="paper")
    assert count_parameters(model) == {
        "encoder": 784 * 500 + 500 + 500 * 40 + 40,
        "decoder": 20 * 500 + 500 + 500 * 784 + 784,
    }


def test_the_divergence_is_that_of_the_library_and_zero_for_the_prior_itself():
    mean, log_variance = torch.randn(5, 3, generator=rng()), torch.randn(5, 3, generator=rng(1))
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, atol=1e-6)
    assert kl_to_standard_normal(torch.zeros(2), torch.zeros(2)).tolist() == [0.0, 0.0]


def test_the_loss_is_the_negative_bound_in_nats_an_image():
    model, batch = built(replace(TINY, beta=3.0)), {"image": images(4, 1, 8, 8)}
    losses = model("autoencoder", batch, Draw(0, 7))
    mean, log_variance = model.posterior(batch["image"])
    noise = Draw(0, 7).at("autoencoder").normal("latent", (4, 3))
    decoded = model.decoder(mean + (log_variance / 2).exp() * noise)
    likelihood = Normal(decoded, 0.1**0.5).log_prob(batch["image"]).flatten(1).sum(1)
    constant = 64 * Normal(0.0, 0.1**0.5).log_prob(torch.tensor(0.0))
    divergence = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(losses.total, -(likelihood - constant - 3 * divergence).mean(), rtol=1e-4)


def test_a_latent_is_its_cloud_s_mean_plus_its_width_times_noise():
    model, batch = built(), {"image": images(4, 1, 8, 8)}
    last = model.encoder[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([1.0, 2.0, 3.0, -60.0, -60.0, -60.0]))  # clouds of no width at (1, 2, 3)
    seen = []
    model.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model("autoencoder", batch, Draw(0))
    assert torch.allclose(seen[0], torch.tensor([1.0, 2.0, 3.0]).expand(4, 3))
    with torch.no_grad():
        last.bias[3:] = torch.tensor(4.0).log()  # width 2
    model("autoencoder", batch, Draw(0))
    noise = Draw(0).at("autoencoder").normal("latent", (4, 3))
    assert torch.allclose(seen[1], torch.tensor([1.0, 2.0, 3.0]) + 2 * noise, atol=1e-5)


@pytest.mark.parametrize("config", [TINY, replace(TINY, hidden=5)], ids=["convolutions", "mlp"])
def test_a_gradient_reaches_every_parameter(config):
    model = built(config)
    model("autoencoder", {"image": images(4, 1, 8, 8)}, Draw(0)).total.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_one_batch_is_learnt_by_heart():
    _, losses = trained(replace(TINY, variance=0.01), stripes())
    assert losses.log["psnr"] > 20


def test_a_heavy_price_makes_the_posterior_collapse_and_every_image_the_mean():
    model, losses = trained(replace(TINY, beta=1000.0), stripes())
    assert losses.terms["divergence"] / 1000 < 0.02 and losses.log["active_latents"] == 0
    out, mean = model.reconstruct(stripes()["image"]), stripes()["image"].mean(0)
    assert (out - mean).abs().mean() < 0.1
    _, free = trained(replace(TINY, beta=0.1), stripes())
    assert free.log["active_latents"] > 0


def test_samples_repeat_with_their_seed_and_stay_in_range():
    model = built()
    first, again, other = (model.sample(5, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (5, 1, 8, 8) and first.abs().max() <= 1


def test_encode_gives_the_means_and_decode_images():
    model, x = built(), images(4, 1, 8, 8)
    assert torch.equal(model.encode(x), model.posterior(x)[0])
    assert torch.equal(model.reconstruct(x), model.decode(model.encode(x)))
    assert model.reconstruct(x).shape == x.shape


def test_a_saved_model_samples_the_same(tmp_path):
    model = create_model("vae", size=8, widths=(6, 8), stem=2, latent_dim=3)
    write_weights(model, tmp_path / "vae.safetensors")
    assert torch.equal(
        load_model(tmp_path / "vae.safetensors").sample(3, generator=rng()), model.sample(3, generator=rng())
    )


def test_mistakes_are_named_with_their_fix():
    with pytest.raises(ArgumentError, match=r"images of shape \(2, 1, 7, 8\)"):
        built().encode(images(2, 1, 7, 8))
    with pytest.raises(ArgumentError, match="latent_dim=0: must be above 0"):
        replace(TINY, latent_dim=0)
    with pytest.raises(ArgumentError, match="beta=-1: must be 0 or more"):
        replace(TINY, beta=-1)
