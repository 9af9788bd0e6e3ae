"""The nearest picture of a set."""

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import nearest


def test_a_copy_is_found_at_distance_zero_and_a_shifted_one_at_its_distance():
    pictures = torch.randn(300, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    samples = pictures[[7, 250, 7]].clone()
    samples[2, 0, 0, :2] += torch.tensor([0.3, 0.4])
    index, distance = nearest(samples, pictures)
    assert index.tolist() == [7, 250, 7]
    assert distance.tolist() == pytest.approx([0, 0, 0.5], abs=1e-6)
    index, distance = nearest(torch.zeros(1, 2), torch.tensor([[3.0, 0.0], [2.0, 2.0]]))
    assert index.item() == 1 and distance.item() == pytest.approx(8**0.5)


def test_a_copy_among_many_large_pictures_is_at_distance_zero():
    pictures = 2 * torch.rand(60, 1, 64, 64, generator=torch.Generator().manual_seed(0)) - 1
    index, distance = nearest(pictures, pictures)
    assert torch.equal(index, torch.arange(60)) and not distance.any()


def test_many_samples_are_compared_in_parts_and_keep_their_order():
    pictures = torch.eye(20)
    index, _ = nearest(pictures.repeat(30, 1), pictures)
    assert torch.equal(index, torch.arange(20).repeat(30))


def test_sizes_must_agree():
    with pytest.raises(ArgumentError, match=r"samples have shape \(1, 4, 4\), the set has \(1, 5, 5\)"):
        nearest(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 5, 5))
