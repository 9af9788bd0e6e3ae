"""Does a sample show what was asked for? A classifier says."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics.scores import Measurement


def attribute_accuracy(
    logits: Mapping[str, Tensor], asked: Mapping[str, Any], protocol: Mapping[str, Any]
) -> list[Measurement]:
    """Share of samples in which the classifier sees what was asked for: one measurement an attribute, then all at once.

    The classifier errs too: give its own accuracy on real samples beside it. More than that is no better: the
    samples are easier to read than the data.

    Args:
        logits: `(N, classes)` of each attribute that the classifier reads, by name: digit, color, direction, speed.
        asked: the condition that the samples were drawn with. Its int64 `(N,)` labels count; what no head reads
            (a caption, a prefix) does not.
        protocol: how the samples came about; the `network` of the classifier must be there.

    Raises:
        ArgumentError: no attribute in common, another number of rows, or logits with NaN.
    """
    if "network" not in protocol:
        raise ArgumentError('the protocol does not name the classifier. Add "network": ....')
    names = [name for name in logits if name in asked]
    if not names:
        raise ArgumentError(f"asked for {sorted(asked)}, the classifier reads {sorted(logits)}: nothing to compare.")
    right = []
    for name in names:
        given, label = logits[name], torch.as_tensor(asked[name])
        if label.shape != given.shape[:1]:
            raise ArgumentError(f"{name}: {len(given)} samples, but labels of shape {tuple(label.shape)}; give (N,).")
        if not torch.isfinite(given).all():
            raise ArgumentError(f"logits of {name} hold NaN or infinity: look at the samples before you score them.")
        right.append(given.argmax(1) == label)  # eq. (metrics-attributes)
    shares = {f"{name} as asked": hits for name, hits in zip(names, right, strict=True)}
    if len(names) > 1:
        shares["all as asked"] = torch.stack(right).all(0)
    return [Measurement(name, hits.double().mean().item(), dict(protocol)) for name, hits in shares.items()]
