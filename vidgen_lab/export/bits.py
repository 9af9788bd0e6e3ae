"""Weights in fewer bits. With 16 bits those that ship are stored as they are; with 8 they are rounded.

Rounding is that of one scale for each channel: whole numbers from -127 to 127 times the channel's largest magnitude
over 127. A channel is a slice of the first or of the second axis, whichever is rounded with less error.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch

from vidgen_lab.core import Model

HALF_FROM = 64  # numbers from which a float tensor is stored as fp16
EIGHT_FROM = 8192  # and, with 8 bits, from which a matrix or kernel is stored as int8


def rounded(model: Model) -> Model:
    """A copy of the model whose large weights are those that 8 bits keep."""
    model = deepcopy(model)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point() and _large(tuple(tensor.shape)):
                whole, scale = eight_bits(tensor.numpy())
                tensor.copy_(torch.from_numpy(whole * scale))
    return model


def eight_bits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 `(A, B, ...)`, and the scales, float32, of shape `(A, 1, ...)` or `(1, B, ...)`; their product is near."""

    def along(axis: int) -> tuple[np.ndarray, np.ndarray]:
        others = tuple(other for other in range(values.ndim) if other != axis)
        scale = np.abs(values).max(axis=others, keepdims=True).astype("float32") / np.float32(127)
        scale[scale == 0] = 1
        return np.rint(values / scale).astype("int8"), scale

    return min(along(0), along(1), key=lambda pair: np.square(pair[0] * pair[1] - values).sum())


def _large(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and int(np.prod(shape)) >= EIGHT_FROM


def shrink(proto: Any, bits: int) -> None:
    """Stores large float tensors of an ONNX file in 16 or 8 bits, each with steps back to float32 before its use."""
    from onnx import TensorProto, helper, numpy_helper

    back, scales = [], []
    for tensor in proto.graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if tensor.data_type != TensorProto.FLOAT or values.size < HALF_FROM:
            continue
        whole, scale = eight_bits(values) if bits == 8 and _large(values.shape) else (None, None)
        if whole is not None and np.allclose(whole * scale, values, rtol=1e-5, atol=0):  # else made of small ones
            tensor.CopyFrom(numpy_helper.from_array(whole, f"{name}.whole"))
            scales.append(numpy_helper.from_array(scale, f"{name}.scale"))
            back.append(helper.make_node("Cast", [f"{name}.whole"], [f"{name}.wide"], to=TensorProto.FLOAT))
            back.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name]))
        elif values.ndim > 1 or (values.astype("float16") == values).all():  # a vector that would change stays
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}.half"))
            back.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    proto.graph.initializer.extend(scales)
    nodes = [*back, *proto.graph.node]
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
