"""DCGAN: convolution and its adjoint, batch normalisation, the published tables, guidelines, conditions."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.dcgan import DCGAN, DCGANConfig, Discriminator, Generator, activation
from vidgen_lab.zoo import load_model

TINY = DCGANConfig(
    size=16, latent_dim=5, generator_widths=(8, 4), discriminator_widths=(4, 8), discriminator_norm=False
)
CLASSES = replace(TINY, classes=3)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(config: DCGANConfig, rows: int = 6, seed: int = 0) -> dict[str, torch.Tensor]:
    images = torch.rand(rows, config.channels, config.size, config.size, generator=rng(seed)) * 2 - 1
    return {"image": images, "digit": torch.arange(rows) % 3}


def weights(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(layer.weight.shape) for layer in network.modules() if hasattr(layer, "weight")]


# The published tables.


def test_the_reference_preset_has_the_layers_of_the_public_example():
    with torch.device("meta"):
        model = create_model("dcgan", preset="reference")
    assert weights(model.generator) == [
        (100, 512, 4, 4), (512,), (512, 256, 4, 4), (256,), (256, 128, 4, 4), (128,), (128, 64, 4, 4), (64,),
        (64, 3, 4, 4),
    ]  # fmt: skip
    assert weights(model.discriminator) == [
        (64, 3, 4, 4), (128, 64, 4, 4), (128,), (256, 128, 4, 4), (256,), (512, 256, 4, 4), (512,), (1, 512, 4, 4),
    ]  # fmt: skip
    assert count_parameters(model) == {"generator": 3_576_704, "discriminator": 2_765_568}


def test_the_paper_preset_has_the_generator_of_figure_1():
    with torch.device("meta"):
        model = create_model("dcgan", preset="paper")
    x, sides = torch.empty(1, 100, 1, 1, device="meta"), []
    for layer in model.generator.layers:
        x = layer(x)
        if isinstance(layer, nn.ConvTranspose2d):
            sides.append(tuple(x.shape[1:]))
    assert sides == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert weights(model.generator)[2] == (1024, 512, 5, 5)


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("double", ["transposed", "nearest"])
@pytest.mark.parametrize("halve", ["stride", "pool"])
def test_every_layer_doubles_or_halves_for_every_kernel(kernel, double, halve):
    config = replace(TINY, kernel=kernel, double=double, halve=halve)
    images = Generator(config)(torch.randn(3, 5, generator=rng()))
    assert images.shape == (3, 1, 16, 16) and images.abs().max() <= 1
    discriminator = Discriminator(config)
    assert discriminator.layers(images).shape == (3, 1, 1, 1) and discriminator(images).shape == (3,)


# Convolution and transposed convolution.


def doublings(config: DCGANConfig) -> list[nn.ConvTranspose2d]:
    """The generator's transposed convolutions after the first."""
    return [layer for layer in Generator(config).layers if isinstance(layer, nn.ConvTranspose2d)][1:]


def halvings(config: DCGANConfig) -> list[nn.Conv2d]:
    """The discriminator's convolutions but the last."""
    return [layer for layer in Discriminator(config).layers if isinstance(layer, nn.Conv2d)][:-1]


