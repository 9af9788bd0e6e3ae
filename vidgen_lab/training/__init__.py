"""One loop that trains every model: on one CPU thread, one GPU, or many under torchrun."""

from vidgen_lab.training.bench import benchmark
from vidgen_lab.training.log import History, read_log
from vidgen_lab.training.loop import fit, initialise
from vidgen_lab.training.optim import build_optimizers, set_learning_rate, update_average

__all__ = [
    "History",
    "benchmark",
    "build_optimizers",
    "fit",
    "initialise",
    "read_log",
    "set_learning_rate",
    "update_average",
]
