"""Metrics of the package against torchmetrics, which is installed with it.

    python benchmarks/metrics.py --json results/bench-metrics.json

Features are random, and both sides get the same, in float64. The results agree to 1e-4, relative to the larger one.
torchmetrics draws its subsets for KID at random; to compare results, it is given those that our side takes.
"""

import warnings
from functools import partial

import torch
from harness import OURS, PEER, Built, Case, run
from torch import Tensor, nn
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from vidgen_lab import metrics

N, D, SUBSETS, CLASSES = 2000, 128, 20, 10
CLIPS = (32, 1, 16, 32, 32)
PROTOCOL = {"network": "random numbers"}

warnings.filterwarnings("ignore", message="Metric `")  # torchmetrics on the memory of its buffers


class Raw(nn.Module):
    """Hands features to torchmetrics as they are."""

    num_features = D

    def forward(self, features: Tensor) -> Tensor:
        return features


def features() -> tuple[Tensor, Tensor]:
    """Two sets of features `(N, D)`, the second wider and shifted."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, N, D, dtype=torch.float64, generator=generator)
    return real, 1.2 * fake + 0.1


def clips() -> tuple[Tensor, Tensor]:
    """Clips in [-1, 1], and the same with noise."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(CLIPS, generator=generator) * 2 - 1
    return (target + 0.2 * torch.randn(CLIPS, generator=generator)).clamp(-1, 1), target


def frames(video: Tensor) -> Tensor:
    """`(B, C, T, H, W) -> (B T, C, H, W)`"""
    return video.transpose(1, 2).flatten(0, 1)


def ours_frechet() -> Built:
    real, fake = features()
    return Built(lambda: metrics.frechet_distance(real, fake, PROTOCOL).value)


def peer_frechet() -> Built:
    real, fake = features()
    score = FrechetInceptionDistance(feature=Raw(), input_img_size=(D,)).set_dtype(torch.double)
    return Built(lambda: _of_two_sets(score, real, fake))


def ours_kernel() -> Built:
    real, fake = features()
    return Built(lambda: metrics.kernel_distance(real, fake, PROTOCOL, subsets=SUBSETS).value)


def peer_kernel() -> Built:
    real, fake = features()
    score = KernelInceptionDistance(feature=Raw(), subsets=SUBSETS, subset_size=N // SUBSETS).set_dtype(torch.double)
    return Built(lambda: _of_two_sets(score, real, fake)[0])


def ours_inception() -> Built:
    logits = 3 * features()[0][:, :CLASSES]
    return Built(lambda: metrics.inception_score(logits, PROTOCOL).value)


def peer_inception() -> Built:
    logits, score = 3 * features()[0][:, :CLASSES], InceptionScore(feature=Raw(), splits=1).set_dtype(torch.double)

    def call() -> Tensor:
        score.reset()
        score.update(logits)
        return score.compute()[0]

    return Built(call)


def ours_psnr() -> Built:
    prediction, target = clips()
    return Built(lambda: metrics.psnr(prediction, target).value)


def peer_psnr() -> Built:
    prediction, target = map(frames, clips())
    return Built(lambda: PeakSignalNoiseRatio(data_range=(-1.0, 1.0), dim=(1, 2, 3))(prediction, target))


def ours_ssim() -> Built:
    prediction, target = clips()
    return Built(lambda: metrics.ssim(prediction, target).value)


def peer_ssim() -> Built:
    prediction, target = map(frames, clips())
    return Built(lambda: StructuralSimilarityIndexMeasure(data_range=2.0)(prediction + 1, target + 1))


def difference(ours, peer) -> float:
    """Of two results, relative to the larger."""
    a, b = float(ours().call()), float(peer().call())
    return abs(a - b) / max(abs(a), abs(b))


def difference_of_kernels() -> float:
    """The same for the mean over the disjoint subsets that our side takes."""
    generator, sets = torch.Generator().manual_seed(0), features()
    parts = [x[torch.randperm(N, generator=generator)].split(N // SUBSETS) for x in sets]
    score = KernelInceptionDistance(feature=Raw(), subsets=1, subset_size=N // SUBSETS).set_dtype(torch.double)
    theirs = sum(float(_of_two_sets(score, real, fake)[0]) for real, fake in zip(*parts, strict=True)) / SUBSETS
    return abs(ours_kernel().call() - theirs) / abs(theirs)


def _of_two_sets(score, real: Tensor, fake: Tensor):
    score.reset()
    score.update(real, real=True)
    score.update(fake, real=False)
    return score.compute()


def case(about: str, ours, peer, check=None) -> Case:
    """Both sides of one metric."""
    return Case(about, "torchmetrics", {OURS: ours, PEER: peer}, difference=check or partial(difference, ours, peer))


CASES = {
    "frechet_distance": case(f"2 x {N} rows of {D} features", ours_frechet, peer_frechet),
    "kernel_distance": case(
        f"2 x {N} rows of {D} features, {SUBSETS} subsets", ours_kernel, peer_kernel, difference_of_kernels
    ),
    "inception_score": case(f"{N} rows of {CLASSES} logits", ours_inception, peer_inception),
    "psnr": case("32 grey clips of 16 x 32 x 32", ours_psnr, peer_psnr),
    "ssim": case("32 grey clips of 16 x 32 x 32", ours_ssim, peer_ssim),
}

if __name__ == "__main__":
    run(__file__, CASES, ["torchmetrics"])
