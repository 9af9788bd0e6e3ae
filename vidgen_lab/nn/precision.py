"""Where 16 bits are too few."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager:
    """Inside, layers compute on x's device without mixed precision: `with full_precision(x):`.

    Inputs that come in 16 bits stay so until they are cast. The meta device has no mixed precision to leave.
    """
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
