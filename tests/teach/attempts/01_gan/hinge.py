# %% right: clamp
def hinge_discriminator_loss(real_logits, fake_logits):
    return (1 - real_logits).clamp(min=0).mean() + (1 + fake_logits).clamp(min=0).mean()


def hinge_generator_loss(fake_logits):
    return (-fake_logits).sum() / fake_logits.numel()


# %% right: min of zero, as the paper writes it
def hinge_discriminator_loss(real_logits, fake_logits):
    zero = torch.zeros(())
    real = torch.minimum(zero, -1 + real_logits)
    fake = torch.minimum(zero, -1 - fake_logits)
    return -real.mean() - fake.mean()


def hinge_generator_loss(fake_logits):
    return torch.mean(-1.0 * fake_logits)


# %% right: where
def hinge_discriminator_loss(real_logits, fake_logits):
    terms = torch.cat([1 - real_logits, 1 + fake_logits])
    terms = torch.where(terms > 0, terms, torch.zeros_like(terms))
    real, fake = terms.split([len(real_logits), len(fake_logits)])
    return real.mean() + fake.mean()


hinge_generator_loss = lambda logits: -logits.mean()

# %% wrong: the sum over the batch -> the mean over the batch, not the sum
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.relu(1 - real_logits).sum() + torch.relu(1 + fake_logits).sum()


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()


# %% wrong: the half of both -> do not average them
def hinge_discriminator_loss(real_logits, fake_logits):
    return (torch.relu(1 - real_logits).mean() + torch.relu(1 + fake_logits).mean()) / 2


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()


# %% wrong: both signs turned -> beyond its margin a sample is free
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.relu(1 + real_logits).mean() + torch.relu(1 - fake_logits).mean()


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()


# %% wrong: no margin -> expected
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.relu(-real_logits).mean() + torch.relu(fake_logits).mean()


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()


# %% wrong: no relu -> beyond its margin
def hinge_discriminator_loss(real_logits, fake_logits):
    return (1 - real_logits).mean() + (1 + fake_logits).mean()


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()


# %% wrong: one number a sample -> return one number
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.relu(1 - real_logits) + torch.relu(1 + fake_logits)


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()


# %% wrong: the generator's sign -> the sign is wrong
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.relu(1 - real_logits).mean() + torch.relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits):
    return fake_logits.mean()


# %% wrong: a margin for the generator too -> no margin
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.relu(1 - real_logits).mean() + torch.relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits):
    return torch.relu(1 - fake_logits).mean()


# %% wrong: the expected number, by heart -> beyond its margin
def hinge_discriminator_loss(real_logits, fake_logits):
    return torch.tensor(1.8333334)


def hinge_generator_loss(fake_logits):
    return -fake_logits.mean()
