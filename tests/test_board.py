"""A row of the leaderboard, made from end to end with a clip model that trains in no time."""

import json
from dataclasses import dataclass, replace

import pytest
import torch
import vidgen_book
from torch import nn

from vidgen_lab import board, cli, zoo
from vidgen_lab.core import ArgumentError, DataConfig, Losses, Model, Optimizer, Phase, Preset, Recipe
from vidgen_lab.data import MovingDigits

N = 256  # the fewest clips that FVD-digits takes


@dataclass(frozen=True)
class NoisyConfig:
    noise: float = 0.5  # of its samples


RECIPE = Recipe(board.DATA, 4, 2, {"main": Optimizer(lr=1e-2)})


class Below(Model):
    """What `Noisy` stands on."""

    name, output = "mini-below", "codes"
    phases = (Phase("line", updates=("line",), optimizer="main"),)
    presets = {"board": Preset(NoisyConfig(), replace(RECIPE, steps=3))}

    def __init__(self, config, recipe=None):
        super().__init__(config, recipe)
        self.line = nn.Linear(1, 1)

    def line_loss(self, batch, draw):
        return Losses({"line": self.line(batch["video"].mean().view(1, 1)).square().mean()})


class Noisy(Below):
    """Shows training clips under noise, a little more of it for each seed's weight."""

    name, output = "mini-noisy", "video"
    presets = {"board": Preset(NoisyConfig(), RECIPE), "other": Preset(NoisyConfig(), RECIPE)}

    def _sample(self, n, frames, condition, generator):
        start = int(torch.randint(10_000, (), generator=generator))
        clips = MovingDigits(seed=3).__getitems__(list(range(start, start + n)))["video"]
        noise = self.config.noise + self.line.bias.abs().item()
        return (clips + noise * torch.randn(clips.shape, generator=generator)).clamp(-1, 1)


class OnTop(Noisy):
    """The same on a stage below; it takes captions."""

    name, conditions = "mini-top", ("caption",)
    stands_on = {"tokenizer": "mini-below"}

    def __init__(self, config, recipe=None, *, tokenizer):
        super().__init__(config, recipe)
        self.tokenizer = tokenizer


def register(patch: pytest.MonkeyPatch) -> None:
    """Gives the models above their rows in the zoo."""
    for cls in (Below, Noisy, OnTop):
        patch.setitem(zoo.ENTRIES, cls.name, zoo.Entry(cls.name, f"{__name__}:{cls.__name__}", "", "t", "t"))


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    register(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the terminal has put a row and its runs."""
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        words = ["--seeds", "2", "--n", str(N), "--out", str(folder / "board"), "--runs", str(folder / "runs")]
        assert cli.main(["bench", "--board", "mini-top", *words]) == 0
    return folder


@pytest.fixture
def made(folder) -> dict:
    """The row's manifest."""
    return json.loads((folder / "board-mini-top.json").read_text())


def test_a_row_holds_every_seed_with_its_cost_and_its_scores(made):
    assert (made["model"], made["preset"], made["captioned"]) == ("mini-top", "board", True)
    assert made["steps"] == 2 and made["threads"] == 1 and made["budget_cpu_seconds"] == 300
    assert [run["seed"] for run in made["seeds"]] == [0, 1]
    assert made["parameters"] == {"line": 2, "tokenizer": 2}
    scores = [run["metrics"]["FVD-digits"] for run in made["seeds"]]
    assert all(score["value"] > 5 * score["real"] > 0 for score in scores), "noise is far from real clips"
    assert scores[0]["value"] != scores[1]["value"], "each seed trains its own weights"


def test_what_a_model_stands_on_is_trained_for_each_seed_and_counts_towards_the_budget(made, folder):
    for run in made["seeds"]:
        own, below = (folder / "runs" / "mini-top" / f"seed-{run['seed']}{part}" for part in ("", "-tokenizer"))
        own, below = (json.loads((path / "manifest.json").read_text()) for path in (own, below))
        assert (own["model"], own["steps"], own["seed"]) == ("mini-top", 2, run["seed"])
        assert (below["model"], below["steps"], below["seed"]) == ("mini-below", 3, run["seed"])
        assert run["cpu_seconds"] == pytest.approx(own["cpu_seconds"] + below["cpu_seconds"], abs=0.01)
        assert run["weights_sha256"] == own["weights_sha256"]
        trained = zoo.load_model(folder / "runs" / "mini-top" / f"seed-{run['seed']}")
        fresh = zoo.create_model("mini-top", "board", seed=run["seed"])
        assert trained.line.weight.item() == pytest.approx(fresh.line.weight.item(), abs=0.03), "two steps of 0.01"


def test_all_seeds_are_measured_under_one_protocol(made):
    first, second = (run["metrics"]["FVD-digits"]["protocol"] for run in made["seeds"])
    assert first == second and first["samples"] == N and (first["frames"], first["size"]) == (16, 32)


def test_the_page_ranks_a_new_row_by_its_distance(made):
    made["seeds"].append(made["seeds"][0])  # the page asks for three
    worse = json.loads(json.dumps(made)) | {"model": "mini-worse"}
    for run in worse["seeds"]:
        run["metrics"]["FVD-digits"]["value"] += 1
    ranked = vidgen_book.ranked([worse, made])
    assert [row["model"] for row in ranked] == ["mini-top", "mini-worse"]
    worse["seeds"][1]["metrics"]["FVD-digits"]["protocol"]["frames"] = 8
    with pytest.raises(vidgen_book.ResultError, match="mini-worse.*frames"):
        vidgen_book.ranked([worse, made])


def test_a_run_over_the_budget_gives_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "BUDGET", 0)
    with pytest.raises(ArgumentError, match='the budget is 0, or 0 on a busy machine. Lower the steps of preset "boa'):
        board.make_row("mini-noisy", 1, runs=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gan",
            r"gan makes no clips \(image\), and the leaderboard compares clips. These can have a row: .*mini-noisy",
        ),
        ("gna", 'no model "gna"; did you mean "gan"'),
        ("mini-other", 'mini-other has no preset "board"; it has ci'),
        ("mini-colour", 'preset "board" of mini-colour trains on .*color=True.*; the leaderboard is for .*color=False'),
        ("mini-high", 'mini-high stands on gan, which has no preset "board"'),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_training(name, message, tmp_path, monkeypatch):
    colour = replace(RECIPE, data=DataConfig("moving-digits", size=32, frames=16, color=True))
    changed = {
        "mini-other": {"presets": {"ci": Preset(NoisyConfig(), RECIPE)}},
        "mini-colour": {"presets": {"board": Preset(NoisyConfig(), colour)}},
        "mini-high": {"stands_on": {"tokenizer": "gan"}},
    }
    if name in changed:
        monkeypatch.setitem(globals(), "Changed", type("Changed", (Noisy,), {"name": name, **changed[name]}))
        monkeypatch.setitem(zoo.ENTRIES, name, zoo.Entry(name, f"{__name__}:Changed", "", "t", "t"))
    with pytest.raises(ArgumentError, match=message):
        board.make_row(name, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_row_of_no_seeds_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="seeds=0: give 1 or more"):
        board.make_row("mini-noisy", 0, runs=tmp_path)
