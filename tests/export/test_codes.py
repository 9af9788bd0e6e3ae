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


def test_a_videogpt_that_is_never_asked_for_labels_is_refused():
    tokenizer = zoo.create_model("videogpt-tokenizer", "ci")
    with pytest.raises(ArgumentError, match="knows VideoGPTs with labels that go on from given frames"):
        graphs(zoo.create_model("videogpt", "ci", tokenizer=tokenizer))
