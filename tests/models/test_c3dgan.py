"""C3DGAN: one stream of 3-D convolutions, full or factorised."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.c3dgan import C3DGAN, C3DGANConfig
from vidgen_lab.zoo import load_model

TINY = C3DGANConfig(frames=8, size=16, latent_dim=5, generator_widths=(8, 4), discriminator_widths=(4, 8))
BOTH = pytest.mark.parametrize("conv", ["3d", "2+1d"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(config: C3DGANConfig = TINY, rows: int = 4) -> dict[str, torch.Tensor]:
    return {"video": torch.rand(rows, *config.shape, generator=rng()) * 2 - 1}


def build(config: C3DGANConfig, seed: int = 0) -> C3DGAN:
    torch.manual_seed(seed)
    return C3DGAN(config)


def sides(network: nn.Module, x: torch.Tensor) -> list[tuple[int, ...]]:
    """Channels and sides after each layer that is a convolution or a pair of factors."""
    shapes = []
    for layer in network.layers:
        x = layer(x)
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Sequential):
            shapes.append(tuple(x.shape[1:]))
    return shapes


@BOTH
def test_every_layer_doubles_or_halves_space_and_time(conv):
    model = build(replace(TINY, conv=conv))
    assert sides(model.generator, torch.zeros(2, 5, 1, 1, 1)) == [(8, 2, 4, 4), (4, 4, 8, 8), (1, 8, 16, 16)]
    assert sides(model.discriminator, batch()["video"]) == [(4, 4, 8, 8), (8, 2, 4, 4), (1, 1, 1, 1)]
    assert model.sample(3).shape == (3, 1, 8, 16, 16) and model.sample(3).abs().max() <= 1


def test_both_kinds_make_the_same_shapes_and_the_factors_hold_fewer_weights():
    full, factors = (count_parameters(create_model("c3dgan", "gpu", conv=conv)) for conv in ("3d", "2+1d"))
    for network in ("generator", "discriminator"):
        assert factors[network] < 0.6 * full[network]


def test_with_four_doublings_it_is_the_foreground_stream_of_the_paper_with_one_head():
    with torch.device("meta"):
        model = create_model(
            "c3dgan", frames=32, size=64, channels=3,
            generator_widths=(512, 256, 128, 64), discriminator_widths=(64, 128, 256, 512),
        )  # fmt: skip
        layers = sides(model.generator, torch.empty(1, 100, 1, 1, 1))
    assert layers == [(512, 2, 4, 4), (256, 4, 8, 8), (128, 8, 16, 16), (64, 16, 32, 32), (3, 32, 64, 64)]


@BOTH
def test_each_phase_moves_its_own_network_and_every_parameter_of_it(conv):
    model = build(replace(TINY, conv=conv))
    for phase, other in (("discriminator", "generator"), ("generator", "discriminator")):
        model.zero_grad()
        model(phase, batch(), Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name.startswith(phase):
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert name.startswith(other) and parameter.grad is None


def test_the_terms_are_cross_entropy_and_r1():
    model = build(replace(TINY, discriminator_norm=False, r1=3.0, penalty_every=1)).eval()
    clips = batch()["video"].requires_grad_()

    def generated(phase: str) -> torch.Tensor:
        return model.discriminator(model.generator(Draw(0).at(phase).normal("latent", (4, 5))))

    real = model.discriminator(clips)
    (slope,) = torch.autograd.grad(real.sum(), clips)
    terms = model("discriminator", batch(), Draw(0)).terms | model("generator", batch(), Draw(0)).terms
    expected = {
        "real": nn.functional.softplus(-real).mean(),
        "fake": nn.functional.softplus(generated("discriminator")).mean(),
        "r1": 3 / 2 * slope.square().sum((1, 2, 3, 4)).mean(),
        "adversarial": nn.functional.softplus(-generated("generator")).mean(),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert torch.allclose(terms[name], value, rtol=1e-4), name


def test_real_and_generated_clips_have_batch_statistics_of_their_own():
    model = build(replace(TINY, discriminator_norm=True, r1=0.0))
    model("discriminator", batch(), Draw(0))
    assert next(m for m in model.discriminator.modules() if isinstance(m, nn.BatchNorm3d)).num_batches_tracked == 2


def test_a_lazy_penalty_comes_every_fourth_step_four_times_as_strong():
    lazy, every = (build(replace(TINY, penalty_every=k)) for k in (4, 1))
    terms = [lazy("discriminator", batch(), Draw(0, step)).terms for step in range(5)]
    assert ["r1" in term for term in terms] == [True, False, False, False, True]
    assert torch.allclose(terms[0]["r1"], 4 * every("discriminator", batch(), Draw(0)).terms["r1"])


def test_fresh_weights_have_the_deviation_that_the_config_asks_for():
    model = build(replace(TINY, generator_widths=(64, 32), init_std=0.01))
    assert model.generator.layers[3].weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_both_players_learn_one_clip_by_heart():
    model = build(replace(TINY, size=8, frames=4, generator_widths=(16,), discriminator_widths=(16,), r1=1.0), 1)
    target = -torch.ones(1, 1, 4, 8, 8)
    for t in range(4):
        target[:, :, t, 2:6, 2 * t : 2 * t + 2] = 1  # a bar moves right
    networks = {name: getattr(model, name) for name in ("discriminator", "generator")}
    optimizers = {name: torch.optim.Adam(network.parameters(), 5e-3, (0.0, 0.9)) for name, network in networks.items()}
    for step in range(120):
        for phase, optimizer in optimizers.items():
            optimizer.zero_grad()
            model(phase, {"video": target.expand(8, -1, -1, -1, -1)}, Draw(0, step)).total.backward()
            optimizer.step()
    assert (model.sample(32, generator=rng()) - target).abs().mean() < 0.15


@BOTH
def test_the_same_generator_seed_gives_the_same_samples(conv):
    model = build(replace(TINY, conv=conv))
    first, again, other = (model.sample(3, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@BOTH
def test_a_saved_model_samples_the_same(conv, tmp_path):
    model = create_model(
        "c3dgan", conv=conv, frames=8, size=16, latent_dim=5, generator_widths=(8, 4), discriminator_widths=(4, 8)
    )
    model("generator", batch(), Draw(0))  # running statistics move
    expected = model.sample(4, generator=rng())
    write_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(load_model(tmp_path / "weights.safetensors").sample(4, generator=rng()), expected)


def test_mistakes_are_named_with_their_fix():
    for changes, message in (
        ({"size": 32}, r"size=32 with generator_widths=\(8, 4\).*give 3 widths"),
        ({"frames": 10}, "frames=10.*Nearest: frames=8"),
        ({"conv": "2d"}, 'conv="2d": layers that see single frames cannot double them. Use "3d" or "2\\+1d"'),
        ({"r1": -1.0}, "r1=-1"),
        ({"discriminator_norm": True}, "R1 needs the slope of each clip alone"),
    ):
        with pytest.raises(ArgumentError, match=message):
            replace(TINY, **changes)
    with pytest.raises(ArgumentError, match="frames=16: this C3DGAN makes clips of 8 frames"):
        build(TINY).sample(2, frames=16)
    with pytest.raises(ArgumentError, match=r"clips have shape \(1, 8, 8, 8\), the config says \(1, 8, 16, 16\)"):
        build(TINY)("generator", {"video": torch.zeros(2, 1, 8, 8, 8)}, Draw(0))
