"""A run in its folder: where it starts, that a resumed run is the same run, and what it leaves as a manifest."""

import datetime
import json
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from vidgen_lab.core import ArgumentError, CheckpointError, Model, Recipe, describe
from vidgen_lab.core.config import to_json
from vidgen_lab.core.manifest import command_line, environment, peak_memory_mb
from vidgen_lab.core.weights import sha256
from vidgen_lab.training.state import load_state, open_folder, read_json, step_folders, write_json


def open_run(
    model: Model,
    recipe: Recipe,
    data: Any,
    optimizers: dict[str, torch.optim.Optimizer],
    out: Path | None,
    seed: int,
    resume: bool,
    accelerator: Accelerator,
) -> tuple[int, dict[str, Any]]:
    """Where the run starts: step 0 of a new run, or the last state of the one in `out`."""
    if out is None:
        if resume:
            raise ArgumentError("resume=True needs out=FOLDER, the folder of the run to go on with.")
        return 0, {}
    folders = step_folders(out)
    finished = out / "model.safetensors"
    if (folders or finished.exists()) and not resume:
        held = folders[-1].name if folders else finished.name
        raise ArgumentError(
            f"{out} already holds a run ({held}). Add --resume to go on with it, or choose another --out "
            "(in Python: resume=True, out=)."
        )
    run = {
        **describe(model),
        "recipe": to_json(recipe),
        "data": None if data is None else type(data).__name__,  # None: as the recipe says
        "seed": seed,
    }
    start, state, lengthened = 0, {}, []
    if folders:
        saved = read_json(out / "run.json")
        _check_same_run(saved, run, out)
        lengthened = saved.get("lengthened", [])
        state = load_state(folders[-1], model, optimizers)
        if state["step"] > recipe.steps:
            raise ArgumentError(f"{out} is at step {state['step']}, beyond steps={recipe.steps}. Ask for more steps.")
        start, saved_by = state["step"], len(state["positions"])
        if saved_by != accelerator.num_processes:
            raise CheckpointError(
                f"{out}: the state was saved by {saved_by} processes; resume it with as many, "
                f"not {accelerator.num_processes}."
            )
        if saved["recipe"]["steps"] != recipe.steps:
            lengthened = [*lengthened, {"at": start, "from": saved["recipe"]["steps"], "to": recipe.steps}]
            if any(optimizer.schedule != "constant" for optimizer in recipe.optimizers.values()):
                warnings.warn(
                    f"{out} was a run of {saved['recipe']['steps']} steps and goes on to {recipe.steps}. Its learning "
                    "rates follow the length, so it will differ from one run of that length.",
                    stacklevel=3,
                )
    if accelerator.is_main_process and resume:
        print(f"{out}: going on from step {start}." if folders else f"{out}: no saved state, so starting at step 0.")
    if accelerator.is_main_process:
        open_folder(out)
        if start < recipe.steps:
            for result in (finished, out / "manifest.json"):  # they would pass for the longer run's
                result.unlink(missing_ok=True)
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        more = {"lengthened": lengthened} if lengthened else {}
        write_json(out / "run.json", {**run, "versions": versions, "processes": accelerator.num_processes, **more})
    accelerator.wait_for_everyone()
    return start, state


def _check_same_run(saved: dict[str, Any], asked: dict[str, Any], out: Path) -> None:
    """A resumed run is the same run; only its length may change."""

    def flat(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
        if isinstance(values, dict):
            for key, value in values.items():
                yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix.rstrip("."), json.dumps(values)

    before = dict(flat({key: saved.get(key) for key in asked}))
    for key, value in flat(asked):
        if before.get(key) != value and key not in ("recipe.steps", "preset"):
            raise ArgumentError(
                f"{out} was trained with {key}={before.get(key)}, not {value}. "
                "Resume with the same, or choose another --out."
            )


class Clock:
    """CPU and wall time of this process, on top of what a resumed run had used before."""

    def __init__(self, cpu: float, wall: float) -> None:
        self._cpu, self._wall = time.process_time() - cpu, time.monotonic() - wall

    def read(self) -> dict[str, float]:
        return {
            "cpu_seconds": round(time.process_time() - self._cpu, 2),
            "wall_seconds": round(time.monotonic() - self._wall, 2),
        }


def manifest(
    out: Path, model: Model, accelerator: Accelerator, clock: Clock, best: dict[str, float] | None
) -> dict[str, Any]:
    """What this run was and what it cost; `vidgen evaluate --json` adds what it is worth."""
    run = read_json(out / "run.json")
    default = type(model).presets.get(model.preset)
    recipe, config = to_json(default.recipe) if default else {}, to_json(default.config) if default else {}
    changed = {
        name: value
        for settings, defaults in ((run["config"], config), (run["recipe"], recipe))
        for name, value in settings.items()
        if defaults.get(name) != value
    }
    values = {
        "model": run["model"],
        "preset": run["preset"],
        "command": command_line(),
        "seed": run["seed"],
        **({"data": run["data"]} if run["data"] else {}),
        "steps": run["recipe"]["steps"],
        "overrides": changed,
        "processes": accelerator.num_processes,
        **environment(accelerator.device),
        **clock.read(),
        "peak_memory_mb": round(peak_memory_mb()),
        "weights_sha256": sha256(out / "model.safetensors"),
        "date": datetime.date.today().isoformat(),
    }
    if accelerator.device.type == "cuda":
        values["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 1e6)
    lengthened = {"lengthened": run["lengthened"]} if "lengthened" in run else {}
    return {**values, **lengthened, **({"best": best} if best else {})}
