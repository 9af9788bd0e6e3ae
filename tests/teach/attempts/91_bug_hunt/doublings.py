# %% right: a while loop, and apply
def generator_for(size, width=32):
    def begin(layer):
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.data.normal_(0, 0.02)
            layer.bias.data.zero_()

    layers, side, channels = [nn.ConvTranspose2d(16, width, 4), nn.BatchNorm2d(width), nn.ReLU()], 4, width
    while 2 * side < size:
        layers += [nn.ConvTranspose2d(channels, channels, 4, 2, 1), nn.ReLU()]
        side *= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels, 1, 4, 2, 1), nn.Tanh()).apply(begin)


# %% right: repeats pixels and convolves
class Grow(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.first = nn.ConvTranspose2d(16, 16, 4)
        doublings = size.bit_length() - 3
        self.more = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(doublings))
        self.last = nn.Conv2d(16, 1, 3, padding=1)
        for name, value in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(value, 0.0, 0.02)

    def forward(self, noise):
        x = self.first(noise).relu()
        for layer in self.more:
            x = layer(F.interpolate(x, scale_factor=2)).relu()
        return self.last(x).tanh()


generator_for = Grow

# %% wrong: three doublings always -> 4 must be doubled until it fits
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(2):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh()]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=0.02)
    return nn.Sequential(*layers)


# %% wrong: one doubling too many -> 4 must be doubled until it fits
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(int(math.log2(size // 4))):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh()]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=0.02)
    return nn.Sequential(*layers)


# %% wrong: torch's own start -> weights begin as N(0, 0.02)
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(int(math.log2(size // 4)) - 1):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh())


# %% wrong: a variance of 0.02 -> weights begin as N(0, 0.02)
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(int(math.log2(size // 4)) - 1):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh()]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=0.02**0.5)
    return nn.Sequential(*layers)


# %% wrong: starts around 0.02 -> weights begin around 0
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(int(math.log2(size // 4)) - 1):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh()]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, 0.02, 0.02)
    return nn.Sequential(*layers)


# %% wrong: ends in a sigmoid -> a tanh, from -1 to 1
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(int(math.log2(size // 4)) - 1):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Sigmoid()]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=0.02)
    return nn.Sequential(*layers)


# %% wrong: enlarges what three doublings made -> weights begin as N(0, 0.02)
def generator_for(size, width=16):
    layers = [nn.ConvTranspose2d(16, width, 4), nn.ReLU()]
    for _ in range(3):
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 1), nn.Upsample(size), nn.Tanh())
