# %% right: two halves, interleaved by index
def finer_noise(noise, fresh):
    finer = noise.repeat_interleave(2, dim=1)
    finer[:, 0::2] = (noise + fresh) * 0.5**0.5
    finer[:, 1::2] = (noise - fresh) * 0.5**0.5
    return finer


# %% right: fresh with the other sign
def finer_noise(noise, fresh):
    halves = torch.stack([noise - fresh, noise + fresh], dim=2) / 2**0.5
    return halves.reshape(len(noise), -1, *noise.shape[2:])


# %% wrong: halves instead of roots -> two short steps must end where the long one did
def finer_noise(noise, fresh):
    return torch.stack([(noise + fresh) / 2, (noise - fresh) / 2], dim=2).flatten(1, 2)


# %% wrong: each step half of the long one -> each number has variance 1
def finer_noise(noise, fresh):
    return torch.stack([noise / 2**0.5, noise / 2**0.5], dim=2).flatten(1, 2)


# %% wrong: the first halves of all steps, then the second -> two short steps must end where the long one did
def finer_noise(noise, fresh):
    return torch.cat([(noise + fresh) / 2**0.5, (noise - fresh) / 2**0.5], dim=1)


# %% wrong: one long step in place of two short -> twice as many steps
def finer_noise(noise, fresh):
    return (noise + fresh) / 2**0.5
