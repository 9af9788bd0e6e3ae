"""Run by test_processes.py: once as one process, once under torchrun as two. Each writes what it ended with.

python -m torch.distributed.run --standalone --nproc_per_node 2 two_processes.py FOLDER
"""

import json
import os
import sys
from pathlib import Path

import torch

from vidgen_lab import create_model, fit
from vidgen_lab.core import ArgumentError, NonFiniteError, Optimizer, write_weights
from vidgen_lab.data import Ring

SIZES = {"generator_widths": (16,), "discriminator_widths": (16,), "batch_size": 32}
STEPS = 50


def train(folder: Path | None, steps: int = STEPS, *, options: dict | None = None, **overrides):
    """A GAN with R1 and averaged weights on ring points; the whole batch is 32 however many processes share it."""
    model = create_model("gan", "ring", **{**SIZES, "r1": 0.5, "ema_decay": 0.9, **overrides})
    options = {"save_every": 20, **(options or {})}
    history = fit(model, out=folder, steps=steps, device="cpu", progress=False, **options)
    return model, history


def shared_optimiser(folder: Path):
    """Both phases on one AdamW with weight decay: a network that a phase leaves out must not decay in it."""
    model = create_model("gan", "ring", **SIZES)
    model.phases = tuple(type(p)(p.name, p.updates, optimizer="both") for p in model.phases)
    model.recipe = type(model.recipe)(
        model.recipe.data, 32, 20, {"both": Optimizer("adamw", lr=1e-2, weight_decay=0.5)}
    )
    fit(model, device="cpu", progress=False)
    return model


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    model, _ = train(folder / "run")
    ends = [p.detach().flatten() for p in model.parameters()] + [t.flatten() for t in model.ema.values()]
    models = {
        "accumulated": train(None, accumulate=2)[0],
        "shared": shared_optimiser(folder),
    }
    if rank == 0:
        for name, other in models.items():
            write_weights(other, folder / f"{name}.safetensors")

    train(folder / "resumed", steps=20)
    train(folder / "resumed", options={"resume": True})

    said = {}
    try:
        train(None, steps=1, batch_size=31)
    except ArgumentError as error:
        said["odd"] = str(error)

    class OneSidedNaN(Ring):
        """Only the rows of the second half of the batch turn bad: one of two processes would notice by itself."""

        def __getitems__(self, indices):
            batch = super().__getitems__(indices)
            if rank == world - 1:
                batch["points"][-1] = float("nan")
            return batch

    try:
        train(None, steps=3, options={"data": OneSidedNaN()})
    except NonFiniteError as error:
        said["nan"] = str(error)

    vector = torch.cat(ends)
    spread = 0.0
    if world > 1:
        highest, lowest = vector.clone(), vector.clone()
        torch.distributed.all_reduce(highest, torch.distributed.ReduceOp.MAX)
        torch.distributed.all_reduce(lowest, torch.distributed.ReduceOp.MIN)
        spread = (highest - lowest).abs().max().item()
    report = {"world": world, "spread": spread, **said}
    (folder / f"rank-{rank}.json").write_text(json.dumps(report))
    if world > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
