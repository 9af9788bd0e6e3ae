"""The exported step of the search that fills a hole, beside `inpaint` itself."""

import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from vidgen_lab import zoo
from vidgen_lab.core import ArgumentError
from vidgen_lab.data import Digits
from vidgen_lab.export import graphs, onnx_bytes
from vidgen_lab.export.search import there_and_back
from vidgen_lab.models.inpainting import inpaint, mask


def written(model, folder):
    path = folder / "search.onnx"
    path.write_bytes(onnx_bytes(model, graphs(model)["search"]))
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(session, inputs):
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


def test_steps_of_the_exported_search_are_those_of_inpainting(tmp_path):
    """The gradient in the file is written by hand, that of `inpaint` is torch's."""
    model = zoo.load_pretrained("dcgan").eval()
    session = written(model, tmp_path)
    images = Digits("test", 32).__getitems__([0, 1, 2])["image"]
    known, steps, generator = mask("half", 32), 12, torch.Generator().manual_seed(4)
    found = inpaint(
        model.generator, model.discriminator, images, known, latent_dim=64, steps=steps, starts=1, rng=generator
    )
    latent = 8 * normalize(torch.randn(3, 64, generator=generator.manual_seed(4)))
    state = {"latent": latent, "mean": torch.zeros(3, 64), "square": torch.zeros(3, 64)}
    losses = []
    for step in range(steps):
        inputs = state | {"count": torch.full((3,), step + 1.0), "images": images, "known": known.repeat(3, 1, 1, 1)}
        *after, _, loss = map(torch.from_numpy, run(session, inputs))
        state = dict(zip(state, after, strict=True))
        losses.append(loss)
    assert (losses[-1] < losses[0]).all()
    torch.testing.assert_close(torch.stack(losses), found.losses, rtol=1e-4, atol=1e-3)


def test_the_written_way_back_is_torchs_gradient():
    layers = nn.Sequential(
        nn.ConvTranspose2d(3, 8, 4, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 2, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Tanh(),
    )
    generator = torch.Generator().manual_seed(0)
    layers[1].running_var.uniform_(0.5, 2.0, generator=generator)
    layers.eval()
    x = torch.randn(2, 3, 8, 8, generator=generator).requires_grad_()
    y, back = there_and_back(layers, x)
    gradient = torch.randn(y.shape, generator=generator)
    torch.testing.assert_close(back(gradient), torch.autograd.grad(layers(x), x, gradient)[0])


def test_a_layer_whose_way_back_is_not_written_is_refused():
    with pytest.raises(ArgumentError, match="MaxPool2d: its way back is not written"):
        there_and_back(nn.Sequential(nn.MaxPool2d(2)), torch.zeros(1, 1, 4, 4))


def test_a_generator_for_classes_has_no_search():
    assert set(graphs(zoo.load_pretrained("dcgan", "classes"))) == {"generator"}
