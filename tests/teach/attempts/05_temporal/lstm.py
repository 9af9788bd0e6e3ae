# %% right: slices
def lstm_step(gates, cell):
    r = cell.shape[1]
    i, f, o = torch.sigmoid(gates[:, : 3 * r]).split(r, 1)
    g = torch.tanh(gates[:, 3 * r :])
    new = torch.addcmul(f * cell, i, g)
    return torch.tanh(new) * o, new


# %% right: rearranged, with tanh written as a sigmoid
from einops import rearrange


def lstm_step(gates, cell):
    i, f, o, g = rearrange(gates, "b (n r) h w -> n b r h w", n=4)
    incoming = 2 * (2 * g).sigmoid() - 1
    cell = cell * f.sigmoid() + incoming * i.sigmoid()
    return o.sigmoid() * (2 * (2 * cell).sigmoid() - 1), cell


# %% wrong: the order of torch's LSTM, i f g o -> parts in order i, f, o, g
def lstm_step(gates, cell):
    i, f, g, o = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


# %% wrong: the cell first -> state first
def lstm_step(gates, cell):
    i, f, o, g = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return cell, o.sigmoid() * cell.tanh()


# %% wrong: input and forget gate exchanged -> is not the package's
def lstm_step(gates, cell):
    f, i, o, g = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


# %% wrong: a sigmoid for what comes in -> is not the package's
def lstm_step(gates, cell):
    i, f, o, g = gates.sigmoid().chunk(4, dim=1)
    cell = f * cell + i * g
    return o * cell.tanh(), cell


# %% wrong: the state without its tanh -> is not the package's
def lstm_step(gates, cell):
    i, f, o, g = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell, cell


# %% wrong: the old cell in the state -> is not the package's
def lstm_step(gates, cell):
    i, f, o, g = gates.chunk(4, dim=1)
    new = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), new


# %% wrong: every fourth channel, not every fourth part -> is not the package's
def lstm_step(gates, cell):
    i, f, o, g = (gates[:, k::4] for k in range(4))
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


# %% wrong: one number for each place, the channels averaged -> a state of shape
def lstm_step(gates, cell):
    i, f, o, g = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return (o.sigmoid() * cell.tanh()).mean(1), cell
