"""What a fusion model makes of what it is told, and of what it is not; what lasts in its clips, and how long one takes.

    OMP_NUM_THREADS=1 python results/fusion_told.py                     with the weights that ship
    OMP_NUM_THREADS=1 python results/fusion_told.py --model RUN --fast  those of a run, few clips; writes nothing

Writes results/fusion-told.json and two pictures in book/_static/fusion/. All of it is measured on held-out clips of
pairs that training showed: each is taken apart into its caption and its first frames, and the model is told some of
these. Then captions are exchanged, as a whole and one word at a time, and the loss says whether the model reads them.
"""

import argparse
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from fusion_guidance import CHUNK, held_out, right
from torch import Tensor

from vidgen_lab import load_model, load_pretrained, metrics, viz
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data.moving import FORMS, captions
from vidgen_lab.models.digits3d import FRAMES, HEADS
from vidgen_lab.training.state import write_json
from vidgen_lab.zoo import shipped_hash

OUT = Path(__file__).parent / "fusion-told.json"
PICTURES = Path(__file__).parents[1] / "book" / "_static" / "fusion"
CLIPS, SCORED, FPS = 200, 400, 8


def given(batch: Batch, count: int, prefix: int) -> dict[str, Batch]:
    """What the model may be told of the first `count` clips, by name."""
    video, words = batch["video"][:count], batch["caption"][:count]
    image, some = video[:, :, 0], video[:, :, :prefix]
    return {
        "nothing": {},
        "caption": {"caption": words},
        "image": {"image": image},
        "caption and image": {"caption": words, "image": image},
        "prefix": {"prefix": some},
        "caption and prefix": {"caption": words, "prefix": some},
    }


def part(condition: Batch, rows: slice) -> Batch | None:
    return {key: value[rows] for key, value in condition.items()} or None


