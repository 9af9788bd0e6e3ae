"""Four ways in which a caption can enter the decoder, and the first two at once: what each learns, and what it costs.

    OMP_NUM_THREADS=1 python results/fusion_ways.py --tokenizer RUN    writes results/fusion-ways.json

Models of preset `ci` without given frames, equal in parameters, trained alike on clips of seen pairs. Held-out captions
of seen and of unseen pairs are asked for, and a network that was taught digits reads the clips; it reads real clips of
the same captions too. `learned` is how much more a caption of another clip costs than the clip's own, in nats a clip.
About 400 CPU-seconds.
"""

import argparse
import time
from datetime import date
from math import prod
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from vidgen_lab import create_model, fit, load_model, load_pretrained
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.models.digits3d import HEADS
from vidgen_lab.models.fusion import Way
from vidgen_lab.training.state import write_json
from vidgen_lab.zoo import shipped_hash

OUT = Path(__file__).parent / "fusion-ways.json"
STEPS, CLIPS, GUIDANCE = 900, 200, 2.0


def held_out(model: Model, pairs: str) -> Batch:
    """Clips of the shape that the model draws, with captions as in training."""
    sizes = model.tokenizer.config
    settings = {"size": sizes.size, "frames": sizes.frames, "color": True, "paraphrase": True}
    return MovingDigits("test", pairs=pairs, **settings).__getitems__(list(range(CLIPS)))


def as_asked(clips: Tensor, asked: Batch) -> dict[str, float]:
    """Share of the clips in which the reader sees what was asked for."""
    logits = load_pretrained("digits-3d").logits(clips)
    return {name: (logits[name].argmax(1) == asked[name]).double().mean().item() for name in HEADS}


def measured(way: str, tokenizer: Model) -> dict[str, Any]:
    """One way: trained, asked and timed."""
    model = create_model("fusion", "ci", tokenizer=tokenizer, fusion=way, prefix_frames=0, steps=STEPS)
    start = time.process_time()
    fit(model, device="cpu", progress=False)
    row: dict[str, Any] = {
        "parameters": sum(p.numel() for child in model.averaged for p in getattr(model, child).parameters())
    }
    row["ms_a_step"] = (time.process_time() - start) / model.recipe.steps * 1000
    for pairs in ("seen", "unseen"):
        batch = held_out(model, pairs)
        own, other = (
            model.nats(batch["video"], {"caption": captions}).mean().item()
            for captions in (batch["caption"], batch["caption"][1:] + batch["caption"][:1])
        )
        start = time.process_time()
        clips = model.sample(CLIPS, condition={"caption": batch["caption"]}, generator=torch.Generator().manual_seed(0))
        seconds = time.process_time() - start
        guided = model.sample(
            CLIPS,
            condition={"caption": batch["caption"]},
            generator=torch.Generator().manual_seed(0),
            guidance=GUIDANCE,
        )
        row[pairs] = {
            "nats": own,
            "learned": (other - own) * prod(tokenizer.code_shape),
            "as_asked": as_asked(clips, batch),
            "guided": as_asked(guided, batch),
            "ms_a_clip": seconds / CLIPS * 1000,
        }
    return row


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="a run of fusion-tokenizer, preset ci with 1,400 steps"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = load_model(arguments.tokenizer)
    ways = {}
    for way in get_args(Way):
        ways[way] = measured(way, tokenizer)
        print(way, ways[way], flush=True)
    model = create_model("fusion", "ci", tokenizer=tokenizer, steps=STEPS)
    real = {pairs: as_asked(held_out(model, pairs)["video"], held_out(model, pairs)) for pairs in ("seen", "unseen")}
    protocol = {"preset": "ci", "seed": 0, "steps": STEPS, "batch": model.recipe.batch_size}
    protocol |= {
        "clips": CLIPS,
        "guidance": GUIDANCE,
        "network": "digits-3d",
        "network_sha256": shipped_hash("digits-3d"),
    }
    stated = {"command": "python results/fusion_ways.py", **environment(), "date": date.today().isoformat()}
    write_json(OUT, {**stated, "protocol": protocol, "real": real, "ways": ways})


if __name__ == "__main__":
    main()
