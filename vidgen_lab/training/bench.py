"""How fast, and in how much memory: training steps and samples of any model, through its interface alone.

Steps are timed as `fit` runs them, from the end of one to the end of the next. Their batches are made beforehand, and
what those cost is kept apart. A GPU is waited for before the clock is read.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidgen_lab.core import ArgumentError, Batch, DataConfig, Model
from vidgen_lab.core.manifest import peak_memory_mb
from vidgen_lab.data import batches, build
from vidgen_lab.training.loop import fit

WARM_UP_STEPS = 3
TIMED_BATCHES = 5
TIMED_DRAWS = 5
SAMPLED = ("points", "image", "video")  # outputs of models that sample


@dataclass(frozen=True)
class Seconds:
    """One stretch of work: CPU time of all threads of this process, and wall time."""

    cpu: float
    wall: float


def benchmark(
    model: Model, *, steps: int = 50, n: int = 16, device: str | None = None, threads: int = 1, noise: bool = False
) -> dict[str, Any]:
    """Times `steps` training steps at the batch size of the recipe, and draws of `n` samples; reads the peak memory.

    The model comes out a few steps older. Peak memory is that of the whole process since it began, so that a fresh
    process gives the clearest figure.

    Args:
        model: with a recipe. A model that it stands on may be untrained: that changes nothing about speed.
        steps: timed training steps, after 3 that warm up.
        n: samples a draw; 5 draws are timed, after one that warms up.
        device: "cpu", "cuda", "mps", or None for the GPU where there is one.
        threads: that torch computes with, on the CPU.
        noise: train on noise in the shape of the recipe's data, which then need not be there.

    Returns:
        `protocol`, and what it measured:

        - `training`: seconds a step, `cpu_seconds` and `wall_seconds`, each with `mean`, `median`, `q1` and `q3`.
          What happens at every k-th step only (a penalty, a generator after five critics) is in the mean alone.
        - `data`: the same for making one batch.
        - `sampling`: the same for one draw, and `samples_per_cpu_second` and `samples_per_second` from the medians;
          None for a model that makes no samples.
        - `memory`: the peak in MB (10^6 bytes) before, after training and after sampling; on an NVIDIA GPU also that
          of torch's tensors there.

    Raises:
        ArgumentError: numbers below 1, no recipe, no such device.
    """
    for name, number in (("steps", steps), ("n", n), ("threads", threads)):
        if number < 1:
            raise ArgumentError(f"{name}={number}: give 1 or more.")
    if model.recipe is None:
        raise ArgumentError(f"{model.name} has no recipe, so nothing says what a step is. Build it from a preset.")
    with _threads(threads):
        memory = {"before_mb": peak_memory_mb()}
        stream = batches(Noise(model.recipe.data) if noise else build(model.recipe.data), model.recipe.batch_size)
        ready: deque[Batch] = deque(maxlen=2)
        data = _timed(lambda: ready.append(next(stream)), TIMED_BATCHES)
        training = _training_steps(model, Replay(list(ready), model.recipe.batch_size), steps, device)
        memory["training_mb"] = peak_memory_mb()
        sampling = _draws(model, n) if model.output in SAMPLED else None
        memory["sampling_mb"] = peak_memory_mb()
        if model.device.type == "cuda":
            memory["gpu_mb"] = torch.cuda.max_memory_allocated(model.device) / 1e6
    return {
        "protocol": {
            "batch_size": model.recipe.batch_size,
            "data": "noise" if noise else model.recipe.data.kind,
            "warm_up_steps": WARM_UP_STEPS,
            "steps": steps,
            "samples_a_draw": n,
            "draws": TIMED_DRAWS,
            "threads": threads,
            "precision": model.recipe.precision,
        },
        "training": training,
        "data": data,
        "sampling": sampling,
        "memory": {name: round(value, 1) for name, value in memory.items()},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Mean, median and quartiles, with six significant digits."""
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    numbers = {"mean": np.mean(values), "median": median, "q1": q1, "q3": q3}
    return {name: float(f"{number:.6g}") for name, number in numbers.items()}


