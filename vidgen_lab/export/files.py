"""A graph as the content of an ONNX file: traced, stripped of where it was written, its weights in few bits."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError, Model
from vidgen_lab.export.bits import shrink
from vidgen_lab.export.graph import Graph

OPSET = 20  # of ONNX
EXAMPLE = {"batch": 3, "frames": 5, "moments": 2, "past": 4}  # sizes of the free axes while the graph is traced


class _Traced(nn.Module):
    """A graph's `call`, with the model beside it so that its weights are found."""

    def __init__(self, model: Model, graph: Graph) -> None:
        super().__init__()
        self.model, self.call = model, graph.call

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.call(*inputs)


def onnx_bytes(model: Model, graph: Graph, bits: int = 16) -> bytes:
    """One graph as the content of an ONNX file. The same weights give the same bytes. For `bits` see `export`."""
    try:
        from onnxscript import optimizer
    except ModuleNotFoundError as error:
        raise ArgumentError(f'vidgen export needs {error.name}: pip install "vidgen-lab[export]"') from error
    axes = {name: torch.export.Dim(name, min=int(name != "past"), max=4096) for name in EXAMPLE}
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
    _drop_zero_biases(proto)
    shrink(proto, bits)
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


def _drop_zero_biases(proto: Any) -> None:
    """Takes away the zeros that the exporter writes where a convolution has no bias: in 3-D their shape is wrong."""
    from onnx import numpy_helper

    graph = proto.graph
    zeros = {each.name for each in graph.initializer if not numpy_helper.to_array(each).any()}
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in zeros:
            del node.input[2]
    used = {name for node in graph.node for name in node.input}
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in used:
            del graph.initializer[place]
