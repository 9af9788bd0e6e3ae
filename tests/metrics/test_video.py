import math

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import content_and_motion, difference


def test_a_still_clip_keeps_its_content_and_does_not_move():
    frame = 2 * torch.rand(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
    content, motion = content_and_motion(frame.expand(2, 3, 5, 8, 8))
    assert content.value == pytest.approx(0, abs=1e-9)
    assert motion.value == 0


def test_a_thing_that_moves_keeps_its_mean_colour_and_shows_motion():
    clip = -torch.ones(1, 1, 4, 4, 4)
    for t in range(4):
        clip[0, 0, t, 0, t] = 1  # one white pixel, one column a frame
    content, motion = content_and_motion(clip)
    assert content.value == pytest.approx(0, abs=1e-9)
    assert motion.value == pytest.approx(2 * 2 / 16)


def test_the_content_distance_is_the_mean_over_all_pairs_of_frames():
    colours = torch.tensor([[0.0, 0.0], [0.3, 0.4], [0.0, 0.8]])  # three frames of two channels
    clip = colours.T[None, :, :, None, None].expand(1, 2, 3, 5, 5)
    assert content_and_motion(clip).content.value == pytest.approx((0.5 + 0.8 + 0.5) / 3, abs=1e-6)


def test_features_replace_the_colour_and_another_network_is_another_protocol():
    clips = torch.zeros(2, 1, 3, 4, 4)
    features = torch.tensor([0.0, 1.0, 3.0]).view(1, 3, 1).expand(2, 3, 1)
    one, other = (content_and_motion(clips, features, {"network": name}).content for name in ("a", "b"))
    assert one.value == pytest.approx((1 + 3 + 2) / 3)
    with pytest.raises(ArgumentError, match=r"network \('a' and 'b'\)"):
        difference(one, other)
    with pytest.raises(ArgumentError, match="content"):
        difference(content_and_motion(clips).content, content_and_motion(clips, features, {"network": "a"}).content)


def test_clips_and_features_that_say_nothing_are_refused():
    clips = torch.zeros(2, 1, 3, 4, 4)
    with pytest.raises(ArgumentError, match="one frame"):
        content_and_motion(clips[:, :, :1])
    with pytest.raises(ArgumentError, match="clips runs from 0 to 2"):
        content_and_motion(torch.linspace(0, 2, 96).view(2, 1, 3, 4, 4))
    with pytest.raises(ArgumentError, match="clips holds NaN"):
        content_and_motion(clips + math.nan)
    with pytest.raises(ArgumentError, match=r"need \(2, 3\) and then d"):
        content_and_motion(clips, torch.zeros(2, 4, 1), {"network": "a"})
    with pytest.raises(ArgumentError, match="does not name the network"):
        content_and_motion(clips, torch.zeros(2, 3, 1))
    with pytest.raises(ArgumentError, match="features holds NaN"):
        content_and_motion(clips, torch.full((2, 3, 1), math.nan), {"network": "a"})


def test_motion_is_between_consecutive_frames():
    clip = torch.tensor([0.0, 0.5, 0.5, 0.5]).view(1, 1, 4, 1, 1).expand(1, 1, 4, 3, 3)
    assert content_and_motion(clip).motion.value == pytest.approx(0.5 / 3)
