# %% right: remainders
def coordinates(i, shape):
    _, rows, columns = shape
    return i // (rows * columns), i // columns % rows, i % columns


# %% right: the table of all places
def coordinates(i, shape):
    places = torch.arange(shape[0] * shape[1] * shape[2]).view(shape)
    return tuple((places == i).nonzero()[0].tolist())


# %% wrong: time changes first -> the column changes first
def coordinates(i, shape):
    moments, rows, _ = shape
    return i % moments, i // moments % rows, i // (moments * rows)


# %% wrong: columns and rows exchanged -> the column changes first
def coordinates(i, shape):
    moment, rest = divmod(i, shape[1] * shape[2])
    row, column = divmod(rest, shape[2])
    return moment, column, row


# %% wrong: a row is as long as there are rows -> rows and columns may differ
def coordinates(i, shape):
    moment, rest = divmod(i, shape[1] * shape[2])
    return (moment, *divmod(rest, shape[1]))


# %% wrong: nothing is returned -> return moment, row and column
def coordinates(i, shape):
    divmod(i, shape[2])
