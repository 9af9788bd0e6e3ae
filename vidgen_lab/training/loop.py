"""The training loop, for every model and any number of processes.

One step takes one batch through the model's phases. A phase runs the model forward on each micro-batch, sums the
gradients and takes one optimiser step. Everything random comes from (seed, step), so that a run killed at any moment
and resumed ends with the very same weights.

    python train.py                              one process
    torchrun --nproc_per_node 4 train.py         four, with a quarter of each batch
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from torch import Tensor

from vidgen_lab.core import (
    ArgumentError,
    Batch,
    CheckpointError,
    DataConfig,
    Draw,
    Losses,
    Model,
    NonFiniteError,
    Recipe,
    fold,
    read_weights,
    write_weights,
)
from vidgen_lab.data import build
from vidgen_lab.data.loader import batches
from vidgen_lab.training.log import History, RunLog
from vidgen_lab.training.optim import build_optimizers, set_learning_rate, update_average
from vidgen_lab.training.run import Clock, manifest, open_run
from vidgen_lab.training.state import last_good, load_state, save_state, write_json


def fit(
    model: Model,
    data: Any = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = False,
    save_every: int | None = None,
    init_from: Path | str | None = None,
    device: str | None = None,
    callback: Callable[[int, Model, dict[str, float]], None] | None = None,
    progress: bool = True,
    workers: int = 0,
) -> History:
    """Trains the model in place and returns one record of losses a step.

    Args:
        model: with a recipe (`create_model` gives one).
        data: a data set, a DataConfig, or None for the recipe's.
        steps: length of the run; None: as the recipe says.
        seed: of the data order and of every draw.
        out: folder for states, logs, sample grids and the finished model; None: nothing is written.
        resume: go on from the last state in `out`; with none there, start at step 0.
        save_every: steps between states; None: a tenth of the run. The last step is always saved.
        init_from: weights file or run folder; tensors of equal name and shape are taken from it before step 0.
        device: "cpu", or None for what accelerate finds (a GPU where there is one).
        callback: called after each step, on the main process, with (step, model, record).
        progress: show a bar.
        workers: processes that prepare batches; 0: this one.

    Raises:
        ArgumentError: settings that cannot work.
        NonFiniteError: a loss became NaN or infinite; weights are as before that phase, the last good state is kept.
        CheckpointError: a state cannot be written or read.
    """
    if model.recipe is None:
        raise ArgumentError(f'{model.name} has no recipe. Build it with create_model("{model.name}", preset="ci").')
    if not model.phases:
        raise ArgumentError(f"{model.name} lists no phases: there is nothing to train.")
    for child, name in model.stands_on.items():
        if not getattr(model, child).trained:
            raise ArgumentError(
                f"the {child} of {model.name} is untrained. Train one (vidgen train {name} --out runs/{name}) "
                f"and give it: --{child} runs/{name}."
            )
    recipe = model.recipe if steps is None else replace(model.recipe, steps=steps)
    if isinstance(data, DataConfig):
        recipe, data = replace(recipe, data=data), None
    out = Path(out) if out is not None else None
    save_every = max(1, recipe.steps // 10) if save_every is None else save_every
    if save_every < 1:
        raise ArgumentError(f"save_every={save_every}: must be 1 step or more, or None for a tenth of the run.")
    accelerator = _accelerator(recipe, device)
    rank, world = accelerator.process_index, accelerator.num_processes
    if recipe.batch_size % (world * recipe.accumulate):
        raise ArgumentError(
            f"batch_size={recipe.batch_size} cannot be split over {world} processes and {recipe.accumulate} "
            f"micro-batches. Use a multiple of {world * recipe.accumulate}."
        )

    model.to(accelerator.device)
    if init_from is not None:
        initialise(model, init_from)
    if recipe.ema_decay is None:
        model.ema = None
    elif model.ema is None or init_from is not None:
        model.ema = {name: tensor.detach().clone() for name, tensor in model.averaged_tensors().items()}
    optimizers = build_optimizers(model, recipe)
    start, state = open_run(model, recipe, data, optimizers, out, seed, resume, accelerator)
    dataset = build(recipe.data) if data is None else data
    positions = state.get("positions")
    stream = batches(
        dataset,
        recipe.batch_size,
        seed=seed,
        start=positions[rank] if positions else None,
        rank=rank,
        world=world,
        workers=workers,
    )
    held_out = _held_out(model, data, recipe, seed) if model.validates and out is not None else None
    _all_gradients_on(model)  # whatever was run before: DDP leaves out what needs no gradient now
    wrapped, *prepared = accelerator.prepare(model, *optimizers.values())
    # accelerate's wrapper matters to fp16 only, and costs a tenth of a small step: it looks for a package each time.
    stepping = dict(zip(optimizers, prepared, strict=True)) if recipe.precision == "fp16" else optimizers
    best = state.get("best")
    backward = accelerator.backward if recipe.precision == "fp16" else Tensor.backward  # fp16 scales its losses
    clock = Clock(state.get("cpu_seconds", 0.0), state.get("wall_seconds", 0.0))

    with contextlib.ExitStack() as ending:
        ending.callback(_unwrap, model, wrapped, accelerator)
        log = RunLog(out, start, recipe.steps, f"{model.name}/{model.preset}", progress) if rank == 0 else None
        if log:
            ending.enter_context(log)
        model.train()
        for step in range(start, recipe.steps):
            batch = _to_device(next(stream), accelerator.device)
            record: dict[str, float] = {"step": step}
            updated: set[str] = set()
            for phase in model.phases:
                if step % phase.every:
                    continue
                name = phase.optimizer_name
                set_learning_rate(stepping[name], recipe.optimizers[name], step, recipe.steps)
                for micro in range(recipe.accumulate):
                    _reseed(fold(seed, step, phase.name, rank, micro), accelerator.device)  # dropout repeats on resume
                    draw = Draw(
                        seed, step, recipe.steps,
                        shard=rank * recipe.accumulate + micro, shards=world * recipe.accumulate,
                        device=str(accelerator.device),
                    )  # fmt: skip
                    last = micro == recipe.accumulate - 1
                    with contextlib.nullcontext() if last else accelerator.no_sync(wrapped):
                        losses = wrapped(phase.name, _rows(batch, micro, recipe.accumulate), draw)
                        _add_to_record(record, phase.name, losses, accelerator, recipe.accumulate)
                        _check_finite(record, phase.name, step, out)
                        backward(losses.total / recipe.accumulate)
                if recipe.clip_norm is not None:
                    accelerator.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], recipe.clip_norm)
                stepping[name].step()
                stepping[name].zero_grad()
                model.after_step(phase.name, draw.at(phase.name))
                updated.update(phase.updates)
            if recipe.ema_decay is not None and updated & set(model.averaged):
                update_average(model, min(recipe.ema_decay, (1 + step) / (10 + step)))
            if log:
                log.step(record)
                if callback:
                    callback(step, model, record)
            if out is not None and ((step + 1) % save_every == 0 or step + 1 == recipe.steps):
                if held_out is not None:
                    best = _validate(model, held_out, accelerator, seed, step + 1, best)
                extra = {"best": best, "positions": gather_object([stream.position]), **clock.read()}
                if log:
                    save_state(out, step + 1, model, optimizers, extra)
                    log.samples(model, step + 1, out)
                accelerator.wait_for_everyone()
    model.trained = True
    if out is not None and best and best["step"] != recipe.steps:
        load_state(out / "checkpoints" / f"step-{best['step']:08d}", model)
    if out is not None and rank == 0:
        write_weights(model, out / "model.safetensors")
        write_json(out / "manifest.json", manifest(out, model, accelerator, clock, best))
    return log.history if log else []


def initialise(model: Model, source: Path | str) -> list[str]:
    """Takes every tensor of equal name and shape from a weights file or a finished run; returns the names taken.

    A network that grows is trained by several `fit` calls, each starting from the one before.
    """
    path = Path(source) / "model.safetensors" if Path(source).is_dir() else Path(source)
    own = model.state_dict()
    taken = {name: t for name, t in read_weights(path).tensors.items() if name in own and own[name].shape == t.shape}
    if not taken:
        raise CheckpointError(
            f"{path} shares no tensor of equal name and shape with {model.name}. Choose another init_from."
        )
    model.load_state_dict({**own, **taken})
    return sorted(taken)


def _accelerator(recipe: Recipe, device: str | None) -> Accelerator:
    if device not in (None, "cpu", "cuda", "mps"):
        raise ArgumentError(f'device="{device}": use "cpu", or leave it out to take the GPU where there is one.')
    if device in ("cuda", "mps") and not getattr(torch, device if device == "cuda" else "mps").is_available():
        raise ArgumentError(f'device="{device}": this machine has none. Use device="cpu".')
    if AcceleratorState._shared_state:  # a second run in one process may want another precision or device
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision=recipe.precision,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if recipe.precision == "fp16" and accelerator.device.type == "cpu":
        raise ArgumentError('precision="fp16": a CPU cannot train in it. Use precision="bf16" or "no".')
    return accelerator


def _unwrap(model: Model, wrapped: torch.nn.Module, accelerator: Accelerator) -> None:
    """Takes the mixed-precision wrapper off again and lets gradients flow as before the run."""
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    model._is_accelerate_prepared = False  # else a second `fit` of the same model would stay in fp32
    _all_gradients_on(model)


def _all_gradients_on(model: Model) -> None:
    """For all networks but the frozen ones."""
    for name, child in model.named_children():
        child.requires_grad_(name not in model.frozen)


def _reseed(seed: int, device: torch.device) -> None:
    """torch.manual_seed without its search for devices that this run does not use (1 ms a call)."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        module = torch.get_device_module(device)
        getattr(module, "manual_seed_all", module.manual_seed)(seed)


