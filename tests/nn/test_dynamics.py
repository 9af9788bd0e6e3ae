"""Paths in continuous time: what solvers get right, by closed forms, and what noise may and may not change."""

from math import exp, pi, sqrt

import pytest
import torch
import torchdiffeq
import torchsde
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.dynamics import (
    ODE,
    SDE,
    brownian,
    euler_step,
    halve_steps,
    make_lasting,
    map_field,
    rk4_step,
    vector_field,
)

FIXED = [("euler", {"step": 1 / 16}), ("rk4", {"step": 1 / 16})]
ALL = [*FIXED, ("dopri5", {"tolerance": 1e-6})]
each_solver = pytest.mark.parametrize("solver, settings", ALL, ids=[name for name, _ in ALL])
each_fixed = pytest.mark.parametrize("solver, settings", FIXED, ids=[name for name, _ in FIXED])


class Field(nn.Module):
    """A right-hand side from a formula."""

    def __init__(self, formula) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(x)


still = Field(torch.zeros_like)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=dtype)


def learned(width: int = 6, inputs: int = 1, seed: int = 0, hidden: int | None = None) -> nn.Sequential:
    torch.manual_seed(seed)
    return vector_field(width, hidden, inputs=inputs)


def weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def slopes(path: Tensor, *wanted: Tensor) -> Tensor:
    """Gradients of a number made of the path, in one row."""
    weight = normal(*path.shape, seed=9, dtype=path.dtype)
    return torch.cat([slope.flatten() for slope in torch.autograd.grad((weight * path.square()).sum(), wanted)])


