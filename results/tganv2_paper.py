"""One full training step of TGANv2's preset paper on a CPU, one clip a batch: what it takes.

    python results/tganv2_paper.py       writes results/tganv2-paper.json

The published networks, 204 million parameters, on one clip of 16 frames of 192 x 192 in colour. The clip is noise: time
and memory do not depend on what it shows. `fit` runs the step: the discriminators with their penalty, the generator,
and Adam for both.
"""

import resource
import time
from pathlib import Path

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core import count_parameters
from vidgen_lab.core.manifest import environment
from vidgen_lab.training.bench import Replay
from vidgen_lab.training.state import write_json


def main() -> None:
    """Runs the step and writes the manifest."""
    torch.set_num_threads(1)
    model = create_model("tganv2", "paper", batch_size=1)
    parameters = count_parameters(model)
    video = 2 * torch.rand(1, *model.config.shape, generator=torch.Generator().manual_seed(0)) - 1
    start = time.process_time()
    (record,) = fit(model, Replay([{"video": video}], 1), steps=1, device="cpu", progress=False)
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # the system counts in KiB
    manifest = {
        "model": "tganv2",
        "preset": "paper",
        "batch_size": 1,
        "steps": 1,
        "shape": model.config.shape,
        "parameters": parameters,
        "weights_gb": sum(parameters.values()) * 4 / 1e9,
        "cpu_seconds": spent,
        "peak_memory_gb": peak / 1e9,
        "losses": record,
        "command": "python results/tganv2_paper.py",
    }
    write_json(Path(__file__).parent / "tganv2-paper.json", {**manifest, **environment()})
    print(f"{spent:.0f} CPU-seconds, at most {peak / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
