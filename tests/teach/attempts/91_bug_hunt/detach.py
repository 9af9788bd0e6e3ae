# %% right: fakes made without gradients
def discriminator_step(generator, discriminator, optimizer, real, noise):
    with torch.no_grad():
        fake = generator(noise)
    discriminator.zero_grad()
    F.softplus(-discriminator(real)).mean().backward()
    F.softplus(discriminator(fake)).mean().backward()
    optimizer.step()


# %% right: asks for the gradients of the discriminator alone
def discriminator_step(generator, discriminator, optimizer, real, noise):
    loss = softplus(-discriminator(real)).mean() + softplus(discriminator(generator(noise))).mean()
    own = list(discriminator.parameters())
    for parameter, gradient in zip(own, torch.autograd.grad(loss, own), strict=True):
        parameter.grad = gradient
    optimizer.step()


# %% wrong: clears, but does not detach -> detach the fakes
def discriminator_step(generator, discriminator, optimizer, real, noise):
    loss = softplus(-discriminator(real)).mean() + softplus(discriminator(generator(noise))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %% wrong: detaches, but does not clear -> clear the old gradients
def discriminator_step(generator, discriminator, optimizer, real, noise):
    fake = generator(noise).detach()
    (softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()).backward()
    optimizer.step()


# %% wrong: forgets the step -> has not moved
def discriminator_step(generator, discriminator, optimizer, real, noise):
    fake = generator(noise).detach()
    optimizer.zero_grad()
    (softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()).backward()


# %% wrong: clears after backward -> has not moved
def discriminator_step(generator, discriminator, optimizer, real, noise):
    fake = generator(noise).detach()
    loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()


# %% wrong: freezes the generator and leaves it frozen -> able to learn
def discriminator_step(generator, discriminator, optimizer, real, noise):
    generator.requires_grad_(False)
    loss = softplus(-discriminator(real)).mean() + softplus(discriminator(generator(noise))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %% wrong: detaches the answer instead of the fakes -> on the real batch and on the fakes
def discriminator_step(generator, discriminator, optimizer, real, noise):
    on_fake = discriminator(generator(noise)).detach()
    optimizer.zero_grad()
    (softplus(-discriminator(real)).mean() + softplus(on_fake).mean()).backward()
    optimizer.step()


# %% wrong: climbs -> uphill
def discriminator_step(generator, discriminator, optimizer, real, noise):
    fake = generator(noise).detach()
    optimizer.zero_grad()
    (-softplus(-discriminator(real)).mean() - softplus(discriminator(fake)).mean()).backward()
    optimizer.step()
