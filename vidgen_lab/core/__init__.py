"""The interface that every model offers: config and presets, phases, draw, losses, sampling, weights, errors."""

from vidgen_lab.core.config import DataConfig, Optimizer, Preset, Recipe
from vidgen_lab.core.draw import Draw, fold
from vidgen_lab.core.errors import (
    ArgumentError,
    CheckpointError,
    DataError,
    NonFiniteError,
    VidgenError,
    unknown,
)
from vidgen_lab.core.model import Batch, Losses, Model, Phase, count_parameters, describe, latent_normal
from vidgen_lab.core.weights import read_weights, write_weights

__all__ = [
    "ArgumentError",
    "Batch",
    "CheckpointError",
    "DataConfig",
    "DataError",
    "Draw",
    "Losses",
    "Model",
    "NonFiniteError",
    "Optimizer",
    "Phase",
    "Preset",
    "Recipe",
    "VidgenError",
    "count_parameters",
    "describe",
    "fold",
    "latent_normal",
    "read_weights",
    "unknown",
    "write_weights",
]
