"""The GAN of chapter 1: shapes, gradients, the published table, and what defines the method."""

from dataclasses import replace

import pytest
import torch

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.gan import GAN, Discriminator, GANConfig, Generator
from vidgen_lab.zoo import load_model

TINY = GANConfig(shape=(1, 6, 5), latent_dim=3, generator_widths=(8,), discriminator_widths=(8,))
POINTS = GANConfig(shape=(2,), latent_dim=2, generator_widths=(16,), discriminator_widths=(16,))
LOSSES = ["minimax", "non-saturating", "hinge", "least-squares", "wasserstein", "relativistic"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_paper_preset_has_the_table_of_the_chapter():
    with torch.device("meta"):
        model = create_model("gan", preset="paper")
    widths = [tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")]
    assert widths == [(256, 100), (512, 256), (1024, 512), (784, 1024), (512, 784), (256, 512), (1, 256)]
    assert count_parameters(model) == {"generator": 1_486_352, "discriminator": 533_505}


def test_images_stay_between_minus_one_and_one_and_points_go_anywhere():
    generator = Generator(TINY)
    with torch.no_grad():
        generator.layers[-1].bias.fill_(9.0)
        images = generator(torch.randn(4, 3, generator=rng()))
        assert images.shape == (4, 1, 6, 5) and images.max() <= 1
        plane = Generator(POINTS)
        plane.layers[-1].bias.fill_(9.0)
        assert plane(torch.randn(4, 2, generator=rng())).max() > 5


def test_the_discriminator_gives_one_logit_a_sample_and_rows_do_not_mix():
    discriminator = Discriminator(TINY)
    images = torch.randn(5, 1, 6, 5, generator=rng())
    logits = discriminator(images)
    assert logits.shape == (5,)
    assert torch.allclose(discriminator(images.flip(0)).flip(0), logits, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_phase_moves_its_own_network_and_every_parameter_of_it(loss):
    model = GAN(replace(TINY, loss=loss, r1=0.1, r2=0.1, gradient_penalty=1.0))
    batch = {"image": torch.rand(4, 1, 6, 5, generator=rng()) * 2 - 1}
    for phase, other in (("discriminator", "generator"), ("generator", "discriminator")):
        model.zero_grad()
        model(phase, batch, Draw(0)).total.backward()
        last_bias = (
            "discriminator.layers.2.bias"  # a constant on all logits: no gap, no pair and no open margin sees it
        )
        for name, parameter in model.named_parameters():
            if name.startswith(phase):
                blind = name == last_bias and loss in ("wasserstein", "relativistic", "hinge")
                assert blind or parameter.grad.abs().sum() > 0, name
            else:
                assert name.startswith(other) and parameter.grad is None


def test_the_generator_phase_of_the_relativistic_game_sees_the_real_batch():
    model = GAN(replace(TINY, loss="relativistic"))
    one, two = ({"image": torch.rand(4, 1, 6, 5, generator=rng(seed))} for seed in (0, 1))
    assert model("generator", one, Draw(0)).total != model("generator", two, Draw(0)).total


def test_penalties_are_terms_of_the_discriminator_only():
    model = GAN(replace(TINY, r1=0.1, r2=0.2, gradient_penalty=1.0))
    batch = {"image": torch.rand(4, 1, 6, 5, generator=rng())}
    assert set(model("discriminator", batch, Draw(0)).terms) == {"real", "fake", "r1", "r2", "gradient_penalty"}
    assert set(model("generator", batch, Draw(0)).terms) == {"adversarial"}


def test_spectral_norm_wraps_every_layer_of_the_discriminator_and_none_of_the_generator():
    model = GAN(replace(TINY, spectral_norm=True))
    assert sum("original" in name for name, _ in model.discriminator.named_parameters()) == 2
    assert not any("original" in name for name, _ in model.generator.named_parameters())


def test_both_players_learn_one_point_by_heart():
    model = GAN(replace(POINTS, loss="non-saturating", r1=1.0))
    optimizers = {
        name: torch.optim.Adam(getattr(model, name).parameters(), 1e-2, (0.0, 0.9))
        for name in ("generator", "discriminator")
    }
    target = torch.tensor([0.7, -0.4])
    for step in range(300):
        for phase in ("discriminator", "generator"):
            optimizers[phase].zero_grad()
            model(phase, {"points": target.expand(32, 2)}, Draw(0, step)).total.backward()
            optimizers[phase].step()
    samples = model.sample(200, generator=rng())
    assert (samples - target).norm(dim=1).mean() < 0.15


def test_the_critic_runs_at_every_step_and_its_generator_at_every_fifth():
    critic, generator = GAN(replace(TINY, critic_steps=5)).phases
    assert (critic.every, generator.every) == (1, 5)


def test_the_same_generator_seed_gives_the_same_samples():
    model = GAN(TINY)
    first, again, other = (model.sample(3, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_samples_use_the_averaged_weights_and_leave_the_live_ones_alone():
    model = GAN(TINY)
    live = model.sample(3, generator=rng())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.ema = {name: torch.zeros_like(tensor) for name, tensor in model.averaged_tensors().items()}
    assert (model.sample(3, generator=rng()) == 0).all() and not (live == 0).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_saved_model_samples_the_same_and_fp16_nearly_the_same(tmp_path):
    model = create_model("gan", latent_dim=3, generator_widths=(8,), discriminator_widths=(8,))
    expected = model.sample(4, generator=rng())
    write_weights(model, tmp_path / "full.safetensors")
    write_weights(model, tmp_path / "half.safetensors", half=True)
    assert torch.equal(load_model(tmp_path / "full.safetensors").sample(4, generator=rng()), expected)
    assert torch.allclose(load_model(tmp_path / "half.safetensors").sample(4, generator=rng()), expected, atol=2e-3)


def test_mistakes_are_named_with_their_fix():
    model = GAN(TINY)
    with pytest.raises(ArgumentError, match="frames=4: gan makes a single image, not a clip"):
        model.sample(2, frames=4)
    with pytest.raises(ArgumentError, match='no sampling option "temperature".*offers none'):
        model.sample(2, temperature=0.5)
    with pytest.raises(ArgumentError, match='no condition "digit".*takes none'):
        model.sample(2, condition={"digit": torch.zeros(2)})
    with pytest.raises(ArgumentError, match="n=0"):
        model.sample(0)
    with pytest.raises(ArgumentError, match=r"the data has shape \(1, 28, 28\), the config says shape=\(1, 6, 5\)"):
        model("discriminator", {"image": torch.zeros(2, 1, 28, 28)}, Draw(0))
    with pytest.raises(ArgumentError, match='trains on "image"; the batch has'):
        model("discriminator", {"points": torch.zeros(2, 2)}, Draw(0))
    with pytest.raises(ArgumentError, match='no phase "critic"'):
        model("critic", {}, Draw(0))
    with pytest.raises(ArgumentError, match=r"shape=\(28, 28\)"):
        GANConfig(shape=(28, 28))


def test_a_lazy_penalty_comes_every_fourth_step_four_times_as_strong():
    model, every = (GAN(replace(TINY, r1=1.0, penalty_every=k)) for k in (4, 1))
    every.load_state_dict(model.state_dict())
    batch = {"image": torch.rand(4, 1, 6, 5, generator=rng())}
    terms = [model("discriminator", batch, Draw(0, step)).terms for step in range(5)]
    assert ["r1" in term for term in terms] == [True, False, False, False, True]
    assert torch.allclose(terms[0]["r1"], 4 * every("discriminator", batch, Draw(0)).terms["r1"])


def test_an_unknown_game_and_a_negative_weight_are_refused():
    with pytest.raises(ArgumentError, match='no loss "wgan"; there are: minimax, non-saturating'):
        GANConfig(loss="wgan")
    with pytest.raises(ArgumentError, match="r1=-3: a weight must be 0 or more"):
        GANConfig(r1=-3)
