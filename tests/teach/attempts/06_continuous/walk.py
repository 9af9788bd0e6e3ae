# %% right: a loop that keeps the states in a list
def euler_walk(f, x, h, count):
    states = [x]
    for k in range(count):
        states.append(states[k] + f(states[k]) * h)
    return torch.stack(states, 1)


# %% right: a tensor that is filled
def euler_walk(f, x, h, count):
    path = x.unsqueeze(1).repeat(1, count + 1, *[1] * (x.dim() - 1))
    for k in range(count):
        path[:, k + 1] = path[:, k] + h * f(path[:, k])
    return path


# %% wrong: leaves out the start -> the start and four states
def euler_walk(f, x, h, count):
    path = []
    for _ in range(count):
        x = x + h * f(x)
        path.append(x)
    return torch.stack(path, dim=1)


# %% wrong: asks f at the start alone -> ask f anew
def euler_walk(f, x, h, count):
    slope = f(x)
    return torch.stack([x + k * h * slope for k in range(count + 1)], dim=1)


# %% wrong: forgets the length of the step -> over four steps of 0.5
def euler_walk(f, x, h, count):
    path = [x]
    for _ in range(count):
        path.append(path[-1] + f(path[-1]))
    return torch.stack(path, dim=1)


# %% wrong: stacks time first -> the start and four states
def euler_walk(f, x, h, count):
    path = [x]
    for _ in range(count):
        path.append(path[-1] + h * f(path[-1]))
    return torch.stack(path)
