# %% right: place and speed by index
def derivative(f, states):
    return torch.stack((states[1], f(torch.cat((states[0], states[1]), 1))))


# %% right: a tensor that is filled
def derivative(f, states):
    both = states.transpose(0, 1).flatten(1)
    result = torch.empty_like(states)
    result[0] = states[1]
    result[1] = f(both)
    return result


# %% wrong: gives the acceleration alone -> both need a derivative
def derivative(f, states):
    return f(torch.cat([*states], dim=1))


# %% wrong: the place keeps still -> the derivative of the place is the speed
def derivative(f, states):
    return torch.stack([states[0], f(torch.cat([*states], dim=1))])


# %% wrong: speed before place -> f takes the place first
def derivative(f, states):
    place, speed = states
    return torch.stack([speed, f(torch.cat([speed, place], dim=1))])


# %% wrong: a friction of its own -> the derivative of the speed is f
def derivative(f, states):
    place, speed = states
    return torch.stack([speed, f(torch.cat([place, speed], dim=1)) - 0.1 * speed])
