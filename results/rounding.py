"""What 8 bits cost: the models that live figures run with rounded weights, beside themselves as they ship.

    OMP_NUM_THREADS=1 python results/rounding.py            writes results/rounding.json
    OMP_NUM_THREADS=1 python results/rounding.py --fast     eight clips of each; writes nothing

Of the VQ-VAE: PSNR of held-out frames, and how many codes stay the same. Of VGAN: levels of 255 between its clips of
the same noise. Of the priors, which read the same codes of held-out clips, those of the tokenizer as it ships: nats a
code, in how many of the places the likeliest code is the same, and PSNR of what their decoders make of these codes.
About 60 CPU-seconds.
"""

import argparse
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy, mse_loss

from vidgen_lab import zoo
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.export import rounded
from vidgen_lab.training.state import write_json

OUT = Path(__file__).parent / "rounding.json"
CLIPS = 256


def logits(model: Model, batch: Batch, codes: torch.Tensor) -> torch.Tensor:
    """Of all places, `(B, L, K)`, with what is usually asked for: labels, a caption."""
    vectors = model._vectors(codes)
    if model.name == "videogpt":
        return model.prior(vectors, model._one_hot(batch), model.tell(len(codes)))
    return model.decoder(vectors, model.decoder.tell(*model.fuse(model._asked(len(codes), batch))))


def prior(name: str, clips: int) -> dict[str, dict[str, float]]:
    exact = zoo.load_pretrained(name)
    near = rounded(exact)
    data = MovingDigits("test", color=name == "fusion", paraphrase=name == "fusion")
    sums: dict[str, dict[str, float]] = {key: {"nats": 0.0, "error": 0.0} for key in ("exact", "rounded")}
    same = 0.0
    for first in range(0, clips, 8):
        batch = data.__getitems__(list(range(first, first + 8)))
        told = {key: batch[key] for key in (("caption",) if name == "fusion" else exact.config.labels)}
        with exact.inference(), near.inference():
            box = exact.tokenizer.encode(batch["video"])
            codes, likeliest = box.flatten(1), []
            for row, model in zip(sums.values(), (exact, near), strict=True):
                each = logits(model, told, codes)
                row["nats"] += cross_entropy(each.flatten(0, 1), codes.flatten()).item() * 8 / clips
                row["error"] += mse_loss(model.tokenizer.decode(box), batch["video"]).item() * 8 / clips
                likeliest.append(each.argmax(2))
            same += (likeliest[0] == likeliest[1]).float().mean().item() * 8 / clips
    rows = {
        key: {"nats": row["nats"], "psnr": 10 * torch.log10(4 / torch.tensor(row["error"])).item()}
        for key, row in sums.items()
    }
    return {**rows, "cost": {key: rows["rounded"][key] - rows["exact"][key] for key in ("nats", "psnr")}, "same": same}


def vqvae(frames: int) -> dict[str, Any]:
    exact = zoo.load_pretrained("vqvae")
    near = rounded(exact)
    held_out = MovingDigits("test", frames=1).__getitems__(list(range(frames)))["video"][:, :, 0]
    psnr = {
        key: 10 * torch.log10(4 / mse_loss(model.reconstruct(held_out), held_out)).item()
        for key, model in (("exact", exact), ("rounded", near))
    }
    return {"psnr": psnr, "same": (exact.encode(held_out) == near.encode(held_out)).float().mean().item()}


def vgan(clips: int) -> dict[str, float]:
    exact, each = zoo.load_pretrained("vgan"), torch.arange(clips)
    asked = {"digit": each % 10, "direction": each % 8, "speed": each % 2}
    latent = torch.randn(clips, exact.config.latent_dim, generator=torch.Generator().manual_seed(0))
    videos = []
    for model in (exact, rounded(exact)):
        with model.inference():
            videos.append(model.streams(latent, asked)["video"])
    away = (videos[0] - videos[1]).abs() * 127.5
    return {"levels_mean": away.mean().item(), "levels_most": away.max().item()}


def main() -> None:
    """Measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="eight clips of each; writes nothing")
    fast = parser.parse_args().fast
    torch.set_num_threads(1)
    clips = 8 if fast else CLIPS
    measures = {
        "vqvae": vqvae,
        "vgan": vgan,
        "videogpt": partial(prior, "videogpt"),
        "fusion": partial(prior, "fusion"),
    }
    rows = {}
    for name, measure in measures.items():
        rows[name] = measure(clips)
        print(name, rows[name], flush=True)
    if fast:
        return
    protocol = {"clips": CLIPS, "bits": 8, "weights_sha256": {name: zoo.shipped_hash(name) for name in rows}}
    stated = {"command": "python results/rounding.py", **environment(), "date": date.today().isoformat()}
    write_json(OUT, {**stated, "protocol": protocol, "rows": rows})


if __name__ == "__main__":
    main()
