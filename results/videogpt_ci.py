"""Three trainings of both presets `ci`: what the tokenizer draws, and what the prior knows of its codes.

    OMP_NUM_THREADS=1 python results/videogpt_ci.py    writes results/videogpt-tokenizer-ci.json and videogpt-ci.json

Of each seed a tokenizer is trained, and a prior on its codes. PSNR and perplexity are of held-out clips; the prior's
nats a code are taken on the same clips with all labels asked for, and compared with the unigram entropy of their codes.
A manifest names the least or the most of the three, whichever is worse. About 300 CPU-seconds.
"""

import math
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from vidgen_lab import create_model, fit, metrics
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.training.state import write_json

RESULTS = Path(__file__).parent
SEEDS, HELD_OUT = (0, 1, 2), 256


def trained(model: Model, seed: int) -> float:
    """CPU-seconds of a training as the recipe says."""
    start = time.process_time()
    fit(model, seed=seed, device="cpu", progress=False)
    return round(time.process_time() - start, 1)


def held_out_nats(model: Model, codes: torch.Tensor, labels: Batch) -> float:
    """Mean nats a code, all labels asked for."""
    tokens = codes.flatten(1)
    with model.inference():
        logits = model.prior(model._vectors(tokens), model._one_hot(labels))
    return cross_entropy(logits.flatten(0, 1), tokens.flatten()).item()


def both(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A tokenizer and a prior of one seed, measured."""
    tokenizer = create_model("videogpt-tokenizer", "ci", seed=seed)
    seconds = trained(tokenizer, seed)
    sizes = tokenizer.config
    held_out = MovingDigits("test", size=sizes.size, frames=sizes.frames).__getitems__(list(range(HELD_OUT)))
    codes = tokenizer.encode(held_out["video"])
    psnr = metrics.psnr(tokenizer.decode(codes), held_out["video"]).value
    perplexity = metrics.code_perplexity(codes, tokenizer.num_codes).value
    below = {"seed": seed, "psnr": psnr, "perplexity": perplexity, "cpu_seconds": seconds}
    model = create_model("videogpt", "ci", seed=seed, tokenizer=tokenizer)
    seconds = trained(model, seed)
    nats = held_out_nats(model, codes, {name: held_out[name] for name in model.config.labels})
    unigram = math.log(perplexity)
    return below, {"seed": seed, "nats": nats, "unigram": unigram, "share": nats / unigram, "cpu_seconds": seconds}


def main() -> None:
    """Trains, measures, writes both manifests."""
    torch.set_num_threads(1)
    pairs = []
    for seed in SEEDS:
        pairs.append(both(seed))
        print(*pairs[-1], flush=True)
    below, above = (list(rows) for rows in zip(*pairs, strict=True))
    stated = {"command": "python results/videogpt_ci.py", "preset": "ci", **environment()}
    stated |= {"date": date.today().isoformat(), "protocol": {"seeds": list(SEEDS), "held_out_clips": HELD_OUT}}
    seconds = [max(row["cpu_seconds"] for row in rows) for rows in (below, above)]
    worst = {name: min(row[name] for row in below) for name in ("psnr", "perplexity")} | {"cpu_seconds": seconds[0]}
    write_json(
        RESULTS / "videogpt-tokenizer-ci.json", {**stated, "model": "videogpt-tokenizer", **worst, "rows": below}
    )
    worst = {"share": max(row["share"] for row in above), "cpu_seconds": seconds[1]}
    write_json(RESULTS / "videogpt-ci.json", {**stated, **worst, "rows": above})


if __name__ == "__main__":
    main()
