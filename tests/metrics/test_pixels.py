import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import best_of, difference, diversity, psnr, ssim


def clips(seed: int, shape: tuple[int, ...] = (2, 3, 4, 16, 16)) -> Tensor:
    return 1.6 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.8


def test_a_constant_error_of_a_tenth_gives_the_psnr_of_the_formula():
    target = clips(0)
    assert psnr(target + 0.1, target).value == pytest.approx(10 * math.log10(4 / 0.01), abs=1e-3)


def test_psnr_is_the_mean_over_frames_and_not_the_psnr_of_the_mean_error():
    target = torch.zeros(1, 1, 2, 8, 8)
    prediction = target.clone()
    prediction[:, :, 0], prediction[:, :, 1] = 0.2, 0.02
    assert psnr(prediction, target).value == pytest.approx((20 + 40) / 2, abs=1e-3)


def test_equal_clips_have_ssim_one_and_infinite_psnr():
    target = clips(0)
    assert ssim(target, target).value == pytest.approx(1, abs=1e-6)
    assert psnr(target, target).value == math.inf


def test_the_ssim_of_two_flat_frames_is_the_term_of_luminance():
    low, high, c1 = 0.25, 1.75, (0.01 * 2) ** 2  # above black
    expected = (2 * low * high + c1) / (low**2 + high**2 + c1)
    flat = torch.ones(1, 1, 3, 16, 16)
    # Flat and bright frames are the worst case of float32: their variances are 0, the difference of two squares.
    assert ssim(low * flat - 1, high * flat - 1).value == pytest.approx(expected, abs=1e-3)


def test_ssim_is_the_formula_in_a_window_around_each_pixel():
    shape, c1, c2 = (1, 1, 1, 11, 12), (0.01 * 2) ** 2, (0.03 * 2) ** 2
    x, y = clips(0, shape), (clips(0, shape) + 0.3 * clips(1, shape)).clamp(-1, 1)
    bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(bell, bell) / bell.sum() ** 2
    x_large, y_large = (np.pad(clip[0, 0, 0].double().numpy() + 1, 5, mode="reflect") for clip in (x, y))
    found = []
    for row, column in np.ndindex(11, 12):
        a, b = (frame[row : row + 11, column : column + 11] for frame in (x_large, y_large))
        (var_a, both), (_, var_b) = np.cov(a.ravel(), b.ravel(), aweights=weights.ravel(), ddof=0)
        a, b = (weights * a).sum(), (weights * b).sum()
        found.append((2 * a * b + c1) * (2 * both + c2) / ((a**2 + b**2 + c1) * (var_a + var_b + c2)))
    assert ssim(x, y).value == pytest.approx(np.mean(found), abs=1e-6)


def test_a_clip_is_not_like_its_own_negative():
    clip = clips(0)
    assert ssim(clip, -clip).value < -0.5


def test_ssim_does_not_look_across_frames():
    one, other = clips(0, (1, 1, 6, 16, 16)), clips(1, (1, 1, 6, 16, 16))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert ssim(one[:, :, order], other[:, :, order]).value == pytest.approx(ssim(one, other).value, abs=1e-6)


def test_scores_agree_with_torchmetrics_on_each_frame():
    one, other = clips(0), (clips(0) + 0.2 * clips(1)).clamp(-1, 1)
    pairs = [(one[b, :, t][None], other[b, :, t][None]) for b in range(2) for t in range(4)]
    theirs_psnr = [peak_signal_noise_ratio(x, y, data_range=2.0).item() for x, y in pairs]
    theirs_ssim = [structural_similarity_index_measure(x + 1, y + 1, data_range=2.0).item() for x, y in pairs]
    assert psnr(one, other).value == pytest.approx(sum(theirs_psnr) / 8, rel=1e-4)
    assert ssim(one, other).value == pytest.approx(sum(theirs_ssim) / 8, rel=1e-4)


def test_many_clips_score_as_they_do_one_by_one():
    one, other = clips(0, (70, 1, 2, 12, 12)), clips(1, (70, 1, 2, 12, 12))
    singly = [ssim(one[[b]], other[[b]]).value for b in range(70)]
    assert ssim(one, other).value == pytest.approx(sum(singly) / 70, abs=1e-7)


def test_best_of_n_takes_the_best_sample_of_each_clip():
    target = torch.zeros(2, 1, 3, 8, 8)
    errors = torch.tensor([[0.2, 0.02], [0.02, 0.2], [0.9, 0.9]])  # of sample n on clip b
    samples = target + errors[:, :, None, None, None, None]
    assert best_of(samples, target, "psnr").value == pytest.approx(40, abs=1e-3)
    assert best_of(samples[:1], target, "psnr").value == pytest.approx(30, abs=1e-3)


def test_best_of_two_sizes_are_not_compared():
    target, samples = clips(0), torch.stack([clips(1), clips(2), clips(3)])
    assert best_of(samples, target, "ssim").value >= best_of(samples[:2], target, "ssim").value
    with pytest.raises(ArgumentError, match=r"best_of \(3 and 2\)"):
        difference(best_of(samples, target, "ssim"), best_of(samples[:2], target, "ssim"))


def test_the_protocol_says_clips_frames_size_and_variant():
    protocol = ssim(clips(0), clips(1), {"seed": 3}).protocol
    assert protocol | {"seed": 3, "clips": 2, "channels": 3, "frames": 4, "size": "16x16"} == protocol
    assert "2-D Gaussian window 11x11" in protocol["variant"]


def test_diversity_is_the_mean_distance_over_pairs_and_zero_for_equal_clips():
    flat = torch.ones(3, 1, 2, 4, 4)
    levels = torch.tensor([-0.5, 0.0, 1.0])[:, None, None, None, None]
    assert diversity(levels * flat).value == pytest.approx((0.5 + 1.5 + 1.0) / 3, abs=1e-6)
    assert diversity(0.3 * flat).value == 0


@pytest.mark.parametrize("score", [psnr, ssim])
def test_values_that_are_no_pixels_are_refused(score):
    good = clips(0)
    with pytest.raises(ArgumentError, match=r"prediction runs from .* \[-1, 1\]"):
        score(good * 2, good)
    with pytest.raises(ArgumentError, match=r"target runs from .* to 255"):
        score(good, good.clone().fill_(255))
    with pytest.raises(ArgumentError, match="target holds NaN"):
        score(good, good.where(good < 0, torch.nan))
    with pytest.raises(ArgumentError, match="they must be equal"):
        score(good, good[:1])
    with pytest.raises(ArgumentError, match="an image has T = 1"):
        score(good[:, :, 0], good[:, :, 0])


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ArgumentError, match="frames of 8x16 pixels"):
        ssim(clips(0, (1, 1, 2, 8, 16)), clips(1, (1, 1, 2, 8, 16)))
    with pytest.raises(ArgumentError, match="2 or more"):
        diversity(clips(0)[:1])
    with pytest.raises(ArgumentError, match="runs from"):
        diversity(2 * clips(0))
    with pytest.raises(ArgumentError, match='no score "lpips"'):
        best_of(clips(0)[None], clips(0), "lpips")
    with pytest.raises(ArgumentError, match=r"give \(N, B, C, T, H, W\)"):
        best_of(clips(0), clips(0), "psnr")


def test_the_channels_of_one_frame_are_scored_together():
    target = torch.zeros(1, 2, 2, 8, 8)
    prediction = target.clone()
    prediction[:, :, 0], prediction[:, :, 1] = 0.2, 0.02  # both channels: frame 0 at 20 dB, frame 1 at 40 dB
    assert psnr(prediction, target).value == pytest.approx(30, abs=1e-3)
