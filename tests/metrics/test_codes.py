import math

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import bits_per_code, code_perplexity, code_usage, difference, gaussian_distortion

UNIFORM = torch.arange(8).repeat(6).view(2, 3, 8)
ONE = torch.full((2, 3, 8), 5)


def test_the_perplexity_is_k_for_uniform_use_and_one_for_one_code():
    assert code_perplexity(UNIFORM, 8).value == pytest.approx(8)
    assert code_perplexity(ONE, 8).value == pytest.approx(1)


def test_the_perplexity_of_two_codes_three_to_one_is_that_of_its_entropy():
    codes = torch.tensor([0, 0, 0, 7])
    assert code_perplexity(codes, 8).value == pytest.approx(math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4)))


def test_usage_is_the_share_of_codes_that_occur():
    assert code_usage(UNIFORM, 8).value == 1
    assert code_usage(UNIFORM, 16).value == 0.5
    assert code_usage(ONE, 8).value == 1 / 8


def test_a_uniform_prior_needs_log2_k_bits_and_a_sure_one_none():
    assert bits_per_code(torch.zeros(2, 3, 8, 8), UNIFORM).value == pytest.approx(3)
    assert bits_per_code(torch.zeros(2, 3, 8, 8), UNIFORM.int()).value == pytest.approx(3)
    sure = 100 * torch.nn.functional.one_hot(UNIFORM, 8)
    assert bits_per_code(sure, UNIFORM).value == pytest.approx(0, abs=1e-9)


def test_a_prior_that_knows_the_shares_needs_their_entropy():
    codes = torch.tensor([0, 0, 0, 1])
    logits = torch.tensor([0.75, 0.25]).log().expand(4, 2)
    assert bits_per_code(logits, codes).value == pytest.approx(math.log2(code_perplexity(codes, 2).value), abs=1e-6)
    each = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [0.75, 0.25]]).log()  # another belief before each
    assert bits_per_code(each, codes).value == pytest.approx((1 + 2 + 3 + 2) / 4)


def test_codebooks_of_two_sizes_are_not_compared():
    with pytest.raises(ArgumentError, match=r"codebook \(8 and 16\)"):
        difference(code_perplexity(UNIFORM, 8), code_perplexity(UNIFORM, 16))


def test_what_are_no_codes_is_refused():
    with pytest.raises(ArgumentError, match="from 0 to 7: a codebook of 4 has codes from 0 to 3"):
        code_usage(UNIFORM, 4)
    with pytest.raises(ArgumentError, match="from -1"):
        code_perplexity(UNIFORM - 1, 8)
    with pytest.raises(ArgumentError, match="torch.float32"):
        code_usage(UNIFORM.float(), 8)
    with pytest.raises(ArgumentError, match="0 values"):
        code_usage(UNIFORM[:0], 8)
    with pytest.raises(ArgumentError, match=r"give \(\.\.\., K\) and \(\.\.\.\)"):
        bits_per_code(torch.zeros(5, 8), UNIFORM)
    with pytest.raises(ArgumentError, match="logits holds NaN"):
        bits_per_code(torch.full((2, 3, 8, 8), math.nan), UNIFORM)
    with pytest.raises(ArgumentError, match="a codebook of 4"):
        bits_per_code(torch.zeros(2, 3, 8, 4), UNIFORM)


def test_equal_variances_share_the_bits_and_each_bit_a_coordinate_quarters_the_error():
    variances = torch.full((5,), 3.0)
    for bits in (0, 5, 10, 20):
        assert gaussian_distortion(variances, bits) == pytest.approx(15 * 4 ** (-bits / 5), rel=1e-9)


def test_bits_go_to_the_largest_variance_until_its_error_is_down_to_the_next():
    variances = torch.tensor([1.0, 16.0, 0.0])
    assert gaussian_distortion(variances, 1) == pytest.approx(4 + 1, rel=1e-9)
    assert gaussian_distortion(variances, 2) == pytest.approx(1 + 1, rel=1e-9)
    assert gaussian_distortion(variances, 4) == pytest.approx(0.25 + 0.25, rel=1e-9)  # one bit more for each


@pytest.mark.parametrize(("variances", "bits"), [([[1.0]], 1), ([-1.0, 2.0], 1), ([1.0], -1), ([1.0], float("nan"))])
def test_variances_and_bits_below_zero_are_refused(variances, bits):
    with pytest.raises(ArgumentError, match="at least 0"):
        gaussian_distortion(torch.tensor(variances), bits)
