# %% right: the diagonal taken off
def kernel_estimate(x, y):
    n, d = x.shape
    k = lambda a, b: (torch.einsum("nd,md->nm", a, b) / d + 1).pow(3)
    off = lambda m: (m.sum() - m.trace()) / (n * (n - 1))
    return off(k(x, x)) + off(k(y, y)) - 2 * k(x, y).sum() / n**2


# %% right: pairs from a mask
def kernel_estimate(x, y):
    both = torch.cat([x, y])
    k = (both @ both.T / x.shape[1] + 1) ** 3
    n = len(x)
    different = ~torch.eye(n, dtype=torch.bool)
    return k[:n, :n][different].mean() + k[n:, n:][different].mean() - k[:n, n:].mean() - k[n:, :n].mean()


# %% right: one pair after the other
def kernel_estimate(x, y):
    n, d = x.shape
    k = lambda a, b: ((a * b).sum() / d + 1) ** 3
    total = x.new_zeros(())
    for i in range(n):
        for j in range(n):
            if i != j:
                total += (k(x[i], x[j]) + k(y[i], y[j])) / (n * (n - 1))
            total -= 2 * k(x[i], y[j]) / n**2
    return total


# %% wrong: with the diagonal -> leave out the diagonal
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    return k(x, x).mean() + k(y, y).mean() - 2 * k(x, y).mean()


# %% wrong: once the mean across -> twice the mean across
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    n = len(x)
    within = k(x, x).fill_diagonal_(0).sum() + k(y, y).fill_diagonal_(0).sum()
    return within / (n * (n - 1)) - k(x, y).mean()


# %% wrong: divides by n squared -> n (n - 1)?
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    within = k(x, x).fill_diagonal_(0).mean() + k(y, y).fill_diagonal_(0).mean()
    return within - 2 * k(x, y).mean()


# %% wrong: the inner product not divided by d -> / d?
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T + 1) ** 3
    n = len(x)
    within = k(x, x).fill_diagonal_(0).sum() + k(y, y).fill_diagonal_(0).sum()
    return within / (n * (n - 1)) - 2 * k(x, y).mean()


# %% wrong: the wrong sign across -> expected
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    n = len(x)
    within = k(x, x).fill_diagonal_(0).sum() + k(y, y).fill_diagonal_(0).sum()
    return within / (n * (n - 1)) + 2 * k(x, y).mean()


# %% wrong: divided by the number of samples, off by one axis -> expected
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T / a.shape[0] + 1) ** 3
    n = len(x)
    within = k(x, x).fill_diagonal_(0).sum() + k(y, y).fill_diagonal_(0).sum()
    return within / (n * (n - 1)) - 2 * k(x, y).mean()


# %% wrong: a matrix -> return one number
def kernel_estimate(x, y):
    k = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    return k(x, x) + k(y, y) - 2 * k(x, y)
