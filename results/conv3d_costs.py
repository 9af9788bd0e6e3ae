"""One layer over clips in three forms: full 3-D, (2+1)-D and frame by frame. What it costs by count and by the clock.

    python results/conv3d_costs.py    writes results/conv3d-costs.json

A layer keeps frames, sides and channels, with a kernel of 3. Seconds are CPU time of forward and backward together, on
one thread; the forms take turns, and the median over the rounds counts. Kernels lie in memory with their channels last,
as in the models.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidgen_lab.core.manifest import environment
from vidgen_lab.nn.arithmetic import layer_table, map_bytes
from vidgen_lab.nn.conv3d import convolution, equal_middle, faster_memory
from vidgen_lab.training.state import write_json

WIDTH, BATCH, SHAPE, ROUNDS = 32, 8, (8, 16, 16), 15  # SHAPE: T, H, W


def layers() -> dict[str, nn.Module]:
    """The forms; "2+1d" with as many weights as the full kernel, and "2+1d, narrow" with its width in the middle."""
    same: dict[str, Any] = {"kernel": 3, "stride": 1, "padding": 1}
    return {
        "3d": convolution(WIDTH, WIDTH, "3d", **same),
        "2+1d": convolution(WIDTH, WIDTH, "2+1d", **same, middle=equal_middle(WIDTH, WIDTH, 3)),
        "2+1d, narrow": convolution(WIDTH, WIDTH, "2+1d", **same),
        "2d": convolution(WIDTH, WIDTH, "2d", **same),
    }


def seconds(layer: nn.Module, video: Tensor) -> float:
    """CPU time of one forward and backward pass."""
    start = time.process_time()
    layer(video).sum().backward()
    return time.process_time() - start


def main() -> None:
    """Counts, measures, writes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    forms = layers()
    video = torch.randn(BATCH, WIDTH, *SHAPE, requires_grad=True)
    for layer in forms.values():
        faster_memory(layer)
        seconds(layer, video)
    rounds = [{name: seconds(layer, video) for name, layer in forms.items()} for _ in range(ROUNDS)]
    table: dict[str, Any] = {}
    for name, layer in forms.items():
        rows, spent = layer_table(layer, video), sorted(one[name] for one in rounds)
        table[name] = {
            "parameters": sum(row.parameters for row in rows),
            "multiply_adds": sum(row.multiply_adds for row in rows),
            "maps_mb": map_bytes(rows, BATCH) / 1e6,
            "ms": 1000 * statistics.median(spent),
            "ms_quartiles": [1000 * spent[ROUNDS // 4], 1000 * spent[-1 - ROUNDS // 4]],
        }
        for key in ("multiply_adds", "ms"):
            table[name][f"{key}_of_full"] = table[name][key] / table["3d"][key]
        print(name, table[name], flush=True)
    protocol = {"width": WIDTH, "batch_size": BATCH, "shape": list(SHAPE), "kernel": 3, "rounds": ROUNDS}
    manifest = {"command": "python results/conv3d_costs.py", **environment(), "protocol": protocol}
    write_json(Path(__file__).parent / "conv3d-costs.json", {**manifest, "layers": table})


if __name__ == "__main__":
    main()
