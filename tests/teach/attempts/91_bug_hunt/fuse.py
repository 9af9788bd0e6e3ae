# %% right: filled row by row
def fuse(picture, words, padding):
    batch, length, width = words.shape
    sequence = torch.empty(batch, 1 + length, width)
    mask = torch.zeros(batch, 1 + length, dtype=torch.bool)
    sequence[:, 0], sequence[:, 1:], mask[:, 1:] = picture, words, padding
    return sequence, mask


# %% right: cat of both, a list
def fuse(picture, words, padding):
    never = torch.zeros_like(padding[:, :1])
    return [torch.cat((picture.unsqueeze(1), words), 1), torch.cat((never, padding), 1)]


# %% wrong: adds as before -> return the sequence and the mask
def fuse(picture, words, padding):
    return picture + words


# %% wrong: adds the picture to each word of its row -> (B, 1 + L, D) is
def fuse(picture, words, padding):
    return picture[:, None] + words, padding


# %% wrong: the picture last -> the picture comes first
def fuse(picture, words, padding):
    sequence = torch.cat([words, picture[:, None]], dim=1)
    return sequence, F.pad(padding, (0, 1), value=False)


# %% wrong: the mask the other way round -> its place is not hidden
def fuse(picture, words, padding):
    sequence = torch.cat([picture[:, None], words], dim=1)
    return sequence, F.pad(padding, (1, 0), value=True)


# %% wrong: true where one may look -> no more
def fuse(picture, words, padding):
    sequence = torch.cat([picture[:, None], words], dim=1)
    return sequence, F.pad(~padding, (1, 0), value=False)


# %% wrong: a mask of numbers -> truth values
def fuse(picture, words, padding):
    sequence = torch.cat([picture[:, None], words], dim=1)
    return sequence, F.pad(padding.float(), (1, 0))


# %% wrong: a mask of the words alone -> the mask is (B, 1 + L)
def fuse(picture, words, padding):
    return torch.cat([picture[:, None], words], dim=1), padding


# %% wrong: the first row's picture for all -> each row's own picture
def fuse(picture, words, padding):
    sequence = torch.cat([picture[:1, None].expand(len(words), 1, -1), words], dim=1)
    return sequence, F.pad(padding, (1, 0), value=False)
