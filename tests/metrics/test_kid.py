import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import difference, kernel_distance
from vidgen_lab.metrics.kid import _discrepancy

PROTOCOL = {"network": "none"}


def gaussian(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Raw(nn.Module):
    """Hands features to torchmetrics as they are."""

    num_features = 6

    def forward(self, features: Tensor) -> Tensor:
        return features


def test_on_equal_distributions_the_distance_averages_zero_and_the_interval_holds_it():
    results = [
        kernel_distance(gaussian(200, 4, 2 * i), gaussian(200, 4, 2 * i + 1), PROTOCOL, subsets=10) for i in range(200)
    ]
    values = torch.tensor([result.value for result in results])
    assert abs(values.mean()) < 3 * values.std() / 200**0.5
    assert 0.3 < (values < 0).float().mean() < 0.8
    held = [result.interval[0] <= 0 <= result.interval[1] for result in results]
    assert 0.9 < sum(held) / 200 < 0.99


def test_the_estimate_is_the_formula_written_out_pair_by_pair():
    x, y = gaussian(5, 3, 0), 1.5 * gaussian(5, 3, 1) + 0.3

    def mean(a: Tensor, b: Tensor, itself: bool) -> float:
        rows = range(5)
        likeness = [((a[i] @ b[j] / 3 + 1) ** 3).item() for i in rows for j in rows if itself or i != j]
        return sum(likeness) / len(likeness)

    expected = mean(x, x, itself=False) + mean(y, y, itself=False) - 2 * mean(x, y, itself=True)
    assert _discrepancy(x, y) == pytest.approx(expected, rel=1e-12)


def test_a_shift_is_found_at_few_samples():
    real, fake = gaussian(200, 4, 0), gaussian(200, 4, 1) + 1
    result = kernel_distance(real, fake, PROTOCOL, subsets=10)
    assert result.interval[0] > 0


@pytest.mark.filterwarnings("ignore:Metric `Kernel")
def test_the_distance_agrees_with_torchmetrics_and_is_symmetric():
    x, y = gaussian(30, 6, 0), 1.5 * gaussian(30, 6, 1) + 0.3
    theirs = KernelInceptionDistance(feature=Raw(), subsets=1, subset_size=30).set_dtype(torch.float64)
    theirs.update(x, real=True)
    theirs.update(y, real=False)
    assert _discrepancy(x, y) == pytest.approx(theirs.compute()[0].item(), rel=1e-4)
    assert _discrepancy(x, y) == pytest.approx(_discrepancy(y, x), rel=1e-12)
    assert _discrepancy(x, y) > 0


def test_the_shuffle_is_fixed_by_its_seed_which_the_protocol_states():
    real, fake = gaussian(100, 4, 0), gaussian(100, 4, 1)
    first, again, other = (kernel_distance(real, fake, PROTOCOL, subsets=10, seed=seed) for seed in (0, 0, 1))
    assert difference(first, again) == 0
    assert first.interval == again.interval
    with pytest.raises(ArgumentError, match=r"subset_seed \(0 and 1\)"):
        difference(first, other)


def test_what_gives_no_interval_is_refused():
    real, fake = gaussian(100, 4, 0), gaussian(99, 4, 1)
    with pytest.raises(ArgumentError, match="subsets=9"):
        kernel_distance(real, real, PROTOCOL, subsets=9)
    with pytest.raises(ArgumentError, match="fake has 99 rows"):
        kernel_distance(real, fake, PROTOCOL, subsets=10)
    with pytest.raises(ArgumentError, match="NaN"):
        kernel_distance(real, real.where(real < 1, torch.nan), PROTOCOL, subsets=10)
