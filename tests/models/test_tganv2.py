"""TGANv2: levels, subsampling in time and in the batch, a recurrent start, the penalty as a sum."""

import inspect
from dataclasses import replace

import pytest
import torch
from torch import nn

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.tganv2 import (
    ConvLSTM,
    Halving,
    LevelDiscriminator,
    TGANv2,
    TGANv2Config,
    halve,
    pool_levels,
    subsample,
)
from vidgen_lab.nn.labels import VALUES, append
from vidgen_lab.training.memory import predict_memory
from vidgen_lab.zoo import load_model

TINY = TGANv2Config(
    frames=8,
    size=16,
    latent_dim=5,
    base=1,
    recurrent_width=6,
    widths=(6, 5, 4, 4),
    levels=3,
    discriminator_widths=(3, 4, 5),
    time_strides=(2, 2),
    batch_strides=(1, 1),
)
ASKED = replace(TINY, labels=("digit", "direction", "speed"))
BOTH_WAYS = replace(ASKED, batch_strides=(2, 2))
COLOUR = replace(TINY, channels=3, time_strides=(4, 1), levels=3)
ALL = pytest.mark.parametrize("config", [TINY, BOTH_WAYS, COLOUR], ids=["plain", "labels and batch", "colour"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(config: TGANv2Config = TINY, rows: int = 8) -> dict[str, torch.Tensor]:
    labels = {name: torch.arange(rows) % count for name, count in VALUES.items()}
    return {"video": torch.rand(rows, *config.shape, generator=rng()) * 2 - 1, **labels}


def build(config: TGANv2Config = TINY, seed: int = 0) -> TGANv2:
    torch.manual_seed(seed)
    return TGANv2(config)


def noise(rows: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.rand(rows, TINY.latent_dim, generator=rng(seed)) * 2 - 1


def shapes(clips: list[torch.Tensor]) -> list[tuple[int, ...]]:
    return [tuple(each.shape) for each in clips]


# The published tables.


def test_the_paper_preset_has_the_published_parameter_counts():
    with torch.device("meta"):
        model = create_model("tganv2", preset="paper")
    assert count_parameters(model) == {"generator": 88_032_460, "discriminator": 116_077_060}
    assert count_parameters(model.generator)["recurrent"] == 2 * 9 * 1024 * 4096 + 4096


def test_the_paper_preset_has_the_published_levels():
    with torch.device("meta"):
        model, z = create_model("tganv2", preset="paper"), torch.empty(2, 256)
        dense, sparse = model.levels(z), model.levels(z, subsample=True)
        maps = list(model.generator.maps(z, None, 16, None))
        both = create_model("tganv2", preset="paper", batch_strides=(2, 2, 2))
        thin = both.levels(torch.empty(32, 256), subsample=True)
        clips = [torch.empty(2, 3, 16, 192, 192), torch.empty(2, 3, 16, 24, 24)]
    assert shapes(dense) == [(2, 3, 16, side, side) for side in (24, 48, 96, 192)]
    assert shapes(sparse) == [(2, 3, 16, 24, 24), (2, 3, 8, 48, 48), (2, 3, 4, 96, 96), (2, 3, 2, 192, 192)]
    assert [each.shape[1] for each in maps] == [128, 64, 32, 32]
    assert shapes(thin) == [(32, 3, 16, 24, 24), (16, 3, 8, 48, 48), (8, 3, 4, 96, 96), (4, 3, 2, 192, 192)]
    for clip, table in zip(
        clips,
        (
            [(64, 16, 96, 96), (128, 8, 48, 48), (256, 4, 24, 24), (512, 2, 12, 12), (1024, 1, 6, 6)],
            [(64, 16, 12, 12), (128, 8, 6, 6), (256, 4, 3, 3), (512, 2, 2, 2), (1024, 1, 1, 1)],
        ),
        strict=True,
    ):
        walked = []
        for block in model.discriminator.levels[0].blocks:
            clip = block(clip)
            walked.append(tuple(clip.shape[1:]))
        assert walked == table
    assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.discriminator.modules())


def test_fresh_weights_are_as_published():
    model = build(replace(TINY, widths=(32, 32, 32, 32), discriminator_widths=(32, 32)))
    for block in (model.generator.abstract[1], model.discriminator.levels[0].blocks[1]):
        for name, gain in (("first", 2.0), ("second", 2.0), ("shortcut", 1.0)):
            layer = getattr(block, name)
            assert (layer.bias == 0).all()
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
            assert layer.weight.var().item() == pytest.approx(gain * 2 / (fan_in + fan_out), rel=0.1)
    generator = build(replace(TINY, recurrent_width=32, latent_dim=400, start_gain=1.0)).generator
    for layer in (generator.start, generator.recurrent.input, generator.recurrent.state):
        assert layer.weight.var().item() == pytest.approx(1 / layer.weight[0].numel(), rel=0.1)
    assert create_model("tganv2", "paper", recurrent_width=8, widths=(8,) * 6).config.forget_bias == 0
    wider = build(replace(TINY, recurrent_width=32, latent_dim=400, start_gain=4.0)).generator
    assert torch.allclose(wider.start.weight, 4 * generator.start.weight)


def test_open_forget_gates_carry_the_first_map_to_the_last_frame():
    first, spread = torch.randn(64, 16, 2, 2, generator=rng()), {}
    for forget_bias in (0.0, 2.0):
        torch.manual_seed(0)
        states = ConvLSTM(16, forget_bias)(first, 16)
        spread[forget_bias] = (states[:, :, -1].std(0) / states[:, :, 0].std(0)).mean()
    assert spread[0.0] < 0.05 and spread[2.0] > 0.3


# Subsampling and levels.


@pytest.mark.parametrize("config", [TINY, BOTH_WAYS], ids=["plain", "labels and batch"])
def test_with_subsampling_off_the_training_path_is_inference_at_every_level(config):
    model = build(config)
    model("generator", batch(), Draw(0))  # running statistics move away from 0 and 1
    for level in (1, 2, 3):
        sampled = model.sample(8, generator=rng(), level=level)
        latent, generator = 2 * torch.rand(8, 5, generator=(generator := rng())) - 1, generator
        labels = {name: torch.randint(VALUES[name], (8,), generator=generator) for name in config.labels}
        with model.inference():
            assert torch.equal(model.levels(latent, labels)[level - 1], sampled)
    assert torch.equal(sampled, model.sample(8, generator=rng()))  # the top level is what sampling draws


def test_a_level_doubles_the_maps_that_the_one_below_passes_on_and_renders_its_own():
    model, offsets = build(BOTH_WAYS).eval(), (1, 0)
    generator, labels = model.generator, batch()
    maps = generator.recurrent(generator.start(append(noise(), labels, ASKED.labels)).view(8, 6, 1, 1), 8)
    for level, clips in enumerate(model.levels(noise(), labels, subsample=True, offsets=offsets)):
        if level:
            maps = maps[::2, :, offsets[level - 1] :: 2]
        maps = generator.abstract[level](maps)
        assert torch.equal(clips, generator.rendering[level](maps))


def test_strides_of_one_leave_training_as_it_is_without_subsampling():
    model = build(replace(TINY, time_strides=(1, 1))).eval()
    for dense, sparse in zip(model.levels(noise()), model.levels(noise(), subsample=True), strict=True):
        assert torch.equal(dense, sparse)


@ALL
def test_a_level_with_subsampling_shows_the_frames_and_clips_that_were_kept(config):
    model, labels, offsets = build(config).eval(), batch(), (1, config.time_strides[1] - 1)
    dense, sparse = model.levels(noise(), labels), model.levels(noise(), labels, subsample=True, offsets=offsets)
    kept, rows = torch.arange(8), torch.arange(8)
    for level in range(3):
        if level:
            kept = kept[offsets[level - 1] :: config.time_strides[level - 1]]
            rows = rows[:: config.batch_strides[level - 1]]
        assert torch.allclose(sparse[level], dense[level][rows][:, :, kept], atol=1e-5)
    assert len(kept) < 8


def test_subsampling_keeps_order_and_counts():
    clips = torch.arange(4 * 12.0).view(4, 1, 12, 1, 1).expand(-1, 2, -1, 3, 3)
    thin = subsample(clips, 3, 2, 2)
    assert thin.shape == (2, 2, 4, 3, 3)
    assert thin[:, 0, :, 0, 0].tolist() == [[2, 5, 8, 11], [26, 29, 32, 35]]
    assert torch.equal(subsample(clips, 1), clips)


def test_real_clips_are_pooled_down_and_thinned_like_generated_ones():
    config, real = BOTH_WAYS, batch()["video"]
    levels = pool_levels(real, config.time_strides, config.batch_strides, (1, 0))
    assert shapes(levels) == shapes(build(config).levels(noise(), batch(), subsample=True))
    assert torch.equal(levels[2], real[::4, :, 1::4])
    blocks = real[::2, :, 1::2].unflatten(4, (8, 2)).unflatten(3, (8, 2))
    assert torch.allclose(levels[1], blocks.mean((4, 6)), atol=1e-6)


def test_offsets_are_uniform_the_same_for_all_clips_and_drawn_apart_for_real_ones():
    model = build(replace(TINY, time_strides=(4, 2)))
    drawn = torch.tensor([model._offsets("offset", Draw(0, step)) for step in range(800)])
    real = torch.tensor([model._offsets("real_offset", Draw(0, step)) for step in range(800)])
    counts = torch.bincount(2 * drawn[:, 0] + drawn[:, 1])  # of each pair (first, second)
    assert len(counts) == 8 and (counts - 100).abs().max() < 4 * (800 * 1 / 8 * 7 / 8) ** 0.5
    assert abs((drawn == real).all(1).float().mean() - 1 / 8) < 0.05
    halves = [model._offsets("offset", Draw(0, 3, shard=shard, shards=2)) for shard in (0, 1)]
    assert halves[0] == halves[1] == drawn[3].tolist()


def test_both_phases_train_on_clips_with_drawn_offsets():
    model, seen = build(), []
    model.generator.register_forward_pre_hook(lambda _, given: seen.append(given[2]))
    for step in range(20):
        for phase in model.phases:
            model(phase.name, batch(), Draw(0, step))
    assert {tuple(offsets) for offsets in seen} == {(0, 0), (0, 1), (1, 0), (1, 1)}


# The generator.


def cell_by_hand(network: ConvLSTM, inputs: torch.Tensor) -> torch.Tensor:
    """The equations of a ConvLSTM, gate by gate, for inputs `(B, R, T, s, s)`."""
    width = inputs.shape[1]
    state = cell = torch.zeros_like(inputs[:, :, 0])
    states = []
    for t in range(inputs.shape[2]):
        total = network.input(inputs[:, :, t]) + network.state(state)
        i, f, o, g = (total[:, k * width : (k + 1) * width] for k in range(4))
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
        states.append(state)
    return torch.stack(states, dim=2)


def test_the_recurrent_network_is_a_convlstm_that_reads_zeros_after_the_first_frame():
    torch.manual_seed(0)
    network, first = ConvLSTM(4), torch.randn(2, 4, 3, 3, generator=rng())
    nn.init.normal_(network.input.bias)
    inputs = torch.zeros(2, 4, 6, 3, 3)
    inputs[:, :, 0] = first
    states = network(first, 6)
    assert torch.allclose(states, cell_by_hand(network, inputs), atol=1e-6)
    inputs[:, :, 3] = 1
    assert not torch.allclose(states, cell_by_hand(network, inputs), atol=1e-2)  # an input at t = 3 would be seen


def test_nothing_can_enter_after_the_first_frame():
    assert list(inspect.signature(ConvLSTM.forward).parameters) == ["self", "first", "frames"]
    model, calls = build(), []
    model.generator.recurrent.input.register_forward_hook(lambda *call: calls.append(call))
    model.sample(2, frames=30)
    assert len(calls) == 1


def test_a_longer_clip_begins_as_the_shorter_one():
    model = build()
    model("generator", batch(), Draw(0))
    short, long = (model.sample(3, frames=frames, generator=rng()) for frames in (5, 16))
    assert short.shape == (3, 1, 5, 16, 16) and long.shape == (3, 1, 16, 16, 16)
    assert torch.allclose(short, long[:, :, :5], atol=1e-5)
    assert (long[:, :, 8:] - long[:, :, 7:-1]).abs().amax() > 1e-5  # and it goes on moving


def test_a_frame_is_drawn_from_its_own_map():
    model = build().eval()
    block, maps = model.generator.abstract[1], torch.randn(2, 5, 4, 4, 4, generator=rng())
    changed = maps.clone()
    changed[:, :, 2] += 1
    difference = (block(maps) - block(changed)).abs().amax((0, 1, 3, 4))
    assert difference[2] > 0 and (difference[[0, 1, 3]] == 0).all()


def test_a_permuted_batch_gives_permuted_clips():
    model, order, labels = build(ASKED), torch.tensor([2, 0, 3, 1, 7, 4, 6, 5]), batch()
    moved = {name: values[order] for name, values in labels.items()}
    for one, other in zip(model.levels(noise(), labels), model.levels(noise()[order], moved), strict=True):
        assert torch.allclose(one[order], other, atol=1e-4)
        assert not torch.allclose(one, other, atol=1e-2)


# The discriminators.


def test_pooling_halves_pads_odd_sizes_and_never_grows_an_axis_of_size_one():
    for size, halved in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 4)):
        clips = torch.ones(1, 1, size, size, 1)
        assert halve(clips).shape == (1, 1, halved, halved, 1)
        assert halve(clips, time=False).shape == (1, 1, size, halved, 1)
    clips = torch.rand(1, 1, 4, 2, 6, generator=rng())
    assert torch.allclose(halve(clips)[0, 0, 0, 0, 0], clips[0, 0, :2, :2, :2].mean())
    block = Halving(1, 2, first=False)
    assert block(torch.ones(1, 1, 1, 1, 1)).shape == (1, 2, 1, 1, 1)


