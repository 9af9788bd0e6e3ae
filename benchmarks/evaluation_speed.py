"""CPU-seconds that it takes to measure 2,000 clips of 16 x 32 x 32, all metrics of `vidgen evaluate`.

    OMP_NUM_THREADS=1 python benchmarks/evaluation_speed.py --json results/evaluation-speed.json

The model that is measured hands out training clips, so that drawing the samples costs next to nothing. Each round
measures grey clips, and coloured ones that were asked for by their labels, which is the longest there is.
"""

import argparse
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import torch

from vidgen_lab.core import Model
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.evaluation import evaluate
from vidgen_lab.training.state import write_json

CLIPS, TARGET = 2000, 60
ASKED = ("digit", "color", "direction", "speed")


@dataclass(frozen=True)
class Empty:
    pass


class Copyist(Model):
    """Hands out training clips one after the other, and in colour says what they show."""

    name, output, conditions = "copyist", "video", ASKED

    def __init__(self, color: bool) -> None:
        super().__init__(Empty())
        self.data, self.color, self.given = MovingDigits(color=color), color, 0
        self.anchor = torch.nn.Parameter(torch.zeros(()))  # says on which device the model is

    def example_condition(self, n, generator=None):
        return {name: self.data.__getitems__(list(range(n)))[name] for name in ASKED} if self.color else None

    def _sample(self, n, frames, condition, generator):
        rows = list(range(self.given, self.given + n))
        self.given += n
        return self.data.__getitems__(rows)["video"]


def seconds(color: bool) -> float:
    """CPU time of one evaluation, sampling included."""
    model, start = Copyist(color), time.process_time()
    evaluate(model, CLIPS)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {"grey": [], "color": []}
    for _ in range(arguments.rounds):
        for kind, times in spent.items():
            times.append(round(seconds(kind == "color"), 2))
    rows = {
        kind: {"cpu_seconds": {"median": median(times), "least": min(times), "most": max(times)}}
        for kind, times in spent.items()
    }
    for kind, row in rows.items():
        print(f"{kind}: {row['cpu_seconds']}, at most {TARGET} asked for")
    if arguments.json:
        about = {"clips": CLIPS, "frames": 16, "size": 32, "target": TARGET, "rounds": arguments.rounds}
        command = f"python benchmarks/{command_line()}"
        manifest = {"command": command, **environment(), **about, **rows, "date": date.today().isoformat()}
        write_json(arguments.json, manifest)


if __name__ == "__main__":
    main()
