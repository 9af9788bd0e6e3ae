"""MoCoGAN: content and motion codes, two critics, categories, labels, any length."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.mocogan import MoCoGAN, MoCoGANConfig
from vidgen_lab.nn.labels import VALUES
from vidgen_lab.zoo import load_model

TINY = MoCoGANConfig(
    frames=8,
    size=16,
    content_dim=5,
    motion_dim=3,
    generator_widths=(8, 4),
    video_widths=(4, 8),
    image_widths=(4,),
    video_frames=7,
    image_frames=2,
)
ASKED = replace(TINY, categories=8)
LABELLED = replace(TINY, video_frames=8, labels=("digit", "direction", "speed"), lasting=True, noise=0.5)
ALL = pytest.mark.parametrize("config", [TINY, ASKED, LABELLED], ids=["plain", "categories", "labels"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(config: MoCoGANConfig = TINY, rows: int = 4) -> dict[str, torch.Tensor]:
    video = torch.rand(rows, *config.shape, generator=rng()) * 2 - 1
    return {"video": video, **{name: torch.arange(rows) % count for name, count in VALUES.items()}}


def build(config: MoCoGANConfig, seed: int = 0) -> MoCoGAN:
    torch.manual_seed(seed)
    return MoCoGAN(config)


def codes(model: MoCoGAN, rows: int = 4, frames: int = 8, seed: int = 0) -> torch.Tensor:
    config, generator = model.config, rng(seed)
    content, start = (torch.randn(rows, dim, generator=generator) for dim in (config.content_dim, config.motion_dim))
    noise = torch.randn(rows, frames, config.motion_dim, generator=generator)
    category = torch.arange(rows) % config.categories if config.categories else None
    labels = batch(config, rows)
    return model.generator.codes(content, model.generator.motion_codes(start, noise, labels), category, labels)


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
        plain, asked = create_model("mocogan", "paper"), create_model("mocogan", "paper", categories=6)
    assert count_parameters(plain) == {
        "generator": 3_249_684,
        "video_discriminator": 11_056_896,
        "image_discriminator": 663_296,
    }
    assert count_parameters(asked) == {
        "generator": 3_298_836,
        "video_discriminator": 11_253_504,
        "image_discriminator": 663_296,
    }


def test_the_paper_preset_has_the_published_layers():
    with torch.device("meta"):
        model = create_model("mocogan", "paper")
        code, clip, frame = torch.empty(2, 60, 1, 1), torch.empty(2, 3, 16, 64, 64), torch.empty(2, 3, 64, 64)
        images = walk(model.generator.images, code)
        critic = walk(model.video_discriminator.layers, clip)
        patches = walk(model.image_discriminator.layers, frame)
    assert images == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert critic == [(64, 13, 32, 32), (128, 10, 16, 16), (256, 7, 8, 8), (512, 4, 4, 4), (1, 1, 1, 1)]
    assert patches == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (1, 4, 4)]


# Content and motion.


@ALL
def test_the_content_half_is_constant_in_time_and_the_motion_half_is_not(config):
    given = codes(build(config))
    still, moving = given.split([given.shape[2] - config.motion_dim, config.motion_dim], dim=2)
    digits = 10 if "digit" in config.labels else 0
    assert (still == still[:, :1]).all() and still.shape[2] == config.content_dim + config.categories + digits
    drawn = torch.randn(4, config.content_dim, generator=rng())  # the first that `codes` draws
    assert torch.equal(still[:, 0, : config.content_dim], drawn)
    assert ((moving[:, 1:] - moving[:, :-1]).abs().amax(2) > 1e-3).all()


def test_motion_codes_follow_the_gated_recurrent_unit_and_leave_out_the_start():
    model, start, noise = build(TINY), torch.randn(4, 3, generator=rng()), torch.randn(4, 8, 3, generator=rng(1))
    cell = nn.GRUCell(3, 3)
    cell.load_state_dict({name.removesuffix("_l0"): w for name, w in model.generator.motion.state_dict().items()})
    state, expected = start, []
    for t in range(8):
        state = cell(noise[:, t], state)
        expected.append(state)
    assert torch.allclose(model.generator.motion_codes(start, noise), torch.stack(expected, 1), atol=1e-6)


def test_without_noise_the_motion_code_is_a_deterministic_orbit():
    generator = build(TINY).generator
    start, still = torch.randn(2, 3, generator=rng()), torch.zeros(2, 12, 3)
    orbit = generator.motion_codes(start, still)
    # One map sends each state to the next: started from any of its points, the orbit goes on as before.
    assert torch.allclose(generator.motion_codes(orbit[:, 4], still)[:, :7], orbit[:, 5:], atol=1e-6)
    noisy = generator.motion_codes(start, torch.randn(2, 12, 3, generator=rng()))
    assert not torch.allclose(generator.motion_codes(noisy[:, 4], still)[:, :7], noisy[:, 5:], atol=1e-2)


def test_each_frame_is_drawn_from_its_own_code_alone():
    model = build(TINY).eval()
    given = codes(model)
    clips = model.generator(given)
    for t in (0, 5):
        assert torch.allclose(model.generator.draw_frames(given[:, t]), clips[:, :, t], atol=1e-6)
    changed = given.clone()
    changed[:, 5] += 1
    same = (model.generator(changed) - clips).abs().amax((0, 1, 3, 4)) < 1e-6
    assert same.tolist() == [t != 5 for t in range(8)]


@ALL
def test_permuting_the_codes_permutes_the_clips_and_nothing_else(config):
    model, order = build(config).eval(), torch.tensor([2, 0, 3, 1])
    given = codes(model)
    clips = model.generator(given)
    assert torch.allclose(model.generator(given[order]), clips[order], atol=1e-6)
    assert not torch.allclose(clips[order], clips, atol=1e-3)


def test_content_and_motion_can_be_swapped_between_clips():
    model = build(TINY)
    given = codes(model)
    content, motion = given[:, 0, :5], given[:, :, 5:]
    swapped = model.generator.codes(content.flip(0), motion)
    assert torch.equal(swapped[..., :5], given[..., :5].flip(0)) and torch.equal(swapped[..., 5:], given[..., 5:])


@pytest.mark.parametrize("frames", [1, 7, 8, 21])
def test_clips_have_any_length_and_a_longer_one_begins_as_the_shorter(frames):
    model = build(TINY)
    clips, usual = model.sample(3, frames=frames, generator=rng()), model.sample(3, generator=rng())
    assert clips.shape == (3, 1, frames, 16, 16) and usual.shape == (3, 1, 8, 16, 16) and clips.abs().max() <= 1
    shared = min(frames, 8)
    assert torch.allclose(clips[:, :, :shared], usual[:, :, :shared], atol=1e-6)


def test_a_lasting_state_remembers_its_start_and_moves_on_where_a_fresh_one_forgets_it():
    wide = replace(TINY, motion_dim=32)
    start, still = torch.randn(64, 32, generator=rng()), torch.zeros(64, 32, 32)
    spread, step = {}, {}
    for lasting in (False, True):
        codes = build(replace(wide, lasting=lasting)).generator.motion_codes(start, still)
        spread[lasting] = codes.std(0).mean(1)  # over clips, at each frame
        step[lasting] = (codes[:, 1:] - codes[:, :-1]).norm(dim=2).mean(0) / spread[lasting][1:] / 32**0.5
    assert spread[False][7] < 0.05 and spread[True].min() > 0.3
    assert step[True].min() > 0.03 and step[True].max() < 0.3  # of the spread, at a frame


def test_the_noise_of_a_frame_is_as_strong_as_the_config_says():
    strong, weak, none = (build(replace(TINY, noise=noise)) for noise in (1.0, 0.5, 0.0))
    expected = {}
    for model in (strong, weak, none):
        draw, config = Draw(0).at("generator"), model.config
        content, start, noise = (
            draw.normal(*of) for of in (("content", (4, 5)), ("start", (4, 3)), ("noise", (4, 8, 3)))
        )
        motion = model.generator.motion_codes(start, config.noise * noise)
        assert torch.equal(model._codes(batch(), draw)[0], model.generator.codes(content, motion))
        expected[config.noise] = model.sample(4, generator=rng())
    assert not torch.allclose(expected[1.0], expected[0.5], atol=1e-3)
    generator = rng()
    content, start = torch.randn(4, 5, generator=generator), torch.randn(4, 3, generator=generator)
    with none.inference():
        orbit = none.generator.motion_codes(start, torch.zeros(4, 8, 3))
        assert torch.allclose(none.generator(none.generator.codes(content, orbit)), expected[0.0], atol=1e-6)


# The two critics.


def test_the_critic_of_clips_loses_three_frames_a_layer_and_sees_them_all():
    model = build(TINY)
    clips = batch()["video"][:, :, :7].requires_grad_()
    assert walk(model.video_discriminator.layers, clips) == [(4, 4, 8, 8), (8, 1, 4, 4), (1, 1, 1, 1)]
    logits, scores = model.video_discriminator(clips)
    assert logits.shape == (4,) and scores.shape == (4, 0)
    logits.sum().backward()
    assert (clips.grad.abs().amax((0, 1, 3, 4)) > 0).all()


def test_the_critic_of_clips_sees_runs_of_consecutive_frames_from_anywhere():
    model = build(replace(TINY, frames=20))
    clips = torch.arange(20.0).view(1, 20, 1).expand(64, 20, 2)
    seen = model._run(clips, Draw(0).at("video_discriminator"))
    assert seen.shape == (64, 7, 2) and (seen[:, 1:] - seen[:, :-1] == 1).all()
    assert set(seen[:, 0, 0].tolist()) == set(range(14))


def test_the_critic_of_frames_judges_patches_of_frames_of_the_clips():
    model = build(TINY)
    clips = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(4, 1, 8, 16, 16)
    seen = model._some(clips.transpose(1, 2), Draw(0).at("image_discriminator"))
    assert seen.shape == (8, 1, 16, 16) and (seen == seen[..., :1, :1]).all() and len(seen.unique()) > 3
    assert model.image_discriminator(seen).shape == (8, 4, 4)


def test_a_grey_clip_is_not_worth_nothing_to_critics_without_normalisation():
    model = build(TINY)
    assert model.video_discriminator(torch.zeros(1, 1, 7, 16, 16))[0].abs() > 1e-3
    assert model.image_discriminator(torch.zeros(1, 1, 16, 16)).abs().max() > 1e-3


def test_both_critics_want_real_from_fake_and_the_generator_wants_both_to_be_wrong():
    model, given = build(replace(TINY, video_frames=8, video_r1=0.0, image_r1=0.0)), batch()  # clips are seen whole

    def costs(logits: torch.Tensor, real: bool) -> torch.Tensor:
        return -nn.functional.logsigmoid(logits if real else -logits).mean()

    def some(of: torch.Tensor, phase: str) -> torch.Tensor:
        return model._some(of, Draw(0).at(phase))

    codes = {phase.name: model._codes(given, Draw(0).at(phase.name))[0] for phase in model.phases}
    video = {phase: model.generator(each) for phase, each in codes.items()}
    real = some(given["video"].transpose(1, 2), "image_discriminator")
    fake = model.generator.draw_frames(some(codes["image_discriminator"], "image_discriminator"))
    own = some(video["generator"].transpose(1, 2), "generator")
    expected = {
        "video_discriminator": {
            "real": costs(model.video_discriminator(given["video"])[0], True),
            "fake": costs(model.video_discriminator(video["video_discriminator"])[0], False),
        },
        "image_discriminator": {
            "real": costs(model.image_discriminator(real), True),
            "fake": costs(model.image_discriminator(fake), False),
        },
        "generator": {
            "video": costs(model.video_discriminator(video["generator"])[0], True),
            "image": costs(model.image_discriminator(own), True),
        },
    }
    for phase, terms in expected.items():
        found = model(phase, given, Draw(0))
        assert found.terms.keys() == terms.keys()
        assert all(torch.allclose(found.terms[name], term, atol=1e-5) for name, term in terms.items()), phase
        assert torch.allclose(found.total, sum(terms.values()), atol=1e-5)


@ALL
def test_each_phase_moves_its_own_network_and_every_parameter_of_it(config):
    model = build(config)
    for phase in model.phases:
        model.zero_grad()
        model(phase.name, batch(), Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name.split(".")[0] in phase.updates:
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert parameter.grad is None


def test_lazy_penalties_come_every_fourth_step_four_times_as_strong():
    lazy, every = (build(replace(TINY, penalty_every=k)) for k in (4, 1))
    for phase in ("video_discriminator", "image_discriminator"):
        terms = [lazy(phase, batch(), Draw(0, step)).terms for step in range(5)]
        assert ["r1" in term for term in terms] == [True, False, False, False, True]
        assert torch.allclose(terms[0]["r1"], 4 * every(phase, batch(), Draw(0)).terms["r1"])


def test_real_and_generated_clips_have_batch_statistics_of_their_own():
    model = build(replace(TINY, image_widths=(4, 8), discriminator_norm=True, video_r1=0.0, image_r1=0.0))
    for phase in ("video_discriminator", "image_discriminator"):
        model(phase, batch(), Draw(0))
        norms = [m for m in getattr(model, phase).modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        assert [norm.num_batches_tracked for norm in norms] == [2]


def test_all_three_networks_learn_one_clip_that_stands_still_by_heart():
    small = {"generator_widths": (16,), "video_widths": (16,), "image_widths": (16,)}
    model = build(replace(TINY, size=8, frames=4, video_frames=4, **small), 1)
    target = -torch.ones(1, 1, 4, 8, 8)
    target[..., 2:6, 2:4] = 1  # a bar; where a moving one is at a time, noise that starts anew in each clip cannot know
    optimizers = {
        phase.name: torch.optim.Adam(getattr(model, phase.name).parameters(), 5e-3, (0.0, 0.9))
        for phase in model.phases
    }
    for step in range(100):
        for phase, optimizer in optimizers.items():
            optimizer.zero_grad()
            model(phase, {"video": target.expand(8, -1, -1, -1, -1)}, Draw(0, step)).total.backward()
            optimizer.step()
    assert (model.sample(32, generator=rng()) - target).abs().mean() < 0.15


# Categories, sampling.


def test_the_critic_learns_the_categories_of_real_clips_and_the_generator_those_it_was_asked_for():
    model, given = build(replace(ASKED, video_frames=8)), batch()  # the critic sees whole clips
    terms = [model(phase.name, given, Draw(0)).terms for phase in model.phases]
    assert ["category" in term for term in terms] == [True, False, True]
    scores = model.video_discriminator(given["video"])[1]
    expected = -scores.log_softmax(1)[torch.arange(4), given["direction"]].mean()
    assert torch.allclose(terms[0]["category"], expected, atol=1e-6)
    codes, asked = model._codes(given, Draw(0).at("generator"))
    scores = model.video_discriminator(model.generator(codes))[1]
    expected = -scores.log_softmax(1)[torch.arange(4), asked].mean()
    assert (asked != given["direction"]).any()
    assert torch.allclose(terms[2]["category"], expected, atol=1e-5)


def test_the_category_stands_beside_the_content_and_reaches_the_clip():
    model = build(ASKED).eval()
    given = codes(model)
    assert torch.equal(given[:, 3, 5:13], torch.eye(8)[:4])
    here, other = ({"direction": torch.full((4,), value)} for value in (1, 6))
    one, again, two = (model.sample(4, condition=asked, generator=rng()) for asked in (here, here, other))
    assert torch.equal(one, again) and ((one - two).abs().amax((1, 2, 3, 4)) > 1e-4).all()


def test_the_digit_belongs_to_the_content_and_direction_and_speed_to_the_motion():
    model = build(LABELLED)
    content, start = torch.randn(4, 5, generator=rng()), torch.randn(4, 3, generator=rng(1))
    noise, labels = torch.randn(4, 8, 3, generator=rng(2)), batch()

    def made(content_labels: dict, motion_labels: dict) -> torch.Tensor:
        motion = model.generator.motion_codes(start, noise, motion_labels)
        return model.generator.codes(content, motion, labels=content_labels)

    usual = made(labels, labels)
    assert torch.equal(usual[:, 3, 5:15], torch.eye(10)[:4])
    for name in ("digit", "direction", "speed"):
        other = {**labels, name: (labels[name] + 1) % VALUES[name]}
        still, moving = ((made(other, other) - usual)[..., half] for half in (slice(15), slice(15, None)))
        changed, same = (still, moving) if name == "digit" else (moving, still)
        assert (changed.abs().amax(2) > 1e-4).all() and (same == 0).all(), name
    swapped = made({name: values.flip(0) for name, values in labels.items()}, labels)  # the digits of other clips
    assert torch.equal(swapped[..., 5:15], usual[..., 5:15].flip(0)) and torch.equal(swapped[..., 15:], usual[..., 15:])


def test_labels_of_motion_shift_the_start_each_value_by_a_vector_of_its_own():
    generator, labels = build(LABELLED).generator, batch()
    start, noise = torch.randn(4, 3, generator=rng()), torch.randn(4, 8, 3, generator=rng(1))
    shift = generator.shift.weight[:, labels["direction"]] + generator.shift.weight[:, 8 + labels["speed"]]
    expected = generator.motion(noise, (start + shift.T).unsqueeze(0))[0]
    assert torch.allclose(generator.motion_codes(start, noise, labels), expected, atol=1e-6)


def test_the_critic_of_clips_is_told_all_labels_and_the_critic_of_frames_the_digit_alone():
    model, labels = build(LABELLED), batch()
    outputs = model.video_discriminator.layers(labels["video"]).flatten(1)
    assert outputs.shape == (4, 1 + 10 + 8 + 2)
    picked = outputs[:, 0]
    for name, first in (("digit", 1), ("direction", 11), ("speed", 19)):
        picked = picked + outputs[torch.arange(4), first + labels[name]]
    assert torch.allclose(model.video_discriminator(labels["video"], labels)[0], picked)
    frames = labels["video"][:, :, 0]
    patches = model.image_discriminator.layers(frames)
    assert patches.shape == (4, 1 + 10, 4, 4)
    asked = patches[torch.arange(4), 1 + labels["digit"]].mean((1, 2))
    assert torch.allclose(model.image_discriminator(frames, labels), patches[:, 0] + asked[:, None, None])


def test_generator_and_critic_of_clips_are_told_the_labels_of_each_clip():
    model, given = build(replace(LABELLED, video_r1=0.0)), batch()

    def judged(phase: str) -> torch.Tensor:
        draw = Draw(0).at(phase)
        of = {"content": (4, 5), "start": (4, 3), "noise": (4, 8, 3)}
        content, start, noise = (draw.normal(name, shape) for name, shape in of.items())
        motion = model.generator.motion_codes(start, 0.5 * noise, given)
        clips = model.generator(model.generator.codes(content, motion, labels=given))
        return model.video_discriminator(clips, given)[0]

    real = model.video_discriminator(given["video"], given)[0]
    terms = model("video_discriminator", given, Draw(0)).terms
    assert torch.allclose(terms["real"], nn.functional.softplus(-real).mean(), atol=1e-5)
    assert torch.allclose(terms["fake"], nn.functional.softplus(judged("video_discriminator")).mean(), atol=1e-5)
    expected = nn.functional.softplus(-judged("generator")).mean()
    assert torch.allclose(model("generator", given, Draw(0)).terms["video"], expected, atol=1e-5)


def test_each_frame_goes_to_its_critic_with_the_digit_of_its_clip():
    model, given = build(replace(LABELLED, image_r1=0.0)), batch()
    digits = {"digit": torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])}  # two frames of each clip, in a row
    for phase in ("image_discriminator", "generator"):
        draw = Draw(0).at(phase)
        codes, _ = model._codes(given, draw)
        clips = model.generator(codes) if phase == "generator" else given["video"]
        logits = model.image_discriminator(model._some(clips.transpose(1, 2), draw), digits)
        expected = nn.functional.softplus(-logits).mean()  # of frames that are to be taken for real
        term = model(phase, given, Draw(0)).terms["image" if phase == "generator" else "real"]
        assert torch.allclose(term, expected, atol=1e-5), phase


def test_asked_for_labels_the_same_noise_shows_them_and_the_rest_is_drawn():
    model = build(LABELLED)
    asked = {name: torch.ones(4, dtype=torch.long) for name in VALUES}
    clips, again = (model.sample(4, condition=asked, generator=rng()) for _ in range(2))
    others = model.sample(4, condition={"digit": asked["digit"]}, generator=rng())
    assert torch.equal(clips, again) and not torch.equal(clips, others)
    drawn = model.example_condition(500, rng())
    assert {name: len(values.unique()) for name, values in drawn.items()} == VALUES
    assert build(TINY).example_condition(2) is None


@ALL
def test_the_same_generator_seed_gives_the_same_samples(config):
    model = build(config)
    first, again, other = (model.sample(3, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@ALL
def test_a_saved_model_samples_the_same(config, tmp_path):
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    model = create_model("mocogan", **fields)
    model("generator", batch(), Draw(0))  # running statistics move
    expected = model.sample(4, frames=11, generator=rng())
    write_weights(model, tmp_path / "weights.safetensors")
    loaded = load_model(tmp_path / "weights.safetensors")
    assert torch.equal(loaded.sample(4, frames=11, generator=rng()), expected)


def test_mistakes_are_named_with_their_fix():
    for changes, message in (
        ({"size": 32}, r"size=32 with generator_widths=\(8, 4\).*give 3 widths"),
        ({"video_widths": (4,)}, r"with video_widths=\(4,\).*give 2 widths"),
        ({"video_frames": 6}, "video_frames=6: each of the 2 layers.*Give 7 or more"),
        ({"video_frames": 9}, "video_frames=9: the clips have 8 frames"),
        ({"image_widths": (4, 4, 4, 4)}, r"image_widths=\(4, 4, 4, 4\): give 1 to 3 widths for size=16"),
        ({"image_frames": 9}, "image_frames=9: give 1 to video_frames=7"),
        ({"categories": 1}, "categories=1: give 0 for none, or 2 or more"),
        ({"motion_dim": 0}, "motion_dim=0: must be 1 or more"),
        ({"image_r1": -1.0}, "image_r1=-1"),
        ({"noise": -0.1}, "noise=-0.1: must be 0 or more"),
        ({"labels": ("digits",)}, 'no label "digits"; did you mean "digit"'),
        ({"labels": ("speed",)}, r"labels=\('speed',\) with video_frames=7: speed are.*Give video_frames=8"),
        ({"discriminator_norm": True}, "R1 needs the slope of each clip alone"),
    ):
        with pytest.raises(ArgumentError, match=message):
            replace(TINY, **changes)
    with pytest.raises(ArgumentError, match="frames=0: ask for 1 frame or more"):
        build(TINY).sample(2, frames=0)
    with pytest.raises(ArgumentError, match=r"clips have shape \(1, 8, 8, 8\), the config says \(1, 8, 16, 16\)"):
        build(TINY)("generator", {"video": torch.zeros(2, 1, 8, 8, 8)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"trains on \['direction', 'video'\]; the batch has \['video'\]"):
        build(ASKED)("generator", {"video": torch.zeros(2, *ASKED.shape)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"direction=\[3, 8\]: give one whole number from 0 to 7 a clip"):
        build(ASKED).sample(2, condition={"direction": torch.tensor([3, 8])})
    with pytest.raises(ArgumentError, match=r"trains on \['digit', 'direction', 'speed', 'video'\]; the batch has"):
        build(LABELLED)("generator", {"video": torch.zeros(2, *TINY.shape)}, Draw(0))
    with pytest.raises(ArgumentError, match=r"speed=\[0, 2\]: give one whole number from 0 to 1 a clip"):
        build(LABELLED).sample(2, condition={"speed": torch.tensor([0, 2])})
    with pytest.raises(ArgumentError, match='no condition "direction"'):
        build(TINY).sample(2, condition={"direction": torch.tensor([3, 4])})
