"""Three trainings of both presets `ci`: what the tokenizer keeps, and what of a caption the model's clips show.

    OMP_NUM_THREADS=1 python results/fusion_ci.py    writes results/fusion-ci.json

Of each seed a tokenizer is trained, and a model on its codes. Captions are those of held-out clips of seen pairs; a
network that was taught digits reads the clips. The manifest names the worst of the three. About 300 CPU-seconds.
"""

import time
from datetime import date
from pathlib import Path
from typing import Any

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.evaluation import evaluate
from vidgen_lab.training.state import write_json

OUT = Path(__file__).parent / "fusion-ci.json"
SEEDS, CLIPS = (0, 1, 2), 300
ATTRIBUTES = {"digit": 10, "color": 6, "direction": 8, "speed": 2}  # and how many values each has


def trained(model: Model, seed: int) -> float:
    """CPU-seconds of a training as the recipe says."""
    start = time.process_time()
    fit(model, seed=seed, device="cpu", progress=False)
    return round(time.process_time() - start, 1)


def row(seed: int) -> dict[str, Any]:
    """A tokenizer and a model of one seed, measured."""
    tokenizer = create_model("fusion-tokenizer", "ci", seed=seed)
    below = trained(tokenizer, seed)
    model = create_model("fusion", "ci", seed=seed, tokenizer=tokenizer)
    above = trained(model, seed)
    found = {item.name: item.value for item in evaluate(model, CLIPS)}
    psnr = next(item.value for item in evaluate(tokenizer, CLIPS) if item.name == "PSNR")
    shown = {name: found[f"{name} as asked"] for name in ATTRIBUTES}
    seconds = {"tokenizer": below, "model": above, "both": round(below + above, 1)}
    return {"seed": seed, "psnr": psnr, "shown": shown, "cpu_seconds": seconds}


def main() -> None:
    """Trains, measures, writes."""
    torch.set_num_threads(1)
    rows = []
    for seed in SEEDS:
        rows.append(row(seed))
        print(rows[-1], flush=True)
    worst = {name: min(each["shown"][name] for each in rows) for name in ATTRIBUTES}
    seconds = max(each["cpu_seconds"]["both"] for each in rows)
    chance = {name: 1 / values for name, values in ATTRIBUTES.items()}
    stated = {"command": "python results/fusion_ci.py", "preset": "ci", **environment()}
    stated |= {"date": date.today().isoformat(), "protocol": {"seeds": list(SEEDS), "clips": CLIPS, "chance": chance}}
    write_json(OUT, {**stated, "shown": worst, "cpu_seconds": seconds, "rows": rows})


if __name__ == "__main__":
    main()
