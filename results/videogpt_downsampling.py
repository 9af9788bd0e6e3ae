"""What a choice of downsampling costs in reconstruction and buys in sequence length.

    OMP_NUM_THREADS=1 python results/videogpt_downsampling.py           writes results/videogpt-downsampling.json and
                                                                        book/_static/videogpt/downsampling.png
    OMP_NUM_THREADS=1 python results/videogpt_downsampling.py --fast    a few steps of each; writes nothing

Tokenizers of about one width see the same grey clips of 16 frames of 32x32 for the same CPU time, on one thread: how
many steps that is is timed beforehand. "frame by frame" is the VQ-VAE of chapter 3 on 4x4 pixels of each frame; the
others are VideoGPT's. A fresh transformer of one size is then timed on codes of each: one training step, and sampling
with a cache. The manifest is written after each tokenizer, and a call that was stopped goes on where it was. About
600 CPU-seconds: six times 60 of training, the rest for measuring and timing.
"""

import argparse
import math
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vidgen_lab import create_model, fit, load_pretrained, metrics, viz
from vidgen_lab.core import DataConfig, Model, Optimizer, count_parameters
from vidgen_lab.core.manifest import environment
from vidgen_lab.training.state import read_json, write_json
from vidgen_lab.zoo import shipped_hash

ROOT = Path(__file__).parents[1]
OUT = ROOT / "results" / "videogpt-downsampling.json"
STRIPS = ROOT / "runs" / "videogpt-downsampling"
PICTURE = ROOT / "book" / "_static" / "videogpt" / "downsampling.png"
BUDGET, TIMED = 60.0, 12  # CPU-seconds a tokenizer; steps of a timing
CLIPS, CODES, BATCH = 1000, 256, 8
DATA = DataConfig("moving-digits", size=32, frames=16)
RATE = Optimizer(lr=3e-3, betas=(0.9, 0.999), schedule="cosine", final_lr=1e-4)
COMMON: dict[str, Any] = {
    "data": DATA,
    "batch_size": BATCH,
    "optimizers": {"autoencoder": RATE},
    "num_codes": CODES,
    "code_dim": 32,
}
BOX: dict[str, Any] = {**COMMON, "frames": 16, "size": 32, "width": 48, "blocks": 1}
PER_FRAME: dict[str, Any] = {**COMMON, "clip_frames": 16, "stem": 2, "widths": (48, 96)}
ROWS = {
    "frame by frame": ("vqvae", PER_FRAME),
    "1,4,4": ("videogpt-tokenizer", {**BOX, "downsample": (1, 4, 4)}),
    "2,2,2": ("videogpt-tokenizer", {**BOX, "downsample": (2, 2, 2)}),
    "4,2,2": ("videogpt-tokenizer", {**BOX, "downsample": (4, 2, 2)}),
    "2,4,4": ("videogpt-tokenizer", {**BOX, "downsample": (2, 4, 4)}),
    "4,4,4": ("videogpt-tokenizer", {**BOX, "downsample": (4, 4, 4)}),
}


def train(model: Model, steps: int) -> float:
    """Trains in place; CPU-seconds."""
    start = time.process_time()
    fit(model, steps=steps, device="cpu", progress=False)
    return time.process_time() - start


def steps_for(row: str, budget: float) -> int:
    """Steps that fill the budget, by a timing of a copy."""
    name, changes = ROWS[row]
    model = create_model(name, "ci", **changes)
    train(model, 2)  # the first steps pay for imports and buffers
    return max(1, round(budget * TIMED / train(model, TIMED)))


def features(clips: Tensor) -> Tensor:
    judge = load_pretrained("digits-3d")
    return torch.cat([judge.features(part) for part in clips.split(100)])


