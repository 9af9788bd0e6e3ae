"""Bytes to floats: every data set keeps uint8 pixels and hands out float32 in [-1, 1]."""

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError, unknown

Split = Literal["train", "test"]


def to_float(pixels: np.ndarray | Tensor) -> Tensor:
    """uint8 pixels of any shape to a new float32 tensor in [-1, 1]: 0 becomes -1 and 255 becomes 1."""
    return torch.as_tensor(pixels).to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Floats in [-1, 1] of any shape to uint8, rounded and clipped. Undoes `to_float`."""
    return images.detach().to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def check_split(split: str) -> str:
    """`split` itself, if it is one of "train" and "test"; else ArgumentError."""
    if split not in get_args(Split):
        raise unknown("split", split, get_args(Split))
    return split


def check_at_least(name: str, given: int, least: int) -> int:
    """`given` itself, if it is an integer of at least `least`; else ArgumentError."""
    if not isinstance(given, int | np.integer) or given < least:
        raise ArgumentError(f"{name}={given!r}: must be a whole number, {least} or more.")
    return int(given)