def sample(model: Model, condition: Batch, count: int, **options: Any) -> Tensor:
    """`count` clips, some at a time, with one generator for all."""
    generator = torch.Generator().manual_seed(0)
    chunks = [slice(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    parts = [
        model.sample(rows.stop - rows.start, condition=part(condition, rows), generator=generator, **options)
        for rows in chunks
    ]
    return torch.cat(parts)


def nats(model: Model, video: Tensor, condition: Batch) -> Tensor:
    """Nats a token of each clip, `(B,)`."""
    chunks = [slice(first, first + CHUNK) for first in range(0, len(video), CHUNK)]
    return torch.cat([model.nats(video[rows], part(condition, rows)) for rows in chunks])


def told(model: Model, reader: Model, batch: Batch, count: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """By what is told: labels read as in the clip it was taken from, the first frame, and nats of that clip."""
    real = {name: batch[name][:count] for name in HEADS} | {"video": batch["video"][:count]}
    rows, drawn = {}, {}
    for name, condition in given(batch, count, model.config.prefix_frames).items():
        frames = {} if set(condition) <= {"caption"} else {"keep_given": False}
        clips = sample(model, condition, count, **frames)
        rows[name] = {
            **right(reader, clips, real),
            "nats": nats(model, real["video"], condition).mean().item(),
            "first_frame_psnr": metrics.psnr(clips[:, :, :1], real["video"][:, :, :1]).value,
        }
        drawn[name] = clips
        print(name, rows[name], flush=True)
    back = torch.cat([model.tokenizer.reconstruct(some) for some in real["video"].split(CHUNK)])
    for name, clips in (("reconstructed", back), ("real", real["video"])):
        rows[name] = right(reader, clips, real)
    rows["reconstructed"]["first_frame_psnr"] = metrics.psnr(back[:, :, :1], real["video"][:, :, :1]).value
    drawn["reconstructed"], drawn["real"] = back, real["video"]
    return rows, drawn


def exchanged(model: Model, batch: Batch) -> dict[str, Any]:
    """Nats of held-out clips under their own caption, under none, under others', and with one word of it exchanged."""
    video, count = batch["video"], len(batch["video"])
    labels = {name: batch[name] for name in ("digit", "color", "direction", "speed")}
    own = nats(model, video, {"caption": captions(labels)})
    rows = {"own": own, "none": nats(model, video, {})}
    rows["another clip's"] = nats(model, video, {"caption": captions({k: v.roll(1) for k, v in labels.items()})})
    for name, size in HEADS.items():
        step = {"digit": 2, "color": 1}.get(name, size // 2)  # the opposite direction; odd digits stay odd
        other = {**labels, name: (labels[name] + step) % size}
        rows[f"another {name}"] = nats(model, video, {"caption": captions(other)})
    shares = {
        name: {"nats": row.mean().item(), "worse": (row > own).float().mean().item()} for name, row in rows.items()
    }
    forms = [nats(model, video, {"caption": captions(labels, torch.full((count,), form))}) for form in range(FORMS)]
    means = [form.mean().item() for form in forms]
    return {"rows": shares, "wordings": {"count": FORMS, "least": min(means), "most": max(means)}}


def lasting(reader: Model, clips: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """How far frames of one clip differ in mean colour, and how often both halves of a clip are read alike."""
    rows = {}
    for name, some in clips.items():
        first, last = (
            {key: torch.cat([reader.logits(chunk)[key].argmax(1) for chunk in half.split(CHUNK)]) for key in HEADS}
            for half in (some[:, :, :FRAMES], some[:, :, -FRAMES:])
        )
        same = {f"same_{key}": (first[key] == last[key]).float().mean().item() for key in ("digit", "color")}
        content, motion = metrics.content_and_motion(some)
        rows[name] = {"content": content.value, "motion": motion.value, **same}
    return rows


def seconds(model: Model, batch: Batch) -> dict[str, float]:
    """CPU time of a clip: the least of three."""
    words, image = batch["caption"], batch["video"][:, :, 0]
    ways: dict[str, tuple[int, dict[str, Any]]] = {
        "caption": (1, {}),
        "caption_guided": (1, {"guidance": 2.0}),
        "both_guided": (1, {"guidance": 2.0, "frames_guidance": 2.0}),
        "sixteen": (16, {}),
    }
    found = {}
    for name, (count, options) in ways.items():
        condition = {"caption": words[:count]} | ({"image": image[:count]} if name == "both_guided" else {})
        spent = []
        for _ in range(3):
            start = time.process_time()
            model.sample(count, condition=condition, generator=torch.Generator().manual_seed(0), **options)
            spent.append(time.process_time() - start)
        found[name] = min(spent) / count
    return {**found, "film": model.tokenizer.config.frames / FPS}


def main() -> None:
    """Tells, exchanges, draws, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a run instead of the weights that ship")
    parser.add_argument("--fast", action="store_true", help="few clips; writes nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model) if options.model else load_pretrained("fusion")
    reader, begun = load_pretrained("digits-3d"), time.process_time()
    count, scored = (24, 48) if options.fast else (CLIPS, SCORED)
    batch = held_out(model, "seen").__getitems__(list(range(scored)))
    rows, drawn = told(model, reader, batch, count)
    words = exchanged(model, batch)
    kept = lasting(reader, {name: drawn[name] for name in ("caption", "caption and image", "reconstructed", "real")})
    spent = seconds(model, batch)
    print(words, kept, spent, sep="\n", flush=True)
    if options.fast:
        return
    shown = ("nothing", "caption", "image", "caption and image", "real")
    clips = torch.cat([drawn[name][:5] for name in shown])
    film = torch.nn.functional.interpolate(clips, scale_factor=(1, 3, 3), mode="nearest")
    viz.save(film, PICTURES / "told.mp4", fps=FPS)
    viz.save(torch.cat([drawn[name][:2] for name in shown])[:, :, ::2], PICTURES / "told.png")
    protocol = {
        "clips": CLIPS,
        "scored": SCORED,
        "seed": 0,
        "prefix": model.config.prefix_frames,
        "shown": batch["caption"][:5],
        "chance": {name: 1 / size for name, size in HEADS.items()},
        "network_sha256": shipped_hash("digits-3d"),
    }
    command = "python results/fusion_told.py" + (f" --model {options.model}" if options.model else "")
    stated = {"command": command, **environment(), "date": date.today().isoformat(), "protocol": protocol}
    stated["cpu_seconds"] = round(time.process_time() - begun, 1)
    write_json(OUT, {**stated, "rows": rows, "exchanged": words, "lasting": kept, "seconds": spent})


if __name__ == "__main__":
    main()
