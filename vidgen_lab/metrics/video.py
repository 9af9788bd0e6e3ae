"""What only clips have: content that should last, and motion that should be there.

symbol  variable  shape            meaning
x       clips     (B, C, T, H, W)  in [-1, 1]
f       features  (B, T, d)        what a network, or the mean colour, says of each frame
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics.pixels import check_clips, state_clips
from vidgen_lab.metrics.scores import Measurement


class ContentAndMotion(NamedTuple):
    """Two numbers that belong together: a still picture has no content distance, and no motion either."""

    content: Measurement
    motion: Measurement


def content_and_motion(
    clips: Tensor, features: Tensor | None = None, protocol: Mapping[str, Any] | None = None
) -> ContentAndMotion:
    """Average content distance, and beside it how much moves.

    The content distance is the mean Euclidean distance between the features of any two frames of a clip. It is low
    when a clip keeps its colours, or its face. Motion is the mean absolute difference of consecutive frames, in units
    of [-1, 1]. Compare both with real clips: flicker and noise count as motion.

    Args:
        clips: `(B, C, T, H, W)` in [-1, 1], two frames or more.
        features: `(B, T, d)` of any network on frames, which the protocol must name; by default the mean colour.
        protocol: what else to write down; with `features` its `network`.

    Source: tulyakov2018mocogan for the content distance. The motion measure is our own.
    """
    check_clips("clips", clips)
    if clips.shape[2] < 2:
        raise ArgumentError("clips have one frame: motion and content distance need 2 or more.")
    stated = {**(protocol or {}), **state_clips(clips)}
    if features is None:
        features = clips.double().mean((3, 4)).transpose(1, 2)  # (B, T, C)
        stated["content"] = "mean colour"
    else:
        _check_features(features, clips)
        if "network" not in stated:
            raise ArgumentError('the protocol does not name the network of these features. Add "network": ....')
        stated["content"] = f"{features.shape[2]} features"
    pairs = torch.triu_indices(clips.shape[2], clips.shape[2], offset=1)  # (2, T (T-1) / 2)
    between = (features[:, pairs[0]].double() - features[:, pairs[1]].double()).norm(dim=2)  # eq. (metrics-content)
    moved = (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean()  # eq. (metrics-motion)
    return ContentAndMotion(
        Measurement("average content distance", between.mean().item(), stated),
        Measurement("motion", moved.item(), stated),
    )


def _check_features(features: Tensor, clips: Tensor) -> None:
    expected = clips.shape[0], clips.shape[2]
    if features.dim() != 3 or features.shape[:2] != expected:
        raise ArgumentError(f"features has shape {tuple(features.shape)}: these clips need {expected} and then d.")
    if not torch.isfinite(features).all():
        raise ArgumentError("features holds NaN or infinity: look at the clips and at the network.")
