# %% right: the logarithm of the number of grids
import math


def bits_of_a_grid(height, width, num_codes):
    return math.log2(num_codes ** (height * width))


# %% right: natural logarithms, divided
from math import log


def bits_of_a_grid(height, width, num_codes):
    return log(num_codes) / log(2) * height * width


# %% right: a tensor of one number
def bits_of_a_grid(height, width, num_codes):
    return torch.tensor(float(num_codes), dtype=torch.float64).log2() * height * width


# %% wrong: no logarithm -> take the logarithm
def bits_of_a_grid(height, width, num_codes):
    return height * width * num_codes


# %% wrong: nats -> logarithm to base 2
import math


def bits_of_a_grid(height, width, num_codes):
    return height * width * math.log(num_codes)


# %% wrong: the bits of one code -> expected 128
import math


def bits_of_a_grid(height, width, num_codes):
    return math.log2(num_codes)


# %% wrong: 8 bits for every code -> every place of the grid counts
def bits_of_a_grid(height, width, num_codes):
    return height * width * 8


# %% wrong: the expected number, by heart -> every place of the grid counts
def bits_of_a_grid(height, width, num_codes):
    return 128


# %% wrong: prints and returns nothing -> return a number
import math


def bits_of_a_grid(height, width, num_codes):
    print(height * width * math.log2(num_codes))
