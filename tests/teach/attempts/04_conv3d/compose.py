# %% right: lerp
def compose(mask, foreground, background, weight=0.1):
    return torch.lerp(background[:, :, None].expand_as(foreground), foreground, mask), weight * mask.mean()


# %% right: frame by frame
def compose(mask, foreground, background, weight=0.1):
    frames = []
    for t in range(foreground.shape[2]):
        m = mask[:, :, t]
        frames.append(background + m * (foreground[:, :, t] - background))
    penalty = weight * mask.sum() / mask.numel()
    return torch.stack(frames, 2), penalty


# %% right: einsum
def compose(mask, foreground, background, weight=0.1):
    m = mask.squeeze(1)
    front = torch.einsum("bthw,bcthw->bcthw", m, foreground)
    return front + torch.einsum("bthw,bchw->bcthw", 1 - m, background), (weight * m).mean()


# %% wrong: no axis of time, so that another axis fits -> the whole background in frame
def compose(mask, foreground, background, weight=0.1):
    return mask * foreground + (1 - mask) * background, weight * mask.mean()


# %% wrong: off by one axis -> the whole background in frame
def compose(mask, foreground, background, weight=0.1):
    return mask * foreground + (1 - mask) * background.unsqueeze(1), weight * mask.mean()


# %% wrong: the mask the other way round -> shows the foreground, not the background
def compose(mask, foreground, background, weight=0.1):
    return (1 - mask) * foreground + mask * background.unsqueeze(2), weight * mask.mean()


# %% wrong: the background everywhere -> shows the foreground alone
def compose(mask, foreground, background, weight=0.1):
    return mask * foreground + background.unsqueeze(2), weight * mask.mean()


# %% wrong: a hard mask -> mask times foreground
def compose(mask, foreground, background, weight=0.1):
    clip = torch.where(mask > 0.5, foreground, background.unsqueeze(2).expand_as(foreground))
    return clip, weight * mask.mean()


# %% wrong: the sum of the mask -> a mean times its weight
def compose(mask, foreground, background, weight=0.1):
    return mask * foreground + (1 - mask) * background.unsqueeze(2), weight * mask.sum()


# %% wrong: no weight -> a mean times its weight
def compose(mask, foreground, background, weight=0.1):
    return mask * foreground + (1 - mask) * background.unsqueeze(2), mask.mean()


# %% wrong: the weight as a number -> use the weight that is given
def compose(mask, foreground, background, weight=0.1):
    return mask * foreground + (1 - mask) * background.unsqueeze(2), 0.1 * mask.mean()


# %% wrong: a picture instead of a clip -> the clip has the shape of the foreground
def compose(mask, foreground, background, weight=0.1):
    return (mask * foreground + (1 - mask) * background.unsqueeze(2)).mean(2), weight * mask.mean()
