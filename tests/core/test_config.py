import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vidgen_lab.core import ArgumentError, DataConfig, Optimizer, Preset, Recipe
from vidgen_lab.core.config import from_json, to_json


@dataclass(frozen=True)
class Sizes:
    width: int = 4
    widths: tuple[int, ...] = (8, 8)
    pair: tuple[int, str] = (1, "a")
    inner: Optimizer | None = None
    folder: Path | None = None
    by_name: dict[str, tuple[float, ...]] = field(default_factory=dict)


RECIPE = Recipe(
    data=DataConfig("films", path=Path("some/where"), color=True),
    batch_size=12,
    optimizers={"a": Optimizer("adamw", lr=1e-3, betas=(0.0, 0.9), schedule="cosine", warmup=5), "b": Optimizer("sgd")},
    clip_norm=1.0,
    ema_decay=0.99,
    precision="bf16",
    accumulate=3,
)


def test_a_recipe_and_a_config_survive_the_way_through_json():
    config = Sizes(3, (1, 2, 3), (7, "b"), Optimizer(lr=0.5), Path("x/y"), {"k": (0.5, 2.0)})
    for settings in (RECIPE, Recipe(), config, Sizes()):
        assert from_json(type(settings), json.loads(json.dumps(to_json(settings)))) == settings


def test_json_with_a_field_that_no_longer_exists_is_refused_by_name():
    with pytest.raises(ArgumentError, match='no field of Sizes "widht"; did you mean "width"'):
        from_json(Sizes, {"widht": 3})


def test_an_override_goes_to_the_config_or_to_the_recipe():
    preset = Preset(Sizes(), RECIPE, note="kept").override(width=9, batch_size=24, steps=5)
    assert preset == Preset(Sizes(width=9), replace(RECIPE, batch_size=24, steps=5), "kept")


def test_an_override_that_neither_has_is_refused_with_the_nearest():
    with pytest.raises(ArgumentError, match='no setting "batchsize"; did you mean "batch_size"'):
        Preset(Sizes(), RECIPE).override(batchsize=3)


def test_a_config_may_not_share_a_name_with_the_recipe():
    @dataclass(frozen=True)
    class Diffusion:
        steps: int = 100

    with pytest.raises(ArgumentError, match="Diffusion has a field steps, and so has Recipe"):
        Preset(Diffusion(), Recipe())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: Optimizer(lr=0.0), r"lr=0.0: the learning rate must be above 0"),
        (lambda: Optimizer(lr=float("nan")), r"lr=nan"),
        (lambda: Optimizer(betas=(0.5, 1.0)), r"betas=\(0.5, 1.0\): both must be at least 0 and below 1"),
        (lambda: Optimizer(warmup=-1), r"warmup=-1: must be 0 or more"),
        (lambda: Recipe(steps=0), r"steps=0: must be 1 or more"),
        (lambda: Recipe(batch_size=-4), r"batch_size=-4: must be 1 or more"),
        (lambda: Recipe(batch_size=10, accumulate=4), r"accumulate=4 does not divide batch_size=10. Nearest: batch_"),
        (lambda: Recipe(ema_decay=1.0), r"ema_decay=1.0: must be at least 0 and below 1"),
        (lambda: Recipe(clip_norm=-1.0), r"clip_norm=-1.0: must be above 0, or None"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ArgumentError, match=message):
        settings()
