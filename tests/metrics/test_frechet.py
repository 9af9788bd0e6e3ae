import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import difference, frechet_bias, frechet_distance, frechet_infinity

PROTOCOL = {"network": "none"}


def gaussian(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def exact(n: int, mean: Tensor, factor: Tensor, seed: int = 0) -> Tensor:
    """`n` rows with exactly this mean `(d,)` and the covariance `factor.T @ factor`."""
    noise = gaussian(n, len(mean), seed)
    white = torch.linalg.qr(noise - noise.mean(0)).Q * (n - 1) ** 0.5
    return white @ factor + mean


def distance(real: Tensor, fake: Tensor) -> float:
    return frechet_distance(real, fake, PROTOCOL).value


class Raw(nn.Module):
    """Hands features to torchmetrics as they are."""

    num_features = 6

    def forward(self, features: Tensor) -> Tensor:
        return features


def test_the_distance_of_two_gaussians_is_the_closed_form():
    mean, other = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([1.0, 1.0, 0.0]).double()
    scale, other_scale = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([3.0, 0.25, 0.5]).double()
    real, fake = exact(50, mean, scale.diag(), 0), exact(70, other, other_scale.diag(), 1)
    assert distance(real, fake) == pytest.approx(5 + 4 + 1.75**2, abs=1e-9)


def test_covariances_that_do_not_commute_give_the_root_of_their_product():
    factors = gaussian(4, 4, 0), gaussian(4, 4, 1)
    real, fake = (exact(40, mean, factor, 2) for mean, factor in zip(torch.eye(4).double(), factors, strict=False))
    s, t = (factor.T @ factor for factor in factors)
    root = torch.linalg.eigvals(s @ t).real.sqrt().sum()
    assert distance(real, fake) == pytest.approx((2 + s.trace() + t.trace() - 2 * root).item(), abs=1e-9)


def test_the_distance_is_symmetric_and_zero_from_a_set_to_itself():
    real, fake = gaussian(60, 5, 0), 2 * gaussian(40, 5, 1) + 1
    assert distance(real, fake) == pytest.approx(distance(fake, real), rel=1e-12)
    assert distance(real, real) == pytest.approx(0, abs=1e-12)


def test_a_translation_by_v_costs_v_squared():
    real, v = gaussian(60, 5, 0), torch.tensor([1.0, -2.0, 0.0, 0.5, 3.0])
    assert distance(real, real + v) == pytest.approx(v.square().sum().item(), abs=1e-9)


def test_the_distance_agrees_with_torchmetrics():
    real, fake = gaussian(200, 6, 0), 1.5 * gaussian(100, 6, 1) @ gaussian(6, 6, 2) + 0.3
    theirs = FrechetInceptionDistance(feature=Raw()).set_dtype(torch.float64)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    assert distance(real, fake) == pytest.approx(theirs.compute().item(), rel=1e-4)


def test_few_samples_make_the_distance_too_large_and_the_extrapolation_takes_that_back():
    real, fake = gaussian(1024, 16, 0), gaussian(1024, 16, 1)
    biased = distance(real, fake)
    assert biased > 0.1
    assert abs(frechet_infinity(real, fake, PROTOCOL).value) < biased / 4
    assert frechet_infinity(real, fake + 0.5, PROTOCOL).value == pytest.approx(16 * 0.25, rel=0.15)


def test_the_bias_of_d_equal_variances_is_d_times_d_plus_5_over_4():
    features = exact(50, torch.zeros(8).double(), torch.eye(8).double())
    assert frechet_bias(features, 200, 300) == pytest.approx((1 / 200 + 1 / 300) * 8 * 13 / 4)
    assert frechet_bias(3 * features, 200, 300) == pytest.approx(9 * frechet_bias(features, 200, 300))


def test_the_bias_is_the_mean_distance_of_two_sets_from_one_gaussian():
    factor = torch.tensor([1.5, 1.0, 1.0, 0.7, 0.5, 0.0]).double().diag()  # one feature never changes
    found = torch.tensor([distance(gaussian(600, 6, k) @ factor, gaussian(200, 6, -k) @ factor) for k in range(1, 501)])
    error = 3 * found.std().item() / len(found) ** 0.5
    expected = frechet_bias(exact(50, torch.zeros(6).double(), factor), 600, 200)
    assert expected == pytest.approx(found.mean().item(), abs=error)
    assert error < 0.06 * expected  # with 1 in the place of 5/4 the law would be 0.1 lower


def test_a_bias_needs_the_sizes_of_both_sets():
    with pytest.raises(ArgumentError, match="n=0, m=5"):
        frechet_bias(gaussian(20, 4, 0), 0, 5)


def test_the_extrapolation_is_fixed_by_its_seed_which_the_protocol_states():
    real, fake = gaussian(64, 4, 0), gaussian(64, 4, 1)
    first, again, other = (frechet_infinity(real, fake, PROTOCOL, seed=seed) for seed in (0, 0, 1))
    assert difference(first, again) == 0
    assert first.value != other.value
    with pytest.raises(ArgumentError, match="subset_seed"):
        difference(first, other)


def test_distances_at_two_sample_sizes_are_not_compared():
    real, fake = gaussian(64, 4, 0), gaussian(64, 4, 1)
    with pytest.raises(ArgumentError, match="samples \\(64 and 32\\)"):
        difference(frechet_distance(real, fake, PROTOCOL), frechet_distance(real, fake[:32], PROTOCOL))


@pytest.mark.parametrize("score, fewest", [(frechet_distance, 16), (frechet_infinity, 64)])
def test_too_few_samples_are_refused(score, fewest):
    real, fake = gaussian(fewest, 8, 0), gaussian(fewest, 8, 1)
    score(real, fake, PROTOCOL)
    with pytest.raises(ArgumentError, match=f"fake has {fewest - 1} rows of 8 features; this score needs {fewest}"):
        score(real, fake[1:], PROTOCOL)
    with pytest.raises(ArgumentError, match=f"real has {fewest - 1} rows"):
        score(real[1:], fake, PROTOCOL)


def test_features_that_say_nothing_are_refused():
    good = gaussian(20, 4, 0)
    with pytest.raises(ArgumentError, match="fake has the same features in all 20 rows"):
        distance(good, torch.full((20, 4), 0.1))
    with pytest.raises(ArgumentError, match="real holds NaN or infinity"):
        distance(good.where(good < 1, torch.nan), good)
    with pytest.raises(ArgumentError, match="one network for both"):
        distance(good, good[:, :3])
    with pytest.raises(ArgumentError, match=r"shape \(20,\)"):
        distance(good, good[:, 0])
    with pytest.raises(ArgumentError, match="does not name the network"):
        frechet_distance(good, good, {"frames": 16})
