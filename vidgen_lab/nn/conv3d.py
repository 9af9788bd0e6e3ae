"""Convolutions over clips of three kinds, and the stacks of them that video GANs are made of. [tran2018closer]

    kind   kernels              sees
    3d     k x k x k            space and time at once
    2+1d   1 x k x k, k x 1 x 1 space, then time, with a ReLU between
    2d     1 x k x k            each frame alone; the number of frames stays

All take `(B, C, T, H, W)`. A layer of stride 2 halves or doubles the frames (not of kind 2d) and both sides.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vidgen_lab.core.errors import ArgumentError, unknown

Kind = Literal["3d", "2+1d", "2d"]
SMALLEST = 4  # side of the first map of a generator and of the last map of a discriminator, pixels


def convolution(
    width_in: int,
    width_out: int,
    kind: Kind = "3d",
    *,
    kernel: int = 4,
    stride: int = 2,
    padding: int = 1,
    transposed: bool = False,
    middle: int | None = None,
    bias: bool = True,
) -> nn.Module:
    """One layer over clips: `(B, width_in, T, H, W) -> (B, width_out, T', H', W')`.

    A factorised layer works over time where the frames are small: after the halving of space, before its doubling.

    Args:
        kernel, stride, padding: of space, and of time unless the kind is "2d".
        transposed: spreads instead of gathering; stride 2 doubles.
        middle: channels between the two factors of kind "2+1d"; None: `width_out`. `equal_middle` gives the width at
            which the factors have as many weights as the full kernel.

    Raises:
        ArgumentError: no such kind.
    """
    if kind not in get_args(Kind):
        raise unknown("kind of convolution", kind, get_args(Kind))
    layer = nn.ConvTranspose3d if transposed else nn.Conv3d
    if kind == "3d":
        return layer(width_in, width_out, kernel, stride, padding, bias=bias)  # eq. (conv3d-convolution)
    space = (1, kernel, kernel), (1, stride, stride), (0, padding, padding)
    if kind == "2d":
        return layer(width_in, width_out, *space, bias=bias)
    time = (kernel, 1, 1), (stride, 1, 1), (padding, 0, 0)
    first, second = (time, space) if transposed else (space, time)
    middle = width_out if middle is None else middle
    return nn.Sequential(
        layer(width_in, middle, *first, bias=bias), nn.ReLU(inplace=True), layer(middle, width_out, *second, bias=bias)
    )


def equal_middle(width_in: int, width_out: int, kernel: int = 4) -> int:
    """Channels between the factors at which "2+1d" has as many weights as "3d", or just fewer. tran2018closer, 3.5

    For a layer that is not transposed: space first.
    """
    return kernel**3 * width_in * width_out // (kernel**2 * width_in + kernel * width_out)


def check_shape(frames: int, size: int, name: str, widths: Sequence[int]) -> None:
    """Raises ArgumentError unless as many doublings as there are widths lead from 4 x 4 pixels to `size`, and from a
    whole number of frames to `frames`."""
    doublings = len(widths)
    if not doublings or size != SMALLEST * 2**doublings:
        count = (size // SMALLEST).bit_length() - 1
        right = size == SMALLEST * 2**count and count > 0
        fix = f"give {count} widths" if right else "use size 8, 16, 32, 64, ..."
        raise ArgumentError(
            f"size={size} with {name}={tuple(widths)}: each width doubles {SMALLEST}x{SMALLEST} once more; {fix}."
        )
    if frames < 1 or frames % 2**doublings:
        nearest = max(1, round(frames / 2**doublings)) * 2**doublings
        raise ArgumentError(
            f"frames={frames}: {doublings} layers double or halve the frames, so their number must be a multiple of "
            f"{2**doublings}. Nearest: frames={nearest}."
        )


def check_clips(clips: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The clips `(B, C, T, H, W)` as they are. Raises ArgumentError unless each has the shape that a config says."""
    if clips.shape[1:] != shape:
        raise ArgumentError(f"the clips have shape {tuple(clips.shape[1:])}, the config says {shape}. Make them equal.")
    return clips


def doubling(widths: Sequence[int], dimensions: int = 3, kind: Kind = "3d") -> list[nn.Module]:
    """Layers from `widths[0]` channels to `widths[-1]`, each with batch normalisation and ReLU.

    Each doubles height and width, and with three dimensions the frames.
    """
    layers: list[nn.Module] = []
    for width_in, width_out in zip(widths, widths[1:], strict=False):
        if dimensions == 3:
            layers.append(convolution(width_in, width_out, kind, transposed=True))
        else:
            layers.append(nn.ConvTranspose2d(width_in, width_out, 4, 2, 1))
        layers += after(width_out, dimensions)
    return layers


def after(width: int, dimensions: int) -> list[nn.Module]:
    """What follows a hidden layer of a generator: batch normalisation and ReLU."""
    norm = nn.BatchNorm3d if dimensions == 3 else nn.BatchNorm2d
    return [norm(width), nn.ReLU(inplace=True)]


class ClipDiscriminator(nn.Module):
    """Clips to logits: `(B, C, T, S, S) -> (B, outputs)`. vondrick2016vgan

    One convolution of stride 2 for each width, leaky ReLU after it, batch normalisation from the second on; then one
    convolution over all that is left. Of kind "2d" with `frames=1` it is a critic of single pictures.

    Args:
        shape: `(C, T, S, S)` of the clips.
        widths: channels after each halving; S is 4 * 2^widths.
        norm: batch normalisation in all layers but the first and the last.
    """

    def __init__(
        self, shape: tuple[int, ...], widths: Sequence[int], outputs: int, kind: Kind = "3d", norm: bool = True
    ) -> None:
        super().__init__()
        channels, frames, _, _ = shape
        layers: list[nn.Module] = []
        for level, (width_in, width_out) in enumerate(zip((channels, *widths), widths, strict=False)):
            layers.append(convolution(width_in, width_out, kind))
            if norm and level:
                layers.append(nn.BatchNorm3d(width_out, eps=1e-3))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        left = frames if kind == "2d" else frames // 2 ** len(widths)
        layers.append(nn.Conv3d(widths[-1], outputs, (left, SMALLEST, SMALLEST)))
        self.layers = nn.Sequential(*layers)

    def forward(self, clips: Tensor) -> Tensor:
        return self.layers(clips).flatten(1)


def faster_memory(network: nn.Module) -> None:
    """Puts the channels of every kernel last in memory, in place: the same numbers, quicker convolutions on a CPU."""
    for layer in network.modules():
        for parameter in layer.parameters(recurse=False):
            order = {4: torch.channels_last, 5: torch.channels_last_3d}.get(parameter.dim())
            if order:
                parameter.data = parameter.data.contiguous(memory_format=order)
