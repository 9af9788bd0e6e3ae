"""Which number of each generator the equation of chapter 6 moves, and which numbers it leaves alone."""

import torch

from vidgen_lab import create_model
from vidgen_lab.models.latent_ode import Latent, Walk

TIMES = [0.0, 0.5, 7.25, 15.0]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def without_noise(latent: torch.Tensor) -> Latent:
    return Latent(latent, torch.empty(len(latent), 0, 1))


@torch.no_grad()
def test_tgan_ode_draws_each_moment_from_the_noise_and_the_state_at_that_moment():
    model = create_model("tgan-ode", "ci").eval()
    generator, duration = model.generator, model.config.duration
    latent = 2 * torch.rand(3, generator.temporal.state[0], generator=rng()) - 1
    states = generator.temporal.equation(generator.temporal.start(latent), [duration * t / 15 for t in TIMES])
    clips = generator(without_noise(latent), times=TIMES)
    for k in range(len(TIMES)):
        alone = generator.image(latent, states[:, k : k + 1])[:, 0]
        assert torch.allclose(clips[:, :, k], alone, atol=1e-4)
    assert not torch.allclose(clips[:, :, 0], clips[:, :, 3], atol=1e-3)


@torch.no_grad()
def test_mocogan_ode_holds_the_content_and_moves_the_motion_code_along_the_path():
    model = create_model("mocogan-ode", "ci").eval()
    config, generator = model.config, model.generator
    start = torch.randn(3, config.start_dim or config.motion_dim, generator=rng())
    padded = torch.cat([start, torch.zeros(3, config.motion_dim - start.shape[1])], dim=1)
    content = torch.randn(3, config.content_dim, generator=rng(1))
    codes = generator.codes(content, generator.path(start, TIMES, None))
    begin = generator.motion.start(padded)
    states = generator.motion.equation(begin, [config.duration * t / 15 for t in TIMES])
    assert torch.equal(codes[:, :, : config.content_dim], content[:, None].expand(-1, len(TIMES), -1))
    assert torch.equal(codes[:, :, config.content_dim :], states)
    assert torch.equal(states[:, 0], begin)
    assert not torch.allclose(states[:, 0], states[:, 3], atol=1e-3)


@torch.no_grad()
def test_tganv2_ode_renders_the_maps_on_the_path_that_begins_at_the_first_map():
    model = create_model("tganv2-ode", "ci").eval()
    recurrent, config = model.generator.recurrent, model.config
    first = torch.randn(2, *recurrent.state, generator=rng())
    maps = recurrent(first, Walk(TIMES))  # (B, R, T, s, s)
    states = recurrent.equation(first, [config.duration * t / 15 for t in TIMES])
    assert torch.equal(maps, states.transpose(1, 2))
    assert torch.equal(maps[:, :, 0], first) and not torch.allclose(maps[:, :, 3], first, atol=1e-3)
