"""A model's sampling path as ONNX, for any program that runs ONNX: a browser, a phone, another language.

`export(model, out)` writes one `.onnx` file for each graph of the model and a card, a JSON file that says what each
graph takes and gives. Loops that grow, such as the steps of a solver, stay outside: a graph is what the loop repeats.
The live figures of the book are made this way.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError, Model
from vidgen_lab.core.weights import write_atomically
from vidgen_lab.nn.labels import VALUES

OPSET = 20  # of ONNX
HALF_FROM = 64  # numbers from which a float tensor is stored as fp16
EXAMPLE = {"batch": 3, "frames": 5}  # sizes of the free axes while the graph is traced


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Args:
        shape: whole numbers, and names for axes of any length: `("batch", 64)`.
        low, high: the range of its numbers. Without them: normal noise with standard deviation `std`.
        whole: int64 instead of float32.
    """

    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | None = None
    std: float = 1.0
    whole: bool = False

    def draw(self, sizes: dict[str, int], generator: torch.Generator | None = None) -> Tensor:
        """Numbers in range, for instance to try the graph; `sizes` gives the length of each named axis."""
        shape = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.shape)
        if self.low is None or self.high is None:
            return self.std * torch.randn(shape, generator=generator)
        if self.whole:
            return torch.randint(int(self.low), int(self.high) + 1, shape, generator=generator)
        return self.low + (self.high - self.low) * torch.rand(shape, generator=generator)

    def as_json(self) -> dict[str, Any]:
        numbers = {"normal": self.std} if self.low is None else {"range": [self.low, self.high]}
        return {"shape": list(self.shape), "dtype": "int64" if self.whole else "float32", **numbers}


@dataclass(frozen=True)
class Graph:
    """What is exported as one file: `call` takes the inputs and gives the outputs, each in their order."""

    call: Callable[..., Tensor | tuple[Tensor, ...]]
    inputs: dict[str, Port]
    outputs: dict[str, Port]


def _picture(*axes: int | str) -> Port:
    return Port(("batch", *axes), -1.0, 1.0)


def _label(values: int) -> Port:
    return Port(("batch",), 0, values - 1, whole=True)


def _labels(names: Sequence[str]) -> dict[str, Port]:
    return {name: _label(VALUES[name]) for name in names}


def _gan(model: Any) -> dict[str, Graph]:
    latent = {"latent": Port(("batch", model.config.latent_dim))}
    output = {"image": _picture(*model.config.shape)} if model.output == "image" else {"points": Port(("batch", 2))}
    return {"generator": Graph(model.generator, latent, output)}


def _dcgan(model: Any) -> dict[str, Graph]:
    config = model.config
    low = {} if config.noise == "normal" else {"low": -1.0, "high": 1.0}
    inputs = {"latent": Port(("batch", config.latent_dim), **low)}
    if config.classes:
        inputs["digit"] = _label(config.classes)
    return {"generator": Graph(model.generator, inputs, {"image": _picture(config.channels, config.size, config.size)})}


def _vqvae(model: Any) -> dict[str, Graph]:
    config, side = model.config, model.config.side
    image, codes = (
        {"image": _picture(config.channels, config.size, config.size)},
        {"codes": Port(("batch", side, side), 0, model.num_codes - 1, whole=True)},
    )

    def encode(images: Tensor) -> Tensor:
        return model.codebook(model.encoder(images)).codes

    def decode(codes: Tensor) -> Tensor:
        return model.decoder(model.codebook.lookup(codes)).clamp(-1, 1)

    return {"encoder": Graph(encode, image, codes), "decoder": Graph(decode, codes, image)}


def _vgan(model: Any) -> dict[str, Graph]:
    config = model.config
    if config.first_frame:
        raise ArgumentError("this VGAN goes on from a first frame; vidgen export knows the one that starts from noise.")
    channels, frames, *sides = config.shape

    def streams(latent: Tensor, *labels: Tensor) -> tuple[Tensor, ...]:
        return tuple(model.generator(latent, dict(zip(config.labels, labels, strict=True))).values())

    inputs = {"latent": Port(("batch", config.latent_dim)), **_labels(config.labels)}
    outputs = {
        "video": _picture(channels, frames, *sides),
        "foreground": _picture(channels, frames, *sides),
        "mask": Port(("batch", 1, frames, *sides), 0.0, 1.0),
        "background": _picture(channels, 1, *sides),
    }
    return {"generator": Graph(streams, inputs, outputs)}


def _mocogan_frames(model: Any) -> Graph:
    """Content, its labels and motion codes to a clip: what MoCoGAN and its forms in continuous time share."""
    config, labels = model.config, model.config.content_labels

    def frames(content: Tensor, motion: Tensor, *given: Tensor) -> Tensor:
        return model.generator(model.generator.codes(content, motion, None, dict(zip(labels, given, strict=True))))

    inputs = {
        "content": Port(("batch", config.content_dim)),
        "motion": Port(("batch", "frames", config.motion_dim), std=0.5),
        **_labels(labels),
    }
    return Graph(frames, inputs, {"video": _picture(config.channels, "frames", config.size, config.size)})


def _no_categories(model: Any) -> None:
    if model.config.categories:
        raise ArgumentError(f"this {model.name} has categories; vidgen export knows the one with labels.")


