# %% right: as a share of the sum of a stack
def best_answers(p, q):
    both = torch.stack([p, q])
    return (both / both.sum(0))[0]


# %% right: one number after the other
def best_answers(p, q):
    return torch.tensor([1 / (1 + float(b) / float(a)) for a, b in zip(p, q)])


# %% right: through the logit
def best_answers(p, q):
    return (p.log() - q.log()).sigmoid()


# %% wrong: no brackets -> mind the brackets
def best_answers(p, q):
    return p / p + q


# %% wrong: the probability of a fake -> of fake, not of real
def best_answers(p, q):
    return q / (p + q)


# %% wrong: the ratio alone -> how often is it real
def best_answers(p, q):
    return p / q


# %% wrong: the mean over the outcomes -> one number for each outcome
def best_answers(p, q):
    return (p / (p + q)).mean()


# %% wrong: a list -> return a tensor
def best_answers(p, q):
    return (p / (p + q)).tolist()


# %% wrong: prints and returns nothing -> return a tensor
def best_answers(p, q):
    print(p / (p + q))


# %% wrong: the numbers of the check, by heart -> how often is it real
def best_answers(p, q):
    return torch.tensor([0.2857, 0.4444, 0.5455, 0.6154])
