"""Each claim is an equation of chapter 1, or a mistake that would still train."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

from vidgen_lab import losses

REAL = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
FAKE = torch.tensor([-3.0, 0.25, 1.5], dtype=torch.float64)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slope_at(loss, logit: float) -> float:
    logits = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(None, logits), logits)
    return gradient.item()


def test_cross_entropy_is_the_value_of_the_game_negated():
    terms = losses.cross_entropy_discriminator(REAL, FAKE)
    value = REAL.sigmoid().log().mean() + (1 - FAKE.sigmoid()).log().mean()
    assert torch.allclose(sum(terms.values()), -value)
    ones, zeros = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    bce = binary_cross_entropy(REAL.sigmoid(), ones) + binary_cross_entropy(FAKE.sigmoid(), zeros)
    assert torch.allclose(sum(terms.values()), bce)


def test_at_zero_logits_the_discriminator_loses_two_log_two():
    terms = losses.cross_entropy_discriminator(torch.zeros(5), torch.zeros(5))
    assert sum(terms.values()).item() == pytest.approx(2 * math.log(2))


def test_a_confident_logit_gives_a_finite_loss_where_a_rounded_sigmoid_gives_infinity():
    assert torch.sigmoid(torch.tensor(20.0)) == 1  # so log(1 - D) would be -inf
    assert losses.cross_entropy_discriminator(torch.tensor([-20.0]), torch.tensor([20.0]))["fake"].item() == 20


@pytest.mark.parametrize("logit", [-12.0, -3.0, 0.0, 2.0])
def test_the_minimax_gradient_is_minus_sigmoid_and_vanishes_for_bad_fakes(logit):
    assert slope_at(losses.minimax_generator, logit) == pytest.approx(-1 / (1 + math.exp(-logit)))
    assert abs(slope_at(losses.minimax_generator, -12.0)) < 1e-5


@pytest.mark.parametrize("logit", [-12.0, -3.0, 0.0, 2.0])
def test_the_non_saturating_gradient_is_sigmoid_minus_one_and_stays_for_bad_fakes(logit):
    assert slope_at(losses.non_saturating_generator, logit) == pytest.approx(1 / (1 + math.exp(-logit)) - 1)
    assert slope_at(losses.non_saturating_generator, -12.0) < -0.99


def test_generator_losses_are_means_over_the_batch():
    assert torch.allclose(losses.minimax_generator(None, FAKE), (1 - FAKE.sigmoid()).log().mean())
    assert torch.allclose(losses.non_saturating_generator(None, FAKE), -FAKE.sigmoid().log().mean())
    assert torch.allclose(losses.least_squares_generator(None, FAKE), (FAKE - 1).square().mean() / 2)


def test_both_cross_entropy_generators_agree_at_the_fixed_point():
    assert slope_at(losses.minimax_generator, 0.0) == slope_at(losses.non_saturating_generator, 0.0) == -0.5


def test_hinge_logits_beyond_the_margin_earn_nothing():
    terms = losses.hinge_discriminator(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -7.0]))
    assert terms["real"] == 0 and terms["fake"] == 0
    terms = losses.hinge_discriminator(torch.tensor([0.0, -1.0]), torch.tensor([0.5, -2.0]))
    assert terms["real"] == 1.5 and terms["fake"] == 0.75
    assert losses.ADVERSARIAL["hinge"].generator(None, FAKE) == -FAKE.mean()


def test_least_squares_pulls_real_to_one_and_fake_to_zero_and_the_generator_to_one():
    terms = losses.least_squares_discriminator(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]))
    assert terms["real"] == 1 and terms["fake"] == 1
    assert losses.least_squares_generator(None, torch.tensor([1.0])) == 0
    assert slope_at(losses.least_squares_generator, 3.0) == pytest.approx(2.0)  # a fake beyond 1 is pulled back


def test_the_wasserstein_loss_is_the_gap_negated_and_ignores_a_constant():
    loss = sum(losses.wasserstein_discriminator(REAL, FAKE).values())
    assert torch.allclose(loss, FAKE.mean() - REAL.mean())
    assert torch.allclose(sum(losses.wasserstein_discriminator(REAL + 7, FAKE + 7).values()), loss)
    assert losses.critic_generator(None, FAKE) == -FAKE.mean()


def test_relativistic_losses_depend_on_differences_only_and_mirror_each_other():
    loss = losses.relativistic_discriminator(REAL, FAKE)["pair"]
    assert torch.allclose(losses.relativistic_discriminator(REAL + 5, FAKE + 5)["pair"], loss)
    assert torch.allclose(losses.relativistic_generator(FAKE, REAL), loss)
    by_hand = sum(math.log1p(math.exp(-(r - f))) for r, f in zip(REAL.tolist(), FAKE.tolist(), strict=True)) / 3
    assert loss.item() == pytest.approx(by_hand)  # row by row, and lower where real beats fake
    equal = torch.zeros(4)
    assert losses.relativistic_discriminator(equal, equal)["pair"].item() == pytest.approx(math.log(2))
    assert losses.relativistic_generator(equal, equal).item() == pytest.approx(math.log(2))


def test_only_the_relativistic_generator_reads_real_logits():
    for name, game in losses.ADVERSARIAL.items():
        real = torch.zeros(3, requires_grad=True)
        loss = game.generator(real, torch.ones(3, requires_grad=True))
        (gradient,) = torch.autograd.grad(loss, real, allow_unused=True)
        assert (gradient is not None) == game.needs_real == (name == "relativistic")


def test_r1_of_a_linear_discriminator_is_half_gamma_times_its_squared_weight():
    weight = torch.randn(6, generator=rng())
    inputs = torch.randn(9, 6, generator=rng(1)).requires_grad_()
    penalty = losses.zero_centred_penalty(inputs @ weight, inputs, gamma=3.0)
    assert torch.allclose(penalty, 1.5 * weight.square().sum())


def test_r1_does_not_change_with_the_batch_size():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    rows = torch.randn(2, 4, generator=rng())

    def penalty(inputs):
        inputs = inputs.clone().requires_grad_()
        return losses.zero_centred_penalty(net(inputs).squeeze(1), inputs, gamma=1.0)

    assert torch.allclose(penalty(rows), penalty(rows.repeat(50, 1)), rtol=1e-5)


def test_r1_trains_the_weights_through_the_gradient():
    layer = nn.Linear(3, 1)
    inputs = torch.randn(5, 3, generator=rng()).requires_grad_()
    losses.zero_centred_penalty(layer(inputs).squeeze(1), inputs, gamma=1.0).backward()
    assert torch.allclose(layer.weight.grad, layer.weight, rtol=1e-5)  # d/dw (1/2 |w|^2) = w


def test_the_gradient_penalty_is_zero_for_a_critic_of_slope_one():
    direction = torch.nn.functional.normalize(torch.randn(8, generator=rng()), dim=0)
    real, fake = torch.randn(2, 5, 8, generator=rng(1)).unbind()
    mix = torch.rand(5, generator=rng(2))
    assert losses.gradient_penalty(lambda x: x @ direction, real, fake, mix).item() < 1e-9
    assert losses.gradient_penalty(lambda x: x @ direction / 2, real, fake, mix, weight=10.0).item() == pytest.approx(
        2.5, rel=1e-4
    )
    assert losses.gradient_penalty(lambda x: 3 * x @ direction, real, fake, mix, weight=10.0).item() == pytest.approx(
        40.0, rel=1e-4
    )


def test_the_gradient_penalty_is_measured_between_real_and_fake():
    seen = {}

    def critic(x):
        seen["x"] = x
        return x.flatten(1).sum(1)

    real, fake = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    losses.gradient_penalty(critic, real, fake, torch.tensor([0.0, 0.25, 1.0]))
    assert seen["x"][:, 0, 0, 0].tolist() == [0.0, 0.25, 1.0]


def test_a_spectrally_normalised_discriminator_cannot_tell_close_points_far_apart():
    net = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    losses.spectral_norm(net)
    one, other = torch.randn(2, 500, 2, generator=rng())
    for _ in range(50):
        gap = (net(one) - net(other)).abs().squeeze(1)
    assert (gap <= 1.02 * (one - other).norm(dim=1)).all()


@pytest.mark.parametrize(
    "layer", [nn.Linear(12, 7), nn.Conv2d(3, 8, 3), nn.Conv3d(2, 4, 2), nn.ConvTranspose2d(3, 5, 4)]
)
def test_spectral_norm_brings_the_largest_singular_value_to_one(layer):
    with torch.no_grad():
        layer.weight.mul_(7)
    losses.spectral_norm(layer)
    for _ in range(50):  # one power iteration a forward
        weight = layer.weight
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # outputs first
    assert torch.linalg.matrix_norm(weight.transpose(0, axis).flatten(1), ord=2).item() == pytest.approx(1, abs=1e-2)


def test_a_lazy_penalty_is_as_strong_on_the_whole_as_one_at_every_step():
    for every in (1, 3, 4):
        strengths = [losses.lazily(step, every) for step in range(12)]
        assert set(strengths) <= {0, every} and strengths[0] == every and sum(strengths) == 12
