"""Side by side: two programs that do the same take turns, and the ratio of their times is what counts.

A side is built once. Then, round after round, each side has its turn: as many calls as take about `--seconds`, timed in
CPU time on one thread. The ratio is taken within a round, so that a machine that is busy for a while slows both. What
is reported is the median over the rounds, with its quartiles. Peak memory is read in a fresh process for each side.

A script lists its cases and ends with `run(__file__, cases, packages)`.
"""

import argparse
import importlib
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from vidgen_lab.core.manifest import environment, peak_memory_mb
from vidgen_lab.training.state import write_json

ROOT = Path(__file__).resolve().parent.parent
OURS, PEER = "ours", "peer"


@dataclass(frozen=True)
class Built:
    """A side that is ready: what to time, and the modules whose parameters are counted."""

    call: Callable[[], Any]
    modules: tuple[torch.nn.Module, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for module in self.modules for p in module.parameters())


@dataclass(frozen=True)
class Case:
    """One thing that both sides do. Without `OURS` among the sides, the peer is measured alone.

    Args:
        about: shape and settings, in words.
        sides: how each is built; the functions stand at the top of a module, so that a fresh process finds them.
        peer: whom we compare with, in words.
        items: samples, clips or tokens that one call makes; 0: none.
        difference: the largest difference between the results of the two sides, which must be at most `allowed`.
    """

    about: str
    peer: str
    sides: Mapping[str, Callable[[], Built]]
    items: int = 0
    difference: Callable[[], float] | None = None
    allowed: float = 1e-4


def need(module: str, package: str) -> ModuleType:
    """Imports a peer, or ends with what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        sys.exit(
            f"{package} is not installed here ({error}).\n"
            "Install the peers with: python -m pip install -r benchmarks/requirements.txt\n"
            "`make bench` does that in an environment of its own, and runs every comparison."
        )


def run(script: str, cases: Mapping[str, Case], packages: Sequence[str] = ()) -> None:
    """Measures every case of a script, prints the ratios and writes the manifest. `packages` are peers to be named."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU-seconds of a turn, about")
    parser.add_argument("--json", type=Path, help="write a manifest here")
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(cases)}")
    given = parser.parse_args()
    torch.set_num_threads(1)
    measured = {}
    for name in given.cases or cases:
        measured[name] = measure(cases[name], given.rounds, given.seconds)
        print(f"{name}: {_sentence(measured[name])}", flush=True)
    if given.json:
        machine = environment()
        machine["versions"] |= {package: metadata.version(package) for package in packages}
        options = f"--rounds {given.rounds} --seconds {given.seconds:g}"
        manifest = {
            "command": f"python benchmarks/{Path(script).name} {options}",
            "protocol": {
                "clock": "CPU time of the process, one thread",
                "order": "the sides take turns; the first turn of each is not counted",
                "rounds": given.rounds,
                "seconds_a_turn": given.seconds,
                "ratio": "time of ours / time of the peer within a round: median and quartiles over the rounds",
                "peak_memory": "resident set of a fresh process that builds one side and calls it three times",
            },
            "cases": measured,
            **machine,
            "date": date.today().isoformat(),
        }
        write_json(given.json, manifest)


def measure(case: Case, rounds: int, seconds: float) -> dict[str, Any]:
    """One case, as a manifest keeps it."""
    result: dict[str, Any] = {"about": case.about, "against": case.peer}
    if case.difference:
        difference = case.difference()
        if not difference <= case.allowed:
            sys.exit(f"{case.about}: the results of the two sides differ by {difference:.3g}, above {case.allowed:g}.")
        result |= {"difference": difference, "allowed_difference": case.allowed}
    built = {side: build() for side, build in case.sides.items()}
    spent = take_turns({side: ready.call for side, ready in built.items()}, rounds, seconds)
    for side, ready in built.items():
        result[side] = {"cpu_seconds": quartiles(spent[side]), "parameters": ready.parameters}
        if case.items:
            result[side]["items_per_cpu_second"] = _rounded(case.items / result[side]["cpu_seconds"]["median"])
        result[side]["peak_memory_mb"] = peak_memory(case.sides[side])
    if OURS in spent:
        result["ratio"] = quartiles([a / b for a, b in zip(spent[OURS], spent[PEER], strict=True)])
    return result


def take_turns(calls: Mapping[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, list[float]]:
    """CPU-seconds a call, of each side, in each round. A turn has equally many calls in all rounds."""
    counts = {}
    for side, call in calls.items():
        call()  # what happens once only
        counts[side] = max(1, round(seconds / cpu_seconds(call, 3)))
    spent: dict[str, list[float]] = {side: [] for side in calls}
    for _ in range(rounds):
        for side, call in calls.items():
            spent[side].append(cpu_seconds(call, counts[side]))
    return spent


def cpu_seconds(call: Callable[[], Any], times: int) -> float:
    """CPU-seconds of one call, the mean over `times` of them."""
    start = time.process_time()
    for _ in range(times):
        call()
    return max(1e-9, time.process_time() - start) / times


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles, with four significant digits."""
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    return {"median": _rounded(median), "q1": _rounded(q1), "q3": _rounded(q3)}


def peak_memory(build: Callable[[], Built]) -> float:
    """Peak resident set in MB (10^6 bytes) of a fresh process that builds this side and calls it three times."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_report_memory, args=(build, send))
    process.start()
    send.close()
    held = receive.recv()
    process.join()
    return held


def _report_memory(build: Callable[[], Built], answer: Connection) -> None:
    torch.set_num_threads(1)
    call = build().call
    for _ in range(3):
        call()
    answer.send(round(peak_memory_mb(), 1))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _sentence(case: Mapping[str, Any]) -> str:
    parts = []
    for side in (OURS, PEER):
        if side in case:
            seconds = case[side]["cpu_seconds"]
            parts.append(f"{side} {1e3 * seconds['median']:.4g} ms ({case[side]['peak_memory_mb']:.0f} MB)")
    if "ratio" in case:
        ratio = case["ratio"]
        parts.append(f"ratio {ratio['median']:.3f} ({ratio['q1']:.3f} to {ratio['q3']:.3f})")
    return ", ".join(parts)
