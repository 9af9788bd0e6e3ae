"""Two digits with two motions: does a model know which word belongs to which digit?

    OMP_NUM_THREADS=1 python results/fusion_binding.py    writes results/fusion-binding.json

A tokenizer and, on its codes, one model for each row learn clips of two digits in two colours, as small as those of
preset `ci`. A held-out clip is then shown with its caption, and with the one in which the two digits have exchanged one
attribute: both name the same words. `bound` is the share of clips whose own caption costs fewer nats, where a tie
counts one half; a model that takes the words for a bag finds it in one of two. Clips whose digits share their colour or
that attribute do not count. About 1,000 CPU-seconds.
"""

import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidgen_lab import create_model, fit
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits, captions
from vidgen_lab.nn.text import caption_words
from vidgen_lab.training.state import write_json

OUT = Path(__file__).parent / "fusion-binding.json"
ROWS = {  # what differs from preset `ci`
    "words": {"fusion": "film", "text_layers": 0, "fusion_layers": 0},  # the mean of words that have not been read
    "film": {"fusion": "film", "near_words": True},
    "cross": {"fusion": "cross", "near_words": True},
    "both": {"fusion": "both", "near_words": True},
    "far": {"fusion": "cross", "near_words": False},
}
ATTRIBUTES = ("digit", "direction", "speed")
TOKENIZER_STEPS, STEPS, CLIPS, CHUNK = 1400, 5000, 600, 100
TIE = 1e-5  # nats a code: less is rounding


def costs(model: Model, video: Tensor, asked: list[str]) -> Tensor:
    """Nats a code of each clip under a caption, `(B,)`."""
    rows = range(0, len(asked), CHUNK)
    parts = [model.nats(video[k : k + CHUNK], {"caption": asked[k : k + CHUNK]}) for k in rows]
    return torch.cat(parts)


def bound(model: Model, clips: Batch) -> dict[str, Any]:
    """Share of clips whose own caption is cheaper than the exchanged one, and how many clips counted."""
    own, found = costs(model, clips["video"], clips["caption"]), {}
    labels = {name: clips[name] for name in ("digit", "color", "direction", "speed")}
    told_apart = labels["color"][:, 0] != labels["color"][:, 1]
    for name in ATTRIBUTES:
        other = costs(model, clips["video"], captions({**labels, name: labels[name].flip(1)}))
        counted = told_apart & (labels[name][:, 0] != labels[name][:, 1])
        tie = (own - other).abs() < TIE
        right = torch.where(tie, 0.5, (own < other).double())
        found[name] = {"bound": right[counted].mean().item(), "clips": int(counted.sum())}
    return found


def main() -> None:
    """Trains, measures, writes."""
    torch.set_num_threads(1)
    tokenizer = create_model("fusion-tokenizer", "ci", steps=TOKENIZER_STEPS)
    data = replace(tokenizer.recipe.data, digits=2, pairs="all", paraphrase=False)
    start = time.process_time()
    fit(tokenizer, data, device="cpu", progress=False)
    print(f"tokenizer: {time.process_time() - start:.0f} CPU-seconds", flush=True)
    sizes = tokenizer.config
    held_out = MovingDigits("test", size=sizes.size, frames=sizes.frames, digits=2, color=True)
    clips, rows = held_out.__getitems__(list(range(CLIPS))), {}
    words = {"digits": 2, "vocabulary": caption_words(digits=2), "longest": 16}
    for name, differs in ROWS.items():
        model = create_model("fusion", "ci", tokenizer=tokenizer, prefix_frames=0, steps=STEPS, **words, **differs)
        start = time.process_time()
        fit(model, replace(model.recipe.data, digits=2, pairs="all", paraphrase=False), device="cpu", progress=False)
        seconds = time.process_time() - start
        found = bound(model, clips)
        mean = sum(each["bound"] for each in found.values()) / len(found)
        rows[name] = {**found, "mean": mean, "cpu_seconds": seconds}
        print(name, rows[name], flush=True)
    protocol = {
        "preset": "ci",
        "seed": 0,
        "tokenizer_steps": TOKENIZER_STEPS,
        "steps": STEPS,
        "batch": model.recipe.batch_size,
        "held_out_clips": CLIPS,
    }
    protocol |= {"size": sizes.size, "frames": sizes.frames, "chance": 0.5}
    stated = {"command": "python results/fusion_binding.py", **environment(), "date": date.today().isoformat()}
    write_json(OUT, {**stated, "protocol": protocol, "rows": rows})


if __name__ == "__main__":
    main()
