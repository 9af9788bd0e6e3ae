"""Labels as conditions of a clip generator and its critics. [mirza2014conditional, miyato2018cgans]

The generator reads each label as a one-hot vector beside its noise. A critic has one more output for each value of each
label; what it says of the asked values is added to its logit. The labels are those of MovingDigits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vidgen_lab.core.errors import ArgumentError, unknown
from vidgen_lab.core.model import Batch

VALUES = {"digit": 10, "direction": 8, "speed": 2}  # how many values each label has


def count_values(names: Sequence[str]) -> int:
    """Values of all named labels together. Raises ArgumentError where there is no such label."""
    for name in names:
        if name not in VALUES:
            raise unknown("label", name, VALUES)
    return sum(VALUES[name] for name in names)


def check_batch(batch: Batch, names: Sequence[str], model: str) -> None:
    """Raises ArgumentError unless the batch has clips and the named labels that `model` trains on."""
    wanted = {"video", *names}
    if not wanted <= set(batch):
        raise ArgumentError(f"this {model} trains on {sorted(wanted)}; the batch has {sorted(batch)}.")


def append(latent: Tensor, labels: Batch | None, names: Sequence[str]) -> Tensor:
    """`(B, Z)` with the named labels, `(B,)` int64 each, as one-hot vectors beside it: `(B, Z + count_values)`."""
    return torch.cat([latent, *(one_hot(labels[name], VALUES[name]).to(latent.dtype) for name in names)], dim=1)


def asked(outputs: Tensor, labels: Batch | None, names: Sequence[str]) -> Tensor:
    """Sum of a critic's outputs for the asked values: `(B, count_values) -> (B,)`. miyato2018cgans"""
    logits = outputs.new_zeros(len(outputs))
    for name, values in zip(names, outputs.split([VALUES[name] for name in names], dim=1), strict=True):
        logits = logits + values.gather(1, labels[name][:, None])[:, 0]
    return logits


def draw_labels(n: int, names: Sequence[str], generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """Values of the named labels, each drawn uniformly: `(n,)` int64, on the CPU, so that a seed means the same."""
    return {name: torch.randint(VALUES[name], (n,), generator=generator) for name in names}


def complete(
    condition: Batch, n: int, names: Sequence[str], device: torch.device, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """The named labels of a condition; those that it leaves out are drawn.

    Raises:
        ArgumentError: a given label is not one value in range for each clip.
    """
    drawn = draw_labels(n, names, generator)
    labels = {name: condition.get(name, values.to(device)) for name, values in drawn.items()}
    for name, values in labels.items():
        if values.shape != (n,) or values.min() < 0 or values.max() >= VALUES[name]:
            raise ArgumentError(f"{name}={values.tolist()}: give one whole number from 0 to {VALUES[name] - 1} a clip.")
    return labels
