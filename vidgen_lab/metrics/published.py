"""The published scores of clips, on networks that you bring: the C3D inception score, the C3D distance, FVD.

No weights ship here. A `Judge` is a network and what a protocol says of it; `vidgen_lab.metrics.c3d` and
`vidgen_lab.metrics.i3d` make the published ones from files of yours, and say where to get the files:

    judge = c3d.tganv2_judge("conv3d_deepnetA_ucf.npz", "mean2.npz")
    batches = (model.sample(64) for _ in range(320))  # 20,480 clips
    mean, spread = tganv2_inception_score(batches, judge)

Which judge a score takes, and which clips:

    function                   judge          clips
    tgan_inception_score       c3d, logits    10,000
    tganv2_inception_score     c3d, logits    10 runs of 2,048
    styleganv_inception_score  c3d, script    2,048 in 10 splits
    tganv2_distance            c3d, features  real; 10 runs of 2,048
    fvd                        i3d            real; fake
    styleganv_fvd              i3d, script    real, to 2,048; 2,048

The three inception scores have one name and three protocols, so `difference` refuses to compare them: their inputs,
their numbers of clips and their splits differ, and each of these moves the score. Any other function from clips to rows
makes a judge too, but what it gives needs a name of its own.

Source: the released code of saito2017tgan, saito2020tganv2, unterthiner2018fvd and skorokhodov2022styleganv.
"""

import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError, CheckpointError, unknown
from vidgen_lab.metrics.features import checked_pair
from vidgen_lab.metrics.frechet import frechet_distance, gaussian_distance
from vidgen_lab.metrics.pixels import check_clips
from vidgen_lab.metrics.scores import Measurement, inception_score

INCEPTION = "C3D inception score"
DISTANCE = "C3D-fc7 Frechet distance"  # published as "FID"; no Inception network takes part
FRAMES = 16  # of a clip that C3D sees
TGAN_CLIPS = 10_000
RUN_CLIPS, RUNS = 2_048, 10
STYLEGANV_CLIPS, STYLEGANV_SPLITS, STYLEGANV_SHUFFLE = 2_048, 10, 42  # the last is a seed
UNREADABLE = (OSError, EOFError, ValueError, TypeError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile)
CLIPS_AT_ONCE = 16  # bounds memory; a network in eval mode gives each clip the same row in any batch

STYLEGANV_VARIANTS = {  # frames of a clip, and the step from one to the next in its video
    "fvd2048_16f": (16, 1),
    "fvd2048_128f": (128, 1),
    "fvd2048_128f_subsample8f": (16, 8),
}

Batches = Iterable[Tensor] | Tensor


@dataclass(frozen=True)
class Judge:
    """A network that looks at clips: `(B, 3, T, H, W)` in [-1, 1] to rows `(B, K)`, logits or features.

    `protocol` goes into each result and must name the `network`; give `network_sha256` where there is a file.
    """

    network: Callable[[Tensor], Tensor]
    protocol: Mapping[str, Any]


class MeanAndSpread(NamedTuple):
    """A mean over runs or splits, and their standard deviation (divided by their number, as published).

    The deviation over ten splits of one set of clips is no error of the mean.
    """

    mean: Measurement
    spread: Measurement


class PickedClips(NamedTuple):
    """One clip for each video that is long enough."""

    videos: list[int]  # numbers of the videos, ascending
    starts: list[int]  # the first frame of each clip
    step: int  # from one frame of a clip to the next
    dropped: int  # videos that were too short


