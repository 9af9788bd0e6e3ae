# %% right: all triples as one number
def draw_frames(joint, n, generator):
    K = len(joint)
    flat = torch.multinomial(joint.flatten(), n, replacement=True, generator=generator)
    return torch.stack([flat // K**2, flat // K % K, flat % K], dim=1)


# %% right: frame by frame in a loop of codes, any number of axes
def draw_frames(joint, n, generator):
    K = len(joint)
    left = joint.reshape(1, K, K * K).expand(n, -1, -1)
    codes = []
    while left.shape[1] > 1 or len(codes) < 3:
        code = torch.multinomial(left.sum(2), 1, generator=generator)[:, 0]
        codes.append(code)
        left = left[torch.arange(n), code]
        left = left.reshape(n, K, -1) if len(codes) < 3 else left[:, None]
    return torch.stack(codes, dim=1)


# %% wrong: the broken one again -> a code must know the codes before it
def draw_frames(joint, n, generator):
    marginals = joint.sum((1, 2)), joint.sum((0, 2)), joint.sum((0, 1))
    drawn = [torch.multinomial(m, n, replacement=True, generator=generator) for m in marginals]
    return torch.stack(drawn, dim=1)


# %% wrong: the third knows the second only -> both of the others
def draw_frames(joint, n, generator):
    first = torch.multinomial(joint.sum((1, 2)), n, replacement=True, generator=generator)
    second = torch.multinomial(joint.sum(2)[first], 1, generator=generator)[:, 0]
    third = torch.multinomial(joint.sum(0)[second], 1, generator=generator)[:, 0]
    return torch.stack([first, second, third], dim=1)


# %% wrong: the likeliest code each time -> all four frames occur
def draw_frames(joint, n, generator):
    first = joint.sum((1, 2)).argmax().expand(n)
    second = joint.sum(2)[first].argmax(1)
    return torch.stack([first, second, joint[first, second].argmax(1)], dim=1)


# %% wrong: draws the first, then takes the likeliest -> too often or too seldom
def draw_frames(joint, n, generator):
    first = torch.multinomial(joint.sum((1, 2)), n, replacement=True, generator=generator)
    second = torch.multinomial(joint.sum(2)[first], 1, generator=generator)[:, 0]
    return torch.stack([first, second, joint[first, second].argmax(1)], dim=1)


# %% wrong: sums over the wrong axes -> too often or too seldom
def draw_frames(joint, n, generator):
    first = torch.multinomial(joint.sum((0, 1)), n, replacement=True, generator=generator)
    second = torch.multinomial(joint.sum(2)[first], 1, generator=generator)[:, 0]
    third = torch.multinomial(joint[first, second], 1, generator=generator)[:, 0]
    return torch.stack([first, second, third], dim=1)


# %% wrong: forgets the generator -> the generator must decide
def draw_frames(joint, n, generator):
    K = len(joint)
    flat = torch.multinomial(joint.flatten(), n, replacement=True)
    return torch.stack([flat // K**2, flat // K % K, flat % K], dim=1)


# %% wrong: codes as the first axis -> (n, 3)
def draw_frames(joint, n, generator):
    K = len(joint)
    flat = torch.multinomial(joint.flatten(), n, replacement=True, generator=generator)
    return torch.stack([flat // K**2, flat // K % K, flat % K])
