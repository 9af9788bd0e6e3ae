# %% right: distances written out, terms one by one
def vq_loss(encoder, decoder, codebook, x, beta):
    z = encoder(x)
    with torch.no_grad():
        codes = ((z[:, None] - codebook[None]) ** 2).sum(-1).argmin(1)
    e = F.embedding(codes, codebook)
    rebuilt = decoder(z - z.detach() + e.detach())
    loss = ((rebuilt - x) ** 2).mean()
    loss = loss + ((z.detach() - e) ** 2).mean()
    return loss + beta * ((z - e.detach()) ** 2).mean()


# %% right: a function with its own way back
class Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, latent, chosen):
        return chosen.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[torch.cdist(latent.detach(), codebook.detach()).argmin(1)]
    terms = F.mse_loss(chosen, latent.data) + beta * F.mse_loss(latent, chosen.data)
    return F.mse_loss(decoder(Copy.apply(latent, chosen)), x) + terms


# %% wrong: the broken one again -> no gradient reaches the encoder
def vq_loss(encoder, decoder, codebook, x, beta):
    likely = (encoder(x) @ codebook.T).softmax(1).argmax(1)
    return F.mse_loss(decoder(codebook[likely]), x)


# %% wrong: a plain autoencoder -> no gradient reaches the codebook
def vq_loss(encoder, decoder, codebook, x, beta):
    return F.mse_loss(decoder(encoder(x)), x)


# %% wrong: no straight-through -> no gradient reaches the encoder
def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[torch.cdist(latent, codebook).argmin(1)]
    terms = F.mse_loss(chosen, latent.detach()), F.mse_loss(latent, chosen.detach())
    return F.mse_loss(decoder(chosen.detach()), x) + terms[0] + beta * terms[1]


# %% wrong: the codebook term moves the encoder too -> with beta 0 the encoder gets
def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[torch.cdist(latent, codebook).argmin(1)]
    passed = latent + (chosen - latent).detach()
    commitment = beta * F.mse_loss(latent, chosen.detach())
    return F.mse_loss(decoder(passed), x) + F.mse_loss(chosen, latent) + commitment


# %% wrong: beta on the codebook term -> beta 0: no gradient reaches the codebook
def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[torch.cdist(latent, codebook).argmin(1)]
    passed = latent + (chosen - latent).detach()
    terms = F.mse_loss(chosen, latent.detach()), F.mse_loss(latent, chosen.detach())
    return F.mse_loss(decoder(passed), x) + beta * terms[0] + terms[1]


# %% wrong: the largest product instead of the nearest vector -> nearest vector
def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[(latent @ codebook.T).argmax(1)]
    passed = latent + (chosen - latent).detach()
    terms = F.mse_loss(chosen, latent.detach()), F.mse_loss(latent, chosen.detach())
    return F.mse_loss(decoder(passed), x) + terms[0] + beta * terms[1]


# %% wrong: nothing is detached in the two terms -> not the codebook
def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[torch.cdist(latent, codebook).argmin(1)]
    passed = latent + (chosen - latent).detach()
    return F.mse_loss(decoder(passed), x) + (1 + beta) * F.mse_loss(chosen, latent)


# %% wrong: the commitment term is left out -> beta x commitment
def vq_loss(encoder, decoder, codebook, x, beta):
    latent = encoder(x)
    chosen = codebook[torch.cdist(latent, codebook).argmin(1)]
    passed = latent + (chosen - latent).detach()
    return F.mse_loss(decoder(passed), x) + F.mse_loss(chosen, latent.detach())
