# %% right: by the function of torch
def look_at(x, memory, mask):
    return nn.functional.scaled_dot_product_attention(x, memory, memory, mask[:, None])


# %% right: with einsum and exponentials
def look_at(x, memory, mask):
    scores = torch.einsum("bld,bmd->blm", x, memory) * x.shape[2] ** -0.5
    weights = (scores - scores.amax(2, keepdim=True)).exp() * mask[:, None]
    return torch.einsum("blm,bmd->bld", weights / weights.sum(2, keepdim=True), memory)


# %% wrong: the padding is looked at -> tokens that are not there must have no weight
def look_at(x, memory, mask):
    return (x @ memory.mT / x.shape[-1] ** 0.5).softmax(2) @ memory


# %% wrong: scores that are hidden are 0 -> tokens that are not there must have no weight
def look_at(x, memory, mask):
    scores = (x @ memory.mT / x.shape[-1] ** 0.5).masked_fill(~mask[:, None], 0.0)
    return scores.softmax(2) @ memory


# %% wrong: the softmax over places -> weights sum to 1 over the tokens
def look_at(x, memory, mask):
    scores = x @ memory.mT / x.shape[-1] ** 0.5
    return scores.masked_fill(~mask[:, None], -1e9).softmax(1) @ memory


# %% wrong: without the root of D -> divide the scores by the root of D
def look_at(x, memory, mask):
    return (x @ memory.mT).masked_fill(~mask[:, None], -torch.inf).softmax(2) @ memory


# %% wrong: divided by D -> it must be attention with the memory as keys and values
def look_at(x, memory, mask):
    scores = x @ memory.mT / x.shape[-1]
    return scores.masked_fill(~mask[:, None], -torch.inf).softmax(2) @ memory


# %% wrong: the weights instead of the tokens -> one vector a place
def look_at(x, memory, mask):
    return (x @ memory.mT / 4).masked_fill(~mask[:, None], -torch.inf).softmax(2)
