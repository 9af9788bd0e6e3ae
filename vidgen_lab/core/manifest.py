"""What a number needs beside it to be believed: command, device, versions, time, memory."""

import platform
import re
import resource
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Device and versions, for a manifest."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    packages = ("vidgen-lab", "torch", "numpy", "accelerate")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a checkout that was not installed
            continue
    return {"device": name, "threads": torch.get_num_threads(), "versions": versions}


def peak_memory_mb() -> float:
    """The most memory that this process held so far, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists() and (held := re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(held[1]) * 1024 / 1e6  # Linux; getrusage would count what the process that started this one held
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def command_line() -> str:
    """The command that runs now, as a user would type it."""
    program = sys.argv[0].rsplit("/", 1)[-1]
    return shlex.join(["vidgen" if program == "__main__.py" else program, *sys.argv[1:]])
