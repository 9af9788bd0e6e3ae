"""A model on top of another, in miniature: a frozen tokenizer inside a prior. One file samples."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vidgen_lab import zoo
from vidgen_lab.core import DataConfig, Losses, Model, Optimizer, Phase, Preset, Recipe, write_weights
from vidgen_lab.core.weights import read_tensors
from vidgen_lab.training import fit

RECIPE = Recipe(DataConfig("digits", size=8), 16, 6, {"main": Optimizer(lr=1e-2)}, ema_decay=0.9)


@dataclass(frozen=True)
class TokenizerConfig:
    codes: int = 4


class Tokenizer(nn.Module):
    """Images to a row of codes and back; with batch norm, whose statistics move in train mode."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, config.codes), nn.BatchNorm1d(config.codes))
        self.codebook = nn.Embedding(config.codes, 64)

    def encode(self, images):
        return self.encoder(images).argmax(1)  # (B,)

    def decode(self, codes):
        return self.codebook(codes).tanh().view(-1, 1, 8, 8)


class Prior(Model):
    """How often each code comes: a table of logits."""

    name = "mini-prior"
    averaged = ("prior",)
    frozen = ("tokenizer",)
    phases = (Phase("prior", updates=("prior",), optimizer="main"),)
    presets = {"ci": Preset(TokenizerConfig(), RECIPE)}

    def __init__(self, config: TokenizerConfig, recipe: Recipe | None = None) -> None:
        super().__init__(config, recipe)
        self.tokenizer = Tokenizer(config)
        self.prior = nn.Linear(1, config.codes)

    def prior_loss(self, batch, draw):
        assert not self.tokenizer.training and not any(p.requires_grad for p in self.tokenizer.parameters())
        codes = self.tokenizer.encode(batch["image"])
        return Losses({"code": cross_entropy(self.prior(torch.ones(len(codes), 1)), codes)})

    def _sample(self, n, frames, condition, generator):
        shares = self.prior(torch.ones(1, 1)).softmax(1)[0]
        return self.tokenizer.decode(torch.multinomial(shares, n, replacement=True, generator=generator))


@pytest.fixture
def prior(monkeypatch):
    row = zoo.Entry("mini-prior", f"{__name__}:Prior", "a frozen tokenizer and a table", "test", "test")
    monkeypatch.setitem(zoo.ENTRIES, "mini-prior", row)
    return zoo.create_model("mini-prior")


def rng():
    return torch.Generator().manual_seed(0)


def test_training_leaves_the_frozen_child_untouched(prior):
    before = {name: tensor.clone() for name, tensor in prior.tokenizer.state_dict().items()}
    head = prior.prior.bias.clone()
    history = fit(prior, device="cpu", progress=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in prior.tokenizer.state_dict().items())
    assert not torch.equal(head, prior.prior.bias) and history[-1]["prior/code"] < history[0]["prior/code"]
    assert set(prior.ema) == {"prior.weight", "prior.bias"}
    assert not any(p.requires_grad for p in prior.tokenizer.parameters()), "frozen also after the run"
    assert all(p.requires_grad for p in prior.prior.parameters())


def test_the_frozen_child_stays_in_eval_mode_whatever_is_called(prior):
    prior.train()
    assert prior.training and prior.prior.training and not prior.tokenizer.training
    prior.sample(2)
    assert prior.training and not prior.tokenizer.training


def test_one_file_samples(prior, tmp_path):
    fit(prior, out=tmp_path / "run", device="cpu", progress=False)
    expected = prior.sample(5, generator=rng())
    assert torch.equal(zoo.load_model(tmp_path / "run" / "model.safetensors").sample(5, generator=rng()), expected)
    write_weights(prior, tmp_path / "again.safetensors")
    first, second = (
        read_tensors(p)[0] for p in (tmp_path / "run" / "model.safetensors", tmp_path / "again.safetensors")
    )
    assert first.keys() == prior.state_dict().keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_an_unfinished_run_samples_too_from_its_averaged_weights(prior, tmp_path):
    def stop(step, model, record):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(prior, out=tmp_path, save_every=2, callback=stop, device="cpu", progress=False)
    model = zoo.load_model(tmp_path)
    averaged = read_tensors(tmp_path / "checkpoints" / "step-00000004" / "ema.safetensors")[0]
    with model.inference():
        assert torch.equal(model.prior.bias, averaged["prior.bias"])
    assert not torch.equal(model.prior.bias, averaged["prior.bias"]) and not model.training
    assert model.sample(3, generator=rng()).shape == (3, 1, 8, 8)
