"""ONNX files of the weights that ship, run by onnxruntime beside the model itself."""

import hashlib
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from vidgen_lab import zoo
from vidgen_lab.cli import main
from vidgen_lab.core import ArgumentError
from vidgen_lab.export import GRAPHS, OPSET, export, graphs, onnx_bytes, rounded

SIZES = {"batch": 2, "frames": 7, "moments": 3, "past": 9}  # not those that the graphs were traced with
SHIPPED = [(name, preset) for name in GRAPHS for preset in zoo.entry(name).shipped]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder and the card of a shipped model, exported once."""
    out, cards = tmp_path_factory.mktemp("exported"), {}

    def get(name, preset=None):
        if (name, preset) not in cards:
            cards[name, preset] = export(zoo.load_pretrained(name, preset), out, zoo.shipped_hash(name, preset))
        return out, json.loads(cards[name, preset].read_text())

    return get


def run(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


@pytest.mark.parametrize(("name", "preset"), SHIPPED)
def test_every_graph_gives_what_the_model_gives_for_fresh_inputs_of_another_length(exported, name, preset):
    out, card = exported(name, preset)
    model = zoo.load_pretrained(name, preset)
    assert set(card["graphs"]) == set(graphs(model))
    for key, graph in graphs(model).items():
        generator = torch.Generator().manual_seed(5)
        inputs = {port: each.draw(SIZES, generator) for port, each in graph.inputs.items()}
        with model.inference():
            wanted = graph.call(*inputs.values())
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        free = {axis for port in graph.inputs.values() for axis in port.shape if isinstance(axis, str)}
        given = run(out / card["graphs"][key]["file"], inputs)
        assert len(given) == len(graph.outputs)
        for made, tensor, port in zip(given, wanted, graph.outputs.values(), strict=True):
            assert made.shape == tuple(tensor.shape)
            sides = zip(port.shape, made.shape, strict=True)
            assert all(side == SIZES[axis] if axis in free else axis in (side, "frames") for axis, side in sides)
            if port.whole:  # codes: where two are as near, rounding decides
                assert (made == tensor.numpy()).mean() > 0.99
            else:
                np.testing.assert_allclose(made, tensor.numpy(), atol=1e-3, rtol=0)


def test_the_files_are_small_of_one_opset_and_say_nothing_of_the_machine_that_wrote_them(exported):
    out, card = exported("dcgan", "cpu")
    path = out / card["graphs"]["generator"]["file"]
    proto = onnx.load(path)
    assert [(each.domain, each.version) for each in proto.opset_import] == [("", OPSET)]
    weights = [each for each in proto.graph.initializer if np.prod(each.dims) >= 64]
    assert weights and {each.data_type for each in weights} == {TensorProto.FLOAT16}
    numbers = sum(parameter.numel() for parameter in zoo.load_pretrained("dcgan").generator.parameters())
    assert path.stat().st_size < 2.1 * numbers
    assert not any(word in path.read_bytes() for word in (b"pytorch", b"torch/", b".py", b"/lib/"))
    assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)


@pytest.mark.parametrize(("name", "files"), [("vqvae", 1.7e6), ("vgan", 2.1e6)])
def test_eight_bits_halve_the_files_and_give_what_the_rounded_model_gives(tmp_path, name, files):
    model = zoo.load_pretrained(name)
    card = json.loads(export(model, tmp_path, zoo.shipped_hash(name), bits=8).read_text())
    assert card["bits"] == 8
    assert sum(path.stat().st_size for path in tmp_path.glob("*.onnx")) < files
    near = rounded(model)
    for key, graph in graphs(near).items():
        inputs = {port: each.draw(SIZES, torch.Generator().manual_seed(6)) for port, each in graph.inputs.items()}
        with near.inference():
            wanted = graph.call(*inputs.values())
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        given = run(tmp_path / card["graphs"][key]["file"], inputs)
        for made, tensor in zip(given, wanted, strict=True):
            np.testing.assert_allclose(made, tensor.numpy(), atol=1e-3, rtol=0)


def test_rounding_moves_a_large_weight_by_at_most_half_a_step_of_its_channel_and_small_ones_not_at_all():
    model = zoo.load_pretrained("vqvae")
    moved = 0
    for (name, before), after in zip(model.named_parameters(), rounded(model).parameters(), strict=True):
        if before.dim() == 1 or before.numel() < 8192:
            assert torch.equal(before, after), name
            continue
        moved += 1
        steps = [
            before.abs().amax([a for a in range(before.dim()) if a != axis], keepdim=True) / 127 for axis in (0, 1)
        ]
        within = [((before - after).abs() <= step / 2 + 1e-6).all() for step in steps]
        assert any(within) and not torch.equal(before, after), name
    assert moved > 10


def test_other_bits_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="bits=4: weights are stored in 16 bits, or rounded to 8"):
        export(zoo.load_pretrained("gan"), tmp_path, "", bits=4)


def test_a_graph_is_written_the_same_twice():
    model = zoo.load_pretrained("mocogan-ode")
    graph = graphs(model)["slope"]
    assert onnx_bytes(model, graph) == onnx_bytes(model, graph)


def test_the_card_says_what_goes_in_and_what_comes_out_and_from_which_weights(exported):
    out, card = exported("dcgan", "classes")
    graph = card["graphs"]["generator"]
    content = (out / graph["file"]).read_bytes()
    assert (graph["bytes"], graph["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert card["weights_sha256"] == zoo.shipped_hash("dcgan", "classes")
    assert graph["inputs"] == {
        "latent": {"shape": ["batch", 64], "dtype": "float32", "normal": 1.0},
        "digit": {"shape": ["batch"], "dtype": "int64", "range": [0, 9]},
    }
    assert graph["outputs"] == {"image": {"shape": ["batch", 1, 32, 32], "dtype": "float32", "range": [-1.0, 1.0]}}


def test_steps_of_a_solver_over_the_exported_slope_are_the_models_own_clip(exported):
    """The loop stays outside of the graphs: here it is in Python, in a page it is in JavaScript."""
    out, card = exported("mocogan-ode", "cpu")
    file = {key: out / graph["file"] for key, graph in card["graphs"].items()}
    model = zoo.load_pretrained("mocogan-ode")
    generator = torch.Generator().manual_seed(0)
    content, noise = torch.randn(1, 50, generator=generator), torch.randn(1, 64, generator=generator)
    digit, motion_labels = torch.tensor([3]), {"direction": torch.tensor([2]), "speed": torch.tensor([1])}
    with model.inference():
        path = model.generator.path(noise, range(4), None, motion_labels)
        wanted = model.generator(model.generator.codes(content, path, None, {"digit": digit}))

    (state,) = run(file["start"], {"noise": noise, **motion_labels})
    slope = onnxruntime.InferenceSession(file["slope"])
    states = [state]
    for _ in range(3):  # a classical Runge-Kutta step a frame, as preset cpu takes
        k1 = slope.run(None, {"state": state})[0]
        k2 = slope.run(None, {"state": state + k1 / 2})[0]
        k3 = slope.run(None, {"state": state + k2 / 2})[0]
        k4 = slope.run(None, {"state": state + k3})[0]
        state = state + (k1 + 2 * k2 + 2 * k3 + k4) / 6
        states.append(state)
    motion = torch.from_numpy(np.stack(states, axis=1))
    (video,) = run(file["frames"], {"content": content, "motion": motion, "digit": digit})
    np.testing.assert_allclose(video, wanted.numpy(), atol=1e-3)


def test_a_model_without_graphs_is_refused_with_what_can_be_done():
    with pytest.raises(ArgumentError, match="vae cannot be exported; these can: gan, .*: vidgen sample vae"):
        graphs(zoo.create_model("vae"))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    model = zoo.load_pretrained("gan")
    with pytest.raises(ArgumentError, match=r'onnxscript: pip install "vidgen-lab\[export\]"'):
        onnx_bytes(model, graphs(model)["generator"])


def test_the_terminal_writes_the_files_and_says_what_they_are(tmp_path, capsys):
    assert main(["export", "gan", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"gan-ci.json", "gan-ci-generator.onnx"}
    assert "gan-ci-generator.onnx: latent to image." in capsys.readouterr().out


def test_the_terminal_refuses_a_model_that_ships_nothing_and_one_without_graphs(tmp_path, capsys):
    assert main(["export", "vae", "--out", str(tmp_path)]) == 2
    assert "vae ships no weights" in capsys.readouterr().err
    assert main(["export", "digits-2d", "--out", str(tmp_path)]) == 2
    assert "digits-2d cannot be exported" in capsys.readouterr().err
