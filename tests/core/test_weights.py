import json
import os
import stat

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, CheckpointError, read_weights, write_weights
from vidgen_lab.core.config import to_json
from vidgen_lab.core.weights import write_atomically


@pytest.fixture
def model():
    return create_model("gan", "ring", seed=3, generator_widths=(4,), discriminator_widths=(4,), steps=7)


def test_a_weights_file_says_which_model_it_is_and_holds_every_tensor(model, tmp_path):
    write_weights(model, tmp_path / "deep" / "er" / "w.safetensors")
    held = read_weights(tmp_path / "deep" / "er" / "w.safetensors")
    assert (held.description["model"], held.description["preset"]) == ("gan", "ring")
    assert held.description["config"] == json.loads(json.dumps(to_json(model.config)))
    assert held.description["recipe"]["steps"] == 7
    assert held.tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(held.tensors[name], tensor) for name, tensor in model.state_dict().items())


def test_equal_weights_have_equal_files(model, tmp_path):
    for i in range(5):
        write_weights(model, tmp_path / f"{i}.safetensors")
    assert len({(tmp_path / f"{i}.safetensors").read_bytes() for i in range(5)}) == 1


def test_averaged_weights_are_the_ones_that_are_written(model, tmp_path):
    model.ema = {name: torch.full_like(tensor, 0.5) for name, tensor in model.averaged_tensors().items()}
    write_weights(model, tmp_path / "w.safetensors")
    tensors = read_weights(tmp_path / "w.safetensors").tensors
    assert all((tensors[name] == 0.5).all() for name in model.ema)
    assert torch.equal(tensors["discriminator.layers.0.weight"], model.discriminator.layers[0].weight)


def test_half_precision_halves_the_file_and_comes_back_as_float32(model, tmp_path):
    write_weights(model, tmp_path / "h.safetensors", half=True)
    with safe_open(tmp_path / "h.safetensors", framework="pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    tensors = read_weights(tmp_path / "h.safetensors").tensors
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert all(torch.allclose(tensors[name], t, atol=1e-3) for name, t in model.state_dict().items())
    assert {p.dtype for p in model.parameters()} == {torch.float32}, "the model itself is left alone"


def test_only_the_networks_asked_for_are_written_and_others_must_exist(model, tmp_path):
    write_weights(model, tmp_path / "g.safetensors", children=("generator",))
    assert {n.split(".")[0] for n in read_weights(tmp_path / "g.safetensors").tensors} == {"generator"}
    with pytest.raises(ArgumentError, match='no network "generater"; did you mean "generator"'):
        write_weights(model, tmp_path / "x.safetensors", children=("generater",))


def test_files_that_are_no_weights_of_ours_are_refused_with_path_and_reason(model, tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match=f"no file {path}"):
        read_weights(path)
    torch.save(model.state_dict(), path)
    with pytest.raises(CheckpointError, match=f"cannot read {path}: .*no safetensors file"):
        read_weights(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=f'{path} is not a weights file of this package.*expected "vidgen_lab 1"'):
        read_weights(path)
    for header in ({}, {"model": "gan", "preset": "ring", "config": "{", "recipe": "null"}):
        save_file({"x": torch.zeros(2)}, path, {"format": "vidgen_lab 1", **header})
        with pytest.raises(CheckpointError, match=f"{path} has a damaged header"):
            read_weights(path)
    write_weights(model, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=f"cannot read {path}"):
        read_weights(path)


def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_else(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")

    def half(temporary):
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=rf"cannot write {path}: .*No space left.*{tmp_path} has \d+ MB free"):
        write_atomically(path, half)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["kept"]


def test_a_path_below_a_file_says_that_it_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=f"cannot write .*; {tmp_path / 'file'} is a file"):
        write_atomically(tmp_path / "file" / "below" / "x", lambda path: path.touch())


def test_a_written_file_is_readable_like_any_other_file(model, tmp_path):
    write_weights(model, tmp_path / "x")
    (tmp_path / "y").write_text("y")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "y").stat().st_mode)
