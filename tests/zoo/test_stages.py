"""A model that stands on another: where the other comes from, and that one file holds both."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from vidgen_lab import cli, zoo
from vidgen_lab.core import ArgumentError, DataConfig, Losses, Model, Optimizer, Phase, Preset, Recipe, write_weights
from vidgen_lab.training import fit

RECIPE = Recipe(DataConfig("ring"), 16, 4, {"main": Optimizer(lr=1e-2)})


@dataclass(frozen=True)
class CoderConfig:
    width: int = 3


@dataclass(frozen=True)
class TopConfig:
    gain: float = 1.0


class Coder(Model):
    name, output = "mini-coder", "embedding"
    phases = (Phase("coder", updates=("encoder", "decoder"), optimizer="main"),)
    presets = {"ci": Preset(CoderConfig(), RECIPE), "wide": Preset(CoderConfig(7), RECIPE)}

    def __init__(self, config, recipe=None):
        super().__init__(config, recipe)
        self.encoder, self.decoder = nn.Linear(2, config.width), nn.Linear(config.width, 2)

    def coder_loss(self, batch, draw):
        return Losses({"mse": mse_loss(self.decoder(self.encoder(batch["points"])), batch["points"])})


class Top(Model):
    name, output = "mini-top", "points"
    stands_on = {"tokenizer": "mini-coder"}
    phases = (Phase("prior", updates=("prior",), optimizer="main"),)
    presets = {"ci": Preset(TopConfig(), RECIPE), "wide": Preset(TopConfig(2.0), RECIPE)}

    def __init__(self, config, recipe=None, *, tokenizer):
        super().__init__(config, recipe)
        self.tokenizer = tokenizer
        width = tokenizer.config.width
        self.prior = nn.Linear(width, width)

    def prior_loss(self, batch, draw):
        codes = self.tokenizer.encoder(batch["points"])
        return Losses({"mse": mse_loss(self.prior(draw.normal("latent", tuple(codes.shape))), codes)})

    def _sample(self, n, frames, condition, generator):
        codes = self.prior(torch.randn(n, self.tokenizer.config.width, generator=generator))
        return self.config.gain * self.tokenizer.decoder(codes)


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    for cls in (Coder, Top):
        monkeypatch.setitem(
            zoo.ENTRIES, cls.name, zoo.Entry(cls.name, f"{__name__}:{cls.__name__}", "", "test", "test")
        )


def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def run(tmp_path):
    """A trained tokenizer of width 5 in a run folder."""
    fit(zoo.create_model("mini-coder", width=5), out=tmp_path / "coder", device="cpu", progress=False)
    return tmp_path / "coder"


def test_the_stage_below_is_frozen_without_being_listed_twice():
    assert Top.frozen == ("tokenizer",)


def test_without_a_given_tokenizer_the_one_of_the_same_preset_is_made_and_training_refuses_it():
    model = zoo.create_model("mini-top", "wide")
    assert model.tokenizer.config.width == 7 and not model.tokenizer.trained
    with pytest.raises(
        ArgumentError, match="the tokenizer of mini-top is untrained. Train one .vidgen train mini-coder"
    ):
        fit(model, device="cpu", progress=False)


def test_a_preset_may_stand_on_a_preset_of_another_name(monkeypatch):
    monkeypatch.setitem(Top.presets, "ci", Preset(TopConfig(), RECIPE, stages={"tokenizer": "wide"}))
    model = zoo.create_model("mini-top", "ci", gain=3.0)
    assert model.tokenizer.preset == "wide" and model.tokenizer.config.width == 7 and model.config.gain == 3.0


def test_a_run_a_file_and_a_model_serve_as_the_tokenizer(run):
    for source in (run, run / "model.safetensors", zoo.load_model(run)):
        model = zoo.create_model("mini-top", tokenizer=source)
        assert model.tokenizer.config.width == 5 and model.tokenizer.trained


def test_a_tokenizer_with_averaged_weights_is_stood_on_with_those_and_left_as_it_is(monkeypatch):
    monkeypatch.setattr(Coder, "averaged", ("encoder", "decoder"))
    coder = zoo.create_model("mini-coder", ema_decay=0.9)
    fit(coder, device="cpu", progress=False)
    live, averaged = coder.decoder.weight.clone(), coder.ema["decoder.weight"].clone()
    model = zoo.create_model("mini-top", tokenizer=coder)
    assert torch.equal(model.tokenizer.decoder.weight, averaged) and model.tokenizer.ema is None
    assert torch.equal(coder.decoder.weight, live) and torch.equal(coder.ema["decoder.weight"], averaged)
    assert not torch.equal(live, averaged)


def test_a_tokenizer_of_another_kind_is_refused(run):
    top = zoo.create_model("mini-top", tokenizer=run)
    with pytest.raises(ArgumentError, match="holds a mini-top; this model stands on a mini-coder"):
        zoo.create_model("mini-top", tokenizer=top)


def test_training_leaves_the_tokenizer_alone_and_one_file_samples_the_same(run, tmp_path):
    model = zoo.create_model("mini-top", tokenizer=run)
    before = {name: tensor.clone() for name, tensor in model.tokenizer.state_dict().items()}
    fit(model, out=tmp_path / "top", device="cpu", progress=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.tokenizer.state_dict().items())
    expected = model.sample(4, generator=rng())
    for held in (tmp_path / "top", tmp_path / "top" / "model.safetensors"):
        loaded = zoo.load_model(held)
        assert torch.equal(loaded.sample(4, generator=rng()), expected)
        assert loaded.trained and loaded.tokenizer.trained
    (tmp_path / "top" / "model.safetensors").unlink()  # an unfinished run
    assert torch.equal(zoo.load_model(tmp_path / "top").sample(4, generator=rng()), expected)


def test_the_file_still_samples_when_it_was_written_by_hand(run, tmp_path):
    model = zoo.create_model("mini-top", tokenizer=run)
    write_weights(model, tmp_path / "top.safetensors", half=True)
    loaded = zoo.load_model(tmp_path / "top.safetensors")
    assert torch.allclose(loaded.sample(4, generator=rng()), model.sample(4, generator=rng()), atol=1e-2)


def test_the_terminal_takes_the_tokenizer_by_name(run, tmp_path):
    command = ["train", "mini-top", "--out", str(tmp_path / "top"), "--device", "cpu", "--no-progress"]
    assert cli.main(command) == 2  # untrained
    assert cli.main([*command, "--tokenizer", str(run)]) == 0
    assert zoo.load_model(tmp_path / "top").tokenizer.config.width == 5
