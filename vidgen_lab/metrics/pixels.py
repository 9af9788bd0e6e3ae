"""Scores on pixels: how near a clip is to the one that was asked for, and how far samples are from each other.

Clips are `(B, C, T, H, W)` in [-1, 1]; give images as clips of one frame. torchmetrics scores the frames.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError, unknown
from vidgen_lab.metrics.scores import Measurement

DATA_RANGE = 2.0  # from -1 to 1
CLIPS_AT_ONCE = 32  # bounds the memory of SSIM
SSIM_WINDOW = 11
SSIM_VARIANT = "2-D Gaussian window 11x11, sigma 1.5, k1 0.01, k2 0.03, black at 0, edges mirrored, mean over channels"


def psnr(prediction: Tensor, target: Tensor, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """Peak signal-to-noise ratio in dB: of each frame over all its channels, then the mean over frames and clips.

    10 log10(4 / MSE), as 2 is the width of [-1, 1]. Infinite as soon as one frame is equal to its target.

    Args:
        prediction, target: `(B, C, T, H, W)` in [-1, 1].
        protocol: what else to write down, such as model, data and seed.
    """
    return _reconstruction("psnr", prediction, target, protocol)


def ssim(prediction: Tensor, target: Tensor, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """Structural similarity: of each frame, then the mean over frames and clips. 1 for equal frames, at most 1.

    The variant is in the protocol: a two-dimensional Gaussian window of 11x11 pixels with sigma 1.5 around each
    pixel, frames mirrored at their edges. Pixels are shifted to [0, 2] first, for the formula compares means as ratios.

    Args:
        prediction, target: `(B, C, T, H, W)` in [-1, 1], at least 11x11 pixels.
        protocol: what else to write down, such as model, data and seed.

    Source: wang2004image.
    """
    return _reconstruction("ssim", prediction, target, protocol)


def best_of(
    samples: Tensor, target: Tensor, score: Literal["psnr", "ssim"], protocol: Mapping[str, Any] | None = None
) -> Measurement:
    """For each clip the best of N samples by this score, then the mean over clips.

    It rises with N, and it says nothing of the other samples: compare at equal N, and give `diversity` beside it.

    Args:
        samples: `(N, B, C, T, H, W)` in [-1, 1]. target: `(B, C, T, H, W)` in [-1, 1].
        score: what picks the sample, and what is reported.

    Source: denton2018svg, with N = 100.
    """
    if samples.dim() != 6 or not len(samples):
        raise ArgumentError(f"samples has shape {tuple(samples.shape)}: give (N, B, C, T, H, W).")
    of_frames = _frame_score(score)
    scores = torch.stack([_clip_scores(of_frames, sample, target) for sample in samples])  # (N, B)
    stated = {**(protocol or {}), **state_clips(target), **_variant(score), "best_of": len(samples)}
    best = scores.max(0).values.mean().item()  # eq. (metrics-best-of)
    return Measurement(f"best-of-N {score.upper()}", best, stated)


def diversity(samples: Tensor, protocol: Mapping[str, Any] | None = None) -> Measurement:
    """Mean over all pairs of samples of the root-mean-square difference of their pixels: 0 if all are equal.

    Noise is diverse too: read it beside a score of quality. A hundred clips are enough; time goes with the square.

    Args:
        samples: `(N, C, T, H, W)` in [-1, 1], N at least 2.
    """
    check_clips("samples", samples)
    if len(samples) < 2:
        raise ArgumentError("samples holds one clip: diversity needs 2 or more.")
    rows = samples.float().flatten(1)  # (N, C*T*H*W)
    distances = torch.nn.functional.pdist(rows) / rows.shape[1] ** 0.5  # eq. (metrics-diversity), one for each pair
    return Measurement("diversity", distances.mean().item(), {**(protocol or {}), **state_clips(samples)})


def _reconstruction(score: str, prediction: Tensor, target: Tensor, protocol: Mapping[str, Any] | None) -> Measurement:
    value = _clip_scores(_frame_score(score), prediction, target).mean().item()
    return Measurement(score.upper(), value, {**(protocol or {}), **state_clips(target), **_variant(score)})


def _frame_score(score: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The score of frames: `(F, C, H, W), (F, C, H, W) -> (F,)`."""
    scores = {"psnr": _frame_psnr, "ssim": _frame_ssim}
    if score not in scores:
        raise unknown("score", score, scores)
    return scores[score]


def _clip_scores(of_frames: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the frames of each clip, `(B,)`."""
    check_clips("prediction", prediction)
    check_clips("target", target)
    if prediction.shape != target.shape:
        raise ArgumentError(
            f"prediction has shape {tuple(prediction.shape)}, target has {tuple(target.shape)}: they must be equal."
        )
    parts = zip(prediction.split(CLIPS_AT_ONCE), target.split(CLIPS_AT_ONCE), strict=True)
    scores = [of_frames(_frames(x), _frames(y)) for x, y in parts]
    return torch.cat(scores).view(len(target), -1).mean(1)


def _frames(clips: Tensor) -> Tensor:
    """`(B, C, T, H, W) -> (B*T, C, H, W)`, in float32: float64 moves SSIM by 1e-5 and takes seven times as long."""
    return clips.float().transpose(1, 2).flatten(0, 1)


# torchmetrics takes seconds to import: only who scores pixels pays.


def _frame_psnr(prediction: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    options = {"data_range": DATA_RANGE, "reduction": "none", "dim": (1, 2, 3)}
    return peak_signal_noise_ratio(prediction, target, **options)  # eq. (metrics-psnr)


def _frame_ssim(prediction: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure

    if min(target.shape[-2:]) < SSIM_WINDOW:
        raise ArgumentError(
            f"frames of {target.shape[-2]}x{target.shape[-1]} pixels: SSIM needs 11x11 or more for its window."
        )
    options = {"data_range": DATA_RANGE, "reduction": "none"}
    scores = structural_similarity_index_measure(prediction + 1, target + 1, **options)  # eq. (metrics-ssim)
    return scores.reshape(-1)


def check_clips(name: str, clips: Tensor) -> None:
    """Raises `ArgumentError` unless these are clips `(B, C, T, H, W)` in [-1, 1]."""
    if clips.dim() != 5 or not clips.numel():
        raise ArgumentError(f"{name} has shape {tuple(clips.shape)}: give clips (B, C, T, H, W); an image has T = 1.")
    low, high = (bound.item() for bound in clips.aminmax())  # NaN and infinity show in them too
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ArgumentError(f"{name} holds NaN or infinity: look at the samples before you score them.")
    if low < -1 or high > 1:
        raise ArgumentError(
            f"{name} runs from {low:.4g} to {high:.4g}: values must lie in [-1, 1]. Rescale [0, 1] by 2 x - 1; "
            "clamp what overshoots where it is made, and say so."
        )


def state_clips(clips: Tensor) -> dict[str, Any]:
    """What a protocol says of clips `(B, C, T, H, W)`."""
    count, channels, frames, height, width = clips.shape
    return {"clips": count, "channels": channels, "frames": frames, "size": f"{height}x{width}"}


def _variant(score: str) -> dict[str, Any]:
    return {"data_range": DATA_RANGE, "over": "frames"} | ({"variant": SSIM_VARIANT} if score == "ssim" else {})
