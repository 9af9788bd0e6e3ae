# %% right: forwards, with the distance between neighbours
def field(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size


# %% right: recursion
def field(layers):
    if not layers:
        return 1
    kernel, stride = layers[0]
    return kernel + stride * (field(layers[1:]) - 1)


# %% right: the set of inputs that one number sees
def field(layers):
    seen = {0}
    for kernel, stride in layers[::-1]:
        seen = {stride * place + offset for place in seen for offset in range(kernel)}
    return len(range(min(seen), max(seen) + 1))


# %% wrong: begins at the first layer -> the order matters
def field(layers):
    r = 1
    for kernel, stride in layers:
        r = (r - 1) * stride + kernel
    return r


# %% wrong: adds up the kernels -> two kernels of 3 see 5
def field(layers):
    return sum(kernel for kernel, stride in layers) or 1


# %% wrong: ignores the stride -> a stride widens
def field(layers):
    return 1 + sum(kernel - 1 for kernel, stride in layers)


# %% wrong: begins with 0 -> one layer sees its kernel
def field(layers):
    r = 0
    for kernel, stride in reversed(layers):
        r = (r - 1) * stride + kernel
    return r


# %% wrong: does not take off the one -> one layer sees its kernel
def field(layers):
    r = 1
    for kernel, stride in reversed(layers):
        r = r * stride + kernel
    return r


# %% wrong: multiplies the kernels -> two kernels of 3 see 5
def field(layers):
    r = 1
    for kernel, stride in layers:
        r *= kernel
    return r
