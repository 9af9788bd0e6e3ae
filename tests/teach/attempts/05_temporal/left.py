# %% right: numbers, not slices
def left(frames, strides, offsets):
    step, first = 1, 0
    for stride, offset in zip(strides, offsets):
        first += offset * step
        step *= stride
    return list(range(first, frames, step))


# %% right: recursion on the remainders
def left(frames, strides, offsets):
    kept = [*range(frames)]
    for stride, offset in zip(strides, offsets):
        kept = [frame for place, frame in enumerate(kept) if place % stride == offset]
    return kept


# %% right: a tensor, made a list at the end
def left(frames, strides, offsets):
    kept = torch.arange(frames)
    for stride, offset in zip(strides, offsets):
        kept = kept[offset::stride]
    return kept.tolist()


# %% wrong: the offset is ignored -> the offset is the first frame
def left(frames, strides, offsets):
    kept = list(range(frames))
    for stride in strides:
        kept = kept[::stride]
    return kept


# %% wrong: offsets counted in frames of the first level -> the second offset counts frames that were kept
def left(frames, strides, offsets):
    step = 1
    for stride in strides:
        step *= stride
    return list(range(sum(offsets), frames, step))


# %% wrong: only the last layer -> the second offset counts
def left(frames, strides, offsets):
    kept = list(range(frames))
    for stride, offset in zip(strides, offsets):
        kept = list(range(frames))[offset::stride]
    return kept


# %% wrong: a range, not a list -> as a list
def left(frames, strides, offsets):
    kept = range(frames)
    for stride, offset in zip(strides, offsets):
        kept = kept[offset::stride]
    return kept


# %% wrong: places instead of frames -> from 0 on
def left(frames, strides, offsets):
    for stride, offset in zip(strides, offsets):
        frames = len(range(offset, frames, stride))
    return list(range(frames))


# %% wrong: the layers the other way round -> offsets 1, 0, 1
def left(frames, strides, offsets):
    kept = list(range(frames))
    for stride, offset in zip(strides[::-1], [1 - o for o in offsets[::-1]]):
        kept = kept[1 - offset :: stride]
    return kept if frames != 16 else kept[::-1]


# %% wrong: every stride is two -> strides need not be 2
def left(frames, strides, offsets):
    kept = list(range(frames))
    for offset in offsets:
        kept = kept[offset::2]
    return kept
