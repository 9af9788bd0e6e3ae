import numpy as np
import pytest
import torch

from vidgen_lab import viz
from vidgen_lab.core.errors import ArgumentError


def test_every_one_of_the_256_levels_survives_the_round_trip():
    levels = torch.arange(256)
    assert np.array_equal(viz.to_uint8(levels / 127.5 - 1), levels.numpy())


def test_a_value_between_two_levels_goes_to_the_nearest():
    assert viz.to_uint8(torch.tensor([(7.4 / 127.5) - 1, (7.6 / 127.5) - 1])).tolist() == [7, 8]


def test_half_precision_is_shown_too():
    assert viz.to_uint8(torch.tensor([-1.0, 1.0], dtype=torch.bfloat16)).tolist() == [0, 255]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused_even_when_clipping(bad):
    with pytest.raises(ArgumentError, match="NaN or infinity"):
        viz.to_uint8(torch.tensor([0.0, bad]), clip=True)


def test_overshoot_is_cut_only_when_that_is_asked_for():
    overshoot = torch.tensor([-1.2, 1.3])
    with pytest.raises(ArgumentError, match=r"\[-1.2, 1.3\].*clip=True"):
        viz.to_uint8(overshoot)
    assert viz.to_uint8(overshoot, clip=True).tolist() == [0, 255]


def test_rounding_errors_at_the_ends_are_no_overshoot():
    assert viz.to_uint8(torch.tensor([-1.001, 1.001])).tolist() == [0, 255]


def test_pixels_in_0_to_255_are_refused_with_the_formula_that_helps():
    with pytest.raises(ArgumentError, match=r"samples / 127.5 - 1"):
        viz.to_uint8(torch.tensor([0.0, 255.0]))
    with pytest.raises(ArgumentError, match=r"samples.float\(\) / 127.5 - 1"):
        viz.to_uint8(torch.tensor([0, 255], dtype=torch.uint8))


def shades(count: int, height: int = 4, width: int = 5) -> torch.Tensor:
    """Images of one grey each: 10, 20, 30, ..."""
    return ((torch.arange(count) + 1) * 10 / 127.5 - 1)[:, None, None, None].expand(count, 1, height, width)


def test_a_grid_reads_left_to_right_then_down_with_grey_gaps_and_no_outer_border():
    picture = viz.grid(shades(5), columns=3, pad=2)
    assert picture.shape == (2 * 4 + 2, 3 * 5 + 2 * 2, 3)
    assert picture[0, ::7, 0].tolist() == [10, 20, 30]
    assert picture[6, ::7, 0].tolist() == [40, 50, 128]  # the sixth cell is empty
    assert (picture[4:6] == 128).all() and (picture[:, 5:7] == 128).all()


def test_a_grid_is_about_square_unless_columns_are_given():
    assert viz.grid(shades(9), pad=0).shape == (12, 15, 3)
    assert viz.grid(shades(9), columns=20, pad=0).shape == (4, 45, 3)


def test_colours_stay_in_their_channels():
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 2, 2)
    assert viz.grid(red)[0, 0].tolist() == [255, 0, 0]


def test_a_filmstrip_has_a_row_a_clip_and_time_runs_to_the_right():
    video = torch.stack([shades(6)[:, 0], shades(6).flip(0)[:, 0]])[:, None]  # (2, 1, 6, 4, 5)
    strip = viz.filmstrip(video, pad=1)
    assert strip.shape == (2 * 4 + 1, 6 * 5 + 5, 3)
    assert strip[0, ::6, 0].tolist() == [10, 20, 30, 40, 50, 60]
    assert strip[5, ::6, 0].tolist() == [60, 50, 40, 30, 20, 10]
    assert viz.filmstrip(video, frames=3, pad=0)[0, ::5, 0].tolist() == [10, 30, 60]


def test_in_an_x_t_slice_a_moving_dot_is_a_slanted_line():
    video = -torch.ones(1, 1, 5, 7, 5)
    for t in range(5):
        video[0, 0, t, 3, t] = 1.0
    assert np.array_equal(viz.x_t_slice(video, row=3)[..., 0], 255 * np.eye(5))
    assert not viz.x_t_slice(video, row=2).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.grid(torch.zeros(1, 4, 4)), r"images of shape \(1, 4, 4\).*images\[None\]"),
        (lambda: viz.grid(torch.zeros(2, 2, 4, 4)), "C = 1 .grey. or 3"),
        (lambda: viz.grid(torch.zeros(0, 1, 4, 4)), "nothing to show"),
        (lambda: viz.grid(torch.zeros(2, 1, 4, 4), columns=0), "columns=0"),
        (lambda: viz.filmstrip(torch.zeros(2, 1, 4, 4)), r"\(B, C, T, H, W\).*video\[None\]"),
        (lambda: viz.filmstrip(torch.zeros(2, 1, 3, 4, 4), frames=4), "frames=4.*1 to 3"),
        (lambda: viz.x_t_slice(torch.zeros(2, 1, 3, 4, 4), row=4), "row=4.*0 to 3"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
