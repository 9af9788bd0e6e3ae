"""Exported graphs that write clips code by code, run by onnxruntime beside the models themselves."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from vidgen_lab import zoo
from vidgen_lab.core import ArgumentError
from vidgen_lab.data import MovingDigits
from vidgen_lab.export import export, graphs
from vidgen_lab.models.videogpt import Writer


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The ONNX files of a model that ships, by graph; exported once, in 16 bits."""
    out, made = tmp_path_factory.mktemp("exported"), {}

    def get(name):
        if name not in made:
            card = json.loads(export(zoo.load_pretrained(name), out, zoo.shipped_hash(name)).read_text())
            made[name] = {key: out / graph["file"] for key, graph in card["graphs"].items()}
        return made[name]

    return get


def run(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


def likeliest(files, inputs, num_codes):
    """Codes that are the likeliest, one step of the exported graphs after the other, and their logits."""
    places, *told = run(files["tell"], inputs)
    step = onnxruntime.InferenceSession(files["step"])
    names = [each.name for each in step.get_inputs()]
    sides = step.get_inputs()[names.index("past")].shape[2:]
    past = np.zeros((0, 1, *sides), np.float32)
    code, codes, logits = np.array([num_codes]), [], []
    for place in places:
        given = dict(zip(["code", "past", "place", *names[3:]], [code, past, place, *told], strict=True))
        said, fresh = step.run(None, given)
        past, code = np.concatenate([past, fresh[None]]), said.argmax(1)
        codes.append(code[0])
        logits.append(said[0])
    return codes, np.stack(logits)


def test_codes_written_one_by_one_over_exported_steps_are_those_that_videogpt_writes(files):
    """Labels in one case, given frames in the other; at temperature 0, so that nothing is left to chance."""
    model = zoo.load_pretrained("videogpt")
    asked = {name: torch.tensor([value]) for name, value in (("digit", 3), ("direction", 2), ("speed", 1))}
    prefix = MovingDigits("test").__getitems__([5])["video"][:, :, :3]
    for condition in (asked, {"prefix": prefix}):
        with model.inference():
            writer = Writer(model, 1, condition, temperature=0)
            writer.write(256)
            wanted = torch.stack(writer.tokens, dim=1)
            vectors, given = model._vectors(wanted), model.tell(1, condition.get("prefix"))
            labels = model._one_hot(condition) if "digit" in condition else torch.zeros(1, 20)
            full = model.prior(vectors, labels, given)[0]
        frames = torch.zeros(1, 1, 4, 32, 32)
        frames[:, :, : 0 if "digit" in condition else 3] = condition.get("prefix", frames[:, :, :0])
        inputs = {"labels": labels, "frames": frames, "count": torch.tensor([3 * ("prefix" in condition)])}
        codes, logits = likeliest(files("videogpt"), inputs, 128)
        assert codes == wanted[0].tolist()
        np.testing.assert_allclose(logits, full.numpy(), atol=1e-3)
        (video,) = run(files("videogpt")["decoder"], {"codes": wanted.view(1, 4, 8, 8)})
        np.testing.assert_allclose(video, model.tokenizer.decode(wanted.view(1, 4, 8, 8)).numpy(), atol=1e-3)


@pytest.mark.parametrize("told", ["caption", "image", "both", "nothing"])
def test_codes_written_one_by_one_over_exported_steps_are_those_that_fusion_writes(files, told):
    """A modality that is dropped is hidden in the graph, and left out beside it."""
    model = zoo.load_pretrained("fusion")
    data = MovingDigits("test", color=True).__getitems__([3])
    words, image = data["caption"], data["video"][:, :, 0]
    condition = {"caption": words, "image": image}
    condition = {name: condition[name] for name in ("caption", "image") if told in (name, "both")}
    with model.inference():
        video = model.sample(1, condition=condition, temperature=0, keep_given=False)
    ids = torch.zeros(1, model.config.longest, dtype=torch.long)
    ids[:, : len(model._read(words)[0])] = model._read(words)
    frames = torch.zeros(1, 3, 4, 32, 32)
    frames[:, :, 0] = image
    inputs = {
        "ids": ids,
        "caption": torch.tensor([int("caption" in condition)]),
        "frames": frames,
        "given": torch.tensor([[int("image" in condition), 0, 0, 0]]),
    }
    codes, _ = likeliest(files("fusion"), inputs, model.tokenizer.num_codes)
    (drawn,) = run(files("fusion")["decoder"], {"codes": torch.tensor(codes).view(1, *model.tokenizer.code_shape)})
    np.testing.assert_allclose(drawn, video.numpy(), atol=1e-3)


@pytest.mark.parametrize("way", ["cross", "film", "concat", "prefix"])
def test_each_way_of_fusion_but_a_prefix_can_be_exported(way):
    """At the sizes of preset ci; a graph gives as many tensors as it names."""
    model = zoo.create_model("fusion", "ci", fusion=way, tokenizer=zoo.create_model("fusion-tokenizer", "ci"))
    if way == "prefix":
        with pytest.raises(ArgumentError, match='in all ways but "prefix"'):
            graphs(model)
        return
    sizes = {"batch": 2, "past": 3}
    for graph in (graphs(model)[name] for name in ("tell", "step")):
        with model.inference():
            made = graph.call(*(port.draw(sizes) for port in graph.inputs.values()))
        shapes = [tuple(sizes.get(axis, axis) for axis in port.shape) for port in graph.outputs.values()]
        assert [tuple(tensor.shape) for tensor in made] == shapes


def test_a_videogpt_that_is_never_asked_for_labels_is_refused():
    tokenizer = zoo.create_model("videogpt-tokenizer", "ci")
    with pytest.raises(ArgumentError, match="knows VideoGPTs with labels that go on from given frames"):
        graphs(zoo.create_model("videogpt", "ci", tokenizer=tokenizer))
