# %% right: zeros between the inputs, then a convolution with the turned kernel
def transposed(x, kernel, stride, padding):
    k = len(kernel)
    wide = torch.zeros((x.shape[0] - 1) * stride + 1, (x.shape[1] - 1) * stride + 1)
    wide[::stride, ::stride] = x
    y = conv2d(wide[None, None], kernel.flip(0, 1)[None, None], padding=k - 1)[0, 0]
    return y[padding : y.shape[0] - padding, padding : y.shape[1] - padding]


# %% right: gathers what each pixel gets
def transposed(x, kernel, stride, padding):
    k = kernel.shape[0]
    rows = (x.shape[0] - 1) * stride + k - 2 * padding
    columns = (x.shape[1] - 1) * stride + k - 2 * padding
    y = torch.zeros(rows, columns)
    for r in range(rows):
        for c in range(columns):
            for i in range(x.shape[0]):
                for j in range(x.shape[1]):
                    u, v = r + padding - i * stride, c + padding - j * stride
                    if 0 <= u < k and 0 <= v < k:
                        y[r, c] += x[i, j] * kernel[u, v]
    return y


# %% right: the matrix of the convolution, transposed
def transposed(x, kernel, stride, padding):
    k = kernel.shape[0]
    side = lambda n: (n - 1) * stride + k - 2 * padding
    rows, columns = side(x.shape[0]), side(x.shape[1])
    basis = torch.eye(rows * columns).view(-1, 1, rows, columns)
    matrix = conv2d(basis, kernel[None, None], stride=stride, padding=padding).flatten(1)  # (outputs, inputs)
    return (matrix @ x.flatten()).view(rows, columns)


# %% wrong: stamps overwrite each other -> do overlaps add up
def transposed(x, kernel, stride, padding):
    k = len(kernel)
    canvas = torch.zeros((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            canvas[i * stride : i * stride + k, j * stride : j * stride + k] = x[i, j] * kernel
    return canvas[padding : len(canvas) - padding, padding : canvas.shape[1] - padding]


# %% wrong: the kernel turned -> the kernel is turned
def transposed(x, kernel, stride, padding):
    k = len(kernel)
    kernel = kernel.flip(0, 1)
    canvas = torch.zeros((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            canvas[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * kernel
    return canvas[padding : len(canvas) - padding, padding : canvas.shape[1] - padding]


# %% wrong: the padding stays -> for stride 2, padding 1
def transposed(x, kernel, stride, padding):
    k = len(kernel)
    canvas = torch.zeros((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            canvas[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * kernel
    return canvas


# %% wrong: cuts with -padding, which is nothing at padding 0 -> for stride 2, padding 0
def transposed(x, kernel, stride, padding):
    k = len(kernel)
    canvas = torch.zeros((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            canvas[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * kernel
    return canvas[padding:-padding, padding:-padding]


# %% wrong: rows and columns exchanged in the kernel -> wrong numbers
def transposed(x, kernel, stride, padding):
    k = len(kernel)
    canvas = torch.zeros((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            canvas[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * kernel.T
    return canvas[padding : len(canvas) - padding, padding : canvas.shape[1] - padding]


# %% wrong: takes the picture for a square -> for stride 2, padding 1
def transposed(x, kernel, stride, padding):
    k, side = len(kernel), len(x)
    canvas = torch.zeros((side - 1) * stride + k, (side - 1) * stride + k)
    for i in range(side):
        for j in range(side):
            canvas[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * kernel
    return canvas[padding : len(canvas) - padding, padding : len(canvas) - padding]
