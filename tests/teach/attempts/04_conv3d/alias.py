# %% right: the remainder, shifted by half a turn
def seen(f, stride):
    return (f * stride + 0.5) % 1 - 0.5


# %% right: the angle of a turning arrow
import cmath


def seen(f, stride):
    return cmath.phase(cmath.exp(2j * cmath.pi * f * stride)) / (2 * cmath.pi)


# %% right: the library's remainder
import math


def seen(f, stride):
    return math.remainder(f * stride, 1.0)


# %% wrong: the stride is forgotten -> the stride counts
def seen(f, stride):
    return f - round(f)


# %% wrong: divides by the stride -> 0.1 with stride 3 is 0.3
def seen(f, stride):
    return f / stride - round(f / stride)


# %% wrong: always forwards -> turned backwards
def seen(f, stride):
    return (f * stride) % 1


# %% wrong: without the sign -> turned backwards
def seen(f, stride):
    turns = f * stride
    return abs(turns - round(turns))


# %% wrong: the sign turned -> a slow wheel
def seen(f, stride):
    turns = f * stride
    return round(turns) - turns


# %% wrong: cuts instead of rounding -> turned backwards
def seen(f, stride):
    turns = f * stride
    return turns - int(turns)


# %% wrong: the turns that passed -> turned backwards
def seen(f, stride):
    return f * stride
