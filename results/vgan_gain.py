"""What preset `ci` of vgan and c3dgan learns: FVD-digits of fresh weights and after training.

python results/vgan_gain.py        writes results/vgan-gain.json
"""

import time
from pathlib import Path

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core import Model, count_parameters
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.evaluation import evaluate
from vidgen_lab.metrics import Measurement
from vidgen_lab.training.state import write_json

CLIPS = 1000


def distance(model: Model) -> Measurement:
    return next(item for item in evaluate(model, CLIPS) if item.name == "FVD-digits")


def main() -> None:
    """Trains all and writes the manifest."""
    torch.set_num_threads(1)
    table = {}
    for name in ("vgan", "c3dgan"):
        model = create_model(name, "ci")
        untrained = distance(model).value
        start = time.process_time()
        fit(model, device="cpu", progress=False)
        seconds = time.process_time() - start
        trained = distance(model)
        table[name] = {
            "untrained": untrained,
            "trained": trained.value,
            "real": trained.reference,
            "fall": untrained / trained.value,
            "steps": model.recipe.steps,
            "cpu_seconds": round(seconds, 1),
            "parameters": count_parameters(model),
        }
        print(name, table[name], flush=True)
    manifest = {"command": f"python results/{command_line()}", **environment(), "protocol": trained.protocol}
    write_json(Path(__file__).parent / "vgan-gain.json", {**manifest, "games": table})


if __name__ == "__main__":
    main()