def _to_device(batch: Batch, device: torch.device) -> dict[str, Any]:
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}


def _rows(batch: dict[str, Any], micro: int, micros: int) -> dict[str, Any]:
    """The rows of one micro-batch."""
    if micros == 1:
        return batch
    rows = {key: len(value) // micros for key, value in batch.items()}
    return {key: value[micro * rows[key] : (micro + 1) * rows[key]] for key, value in batch.items()}


def _add_to_record(record: dict[str, float], phase: str, losses: Losses, accelerator: Accelerator, micros: int) -> None:
    """Adds this micro-batch's share to the record: means over processes and micro-batches."""
    numbers = {**losses.terms, **losses.log}
    values = torch.stack([value.detach().float() for value in numbers.values()]) / micros
    for name, value in zip(numbers, accelerator.reduce(values, "mean").tolist(), strict=True):
        record[f"{phase}/{name}"] = record.get(f"{phase}/{name}", 0.0) + value


def _check_finite(record: dict[str, float], phase: str, step: int, out: Path | None) -> None:
    for name, value in record.items():
        if not math.isfinite(value):
            raise NonFiniteError(
                f"step {step}: {name} is {value}; stopped before the {phase} update. {last_good(out)} "
                "Lower the learning rate, add clip_norm, or train without mixed precision."
            )


def _held_out(model: Model, data: Any, recipe: Recipe, seed: int) -> list[Batch]:
    """Up to four batches that validation sees each time."""
    if data is not None:
        raise ArgumentError(
            f"{model.name} keeps the best state by a held-out loss: give data as a DataConfig, which has a test split."
        )
    dataset = build(recipe.data, split="test")
    stream = batches(dataset, min(recipe.batch_size, len(dataset)), seed=seed)
    return [next(stream) for _ in range(4)]


def _validate(
    model: Model, batches: list[Batch], accelerator: Accelerator, seed: int, step: int, best: dict[str, float] | None
) -> dict[str, float]:
    """The better of `best` and now, by the mean held-out loss (the same batches and draws each time)."""
    with model.inference():
        values = [
            float(
                model.validation_loss(
                    _to_device(batch, accelerator.device),
                    Draw(seed, i, device=str(accelerator.device)).at("validation"),
                )
            )
            for i, batch in enumerate(batches)
        ]
    value = sum(values) / len(values)
    return {"step": step, "value": value} if best is None or value < best["value"] else best
