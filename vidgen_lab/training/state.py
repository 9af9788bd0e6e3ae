"""State of a run on disk: whole or not there, hashed, no pickle.

out/run.json                        what is being trained: model, config, recipe, seed, versions
out/checkpoints/step-00000100/      model, averaged weights, optimisers (safetensors) and state.json with their SHA-256,
                                    and with its own
out/model.safetensors               the finished model, one file that samples
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core import CheckpointError, Model, NonFiniteError
from vidgen_lab.core.weights import (
    TEMPORARY,
    disk_message,
    load_tensors,
    read_tensors,
    sha256,
    write_atomically,
    write_tensors,
)

KEEP = 2  # latest states that stay on disk


def step_folders(out: Path) -> list[Path]:
    """Folders of saved states, oldest first."""
    return sorted((out / "checkpoints").glob("step-*"))


def open_folder(out: Path) -> None:
    """Makes the folders of a run and removes what a killed process had half written. CheckpointError if it cannot."""
    try:
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        for leftover in [*out.glob(f"{TEMPORARY}*"), *(out / "checkpoints").glob(f"{TEMPORARY}*")]:
            shutil.rmtree(leftover)
    except OSError as error:
        raise CheckpointError(disk_message(out / "checkpoints", error)) from error


def write_json(path: Path, values: dict[str, Any]) -> None:
    """JSON into one file, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(json.dumps(values, indent=1) + "\n"))


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote. CheckpointError names the path and the reason."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}.") from error


def save_state(
    out: Path, step: int, model: Model, optimizers: dict[str, torch.optim.Optimizer], extra: dict[str, Any]
) -> Path:
    """Writes the state after `step` steps and removes states older than the last two (and the best).

    Raises:
        NonFiniteError: a weight is NaN or infinite; nothing is written, so that the last good state stays the last.
        CheckpointError: the folder cannot be written.
    """
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise NonFiniteError(f"step {step}: weight {name} is not finite; not saved. {last_good(out)}")
    folder = out / "checkpoints" / f"step-{step:08d}"
    if folder.exists():
        return folder

    def write(target: Path) -> None:
        target.mkdir()
        tensors, numbers = _pack_optimizers(optimizers)
        parts = {"model": model.state_dict(), "ema": model.ema or {}, "optimizers": tensors}
        for name, part in parts.items():
            if part:
                write_tensors(part, target / f"{name}.safetensors")
        files = {file.name: sha256(file) for file in sorted(target.iterdir())}
        state = {"step": step, "files": files, "optimizers": numbers, **extra}
        (target / "state.json").write_text(json.dumps({**state, "sha256": _seal(state)}, indent=1) + "\n")

    write_atomically(folder, write)
    best = (extra.get("best") or {}).get("step")
    for old in step_folders(out)[:-KEEP]:
        if old.name != f"step-{best or 0:08d}":
            shutil.rmtree(old.rename(old.with_name(TEMPORARY + old.name)))  # killed here, it is no state any more
    return folder


def load_state(
    folder: Path, model: Model, optimizers: dict[str, torch.optim.Optimizer] | None = None
) -> dict[str, Any]:
    """Restores model, averaged weights and optimisers; returns state.json.

    Raises:
        CheckpointError: a file is missing, truncated or not what its hash says, or belongs to another model.
    """
    advice = f"Delete {folder} to go on from an older state."
    try:
        state = json.loads((folder / "state.json").read_text())
        whole = state.pop("sha256") == _seal(state)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"cannot read {folder / 'state.json'}: {error}. {advice}") from error
    if not whole:
        raise CheckpointError(f"{folder / 'state.json'} was changed: it does not match its own SHA-256. {advice}")
    for name, expected in state["files"].items():
        file = folder / name
        if not file.is_file():
            raise CheckpointError(f"{file} is missing. {advice}")
        if sha256(file) != expected:
            raise CheckpointError(
                f"{file} is damaged or was changed: its SHA-256 is not the one in state.json. {advice}"
            )
    parts = {name.removesuffix(".safetensors"): read_tensors(folder / name)[0] for name in state["files"]}
    load_tensors(model, parts["model"], folder)
    if "ema" in parts:
        model.ema = {name: tensor.to(model.device) for name, tensor in parts["ema"].items()}
    if optimizers is not None:
        _unpack_optimizers(optimizers, parts.get("optimizers", {}), state["optimizers"])
    return state


def last_good(out: Path | None) -> str:
    """A sentence that says where the last good state is."""
    folders = step_folders(out) if out else []
    return f"The last good state is {folders[-1]}." if folders else "No state had been saved before."


def _seal(state: dict[str, Any]) -> str:
    """SHA-256 of the scalars, so that a changed state.json is noticed too."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _pack_optimizers(optimizers: dict[str, torch.optim.Optimizer]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, numbers = {}, {}
    for name, optimizer in optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}/{index}/{key}"] = value
                else:
                    numbers[f"{name}/{index}/{key}"] = value
    return tensors, numbers


def _unpack_optimizers(
    optimizers: dict[str, torch.optim.Optimizer], tensors: dict[str, Tensor], numbers: dict[str, Any]
) -> None:
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Any]] = {}
        for path, value in {**tensors, **numbers}.items():
            owner, index, key = path.rsplit("/", 2)
            if owner == name:
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
