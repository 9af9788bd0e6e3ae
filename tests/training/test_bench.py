"""The stopwatch: what it times, and what it keeps out of the time. The model here takes a known time by itself."""

import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from vidgen_lab import create_model, zoo
from vidgen_lab.core import ArgumentError, DataConfig, Losses, Model, Optimizer, Phase, Recipe
from vidgen_lab.data import Ring
from vidgen_lab.training import benchmark

RECIPE = Recipe(DataConfig("ring"), 8, 4, {"main": Optimizer(lr=1e-3)})


@dataclass(frozen=True)
class TimedConfig:
    step: float = 0.0  # seconds that a step computes
    pause: float = 0.0  # seconds that it waits
    draw: float = 0.0  # seconds that a draw waits
    every: int = 1  # only each so manyth step does


def compute(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Timed(Model):
    name, output = "mini-timed", "points"
    phases = (Phase("line", updates=("line",), optimizer="main"),)

    def __init__(self, config, recipe=RECIPE):
        super().__init__(config, recipe)
        self.line, self.threads = nn.Linear(2, 2), set()

    def line_loss(self, batch, draw):
        self.threads.add(torch.get_num_threads())
        if draw.step % self.config.every == 0:
            compute(self.config.step)
            time.sleep(self.config.pause)
        return Losses({"square": self.line(batch["points"]).square().mean()})

    def _sample(self, n, frames, condition, generator):
        time.sleep(self.config.draw)
        return torch.zeros(n, 2)


def timed(**config) -> dict:
    return benchmark(Timed(TimedConfig(**config)), steps=6, n=10, device="cpu")


def test_computing_counts_as_cpu_time_and_waiting_as_wall_time():
    computing, waiting = timed(step=0.03)["training"], timed(pause=0.03)["training"]
    assert computing["cpu_seconds"]["median"] >= 0.03
    assert waiting["wall_seconds"]["median"] >= 0.03 > 2 * waiting["cpu_seconds"]["median"]


def test_what_happens_at_some_steps_only_is_in_the_mean_and_not_in_the_median():
    seconds = timed(step=0.06, every=3)["training"]["cpu_seconds"]
    assert seconds["mean"] >= 0.02 > 2 * seconds["median"]


def test_the_time_of_data_is_kept_apart_from_that_of_a_step(monkeypatch):
    read = Ring.__getitems__

    def slowly(self, indices):
        time.sleep(0.03)
        return read(self, indices)

    monkeypatch.setattr(Ring, "__getitems__", slowly)
    measured = timed()
    assert measured["data"]["wall_seconds"]["median"] >= 0.03 > 2 * measured["training"]["wall_seconds"]["median"]


def test_samples_a_second_are_those_of_a_draw():
    measured = timed(draw=0.05)
    assert 100 < measured["sampling"]["samples_per_second"] <= 200
    assert measured["sampling"]["samples_per_cpu_second"] > 200


def test_a_model_that_makes_no_samples_has_no_sampling_speed():
    model = zoo.create_model("digits-3d", widths=(4,), batch_size=4)
    assert benchmark(model, steps=1, device="cpu")["sampling"] is None


def test_threads_are_as_asked_for_while_it_measures_and_as_before_afterwards():
    model = Timed(TimedConfig())
    assert torch.get_num_threads() == 1
    measured = benchmark(model, steps=1, n=1, device="cpu", threads=2)
    assert model.threads == {2} and torch.get_num_threads() == 1 and measured["protocol"]["threads"] == 2


def test_noise_stands_in_for_data_that_is_not_here():
    model = create_model("gan", "paper", generator_widths=(8,), discriminator_widths=(8,))
    measured = benchmark(model, steps=1, n=1, device="cpu", noise=True)
    assert measured["protocol"]["data"] == "noise" and measured["protocol"]["batch_size"] == 64
    with pytest.raises(ArgumentError, match='noise instead of "ring": only mnist'):
        benchmark(Timed(TimedConfig()), noise=True)


def test_a_model_may_stand_on_a_fresh_one_which_stays_fresh(monkeypatch):
    class Above(Timed):
        stands_on = {"below": "mini-timed"}

        def __init__(self, below):
            super().__init__(TimedConfig())
            self.below = below

    below = Timed(TimedConfig())
    benchmark(Above(below), steps=1, n=1, device="cpu")
    assert not below.trained
    assert not any(parameter.requires_grad for parameter in below.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"steps": 0}, "steps=0"), ({"n": 0}, "n=0"), ({"threads": 0}, "threads=0"), ({"device": "tpu"}, 'device="tpu"')],
)
def test_what_cannot_be_measured_is_refused(settings, message):
    with pytest.raises(ArgumentError, match=message):
        benchmark(Timed(TimedConfig()), **settings)
    with pytest.raises(ArgumentError, match="mini-timed has no recipe"):
        benchmark(Timed(TimedConfig(), None))


def test_the_peak_of_memory_is_that_of_the_step_that_needs_most():
    program = """
import torch
from vidgen_lab import create_model
from vidgen_lab.models.gan import GAN
from vidgen_lab.training import benchmark

def hungry(self, phase, draw):
    torch.ones(125_000_000)  # 500 MB, gone at once

GAN.after_step = hungry
memory = benchmark(create_model("gan", "ring"), steps=1, n=1, device="cpu")["memory"]
assert memory["before_mb"] < 1000, memory
assert 500 < memory["training_mb"] - memory["before_mb"] < 900, memory
assert memory["sampling_mb"] >= memory["training_mb"]
"""
    ballast = torch.ones(100_000_000)  # 400 MB of the process that starts it, which must not count
    subprocess.run([sys.executable, "-c", program], check=True)
    assert ballast[0] == 1
