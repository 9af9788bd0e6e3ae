"""Optimisers as a recipe states them, their learning rates, and the averaged copy of the weights."""

import math

import torch

from vidgen_lab.core import ArgumentError, Model, Optimizer, Recipe


def build_optimizers(model: Model, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
    """One optimiser for each name that the phases ask for, over the children that they update."""
    children: dict[str, list[str]] = {}
    for phase in model.phases:
        if phase.optimizer_name not in recipe.optimizers:
            raise ArgumentError(
                f'phase "{phase.name}" of {model.name} asks for the optimiser "{phase.optimizer_name}"; '
                f"the recipe has {', '.join(recipe.optimizers)}."
            )
        for child in phase.updates:
            if not any(True for _ in getattr(model, child).parameters()):
                raise ArgumentError(
                    f'phase "{phase.name}" of {model.name} trains "{child}", which holds no weights '
                    "(a file that was saved for sampling only?). Start from create_model, with init_from."
                )
        names = children.setdefault(phase.optimizer_name, [])
        names += [child for child in phase.updates if child not in names]
    built = {}
    for name, updated in children.items():
        settings = recipe.optimizers[name]
        parameters = [p for child in updated for p in getattr(model, child).parameters()]
        common = {"lr": settings.lr, "weight_decay": settings.weight_decay}
        match settings.kind:
            case "adam":
                built[name] = torch.optim.Adam(parameters, betas=settings.betas, fused=True, **common)
            case "adamw":
                built[name] = torch.optim.AdamW(parameters, betas=settings.betas, fused=True, **common)
            case "rmsprop":
                built[name] = torch.optim.RMSprop(parameters, **common)
            case "sgd":
                built[name] = torch.optim.SGD(parameters, **common)
    return built


def set_learning_rate(optimizer: torch.optim.Optimizer, settings: Optimizer, step: int, steps: int) -> None:
    """Sets the rate of this step: warm-up, then constant, linear or cosine to `final_lr`."""
    progress = min(1.0, max(0, step - settings.warmup) / max(1, steps - settings.warmup))
    left = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[
        settings.schedule
    ]
    rate = settings.final_lr + (settings.lr - settings.final_lr) * left
    if step < settings.warmup:
        rate = settings.lr * (step + 1) / settings.warmup
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def update_average(model: Model, decay: float) -> None:
    """Moves the averaged parameters towards the live ones; copies buffers and integers."""
    live, parameters = model.averaged_tensors(), dict(model.named_parameters())
    moved = [name for name in live if name in parameters]
    torch._foreach_lerp_(
        [model.ema[name] for name in moved], [live[name] for name in moved], 1 - decay
    )  # eq. (gan-ema)
    for name in live.keys() - moved:
        model.ema[name].copy_(live[name])
