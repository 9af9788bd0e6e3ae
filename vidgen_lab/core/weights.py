"""Weights on disk: safetensors with a JSON header that says which model they are. Never a pickle, never half a file."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vidgen_lab.core.errors import CheckpointError, unknown
from vidgen_lab.core.model import Model, describe

FORMAT = "vidgen_lab 1"
TEMPORARY = ".writing-"  # what a name begins with until its content is whole


@dataclass(frozen=True)
class Weights:
    """What a weights file holds: its tensors, and as JSON values what `describe` says of the model."""

    path: Path
    description: dict[str, Any]
    tensors: dict[str, Tensor]


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` on a temporary path beside `path`, flushes it to disk and renames it. `path` is whole or untouched.

    `write` may make a file or a folder; a folder must not exist yet.

    Raises:
        CheckpointError: the disk is full, the folder is read-only, or the path is no folder; says what to do.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
        target = temporary / path.name
        write(target)
        for file in [target] if target.is_file() else target.rglob("*"):
            if file.is_file():
                with open(file, "rb+") as handle:
                    os.fsync(handle.fileno())
        os.replace(target, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(disk_message(path, error)) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def disk_message(path: Path, error: Exception) -> str:
    """Why `path` could not be written, the room that is left there, and what to do."""
    place = next(parent for parent in path.parents if parent.exists())
    room = f"{place} has {shutil.disk_usage(place).free / 1e6:.0f} MB free" if place.is_dir() else f"{place} is a file"
    return (
        f"cannot write {path}: {error}; {room}. Nothing half-written was left. "
        "Free some space, or choose another folder that you may write to."
    )


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Tensors into one safetensors file; the same tensors give the same bytes."""
    content = save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, metadata)
    start = 8 + int.from_bytes(content[:8], "little")  # a length, a JSON header, the tensors
    header = json.dumps(json.loads(content[8:start]), sort_keys=True).encode()  # save leaves metadata in any order
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(memoryview(content)[start:])


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. CheckpointError names the path and the reason."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"no file {path}.") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot read {path}: {error}. The file is damaged or no safetensors file; use another copy."
        ) from error


def write_weights(
    model: Model, path: Path | str, *, half: bool = False, children: tuple[str, ...] | None = None
) -> None:
    """The model as one file that samples: averaged weights where there are any.

    Args:
        half: store floats as fp16.
        children: only these networks (a generator without its discriminator); None: all.
    """
    path = Path(path)
    names = [name for name, _ in model.named_children()]
    for child in children or ():
        if child not in names:
            raise unknown("network", child, names)
    with model.averaged_weights():
        tensors = {
            name: tensor.half() if half and tensor.is_floating_point() else tensor.clone()
            for name, tensor in model.state_dict().items()
            if children is None or name.split(".")[0] in children
        }
    metadata = {"format": FORMAT, "description": json.dumps(describe(model))}
    write_atomically(path, lambda temporary: write_tensors(tensors, temporary, metadata))


def read_weights(path: Path | str) -> Weights:
    """What `write_weights` wrote; floats come back as float32."""
    path = Path(path)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f'{path} is not a weights file of this package (format "{metadata.get("format")}", expected "{FORMAT}").'
        )
    try:
        return Weights(
            path=path,
            description=json.loads(metadata["description"]),
            tensors={name: t.float() if t.dtype == torch.float16 else t for name, t in tensors.items()},
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged header ({error}); use another copy.") from error


def load_tensors(model: Model, tensors: dict[str, Tensor], path: Path) -> None:
    """Puts tensors read from `path` into the model. CheckpointError where names or shapes are not the model's."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit this {model.name}: {' '.join(str(error).split())}") from error
