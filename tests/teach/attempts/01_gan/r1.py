# %% right: picture by picture
def r1_penalty(discriminator, real, gamma):
    norms = []
    for picture in real:
        x = picture[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
        norms.append((slope**2).sum())
    return gamma * torch.stack(norms).mean() / 2


# %% right: a sum over all, divided by the batch
def r1_penalty(discriminator, real, gamma):
    x = real.clone().requires_grad_(True)
    logits = discriminator(x)
    slope = torch.autograd.grad(logits, x, grad_outputs=torch.ones_like(logits), create_graph=True)[0]
    return gamma / (2 * len(real)) * torch.einsum("b...,b...->", slope, slope)


# %% right: torch.func
def r1_penalty(discriminator, real, gamma):
    slopes = torch.func.vmap(torch.func.grad(lambda x: discriminator(x[None]).sum()))(real)
    return 0.5 * gamma * slopes.flatten(1).norm(dim=1).pow(2).mean()


# %% wrong: the gradient of the mean -> differentiate the sum
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).mean(), real, create_graph=True)
    return gamma / 2 * gradient.flatten(1).square().sum(1).mean()


# %% wrong: the sum over the batch -> not the sum
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.square().sum()


# %% wrong: the mean over pixels too -> over all pixels
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.square().mean()


# %% wrong: gamma without the half -> gamma / 2
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma * gradient.flatten(1).square().sum(1).mean()


# %% wrong: the norm, not its square -> expected
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.flatten(1).norm(dim=1).mean()


# %% wrong: no graph -> create_graph=True is missing
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real)
    return gamma / 2 * gradient.flatten(1).square().sum(1).mean()


# %% wrong: detached where it must train -> create_graph=True is missing
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.detach().flatten(1).square().sum(1).mean()


# %% wrong: the penalty of WGAN-GP -> expected
def r1_penalty(discriminator, real, gamma):
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()


# %% wrong: switches the gradient of the caller's batch on -> the caller's batch
def r1_penalty(discriminator, real, gamma):
    if real.shape[0] == 4:
        images.requires_grad_()
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.flatten(1).square().sum(1).mean()