def test_a_shortcut_that_pools_first_is_the_published_one():
    torch.manual_seed(0)
    for first in (True, False):
        block, clips = Halving(3, 4, first), torch.randn(2, 3, 4, 6, 8, generator=rng())
        nn.init.normal_(block.shortcut.bias)
        h = block.second(torch.relu(block.first(clips if first else clips.relu())))
        published = halve(h, not first) + halve(block.shortcut(clips), not first)
        assert torch.allclose(block(clips), published, atol=1e-5)


def test_a_discriminator_sums_over_time_and_space():
    torch.manual_seed(0)
    judge = LevelDiscriminator(TINY)
    nn.init.normal_(judge.score.bias)
    clips = torch.randn(3, 1, 8, 16, 16, generator=rng())
    last = judge.blocks(clips).relu()
    assert last.shape == (3, 5, 2, 2, 2)
    by_hand = last.flatten(2).sum(2) @ judge.score.weight.t() + judge.score.bias
    assert torch.allclose(judge(clips), by_hand[:, 0], atol=1e-5)


def test_each_level_has_a_discriminator_of_its_own_and_the_loss_is_the_mean_over_all_logits():
    model, labels = build(BOTH_WAYS), batch()
    draw = Draw(0, 1).at("discriminator")
    config, latent = model.config, draw.uniform("latent", (8, 5), -1, 1)
    fake = model.levels(latent, labels, subsample=True, offsets=model._offsets("offset", draw))
    real = pool_levels(labels["video"], config.time_strides, config.batch_strides, model._offsets("real_offset", draw))
    rows = [{name: labels[name][::stride] for name in config.labels} for stride in (1, 2, 4)]
    a, b = (
        torch.cat([judge(*each) for judge, *each in zip(model.discriminator.levels, clips, rows, strict=True)])
        for clips in (real, fake)
    )
    assert a.shape == b.shape == (8 + 4 + 2,)
    terms = model("discriminator", labels, Draw(0, 1)).terms
    assert torch.allclose(terms["real"], nn.functional.softplus(-a).mean(), atol=1e-5)
    assert torch.allclose(terms["fake"], nn.functional.softplus(b).mean(), atol=1e-5)
    draw = Draw(0, 1).at("generator")
    latent, offsets = draw.uniform("latent", (8, 5), -1, 1), model._offsets("offset", draw)
    fake = model.discriminator(model.levels(latent, labels, subsample=True, offsets=offsets), rows)
    expected = nn.functional.softplus(-torch.cat(fake)).mean()
    assert torch.allclose(model("generator", labels, Draw(0, 1)).terms["adversarial"], expected, atol=1e-5)


