# %% right: the library's loss on logits, once
def answer_loss(logits, real):
    target = torch.full_like(logits, float(real))
    return F.binary_cross_entropy_with_logits(logits, target)


# %% right: by logaddexp
def answer_loss(logits, real):
    sign = -1 if real else 1
    return torch.logaddexp(torch.zeros(()), sign * logits).sum() / logits.numel()


# %% wrong: the broken one again -> count the sigmoids
def answer_loss(logits, real):
    target = torch.full_like(logits, float(real))
    return F.binary_cross_entropy_with_logits(logits.sigmoid(), target)


# %% wrong: a sigmoid and the loss on probabilities -> a sigmoid rounds
def answer_loss(logits, real):
    return F.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, float(real)))


# %% wrong: a logarithm of the sigmoid by hand -> a sigmoid rounds
def answer_loss(logits, real):
    probability = logits.sigmoid()
    return -(probability if real else 1 - probability).clamp(min=1e-7).log().mean()


# %% wrong: the sign turned -> a high logit is right for a real batch
def answer_loss(logits, real):
    return softplus(logits if real else -logits).mean()


# %% wrong: real and fake alike -> a low logit is right for fakes
def answer_loss(logits, real):
    return softplus(-logits).mean()


# %% wrong: the sum -> the mean over the batch, not the sum
def answer_loss(logits, real):
    return softplus(-logits if real else logits).sum()
