"""The peak of the activations of a training step: predicted from shapes, and measured in processes of their own.

    python results/conv3d_memory.py       writes results/conv3d-memory.json

A child process runs one phase forward and backward, once to warm up with a batch of 2, then at the size in question,
and reads how much more memory the system gave it than it held before. glibc is told to hand back what is freed, so that
what was freed before the peak does not count.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model
from vidgen_lab.core import Draw, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.training.memory import LiveBytes, predict_memory
from vidgen_lab.training.state import write_json

NARROW: dict[str, Any] = {"generator_widths": (64, 32, 16), "discriminator_widths": (16, 32, 64)}
WIDE: dict[str, Any] = {"generator_widths": (128, 64, 32), "discriminator_widths": (32, 64, 128)}
CASES: dict[str, dict[str, Any]] = {
    "vgan": {"name": "vgan", "batch_size": 16, **WIDE},
    "twice the batch": {"name": "vgan", "batch_size": 32, **WIDE},
    "twice the frames": {"name": "vgan", "batch_size": 16, "frames": 32, **WIDE},
    "half the channels": {"name": "vgan", "batch_size": 32, **NARROW},
    "a norm in place of R1": {"name": "vgan", "batch_size": 16, **WIDE, "discriminator_norm": True, "r1": 0.0},
    "c3dgan": {"name": "c3dgan", "batch_size": 32, **NARROW},
    "c3dgan, factorised": {"name": "c3dgan", "batch_size": 32, **NARROW, "conv": "2+1d"},
}
HAND_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}


def build(case: dict[str, Any]) -> tuple[Model, dict[str, torch.Tensor]]:
    """The model of a case, and a batch of black clips."""
    changes = {key: value for key, value in case.items() if key != "name"}
    model = create_model(case["name"], "ci", **changes)
    config = model.config
    shape = (case["batch_size"], config.channels, config.frames, config.size, config.size)
    return model, {"video": -torch.ones(shape)}


def run(model: Model, phase: str, batch: dict[str, torch.Tensor]) -> None:
    """One phase, forward and backward."""
    model(phase, batch, Draw(0)).total.backward()
    model.zero_grad()


def held(key: str) -> int:
    """Bytes that the system counts for this process, now (VmRSS) or at most since the count was reset (VmHWM)."""
    return int(re.search(rf"^{key}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M)[1]) * 1024


def measure(case: dict[str, Any], phase: str) -> int:
    """To be run in a fresh process: bytes that the phase needed beyond what the process held."""
    torch.set_num_threads(1)
    model, batch = build(case)
    run(model, phase, {key: value[:2] for key, value in batch.items()})
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    run(model, phase, batch)
    return held("VmHWM") - before


def in_child(case: dict[str, Any], phase: str) -> int:
    command = [sys.executable, __file__, "measure", json.dumps(case), phase]
    result = subprocess.run(command, env={**os.environ, **HAND_BACK}, capture_output=True, text=True, check=True)
    return int(result.stdout)


def compare(case: dict[str, Any]) -> dict[str, Any]:
    """Predicted and measured bytes of the worst phase, and what torch itself allocated in it."""
    model, batch = build(case)
    predicted = predict_memory(model, batch)
    measured = {phase.name: in_child(case, phase.name) for phase in model.phases}
    worst = max(measured, key=measured.__getitem__)
    with LiveBytes() as live:
        run(model, worst, batch)
    most = measured[worst]
    return {
        **case,
        **asdict(predicted),
        "measured": measured,
        "worst": worst,
        "allocated": live.peak,
        "predicted_mb": predicted.activations / 1e6,
        "measured_mb": most / 1e6,
        "ratio": round(predicted.activations / most, 3),
    }


def main() -> None:
    """Measures and writes the manifest."""
    rows = {}
    for title, case in CASES.items():
        rows[title] = compare(case)
        print(title, rows[title], flush=True)
    with torch.device("meta"):
        paper = create_model("vgan", "paper")
    paper_batch = {"video": torch.empty(64, 3, 32, 64, 64, device="meta")}
    ratios = [row["ratio"] for row in rows.values()]
    path = Path(__file__).parent / "conv3d-memory.json"
    memory = predict_memory(paper, paper_batch)
    summary = {"least": min(ratios), "most": max(ratios), "paper": {**asdict(memory), "total_gb": memory.total / 1e9}}
    write_json(path, {"rows": rows, **summary, "command": "python results/conv3d_memory.py", **environment()})


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(measure(json.loads(sys.argv[2]), sys.argv[3]))
    else:
        torch.set_num_threads(1)
        main()