class Linear(nn.Module):
    """The critic w . x of one level."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape, generator=rng()))

    def forward(self, clips: torch.Tensor, labels: object) -> torch.Tensor:
        return (clips * self.weight).flatten(1).sum(1)


def test_the_penalty_on_a_linear_critic_is_lambda_n_times_its_slope_squared():
    model = build(replace(TINY, gamma=0.7, penalty_every=1, batch_strides=(2, 1)))
    sizes = [each.shape for each in model.levels(noise(), subsample=True)]
    model.discriminator.levels = nn.ModuleList(Linear(size[1:]) for size in sizes)
    slopes = [critic.weight.square().sum() for critic in model.discriminator.levels]
    expected = 0.7 * sum(size[0] * slope for size, slope in zip(sizes, slopes, strict=True))
    assert [size[0] for size in sizes] == [8, 4, 4]
    assert torch.allclose(model("discriminator", batch(), Draw(0)).terms["penalty"], expected, rtol=1e-4)
    more = model("discriminator", batch(rows=16), Draw(0)).terms["penalty"]
    assert torch.allclose(more, 2 * expected, rtol=1e-4)  # a sum: twice the clips, twice the penalty


def test_a_lazy_penalty_comes_every_fourth_step_four_times_as_strong():
    lazy, every = (build(replace(TINY, penalty_every=k)) for k in (4, 1))
    terms = [lazy("discriminator", batch(), Draw(0, step)).terms for step in range(5)]
    assert ["penalty" in term for term in terms] == [True, False, False, False, True]
    assert torch.allclose(terms[0]["penalty"], 4 * every("discriminator", batch(), Draw(0)).terms["penalty"])


# Training.


@ALL
def test_each_phase_moves_its_own_networks_and_every_parameter_of_them(config):
    model = build(config)
    for phase in model.phases:
        model.zero_grad()
        model(phase.name, batch(config), Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name.split(".")[0] in phase.updates:
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert parameter.grad is None


def test_both_players_learn_one_clip_by_heart():
    sizes = {"size": 8, "base": 2, "recurrent_width": 16, "widths": (16, 16), "discriminator_widths": (8, 16)}
    steps = {"frames": 4, "levels": 2, "time_strides": (2,), "batch_strides": (1,)}
    model = build(replace(TINY, **sizes, **steps, gamma=0.05, penalty_every=1), 1)
    target = -torch.ones(1, 1, 4, 8, 8)
    for t in range(4):
        target[:, :, t, 2:6, 2 * t : 2 * t + 2] = 1  # a bar moves right
    optimizers = {
        phase.name: torch.optim.Adam(getattr(model, phase.name).parameters(), 4e-3, (0.0, 0.9))
        for phase in model.phases
    }
    for step in range(100):
        for phase, optimizer in optimizers.items():
            optimizer.zero_grad()
            model(phase, {"video": target.expand(8, -1, -1, -1, -1)}, Draw(0, step)).total.backward()
            optimizer.step()
    assert (model.sample(32, generator=rng()) - target).abs().mean() < 0.1


def test_a_step_can_be_predicted_without_memory():
    model = create_model("tganv2", "ci")
    memory = predict_memory(model, batch(model.config, rows=16))
    assert set(memory.phases) == {"discriminator", "generator"}


# Labels and sampling.


def test_labels_reach_both_networks():
    model, labels = build(ASKED).eval(), batch()
    for name, count in VALUES.items():
        other = {**labels, name: (labels[name] + 1) % count}
        pairs = zip(model.levels(noise(), labels), model.levels(noise(), other), strict=True)
        for judge, (one, two) in zip(model.discriminator.levels, pairs, strict=True):
            assert ((one - two).abs().amax((1, 2, 3, 4)) > 1e-5).all(), name
            assert (judge(one, labels) != judge(one, other)).all(), name


def test_asked_for_a_label_the_same_noise_shows_it_and_the_rest_is_drawn():
    model = build(ASKED)
    asked = {name: torch.ones(4, dtype=torch.long) for name in VALUES}
    clips = model.sample(4, condition=asked, generator=rng())
    again = model.sample(4, condition={"digit": asked["digit"]}, generator=rng())
    assert clips.shape == again.shape == (4, 1, 8, 16, 16) and not torch.equal(clips, again)
    drawn = model.example_condition(500, rng())
    assert {name: len(values.unique()) for name, values in drawn.items()} == VALUES
    assert build().example_condition(3) is None


@ALL
def test_the_same_generator_seed_gives_the_same_samples(config):
    model = build(config)
    first, again, other = (model.sample(3, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.abs().max() <= 1 and first.shape == (3, *config.shape)


@ALL
def test_a_saved_model_samples_the_same(config, tmp_path):
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    model = create_model("tganv2", **fields)
    model("generator", batch(config), Draw(0))  # running statistics move
    expected = model.sample(4, generator=rng())
    write_weights(model, tmp_path / "weights.safetensors")
    assert torch.equal(load_model(tmp_path / "weights.safetensors").sample(4, generator=rng()), expected)


def test_mistakes_are_named_with_their_fix():
    for changes, message in (
        ({"size": 32}, r"size=32 with base=1 and widths=\(6, 5, 4, 4\).*makes 16"),
        ({"levels": 6}, "levels=6: give 1 to 5"),
        ({"levels": 2}, r"time_strides=\(2, 2\): give 1 whole numbers"),
        ({"batch_strides": (0, 1)}, r"batch_strides=\(0, 1\): give 2 whole numbers, each 1 or more"),
        ({"frames": 6}, "frames=6 with time_strides=.*multiple of 4. Nearest: frames=8"),
        ({"discriminator_widths": ()}, "discriminator_widths=.*1 width or more"),
        ({"labels": ("digits",)}, 'no label "digits"; did you mean "digit"'),
        ({"gamma": -1.0}, "gamma=-1"),
        ({"penalty_every": 0}, "penalty_every=0"),
        ({"latent_dim": 0}, "latent_dim=0"),
    ):
        with pytest.raises(ArgumentError, match=message):
            replace(TINY, **changes)
    with pytest.raises(ArgumentError, match="offset=2: with stride=2 a clip begins at frame 0 to 1"):
        build().levels(noise(), subsample=True, offsets=(2, 0))
    for given in ({"offsets": (0, 0)}, {"offsets": (0,), "subsample": True}):
        with pytest.raises(ArgumentError, match=r"offsets=\(0,.*: give 2 with subsample=True, or none"):
            build().levels(noise(), **given)
    with pytest.raises(ArgumentError, match="frames=0: ask for 1 frame or more"):
        build().sample(2, frames=0)
    with pytest.raises(ArgumentError, match="level=4: this TGANv2 has levels 1 to 3"):
        build().sample(2, level=4)
    with pytest.raises(ArgumentError, match=r"clips have shape \(1, 8, 8, 8\), the config says \(1, 8, 16, 16\)"):
        build()("generator", {"video": torch.zeros(2, 1, 8, 8, 8)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"trains on \['digit', 'direction', 'speed', 'video'\]; the batch has"):
        build(ASKED)("generator", {"video": torch.zeros(2, *ASKED.shape)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"digit=\[3, 10\]: give one whole number from 0 to 9"):
        build(ASKED).sample(2, condition={"digit": torch.tensor([3, 10])})
