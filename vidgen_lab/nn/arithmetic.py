"""What a stack of convolutions costs and sees, read from its layer table.

    symbol    name                   meaning
    k, s      kernel, stride         of a layer, each along time, height and width
    C, C'     width_in, width_out    channels
    T, H, W   size_in, size_out      frames, rows and columns of a map
    r         receptive_field        frames, rows and columns that one number of the deepest map is connected with
    f         frequency              cycles a frame

Chapter: book/video/conv3d.md. Lab: notebooks/04_conv3d.ipynb.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from vidgen_lab.core import ArgumentError

Box = tuple[int, int, int]
"""Along time, height and width. A picture is a clip of one frame."""


@dataclass(frozen=True)
class Row:
    """One convolution of a network, plain or transposed, as it acts on one clip."""

    name: str
    transposed: bool
    kernel: Box
    stride: Box
    width_in: int
    width_out: int
    size_in: Box
    size_out: Box
    parameters: int
    multiply_adds: int


def layer_table(network: nn.Module, *inputs: Tensor) -> list[Row]:
    """The convolutions that `network(*inputs)` runs, in their order. Nothing is computed: it runs on the meta device.

    A 2-D convolution counts as a 3-D one with a kernel of one frame. Where it reads the frames of a clip as so many
    pictures, its row counts all of them, and its sizes are those of one.

    Raises:
        ArgumentError: the network has no convolution.
    """
    rows: list[Row] = []
    clips = len(inputs[0])

    def note(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        taps = prod(layer.kernel_size)
        if isinstance(layer, _ConvTransposeNd):
            # Each number that is read is spread over the kernel, into each of the channels.
            work = given[0].numel() * taps * layer.out_channels // layer.groups
        else:
            # One multiply-add for each term of eq. (conv3d-convolution), for each number that is written.
            work = out.numel() * taps * layer.in_channels // layer.groups  # eq. (conv3d-cost)
        rows.append(
            Row(
                names[layer],
                isinstance(layer, _ConvTransposeNd),
                _box(layer.kernel_size),
                _box(layer.stride),
                layer.in_channels,
                layer.out_channels,
                _box(given[0].shape[2:]),
                _box(out.shape[2:]),
                sum(parameter.numel() for parameter in layer.parameters()),
                work // clips,
            )
        )

    network = copy.deepcopy(network).to("meta")
    names = {layer: name for name, layer in network.named_modules()}
    layers = [layer for layer in names if isinstance(layer, nn.modules.conv._ConvNd)]
    if not layers:
        raise ArgumentError(f"{type(network).__name__} has no convolution, so there is no layer table.")
    for layer in layers:
        layer.register_forward_hook(note)
    with torch.no_grad():
        network(*(given.to("meta") for given in inputs))
    return rows


def receptive_field(rows: Sequence[Row]) -> Box:
    """Frames, rows and columns that one number of the deepest map is connected with, along one path of layers.

    For convolutions: the box of the input that one number of the output sees. For transposed ones, the other way
    round: the box of the output that one number of the input reaches. Edges are left out: a box may stick out of the
    clip.

    Raises:
        ArgumentError: convolutions and transposed ones in one path.
    """
    if len({row.transposed for row in rows}) > 1:
        raise ArgumentError("rows: convolutions and transposed ones are mixed. Give one kind at a time.")
    field = [1, 1, 1]
    for row in rows if rows and rows[0].transposed else reversed(rows):  # from the deepest layer outwards
        field = [(r - 1) * s + k for r, s, k in zip(field, row.stride, row.kernel, strict=True)]  # eq. (conv3d-field)
    return field[0], field[1], field[2]


def map_bytes(rows: Sequence[Row], clips: int, maps: int = 1) -> int:
    """Bytes of what the layers write for a batch of clips, in float32: what waits in memory for the backward pass.

    Args:
        maps: how many maps each layer leaves behind. 1 where an activation works in place; 2 with a normalisation
            between, which keeps what it read.
    """
    return sum(4 * clips * maps * row.width_out * prod(row.size_out) for row in rows)  # eq. (conv3d-memory)


def alias(frequency: float, stride: int) -> float:
    """What a frequency looks like when only every `stride`-th frame is kept.

    Args:
        frequency: in cycles a frame.
        stride: 1 or more.

    Returns:
        The lowest frequency, from 0 to 1/2 in cycles a kept frame, that passes through the same numbers.

    Raises:
        ArgumentError: a stride below 1.
    """
    if stride < 1:
        raise ArgumentError(f"stride={stride}: give 1 for every frame, 2 for every second, ...")
    return abs(stride * frequency - round(stride * frequency))  # eq. (conv3d-alias)


def _box(sides: Sequence[int]) -> Box:
    """Two sides are those of a picture, one frame long."""
    time, height, width = (1,) * (3 - len(sides)) + tuple(sides)
    return time, height, width
