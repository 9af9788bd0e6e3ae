"""TGAN: latents of frames from 1-D transposed convolutions, singular value clipping, labels, the published tables."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from vidgen_lab import create_model, fit
from vidgen_lab.core import ArgumentError, DataConfig, Draw, count_parameters, write_weights
from vidgen_lab.models.tgan import TGAN, TGANConfig, clamp_scale, clip_singular_values
from vidgen_lab.nn.labels import VALUES, append
from vidgen_lab.zoo import load_model

TINY = TGANConfig(
    frames=8,
    size=16,
    latent_dim=5,
    temporal_widths=(8, 6, 4),
    generator_widths=(8, 4),
    discriminator_widths=(4, 8),
)
ASKED = replace(TINY, labels=("digit", "direction", "speed"))
BOTH = pytest.mark.parametrize("config", [TINY, ASKED], ids=["plain", "labels"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(config: TGANConfig = TINY, rows: int = 4) -> dict[str, torch.Tensor]:
    labels = {name: torch.arange(rows) % count for name, count in VALUES.items()}
    return {"video": torch.rand(rows, *config.shape, generator=rng()) * 2 - 1, **labels}


def build(config: TGANConfig = TINY, seed: int = 0) -> TGAN:
    torch.manual_seed(seed)
    return TGAN(config)


def noise(rows: int = 4) -> torch.Tensor:
    return torch.rand(rows, TINY.latent_dim, generator=rng()) * 2 - 1


def kernels(model: TGAN) -> list[torch.Tensor]:
    return [layer.weight for layer in model.discriminator.modules() if isinstance(layer, nn.Conv3d)]


def largest(weight: torch.Tensor) -> float:
    return torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item()


# The published tables.


def walk(layers: nn.Sequential, x: torch.Tensor) -> list[tuple[int, ...]]:
    """Channels and sides after each convolution."""
    shapes = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.modules.conv._ConvNd):
            shapes.append(tuple(x.shape[1:]))
    return shapes


def test_the_paper_preset_has_the_published_parameter_counts():
    with torch.device("meta"):
        model = create_model("tgan", "paper")
    assert count_parameters(model) == {"generator": 4_449_159, "discriminator": 11_033_281}
    assert count_parameters(model.generator)["temporal"] == 826_468


def test_the_paper_preset_has_the_published_layers():
    with torch.device("meta"):
        model = create_model("tgan", "paper")
        noise, maps, clip = torch.empty(2, 100, 1), torch.empty(2, 512, 4, 4), torch.empty(2, 3, 16, 64, 64)
        moments = walk(model.generator.temporal.layers, noise)
        frames = walk(model.generator.image.layers, maps)
        critic = walk(model.discriminator.layers, clip)
    assert moments == [(512, 1), (256, 2), (128, 4), (128, 8), (100, 16)]
    assert frames == [(256, 8, 8), (128, 16, 16), (64, 32, 32), (32, 64, 64), (3, 64, 64)]
    assert critic == [(64, 8, 32, 32), (128, 4, 16, 16), (256, 2, 8, 8), (512, 1, 4, 4), (1, 1, 1, 1)]


def test_weights_of_the_image_generator_start_within_the_bound_that_the_config_names():
    model = build(replace(TINY, image_bound=0.01))
    for name, weight in model.generator.named_parameters():
        if weight.dim() > 1:  # neither biases nor scales
            assert (weight.abs().max() <= 0.01) == name.startswith("image"), name


# Two generators.


def test_frames_of_a_clip_differ_through_their_latents_alone():
    model = build().eval()
    latents = model.generator.temporal(noise())
    assert latents.shape == (4, 8, 5) and latents.abs().max() <= 1
    clips = model.generator.image(noise(), latents)  # (B, T, C, S, S)
    assert clips.shape == (4, 8, 1, 16, 16) and ((clips[:, 1:] - clips[:, :-1]).abs().amax((2, 3, 4)) > 0).all()
    assert torch.equal(model.generator(noise()), clips.transpose(1, 2))
    still = model.generator.image(noise(), latents[:, :1].expand(-1, 8, -1))
    assert torch.allclose(still, still[:, :1].expand_as(still), atol=1e-6)
    order = torch.randperm(8, generator=rng())
    assert torch.allclose(model.generator.image(noise(), latents[:, order]), clips[:, order], atol=1e-6)


def test_permuting_the_batch_permutes_the_clips_and_nothing_else():
    model, order = build().eval(), torch.tensor([2, 0, 3, 1])
    clips = model.generator(noise())
    assert clips.shape == (4, 1, 8, 16, 16) and clips.abs().max() <= 1
    assert torch.allclose(model.generator(noise()[order]), clips[order], atol=1e-6)
    assert not torch.allclose(clips[order], clips, atol=1e-4)


# Singular value clipping.


def test_clipping_leaves_no_singular_value_above_one_and_the_smaller_ones_as_they_are():
    weight = torch.randn(6, 4, 3, 3, generator=rng()) / 6
    before = torch.linalg.svdvals(weight.flatten(1))
    assert before[0] > 1 > before[-1]
    clip_singular_values(weight)
    assert torch.allclose(torch.linalg.svdvals(weight.flatten(1)), before.clamp(max=1), atol=1e-5)


def test_clipping_twice_is_clipping_once():
    weight = torch.randn(6, 4, 3, 3, generator=rng())
    clip_singular_values(weight)
    once = weight.clone()
    clip_singular_values(weight)
    assert torch.allclose(weight, once, atol=1e-6)


def test_clipping_leaves_a_kernel_without_large_singular_values_alone():
    weight = torch.randn(6, 4, 3, 3, generator=rng())
    weight /= 1.01 * largest(weight)
    before = weight.clone()
    clip_singular_values(weight)
    assert torch.equal(weight, before)


def test_clipping_finds_the_nearest_kernel_that_stretches_no_input():
    weight = torch.randn(6, 8, generator=rng())
    clipped = weight.clone()
    clip_singular_values(clipped)
    assert largest(clipped) <= 1 + 1e-5
    # The inner product of the rest with a kernel that stretches nothing is at most the sum of its singular values. The
    # clipped one reaches it: a step towards any other does not lead nearer to the weight.
    rest = weight - clipped
    assert torch.allclose((rest * clipped).sum(), torch.linalg.svdvals(rest).sum(), rtol=1e-5)
    scaled = weight / largest(weight)  # one of the others, as spectral normalisation makes it
    assert (clipped - weight).norm() < (scaled - weight).norm()


def test_a_clamped_batch_normalisation_stretches_no_channel_and_loses_none():
    norm = nn.BatchNorm3d(3, eps=0.0).eval()
    with torch.no_grad():
        norm.running_var.copy_(torch.tensor([4.0, 0.25, 9.0]))
        norm.weight.copy_(torch.tensor([1.0, 3.0, -1.0]))
    clamp_scale(norm)
    assert norm.weight.tolist() == pytest.approx([1.0, 0.5, 0.03])
    slopes = norm(torch.ones(1, 3, 1, 1, 1)) - norm(torch.zeros(1, 3, 1, 1, 1))
    assert slopes.max() <= 1 + 1e-6 and slopes.min() >= 0.01 - 1e-6


def test_only_the_critic_is_clipped_and_only_after_every_fifth_of_its_steps():
    model = build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for phase, step in (("generator", 0), ("discriminator", 1), ("discriminator", 4)):
        model.after_step(phase, Draw(0, step).at(phase))
        assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    model.after_step("discriminator", Draw(0, 5).at("discriminator"))
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    names = {f"discriminator.layers.{index}.weight" for index in (0, 2, 3, 5)}  # three kernels and a scale, no bias
    assert changed == names
    assert all(largest(weight) <= 1 + 1e-5 for weight in kernels(model))


def test_a_training_run_ends_with_a_clipped_critic():
    fields = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__}
    # Steps 0 to 5: the last one is clipped again.
    model = create_model("tgan", **fields, data=DataConfig("moving-digits", size=16, frames=8), steps=6, batch_size=4)
    with torch.no_grad():
        for weight in kernels(model):
            weight.mul_(10)
    fit(model, progress=False)
    assert all(largest(weight) <= 1 + 1e-5 for weight in kernels(model))


# Training.


@BOTH
def test_each_phase_moves_its_own_network_and_every_parameter_of_it_but_one(config):
    model = build(config)
    for phase in model.phases:
        model.zero_grad()
        model(phase.name, batch(), Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name == "discriminator.layers.5.bias" and phase.name == "discriminator":
                assert (parameter.grad == 0).all()  # it is added to real and fake values, and only their gap counts
            elif name.split(".")[0] in phase.updates:
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert parameter.grad is None


def test_the_two_players_share_one_number_with_opposite_signs():
    model = build().eval()
    critic = model("discriminator", batch(), Draw(0))
    fake = model.generator(Draw(0).at("discriminator").uniform("latent", (4, 5), -1, 1))
    gap = model.discriminator(batch()["video"]).mean() - model.discriminator(fake).mean()
    assert torch.allclose(critic.total, -gap, atol=1e-6)
    made = model.generator(Draw(0).at("generator").uniform("latent", (4, 5), -1, 1))
    assert torch.allclose(model("generator", batch(), Draw(0)).total, -model.discriminator(made).mean(), atol=1e-6)


def test_real_and_generated_clips_have_batch_statistics_of_their_own():
    model = build()
    model("discriminator", batch(), Draw(0))
    assert next(m for m in model.discriminator.modules() if isinstance(m, nn.BatchNorm3d)).num_batches_tracked == 2


def test_both_players_learn_one_clip_by_heart():
    model = build(
        replace(
            TINY, size=8, frames=4, temporal_widths=(8, 6), generator_widths=(16,), discriminator_widths=(16,)
        ),
        1,
    )  # fmt: skip
    target = -torch.ones(1, 1, 4, 8, 8)
    for t in range(4):
        target[:, :, t, 2:6, 2 * t : 2 * t + 2] = 1  # a bar moves right
    optimizers = {
        phase.name: torch.optim.Adam(getattr(model, phase.name).parameters(), 5e-3, (0.5, 0.9))
        for phase in model.phases
    }
    for step in range(150):
        for phase, optimizer in optimizers.items():
            optimizer.zero_grad()
            model(phase, {"video": target.expand(8, -1, -1, -1, -1)}, Draw(0, step)).total.backward()
            optimizer.step()
            model.after_step(phase, Draw(0, step).at(phase))
    assert (model.sample(32, generator=rng()) - target).abs().mean() < 0.15


# Labels, sampling.


def test_labels_stand_beside_the_noise_of_both_generators():
    model, labels = build(ASKED).eval(), batch()
    source = append(noise(), labels, ASKED.labels)
    assert source.shape == (4, 5 + 10 + 8 + 2)
    frames = model.generator.image(source, model.generator.temporal(source))
    assert torch.equal(model.generator(noise(), labels), frames.transpose(1, 2))
    for name, count in VALUES.items():
        other = append(noise(), {**labels, name: (labels[name] + 1) % count}, ASKED.labels)
        for changed in (
            model.generator.temporal(other) - model.generator.temporal(source),
            model.generator.image(other, model.generator.temporal(source)) - frames,
        ):
            assert (changed.flatten(1).abs().amax(1) > 1e-4).all(), name


def test_a_value_is_that_of_the_clip_and_one_output_for_each_label():
    model, labels = build(ASKED).eval(), batch()
    outputs = model.discriminator.layers(labels["video"]).flatten(1)
    assert outputs.shape == (4, 1 + 10 + 8 + 2)
    picked = outputs[:, 0]
    for name, first in (("digit", 1), ("direction", 11), ("speed", 19)):
        picked = picked + outputs[torch.arange(4), first + labels[name]]
    assert torch.allclose(model.discriminator(labels["video"], labels), picked)


def test_both_players_are_told_the_labels_of_each_clip():
    model, given = build(ASKED).eval(), batch()
    latent = Draw(0).at("discriminator").uniform("latent", (4, 5), -1, 1)
    real, fake = model.discriminator(given["video"], given), model.discriminator(model.generator(latent, given), given)
    assert torch.allclose(model("discriminator", given, Draw(0)).total, fake.mean() - real.mean(), atol=1e-6)
    latent = Draw(0).at("generator").uniform("latent", (4, 5), -1, 1)
    fake = model.discriminator(model.generator(latent, given), given)
    assert torch.allclose(model("generator", given, Draw(0)).total, -fake.mean(), atol=1e-6)


def test_asked_for_labels_the_same_noise_shows_them_and_the_rest_is_drawn():
    model = build(ASKED)
    asked = {name: torch.ones(4, dtype=torch.long) for name in VALUES}
    clips, again = (model.sample(4, condition=asked, generator=rng()) for _ in range(2))
    others = model.sample(4, condition={"digit": asked["digit"]}, generator=rng())
    assert torch.equal(clips, again) and not torch.equal(clips, others)
    drawn = model.example_condition(500, rng())
    assert {name: len(values.unique()) for name, values in drawn.items()} == VALUES
    assert build().example_condition(2) is None


@BOTH
def test_the_same_generator_seed_gives_the_same_samples(config):
    model = build(config)
    first, again, other = (model.sample(3, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@BOTH
def test_a_saved_model_samples_the_same(config, tmp_path):
    model = create_model("tgan", **{name: getattr(config, name) for name in config.__dataclass_fields__})
    model("generator", batch(), Draw(0))  # running statistics move
    expected = model.sample(4, generator=rng())
    write_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(load_model(tmp_path / "weights.safetensors").sample(4, generator=rng()), expected)


def test_mistakes_are_named_with_their_fix():
    for changes, message in (
        ({"size": 32}, r"size=32 with generator_widths=\(8, 4\).*give 3 widths"),
        ({"discriminator_widths": (4,)}, r"with discriminator_widths=\(4,\).*give 2 widths"),
        ({"frames": 16}, r"frames=16 with temporal_widths=\(8, 6, 4\).*Use frames=8"),
        ({"clip_every": 0}, "clip_every=0: give 1 or more"),
        ({"labels": ("digits",)}, 'no label "digits"; did you mean "digit"'),
        ({"image_bound": 0.0}, "image_bound=0.0: must be above 0, or None"),
    ):
        with pytest.raises(ArgumentError, match=message):
            replace(TINY, **changes)
    with pytest.raises(ArgumentError, match="frames=16: this TGAN makes clips of 8 frames.*doubles one moment 3 times"):
        build().sample(2, frames=16)
    with pytest.raises(ArgumentError, match=r"clips have shape \(1, 8, 8, 8\), the config says \(1, 8, 16, 16\)"):
        build()("generator", {"video": torch.zeros(2, 1, 8, 8, 8)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"trains on \['digit', 'direction', 'speed', 'video'\]; the batch has"):
        build(ASKED)("generator", {"video": torch.zeros(2, *TINY.shape)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"speed=\[0, 2\]: give one whole number from 0 to 1 a clip"):
        build(ASKED).sample(2, condition={"speed": torch.tensor([0, 2])})
