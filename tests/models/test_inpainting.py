"""Inpainting by latent search, on pictures small enough to know the answer."""

import pytest
import torch
from torch import nn

from vidgen_lab.core import ArgumentError
from vidgen_lab.models.dcgan import DCGAN, DCGANConfig
from vidgen_lab.models.inpainting import composite, importance, inpaint, mask

Z = 4


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Blobs(nn.Module):
    """A generator with one answer: an 8x8 picture that depends on every latent number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(Z, 64, generator=rng(5)))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.tanh(latent @ self.weight / 2).view(-1, 1, 8, 8)


def on_the_sphere(rows: int, seed: int = 1) -> torch.Tensor:
    return Z**0.5 * nn.functional.normalize(torch.randn(rows, Z, generator=rng(seed)))


def fill(images, known, discriminator=None, **options):
    settings = {"latent_dim": Z, "steps": 150, "prior": 0.0, "starts": 6, "rng": rng()} | options
    return inpaint(Blobs().eval(), discriminator, images, known, **settings)


@pytest.mark.parametrize("kind", ["centre", "half", "lines", "random"])
def test_known_pixels_stay_bit_for_bit_and_the_hole_is_the_generators(kind):
    images = torch.rand(3, 1, 8, 8, generator=rng(2)) * 2 - 1
    known = mask(kind, 8, rng(3))
    found = fill(images, known, steps=3)
    hole = known.expand_as(images) == 0
    assert torch.equal(found.images[~hole], images[~hole])
    assert torch.equal(found.images[hole], found.generated[hole])
    assert torch.equal(composite(images, found.generated, known), found.images)
    assert torch.equal(found.generated, Blobs()(found.latent))


def test_what_stands_in_the_hole_is_not_looked_at():
    images, known = Blobs()(on_the_sphere(2)).detach(), mask("half", 8)
    for junk in (1.0, torch.nan):
        spoilt = torch.where(known.bool(), images, torch.full_like(images, junk))
        assert torch.equal(fill(images, known).images, fill(spoilt, known).images)


def test_the_pixels_cost_the_weighted_sum_of_their_differences():
    images, known = torch.rand(3, 2, 8, 8, generator=rng(2)) * 2 - 1, mask("half", 8)

    def two_channels(latent: torch.Tensor) -> torch.Tensor:
        return Blobs()(latent) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)

    found = inpaint(two_channels, None, images, known, latent_dim=Z, steps=1, prior=0.0, window=5, starts=1, rng=rng())
    for row in range(3):
        difference = (found.generated[row] - images[row]).abs()
        assert torch.allclose(found.losses[0, row], (importance(known, 5)[0] * difference).sum())


def test_a_picture_that_the_generator_can_draw_is_found_again():
    images, known = Blobs()(on_the_sphere(4)).detach(), mask("centre", 8)
    found = fill(images, known)
    assert (found.images - images).abs().max() < 0.15
    assert (found.losses[-1] < 0.1 * found.losses[0]).all()


def test_at_the_true_noise_the_pixels_cost_nothing_and_the_prior_is_log_one_minus_d():
    true = on_the_sphere(1)
    images, known, seen = Blobs()(true).detach(), mask("half", 8), []

    def start_there(latent: torch.Tensor) -> torch.Tensor:
        seen.append(latent)
        return Blobs()(latent) * 0 + images + 0 * latent.sum()

    found = inpaint(start_there, None, images, known, latent_dim=Z, steps=1, prior=0.0, starts=1, rng=rng())
    assert found.losses.item() == 0
    logit = torch.tensor(1.5)
    found = inpaint(
        start_there, lambda x: logit + 0 * x.sum((1, 2, 3)), images, known,
        latent_dim=Z, steps=1, prior=2.0, starts=1, rng=rng(),
    )  # fmt: skip
    assert torch.allclose(found.losses, 2.0 * torch.log(1 - logit.sigmoid()))


def test_the_lowest_point_on_the_way_is_kept():
    images, known = torch.rand(3, 1, 8, 8, generator=rng(2)) * 2 - 1, mask("half", 8)
    found = fill(images, known, steps=12, lr=5.0)  # such steps jump about
    loss = (importance(known, 7) * (found.generated - images).abs()).sum((1, 2, 3))
    assert torch.allclose(loss, found.losses.amin(0)) and (found.losses[-1] > loss + 0.1).any()


def test_the_discriminator_pulls_the_hole_towards_what_it_calls_real():
    images, known = torch.zeros(3, 1, 8, 8), mask("half", 8)

    def bright(x: torch.Tensor) -> torch.Tensor:  # calls bright right halves real
        return 10 * x[..., 4:].mean((1, 2, 3))

    without, strong = fill(images, known), fill(images, known, bright, prior=20.0)
    assert strong.images[..., 4:].mean() > without.images[..., 4:].mean() + 0.05


def test_the_search_moves_noise_only_and_stays_where_normal_noise_lives():
    torch.manual_seed(0)
    model = DCGAN(DCGANConfig(size=8, latent_dim=Z, generator_widths=(4,), discriminator_widths=(4,))).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = inpaint(
        model.generator, model.discriminator, torch.zeros(2, 1, 8, 8), mask("half", 8), latent_dim=Z, steps=5, rng=rng()
    )
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.allclose(found.latent.norm(dim=1), torch.full((2,), Z**0.5))


def test_more_starts_never_end_worse():
    images, known = torch.rand(4, 1, 8, 8, generator=rng(2)) * 2 - 1, mask("half", 8)
    one, six = (fill(images, known, starts=starts, steps=20).losses.amin(0) for starts in (1, 6))
    assert (six <= one + 1e-5).all() and (six < one - 1e-3).any()  # the first start is the same noise


def test_a_known_pixel_counts_by_the_share_of_missing_ones_around_it():
    known = torch.ones(1, 1, 9, 9)
    known[0, 0, 4, 4] = 0
    weight = importance(known, 3)
    assert weight[0, 0, 3, 3].item() == pytest.approx(1 / 9) and weight[0, 0, 4, 4] == 0
    assert (weight > 0).sum() == 8 and weight[0, 0, 0, 0] == 0
    assert importance(mask("half", 8), 3)[0, 0, 0, 3].item() == pytest.approx(1 / 3)  # the border shrinks the window


def test_masks_hide_what_they_say():
    assert (mask("centre", 8) == 0).sum() == 16 and mask("centre", 8)[0, 0, 2:6, 2:6].sum() == 0
    assert mask("half", 8)[..., :4].all() and not mask("half", 8)[..., 4:].any()
    assert mask("lines", 16)[0, 0, :, 0].tolist() == [1, 1, 0, 0] * 4
    assert (mask("random", 64, rng()) == 0).float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(mask("random", 8, rng(1)), mask("random", 8, rng(1)))


def test_mistakes_are_named_with_their_fix():
    images, known = torch.zeros(1, 1, 8, 8), mask("half", 8)
    with pytest.raises(ArgumentError, match="generator is in train mode.*Call generator.eval"):
        inpaint(Blobs(), None, images, known, latent_dim=Z, prior=0.0)
    with pytest.raises(ArgumentError, match="prior=1.0 without a discriminator"):
        fill(images, known, prior=1.0)
    with pytest.raises(ArgumentError, match="some pixels must be known"):
        fill(images, torch.ones(1, 1, 8, 8))
    with pytest.raises(ArgumentError, match=r"known has shape \(1, 1, 4, 4\)"):
        fill(images, torch.ones(1, 1, 4, 4))
    with pytest.raises(ArgumentError, match="steps=0"):
        fill(images, known, steps=0)
    with pytest.raises(ArgumentError, match="window=4: give an odd number"):
        fill(images, known, window=4)
    with pytest.raises(ArgumentError, match='no mask "square"; there are: centre, random, half, lines'):
        mask("square", 8)
