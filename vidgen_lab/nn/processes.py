"""Sums over the processes of a run. A statistic that a model keeps must be that of the whole batch, in each of them."""

from torch import Tensor, distributed


def processes() -> int:
    """How many processes share the batch; 1 outside torch.distributed."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if processes() > 1 else 0


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum over all processes, in place; the same in each."""
    if processes() > 1:
        distributed.all_reduce(tensor)
    return tensor
