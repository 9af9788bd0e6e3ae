"""The rungs: what each does to real clips, and what the shipped network says of them."""

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.data import MovingDigits
from vidgen_lab.evaluation import ladder
from vidgen_lab.metrics.ladder import FAINT, HEAVY, ONE, RUNGS, blurred, reference, rungs

SETTINGS = {"size": 32, "frames": 8, "color": True}


@pytest.fixture(scope="module")
def made() -> dict[str, torch.Tensor]:
    return dict(rungs(60, seed=3, **SETTINGS))


def test_each_rung_has_as_many_clips_of_the_same_shape_and_range(made):
    assert tuple(made) == RUNGS
    for name, clips in made.items():
        assert clips.shape == (60, 3, 8, 32, 32), name
        assert clips.min() >= -1 and clips.max() <= 1, name


def test_the_rungs_share_no_clip_with_the_reference(made):
    real = reference(60, seed=3, **SETTINGS)
    assert not any(torch.equal(a, b) for a in real for b in made["real clips"])
    assert torch.equal(real, reference(60, seed=3, **SETTINGS))
    assert not torch.equal(real, reference(60, seed=4, **SETTINGS))


def test_noise_has_its_strength_where_it_is_not_clamped(made):
    real = made["real clips"]
    ink = (real > -0.5) & (real < 0.5)  # far enough from both ends
    for name, sigma in (("faint noise", FAINT), ("heavy noise", HEAVY)):
        tolerance = 0.05 if sigma == FAINT else 0.15  # some of the heavy noise is clamped even there
        assert (made[name] - real)[ink].std().item() == pytest.approx(sigma, rel=tolerance)


def test_blur_is_the_mean_of_three_by_three_pixels_of_a_frame():
    dot = torch.zeros(1, 1, 3, 7, 7)
    dot[0, 0, 1, 3, 3] = 0.9
    soft = blurred(dot)
    assert torch.allclose(soft[0, 0, 1, 2:5, 2:5], torch.full((3, 3), 0.1)) and soft.sum().item() == pytest.approx(0.9)
    assert not soft[0, 0, 0].any() and not soft[0, 0, 2].any()


def test_shuffled_clips_hold_the_same_frames_in_another_order(made):
    moved = 0
    for clip, shuffled in zip(made["real clips"], made["frames shuffled"], strict=True):
        frames, others = clip.transpose(0, 1).flatten(1), shuffled.transpose(0, 1).flatten(1)
        distance = torch.cdist(frames, others)
        assert torch.equal(distance.min(1).values, torch.zeros(8)) and torch.equal(
            distance.min(0).values, torch.zeros(8)
        )
        moved += not torch.equal(clip, shuffled)
    assert moved > 55


def test_static_clips_hold_their_first_frame(made):
    real, static = made["real clips"], made["static clip"]
    assert torch.equal(static, real[:, :, :1].repeat(1, 1, 8, 1, 1))


def test_one_digit_and_one_direction_are_real_clips_with_that_label():
    clips = dict(rungs(20, seed=0, size=32, frames=8))
    data = MovingDigits("test", size=32, frames=8, length=1400, seed=1)
    everything = data.__getitems__(list(range(1400)))
    for name, label in (("one digit only", "digit"), ("one direction only", "direction")):
        rows = (everything[label] == ONE).nonzero()[:20, 0]
        assert torch.equal(clips[name], everything["video"][rows])


def test_a_ladder_of_two_digits_is_refused():
    with pytest.raises(ArgumentError, match="digits=2: the ladder is made of clips of one digit"):
        next(rungs(10, digits=2))
    with pytest.raises(ArgumentError, match="n=0"):
        next(rungs(0))
    assert reference(2, digits=2).shape == (2, 1, 16, 32, 32)


def test_on_fresh_clips_every_rung_but_faint_noise_is_five_floors_above_the_floor():
    measured = {item.name: item.value for item in ladder(2000, seed=100, color=True)}
    floor = measured["real clips"]
    for name in RUNGS[2:]:
        assert measured[name] - floor > 5 * floor > 0, (name, measured)
    assert floor < measured["faint noise"] < measured["blur"]
    assert measured["faint noise"] - floor < 2 * floor
