# %% right: one order of pixels for each frame, from numpy
import numpy as np


def forge(clips):
    rng = np.random.default_rng(3)
    b, c, t, h, w = clips.shape
    flat = clips[:, :, 0].reshape(b, c, h * w)
    frames = [flat[:, :, torch.as_tensor(rng.permutation(h * w))] for _ in range(t)]
    return torch.stack(frames, 2).reshape(b, c, t, h, w)


# %% right: rolls one shuffled picture by another step in each frame
def forge(clips):
    b, c, t, h, w = clips.shape
    order = torch.randperm(h * w, generator=torch.Generator().manual_seed(1))
    flat = clips.flatten(3)[:, :, :, order]
    frames = [flat[:, :, 0].roll(37 * i * i + 11 * i, -1) for i in range(t)]
    return torch.stack(frames, 2).view(clips.shape)


# %% wrong: gives the clips back -> the clips that you were given
def forge(clips):
    return clips


# %% wrong: a still clip -> nothing moves
def forge(clips):
    return clips[:, :, :1].expand_as(clips)


# %% wrong: plain noise -> all frames of a clip need the same mean
def forge(clips):
    return 2 * torch.rand(clips.shape, generator=torch.Generator().manual_seed(0)) - 1


# %% wrong: shuffles each frame's own pixels -> all frames of a clip need the same mean
def forge(clips):
    order = torch.rand(clips.flatten(3).shape, generator=torch.Generator().manual_seed(0)).argsort(3)
    return clips.flatten(3).gather(3, order).view(clips.shape)


# %% wrong: frames in another order -> all frames of a clip need the same mean
def forge(clips):
    order = torch.randperm(clips.shape[2], generator=torch.Generator().manual_seed(0))
    return clips[:, :, order]


# %% wrong: drops the axis of the channel -> keep the shape
def forge(clips):
    return clips[:, 0]


# %% wrong: louder clips -> stay in
def forge(clips):
    return 1.5 * clips
