# %% right: three draws and allclose
def is_transpose(forward, back, shape_in, shape_out):
    for _ in range(3):
        x = torch.randn(*shape_in).double()
        y = torch.randn(*shape_out).double()
        if not torch.allclose((forward(x) * y).sum(), (x * back(y)).sum(), rtol=1e-7, atol=1e-9):
            return False
    return True


# %% right: lets autograd make the transpose
def is_transpose(forward, back, shape_in, shape_out):
    x = torch.zeros(shape_in, dtype=torch.float64, requires_grad=True)
    y = torch.randn(shape_out, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((forward(x) * y).sum(), x)
    return torch.allclose(gradient, back(y))


# %% wrong: compares shapes -> shapes that fit are not enough
def is_transpose(forward, back, shape_in, shape_out):
    return back(torch.zeros(shape_out, dtype=torch.float64)).shape == shape_in


# %% wrong: always yes -> shapes that fit are not enough
def is_transpose(forward, back, shape_in, shape_out):
    return True


# %% wrong: asks whether back undoes forward -> is the transpose
def is_transpose(forward, back, shape_in, shape_out):
    x = torch.randn(shape_in, dtype=torch.float64)
    return torch.allclose(back(forward(x)), x)


# %% wrong: compares directions -> compare sizes, not directions
def is_transpose(forward, back, shape_in, shape_out):
    x = torch.zeros(shape_in, dtype=torch.float64, requires_grad=True)
    y = torch.randn(shape_out, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((forward(x) * y).sum(), x)
    a, b = gradient.flatten(), back(y).flatten()
    return bool((a @ b) / (a.norm() * b.norm()) > 0.999)


# %% wrong: loses the sign -> mind the sign
def is_transpose(forward, back, shape_in, shape_out):
    x = torch.randn(shape_in, dtype=torch.float64)
    y = torch.randn(shape_out, dtype=torch.float64)
    left, right = (forward(x) * y).sum().abs(), (x * back(y)).sum().abs()
    return bool((left - right).abs() < 1e-6 * left)


# %% wrong: the same numbers in every row -> the rows of the batch were exchanged
def is_transpose(forward, back, shape_in, shape_out):
    x = torch.randn((1, *shape_in[1:]), dtype=torch.float64).expand(shape_in)
    y = torch.randn((1, *shape_out[1:]), dtype=torch.float64).expand(shape_out)
    left, right = (forward(x) * y).sum(), (x * back(y)).sum()
    return bool((left - right).abs() <= 1e-6 * left.abs() + 1e-12)


# %% wrong: a tolerance that lets everything near pass -> one percent too much
def is_transpose(forward, back, shape_in, shape_out):
    x = torch.randn(shape_in, dtype=torch.float64)
    y = torch.randn(shape_out, dtype=torch.float64)
    left, right = (forward(x) * y).sum(), (x * back(y)).sum()
    return bool((left - right).abs() <= 0.1 * left.abs())


# %% wrong: the shapes of the example -> take its shapes from the arguments
def is_transpose(forward, back, shape_in, shape_out):
    x, y = torch.randn(2, 1, 8, 8).double(), torch.randn(2, 2, 4, 4).double()
    try:
        left, right = (forward(x) * y).sum(), (x * back(y)).sum()
    except RuntimeError:
        return False
    return bool((left - right).abs() <= 1e-6 * left.abs() + 1e-9)
