"""Scaling laws: known laws are found again, and what cannot be fitted says why."""

import numpy as np
import pytest

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import PowerLaw, fit_power_law

SIZES = (7e3, 5.5e4, 3.3e5, 1e6, 2.2e6)


@pytest.mark.parametrize("law", [PowerLaw(2.1, 90.0, 0.4, 0), PowerLaw(0.0, 8.0, 0.07, 0), PowerLaw(1.5, 3e6, 1.6, 0)])
def test_a_known_law_is_found_again(law):
    found = fit_power_law(SIZES, [law(size) for size in SIZES])
    assert found.exponent == pytest.approx(law.exponent, rel=1e-3)
    assert found.floor == pytest.approx(law.floor, abs=0.02) and found.error < 1e-4
    assert [found(size) for size in SIZES] == pytest.approx([law(size) for size in SIZES], abs=1e-3)


def test_a_law_says_floor_plus_scale_times_size_to_the_minus_exponent():
    assert PowerLaw(2.0, 12.0, 0.5, 0.0)(9.0) == pytest.approx(6.0)


def test_the_error_is_what_the_points_differ_by_and_no_law_nearby_does_better():
    rng = np.random.default_rng(0)
    losses = [2 + 40 * size**-0.3 + 0.05 * rng.normal() for size in SIZES]
    found = fit_power_law(SIZES, losses)

    def error(law: PowerLaw) -> float:
        return float(np.mean([(law(size) - loss) ** 2 for size, loss in zip(SIZES, losses, strict=True)]) ** 0.5)

    assert found.error == pytest.approx(error(found))
    for shift in (0.97, 1.03):
        assert error(PowerLaw(found.floor * shift, found.scale, found.exponent, 0)) > found.error
        assert error(PowerLaw(found.floor, found.scale * shift, found.exponent, 0)) > found.error
        assert error(PowerLaw(found.floor, found.scale, found.exponent * shift, 0)) > found.error


def test_a_loss_that_does_not_fall_has_no_slope_and_a_straight_law_no_floor():
    rising = fit_power_law(SIZES, [1.0, 1.1, 1.2, 1.3, 1.4])
    assert rising.scale == 0 and rising.floor == pytest.approx(1.2)
    steep = fit_power_law(SIZES, [10 * size**-0.2 - 0.3 for size in SIZES])  # its best floor is below 0
    assert steep.floor == 0


@pytest.mark.parametrize(
    ("sizes", "losses", "says"),
    [
        ((1, 2, 3), (3, 2, 1), "3 sizes and 3 losses"),
        ((1, 2, 3, 4), (3, 2, 1), "4 sizes and 3 losses"),
        ((5, 5, 5, 5), (3, 2, 1, 1), "at 4 sizes or more"),
        ((0, 1, 2, 3), (3, 2, 1, 1), "sizes must be above 0"),
        ((1, 2, 3, 4), (3, 2, 1, float("nan")), "all numbers finite"),
    ],
)
def test_points_that_cannot_be_fitted_say_why(sizes, losses, says):
    with pytest.raises(ArgumentError, match=says):
        fit_power_law(sizes, losses)
