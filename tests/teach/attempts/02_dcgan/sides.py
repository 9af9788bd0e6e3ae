# %% right: floor of a division
import math


def conv_side(side, kernel, stride, padding):
    return math.floor((side + 2 * padding - kernel) / stride) + 1


def transposed_side(side, kernel, stride, padding):
    return stride * side - stride + kernel - padding - padding


# %% right: counts the places where the kernel fits
def conv_side(side, kernel, stride, padding):
    return len(range(0, side + 2 * padding - kernel + 1, stride))


def transposed_side(side, kernel, stride, padding):
    written = {place * stride + offset for place in range(side) for offset in range(kernel)}
    return max(written) + 1 - 2 * padding


# %% right: asks torch
def conv_side(side, kernel, stride, padding):
    layer = nn.Conv1d(1, 1, kernel, stride, padding)
    return layer(torch.zeros(1, 1, side)).shape[-1]


def transposed_side(side, kernel, stride, padding):
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding)
    return layer(torch.zeros(1, 1, side)).shape[-1]


# %% wrong: divides with a point -> divide with //
def conv_side(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) / stride + 1


def transposed_side(side, kernel, stride, padding):
    return (side - 1) * stride + kernel - 2 * padding


# %% wrong: forgets the first place -> add 1
def conv_side(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride


def transposed_side(side, kernel, stride, padding):
    return (side - 1) * stride + kernel - 2 * padding


# %% wrong: rounds up -> round down
def conv_side(side, kernel, stride, padding):
    return -(-(side + 2 * padding - kernel) // stride) + 1


def transposed_side(side, kernel, stride, padding):
    return (side - 1) * stride + kernel - 2 * padding


# %% wrong: pads one side -> padding is added on both sides
def conv_side(side, kernel, stride, padding):
    return (side + padding - kernel) // stride + 1


def transposed_side(side, kernel, stride, padding):
    return (side - 1) * stride + kernel - 2 * padding


# %% wrong: halves and doubles, whatever the kernel -> a kernel that does not fit
def conv_side(side, kernel, stride, padding):
    return side // stride


def transposed_side(side, kernel, stride, padding):
    return side * stride


# %% wrong: pads the transposed convolution -> padding cuts off both sides
def conv_side(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride + 1


def transposed_side(side, kernel, stride, padding):
    return (side - 1) * stride + kernel


# %% wrong: the transposed one only doubles -> spread by a kernel of 4
def conv_side(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride + 1


def transposed_side(side, kernel, stride, padding):
    return side * stride