def apart(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


# Equations without noise


@each_solver
def test_a_path_has_one_state_for_each_time_over_vectors_and_over_maps(solver, settings):
    times = torch.linspace(-0.5, 1, 7)
    assert ODE(learned(), solver=solver, **settings)(normal(3, 6), times).shape == (3, 7, 6)
    assert ODE(map_field(4), solver=solver, **settings)(normal(2, 4, 5, 3), times).shape == (2, 7, 4, 5, 3)


@pytest.mark.parametrize("form, inputs", [("published", 1), ("textbook", 2), ("textbook", 3)])
def test_higher_orders_walk_over_maps_too_and_give_their_derivatives(form, inputs):
    order = max(2, inputs)
    start = torch.stack([normal(2, 4, 5, 3, seed=k) for k in range(order)])
    ode = ODE(map_field(4, inputs=inputs), order, form=form, step=1 / 8)
    assert ode(start, [0.0, 0.25, 1.0]).shape == (2, 3, 4, 5, 3)
    states = ode.states(start, [0.0, 0.25, 1.0])
    assert states.shape == (order, 2, 3, 4, 5, 3) and torch.equal(states[:, :, 0], start)


@pytest.mark.parametrize(
    "dtype, settings, nearest",
    [
        (torch.float32, {"step": 1 / 15}, 1e-5),
        (torch.float64, {"step": 1 / 100}, 1e-8),
        (torch.float64, {"solver": "dopri5", "tolerance": 1e-10}, 1e-8),
    ],
)
def test_forward_and_then_backward_is_the_start(dtype, settings, nearest):
    for order in (1, 2, 3):
        ode = ODE(learned(), order, **settings).to(dtype)
        start = normal(*([order] if order > 1 else []), 4, 6, dtype=dtype)
        end = ode.states(start, [1.0])[:, :, 0]
        back = ode(end[0] if order == 1 else end, [0.0, -0.5, -1.0])[:, -1]
        assert (back - (start if order == 1 else start[0])).abs().max() < nearest
    assert (end - start).abs().max() > 0.1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_path_is_its_start_and_the_integral_of_its_slope(sign):
    """x(t) = x(0) + the integral of f(x(s)), which Simpson's rule takes from the path itself."""
    f, x = learned().double(), normal(4, 6, dtype=torch.float64)
    path = ODE(f, step=1 / 64)(x, [sign * k / 64 for k in range(65)])
    share = torch.tensor([1.0, *[4.0, 2.0] * 31, 4.0, 1.0], dtype=torch.float64)[:, None] / (3 * 64)
    torch.testing.assert_close(path[:, -1], x + sign * (share * f(path)).sum(1), atol=1e-8, rtol=0)


def test_the_sign_of_time_turns_the_path_around():
    ode, x = ODE(learned(), step=1 / 16), normal(4, 6)
    mirrored = ODE(Field(lambda y: -ode.f(y)), step=1 / 16)
    torch.testing.assert_close(ode(x, [-0.25, -1.0]), mirrored(x, [0.25, 1.0]))


def test_times_may_come_in_any_order_and_each_has_its_state():
    ode, x = ODE(learned(), step=1 / 16), normal(4, 6)
    times = [0.5, -0.25, 1.0, 0.0, 0.25, 0.5]
    path, rising = ode(x, times), ode(x, sorted(set(times)))
    assert torch.equal(path[:, 3], x)
    assert torch.equal(path, rising[:, [sorted(set(times)).index(t) for t in times]])


@pytest.mark.parametrize("step, orders", [(euler_step, 1), (rk4_step, 4)])
def test_halving_the_step_divides_the_error_by_two_to_the_order(step, orders):
    name = {euler_step: "euler", rk4_step: "rk4"}[step]
    f = learned(hidden=12).double()
    x = normal(4, 6, dtype=torch.float64)
    exact = ODE(f, solver="dopri5", tolerance=1e-12)(x, [1.0])
    errors = [(ODE(f, solver=name, step=1 / n)(x, [1.0]) - exact).norm().item() for n in (16, 32, 64)]
    for error, half in zip(errors, errors[1:], strict=False):
        assert error / half == pytest.approx(2**orders, rel=0.15)


def test_an_euler_step_is_a_residual_step():
    f, x = learned(), normal(4, 6)
    torch.testing.assert_close(ODE(f, solver="euler", step=0.25)(x, [0.25])[:, 0], x + 0.25 * f(x))


def test_a_runge_kutta_step_of_the_exponential_is_its_series_to_the_fourth_power():
    h, one = 0.3, torch.ones(1, dtype=torch.float64)
    series = 1 + h + h**2 / 2 + h**3 / 6 + h**4 / 24
    assert rk4_step(lambda x: x, one, h).item() == pytest.approx(series, rel=1e-14)
    assert euler_step(lambda x: x, one, h).item() == pytest.approx(1 + h, rel=1e-14)


def test_a_runge_kutta_step_is_that_of_three_eighths():
    """Of x' = t^4 the rule makes (0 + 3 (1/3)^4 + 3 (2/3)^4 + 1) / 8; the better-known rule would make 5/24."""
    end = rk4_step(lambda x: torch.stack([torch.ones_like(x[0]), x[0] ** 4]), torch.zeros(2, dtype=torch.float64), 1.0)
    assert end.tolist() == pytest.approx([1, 11 / 54], rel=1e-14)
    f, x = learned(hidden=12).double(), normal(4, 6, dtype=torch.float64)
    theirs = torchdiffeq.odeint(lambda t, y: f(y), x, torch.tensor([0.0, 1.0]).double(), method="rk4")[1]
    torch.testing.assert_close(rk4_step(f, x, 1.0), theirs, rtol=1e-12, atol=1e-12)


def test_a_smaller_tolerance_is_a_smaller_error_and_more_evaluations():
    f, x = learned(hidden=12).double(), normal(4, 6, dtype=torch.float64)
    exact, calls = ODE(f, solver="dopri5", tolerance=1e-12)(x, [1.0]), []
    f.register_forward_hook(lambda *_: calls.append(1))
    rows = []
    for tolerance in (1e-2, 1e-5, 1e-8):
        calls.clear()
        found = ODE(f, solver="dopri5", tolerance=tolerance)(x, [1.0])
        rows.append(((found - exact).abs().max().item(), len(calls)))
        grid, settings = torch.tensor([0.0, 1.0]).double(), {"rtol": tolerance, "atol": tolerance}  # both are tau
        theirs = torchdiffeq.odeint(lambda t, y: f(y), x, grid, method="dopri5", **settings)
        torch.testing.assert_close(found[:, 0], theirs[1], rtol=1e-12, atol=1e-12)
    errors, evaluations = zip(*rows, strict=True)
    assert errors[0] > 100 * errors[1] > 1e4 * errors[2] and sorted(set(evaluations)) == list(evaluations)


def test_fixed_steps_are_counted_on_the_longest_that_is_allowed():
    f, calls = learned(), []
    f.register_forward_hook(lambda *_: calls.append(1))
    ODE(f, step=1 / 15)(normal(1, 6), torch.linspace(0, 1, 16))
    assert len(calls) == 15 * 4  # as many as the published models take
    calls.clear()
    ODE(f, solver="euler", step=0.3)(normal(1, 6), [1.0, -1.0])
    assert len(calls) == 4 + 4


@each_fixed
def test_times_on_the_grid_do_not_move_the_path_and_times_off_it_hardly_do(solver, settings):
    ode, x = ODE(learned(), solver=solver, **settings), normal(4, 6)
    once, often = ode(x, [k / 4 for k in range(5)]), ode(x, [k / 16 for k in range(17)])
    assert torch.equal(once, often[:, ::4])
    between = ode(x, [k / 128 for k in range(129)])[:, ::32]
    assert (once - between).abs().max() < (1e-5 if solver == "rk4" else 0.1)
    assert not torch.equal(once, between)


@each_solver
def test_without_a_slope_the_path_stands_still_and_of_order_two_it_is_a_straight_line(solver, settings):
    x, v, times = normal(3, 6), normal(3, 6, seed=1), torch.tensor([-1.0, 0.0, 0.3, 2.0])
    path = ODE(still, solver=solver, **settings)(x, times)
    if solver == "dopri5":  # it finds the times between its steps by a polynomial, which rounds
        torch.testing.assert_close(path, x[:, None].expand(3, 4, 6), atol=1e-5, rtol=0)
    else:
        assert torch.equal(path, x[:, None].expand(3, 4, 6))
    for form in ("published", "textbook"):
        rest = Field(lambda y: torch.zeros(3, 6))
        line = ODE(rest, 2, form=form, solver=solver, **settings)(torch.stack([x, v]), times)
        torch.testing.assert_close(line, x[:, None] + times[:, None] * v[:, None], atol=1e-5, rtol=0)


@pytest.mark.parametrize("form", ["published", "textbook"])
def test_of_order_three_without_a_slope_the_path_is_a_parabola(form):
    """x''' = 0: each number of the system is the slope of the one before."""
    start, times = normal(3, 4, 6), torch.tensor([-1.0, 0.3, 2.0])
    path = ODE(Field(lambda y: torch.zeros(4, 6)), 3, form=form, step=1 / 8)(start, times)
    x, v, a = start[:, :, None]
    t = times[:, None]
    torch.testing.assert_close(path, x + t * v + t**2 / 2 * a, atol=1e-5, rtol=0)


def test_the_textbook_form_swings_where_the_published_one_cannot():
    """x'' = -x is a spring. A published x'' = f(x') does not know where x is, so it cannot turn back to 0."""
    spring = ODE(Field(lambda both: -both[:, :1]), 2, form="textbook", step=1 / 64)
    start = torch.tensor([[[1.0]], [[0.0]]])  # at rest at 1
    path = spring(start, [pi / 2, pi, 2 * pi])
    torch.testing.assert_close(path[0, :, 0], torch.tensor([0.0, -1.0, 1.0]), atol=1e-4, rtol=0)
    published = ODE(learned(1), 2, step=1 / 64)
    elsewhere = start + torch.tensor([[[5.0]], [[0.0]]])
    torch.testing.assert_close(published(elsewhere, [1.0]) - published(start, [1.0]), torch.full((1, 1, 1), 5.0))


def test_the_published_form_of_order_n_is_the_first_order_path_integrated_again():
    """x'' = f(x') means that x' walks by itself, and x adds it up."""
    f, x, v = learned().double(), normal(3, 6, dtype=torch.float64), normal(3, 6, seed=1, dtype=torch.float64)
    speed = ODE(f, step=1 / 512)(v, [k / 512 for k in range(513)])
    place = x + torch.trapezoid(speed, dx=1 / 512, dim=1)
    path = ODE(f, 2, step=1 / 64)(torch.stack([x, v]), [1.0])[:, 0]
    torch.testing.assert_close(path, place, atol=1e-5, rtol=0)
    third = ODE(f, 3, step=1 / 64).states(torch.stack([x, x, v]), [1.0])[:, :, 0]
    torch.testing.assert_close(third[2], speed[:, -1], atol=1e-8, rtol=0)  # x'' walks as x' did
    torch.testing.assert_close(third[1], path)


@each_solver
@pytest.mark.parametrize("order", [1, 2])
def test_the_adjoint_walks_the_same_path(solver, settings, order):
    f, start = learned(), normal(*([2] if order == 2 else []), 4, 6)
    times = torch.linspace(-0.4, 1, 9)
    plain, adjoint = (ODE(f, order, solver=solver, adjoint=a, **settings)(start, times) for a in (False, True))
    torch.testing.assert_close(plain, adjoint, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("settings", [{"step": 1 / 16}, {"solver": "dopri5", "tolerance": 1e-8}], ids=str)
@pytest.mark.parametrize("order, form", [(1, "published"), (2, "published"), (2, "textbook")])
def test_the_gradient_of_the_adjoint_is_that_of_back_propagation(settings, order, form):
    f = learned(inputs=order if form == "textbook" else 1).double()
    start = normal(*([2] if order == 2 else []), 4, 6, dtype=torch.float64).requires_grad_()
    times = torch.linspace(-0.4, 1, 9)
    found = []
    for adjoint in (False, True):
        path = ODE(f, order, form=form, adjoint=adjoint, **settings)(start, times)
        found.append(slopes(path, start, *f.parameters()))
    assert apart(found[1], found[0]) < 1e-4


def test_the_adjoint_of_euler_steps_is_not_that_of_back_propagation():
    """It solves another equation with the same coarse steps, and errs as they do."""
    f, start = learned(), normal(4, 6).requires_grad_()
    errors = []
    for n in (8, 64):
        walks = [ODE(f, solver="euler", step=1 / n, adjoint=a)(start, [1.0]) for a in (False, True)]
        plain, adjoint = (slopes(path, start, *f.parameters()) for path in walks)
        errors.append(apart(adjoint, plain))
    assert errors[0] > 0.01 and errors[1] < errors[0] / 4


@each_fixed
def test_the_steps_are_those_of_torchdiffeq(solver, settings):
    f, x, times = learned(), normal(4, 6), torch.linspace(0, 1, 17)
    theirs = torchdiffeq.odeint(lambda t, y: f(y), x, times, method=solver).transpose(0, 1)
    torch.testing.assert_close(ODE(f, solver=solver, **settings)(x, times), theirs)


@pytest.mark.parametrize("adjoint", [False, True])
def test_mixed_precision_leaves_paths_and_their_gradients_as_they_are(adjoint):
    f, g, x, noise = learned(), learned(seed=1), normal(4, 6), normal(4, 16, 6, seed=2)
    ode = ODE(f, step=1 / 16, adjoint=adjoint)
    sde = SDE(f, g, step=1 / 16, calculus="stratonovich", adjoint=adjoint)
    for walk in (lambda: ode(x, [0.5, 1.0]), lambda: sde(x, [0.5, 1.0], noise)):
        plain = walk()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = walk()
        assert torch.equal(mixed, plain)
        assert torch.equal(slopes(mixed, f[0].weight), slopes(plain, f[0].weight))
    assert ode(x.bfloat16(), [1.0]).dtype == torch.float32


def test_paths_can_be_shaped_without_numbers():
    with torch.device("meta"):
        assert ODE(map_field(4), step=1 / 15)(torch.empty(2, 4, 3, 3), [0.0, 1.0]).shape == (2, 2, 4, 3, 3)


# Equations with noise


def test_noise_paths_have_one_state_for_each_time_over_vectors_and_over_maps():
    times = torch.linspace(0, 1, 7)
    for f, start in ((learned(), normal(3, 6)), (map_field(4, 0.0), normal(2, 4, 5, 3))):
        sde = SDE(f, f, step=1 / 12)
        noise = normal(len(start), sde.steps(times), *start.shape[1:])
        assert sde.steps(times) == 12
        assert sde(start, times, noise).shape == (len(start), 7, *start.shape[1:])


def test_without_diffusion_it_is_the_euler_path_on_the_same_grid_exactly():
    times = [k / 16 for k in range(17)]
    for f, start in ((learned(), normal(3, 6)), (map_field(4), normal(2, 4, 5, 3))):
        noise = normal(len(start), 16, *start.shape[1:], seed=1)
        plain = ODE(f, solver="euler", step=1 / 16)(start, times)
        assert torch.equal(SDE(f, still, step=1 / 16)(start, times, noise), plain)


@pytest.mark.parametrize("calculus", ["ito", "stratonovich"])
def test_a_noisy_step_is_the_formula_of_its_calculus(calculus):
    f, g, x, h = learned(), learned(seed=1), normal(3, 6), 1 / 8
    n = normal(3, 1, 6, seed=2)
    end = x + h * f(x) + sqrt(h) * g(x) * n[:, 0]
    if calculus == "stratonovich":
        end = x + h / 2 * (f(x) + f(end)) + sqrt(h) / 2 * (g(x) + g(end)) * n[:, 0]
    torch.testing.assert_close(SDE(f, g, step=h, calculus=calculus)(x, [h], n)[:, 0], end)


def test_the_same_noise_is_the_same_path_and_other_noise_another():
    sde, x, times = SDE(learned(), learned(seed=1), step=1 / 16), normal(3, 6), [0.5, 1.0]
    noise, other = (normal(3, 16, 6, seed=s) for s in (1, 2))
    path = sde(x, times, noise)
    assert torch.equal(path, sde(x, times, noise.clone()))
    assert (path - sde(x, times, other)).abs().amax((1, 2)).min() > 0.01


def test_a_longer_path_begins_as_the_shorter_one_and_finer_times_share_its_states():
    sde, x = SDE(learned(), learned(seed=1), step=1 / 16), normal(3, 6)
    noise = normal(3, 32, 6, seed=1)
    short = sde(x, [k / 4 for k in range(5)], noise[:, :16])
    assert torch.equal(sde(x, [k / 4 for k in range(9)], noise)[:, :5], short)
    fine = sde(x, [k / 64 for k in range(65)], noise)
    assert torch.equal(fine[:, ::16], short)
    torch.testing.assert_close(fine[:, 2], (fine[:, 0] + fine[:, 4]) / 2)  # straight between grid points


def test_halved_steps_are_the_same_brownian_path_with_fresh_points_between():
    noise, fresh = normal(200, 40, 50, seed=1), normal(200, 40, 50, seed=2)
    fine = halve_steps(noise, fresh)
    torch.testing.assert_close(brownian(fine, 1 / 80)[:, ::2], brownian(noise, 1 / 40), atol=1e-5, rtol=0)
    assert fine.var().item() == pytest.approx(1, abs=0.01)
    assert (fine[:, :-1] * fine[:, 1:]).mean().item() == pytest.approx(0, abs=0.005)  # steps know nothing of each other


def test_a_brownian_path_starts_at_zero_and_its_variance_is_time():
    path = brownian(normal(20_000, 8, 1), 1 / 4)
    assert path.shape == (20_000, 9, 1) and (path[:, 0] == 0).all()
    assert path[:, 4].var().item() == pytest.approx(1, abs=0.05) and path[:, 8].var().item() == pytest.approx(
        2, abs=0.1
    )
    assert ((path[:, 8] - path[:, 4]) * path[:, 4]).mean().item() == pytest.approx(0, abs=0.05)


def test_ornstein_uhlenbeck_has_the_mean_and_the_variance_of_its_closed_form():
    """dx = -a x dt + s dW."""
    a, s, start, n = 2.0, 0.7, 1.5, 40_000
    sde = SDE(Field(lambda x: -a * x), Field(lambda x: torch.full_like(x, s)), step=1 / 128)
    path = sde(torch.full((n, 1), start), [0.5, 1.0], normal(n, 128, 1))
    for k, t in enumerate((0.5, 1.0)):
        mean, variance = start * exp(-a * t), s**2 / (2 * a) * (1 - exp(-2 * a * t))
        assert path[:, k].mean().item() == pytest.approx(mean, abs=0.015)
        assert path[:, k].var().item() == pytest.approx(variance, rel=0.04)


def growth(calculus: str, step: float) -> SDE:
    """dx = r x dt + s x dW, with r = 0.5 and s = 1."""
    return SDE(Field(lambda x: 0.5 * x), Field(lambda x: x), step=step, calculus=calculus)


@pytest.mark.parametrize("calculus, rate", [("ito", 0.0), ("stratonovich", 0.5)])
def test_each_calculus_has_its_own_closed_form_of_growth(calculus, rate):
    """Ito: exp((r - s^2/2) t + s W). Stratonovich: exp(r t + s W). The same equation, the same noise."""
    noise = normal(500, 64, 1, dtype=torch.float64)
    errors = []
    for n in (64, 128, 256):
        exact = torch.exp(rate + brownian(noise, 1 / n)[:, -1])
        found = growth(calculus, 1 / n)(torch.ones(500, 1, dtype=torch.float64), [1.0], noise)[:, 0]
        errors.append((found - exact).abs().mean().item())
        noise = halve_steps(noise, normal(*noise.shape, seed=n, dtype=torch.float64))
    order = {"ito": 0.5, "stratonovich": 1.0}[calculus]  # in the mean over paths
    assert errors[0] / errors[2] == pytest.approx(4**order, rel=0.3)


@torch.no_grad()
def test_heun_steps_lose_half_of_their_order_where_the_diffusion_mixes_numbers():
    x, finest = normal(200, 6, dtype=torch.float64), normal(200, 512, 6, seed=1, dtype=torch.float64)
    own = Field(lambda x: torch.tanh(1.5 * x + 0.3))
    for g, order in ((own, 1.0), (learned(seed=1).double(), 0.5)):
        sde = SDE(learned().double(), g, step=1 / 512, calculus="stratonovich")
        exact, errors = sde(x, [1.0], finest), []
        for n in (8, 32):
            sde.step = 1 / n
            noise = finest.unflatten(1, (n, 512 // n)).sum(2) / sqrt(512 // n)  # the same Brownian path
            errors.append((sde(x, [1.0], noise) - exact).norm(dim=2).mean().item())
        assert errors[0] / errors[1] == pytest.approx(4**order, rel=0.2)


def test_the_mean_of_growth_is_that_of_its_drift_for_ito_alone():
    noise = normal(60_000, 32, 1)
    for calculus, rate in (("ito", 0.5), ("stratonovich", 1.0)):
        end = growth(calculus, 1 / 32)(torch.ones(60_000, 1), [1.0], noise)
        assert end.mean().item() == pytest.approx(exp(rate), rel=0.04)


@pytest.mark.parametrize("calculus, method", [("ito", "euler"), ("stratonovich", "heun")])
def test_the_noisy_steps_are_those_of_torchsde(calculus, method):
    class Theirs(torchsde.SDEIto if calculus == "ito" else torchsde.SDEStratonovich):
        def f(self, t, x):
            return drift(x)

        def g(self, t, x):
            return diffusion(x)

    drift, diffusion, x, h = learned(), learned(seed=1), normal(3, 6), 1 / 16
    times = torch.arange(17) * h
    path = torchsde.BrownianInterval(0.0, 1.0, size=(3, 6), entropy=4)
    theirs = torchsde.sdeint(Theirs(noise_type="diagonal"), x, times, bm=path, dt=h, method=method)
    noise = torch.stack([path(k * h, (k + 1) * h) for k in range(16)], dim=1) / sqrt(h)
    ours = SDE(drift, diffusion, step=h, calculus=calculus)(x, times, noise)
    torch.testing.assert_close(ours, theirs.transpose(0, 1), atol=1e-5, rtol=1e-5)


def test_the_stochastic_adjoint_walks_the_same_path_and_its_gradient_nears_that_of_back_propagation():
    f, g = learned().double(), learned(seed=1).double()
    start = normal(8, 6, dtype=torch.float64).requires_grad_()
    noise, errors = normal(8, 16, 6, seed=1, dtype=torch.float64), []
    for n in (16, 32, 64, 128):
        walks = [
            SDE(f, g, step=1 / n, calculus="stratonovich", adjoint=adjoint)(start, [0.0, 0.27, 1.0], noise)
            for adjoint in (False, True)
        ]
        torch.testing.assert_close(*walks)
        plain, adjoint = (slopes(path, start, *f.parameters(), *g.parameters()) for path in walks)
        errors.append(apart(adjoint, plain))
        noise = halve_steps(noise, normal(*noise.shape, seed=n, dtype=torch.float64))
    assert errors[3] < errors[0] / 4 and errors[3] < 0.01


def test_the_stochastic_adjoint_walks_over_maps():
    sde = SDE(map_field(4), map_field(4), step=1 / 8, calculus="stratonovich", adjoint=True)
    start = normal(2, 4, 5, 3).requires_grad_()
    path = sde(start, [0.0, 0.3, 0.5], normal(2, 4, 4, 5, 3))
    assert path.shape == (2, 3, 4, 5, 3)
    assert slopes(path, start, *sde.parameters()).isfinite().all()
    assert torch.equal(sde(start, [0.0], normal(2, 0, 4, 5, 3))[:, 0], start)


# Right-hand sides


def test_fields_have_the_parameters_of_the_published_ones():
    with torch.device("meta"):
        assert weights(vector_field(100)) == 100 * 100 + 100
        assert weights(vector_field(100, 978)) == 2 * 100 * 978 + 978 + 100
        assert weights(vector_field(16, 49)) == 1633
        assert weights(map_field(1024)) == 9_438_208
        assert weights(map_field(64)) == 36_928
        assert weights(map_field(64, inputs=2)) == 2 * 64 * 64 * 9 + 64


def test_the_shallow_field_moves_no_number_faster_than_one_and_the_deep_one_may():
    torch.manual_seed(0)
    x = 100 * normal(50, 8)
    assert vector_field(8)(x).abs().max() <= 1
    assert vector_field(8, 64)(x).abs().max() > 1
    assert map_field(4)(100 * normal(5, 4, 3, 3)).abs().max() > 1
    assert (map_field(4, 0.0)(normal(5, 4, 3, 3)) >= 0).all()
    assert (map_field(4)(normal(5, 4, 3, 3)) < 0).any()


@pytest.mark.parametrize("hidden", [None, 4, 11])
def test_a_lasting_field_keeps_its_sum_of_log_cosh_and_the_volume_of_states(hidden):
    field = vector_field(7, hidden).double()

    def kept(x: Tensor) -> Tensor:
        return field[0](x).cosh().log().sum(1)

    start, equation = torch.randn(5, 7, generator=rng()).double(), ODE(field, step=1 / 20)
    path = equation(start, [0.0, 4.0])
    assert (kept(path[:, 1]) / kept(start) - 1).abs().max() > 0.1, "a fresh field does not"
    make_lasting(field)
    path = equation(start, [0.0, 4.0])
    torch.testing.assert_close(kept(path[:, 1]), kept(start), rtol=1e-5, atol=0)
    assert (path[:, 1] - start).abs().amax(1).min() > 0.3
    flow = torch.func.jacrev(lambda x: equation(x[None], [4.0])[0, 0])(start[0])
    assert flow.det().item() == pytest.approx(1, abs=1e-5)


def test_the_fastest_numbers_of_a_lasting_field_turn_by_twice_its_rate():
    torch.manual_seed(0)
    for field in (vector_field(100), vector_field(100, 110)):
        make_lasting(field, 3.0)
        turning = torch.autograd.functional.jacobian(field, torch.zeros(100))
        torch.testing.assert_close(turning, -turning.T, atol=1e-5, rtol=0)
        assert torch.linalg.matrix_norm(turning, 2).item() == pytest.approx(6, rel=0.1)


def test_fresh_weights_are_those_of_xavier_with_gain_root_two():
    torch.manual_seed(0)
    weight = vector_field(200)[0].weight
    bound = sqrt(2) * sqrt(6 / 400)
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.02)


# Mistakes


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda f: ODE(f, 4, step=0.1), "order=4: give 1, 2 or 3"),
        (lambda f: ODE(f, solver="rk5", step=0.1), 'no solver "rk5"; did you mean "rk4"'),
        (lambda f: ODE(f, form="textbok", step=0.1), 'no form of an equation "textbok"; did you mean "textbook"'),
        (lambda f: ODE(f), 'step=None.*solver="rk4".*Give step above 0 and no tolerance, for instance step=1/15'),
        (lambda f: ODE(f, step=0.0), "step=0.0.*Give step above 0"),
        (lambda f: ODE(f, step=0.1, tolerance=1e-5), "Give step above 0 and no tolerance"),
        (
            lambda f: ODE(f, solver="dopri5", step=0.1),
            "Give tolerance above 0 and no step, for instance tolerance=1e-5",
        ),
        (lambda f: SDE(f, f, step=0.0), "step=0.0: give a length of time above 0"),
        (lambda f: SDE(f, f, step=0.1, calculus="itto"), 'no calculus "itto"; did you mean "ito"'),
        (lambda f: SDE(f, f, step=0.1, adjoint=True), 'adjoint=True with calculus="ito".*calculus="stratonovich"'),
        (lambda f: ODE(f, step=0.1)(normal(2, 6), []), r"times=\[\]: give one finite time or more"),
        (lambda f: ODE(f, step=0.1)(normal(2, 6), [0, float("inf")]), "give one finite time or more"),
        (
            lambda f: ODE(f, 2, step=0.1)(normal(3, 6), [1]),
            r"start of shape \(3, 6\): order=2.*\(2, B, ...\).*torch.stack",
        ),
        (
            lambda f: ODE(learned(3, 2), step=0.1)(normal(2, 6), [1]),
            r"f made \(2, 3\) of \(2, 6\); the state is \(2, 6\)",
        ),
        (lambda f: SDE(f, learned(3, 2), step=0.5)(normal(2, 6), [1], normal(2, 2, 6)), r"g made \(2, 3\)"),
        (lambda f: SDE(f, f, step=0.5)(normal(2, 6), [-1, 1], normal(2, 2, 6)), "times from -1.0.*or use an ODE"),
        (lambda f: SDE(f, f, step=0.5)(normal(2, 6), [1], normal(2, 1, 6)), r"noise of shape \(2, 1, 6\).*\(2, 2, 6\)"),
        (lambda f: SDE(f, f, step=0.5)(normal(2, 6), [1], normal(1, 2, 6)), r"need \(2, 2, 6\)"),
    ],
)
def test_mistakes_are_named_with_their_fix(make, message):
    with pytest.raises(ArgumentError, match=message):
        make(learned())
