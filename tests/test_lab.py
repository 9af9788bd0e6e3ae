"""The start of a lab. A machine with a GPU is played by telling torch that there is one."""

import pytest
import torch

import vidgen_lab
from vidgen_lab.core.errors import ArgumentError


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    monkeypatch.delenv("VIDGEN_PRESET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla T4")


def test_without_a_gpu_a_lab_is_small_and_says_why(capsys):
    setup = vidgen_lab.setup()
    assert (setup.preset, setup.device.type) == ("ci", "cpu")
    assert "preset: ci (there is no GPU" in capsys.readouterr().out


def test_with_a_gpu_a_lab_uses_it(gpu, capsys):
    setup = vidgen_lab.setup()
    assert (setup.preset, setup.device.type) == ("gpu", "cuda")
    assert "device: Tesla T4" in capsys.readouterr().out


def test_the_environment_overrides_the_machine_and_the_call_overrides_both(gpu, monkeypatch):
    monkeypatch.setenv("VIDGEN_PRESET", "ci")
    assert vidgen_lab.setup().preset == "ci"
    assert vidgen_lab.setup("paper").preset == "paper"


def test_ci_runs_on_one_cpu_thread_even_beside_a_gpu(gpu):
    torch.set_num_threads(2)
    assert vidgen_lab.setup("ci").device.type == "cpu"
    assert torch.get_num_threads() == 1


def test_an_unknown_preset_names_the_nearest_and_the_variable(monkeypatch):
    monkeypatch.setenv("VIDGEN_PRESET", "gpus")
    with pytest.raises(ArgumentError, match='no preset "gpus"; did you mean "gpu".*VIDGEN_PRESET'):
        vidgen_lab.setup()


def test_a_gpu_preset_on_a_cpu_warns(capsys):
    vidgen_lab.setup("gpu")
    assert "torch finds none" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_draws():
    draws = []
    for seed in (5, 5, 6):
        vidgen_lab.setup(seed=seed)
        draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
