import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import difference
from vidgen_lab.metrics.published import (
    Judge,
    fvd,
    styleganv_clips,
    styleganv_fvd,
    styleganv_inception_score,
    tgan_inception_score,
    tganv2_distance,
    tganv2_inception_score,
    to_bytes,
)

CLASSES = 32


def classes(labels: Tensor) -> Tensor:
    """Clips of 16 frames of one pixel, whose colour is their class."""
    return (labels / CLASSES * 2 - 1).view(-1, 1, 1, 1, 1).expand(-1, 3, 16, 1, 1)


def sure(clips: Tensor) -> Tensor:
    labels = ((clips[:, 0, 0, 0, 0] + 1) / 2 * CLASSES).round().long()
    return 100 * torch.eye(CLASSES)[labels]


def unsure(clips: Tensor) -> Tensor:
    """Logits of 101 classes that depend on the colour."""
    return (clips[:, 0, 0, 0, :1] * torch.linspace(-9, 9, 101) + torch.linspace(0, 1, 101)).cos() * 5


def colours(clips: Tensor) -> Tensor:
    """Four features of a clip."""
    return torch.cat([clips.mean((2, 3, 4)), clips[:, :1, 0, 0, 0] * clips[:, 1:2, 0, 0, 0]], 1)


SURE, UNSURE, COLOURS = (Judge(network, {"network": network.__name__}) for network in (sure, unsure, colours))


def noise(n: int, frames: int = 16, seed: int = 0, size: int = 1) -> Tensor:
    return 2 * torch.rand(n, 3, frames, size, size, generator=torch.Generator().manual_seed(seed)) - 1


def published_score(p: np.ndarray, inside: float) -> float:
    marginal = p.mean(0, keepdims=True)
    return np.exp(np.mean(np.sum(p * (np.log(p + inside) - np.log(marginal + inside)), 1)))


def published_distance(x: np.ndarray, y: np.ndarray, over: int) -> float:
    """The formula of the released scripts; `over` is 1 for covariances over N - 1, and 0 for N."""
    s, t = np.cov(x.T, ddof=over), np.cov(y.T, ddof=over)
    return float(
        np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t) - 2 * np.real(np.trace(scipy.linalg.sqrtm(s @ t)))
    )


def test_tgans_score_is_one_score_of_ten_thousand_clips():
    labels = torch.arange(10_000) % 25
    batches = classes(labels).split(3000)
    score = tgan_inception_score(batches, SURE, {"model": "none"})
    assert score.value == pytest.approx(25)
    assert score.protocol.items() >= {
        "published": "TGAN", "samples": 10_000, "frames": 16, "size": "1x1", "network": "sure", "model": "none",
    }.items()  # fmt: skip


def test_the_tiny_number_in_tgans_logarithms_does_not_matter():
    clips = noise(10_000)
    probabilities = unsure(clips).double().softmax(1).numpy()
    assert tgan_inception_score(clips, UNSURE).value == pytest.approx(published_score(probabilities, 1e-7), rel=2e-5)


def test_tganv2s_score_is_the_mean_of_ten_runs_and_their_deviation():
    kinds = [1, 2, 4, 8, 16, 1, 2, 4, 8, 32]
    clips = torch.cat([classes(torch.arange(2048) % kind) for kind in kinds])
    mean, spread = tganv2_inception_score(clips.split(999), SURE)
    assert mean.value == pytest.approx(np.mean(kinds))
    assert spread.value == pytest.approx(np.std(kinds))
    assert mean.protocol.items() >= {"published": "TGANv2", "samples": 2048, "runs": 10, "splits": 1}.items()
    assert spread.name != mean.name and spread.protocol == mean.protocol


