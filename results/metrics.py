"""The ladder under every metric: what each of them sees of each way to spoil a clip, and what it misses.

    python results/metrics.py     writes results/metrics.json, about two minutes on one CPU thread

Grey clips. The rungs are those of `vidgen evaluate --ladder`; one more is a set of training clips, as a model would
give that has learnt its data by heart. PSNR and SSIM compare each clip with what it was before it was spoilt, so they
say nothing where a rung is made of other clips; and PSNR is infinite where a rung leaves a frame as it was.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from vidgen_lab import metrics, zoo
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.metrics.ladder import FLOOR, ONE
from vidgen_lab.models.digits3d import Digits3d
from vidgen_lab.training.state import write_json

N, SEED, PAIRS, DIVERSE = 2000, 0, 200, 100
SETTINGS = {"size": 32, "frames": 16, "color": False}
ASKED = ("digit", "direction", "speed")
COPIES = "training clips, copied"
OTHER_CLIPS = ("one digit only", "one direction only", COPIES)  # not the clips of the floor, spoilt


def rungs() -> Iterator[tuple[str, Tensor]]:
    yield from metrics.ladder.rungs(N, SEED, **SETTINGS)
    yield COPIES, MovingDigits("train", seed=SEED, **SETTINGS).__getitems__(list(range(N)))["video"]


def asked(rung: str) -> dict[str, Tensor]:
    """The labels of each clip of a rung, before it was spoilt."""
    if rung == COPIES:
        data = MovingDigits("train", seed=SEED, **SETTINGS)
    else:
        data = MovingDigits("test", length=20 * N + 1000, seed=SEED + 1, **SETTINGS)
    labels = data.__getitems__(list(range(N if rung not in OTHER_CLIPS[:2] else 12 * N)))
    rows = torch.arange(N)
    if rung in OTHER_CLIPS[:2]:
        rows = (labels[rung.split()[1]] == ONE).nonzero()[:N, 0]
    return {name: labels[name][rows] for name in ASKED}


def scores(rung: str, clips: Tensor, before: Tensor, real: Tensor, reader: Digits3d) -> dict[str, float | None]:
    """Every metric of one rung. None where a metric has nothing to say."""
    features, logits = read(reader, clips)
    protocol = {"network": "digits-3d", "network_sha256": zoo.shipped_hash("digits-3d"), "seed": SEED, **SETTINGS}
    kernel = metrics.kernel_distance(real, features, protocol, name="kernel distance")
    pair = metrics.content_and_motion(clips)
    paired = rung not in (FLOOR, *OTHER_CLIPS)
    psnr = metrics.psnr(clips[:PAIRS], before[:PAIRS]).value if paired else math.inf
    told = metrics.attribute_accuracy({name: logits[name] for name in ASKED}, asked(rung), protocol)
    return {
        "distance": metrics.frechet_distance(real, features, protocol).value,
        "infinity": metrics.frechet_infinity(real, features, protocol).value,
        "kernel": kernel.value,
        "kernel_low": kernel.interval[0],
        "kernel_high": kernel.interval[1],
        "inception": metrics.inception_score(logits["digit"], protocol, name="IS-digits").value,
        "psnr": psnr if math.isfinite(psnr) else None,
        "ssim": metrics.ssim(clips[:PAIRS], before[:PAIRS]).value if paired else None,
        "content": pair.content.value,
        "motion": pair.motion.value,
        "diversity": metrics.diversity(clips[:DIVERSE]).value,
        **{item.name.split()[0]: item.value for item in told},
    }


def read(reader: Digits3d, clips: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Features `(N, F)`, and the logits of each head."""
    features = torch.cat([reader.features(part) for part in clips.split(100)])
    parts = [reader.logits(part) for part in clips.split(100)]
    return features, {name: torch.cat([part[name] for part in parts]) for name in ASKED}


def main() -> None:
    """Measures all and writes the manifest."""
    torch.set_num_threads(1)
    reader = zoo.load_pretrained("digits-3d")
    real, _ = read(reader, metrics.ladder.reference(N, SEED, **SETTINGS))
    table = {}
    for rung, clips in rungs():
        if rung == FLOOR:
            before = clips.clone()
        table[rung] = scores(rung, clips, before, real, reader)
        print(
            rung, {name: value if value is None else round(value, 4) for name, value in table[rung].items()}, flush=True
        )
    protocol = {"clips": N, "pairs": PAIRS, "diverse": DIVERSE, "seed": SEED, **SETTINGS}
    protocol |= {"network": "digits-3d", "network_sha256": zoo.shipped_hash("digits-3d")}
    manifest = {"command": f"python results/{command_line()}", **environment(), "protocol": protocol, "rungs": table}
    write_json(Path(__file__).parent / "metrics.json", manifest)


if __name__ == "__main__":
    main()