def prior_seconds(codes: Tensor, shape: tuple[int, int, int], size: int) -> dict[str, float]:
    """CPU-seconds of a training step on 4 clips, and of sampling 4, of a fresh transformer for boxes of this shape."""
    frames, side = DATA.frames, DATA.size
    down = (frames // shape[0], side // shape[1], side // shape[2])
    below = create_model("videogpt-tokenizer", "ci", **{**BOX, "downsample": down, "num_codes": size})
    model = create_model("videogpt", "ci", tokenizer=below, labels=(), prefix_frames=0)
    vectors = model._vectors(codes[:4].flatten(1))
    spent = []
    for _ in range(3):
        start = time.process_time()
        model.prior(vectors).sum().backward()
        spent.append(time.process_time() - start)
    start = time.process_time()
    model.sample(4, generator=torch.Generator().manual_seed(0))
    return {"step_seconds": min(spent), "sampling_seconds": time.process_time() - start}


def measure(row: str, budget: float, clips: int) -> tuple[dict[str, Any], Tensor]:
    """Trains one tokenizer and measures it; a held-out clip, and what it makes of it."""
    name, changes = ROWS[row]
    steps = steps_for(row, budget)
    model = create_model(name, "ci", **changes, steps=steps)
    spent = train(model, steps)
    held_out = metrics.ladder.reference(clips, 1, size=DATA.size, frames=DATA.frames)
    codes = torch.cat([model.encode(part) for part in held_out.split(50)])
    back = torch.cat([model.decode(part) for part in codes.split(50)])
    shape, length = tuple(codes.shape[1:]), codes[0].numel()
    real = features(metrics.ladder.reference(clips, 0, size=DATA.size, frames=DATA.frames))
    protocol = {"network": "digits-3d"}
    found = {
        "grid": list(shape),
        "tokens": length,
        "bits": length * math.log2(CODES),
        "psnr": metrics.psnr(back, held_out).value,
        "fvd": metrics.frechet_distance(real, features(back), protocol, "FVD-digits").value,
        "floor": metrics.frechet_distance(real, features(held_out), protocol, "FVD-digits").value,
        "perplexity": metrics.code_perplexity(codes, CODES).value,
        "usage": metrics.code_usage(codes, CODES).value,
        "steps": steps,
        "cpu_seconds": spent,
        "parameters": sum(count_parameters(model).values()),
        "prior": prior_seconds(codes, shape, CODES),
    }
    return found, torch.cat([held_out[2:3], back[2:3]])


def strip(row: str) -> Path:
    """Where the clip and its reconstruction are kept until every row has them."""
    return STRIPS / f"{''.join(letter if letter.isalnum() else '-' for letter in row)}.png"


def stack() -> None:
    """The clip, and below it what each tokenizer makes of it, in the order of the table."""
    strips = [Image.open(strip(row)) for row in ROWS]
    width, height = strips[0].size
    below = height - DATA.size  # where the reconstruction begins
    whole = Image.new("L", (width, len(ROWS) * below + DATA.size), 128)
    whole.paste(strips[0], (0, 0))
    for place, picture in enumerate(strips, start=1):
        whole.paste(picture.crop((0, below, width, height)), (0, place * below))
    whole.save(PICTURE)


def main() -> None:
    """Measures what the manifest lacks, and writes it after each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help=f"some of: {', '.join(ROWS)}; none: those that the manifest lacks")
    parser.add_argument("--fast", action="store_true", help="two CPU-seconds each; writes nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    known = read_json(OUT)["rows"] if OUT.exists() and not given.fast else {}
    for row in given.rows or [row for row in ROWS if row not in known]:
        known[row], shown = measure(row, 2.0 if given.fast else BUDGET, 256 if given.fast else CLIPS)
        print(row, known[row], flush=True)
        if given.fast:
            continue
        viz.save(shown[:, :, ::2], strip(row))
        protocol = {
            "budget_cpu_seconds": BUDGET,
            "clips": CLIPS,
            "codes": CODES,
            "batch_size": BATCH,
            "seed": 0,
            "network_sha256": shipped_hash("digits-3d"),
            "prior": "preset ci without labels and prefix, 4 clips",
        }
        command = {"command": "python results/videogpt_downsampling.py", **environment()}
        write_json(OUT, {**command, "date": date.today().isoformat(), "protocol": protocol, "rows": known})
    if not given.fast and all(strip(row).exists() for row in ROWS):
        stack()


if __name__ == "__main__":
    main()
