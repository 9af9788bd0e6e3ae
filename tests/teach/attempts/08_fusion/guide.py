# %% right: as weights of the three answers
def guided_logits(none, frames, both, f, g):
    return (1 - f) * none + (f - g) * frames + g * both


# %% right: from both, the two steps lengthened
def guided_logits(none, frames, both, f, g):
    return both + (f - 1) * (frames - none) + (g - 1) * (both - frames)


# %% wrong: both steps begin at none -> with both strengths 1 nothing is guided
def guided_logits(none, frames, both, f, g):
    return none + f * (frames - none) + g * (both - none)


# %% wrong: a mean of the two guided answers -> with both strengths 1 nothing is guided
def guided_logits(none, frames, both, f, g):
    return ((none + f * (frames - none)) + (frames + g * (both - frames))) / 2


# %% wrong: the strengths exchanged -> f = 1, g = 0: the frame alone is told
def guided_logits(none, frames, both, f, g):
    return none + g * (frames - none) + f * (both - frames)


# %% wrong: strengths as 1 + w -> with both strengths 1 nothing is guided
def guided_logits(none, frames, both, f, g):
    return none + (1 + f) * (frames - none) + (1 + g) * (both - frames)


# %% wrong: only the caption is guided -> with both strengths 0 nothing is told
def guided_logits(none, frames, both, f, g):
    return frames + g * (both - frames)