def test_styleganvs_score_is_the_published_formula_on_its_own_shuffle_and_splits():
    clips = noise(2048)
    probabilities = unsure(clips).double().softmax(1).numpy()
    np.random.RandomState(42).shuffle(probabilities)
    scores = [published_score(probabilities[i * 2048 // 10 : (i + 1) * 2048 // 10], 0) for i in range(10)]
    mean, spread = styleganv_inception_score(clips, UNSURE)
    assert mean.value == pytest.approx(np.mean(scores), rel=1e-6)
    assert spread.value == pytest.approx(np.std(scores), rel=1e-6)
    assert mean.protocol["splits"] == 10


def test_ten_splits_see_fewer_classes_than_one():
    clips = classes(torch.arange(2048) % CLASSES)
    assert styleganv_inception_score(clips, SURE).mean.value < CLASSES - 1


def test_the_three_scores_are_not_compared_nor_are_two_sizes():
    tgan = tgan_inception_score(noise(10_000), UNSURE)
    tganv2 = tganv2_inception_score(noise(20_480), UNSURE).mean
    styleganv = styleganv_inception_score(noise(2048), UNSURE).mean
    for one, other in ((tgan, tganv2), (tganv2, styleganv), (styleganv, tgan)):
        assert one.name == other.name
        with pytest.raises(ArgumentError, match="published .*splits|published .*samples"):
            difference(one, other)
    with pytest.raises(ArgumentError, match=r"size \('1x1' and '2x2'\)"):
        difference(styleganv, styleganv_inception_score(noise(2048, size=2), UNSURE).mean)
    assert difference(styleganv, styleganv_inception_score(noise(2048), UNSURE).mean) == 0


def test_tganv2s_distance_is_the_frechet_distance_of_each_run_even_with_few_real_clips():
    real, fake = noise(3), noise(20_480, seed=1) * 0.5
    mean, spread = tganv2_distance([real], fake.split(5000), COLOURS)
    expected = [published_distance(colours(real).numpy(), colours(run).numpy(), 1) for run in fake.split(2048)]
    assert mean.value == pytest.approx(np.mean(expected), rel=1e-4)
    assert spread.value == pytest.approx(np.std(expected), rel=1e-3)
    assert "FID" not in mean.name
    assert mean.protocol.items() >= {"real": 3, "samples": 2048, "runs": 10, "features": 4}.items()


def test_fvd_is_the_frechet_distance_and_asks_for_two_clips_a_feature():
    real, fake = noise(40, frames=10), noise(30, frames=10, seed=1) * 0.5
    expected = published_distance(colours(real).double().numpy(), colours(fake).double().numpy(), 1)
    score = fvd(real.split(7), fake, COLOURS, {"data": "noise"})
    assert score.value == pytest.approx(expected, rel=1e-4)
    assert score.protocol.items() >= {"real": 40, "samples": 30, "frames": 10, "data": "noise"}.items()
    with pytest.raises(ArgumentError, match="fake has 7 rows of 4 features; this score needs 8"):
        fvd(real, fake[:7], COLOURS)
    with pytest.raises(ArgumentError, match="fake have 16 frames: this protocol needs 10"):
        fvd(real, noise(30), COLOURS)


def test_styleganvs_fvd_divides_covariances_by_n():
    real, fake = noise(5), noise(2048, seed=1) * 0.5
    score = styleganv_fvd(real, fake, COLOURS)
    expected = [published_distance(colours(real).double().numpy(), colours(fake).double().numpy(), d) for d in (0, 1)]
    assert score.value == pytest.approx(expected[0], rel=1e-4)
    assert score.value != pytest.approx(expected[1], rel=1e-2)
    assert score.protocol.items() >= {"variant": "fvd2048_16f", "step": 1, "real": 5, "samples": 2048}.items()
    with pytest.raises(ArgumentError, match="published"):
        difference(score, fvd(noise(2048), fake, COLOURS))
    with pytest.raises(ArgumentError, match="real has 2049 clips: at most 2048"):
        styleganv_fvd(noise(2049), fake, COLOURS)
    with pytest.raises(ArgumentError, match="real have 16 frames: this protocol needs 128"):
        styleganv_fvd(real, fake, COLOURS, "fvd2048_128f")
    with pytest.raises(ArgumentError, match='no variant "fvd2048"; did you mean "fvd2048_16f"'):
        styleganv_fvd(real, fake, COLOURS, "fvd2048")


def test_bytes_are_what_styleganv_writes_and_undo_the_scale_of_the_package():
    levels = torch.arange(256)
    assert torch.equal(to_bytes(levels / 127.5 - 1), levels.to(torch.uint8))
    assert to_bytes(torch.tensor([-1.0, 0.0, 0.0078, 0.0079, 1.0])).tolist() == [0, 128, 128, 129, 255]


@pytest.mark.parametrize("variant, span, last", [("fvd2048_16f", 16, 15), ("fvd2048_128f_subsample8f", 128, 120)])
def test_one_clip_of_each_video_starts_anywhere_where_it_fits(variant, span, last):
    lengths = [span + 3, span - 1] * 1000
    picked = styleganv_clips(lengths, variant, seed=1)
    assert picked.videos == list(range(0, 2000, 2)) and picked.dropped == 1000
    assert set(picked.starts) == set(range(span + 3 - last))
    counts = torch.bincount(torch.tensor(picked.starts)) / (1000 / (span + 3 - last))
    assert counts.min() > 0.6 and counts.max() < 1.5
    assert last == 15 * picked.step
    assert styleganv_clips(lengths, variant, seed=1) == picked != styleganv_clips(lengths, variant, seed=2)


def test_a_video_of_just_enough_frames_gives_its_only_clip_and_2048_videos_are_enough():
    picked = styleganv_clips([128] * 3000, "fvd2048_128f")
    assert picked.videos == list(range(2048)) and set(picked.starts) == {0} and picked.dropped == 0
    with pytest.raises(ArgumentError, match="none of 2 videos has 128 frames.*the longest has 127"):
        styleganv_clips([127, 16], "fvd2048_128f")


@pytest.mark.parametrize("score, needed", [
    (tgan_inception_score, 10_000), (tganv2_inception_score, 20_480), (styleganv_inception_score, 2048),
])  # fmt: skip
def test_another_number_of_clips_is_another_protocol(score, needed):
    clips = noise(needed + 1)
    with pytest.raises(ArgumentError, match=f"are {needed - 1} clips: this protocol needs exactly {needed}. Draw more"):
        score(clips[: needed - 1], UNSURE)
    with pytest.raises(ArgumentError, match=f"more than {needed} clips"):
        score(clips.split(1000), UNSURE)


def test_clips_and_judges_of_the_wrong_kind_are_refused():
    with pytest.raises(ArgumentError, match=r"clips have 1 channels: repeat grey to 3"):
        tgan_inception_score(noise(2)[:, :1], SURE)
    with pytest.raises(ArgumentError, match="clips have 8 frames: this protocol needs 16"):
        tgan_inception_score(noise(2, frames=8), SURE)
    with pytest.raises(ArgumentError, match="clips mix clips of"):
        tgan_inception_score([noise(2), noise(2, size=2)], SURE)
    with pytest.raises(ArgumentError, match="values must lie in"):
        tgan_inception_score(128 * noise(2), SURE)
    with pytest.raises(ArgumentError, match="real are 0 clips"):
        fvd([], [], COLOURS)
    with pytest.raises(ArgumentError, match=r"gave \(2, 3, 16, 1, 1\) for 2 clips: it must give \(B, K\)"):
        tgan_inception_score(noise(2), Judge(lambda clips: clips, {"network": "none"}))
    with pytest.raises(ArgumentError, match="does not name"):
        fvd(noise(20), noise(20), Judge(colours, {}))
