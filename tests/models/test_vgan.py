"""VGAN: two streams and a mask, the published tables, a given first frame, labels, a critic of frames."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.vgan import VGAN, VGANConfig
from vidgen_lab.nn.labels import VALUES
from vidgen_lab.zoo import load_model

TINY = VGANConfig(
    frames=8,
    size=16,
    latent_dim=5,
    generator_widths=(8, 4),
    discriminator_widths=(4, 8),
    discriminator_norm=False,
    init_std=None,
)
ASKED = replace(TINY, labels=("digit", "direction", "speed"))
GIVEN = replace(TINY, first_frame=True)
BOTH_CRITICS = replace(ASKED, frame_widths=(4, 6), critic_frames=3)
ALL = pytest.mark.parametrize("config", [TINY, ASKED, GIVEN, BOTH_CRITICS], ids=["plain", "labels", "given", "frames"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(config: VGANConfig = TINY, rows: int = 4, seed: int = 0) -> dict[str, torch.Tensor]:
    labels = {name: torch.arange(rows) % count for name, count in VALUES.items()}
    return {"video": torch.rand(rows, *config.shape, generator=rng(seed)) * 2 - 1, **labels}


def build(config: VGANConfig, seed: int = 0) -> VGAN:
    torch.manual_seed(seed)
    return VGAN(config)


def noise(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, TINY.latent_dim, generator=rng(seed))


def set_mask(model: VGAN, bias: float) -> None:
    """Lets every pixel of the mask be sigmoid(bias)."""
    with torch.no_grad():
        model.generator.foreground.heads.weight[:, -1].zero_()
        model.generator.foreground.heads.bias[-1] = bias


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
        model = create_model("vgan", preset="paper")
    assert count_parameters(model) == {"generator": 16_245_383, "discriminator": 11_057_858}


def test_the_paper_preset_has_the_published_layers():
    with torch.device("meta"):
        model, z, clip = create_model("vgan", preset="paper"), torch.empty(2, 100, 1, 1), torch.empty(2, 3, 32, 64, 64)
    still, moving = model.generator.background, model.generator.foreground
    assert walk(still.layers, z) == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert walk(moving.trunk, z.unsqueeze(2)) == [(512, 2, 4, 4), (256, 4, 8, 8), (128, 8, 16, 16), (64, 16, 32, 32)]
    foreground, mask = moving(z)
    assert foreground.shape == (2, 3, 32, 64, 64) and mask.shape == (2, 1, 32, 64, 64)
    assert walk(model.discriminator.layers, clip) == [
        (64, 16, 32, 32), (128, 8, 16, 16), (256, 4, 8, 8), (512, 2, 4, 4), (2, 1, 1, 1),
    ]  # fmt: skip
    kernels = [layer.kernel_size for layer in model.modules() if isinstance(layer, nn.modules.conv._ConvNd)]
    assert set(kernels) == {(4, 4), (4, 4, 4), (2, 4, 4)}
    norms = [layer for layer in model.discriminator.modules() if isinstance(layer, nn.BatchNorm3d)]
    assert [(norm.num_features, norm.eps) for norm in norms] == [(128, 1e-3), (256, 1e-3), (512, 1e-3)]
    assert {layer.negative_slope for layer in model.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert all(layer.bias is not None for layer in model.modules() if isinstance(layer, nn.modules.conv._ConvNd))


def test_the_conditioned_form_is_twice_as_wide_and_reads_a_frame_down_to_4x4():
    with torch.device("meta"):
        model, frame = create_model("vgan", preset="first-frame"), torch.empty(2, 3, 64, 64)
        parts = model.streams(frame.unsqueeze(2))
    encoder = walk(model.generator.encoder.layers, frame)
    assert encoder == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    norms = [layer.num_features for layer in model.generator.encoder.layers if isinstance(layer, nn.BatchNorm2d)]
    assert norms == [256, 512, 1024]  # not after the first
    first = model.generator.foreground.trunk[0]
    assert (first.in_channels, first.out_channels, first.kernel_size) == (1024, 1024, (2, 1, 1))
    assert parts["video"].shape == (2, 3, 32, 64, 64) and parts["background"].shape == (2, 3, 1, 64, 64)
    assert model.discriminator.layers[0].out_channels == 128


def test_fresh_weights_are_as_published():
    model = create_model("vgan", "paper", size=16, frames=8, generator_widths=(64, 32), discriminator_widths=(32, 64))
    for layer in model.modules():
        if isinstance(layer, nn.modules.conv._ConvNd):
            assert (layer.bias == 0).all()
            if layer.weight.numel() > 20_000:
                assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)


# Two streams and a mask.


@ALL
def test_a_zero_mask_shows_the_background_in_every_frame(config):
    model = build(config)
    set_mask(model, -1e4)
    source = batch()["video"][:, :, :1] if config.first_frame else noise(4)
    parts = model.streams(source, batch())
    assert torch.equal(parts["video"], parts["background"].expand_as(parts["video"]))
    assert parts["background"].shape[2] == 1


def test_a_full_mask_shows_the_foreground():
    model = build(TINY)
    set_mask(model, 1e4)
    parts = model.streams(noise(4))
    assert torch.equal(parts["video"], parts["foreground"])
    assert (parts["foreground"].var(2) > 0).any()


def test_half_a_mask_shows_the_mean_of_both():
    model = build(replace(TINY, channels=3))
    set_mask(model, 0.0)
    parts = model.streams(noise(4))
    assert torch.allclose(parts["video"], (parts["foreground"] + parts["background"]) / 2, atol=1e-6)


def test_streams_lie_in_their_ranges_and_one_noise_feeds_both():
    parts = build(replace(TINY, init_std=2.0)).streams(noise(4))
    for name in ("video", "foreground", "background"):
        assert parts[name].abs().max() <= 1
    assert parts["mask"].min() >= 0 and parts["mask"].max() <= 1 and parts["mask"].shape == (4, 1, 8, 16, 16)
    latent = noise(1).requires_grad_()
    model = build(TINY).eval()
    for name in ("foreground", "background"):
        (slope,) = torch.autograd.grad(model.streams(latent)[name].sum(), latent)
        assert (slope != 0).all(), name


def test_a_permuted_batch_gives_permuted_clips():
    model, order = build(ASKED), torch.tensor([2, 0, 3, 1])
    latent, labels = noise(4), batch()
    moved = {name: values[order] for name, values in labels.items()}
    clips, permuted = model.streams(latent, labels)["video"], model.streams(latent[order], moved)["video"]
    assert torch.allclose(clips[order], permuted, atol=1e-5)
    assert not torch.allclose(clips, permuted, atol=1e-2)


def test_the_penalty_is_the_mean_of_the_mask_and_reaches_only_the_way_to_the_mask():
    model = build(TINY)
    terms = model("generator", batch(), Draw(0)).terms
    mask = model.streams(Draw(0).at("generator").normal("latent", (4, 5)))["mask"]
    assert torch.allclose(terms["sparsity"], 0.1 * mask.mean(), rtol=1e-4)
    terms["sparsity"].backward()
    touched = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert touched and all(name.startswith("generator.foreground.") for name in touched)
    heads = model.generator.foreground.heads
    assert (heads.weight.grad[:, -1] != 0).any() and (heads.weight.grad[:, :-1] == 0).all()
    assert heads.bias.grad[-1] > 0 and (heads.bias.grad[:-1] == 0).all()


def test_a_penalty_alone_closes_the_mask():
    model = build(replace(TINY, mask_sparsity=1.0))
    optimizer, latent = torch.optim.Adam(model.generator.parameters(), 1e-2), noise(4)
    for _ in range(30):
        optimizer.zero_grad()
        model("generator", batch(), Draw(0)).terms["sparsity"].backward()
        optimizer.step()
    assert model.streams(latent)["mask"].mean() < 0.05


# Training.


@ALL
def test_each_phase_moves_its_own_networks_and_every_parameter_of_them(config):
    model = build(replace(config, r1=1.0, frame_r1=1.0))
    for phase in model.phases:
        model.zero_grad()
        model(phase.name, batch(), Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name.split(".")[0] in phase.updates:
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert parameter.grad is None


def test_two_class_cross_entropy_is_softplus_of_the_difference():
    model = build(TINY).eval()
    real, draw = batch()["video"], Draw(0).at("discriminator")
    fake = model.streams(draw.normal("latent", (4, 5)))["video"]
    classes = torch.cat([model.discriminator.layers(clips).flatten(1) for clips in (real, fake)])
    truth = torch.tensor([0] * 4 + [1] * 4)
    published = nn.functional.cross_entropy(classes, truth)  # over real and fake clips together
    assert torch.allclose(model("discriminator", batch(), Draw(0)).total / 2, published, atol=1e-6)
    fake = model.streams(Draw(0).at("generator").normal("latent", (4, 5)))["video"]
    as_real = nn.functional.cross_entropy(model.discriminator.layers(fake).flatten(1), torch.zeros(4, dtype=torch.long))
    assert torch.allclose(model("generator", batch(), Draw(0)).terms["adversarial"], as_real, atol=1e-6)


def test_real_and_generated_clips_have_batch_statistics_of_their_own():
    model = build(replace(TINY, discriminator_norm=True))
    model("discriminator", batch(), Draw(0))
    assert next(m for m in model.discriminator.modules() if isinstance(m, nn.BatchNorm3d)).num_batches_tracked == 2


def test_a_lazy_penalty_comes_every_fourth_step_four_times_as_strong():
    lazy, every = (build(replace(TINY, r1=1.0, penalty_every=k)) for k in (4, 1))
    terms = [lazy("discriminator", batch(), Draw(0, step)).terms for step in range(5)]
    assert ["r1" in term for term in terms] == [True, False, False, False, True]
    assert torch.allclose(terms[0]["r1"], 4 * every("discriminator", batch(), Draw(0)).terms["r1"])


def test_the_critic_of_frames_sees_frames_of_the_clips_and_no_order():
    model = build(BOTH_CRITICS)
    clips = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(4, 1, 8, 16, 16)
    seen = model._frames(clips, Draw(0).at("discriminator"))
    assert seen.shape == (12, 1, 1, 16, 16) and (seen == seen[..., :1, :1]).all()
    assert set(seen[:, 0, 0, 0, 0].tolist()) <= set(range(8)) and len(seen.unique()) > 3
    assert model.frame_discriminator(seen, {"digit": torch.zeros(12, dtype=torch.long)}).shape == (12,)


def test_the_critic_of_frames_plays_the_same_game_and_is_told_the_digit_of_each_clip():
    model = build(replace(BOTH_CRITICS, r1=1.0, frame_r1=0.5)).eval()
    labels, digits = batch(), torch.arange(4)[:, None].expand(4, 3).flatten()  # three frames of each clip, in a row

    def judged(phase: str) -> tuple[torch.Tensor, ...]:
        draw = Draw(0).at(phase)
        made = model.streams(draw.normal("latent", (4, 5)), labels)["video"]
        frames = [model._frames(clips, draw).detach().requires_grad_() for clips in (labels["video"], made)]
        return frames[0], *(model.frame_discriminator(one, {"digit": digits}) for one in frames)

    frames, real, fake = judged("discriminator")
    (slope,) = torch.autograd.grad(real.sum(), frames)
    expected = {
        "frame_real": nn.functional.softplus(-real).mean(),
        "frame_fake": nn.functional.softplus(fake).mean(),
        "frame_r1": 0.5 / 2 * slope.square().sum((1, 2, 3, 4)).mean(),
    }
    terms = model("discriminator", labels, Draw(0)).terms
    for name, value in expected.items():
        assert torch.allclose(terms[name], value, rtol=1e-4), name
    *_, fake = judged("generator")
    term = model("generator", labels, Draw(0)).terms["frame_adversarial"]
    assert torch.allclose(term, nn.functional.softplus(-fake).mean(), rtol=1e-4)


def test_both_players_learn_one_clip_by_heart():
    model = build(replace(TINY, size=8, frames=4, generator_widths=(16,), discriminator_widths=(16,), r1=1.0), 1)
    target = -torch.ones(1, 1, 4, 8, 8)
    for t in range(4):
        target[:, :, t, 2:6, 2 * t : 2 * t + 2] = 1  # a bar moves right
    optimizers = {
        phase.name: torch.optim.Adam(getattr(model, phase.name).parameters(), 5e-3, (0.0, 0.9))
        for phase in model.phases
    }
    for step in range(120):
        for phase, optimizer in optimizers.items():
            optimizer.zero_grad()
            model(phase, {"video": target.expand(8, -1, -1, -1, -1)}, Draw(0, step)).total.backward()
            optimizer.step()
    assert (model.sample(32, generator=rng()) - target).abs().mean() < 0.15


# Labels, a given frame, sampling.


def test_labels_reach_both_networks():
    model = build(ASKED).eval()
    for name, count in VALUES.items():
        here, other = batch(), batch()
        other[name] = (other[name] + 1) % count
        one, two = (model.streams(noise(4), labels)["video"] for labels in (here, other))
        assert ((one - two).abs().amax((1, 2, 3, 4)) > 1e-4).all(), name
        assert (model.discriminator(one, here) != model.discriminator(one, other)).all(), name


def test_a_logit_is_the_difference_of_the_classes_and_one_output_for_each_label():
    model, labels = build(ASKED).eval(), batch()
    outputs = model.discriminator.layers(labels["video"]).flatten(1)
    assert outputs.shape[1] == 2 + 10 + 8 + 2
    picked = outputs[:, 0] - outputs[:, 1]
    for name, first in (("digit", 2), ("direction", 12), ("speed", 20)):
        picked = picked + outputs[torch.arange(4), first + labels[name]]
    assert torch.allclose(model.discriminator(labels["video"], labels), picked)


def test_asked_for_a_label_the_same_noise_shows_it_and_the_rest_is_drawn():
    model = build(ASKED)
    asked = {name: torch.ones(4, dtype=torch.long) for name in VALUES}
    clips = model.sample(4, condition=asked, generator=rng())
    again = model.sample(4, condition={"digit": asked["digit"]}, generator=rng())
    assert clips.shape == again.shape == (4, 1, 8, 16, 16) and not torch.equal(clips, again)
    drawn = model.example_condition(500, rng())
    assert {name: len(values.unique()) for name, values in drawn.items()} == VALUES


def test_the_given_frame_decides_the_clip():
    model = build(GIVEN)
    frames = batch()["video"][:, :, :1]
    one, again = (model.sample(4, condition={"prefix": frames}, generator=rng(seed)) for seed in (0, 1))
    assert torch.equal(one, again) and one.shape == (4, 1, 8, 16, 16)
    assert not torch.allclose(one, model.sample(4, condition={"prefix": frames.flip(0)}), atol=1e-2)
    assert model.example_condition(2, rng())["prefix"].shape == (2, 1, 1, 16, 16)


def test_the_conditioned_form_is_held_to_its_first_frame_alone_and_pays_nothing_for_its_mask():
    model, first, later = build(GIVEN), batch(), batch()
    later["video"][:, :, 1:] = 0
    terms = model("generator", first, Draw(0)).terms
    assert set(terms) == {"adversarial", "reconstruction"}
    assert torch.equal(terms["reconstruction"], model("generator", later, Draw(0)).terms["reconstruction"])
    made = model.streams(first["video"][:, :, :1])["video"]
    gap = (made[:, :, 0] - first["video"][:, :, 0]).abs().mean()
    assert torch.allclose(terms["reconstruction"], 10 * gap, rtol=1e-4)


@ALL
def test_the_same_generator_seed_gives_the_same_samples(config):
    model = build(config)
    condition = model.example_condition(3, rng()) if config.first_frame else None
    first, again, other = (model.sample(3, condition=condition, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and (config.first_frame or not torch.equal(first, other))


@ALL
def test_a_saved_model_samples_the_same(config, tmp_path):
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    model = create_model("vgan", **fields)
    model("generator", batch(), Draw(0))  # running statistics move
    condition = model.example_condition(4, rng())
    expected = model.sample(4, condition=condition, generator=rng())
    write_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(
        load_model(tmp_path / "weights.safetensors").sample(4, condition=condition, generator=rng()), expected
    )


def test_mistakes_are_named_with_their_fix():
    for changes, message in (
        ({"size": 32}, r"size=32 with generator_widths=\(8, 4\).*give 3 widths"),
        ({"discriminator_widths": (4,)}, r"with discriminator_widths=\(4,\).*give 2 widths"),
        ({"frames": 10}, "frames=10.*Nearest: frames=8"),
        ({"labels": ("digits",)}, 'no label "digits"; did you mean "digit"'),
        ({"labels": ("digit",), "first_frame": True}, "with first_frame=True"),
        ({"critic_frames": 9}, "critic_frames=9: give 1 to 8"),
        ({"r1": -1.0}, "r1=-1"),
        ({"penalty_every": 0}, "penalty_every=0"),
        ({"r1": 1.0, "discriminator_norm": True}, "R1 needs the slope of each clip alone"),
    ):
        with pytest.raises(ArgumentError, match=message):
            replace(TINY, **changes)
    with pytest.raises(ArgumentError, match="frames=16: this VGAN makes clips of 8 frames"):
        build(TINY).sample(2, frames=16)
    with pytest.raises(ArgumentError, match=r"clips have shape \(1, 8, 8, 8\), the config says \(1, 8, 16, 16\)"):
        build(TINY)("generator", {"video": torch.zeros(2, 1, 8, 8, 8)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"trains on \['digit', 'direction', 'speed', 'video'\]; the batch has"):
        build(ASKED)("generator", {"video": torch.zeros(2, *ASKED.shape)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"digit=\[3, 10\]: give one whole number from 0 to 9"):
        build(ASKED).sample(2, condition={"digit": torch.tensor([3, 10])})
    with pytest.raises(ArgumentError, match="goes on from a frame"):
        build(GIVEN).sample(2)
    with pytest.raises(ArgumentError, match=r"prefix of shape \(1, 2, 16, 16\).*one frame"):
        build(GIVEN).sample(2, condition={"prefix": torch.zeros(2, 1, 2, 16, 16)})
