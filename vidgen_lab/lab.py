"""The start of every lab: which preset, which device, which versions; and a seed."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version

import torch

from vidgen_lab.core.errors import unknown

PRESETS = ("ci", "gpu", "board", "paper")
CPU_PRESETS = ("ci", "board")  # their budgets are CPU-seconds on one thread


@dataclass(frozen=True)
class Setup:
    """What a lab runs with."""

    preset: str  # one of PRESETS
    device: torch.device


def setup(preset: str | None = None, seed: int = 0) -> Setup:
    """Choose preset and device, seed torch, and print what was chosen and why.

    The preset is the argument, or the environment variable VIDGEN_PRESET, or `gpu` where torch finds a GPU, else `ci`.
    `ci` and `board` run on one CPU thread wherever they are, so that they give the same numbers everywhere.
    Raises ArgumentError for a preset that does not exist.
    """
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    wanted = os.environ.get("VIDGEN_PRESET") or None
    if preset is not None:
        why = "as the call says"
    elif wanted is not None:
        preset, why = wanted, "as VIDGEN_PRESET says"
    elif gpu:
        preset, why = "gpu", "there is a GPU"
    else:
        preset, why = "ci", "there is no GPU, so everything is small"
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS, 'Say vidgen_lab.setup("ci"), or set VIDGEN_PRESET.')
    device = torch.device("cuda" if gpu and preset not in CPU_PRESETS else "cpu")
    if preset in CPU_PRESETS:
        torch.set_num_threads(1)
    torch.manual_seed(seed)
    names = ("vidgen-lab", "torch", "numpy")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names))
    print(f"device: {gpu if device.type == 'cuda' else 'CPU'}; torch threads: {torch.get_num_threads()}")
    print(f"preset: {preset} ({why}); seed: {seed}")
    if device.type == "cpu" and preset not in CPU_PRESETS:
        print(f"warning: preset {preset} is made for a GPU, and torch finds none. On a CPU it can take days.")
    return Setup(preset, device)