def _mocogan(model: Any) -> dict[str, Graph]:
    _no_categories(model)
    config, labels = model.config, model.config.motion_labels

    def motion(start: Tensor, noise: Tensor, *given: Tensor) -> Tensor:
        return model.generator.motion_codes(start, noise, dict(zip(labels, given, strict=True)))

    inputs = {
        "start": Port(("batch", config.motion_dim)),
        "noise": Port(("batch", "frames", config.motion_dim), std=config.noise),
        **_labels(labels),
    }
    codes = {"motion": Port(("batch", "frames", config.motion_dim), -1.0, 1.0)}
    return {"motion": Graph(motion, inputs, codes), "frames": _mocogan_frames(model)}


def _mocogan_ode(model: Any) -> dict[str, Graph]:
    """The start of a path, the slope that a solver follows, and frames of the states that it passes."""
    _no_categories(model)
    config, labels, path = model.config, model.config.motion_labels, model.generator.motion
    if config.order > 1:
        raise ArgumentError(f"order={config.order}: vidgen export knows equations of order 1.")
    state = Port(("batch", config.motion_dim))

    def start(noise: Tensor, *given: Tensor) -> Tensor:
        return model.generator.path(noise, [0.0], None, dict(zip(labels, given, strict=True)))[:, 0]

    def slope(states: Tensor) -> Tensor:
        return path.pace * path.equation.f(states)  # in a frame, eq. (latent-times)

    inputs = {"noise": Port(("batch", config.start_dim or config.motion_dim)), **_labels(labels)}
    return {
        "start": Graph(start, inputs, {"state": state}),
        "slope": Graph(slope, {"state": state}, {"slope": state}),
        "frames": _mocogan_frames(model),
    }


GRAPHS: dict[str, Callable[[Any], dict[str, Graph]]] = {
    "gan": _gan,
    "dcgan": _dcgan,
    "vqvae": _vqvae,
    "vgan": _vgan,
    "mocogan": _mocogan,
    "mocogan-ode": _mocogan_ode,
}


def graphs(model: Model) -> dict[str, Graph]:
    """The graphs of a model's sampling path, by name. ArgumentError where there are none."""
    if model.name not in GRAPHS:
        raise ArgumentError(
            f"{model.name} cannot be exported; these can: {', '.join(GRAPHS)}. For samples: vidgen sample {model.name}"
        )
    return GRAPHS[model.name](model)


def export(model: Model, out: Path | str, weights_sha256: str) -> Path:
    """Writes a model's graphs, `NAME-PRESET-GRAPH.onnx`, and their card, `NAME-PRESET.json`. Returns the card's path.

    Float tensors are stored as fp16 and computed with as float32. The files hold no traces of the machine that wrote
    them.

    Args:
        model: with the weights to export.
        out: a folder; it is made where it is missing.
        weights_sha256: of the weights file that the model was loaded from, for the card; a manifest states the same.

    Raises:
        ArgumentError: the model has no graphs, or a package is missing.
        CheckpointError: `out` cannot be written.
    """
    out, stem = Path(out), f"{model.name}-{model.preset}"
    card: dict[str, Any] = {
        "model": model.name,
        "preset": model.preset,
        "weights_sha256": weights_sha256,
        "opset": OPSET,
        "graphs": {},
    }
    for name, graph in graphs(model).items():
        content = onnx_bytes(model, graph)
        path = out / f"{stem}-{name}.onnx"
        write_atomically(path, lambda part, content=content: part.write_bytes(content))
        card["graphs"][name] = {
            "file": path.name,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "inputs": {key: port.as_json() for key, port in graph.inputs.items()},
            "outputs": {key: port.as_json() for key, port in graph.outputs.items()},
        }
    text = json.dumps(card, indent=1) + "\n"
    write_atomically(out / f"{stem}.json", lambda part: part.write_text(text))
    return out / f"{stem}.json"


class _Traced(nn.Module):
    """A graph's `call`, with the model beside it so that its weights are found."""

    def __init__(self, model: Model, graph: Graph) -> None:
        super().__init__()
        self.model, self.call = model, graph.call

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.call(*inputs)


def onnx_bytes(model: Model, graph: Graph) -> bytes:
    """One graph as the content of an ONNX file. The same weights give the same bytes."""
    try:
        from onnxscript import optimizer
    except ModuleNotFoundError as error:
        raise ArgumentError(f'vidgen export needs {error.name}: pip install "vidgen-lab[export]"') from error
    axes = {name: torch.export.Dim(name, min=1, max=4096) for name in EXAMPLE}
    free = tuple(
        {place: axes[axis] for place, axis in enumerate(port.shape) if isinstance(axis, str)}
        for port in graph.inputs.values()
    )
    with model.inference(), _quiet():
        program = torch.onnx.export(
            _Traced(model, graph).eval(),
            tuple(port.draw(EXAMPLE) for port in graph.inputs.values()),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=(free,),
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # it would fold norms into weights, which fp16 would then round
            verbose=False,
        )
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    proto = program.model_proto
    _strip(proto)
    _halve(proto)
    return proto.SerializeToString(deterministic=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notices of the exporter, which are about its own inside and about packages not needed here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(proto: Any) -> None:
    """Removes what the exporter wrote about where it ran: stack traces, paths, versions, the shapes of all steps."""
    proto.ClearField("producer_name")
    proto.ClearField("producer_version")
    graph = proto.graph
    graph.ClearField("value_info")
    for part in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *proto.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _halve(proto: Any) -> None:
    """Stores large float tensors as fp16, each with a cast back to float32 in front of its use."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < HALF_FROM:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