def test_a_convolution_is_a_weighted_sum_at_every_place():
    layer, x = halvings(replace(TINY, channels=2))[0], torch.randn(1, 2, 7, 6, generator=rng())
    y, padded = layer(x), torch.nn.functional.pad(x, (1, 1, 1, 1))
    assert y.shape == (1, 4, 3, 3)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            patch = padded[0, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            assert torch.allclose(y[0, :, i, j], (layer.weight * patch).sum((1, 2, 3)) + layer.bias, atol=1e-5)


def test_sides_follow_the_two_formulas():
    for side in range(4, 12):
        for kernel, stride, padding in ((3, 1, 1), (4, 2, 1), (5, 2, 2), (3, 2, 0)):
            small = conv2d(torch.zeros(1, 1, side, side), torch.zeros(1, 1, kernel, kernel), None, stride, padding)
            assert small.shape[-1] == (side + 2 * padding - kernel) // stride + 1
            for more in range(stride):
                x = torch.zeros(1, 1, side, side)
                large = conv_transpose2d(x, torch.zeros(1, 1, kernel, kernel), None, stride, padding, more)
                assert large.shape[-1] == (side - 1) * stride + kernel - 2 * padding + more
    for kernel in range(3, 8):
        padding, more = (kernel - 1) // 2, kernel % 2
        for side, layer in zip((16, 8), halvings(replace(TINY, kernel=kernel)), strict=True):
            small = layer(torch.zeros(1, layer.in_channels, side, side)).shape[-1]
            assert small == (side + 2 * padding - kernel) // 2 + 1 == side // 2
        for side, layer in zip((4, 8), doublings(replace(TINY, kernel=kernel)), strict=True):
            large = layer(torch.zeros(1, layer.in_channels, side, side)).shape[-1]
            assert large == (side - 1) * 2 + kernel - 2 * padding + more == 2 * side


@pytest.mark.parametrize("kernel, padding", [(3, 1), (4, 1), (5, 2)])
def test_a_transposed_convolution_spreads_each_number_over_a_patch(kernel, padding):
    layer, x = doublings(replace(TINY, kernel=kernel))[0], torch.randn(1, 8, 4, 4, generator=rng())
    canvas = torch.zeros(4, 6 + kernel, 6 + kernel)
    for i in range(4):
        for j in range(4):
            stamp = (x[0, :, i, j, None, None, None] * layer.weight).sum(0)
            canvas[:, 2 * i : 2 * i + kernel, 2 * j : 2 * j + kernel] += stamp
    assert torch.allclose(layer(x)[0], canvas[:, padding : padding + 8, padding : padding + 8], atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_a_transposed_convolution_is_the_adjoint_and_not_the_inverse(kernel):
    config = replace(TINY, kernel=kernel, discriminator_norm=True)
    forth, back = halvings(config)[1].double(), doublings(config)[0].double()  # 4 to 8 channels, and 8 to 4
    back.weight.data = forth.weight.data
    x = torch.randn(1, 4, 8, 8, generator=rng(1), dtype=torch.float64)
    y = torch.randn(1, 8, 4, 4, generator=rng(2), dtype=torch.float64)
    assert torch.allclose((forth(x) * y).sum(), (x * back(y)).sum())
    assert not torch.allclose(back(forth(x)), x, atol=0.1)


def test_overlaps_are_even_only_if_the_stride_divides_the_kernel():
    def touched(kernel: int) -> torch.Tensor:
        one = torch.ones(1, 1, 12, 12)
        counts = conv_transpose2d(one, torch.ones(1, 1, kernel, kernel), None, 2, (kernel - 1) // 2, kernel % 2)
        return counts[0, 0, 6:-6, 6:-6].unique()

    assert len(touched(4)) == 1 and len(touched(2)) == 1
    assert touched(3).tolist() == [1, 2, 4] and touched(5).tolist() == [4, 6, 9]


# Batch normalisation and activations.


def norm_of(network: type[nn.Module]) -> nn.Module:
    """The first norm of a network: 8 channels, its scale and shift as in a fresh torch layer."""
    layer = network(replace(TINY, discriminator_norm=True)).layers[1 if network is Generator else 3]
    assert layer.weight.shape == (8,)
    return layer


both_networks = pytest.mark.parametrize("network", [Generator, Discriminator])


@both_networks
def test_batch_norm_in_training_gives_each_channel_its_shift_and_scale(network):
    x, norm = 3 * torch.randn(4, 8, 5, 5, generator=rng()) + 7, norm_of(network)
    x[:, 0] *= 1e-3  # a variance as small as epsilon
    norm.weight.data, norm.bias.data = torch.linspace(0.5, 2, 8), torch.linspace(-1, 3, 8)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    by_hand = norm.weight.view(1, 8, 1, 1) * (x - mean) / (variance + 1e-5).sqrt() + norm.bias.view(1, 8, 1, 1)
    assert torch.allclose(norm(x), by_hand, atol=1e-4)
    assert torch.allclose(norm(x).mean((0, 2, 3)), norm.bias, atol=1e-4)


@both_networks
def test_batch_norm_in_eval_uses_running_statistics_so_that_pictures_do_not_mix(network):
    norm, x = norm_of(network), torch.randn(8, 8, 4, 4, generator=rng()) + 5
    norm(x)
    assert torch.allclose(norm.running_mean, 0.1 * x.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * x.var((0, 2, 3), correction=1), atol=1e-5)
    alone = norm.eval()(x[:1])
    by_hand = (x[:1] - norm.running_mean.view(1, 8, 1, 1)) / (norm.running_var.view(1, 8, 1, 1) + 1e-5).sqrt()
    assert torch.allclose(alone, by_hand, atol=1e-5) and torch.allclose(alone, norm(x)[:1])
    assert not torch.allclose(norm.train()(x)[:1], alone, atol=0.1)


def test_samples_do_not_depend_on_their_neighbours():
    model = DCGAN(TINY)
    latent = torch.randn(4, 5, generator=rng())
    with model.inference():
        assert torch.allclose(model.generator(latent)[:1], model.generator(latent[:1]), atol=1e-6)


def test_a_leaky_relu_passes_gradient_on_both_sides_and_a_relu_on_one():
    x = torch.tensor([-2.0, -0.5, 0.5, 3.0], requires_grad=True)
    for leak in (0.2, 0.0):
        y = activation(leak)(x.clone())  # it works in place
        assert torch.equal(y, torch.maximum(x, leak * x))
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(slope, torch.tensor([leak, leak, 1.0, 1.0]))
    assert torch.allclose(torch.tanh(x), 2 * torch.sigmoid(2 * x) - 1, atol=1e-6)


# The guidelines: each is there, and each can be switched off.


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


def test_the_published_pair_follows_the_guidelines():
    with torch.device("meta"):
        model = create_model("dcgan", preset="paper")
    generator, discriminator = kinds(model.generator), kinds(model.discriminator)
    assert generator == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4 + ["ConvTranspose2d", "Tanh"]
    assert discriminator == ["Conv2d", "LeakyReLU"] + ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3 + ["Conv2d"]


@pytest.mark.parametrize(
    "switch, network, before, after",
    [
        ({"first_norm": True}, "discriminator", ["Conv2d", "LeakyReLU"], ["Conv2d", "BatchNorm2d"]),
        ({"discriminator_leak": 0.0}, "discriminator", ["Conv2d", "LeakyReLU"], ["Conv2d", "ReLU"]),
        ({"halve": "pool"}, "discriminator", ["Conv2d", "LeakyReLU"], ["Conv2d", "MaxPool2d"]),
        ({"double": "nearest"}, "generator", None, None),
        ({"generator_leak": 0.2}, "generator", None, None),
        ({"generator_norm": False}, "generator", None, None),
    ],
)
def test_a_switch_changes_its_own_network_only(switch, network, before, after):
    published = replace(TINY, discriminator_norm=True)
    one, two = DCGAN(published), DCGAN(replace(published, **switch))
    other = "generator" if network == "discriminator" else "discriminator"
    assert kinds(getattr(one, other)) == kinds(getattr(two, other))
    assert kinds(getattr(one, network)) != kinds(getattr(two, network))
    if before:
        assert (kinds(one.discriminator)[:2], kinds(two.discriminator)[:2]) == (before, after)


def test_fresh_weights_have_the_deviation_that_the_config_asks_for():
    model = create_model("dcgan", preset="reference", generator_widths=(64, 32), discriminator_widths=(32, 64), size=16)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1) and abs(layer.weight.mean()) < 0.002
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.02) and (layer.bias == 0).all()
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.5)


