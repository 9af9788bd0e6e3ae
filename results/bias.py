"""How far the Frechet distance is above the truth with N samples, and what takes it back.

    python results/bias.py        writes results/bias.json, about a minute on one CPU thread

On features of digits-3d, two sets of real clips; on numbers whose true distance is known, two sets from one Gaussian;
with fewer samples than features, as the published C3D distance has; and the same for splits of the inception score.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidgen_lab import metrics, zoo
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.metrics.frechet import gaussian_distance  # frechet_distance refuses fewer samples than features
from vidgen_lab.training.state import write_json

PAIRS = {8: 160, 32: 40, 128: 10}  # pairs of sets by the number of features: few features vary more
MULTIPLES = (4, 8, 16, 32)  # samples for each feature
CLIPS, SIZES = 4000, (256, 500, 1000, 2000, 4000)
SHIFT = 2.0  # squared length of a true shift
FEW = 20  # pairs of sets with fewer samples than features
SETTINGS = {"size": 32, "frames": 16, "color": False}


def gaussian(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def row(pairs: list[tuple[Tensor, Tensor]], everything: Tensor, protocol: dict[str, Any]) -> dict[str, float]:
    """Mean distance of the pairs, the law, and the mean of what is extrapolated, where there are rows enough."""
    n, d = pairs[0][0].shape
    measured = torch.tensor([metrics.frechet_distance(*pair, protocol).value for pair in pairs])
    law = metrics.frechet_bias(everything, n, n)
    found = {"n": n, "d": d, "pairs": len(pairs), "distance": measured.mean().item(), "law": law}
    found["ratio"] = found["distance"] / law
    if n >= 8 * d:
        found["infinity"] = sum(metrics.frechet_infinity(*pair, protocol).value for pair in pairs) / len(pairs)
    return found


def gaussians() -> dict[str, dict[str, float]]:
    """Two sets of N(0, 1) numbers, d in a row: the truth is 0."""
    rows = {}
    for d, repeats in PAIRS.items():
        for n in (multiple * d for multiple in MULTIPLES):
            pairs = [(gaussian(n, d, 2 * k), gaussian(n, d, 2 * k + 1)) for k in range(repeats)]
            white = torch.eye(d, dtype=torch.float64) * d**0.5  # its rows and their negatives have covariance 1
            everything = torch.cat([white, -white]) * ((2 * d - 1) / (2 * d)) ** 0.5
            rows[f"d{d}-n{n}"] = row(pairs, everything, {"network": "none"})
            print(rows[f"d{d}-n{n}"], flush=True)
    return rows


def shift() -> dict[str, float]:
    """A true distance of SHIFT in 128 dimensions, beside what chance adds at 512 and at 4,096 samples."""
    found: dict[str, float] = {"truth": SHIFT, "d": 128}
    step = torch.zeros(128, dtype=torch.float64)
    step[0] = SHIFT**0.5
    for n in (512, 4096):
        pair = gaussian(n, 128, 100), gaussian(n, 128, 101)
        found[f"equal_{n}"] = metrics.frechet_distance(*pair, {"network": "none"}).value
        found[f"shifted_{n}"] = metrics.frechet_distance(pair[0], pair[1] + step, {"network": "none"}).value
    return found


def few() -> dict[str, float]:
    """Two sets of one Gaussian at the proportions of TGANv2's distance, 2,048 clips against 95,370 in 4,096 dimensions.

    In units of the total variance, by how the variance falls from feature k to the next; the mean of FEW sets of n
    against one of m. Where the variance falls fast, a single set is off by a quarter.
    """
    d, n, m = 512, 256, 11_921
    found: dict[str, float] = {"d": d, "n": n, "m": m, "pairs": FEW}
    white = gaussian(m, d, 0)
    for name, power in (("flat", 0.0), ("1/k", 1.0), ("1/k^2", 2.0)):
        spread = torch.arange(1, d + 1, dtype=torch.float64) ** -power
        real = white * spread.sqrt()
        distances = [gaussian_distance(real, gaussian(n, d, seed) * spread.sqrt()) for seed in range(1, FEW + 1)]
        found[name] = sum(distances) / FEW / spread.sum().item()
    return found


def splits() -> dict[str, float]:
    """The inception score of 2,048 samples that a classifier of 101 classes is sure of, in equal shares."""
    order = torch.randperm(2048, generator=torch.Generator().manual_seed(0))
    logits = 50 * torch.nn.functional.one_hot(order % 101, 101).double()
    protocol = {"network": "none"}
    return {f"splits_{k}": metrics.inception_score(logits, protocol, splits=k).value for k in (1, 10)}


def clips() -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Two sets of real held-out clips, at several sizes, cut out of 4,000 of each."""
    reader = zoo.load_pretrained("digits-3d")

    def features(seed: int) -> Tensor:
        return torch.cat(
            [reader.features(part) for part in metrics.ladder.reference(CLIPS, seed, **SETTINGS).split(100)]
        )

    protocol = {"network": "digits-3d", "network_sha256": zoo.shipped_hash("digits-3d"), **SETTINGS, "seeds": [20, 21]}
    real, other = features(20), features(21)
    rows = {}
    for n in SIZES:
        pairs = list(zip(real.split(n), other.split(n), strict=True))
        rows[f"n{n}"] = row([pair for pair in pairs if len(pair[0]) == n], torch.cat([real, other]), protocol)
        print(rows[f"n{n}"], flush=True)
    return rows, protocol


def main() -> None:
    """Measures all and writes the manifest."""
    torch.set_num_threads(1)
    real, protocol = clips()
    write_json(
        Path(__file__).parent / "bias.json",
        {
            "command": f"python results/{command_line()}",
            **environment(),
            "gaussians": gaussians(),
            "shift": shift(),
            "few": few(),
            "splits": splits(),
            "clips": real,
            "protocol": protocol,
        },
    )


if __name__ == "__main__":
    main()
