"""Latents that move in continuous time: differential equations whose right-hand sides are networks.
[chen2018neural; gordon2021latent]

    symbol      name          shape               meaning
    x(t)        state         (B, ...)            a vector (B, Z) or a feature map (B, C, H, W), at time t
    x, x', ...  states        (n, B, ...)         a state and its first n - 1 derivatives, for an equation of order n
    f           f             (B, ...)->(B, ...)  the derivative, or the drift
    g           g             (B, ...)->(B, ...)  the diffusion: how strongly noise pushes each number
    h           step          ()                  length of a step of the solver, in units of time
    n_k         noise         (B, K, ...)         standard normal numbers, one set for each step
    W(t)        brownian      (B, K + 1, ...)     the Brownian path that they make

The start is the state at time 0. The path is asked for at any times; f and g know no clock, so a path that was walked
for a while goes on as a fresh one would from there. Paths are walked in float32 also where mixed precision is on.

Fixed steps are written out here. Adaptive steps and the adjoint are torchdiffeq's, the stochastic adjoint torchsde's.
Chapter: book/video/continuous.md.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import ceil, isfinite, sqrt
from typing import Literal, get_args

import torch
import torchdiffeq
import torchsde
from torch import Tensor, nn

from vidgen_lab.core.errors import ArgumentError, unknown
from vidgen_lab.nn.precision import full_precision

Solver = Literal["euler", "rk4", "dopri5"]
Form = Literal["published", "textbook"]
Calculus = Literal["ito", "stratonovich"]
Times = Tensor | Sequence[float]
Field = Callable[[Tensor], Tensor]
SLACK = 1e-3  # of a step: times that are this near to the grid are on it, since 1/15 is no float


def euler_step(f: Field, x: Tensor, h: float) -> Tensor:
    """Along the slope at the start. Its error over a fixed time falls as h."""
    return x + h * f(x)  # eq. (ode-euler)


def rk4_step(f: Field, x: Tensor, h: float) -> Tensor:
    """Along a mean of four slopes, by the rule of three eighths. Its error over a fixed time falls as h^4."""
    k1 = f(x)
    k2 = f(x + (h / 3) * k1)
    k3 = f(x + h * (k2 - k1 / 3))
    k4 = f(x + h * (k1 - k2 + k3))
    return x + (h / 8) * (k1 + 3 * (k2 + k3) + k4)  # eq. (ode-rk4)


STEPS = {"euler": euler_step, "rk4": rk4_step}


class ODE(nn.Module):
    """dx/dt = f(x), or an equation of higher order: `forward(start, times)` walks the path.

    With order n, `f` gives the n-th derivative of the state:

        form        order 2       order 3          f takes
        published   x'' = f(x')   x''' = f(x'')    the highest derivative below: (B, ...)
        textbook    x'' = f(x,x') x''' = f(x,x',x'')  all of them, side by side along axis 1: (B, n ..., ...)

    Args:
        f: gives `(B, ...)`, as the state. Its parameters are trained.
        order: 1, 2 or 3. With order 1 the two forms are one.
        solver: "euler" and "rk4" take steps of equal length, "dopri5" finds its own.
        step: for "euler" and "rk4", the longest step in units of time. Between two times that are asked for, there are
            as many equal steps as that needs; so times on the grid of `step` do not move the path.
        tolerance: for "dopri5", the error that one step may make, absolute and relative.
        adjoint: gradients from a second equation that runs backwards, instead of from all that f computed. torchdiffeq

    Raises:
        ArgumentError: an unknown solver or form; an order, step or tolerance that cannot work.
    """

    def __init__(
        self,
        f: nn.Module,
        order: int = 1,
        *,
        form: Form = "published",
        solver: Solver = "rk4",
        step: float | None = None,
        tolerance: float | None = None,
        adjoint: bool = False,
    ) -> None:
        super().__init__()
        if order not in (1, 2, 3):
            raise ArgumentError(f"order={order}: give 1, 2 or 3.")
        if form not in get_args(Form):
            raise unknown("form of an equation", form, get_args(Form))
        if solver not in get_args(Solver):
            raise unknown("solver", solver, get_args(Solver))
        needed, other = ("step", "tolerance") if solver in STEPS else ("tolerance", "step")
        given = {"step": step, "tolerance": tolerance}
        if given[needed] is None or not given[needed] > 0 or given[other] is not None:
            why = "takes steps of a fixed length" if solver in STEPS else "chooses its steps by their error"
            example = "step=1/15" if solver in STEPS else "tolerance=1e-5"
            raise ArgumentError(
                f'step={step}, tolerance={tolerance} with solver="{solver}": it {why}. Give {needed} above 0 and no '
                f"{other}, for instance {example}."
            )
        self.f, self.order, self.form = f, order, form
        self.solver, self.step, self.tolerance, self.adjoint = solver, step, tolerance, adjoint

    def forward(self, start: Tensor, times: Times) -> Tensor:
        """The path, `(B, T, ...)`.

        Args:
            start: the state at time 0, `(B, ...)`; with order n > 1 the state and its derivatives, `(n, B, ...)`.
            times: `(T,)`, in any order; times below 0 lie before the start.

        Raises:
            ArgumentError: a start without its derivatives; no times, or one that is not finite; f changes the shape.
        """
        return self.states(start, times)[0]

    def states(self, start: Tensor, times: Times) -> Tensor:
        """The path with its derivatives, `(n, B, T, ...)`. From its last moment, `states[:, :, -1]`, it can go on."""
        moments, start = _moments(times), _in_full(start)
        if self.order == 1:
            start = start[None]
        elif len(start) != self.order:
            raise ArgumentError(
                f"start of shape {tuple(start.shape)}: order={self.order} needs the state and its derivatives, "
                f"({self.order}, B, ...). Stack them: torch.stack([position, speed, ...])."
            )
        before = sorted({t for t in moments if t < 0}, reverse=True)
        after = sorted({t for t in moments if t > 0})
        found = {0.0: start}
        with full_precision(start):
            for leg in (before, after):
                if leg:
                    found |= zip(leg, self._walk(start, [0.0, *leg]), strict=True)  # eq. (ode-flow)
        return torch.stack([found[t] for t in moments], dim=2)

    def derivative(self, states: Tensor) -> Tensor:
        """d/dt of a state and its derivatives, `(n, B, ...) -> (n, B, ...)`: each is the next one, the last is f."""
        parts = states.unbind()
        known = torch.cat(parts, dim=1) if self.form == "textbook" else parts[-1]
        highest = self.f(known)  # eq. (ode-published), eq. (ode-textbook)
        if highest.shape != states.shape[1:]:
            raise ArgumentError(
                f"f made {tuple(highest.shape)} of {tuple(known.shape)}; the state is {tuple(states.shape[1:])}, and f "
                "must give as much."
            )
        return torch.stack([*parts[1:], highest])  # eq. (ode-system)

    def _walk(self, start: Tensor, times: list[float]) -> Iterable[Tensor]:
        """The states at all times but the first, at which the start is. The times go one way."""
        if self.adjoint or self.solver not in STEPS:
            return self._walk_by_library(start, times)
        found, states = [], start
        for t, until in pairwise(times):
            count = max(1, _count(until - t, self.step))
            for _ in range(count):
                states = STEPS[self.solver](self.derivative, states, (until - t) / count)
            found.append(states)
        return found

    def _walk_by_library(self, start: Tensor, times: list[float]) -> Tensor:
        def derivative(t: Tensor, states: Tensor) -> Tensor:
            return self.derivative(states)

        moments = torch.tensor(times, dtype=torch.float64, device=start.device)
        if self.solver in STEPS:
            settings = {"options": {"grid_constructor": lambda _, __, asked: _grid(asked, self.step)}}
        else:
            settings = {"rtol": self.tolerance, "atol": self.tolerance}  # eq. (ode-tolerance)
        if self.adjoint:
            parameters = tuple(self.f.parameters())
            solve, settings = torchdiffeq.odeint_adjoint, settings | {"adjoint_params": parameters}  # eq. (ode-adjoint)
        else:
            solve = torchdiffeq.odeint
        return solve(derivative, start, moments, method=self.solver, **settings)[1:]


class SDE(nn.Module):
    """dx = f(x) dt + g(x) dW with a noise of its own for each number of the state: `forward(start, times, noise)`.

    The noise is given, so the same noise is the same path, and who draws it decides what is random.

        calculus       a step                                                        is named after
        ito            x + h f + g dW                                                Euler and Maruyama
        stratonovich   the mean of that slope and the one at its end, for f and g    Heun

    The error along a given Brownian path falls as the root of h; Heun's falls as h where each number of g depends on
    its own number of the state alone.

    Args:
        f, g: drift and diffusion, each `(B, ...) -> (B, ...)`.
        step: length of a step in units of time. Paths are straight between the grid points of `step`.
        adjoint: gradients from a second equation that runs backwards on the same noise, instead of from all that f and
            g computed. They carry the error of its steps. torchsde, of the Stratonovich calculus only: its adjoint of
            the other one is wrong, at any step, where a number of g depends on more than its own number of the state.

    Raises:
        ArgumentError: an unknown calculus; a step that is not above 0; the adjoint of the Ito calculus.
    """

    def __init__(
        self, f: nn.Module, g: nn.Module, *, step: float, calculus: Calculus = "ito", adjoint: bool = False
    ) -> None:
        super().__init__()
        if calculus not in get_args(Calculus):
            raise unknown("calculus", calculus, get_args(Calculus))
        if not step > 0:
            raise ArgumentError(f"step={step}: give a length of time above 0, for instance 1/40.")
        if adjoint and calculus == "ito":
            raise ArgumentError(
                'adjoint=True with calculus="ito": its gradients would be wrong where g mixes the numbers of a state. '
                'Use adjoint=False, or calculus="stratonovich".'
            )
        self.f, self.g, self.step, self.calculus, self.adjoint = f, g, step, calculus, adjoint

    def steps(self, times: Times) -> int:
        """How many steps lead to the last of the times, and so how much noise a path needs."""
        return max(_count(t, self.step) for t in _moments(times))

    def forward(self, start: Tensor, times: Times, noise: Tensor) -> Tensor:
        """The path, `(B, T, ...)`.

        Args:
            start: the state at time 0, `(B, ...)`.
            times: `(T,)`, in any order, from 0 on: noise has no way back.
            noise: `(B, K, ...)`, standard normal numbers for at least `steps(times)` steps. With more of the same, a
                path goes on and its beginning stays.

        Raises:
            ArgumentError: times below 0; noise of another shape; f or g changes the shape.
        """
        moments, count = _moments(times), self.steps(times)
        if min(moments) < 0:
            raise ArgumentError(
                f"times from {min(moments)}: a path with noise starts at 0 and cannot be walked back. Give times from "
                "0 on, or use an ODE."
            )
        if noise.shape[:1] + noise.shape[2:] != start.shape or noise.shape[1] < count:
            raise ArgumentError(
                f"noise of shape {tuple(noise.shape)}: a start of shape {tuple(start.shape)} and {count} steps need "
                f"{(len(start), count, *start.shape[1:])}, standard normal numbers."
            )
        ticks = [t / self.step for t in moments]  # a time in steps: between which grid points it lies, and where
        lower = [int(tick + SLACK) for tick in ticks]
        upper = [low + (tick - low > SLACK) for low, tick in zip(lower, ticks, strict=True)]
        walk = self._walk_backwards_too if self.adjoint else self._walk
        with full_precision(start):
            found = walk(_in_full(start), sorted({0, *lower, *upper}), _in_full(noise))
        path = [
            found[low] if low == high else torch.lerp(found[low], found[high], tick - low)
            for low, high, tick in zip(lower, upper, ticks, strict=True)
        ]
        return torch.stack(path, dim=1)  # eq. (sde-flow)

    def drift(self, x: Tensor) -> Tensor:
        return _same_shape("f", self.f, x)

    def diffusion(self, x: Tensor) -> Tensor:
        return _same_shape("g", self.g, x)

    def _walk(self, start: Tensor, ticks: list[int], noise: Tensor) -> dict[int, Tensor]:
        """The states after these numbers of steps."""
        h, x, found = self.step, start, {0: start}
        for k in range(ticks[-1]):
            push = sqrt(h) * noise[:, k]  # dW
            f, g = self.drift(x), self.diffusion(x)
            end = x + h * f + g * push  # eq. (sde-euler)
            if self.calculus == "stratonovich":
                f, g = (f + self.drift(end)) / 2, (g + self.diffusion(end)) / 2
                end = x + h * f + g * push  # eq. (sde-heun)
            x = end
            if k + 1 in ticks:
                found[k + 1] = x
        return found

    def _walk_backwards_too(self, start: Tensor, ticks: list[int], noise: Tensor) -> dict[int, Tensor]:
        """The same, from torchsde. Time is counted in steps there, so that no sum of step lengths rounds."""
        if len(ticks) == 1:
            return {0: start}
        path = torchsde.sdeint_adjoint(
            _Counted(self, start.shape[1:]),
            start.flatten(1),  # torchsde knows vectors only
            torch.tensor(ticks, dtype=start.dtype),
            bm=_GivenNoise(noise.flatten(2)),
            dt=1.0,
            method="heun",
            adjoint_method="heun",
            adjoint_params=tuple(self.parameters()),
        )
        return dict(zip(ticks, path.unflatten(2, start.shape[1:]), strict=True))


class _Counted(nn.Module):
    """An SDE as torchsde wants it: over vectors, with one step as the unit of time."""

    noise_type, sde_type = "diagonal", "stratonovich"

    def __init__(self, sde: SDE, shape: torch.Size) -> None:
        super().__init__()
        self.sde, self.shape = sde, shape

    def f(self, t: Tensor, x: Tensor) -> Tensor:
        return self.sde.step * self.sde.drift(x.unflatten(1, self.shape)).flatten(1)

    def g(self, t: Tensor, x: Tensor) -> Tensor:
        return sqrt(self.sde.step) * self.sde.diffusion(x.unflatten(1, self.shape)).flatten(1)


class _GivenNoise(torchsde.BaseBrownian):
    """The increments of a Brownian path, one of standard deviation 1 for each step."""

    levy_area_approximation = "none"
    dtype = device = shape = None

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise  # (B, K, D)
        self.dtype, self.device, self.shape = noise.dtype, noise.device, noise[:, 0].shape

    def __call__(self, ta: Tensor, tb: Tensor, return_U: bool = False, return_A: bool = False) -> Tensor:
        return self.noise[:, round(float(ta))]  # tb is one step later

    def __repr__(self) -> str:
        return f"increments of shape {tuple(self.noise.shape)}"


def brownian(noise: Tensor, step: float) -> Tensor:
    """The Brownian path of the noise at 0, step, 2 step, ...: `(B, K, ...) -> (B, K + 1, ...)`."""
    return sqrt(step) * torch.cat([torch.zeros_like(noise[:, :1]), noise.cumsum(1)], dim=1)  # eq. (sde-brownian)


def halve_steps(noise: Tensor, fresh: Tensor) -> Tensor:
    """The same Brownian path on steps half as long: `(B, K, ...) -> (B, 2 K, ...)`.

    Args:
        noise, fresh: standard normal numbers of one shape. `fresh` decides where the path is halfway through each step.
    """
    halves = torch.stack([noise + fresh, noise - fresh], dim=2) / sqrt(2)  # eq. (sde-bridge)
    return halves.flatten(1, 2)


def vector_field(width: int, hidden: int | None = None, *, inputs: int = 1, moved: int | None = None) -> nn.Sequential:
    """f or g over vectors: `(B, inputs * width) -> (B, width)`. gordon2021latent

    Linear and tanh, so that no number moves faster than 1; with `hidden`, the deep form: linear, tanh, linear.
    `inputs` is the order of an equation in textbook form. With `moved`, only the last so many numbers get a value, and
    the others 0.
    """
    outputs = width if moved is None else moved
    if hidden is None:
        layers: list[nn.Module] = [nn.Linear(inputs * width, outputs), nn.Tanh()]
    else:
        layers = [nn.Linear(inputs * width, hidden), nn.Tanh(), nn.Linear(hidden, outputs)]
    if outputs < width:
        layers.append(nn.ConstantPad1d((width - outputs, 0), 0.0))
    return _initialised(layers)


def make_lasting(field: nn.Sequential, rate: float = 1.0) -> None:
    """Lets what the start decides last: changes a fresh `vector_field` of order 1, in place.

    Then f(x) = S A' tanh(A x + b), with S skew-symmetric, A's rows or columns orthonormal and b = 0, or f(x) =
    tanh(S x + b) of a single layer. So the sum of log cosh(A x + b), or of log cosh(S x + b), stays what it is all
    along a path, and so does the volume of a cloud of states: paths turn, and neither meet nor leave. The fastest turn
    by 2 `rate` radians in a unit of time, while they are small and unless `hidden` is less than `width`.
    """
    first, last = field[0], field[-1]
    with torch.no_grad():
        width = first.in_features
        free = rate * first.weight.new_empty(width, width).normal_() / sqrt(2 * width)
        skew = free - free.T  # eigenvalues up to about 2i times the rate
        nn.init.zeros_(first.bias)
        if isinstance(last, nn.Linear):
            nn.init.orthogonal_(first.weight)
            last.weight.copy_(skew @ first.weight.T)
            nn.init.zeros_(last.bias)
        else:
            first.weight.copy_(skew)  # eq. (latent-lasting)


def map_field(channels: int, slope: float = 0.2, *, inputs: int = 1) -> nn.Sequential:
    """f over feature maps of any size: `(B, inputs * channels, H, W) -> (B, channels, H, W)`. gordon2021latent

    A 3x3 convolution and a leaky ReLU; with `slope=0.0` a ReLU, as in the drift and the diffusion of TGANv2-SDE.
    """
    return _initialised([nn.Conv2d(inputs * channels, channels, 3, padding=1), nn.LeakyReLU(slope)])


def _initialised(layers: list[nn.Module]) -> nn.Sequential:
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, gain=sqrt(2))
    return nn.Sequential(*layers)


def _same_shape(name: str, field: Field, x: Tensor) -> Tensor:
    """What the field makes of x. Raises ArgumentError if it has another shape than x."""
    made = field(x)
    if made.shape != x.shape:
        raise ArgumentError(f"{name} made {tuple(made.shape)} of a state {tuple(x.shape)}; it must give as much.")
    return made


def _in_full(x: Tensor) -> Tensor:
    """Half precision to float32; others as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _moments(times: Times) -> list[float]:
    """The times as numbers of double precision."""
    moments = [float(t) for t in times]
    if not moments or not all(isfinite(t) for t in moments):
        raise ArgumentError(f"times={moments}: give one finite time or more, for instance torch.linspace(0, 1, 16).")
    return moments


def _count(span: float, step: float) -> int:
    """How many steps a span of time takes."""
    return ceil(abs(span) / step - SLACK)


def _grid(asked: Tensor, step: float) -> Tensor:
    """The asked times, and between them equal steps of at most `step`."""
    pieces = [
        torch.linspace(t, until, max(1, _count(until - t, step)) + 1, dtype=asked.dtype, device=asked.device)[1:]
        for t, until in pairwise(asked.tolist())
    ]
    return torch.cat([asked[:1], *pieces])