def tgan_inception_score(clips: Batches, judge: Judge, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """The C3D inception score of TGAN: one score of 10,000 clips.

    Args:
        clips: batches of `(B, 3, 16, H, W)` in [-1, 1], 10,000 clips in all.
        judge: logits of 101 classes; `vidgen_lab.metrics.c3d.tgan_judge` makes the published one.
        protocol: what else to write down, such as model and seed.

    The released script draws whole batches of 48, so it stops at 9,984 clips, and it adds 1e-7 inside each logarithm,
    which moves the score by less than 0.002 %. Both are left out here.

    Source: saito2017tgan, evaluation/calc_inception.py.
    """
    rows, seen = _rows("clips", clips, judge, TGAN_CLIPS, FRAMES)
    return inception_score(rows, _stated("TGAN", judge, protocol, seen), name=INCEPTION)


def tganv2_inception_score(clips: Batches, judge: Judge, protocol: Mapping[str, Any] | None = None) -> MeanAndSpread:
    """The C3D inception score of TGANv2: mean and standard deviation of 10 scores, each of 2,048 clips.

    Args:
        clips: batches of `(B, 3, 16, H, W)` in [-1, 1], 20,480 clips in all; the first 2,048 are the first run.
        judge: logits of 101 classes; `vidgen_lab.metrics.c3d.tganv2_judge` makes the published one.
        protocol: what else to write down, such as model and seed.

    Source: saito2020tganv2, scripts/compute_inception_score.py.
    """
    rows, seen = _rows("clips", clips, judge, RUNS * RUN_CLIPS, FRAMES)
    stated = _stated("TGANv2", judge, protocol, seen) | {"runs": RUNS, "splits": 1}
    return _summary(INCEPTION, [_score(run, stated) for run in rows.split(RUN_CLIPS)], RUN_CLIPS, stated)


def styleganv_inception_score(clips: Batches, judge: Judge, protocol: Mapping[str, Any] | None = None) -> MeanAndSpread:
    """The C3D inception score of StyleGAN-V: 2,048 clips, shuffled and cut into 10 splits.

    A split has 204 or 205 clips, two for each class, so the score is far below one of 2,048 clips.

    Args:
        clips: batches of `(B, 3, 16, H, W)` in [-1, 1], 2,048 clips in all.
        judge: logits of 101 classes; `vidgen_lab.metrics.c3d.styleganv_judge` makes the published one.
        protocol: what else to write down, such as model and seed.

    Source: skorokhodov2022styleganv, src/metrics/video_inception_score.py.
    """
    rows, seen = _rows("clips", clips, judge, STYLEGANV_CLIPS, FRAMES)
    rows = rows[np.random.RandomState(STYLEGANV_SHUFFLE).permutation(len(rows))]  # the published shuffle
    bounds = [split * len(rows) // STYLEGANV_SPLITS for split in range(STYLEGANV_SPLITS + 1)]
    stated = _stated("StyleGAN-V", judge, protocol, seen) | {"runs": 1, "splits": STYLEGANV_SPLITS}
    scores = [_score(rows[start:end], stated) for start, end in zip(bounds, bounds[1:], strict=False)]
    return _summary(INCEPTION, scores, len(rows), stated)


def tganv2_distance(
    real: Batches, fake: Batches, judge: Judge, protocol: Mapping[str, Any] | None = None
) -> MeanAndSpread:
    """What TGANv2 and its followers call FID: the Frechet distance of C3D features, over 10 runs of 2,048 clips.

    It is not FID: another network, trained on other data, and features of another scale. 2,048 clips give a covariance
    of rank 2,047 in 4,096 dimensions, so real clips would not score 0 either: compare at equal numbers only.

    Args:
        real: batches of `(B, 3, 16, H, W)` in [-1, 1]. Published: each of the 9,537 training videos of UCF-101 split 1
            ten times, each time another random window of 16 frames, cropped and flipped at random. That many rows
            need about 10 GB of memory.
        fake: batches of `(B, 3, 16, H, W)` in [-1, 1], 20,480 clips in all.
        judge: features of fc7; `vidgen_lab.metrics.c3d.tganv2_judge(..., layer="fc7")` makes the published one.
        protocol: what else to write down, such as model and seed.

    Source: saito2020tganv2, scripts/compute_fid.py.
    """
    real_rows, real_seen = _rows("real", real, judge, None, FRAMES)
    rows, seen = _rows("fake", fake, judge, RUNS * RUN_CLIPS, FRAMES)
    stated = _stated("TGANv2", judge, protocol, seen) | {"runs": RUNS, "real_size": real_seen["size"]}
    distances = []
    for run in rows.split(RUN_CLIPS):
        reference, samples, about = checked_pair(real_rows, run, stated, fewest=2)
        distances.append(gaussian_distance(reference, samples))
    return _summary(DISTANCE, distances, RUN_CLIPS, about)


def fvd(
    real: Batches, fake: Batches, judge: Judge, protocol: Mapping[str, Any] | None = None, name: str = "FVD"
) -> Measurement:
    """Frechet video distance as its authors compute it: on clips that you chose, on 400 logits of I3D.

    The reference code fixes the resize, the scale and the layer. It leaves open how many clips, how long, and which:
    say so in the protocol. Both sets need 2 clips for each feature, so 800.

    Args:
        real, fake: batches of `(B, 3, T, H, W)` in [-1, 1].
        judge: `vidgen_lab.metrics.i3d.fvd_judge` makes the published one.
        protocol: what else to write down: data, split, how clips were picked, frame rate, model, seed.
        name: give another if the network is not that I3D.

    Source: unterthiner2018fvd, frechet_video_distance.py of google-research.
    """
    real_rows, real_seen = _rows("real", real, judge, None, None)
    rows, seen = _rows("fake", fake, judge, None, real_seen["frames"])
    stated = _stated("FVD", judge, protocol, seen) | {"real_size": real_seen["size"]}
    return frechet_distance(real_rows, rows, stated, name=name)


def styleganv_fvd(
    real: Batches,
    fake: Batches,
    judge: Judge,
    variant: str = "fvd2048_16f",
    protocol: Mapping[str, Any] | None = None,
    name: str = "FVD",
) -> Measurement:
    """Frechet video distance as StyleGAN-V computes it: 2,048 fake clips, and one clip of each of up to 2,048 videos.

    Frames become bytes first, and covariances are divided by N. Fewer real clips than 2,048 are allowed, as published;
    the protocol states their number, and the bias of the distance grows as it falls.

    Args:
        real: batches of `(B, 3, T, H, W)` in [-1, 1]; `styleganv_clips` says which frames.
        fake: batches of `(B, 3, T, H, W)` in [-1, 1], 2,048 clips in all, from frame 0 on with the variant's step.
        judge: `vidgen_lab.metrics.i3d.styleganv_judge` makes the published one.
        variant: "fvd2048_16f" (16 frames in a row), "fvd2048_128f" (128 in a row) or "fvd2048_128f_subsample8f"
            (16 frames, each eighth of 128).
        protocol: what else to write down: data, the seed of the clips, how many videos were dropped, model.
        name: give another if the network is not that I3D.

    Source: skorokhodov2022styleganv, src/metrics/frechet_video_distance.py.
    """
    frames, step = _variant(variant)
    real_rows, real_seen = _rows("real", real, judge, None, frames)
    if len(real_rows) > STYLEGANV_CLIPS:
        raise ArgumentError(f"real has {len(real_rows)} clips: at most {STYLEGANV_CLIPS}, one for each video.")
    rows, seen = _rows("fake", fake, judge, STYLEGANV_CLIPS, frames)
    stated = _stated("StyleGAN-V", judge, protocol, seen)
    stated |= {"variant": variant, "step": step, "real_size": real_seen["size"], "covariance": "divided by N"}
    reference, samples, about = checked_pair(real_rows, rows, stated, fewest=2)
    return Measurement(name, gaussian_distance(_by_n(reference), _by_n(samples)), about)


def styleganv_clips(lengths: Iterable[int], variant: str = "fvd2048_16f", seed: int = 0) -> PickedClips:
    """Which real clips StyleGAN-V looks at: one of each video, at a random start. Shorter videos are dropped.

    Of the videos that are long enough the first 2,048 are taken, in the order given (published: sorted by name). The
    start is uniform over all that fit. The released code draws it without a seed.

    Args:
        lengths: frames of each video.
        variant: as for `styleganv_fvd`.
        seed: of the starts.

    Source: skorokhodov2022styleganv, src/training/dataset.py.
    """
    frames, step = _variant(variant)
    lengths = list(lengths)
    long_enough = [video for video, length in enumerate(lengths) if length >= frames * step]
    if not long_enough:
        raise ArgumentError(
            f"none of {len(lengths)} videos has {frames * step} frames, which {variant} needs; "
            f"the longest has {max(lengths, default=0)}. Use longer videos or another variant."
        )
    generator = torch.Generator().manual_seed(seed)
    videos = long_enough[:STYLEGANV_CLIPS]
    starts = [
        int(torch.randint(lengths[video] - (frames - 1) * step, (), generator=generator).item()) for video in videos
    ]
    return PickedClips(videos, starts, step, len(lengths) - len(long_enough))


def to_bytes(clips: Tensor) -> Tensor:
    """[-1, 1] to uint8 as StyleGAN-V writes frames: 127.5 x + 128, cut to 0..255, the fraction dropped."""
    return (clips * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def load_script(path: Path | str, source: str, device: torch.device | str = "cpu") -> torch.jit.ScriptModule:
    """A network from a TorchScript file, in eval mode. The file holds code that runs: load only one that you trust.

    Args:
        source: where to get the file; part of the error if it is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no file {path}. {source}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.jit goes away; the published files stay as they are
            return torch.jit.load(path, map_location=device).eval()
    except UNREADABLE as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"cannot read {path}: {reason}. It must be a TorchScript file. {source}") from error


def _rows(
    name: str, batches: Batches, judge: Judge, exactly: int | None, frames: int | None
) -> tuple[Tensor, dict[str, Any]]:
    """What the judge says of each clip, `(N, K)` on the CPU, and what a protocol says of the clips."""
    rows: list[Tensor] = []
    shape, count = None, 0
    for batch in [batches] if isinstance(batches, Tensor) else batches:
        check_clips(name, batch)
        shape = shape or batch.shape[1:]
        if batch.shape[1:] != shape:
            raise ArgumentError(f"{name} mix clips of {tuple(shape)} and {tuple(batch.shape[1:])}: give one shape.")
        if shape[0] != 3:
            raise ArgumentError(f"{name} have {shape[0]} channels: repeat grey to 3, clips.repeat(1, 3, 1, 1, 1).")
        if frames is not None and shape[1] != frames:
            raise ArgumentError(f"{name} have {shape[1]} frames: this protocol needs {frames}.")
        count += len(batch)
        if exactly is not None and count > exactly:
            raise ArgumentError(f"{name} are more than {exactly} clips: this protocol needs exactly {exactly}.")
        rows += [_row(judge, part) for part in batch.split(CLIPS_AT_ONCE)]
    if shape is None or (exactly is not None and count < exactly):
        needs = f"exactly {exactly}" if exactly is not None else "1 or more"
        raise ArgumentError(f"{name} are {count} clips: this protocol needs {needs}. Draw more.")
    return torch.cat(rows), {"frames": shape[1], "size": f"{shape[2]}x{shape[3]}"}


def _row(judge: Judge, clips: Tensor) -> Tensor:
    with torch.no_grad():
        row = judge.network(clips)
    if row.dim() != 2 or len(row) != len(clips):
        raise ArgumentError(f"the judge gave {tuple(row.shape)} for {len(clips)} clips: it must give (B, K).")
    return row.float().cpu()


def _stated(
    published: str, judge: Judge, protocol: Mapping[str, Any] | None, seen: Mapping[str, Any]
) -> dict[str, Any]:
    return {**(protocol or {}), **judge.protocol, **seen, "published": published}


def _score(logits: Tensor, stated: Mapping[str, Any]) -> float:
    return inception_score(logits, stated).value


def _summary(name: str, values: list[float], samples: int, stated: Mapping[str, Any]) -> MeanAndSpread:
    values = torch.tensor(values, dtype=torch.float64)
    stated = {**stated, "samples": samples}
    return MeanAndSpread(
        Measurement(name, values.mean().item(), stated),
        Measurement(f"{name}, standard deviation", values.std(correction=0).item(), stated),
    )


def _variant(variant: str) -> tuple[int, int]:
    if variant not in STYLEGANV_VARIANTS:
        raise unknown("variant", variant, STYLEGANV_VARIANTS)
    return STYLEGANV_VARIANTS[variant]


def _by_n(features: Tensor) -> Tensor:
    """The same mean, and deviations so much smaller that a covariance over N - 1 becomes one over N."""
    mean = features.mean(0)
    return mean + (features - mean) * ((len(features) - 1) / len(features)) ** 0.5
