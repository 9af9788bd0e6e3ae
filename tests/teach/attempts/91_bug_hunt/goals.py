# %% right: cross-entropy, and a step on .data
def goals(fake_logits):
    bce = F.binary_cross_entropy_with_logits
    return bce(fake_logits, torch.zeros_like(fake_logits)), bce(fake_logits, torch.ones_like(fake_logits))


def update(parameters, rate):
    for parameter in parameters:
        parameter.data.add_(parameter.grad, alpha=-rate)


# %% right: logsigmoid, and torch's own optimiser
def goals(fake_logits):
    return -F.logsigmoid(-fake_logits).mean(), -F.logsigmoid(fake_logits).mean()


def update(parameters, rate):
    torch.optim.SGD(parameters, lr=rate).step()


# %% wrong: both want one half -> neither player is content
def goals(fake_logits):
    goal = (fake_logits.sigmoid() - 0.5).square().mean()
    return goal, goal


def update(parameters, rate):
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad


# %% wrong: the players exchanged -> pushes D(G(z)) down
def goals(fake_logits):
    return softplus(-fake_logits).mean(), softplus(fake_logits).mean()


def update(parameters, rate):
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad


# %% wrong: the generator helps the discriminator -> pushes D(G(z)) up
def goals(fake_logits):
    return softplus(fake_logits).mean(), softplus(fake_logits).mean()


def update(parameters, rate):
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad


# %% wrong: the generator's half of the value, which saturates -> the strongest push
def goals(fake_logits):
    return softplus(fake_logits).mean(), -softplus(fake_logits).mean()


def update(parameters, rate):
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad


# %% wrong: still climbs -> the step climbs
def goals(fake_logits):
    return softplus(fake_logits).mean(), softplus(-fake_logits).mean()


def update(parameters, rate):
    with torch.no_grad():
        for parameter in parameters:
            parameter += rate * parameter.grad


# %% wrong: makes new tensors -> in place
def goals(fake_logits):
    return softplus(fake_logits).mean(), softplus(-fake_logits).mean()


def update(parameters, rate):
    for parameter in parameters:
        parameter = parameter - rate * parameter.grad


# %% wrong: updates the first parameter only -> of each of them
def goals(fake_logits):
    return softplus(fake_logits).mean(), softplus(-fake_logits).mean()


def update(parameters, rate):
    with torch.no_grad():
        parameters[0] -= rate * parameters[0].grad
