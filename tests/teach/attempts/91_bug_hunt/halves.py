# %% right: binary cross-entropy from the library
def discriminator_loss(discriminator, real, fake):
    on_real, on_fake = discriminator(real), discriminator(fake)
    bce = F.binary_cross_entropy_with_logits
    return bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))


# %% right: by logsigmoid
def discriminator_loss(discriminator, real, fake):
    return -(F.logsigmoid(discriminator(real)).mean() + F.logsigmoid(-discriminator(fake)).mean())


# %% wrong: the broken one again -> the loss must change when the fakes do
def discriminator_loss(discriminator, real, fake):
    on_real = discriminator(real)
    return softplus(-on_real).mean() + softplus(on_real).mean()


# %% wrong: both halves on the fakes -> when the real batch does
def discriminator_loss(discriminator, real, fake):
    on_fake = discriminator(fake)
    return softplus(-on_fake).mean() + softplus(on_fake).mean()


# %% wrong: the signs exchanged -> look at the signs
def discriminator_loss(discriminator, real, fake):
    return softplus(discriminator(real)).mean() + softplus(-discriminator(fake)).mean()


# %% wrong: the average of the halves -> do not average them
def discriminator_loss(discriminator, real, fake):
    return (softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()) / 2


# %% wrong: one mean over both batches -> do not average them
def discriminator_loss(discriminator, real, fake):
    return torch.cat([softplus(-discriminator(real)), softplus(discriminator(fake))]).mean()


# %% wrong: a loss for each row -> return one number
def discriminator_loss(discriminator, real, fake):
    return torch.cat([softplus(-discriminator(real)), softplus(discriminator(fake))])
