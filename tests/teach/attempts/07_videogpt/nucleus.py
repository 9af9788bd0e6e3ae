# %% right: a loop over the likeliest codes
def nucleus(shares, p):
    kept, total = torch.zeros_like(shares), 0.0
    for k in shares.argsort(descending=True).tolist():
        if total >= p:
            break
        kept[k] = shares[k]
        total += shares[k].item()
    return kept / kept.sum()


# %% right: for each code, how much is likelier
def nucleus(shares, p):
    likelier = (shares[None] > shares[:, None]).float() @ shares
    kept = shares * (likelier < p)
    return kept / kept.sum()


# %% wrong: codes whose own share is large -> the next one is needed too
def nucleus(shares, p):
    kept = torch.where(shares > 0.35, shares, torch.zeros_like(shares))
    return kept / kept.sum()


# %% wrong: stops before the sum is reached -> 0.4 alone is below 0.6
def nucleus(shares, p):
    ordered, order = shares.sort(descending=True)
    kept = torch.zeros_like(shares)
    kept[order] = ordered * (ordered.cumsum(0) <= p)
    return kept / kept.sum()


# %% wrong: not normalised -> what is left sums to 1
def nucleus(shares, p):
    ordered, order = shares.sort(descending=True)
    kept = torch.zeros_like(shares)
    kept[order] = ordered * (ordered.cumsum(0) - ordered < p)
    return kept


# %% wrong: the kept codes become equally likely -> their ratio stays
def nucleus(shares, p):
    ordered, order = shares.sort(descending=True)
    kept = torch.zeros_like(shares)
    kept[order] = (ordered.cumsum(0) - ordered < p).float()
    return kept / kept.sum()


# %% wrong: only the kept ones are returned -> return a tensor of the same shape
def nucleus(shares, p):
    return shares.sort(descending=True).values[: int(5 * p)].softmax(0)
