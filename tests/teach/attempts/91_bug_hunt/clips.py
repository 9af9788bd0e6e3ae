# %% right: from one voxel, by transposed convolutions alone
def clip_generator():
    return nn.Sequential(
        nn.Unflatten(1, (32, 1, 1, 1)),
        nn.ConvTranspose3d(32, 32, (2, 4, 4)),
        nn.ReLU(),
        nn.ConvTranspose3d(32, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose3d(16, 8, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose3d(8, 1, (1, 4, 4), (1, 2, 2), (0, 1, 1)),
        nn.Tanh(),
    )


# %% right: a frame from the noise and its time
class Timed(nn.Module):
    def __init__(self):
        super().__init__()
        self.frame = nn.Sequential(nn.Linear(33, 64), nn.Tanh(), nn.Linear(64, 1024), nn.Tanh())

    def forward(self, noise):
        times = torch.linspace(-1, 1, 8)[None, :, None].expand(len(noise), -1, -1)
        each = torch.cat([noise[:, None].expand(-1, 8, -1), times], dim=2)
        return self.frame(each).view(-1, 1, 8, 32, 32)


clip_generator = Timed

# %% wrong: the broken one again -> the noise is (B, 32)
def clip_generator():
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 1, 3, padding=1), nn.Tanh()
    )


# %% wrong: one picture, held -> two frames are the same
class Held(nn.Module):
    def __init__(self):
        super().__init__()
        self.picture = nn.Linear(32, 1024)

    def forward(self, noise):
        return self.picture(noise).tanh().view(-1, 1, 1, 32, 32).repeat(1, 1, 8, 1, 1)


clip_generator = Held

# %% wrong: no tanh -> clips lie in [-1, 1]
def clip_generator():
    return nn.Sequential(
        nn.Linear(32, 32 * 2 * 4 * 4),
        nn.Unflatten(1, (32, 2, 4, 4)),
        nn.ConvTranspose3d(32, 16, 4, 2, 1),
        nn.ConvTranspose3d(16, 8, 4, 2, 1),
        nn.ConvTranspose3d(8, 1, (3, 4, 4), (1, 2, 2), 1),
    )


# %% wrong: time is the last axis -> you have (2, 1, 32, 32, 8)
def clip_generator():
    return nn.Sequential(
        nn.Linear(32, 32 * 4 * 4 * 2),
        nn.Unflatten(1, (32, 4, 4, 2)),
        nn.ConvTranspose3d(32, 16, 4, 2, 1),
        nn.ConvTranspose3d(16, 8, 4, 2, 1),
        nn.ConvTranspose3d(8, 1, (4, 4, 3), (2, 2, 1), 1),
        nn.Tanh(),
    )


# %% wrong: four numbers for each frame -> does not reach each frame
class Apart(nn.Module):
    def __init__(self):
        super().__init__()
        self.frame = nn.Linear(4, 1024)

    def forward(self, noise):
        return self.frame(noise.view(-1, 8, 4)).tanh().view(-1, 1, 8, 32, 32)


clip_generator = Apart

# %% wrong: each number paints its own strip -> a part of a frame only
class Strips(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 1, 32))

    def forward(self, noise):
        return (noise[:, None, :, None] * self.weight).tanh().view(-1, 1, 8, 32, 32)


clip_generator = Strips

# %% wrong: one huge dense layer -> grow small maps
def clip_generator():
    return nn.Sequential(
        nn.Linear(32, 512), nn.ReLU(), nn.Linear(512, 8192), nn.Tanh(), nn.Unflatten(1, (1, 8, 32, 32))
    )


# %% wrong: ignores the noise -> other noise must be another clip
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.clip = nn.Parameter(torch.randn(1, 1, 8, 32, 32).tanh())

    def forward(self, noise):
        return self.clip.expand(len(noise), -1, -1, -1, -1)


clip_generator = Fixed
