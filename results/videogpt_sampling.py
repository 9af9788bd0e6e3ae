"""How VideoGPT's samples depend on how they are drawn, the floor under them, and whether writing drifts.

    OMP_NUM_THREADS=1 python results/videogpt_sampling.py                     with the weights that ship
    OMP_NUM_THREADS=1 python results/videogpt_sampling.py --model RUN         with those of a run
    OMP_NUM_THREADS=1 python results/videogpt_sampling.py --model RUN --fast  two settings, few clips; writes nothing

Writes results/videogpt-sampling.json and two pictures in book/_static/videogpt/. Clips are asked for labels drawn by
chance; a network that was taught digits reads what they show. Beside them stand held-out clips through the tokenizer
and back, which is the floor for any prior, and other held-out clips as they are. For the drift, the entropy of the next
code is taken at each moment, on held-out boxes and on boxes that the prior wrote itself at temperature 1. About 400
CPU-seconds for 500 clips of 256 codes in each of seven settings, on a model of one million parameters.
"""

import argparse
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vidgen_lab import load_model, load_pretrained, metrics, viz
from vidgen_lab.core import Batch, Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.models.videogpt import Writer
from vidgen_lab.nn.labels import draw_labels
from vidgen_lab.training.state import write_json
from vidgen_lab.zoo import shipped_hash

OUT = Path(__file__).parent / "videogpt-sampling.json"
PICTURES = Path(__file__).parents[1] / "book" / "_static" / "videogpt"
CLIPS, CHUNK, BOXES = 500, 100, 128
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "as trained": ("temperature 1", {}),
    "hot": ("temperature 1.2", {"temperature": 1.2}),
    "cool": ("temperature 0.8", {"temperature": 0.8}),
    "likeliest": ("temperature 0", {"temperature": 0}),
    "wide top-p": ("top-p 0.95", {"top_p": 0.95}),
    "narrow top-p": ("top-p 0.7", {"top_p": 0.7}),
    "guided": ("guidance 2", {"guidance": 2.0}),
}


def drawn(model: Model, count: int, options: Mapping[str, Any]) -> tuple[Tensor, Batch]:
    """Clips, a hundred at a time, and what they were asked for; the same labels for every setting."""
    generator = torch.Generator().manual_seed(0)
    labels = draw_labels(count, model.config.labels, generator)
    parts = []
    for rows in torch.arange(count).split(CHUNK):
        asked = {name: values[rows] for name, values in labels.items()}
        parts.append(model.sample(len(rows), condition=asked, generator=generator, **options))
    return torch.cat(parts), labels


def held_out(model: Model, count: int, seed: int) -> tuple[Tensor, Batch]:
    """Held-out clips and their labels."""
    sizes = model.tokenizer.config
    data = MovingDigits("test", size=sizes.size, frames=sizes.frames, seed=seed)
    batch = data.__getitems__(list(range(count)))
    return batch["video"], {name: batch[name] for name in model.config.labels}


class Judge:
    """What the network that was taught digits says of clips."""

    def __init__(self, model: Model, count: int) -> None:
        self.reader = load_pretrained("digits-3d")
        sizes = model.tokenizer.config
        reference = metrics.ladder.reference(count, 0, size=sizes.size, frames=sizes.frames)
        self.real = torch.cat([self.reader.features(part) for part in reference.split(CHUNK)])

    def __call__(self, clips: Tensor, labels: Batch) -> dict[str, float]:
        features = torch.cat([self.reader.features(part) for part in clips.split(CHUNK)])
        heads = [self.reader.logits(part) for part in clips.split(CHUNK)]
        right = {
            name: (torch.cat([head[name] for head in heads]).argmax(1) == values).float().mean().item()
            for name, values in labels.items()
        }
        distance = metrics.frechet_distance(self.real, features, {"network": "digits-3d"}, "FVD-digits").value
        return {"fvd": distance, **right, "diversity": metrics.diversity(clips[:100]).value}