class Replay(Dataset):
    """Batches that are ready, over and over, for as long as anyone trains."""

    def __init__(self, ready: list[Batch], batch_size: int) -> None:
        self.ready, self.given, self.batch_size = ready, 0, batch_size

    def __len__(self) -> int:
        return self.batch_size

    def __getitems__(self, indices: list[int]) -> Batch:
        self.given += 1
        return self.ready[self.given % len(self.ready)]


class Noise(Dataset):
    """Uniform noise in the shape of data that would have to be downloaded or found in a folder, without captions.

    Raises ArgumentError for data that is made offline anyway, and for shards, whose shape only the shards know.
    """

    def __init__(self, config: DataConfig) -> None:
        size, frames = config.size, config.frames
        shapes = {
            "mnist": ("image", (1, size, size)),
            "fashion-mnist": ("image", (1, size, size)),
            "images": ("image", (3, size, size)),
            "moving-mnist": ("video", (1, frames, size, size)),
            "films": ("video", (3, frames, size, size)),
        }
        if config.kind not in shapes:
            raise ArgumentError(
                f'noise instead of "{config.kind}": only {", ".join(shapes)} have a stand-in. Use the data itself.'
            )
        self.key, self.shape = shapes[config.kind]

    def __len__(self) -> int:
        return 1_000_000

    def __getitems__(self, indices: list[int]) -> Batch:
        labels = {"digit": torch.tensor(indices) % 10} if self.key == "image" else {}
        return {self.key: torch.rand(len(indices), *self.shape) * 2 - 1, **labels}


def _training_steps(model: Model, data: Dataset, steps: int, device: str | None) -> dict[str, Any]:
    """Seconds of each step of `fit`, in which only the first few are not counted."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    ends: list[Seconds] = []
    with _as_if_trained(model):
        fit(
            model,
            data,
            steps=WARM_UP_STEPS + steps,
            device=device,
            callback=lambda *_: ends.append(_now(model.device)),
            progress=False,
        )
    ends = ends[WARM_UP_STEPS - 1 :]
    return _summary([Seconds(b.cpu - a.cpu, b.wall - a.wall) for a, b in zip(ends, ends[1:], strict=False)])


def _draws(model: Model, n: int) -> dict[str, Any]:
    """Seconds of drawing n samples, and samples a second."""
    generator = torch.Generator().manual_seed(0)
    condition = model.example_condition(n, generator)

    def draw() -> Tensor:
        return model.sample(n, condition=condition, generator=generator)

    seconds = _timed(draw, TIMED_DRAWS, model.device)
    rates = {"samples_per_cpu_second": "cpu_seconds", "samples_per_second": "wall_seconds"}
    return {**seconds, **{rate: float(f"{n / seconds[clock]['median']:.6g}") for rate, clock in rates.items()}}


def _timed(work: Callable[[], Any], times: int, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Seconds of calling `work`, `times` times after one that warms up."""
    work()
    spent = []
    for _ in range(times):
        start = _now(device)
        work()
        end = _now(device)
        spent.append(Seconds(end.cpu - start.cpu, end.wall - start.wall))
    return _summary(spent)


def _summary(spent: list[Seconds]) -> dict[str, Any]:
    return {"cpu_seconds": spread([s.cpu for s in spent]), "wall_seconds": spread([s.wall for s in spent])}


def _now(device: torch.device | str) -> Seconds:
    """The clocks, once the device has done what it was asked for."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize(device)
    return Seconds(time.process_time(), time.perf_counter())


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _as_if_trained(model: Model) -> Iterator[None]:
    """Lets `fit` take a model that stands on fresh ones."""
    fresh = [stage for child in model.stands_on if not (stage := getattr(model, child)).trained]
    try:
        for stage in fresh:
            stage.trained = True
        yield
    finally:
        for stage in fresh:
            stage.trained = False
