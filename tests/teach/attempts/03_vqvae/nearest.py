# %% right: a matrix of all distances
def nearest_codes(latent, codebook):
    return torch.cdist(latent, codebook, p=2).min(dim=1).indices


# %% right: the whole square, with einsum
def nearest_codes(latent, codebook):
    cross = torch.einsum("nd,kd->nk", latent, codebook)
    square = (latent**2).sum(1, keepdim=True) - 2 * cross + (codebook**2).sum(1)
    return torch.topk(-square, 1, dim=1).indices.squeeze(1)


# %% right: the largest inner product with an axis more
def nearest_codes(latent, codebook):
    ones = torch.ones(len(latent), 1)
    wide = torch.cat([latent, ones], 1)
    book = torch.cat([codebook, -codebook.square().sum(1, keepdim=True) / 2], 1)
    return (wide @ book.t()).argmax(1)


# %% wrong: the largest inner product -> long codes win
def nearest_codes(latent, codebook):
    return (latent @ codebook.T).argmax(1)


# %% wrong: the farthest -> that is the farthest
def nearest_codes(latent, codebook):
    return torch.cdist(latent, codebook).argmax(1)


# %% wrong: off by one axis -> one number for each latent
def nearest_codes(latent, codebook):
    return torch.cdist(latent, codebook).argmin(0)


# %% wrong: the wrong sign of the inner product -> of 40 are wrong
def nearest_codes(latent, codebook):
    return (codebook.square().sum(1) + 2 * latent @ codebook.T).argmin(1)


# %% wrong: the square not doubled -> of 40 are wrong
def nearest_codes(latent, codebook):
    return (codebook.square().sum(1) - latent @ codebook.T).argmin(1)


# %% wrong: the distances themselves -> one number for each latent
def nearest_codes(latent, codebook):
    return torch.cdist(latent, codebook)


# %% wrong: the codes, not their numbers -> one number for each latent
def nearest_codes(latent, codebook):
    return codebook[torch.cdist(latent, codebook).argmin(1)]


# %% wrong: numbers as floats -> numbers of rows are int64
def nearest_codes(latent, codebook):
    return torch.cdist(latent, codebook).argmin(1).float()
