"""What subsampling saves TGANv2: the published table in kind, at half its sides and a quarter of its channels.

    python results/tganv2_memory.py       writes results/tganv2-memory.json

Four ways to train on the same 8 clips of 16 frames of 96 x 96: naive, every second frame at each further level, every
second clip, both. For the generator and the discriminators, one pass forward and backward over all levels:

    floor     bytes of what each layer with weights reads, once each, from shapes alone: its gradient needs that
    saved     bytes that torch keeps for the backward pass, each tensor once, weights left out
    resident  bytes that the system gave to a process of its own, at most, beyond what it held before the pass
    seconds   of CPU time, the quickest of three passes

The time of a whole training step, with the penalty, stands beside them. A penalty needs a second derivative, which
keeps more: `step_resident` is the worst phase of that step.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from conv3d_memory import HAND_BACK, held
from torch import Tensor, nn

from vidgen_lab import create_model
from vidgen_lab.core import Draw, count_parameters
from vidgen_lab.core.manifest import environment
from vidgen_lab.models.tganv2 import TGANv2, pool_levels
from vidgen_lab.training.state import write_json

ROWS = 8
SIZES: dict[str, Any] = {
    "size": 96,
    "recurrent_width": 128,
    "widths": (128, 32, 16, 8, 8),
    "discriminator_widths": (16, 32, 64, 128, 256),
}
ALL, HALF = (1, 1, 1), (2, 2, 2)
CASES = {
    "naive": {"time_strides": ALL, "batch_strides": ALL},
    "frame": {"time_strides": HALF, "batch_strides": ALL},
    "batch": {"time_strides": ALL, "batch_strides": HALF},
    "both": {"time_strides": HALF, "batch_strides": HALF},
}
NETWORKS = "generator", "discriminator"


def build(case: str) -> TGANv2:
    return create_model("tganv2", "paper", **SIZES, **CASES[case])


def clips(model: TGANv2, rows: int) -> list[Tensor]:
    """Real clips as each level sees them: noise, since only shapes count here."""
    config = model.config
    offsets = [0] * (config.levels - 1)
    video = torch.rand(rows, *config.shape) * 2 - 1
    return pool_levels(video, config.time_strides, config.batch_strides, offsets)


def forward(model: TGANv2, network: str, rows: int) -> list[Callable[[], Tensor]]:
    """For each level, what computes it; to be called in turn."""
    if network == "discriminator":
        given = zip(model.discriminator.levels, clips(model, rows), strict=True)
        return [lambda level=level, seen=seen: level(seen) for level, seen in given]
    config = model.config
    latent = torch.rand(rows, config.latent_dim) * 2 - 1
    maps = model.generator.maps(latent, None, config.frames, [0] * (config.levels - 1))
    return [lambda render=render: render(next(maps)) for render in model.generator.rendering]


class Bytes:
    """Counts the bytes of tensors, each place in memory once, weights left out."""

    def __init__(self, model: nn.Module) -> None:
        self.seen = {each.untyped_storage()._cdata: each for each in (*model.parameters(), *model.buffers())}
        self.total = 0

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.seen:
            self.seen[storage._cdata] = tensor  # kept, so that no other tensor takes its place
            self.total += storage.nbytes()

    def keep(self, tensor: Tensor) -> Tensor:
        """For a hook on saved tensors: counts it and saves it as it is."""
        self.add(tensor)
        return tensor


def saved(case: str, network: str) -> list[int]:
    """Bytes kept for the backward pass, for each level."""
    model, totals = build(case), [0]
    count = Bytes(model)
    with torch.autograd.graph.saved_tensors_hooks(count.keep, lambda tensor: tensor):
        kept = []
        for level in forward(model, network, ROWS):
            kept.append(level())
            totals.append(count.total)
    return [after - before for before, after in zip(totals, totals[1:], strict=False)]


def floor(case: str, network: str) -> list[int]:
    """Bytes that the layers with weights read, for each level."""
    with torch.device("meta"):
        model, totals = build(case), [0]
        count = Bytes(model)
        for layer in model.modules():
            if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                layer.register_forward_pre_hook(lambda _, given: count.add(given[0]))
        for level in forward(model, network, ROWS):
            level()
            totals.append(count.total)
    return [after - before for before, after in zip(totals, totals[1:], strict=False)]


def run(model: TGANv2, network: str, rows: int) -> None:
    """All levels, forward and backward."""
    torch.cat([level().flatten() for level in forward(model, network, rows)]).sum().backward()
    model.zero_grad()


def step(model: TGANv2, rows: int) -> None:
    """Both phases of a training step, without the optimisers."""
    batch = {"video": torch.rand(rows, *model.config.shape) * 2 - 1}
    for phase in model.phases:
        model(phase.name, batch, Draw(0)).total.backward()
        model.zero_grad()


def measure(case: str, what: str) -> dict[str, float]:
    """To be run in a fresh process: bytes needed beyond what the process held, and CPU-seconds."""
    torch.set_num_threads(1)
    model = build(case)
    work = (lambda rows: step(model, rows)) if what == "step" else (lambda rows: run(model, what, rows))
    work(1)
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    seconds = []
    for _ in range(3):
        start = time.process_time()
        work(ROWS)
        seconds.append(time.process_time() - start)
    return {"resident": held("VmHWM") - before, "seconds": min(seconds)}


def in_child(case: str, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "measure", case, what]
    result = subprocess.run(command, env={**os.environ, **HAND_BACK}, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def compare(case: str) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for network in NETWORKS:
        kept, least = saved(case, network), floor(case, network)
        child = in_child(case, network)
        row[network] = {
            "floor": least,
            "saved": kept,
            "floor_mb": sum(least) / 1e6,
            "saved_mb": sum(kept) / 1e6,
            "resident_mb": child["resident"] / 1e6,
            "seconds": child["seconds"],
        }
    row["together"] = {
        key: sum(row[network][key] for network in NETWORKS)
        for key in ("floor_mb", "saved_mb", "resident_mb", "seconds")
    }
    child = in_child(case, "step")
    return row | {"step_seconds": child["seconds"], "step_resident_mb": child["resident"] / 1e6}


def main() -> None:
    """Measures and writes the manifest."""
    torch.manual_seed(0)
    rows = {}
    for case in CASES:
        rows[case] = compare(case)
        print(case, json.dumps(rows[case]), flush=True)
    less = {
        case: {
            network: {key: rows["naive"][network][key] / rows[case][network][key] for key in rows[case]["together"]}
            for network in (*NETWORKS, "together")
        }
        for case in CASES
    }
    model = build("both")
    about = {"clips": ROWS, **SIZES, "frames": model.config.frames, "parameters": count_parameters(model)}
    path = Path(__file__).parent / "tganv2-memory.json"
    manifest = {"rows": rows, "less": less, "about": about, "command": "python results/tganv2_memory.py"}
    write_json(path, {**manifest, **environment()})


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        torch.set_num_threads(1)
        main()
