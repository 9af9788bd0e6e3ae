import math

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import jensen_shannon, optimal_discriminator, value

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)


def test_a_trained_table_becomes_the_optimal_discriminator():
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(600):
        loss = -value(P, Q, logits.sigmoid())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.allclose(logits.sigmoid(), optimal_discriminator(P, Q), atol=1e-3)


def test_no_discriminator_does_better_than_the_optimal_one():
    best = value(P, Q, optimal_discriminator(P, Q))
    generator = torch.Generator().manual_seed(0)
    others = torch.rand(1000, 3, dtype=torch.float64, generator=generator)
    assert all(value(P, Q, other) <= best for other in others)


def test_the_value_at_the_optimum_is_two_divergences_above_minus_log_four():
    best = value(P, Q, optimal_discriminator(P, Q))
    assert best.item() == pytest.approx(-1.2051627, abs=1e-6)
    assert best.item() == pytest.approx(-math.log(4) + 2 * jensen_shannon(P, Q).item(), abs=1e-6)


def test_the_minimum_is_minus_log_four_where_the_generator_equals_the_data():
    assert value(P, P, optimal_discriminator(P, P)).item() == pytest.approx(-math.log(4), abs=1e-6)
    assert jensen_shannon(P, P).item() == pytest.approx(0, abs=1e-12)


def test_the_divergence_of_disjoint_distributions_is_log_two_however_far_apart():
    p, q = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert jensen_shannon(p, q).item() == pytest.approx(math.log(2))
    assert optimal_discriminator(p, q).tolist() == [1.0, 0.5, 0.0]


def test_what_is_no_distribution_is_refused():
    with pytest.raises(ArgumentError, match="p must be probabilities that sum to 1; it sums to 2"):
        jensen_shannon(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.5]))
    with pytest.raises(ArgumentError, match="same outcomes"):
        jensen_shannon(torch.tensor([1.0]), torch.tensor([0.5, 0.5]))
