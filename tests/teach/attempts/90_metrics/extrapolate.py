# %% right: the formulas of a regression line
def extrapolate(sizes, distances):
    xs = [1 / n for n in sizes]
    mean_x, mean_y = sum(xs) / len(xs), sum(distances) / len(distances)
    above = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, distances))
    slope = above / sum((x - mean_x) ** 2 for x in xs)
    return mean_y - slope * mean_x


# %% right: numpy's polynomial
import numpy as np


def extrapolate(sizes, distances):
    return float(np.polyfit(1 / np.asarray(sizes, dtype=float), distances, 1)[-1])


# %% right: the pseudo-inverse
def extrapolate(sizes, distances):
    n = torch.tensor(sizes).double()
    columns = torch.stack([1 / n, torch.ones_like(n)], dim=1)
    return (torch.linalg.pinv(columns) @ torch.tensor(distances).double())[1].item()


# %% wrong: the slope -> that is the slope
def extrapolate(sizes, distances):
    inverse = 1 / torch.tensor(sizes, dtype=torch.float64)
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution[1].item()


# %% wrong: a line in N -> is the line in 1/N
def extrapolate(sizes, distances):
    n = torch.tensor(sizes, dtype=torch.float64)
    line = torch.stack([torch.ones_like(n), n], 1)
    return torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution[0].item()


# %% wrong: the largest set -> the distance at the largest N
def extrapolate(sizes, distances):
    return distances[-1]


# %% wrong: through the first and the last point alone -> use all points
def extrapolate(sizes, distances):
    a, b = 1 / sizes[0], 1 / sizes[-1]
    slope = (distances[0] - distances[-1]) / (a - b)
    return distances[-1] - slope * b


# %% wrong: a tensor -> return a float
def extrapolate(sizes, distances):
    inverse = 1 / torch.tensor(sizes, dtype=torch.float64)
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution[0]


# %% wrong: the expected number, by heart -> use all points
def extrapolate(sizes, distances):
    return 2.0


# %% wrong: the mean -> expected 2
def extrapolate(sizes, distances):
    return sum(distances) / len(distances)
