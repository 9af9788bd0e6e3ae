# %% right: takes off what is too much
def clip_matrix(matrix, bound=1.0):
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return matrix - u @ torch.diag((s - bound).clamp(min=0)) @ vh


# %% right: the full decomposition
def clip_matrix(matrix, bound=1.0):
    u, s, vh = torch.linalg.svd(matrix)
    middle = torch.zeros_like(matrix)
    k = len(s)
    middle[:k, :k] = torch.diag(torch.minimum(s, torch.full_like(s, bound)))
    return u @ middle @ vh


# %% right: through the eigenvectors of A A'
def clip_matrix(matrix, bound=1.0):
    wide = matrix.double()
    squares, vectors = torch.linalg.eigh(wide @ wide.T)
    factor = (bound / squares.sqrt()).clamp(max=1)
    return (vectors * factor @ vectors.T @ wide).float()


# %% wrong: spectral norm -> shrinks all of them
def clip_matrix(matrix, bound=1.0):
    return bound * matrix / torch.linalg.matrix_norm(matrix, 2)


# %% wrong: entries are clipped -> the largest singular value is
def clip_matrix(matrix, bound=1.0):
    return matrix.clamp(-bound, bound)


# %% wrong: all values set to the bound -> values below 1 stay as they are
def clip_matrix(matrix, bound=1.0):
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return bound * u @ vh


# %% wrong: the bound is forgotten -> under a large bound nothing changes
def clip_matrix(matrix, bound=1.0):
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u @ torch.diag(s.clamp(max=1)) @ vh


# %% wrong: clipped from below -> the largest singular value is
def clip_matrix(matrix, bound=1.0):
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u @ torch.diag(s.clamp(min=bound)) @ vh


# %% wrong: nothing but the values -> the shape stays
def clip_matrix(matrix, bound=1.0):
    return torch.linalg.svdvals(matrix).clamp(max=bound)


# %% wrong: other singular vectors -> under a large bound nothing changes
def clip_matrix(matrix, bound=1.0):
    _, s, _ = torch.linalg.svd(matrix, full_matrices=False)
    result = torch.zeros_like(matrix)
    result[range(len(s)), range(len(s))] = s.clamp(max=bound)
    return result
