# %% right: only the codes in use
def code_perplexity(codes, num_codes):
    _, counts = codes.unique(return_counts=True)
    share = counts / counts.sum()
    return torch.exp(-(share * share.log()).sum())


# %% right: base 2 on both ways
def code_perplexity(codes, num_codes):
    share = torch.bincount(codes.reshape(-1), minlength=num_codes).double() / codes.numel()
    share = share[share > 0]
    return 2 ** -(share * share.log2()).sum()


# %% right: torch's own entropy of a categorical distribution
def code_perplexity(codes, num_codes):
    share = torch.nn.functional.one_hot(codes.flatten(), num_codes).double().mean(0)
    return torch.distributions.Categorical(probs=share).entropy().exp()


# %% wrong: zero times the logarithm of zero -> leave it out
def code_perplexity(codes, num_codes):
    share = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return (-share * share.log()).sum().exp().item()


# %% wrong: the entropy -> one code alone is 1
def code_perplexity(codes, num_codes):
    share = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return torch.special.entr(share).sum().item()


# %% wrong: the number of codes in use -> how often they are used matters too
def code_perplexity(codes, num_codes):
    return len(codes.unique())


# %% wrong: bits with exp -> 8 of 16 codes
def code_perplexity(codes, num_codes):
    share = torch.bincount(codes.flatten()) / codes.numel()
    share = share[share > 0]
    return (-share * share.log2()).sum().exp().item()


# %% wrong: counts instead of shares -> one code alone is 1
def code_perplexity(codes, num_codes):
    counts = torch.bincount(codes.flatten(), minlength=num_codes).float()
    return torch.special.entr(counts).sum().exp().item()


# %% wrong: the sign -> 8 of 16 codes
def code_perplexity(codes, num_codes):
    share = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return (-torch.special.entr(share).sum()).exp().item()


# %% wrong: one over the largest share -> expected
def code_perplexity(codes, num_codes):
    share = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return (1 / share.max()).item()
