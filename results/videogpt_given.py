"""By which way do given frames reach the prior? Three small ones: cross-attention alone, one more way, all three.

    OMP_NUM_THREADS=1 python results/videogpt_given.py           writes results/videogpt-given.json
    OMP_NUM_THREADS=1 python results/videogpt_given.py --fast    20 steps of each; writes nothing

Preset `ci` of tokenizer and prior, the prior with two given frames, which are one moment of codes. A way that is left
out says 0, in training too. Told are nats a code on held-out clips of which nothing is asked, of the moment that is
given and of those after it, with both frames given and with none. About 250 CPU-seconds.
"""

import argparse
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vidgen_lab import create_model, fit
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.models.videogpt import Given, VideoGPT
from vidgen_lab.training.state import write_json

OUT = Path(__file__).parent / "videogpt-given.json"
GIVEN, HELD_OUT = 2, 256
WAYS = {"cross-attention": ("memory",), "beside": ("memory", "beside"), "all": Given._fields}


def only(model: VideoGPT, ways: tuple[str, ...]) -> None:
    """From now on given frames are told by these ways alone."""

    def silence(_: torch.nn.Module, __: tuple[Tensor, ...], given: Given) -> Given:
        return given._replace(
            **{name: torch.zeros_like(getattr(given, name)) for name in Given._fields if name not in ways}
        )

    model.prefix_encoder.register_forward_hook(silence)


def nats(model: VideoGPT, clips: Tensor, count: int) -> list[float]:
    """Of each moment, a code; `count` frames are given, nothing is asked."""
    with model.inference():
        codes = model.tokenizer.encode(clips)
        given = model.prefix_encoder(clips[:, :, :GIVEN], torch.full((len(clips),), count))
        labels = torch.zeros(len(clips), model.config.values - model.config.prefix_pooled)
        logits = model.prior(model._vectors(codes.flatten(1)), labels, given)
        each = cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none").view(codes.shape)
    return each.mean((0, 2, 3)).tolist()


def measure(tokenizer: Model, ways: tuple[str, ...], clips: Tensor, **changes: int) -> dict[str, dict[str, float]]:
    """Trains a prior and asks it."""
    model = create_model(
        "videogpt", "ci", tokenizer=tokenizer, label_dropout=0.5, prefix_frames=GIVEN, prefix_width=24, **changes
    )
    only(model, ways)
    fit(model, device="cpu", progress=False)
    rows = {"given": nats(model, clips, GIVEN), "none": nats(model, clips, 0)}
    return {name: {"first": first, "later": sum(later) / len(later)} for name, (first, *later) in rows.items()}


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="20 steps of each; writes nothing")
    fast = parser.parse_args().fast
    torch.set_num_threads(1)
    changes = {"steps": 20} if fast else {}
    tokenizer = create_model("videogpt-tokenizer", "ci", **changes)
    fit(tokenizer, device="cpu", progress=False)
    sizes = tokenizer.config
    clips = MovingDigits("test", size=sizes.size, frames=sizes.frames).__getitems__(list(range(HELD_OUT)))["video"]
    rows = {}
    for name, ways in WAYS.items():
        rows[name] = measure(tokenizer, ways, clips, **changes)
        print(name, rows[name], flush=True)
    if fast:
        return
    protocol = {"preset": "ci", "given": GIVEN, "held_out_clips": HELD_OUT, "labels": "none asked", "seed": 0}
    stated = {"command": "python results/videogpt_given.py", **environment(), "date": date.today().isoformat()}
    write_json(OUT, {**stated, "protocol": protocol, "rows": rows})


if __name__ == "__main__":
    main()
