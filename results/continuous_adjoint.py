"""The adjoint against back-propagation: memory, CPU time and gradients over the number of steps, and walking back.

    python results/continuous_adjoint.py    writes results/continuous-adjoint.json

A path over feature maps is walked with Runge-Kutta steps, its end is asked for, and the gradient of a weighted sum of
its squares is taken. Memory is the most that torch's tensors hold at one time beyond the weights and the start; seconds
are CPU time of forward and backward together on one thread, the two ways in turns, the median over the rounds.
Gradients are compared as one row of all parameters: the length of the difference over the length of that of
back-propagation.
"""

import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torchsde
from torch import Tensor, nn

from vidgen_lab.core.manifest import environment
from vidgen_lab.nn.dynamics import ODE, SDE, halve_steps, map_field, vector_field
from vidgen_lab.training.memory import LiveBytes
from vidgen_lab.training.state import write_json

CHANNELS, SIDE, BATCH = 64, 8, 16  # of the maps
STEPS, ROUNDS = (4, 8, 16, 32, 64, 128), 5
PAPER = {"channels": 1024, "side": 3, "batch_size": 32, "frames": 16}  # the temporal part of TGANv2-ODE
WIDTH, PATHS, PUBLISHED_STEP = 100, 32, 1 / 40  # of the vectors of TGAN-SDE


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient(path: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    """Of a number made of the path, by all parameters, in one row."""
    weight = torch.randn(path.shape, generator=rng(9)).to(path)
    return torch.cat([slope.flatten() for slope in torch.autograd.grad((weight * path.square()).sum(), parameters)])


def apart(found: Tensor, right: Tensor) -> float:
    return ((found - right).norm() / right.norm()).item()


def seconds(ode: ODE, start: Tensor, times: list[float]) -> float:
    """CPU time of one pass forward and backward."""
    begin = time.process_time()
    gradient(ode(start, times), ode.parameters())
    return time.process_time() - begin


def two_ways(f: nn.Module, start: Tensor, times: list[float], rounds: int, **settings: Any) -> dict[str, Any]:
    """Both ways to the gradient, in turns."""
    ways = {name: ODE(f, adjoint=name == "adjoint", **settings) for name in ("backprop", "adjoint")}
    row: dict[str, Any] = {name: {} for name in ways}
    found = {}
    for name, ode in ways.items():
        with LiveBytes() as live:
            found[name] = gradient(ode(start, times), ode.parameters())
        row[name]["mb"] = live.peak / 1e6
    runs = [{name: seconds(ode, start, times) for name, ode in ways.items()} for _ in range(rounds)]
    for name in ways:
        row[name]["ms"] = 1000 * statistics.median(one[name] for one in runs)
        row[name]["ms_all"] = sorted(1000 * one[name] for one in runs)
    row["error"] = apart(found["adjoint"], found["backprop"])
    row["slower"] = row["adjoint"]["ms"] / row["backprop"]["ms"]
    return row


def adjoint_error(f: nn.Module, start: Tensor, **settings: Any) -> float:
    """How far the adjoint's gradient is from that of back-propagation."""
    plain, adjoint = (gradient(ODE(f, adjoint=a, **settings)(start, [1.0]), f.parameters()) for a in (False, True))
    return apart(adjoint, plain)


def over_depth() -> dict[str, Any]:
    """Memory, time and gradients over the number of steps, and the error of Euler's adjoint."""
    torch.manual_seed(0)
    f, start = map_field(CHANNELS), torch.randn(BATCH, CHANNELS, SIDE, SIDE, generator=rng())
    smooth = nn.Sequential(f[0], nn.Tanh())  # without the kink of the leaky ReLU
    rows: dict[str, Any] = {}
    for steps in STEPS:
        row = two_ways(f, start, [1.0], ROUNDS, step=1 / steps)
        row["euler_error"] = adjoint_error(f, start, solver="euler", step=1 / steps)
        row["smooth_error"] = adjoint_error(smooth, start, step=1 / steps)
        rows[str(steps)] = row
        print(steps, row, flush=True)
    return rows


def at_paper_size() -> dict[str, Any]:
    """Where the weights are more than the maps."""
    torch.manual_seed(0)
    f = map_field(PAPER["channels"])
    start = torch.randn(PAPER["batch_size"], PAPER["channels"], PAPER["side"], PAPER["side"], generator=rng())
    frames = PAPER["frames"]
    row = two_ways(f, start, [k / (frames - 1) for k in range(frames)], 1, step=1 / (frames - 1))
    weights, maps = sum(p.numel() for p in f.parameters()), start.numel()
    row |= {"parameters": weights, "weights_mb": 4 * weights / 1e6, "map_mb": 4 * maps / 1e6}
    print("paper", row, flush=True)
    return row


def walking_back() -> list[dict[str, float]]:
    """To time 1 and back, where the path forgets its start more and more quickly: x' = -c (x - tanh(A x + b))."""
    torch.manual_seed(0)
    mix = nn.Linear(8, 8).requires_grad_(False)
    start, rows = torch.randn(64, 8, generator=rng()), []
    for rate in (1, 2, 4, 8, 12, 16, 20):

        class Forgets(nn.Module):
            def forward(self, x: Tensor, rate: float = rate) -> Tensor:
                return -rate * (x - mix(x).tanh())

        ode = ODE(Forgets(), step=1 / 400)
        end = ode(start, [1.0])[:, 0]
        back = ode(end, [-1.0])[:, 0]
        spread = end.std(0).mean().item() / start.std(0).mean().item()
        rows.append({"rate": rate, "spread": spread, "error": (back - start).square().mean().sqrt().item()})
        print("back", rows[-1], flush=True)
    return rows


class OwnNumber(nn.Module):
    """A diffusion whose every number depends on its own number of the state only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(torch.randn(width) / 2) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.scale * x + self.shift)


class Theirs(torchsde.SDEIto):
    """Drift and diffusion, as torchsde wants them."""

    def __init__(self, f: nn.Module, g: nn.Module) -> None:
        super().__init__(noise_type="diagonal")
        self.drift, self.diffusion = f, g

    def f(self, t: Tensor, x: Tensor) -> Tensor:
        return self.drift(x)

    def g(self, t: Tensor, x: Tensor) -> Tensor:
        return self.diffusion(x)


def stochastic() -> dict[str, Any]:
    """The error of the stochastic adjoint's gradient over the step: Ito as in the published code, and Stratonovich."""
    torch.manual_seed(0)
    f = vector_field(WIDTH).double()
    start = torch.randn(PATHS, WIDTH, generator=rng()).double()
    fields = {"mixing": vector_field(WIDTH).double(), "own number": OwnNumber(WIDTH).double()}
    rows: dict[str, Any] = {}
    for name, g in fields.items():
        step, noise = PUBLISHED_STEP, torch.randn(PATHS, 40, WIDTH, generator=rng(1)).double()
        parameters, rows[name] = [*f.parameters(), *g.parameters()], []
        for level in range(5):
            path = torchsde.BrownianInterval(0.0, 1.0, size=start.shape, dtype=torch.float64, entropy=1)
            times = torch.tensor([0.0, 1.0], dtype=torch.float64)
            plain, adjoint = (
                gradient(solve(Theirs(f, g), start, times, bm=path, dt=step, method="euler", **more)[1:], parameters)
                for solve, more in ((torchsde.sdeint, {}), (torchsde.sdeint_adjoint, {"adjoint_method": "euler"}))
            )
            ito = {"error": apart(adjoint, plain), "cosine": torch.cosine_similarity(adjoint, plain, 0).item()}
            ours = [
                SDE(f, g, step=step, calculus="stratonovich", adjoint=a)(start, [1.0], noise) for a in (False, True)
            ]
            plain, adjoint = (gradient(path, parameters) for path in ours)
            rows[name].append({"step": step, "ito": ito, "stratonovich": {"error": apart(adjoint, plain)}})
            print(name, rows[name][-1], flush=True)
            step, fresh = step / 2, torch.randn(noise.shape, generator=rng(10 + level)).double()
            noise = halve_steps(noise, fresh)
    return rows


def main() -> None:
    """Measures and writes the manifest."""
    torch.set_num_threads(1)
    protocol = {"channels": CHANNELS, "side": SIDE, "batch_size": BATCH, "rounds": ROUNDS, "paper": PAPER}
    protocol |= {"width": WIDTH, "paths": PATHS}
    numbers = {"depth": over_depth(), "back": walking_back(), "sde": stochastic(), "paper": at_paper_size()}
    manifest = {"command": "python results/continuous_adjoint.py", **environment(), "protocol": protocol}
    write_json(Path(__file__).parent / "continuous-adjoint.json", {**manifest, **numbers})


if __name__ == "__main__":
    main()