def test_without_normalisation_small_weights_silence_a_deep_stack():
    """N(0, 0.02^2) suits layers that a norm scales up again; a narrow stack without one hardly answers."""
    images = torch.rand(16, 1, 16, 16, generator=rng()) * 2 - 1

    def spread(**changes) -> float:
        torch.manual_seed(0)
        return DCGAN(replace(TINY, **changes)).discriminator(images).std().item()

    assert spread() < 0.01 * spread(discriminator_norm=True)
    assert spread() < 0.1 * spread(init_std=None)


# Training.


@pytest.mark.parametrize("config", [TINY, CLASSES, replace(TINY, discriminator_norm=True, first_norm=True)])
def test_each_phase_moves_its_own_network_and_every_parameter_of_it(config):
    config = replace(config, r1=0.0 if config.discriminator_norm else 1.0)
    model = DCGAN(config)
    for phase, other in (("discriminator", "generator"), ("generator", "discriminator")):
        model.zero_grad()
        model(phase, batch(config), Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name.startswith(phase):
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert name.startswith(other) and parameter.grad is None


def test_real_and_fake_images_have_batch_statistics_of_their_own():
    model = DCGAN(replace(TINY, discriminator_norm=True))
    norm = next(layer for layer in model.discriminator.layers if isinstance(layer, nn.BatchNorm2d))
    model("discriminator", batch(TINY), Draw(0))
    assert norm.num_batches_tracked == 2


def test_a_lazy_penalty_comes_every_fourth_step_four_times_as_strong():
    model, every = (DCGAN(replace(TINY, r1=1.0, penalty_every=k)) for k in (4, 1))
    every.load_state_dict(model.state_dict())
    terms = [model("discriminator", batch(TINY), Draw(0, step)).terms for step in range(5)]
    assert ["r1" in term for term in terms] == [True, False, False, False, True]
    assert torch.allclose(terms[0]["r1"], 4 * every("discriminator", batch(TINY), Draw(0)).terms["r1"])


def test_both_players_learn_one_picture_by_heart():
    torch.manual_seed(0)
    model = DCGAN(replace(TINY, size=8, generator_widths=(16,), discriminator_widths=(16,), init_std=None, r1=1.0))
    target = -torch.ones(1, 1, 8, 8)
    target[:, :, 2:6, 3:5] = 1
    optimizers = {
        name: torch.optim.Adam(getattr(model, name).parameters(), 5e-3, (0.0, 0.9))
        for name in ("generator", "discriminator")
    }
    for step in range(80):
        for phase in ("discriminator", "generator"):
            optimizers[phase].zero_grad()
            model(phase, {"image": target.expand(8, 1, 8, 8)}, Draw(0, step)).total.backward()
            optimizers[phase].step()
    assert (model.sample(32, generator=rng()) - target).abs().mean() < 0.15


# Conditions and sampling.


def test_the_class_reaches_both_networks():
    model = DCGAN(replace(CLASSES, init_std=0.2)).eval()
    latent, digit = torch.randn(3, 5, generator=rng()), torch.arange(3)
    one, other = model.generator(latent, digit), model.generator(latent, digit.roll(1))
    assert ((one - other).abs().amax((1, 2, 3)) > 1e-3).all()
    noise_and_class = torch.cat([latent, torch.eye(3)], dim=1)  # rows 1 0 0, 0 1 0, 0 0 1
    assert torch.equal(one, model.generator.layers(noise_and_class[:, :, None, None]))
    all_logits = model.discriminator.layers(one).flatten(1)
    assert torch.equal(model.discriminator(one, digit), all_logits.diagonal())


def test_asked_for_a_digit_the_same_noise_draws_that_digit():
    model = DCGAN(CLASSES)
    ones = model.sample(4, condition={"digit": torch.ones(4, dtype=torch.long)}, generator=rng())
    latent = torch.randn(4, 5, generator=rng())
    with model.inference():
        assert torch.allclose(model.generator(latent, torch.ones(4, dtype=torch.long)), ones)
    assert model.sample(4, generator=rng()).shape == (4, 1, 16, 16)


@pytest.mark.parametrize("config", [TINY, CLASSES, replace(TINY, noise="uniform")])
def test_the_same_generator_seed_gives_the_same_samples(config):
    model = DCGAN(config)
    first, again, other = (model.sample(3, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_uniform_noise_stays_in_its_cube():
    model, seen = DCGAN(replace(TINY, noise="uniform", latent_dim=200)), []
    model.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.sample(50, generator=rng())
    model("generator", batch(TINY), Draw(0))
    for latent in seen:
        assert latent.abs().max() <= 1 and latent.min() < -0.9 and latent.var().item() == pytest.approx(1 / 3, abs=0.05)


def test_a_saved_model_samples_the_same(tmp_path):
    model = create_model(
        "dcgan", size=16, latent_dim=5, generator_widths=(8, 4), discriminator_widths=(4, 8), classes=3
    )
    model("generator", batch(TINY), Draw(0))  # running statistics move
    expected = model.sample(4, generator=rng())
    write_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(load_model(tmp_path / "weights.safetensors").sample(4, generator=rng()), expected)


def test_mistakes_are_named_with_their_fix():
    with pytest.raises(ArgumentError, match=r"size=32 with generator_widths=\(8, 4\).*give 3 widths"):
        replace(TINY, size=32)
    with pytest.raises(ArgumentError, match=r"size=28.*use size 8, 16, 32, 64"):
        replace(TINY, size=28)
    with pytest.raises(ArgumentError, match="batch normalisation in the discriminator: R1 needs the slope of each"):
        replace(TINY, r1=1.0, discriminator_norm=True)
    with pytest.raises(ArgumentError, match="kernel=2"):
        replace(TINY, kernel=2)
    with pytest.raises(ArgumentError, match="classes=1"):
        replace(TINY, classes=1)
    with pytest.raises(ArgumentError, match="r1=-1"):
        replace(TINY, r1=-1)
    model = DCGAN(CLASSES)
    with pytest.raises(ArgumentError, match=r"digit=\[3, 0\]: give one whole number from 0 to 2"):
        model.sample(2, condition={"digit": torch.tensor([3, 0])})
    with pytest.raises(ArgumentError, match=r"trains on \['digit', 'image'\]; the batch has \['image'\]"):
        model("generator", {"image": torch.zeros(2, 1, 16, 16)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"images have shape \(1, 28, 28\), the config says channels=1, size=16"):
        DCGAN(TINY)("generator", {"image": torch.zeros(2, 1, 28, 28)}, Draw(0))
    with pytest.raises(ArgumentError, match='no condition "digit"'):
        DCGAN(TINY).sample(2, condition={"digit": torch.zeros(2)})
