# %% right: a function of its own for the way back
class Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, latent, chosen):
        return chosen.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent.detach(), codebook.detach()).argmin(1)
    chosen = torch.nn.functional.embedding(codes, codebook)
    mse = torch.nn.functional.mse_loss
    return codes, Copy.apply(latent, chosen), beta * mse(latent, chosen.detach()), mse(chosen, latent.detach())


# %% right: one-hot rows, and the difference added the other way round
def quantise(latent, codebook, beta=0.25):
    with torch.no_grad():
        codes = ((latent[:, None] - codebook) ** 2).sum(2).argmin(1)
    chosen = torch.nn.functional.one_hot(codes, len(codebook)).float() @ codebook
    passed = chosen.detach() + (latent - latent.detach())
    commitment = ((latent - chosen.data) ** 2).mean() * beta
    return codes, passed, commitment, ((latent.data - chosen) ** 2).mean()


# %% wrong: no straight-through -> no gradient reaches anything
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = chosen.detach()
    return codes, passed, beta * (latent - chosen.detach()).square().mean(), (chosen - latent.detach()).square().mean()


# %% wrong: the plain code goes on, and the encoder gets nothing -> the gradient must pass unchanged
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    return codes, chosen, beta * (latent - chosen.detach()).square().mean(), (chosen - latent.detach()).square().mean()


# %% wrong: straight-through without detach reaches the codebook -> the gradient must pass unchanged
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + (chosen - latent)
    return codes, passed, beta * (latent - chosen.detach()).square().mean(), (chosen - latent.detach()).square().mean()


# %% wrong: only half detached -> the decoder's gradient must not reach the codebook
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + chosen - latent.detach()
    return codes, passed, beta * (latent - chosen.detach()).square().mean(), (chosen - latent.detach()).square().mean()


# %% wrong: the commitment moves the codebook too -> the commitment moves the encoder alone
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + (chosen - latent).detach()
    return codes, passed, beta * (latent - chosen).square().mean(), (chosen - latent.detach()).square().mean()


# %% wrong: detached on the wrong side, so that the terms change places -> the commitment moves the encoder alone
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + (chosen - latent).detach()
    return codes, passed, beta * (latent.detach() - chosen).square().mean(), (chosen.detach() - latent).square().mean()


# %% wrong: beta on the codebook term -> beta belongs to the commitment
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + (chosen - latent).detach()
    return codes, passed, (latent - chosen.detach()).square().mean(), beta * (chosen - latent.detach()).square().mean()


# %% wrong: beta written as a number -> use the argument beta
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + (chosen - latent).detach()
    return codes, passed, 0.25 * (latent - chosen.detach()).square().mean(), (chosen - latent.detach()).square().mean()


# %% wrong: sums over the axis of a code -> the mean over all numbers
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    passed = latent + (chosen - latent).detach()
    commitment = beta * (latent - chosen.detach()).square().sum(1).mean()
    return codes, passed, commitment, (chosen - latent.detach()).square().sum(1).mean()


# %% wrong: the latents go through, nothing is quantised -> the decoder must get the code
def quantise(latent, codebook, beta=0.25):
    codes = torch.cdist(latent, codebook).argmin(1)
    chosen = codebook[codes]
    return codes, latent, beta * (latent - chosen.detach()).square().mean(), (chosen - latent.detach()).square().mean()