def predictions(model: Model, tokens: Tensor, labels: Batch) -> tuple[Tensor, Tensor]:
    """Of each place, the entropy of the prediction and the nats of the code that is there: `(B, L)` each."""
    with model.inference():
        given = model.tell(len(tokens)) if model.config.prefix_frames else None
        asked = model._one_hot(labels) if labels else None
        logits = model.prior(model._vectors(tokens), asked, given)
    shares = logits.softmax(2)
    return -torch.xlogy(shares, shares).sum(2), cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


def drift(model: Model, boxes: int) -> dict[str, list[float]]:
    """Means over clips and over the codes of each moment."""
    clips, labels = held_out(model, boxes, seed=2)
    real = model.tokenizer.encode(clips).flatten(1)
    with model.inference():
        writer = Writer(model, boxes, labels, torch.Generator().manual_seed(0))
        writer.write(real.shape[1])
    own = torch.stack(writer.tokens, dim=1)
    moments = model.tokenizer.code_shape[0]

    def by_moment(values: Tensor) -> list[float]:
        return values.view(len(values), moments, -1).mean((0, 2)).tolist()

    entropy, nats = predictions(model, real, labels)
    return {
        "real": by_moment(entropy),
        "nats": by_moment(nats),
        "own": by_moment(predictions(model, own, labels)[0]),
    }


def gaps(curves: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """By how many nats the prior is less sure of its own boxes than of real ones, at each moment, and by how many real
    codes cost less than it expects."""
    both = {"own": ("own", "real"), "expected": ("real", "nats")}
    return {name: [a - b for a, b in zip(curves[x], curves[y], strict=True)] for name, (x, y) in both.items()}


def draw_drift(curves: Mapping[str, list[float]]) -> None:
    """The three curves over the moments."""
    fig, ax = viz.figure(
        alt="Mean entropy of the predictions at each moment, on held-out boxes and on boxes that the prior wrote "
        "itself, and the nats that held-out codes cost.",
        width=5.6,
        height=3.2,
    )
    names = {"real": "entropy, real past", "own": "entropy, own past", "nats": "nats of real codes"}
    for name, title in names.items():
        ax.plot(range(len(curves[name])), curves[name], "o-", label=title)
    ax.set(xlabel="moment", ylabel="nats a code", ylim=(0, 1.1 * max(map(max, curves.values()))))
    ax.set_xticks(range(len(curves["real"])))
    ax.legend()
    viz.save_figure(fig, PICTURES / "drift.png")


def main() -> None:
    """Draws, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a run instead of the weights that ship")
    parser.add_argument("--fast", action="store_true", help="two settings, few clips; writes nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.model) if given.model else load_pretrained("videogpt")
    count, boxes = (256, 8) if given.fast else (CLIPS, BOXES)
    judge, rows, strips = Judge(model, count), {}, []
    for name in ("as trained", "guided") if given.fast else SETTINGS:
        setting, options = SETTINGS[name]
        clips, labels = drawn(model, count, options)
        rows[name] = {"setting": setting, **judge(clips, labels)}
        strips.append(clips[:2])
        print(name, rows[name], flush=True)
    clips, labels = held_out(model, count, seed=1)
    back = torch.cat([model.tokenizer.reconstruct(part) for part in clips.split(CHUNK)])
    rows["reconstructed"], rows["real"] = judge(back, labels), judge(clips, labels)
    curves = drift(model, boxes)
    print(rows["reconstructed"], rows["real"], curves, flush=True)
    if given.fast:
        return
    draw_drift(curves)
    strip = torch.cat([*strips, back[:2], clips[:2]])
    viz.save(strip[:, :, :: max(1, strip.shape[2] // 8)], PICTURES / "settings.png")
    protocol = {"clips": CLIPS, "boxes": BOXES, "seed": 0, "network_sha256": shipped_hash("digits-3d")}
    command = "python results/videogpt_sampling.py" + (f" --model {given.model}" if given.model else "")
    stated = {"command": command, **environment(), "date": date.today().isoformat(), "protocol": protocol}
    write_json(OUT, {**stated, "rows": rows, "drift": curves, "gaps": gaps(curves)})


if __name__ == "__main__":
    main()
