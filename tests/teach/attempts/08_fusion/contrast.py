# %% right: the diagonal of two log-softmaxes
def contrast(clips, captions, scale):
    logits = scale * (clips @ captions.T)
    both = logits.log_softmax(1).diagonal() + logits.log_softmax(0).diagonal()
    return -both.mean() / 2


# %% right: with logsumexp
def contrast(clips, captions, scale):
    logits = (clips * scale) @ captions.T
    rows, columns = logits.logsumexp(1), logits.logsumexp(0)
    return ((rows + columns) / 2 - logits.diagonal()).mean()


# %% wrong: asks for captions only -> clips and captions must be treated alike
def contrast(clips, captions, scale):
    logits = scale * clips @ captions.T
    return nn.functional.cross_entropy(logits, torch.arange(len(clips)))


# %% wrong: the sum of both terms -> if all are alike, the loss is the logarithm of B
def contrast(clips, captions, scale):
    logits, own = scale * clips @ captions.T, torch.arange(len(clips))
    loss = nn.functional.cross_entropy
    return loss(logits, own) + loss(logits.T, own)


# %% wrong: no scale -> perfect pairs and a large scale: no loss
def contrast(clips, captions, scale):
    logits, own = clips @ captions.T, torch.arange(len(clips))
    loss = nn.functional.cross_entropy
    return (loss(logits, own) + loss(logits.T, own)) / 2


# %% wrong: the distance of pairs alone -> if all are alike, the loss is the logarithm of B
def contrast(clips, captions, scale):
    return scale * (1 - (clips * captions).sum(1)).mean()


# %% wrong: one number a clip -> one number, the mean over the batch
def contrast(clips, captions, scale):
    logits, own = scale * clips @ captions.T, torch.arange(len(clips))
    loss = nn.functional.cross_entropy
    return (loss(logits, own, reduction="none") + loss(logits.T, own, reduction="none")) / 2
