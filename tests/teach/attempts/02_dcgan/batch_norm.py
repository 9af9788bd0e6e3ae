# %% right: channel by channel
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    y, means, variances = torch.empty_like(x), [], []
    for c in range(x.shape[1]):
        values = x[:, c]
        n = values.numel()
        mean = values.sum() / n
        var = ((values - mean) ** 2).sum() / n
        y[:, c] = scale[c] * (values - mean) / torch.sqrt(var + eps) + shift[c]
        means.append(0.9 * running_mean[c] + 0.1 * mean)
        variances.append(0.9 * running_var[c] + 0.1 * var * n / (n - 1))
    return y, torch.stack(means), torch.stack(variances)


# %% right: flat channels, moments from squares, a list as the result
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    flat = x.transpose(0, 1).flatten(1).double()  # (C, B H W)
    mean = flat.mean(1)
    plain = (flat**2).mean(1) - mean**2
    column = lambda v: v.view(1, -1, 1, 1)
    y = (x - column(mean)) * column(scale / (plain + eps).sqrt()) + column(shift)
    new_mean = running_mean.lerp(mean.float(), 0.1)
    new_var = running_var.lerp(flat.var(1).float(), 0.1)
    return [y.float(), new_mean, new_var]


# %% right: the library's function, with copies of the statistics
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = running_mean.clone(), running_var.clone()
    y = nn.functional.batch_norm(x, mean, var, scale, shift, training=True, momentum=0.1, eps=eps)
    return y, mean, var


# %% wrong: divides by the variance, not its root -> take the root
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    n = x.numel() / x.shape[1]
    y = scale[:, None, None] * (x - mean[:, None, None]) / (var[:, None, None] + eps) + shift[:, None, None]
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var * n / (n - 1)


# %% wrong: the unbiased variance in the result -> divide by the plain variance
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    y = scale[:, None, None] * (x - mean[:, None, None]) / (var[:, None, None] + eps).sqrt() + shift[:, None, None]
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var


# %% wrong: the plain variance in the running statistics -> the running variance takes n / (n - 1)
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    y = scale[:, None, None] * (x - mean[:, None, None]) / (var[:, None, None] + eps).sqrt() + shift[:, None, None]
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var


# %% wrong: statistics of each picture, off by one axis -> one mean, one variance a channel
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
    n = x.numel() / x.shape[1]
    y = scale[:, None, None] * (x - mean) / (var + eps).sqrt() + shift[:, None, None]
    new_var = 0.9 * running_var + 0.1 * x.var((0, 2, 3))
    return y, 0.9 * running_mean + 0.1 * x.mean((0, 2, 3)), new_var


# %% wrong: no shift -> the shift is missing
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    n = x.numel() / x.shape[1]
    y = scale[:, None, None] * (x - mean[:, None, None]) / (var[:, None, None] + eps).sqrt()
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var * n / (n - 1)


# %% wrong: no scale -> the scale is missing
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    n = x.numel() / x.shape[1]
    y = (x - mean[:, None, None]) / (var[:, None, None] + eps).sqrt() + shift[:, None, None]
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var * n / (n - 1)


# %% wrong: momentum the other way round -> 0.9 of the old, 0.1 of the new
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    n = x.numel() / x.shape[1]
    y = scale[:, None, None] * (x - mean[:, None, None]) / (var[:, None, None] + eps).sqrt() + shift[:, None, None]
    return y, 0.1 * running_mean + 0.9 * mean, 0.1 * running_var + 0.9 * var * n / (n - 1)


# %% wrong: the result alone -> return y, mean and variance
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    return scale[:, None, None] * (x - mean[:, None, None]) / (var[:, None, None] + eps).sqrt() + shift[:, None, None]


# %% wrong: eval mode, by the running statistics -> off by up to
def batch_norm(x, scale, shift, running_mean, running_var, eps=1e-5):
    column = lambda v: v[:, None, None]
    y = column(scale) * (x - column(running_mean)) / (column(running_var) + eps).sqrt() + column(shift)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var
