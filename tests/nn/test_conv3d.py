"""Convolutions over clips: three kinds behind one call, what each sees, and what each weighs."""

import pytest
import torch
from torch import nn

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.conv3d import (
    ClipDiscriminator,
    after,
    check_shape,
    convolution,
    doubling,
    equal_middle,
    faster_memory,
)
from vidgen_lab.nn.initialise import initialise


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=rng(seed))


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.dim() > 1)


def seen(layer: nn.Module, frames: int = 8) -> list[int]:
    """The frames of the input on which the middle output frame depends."""
    torch.nn.init.constant_(next(p for p in layer.parameters() if p.dim() > 1), 0.1)
    x = torch.rand(1, 1, frames, 8, 8, generator=rng()).requires_grad_()
    y = layer(x)
    (slope,) = torch.autograd.grad(y[0, 0, y.shape[2] // 2].sum(), x)
    return slope.abs().amax((0, 1, 3, 4)).nonzero().flatten().tolist()


@pytest.mark.parametrize("kind, frames", [("3d", (4, 16)), ("2+1d", (4, 16)), ("2d", (8, 8))])
def test_stride_two_halves_and_doubles_sides_and_all_but_the_frame_kind_frames_too(kind, frames):
    x = clips(2, 3, 8, 8, 8)
    assert convolution(3, 5, kind)(x).shape == (2, 5, frames[0], 4, 4)
    assert convolution(3, 5, kind, transposed=True)(x).shape == (2, 5, frames[1], 16, 16)
    assert convolution(3, 5, kind, kernel=3, stride=1)(x).shape == (2, 5, 8, 8, 8)


def test_the_full_kind_is_a_weighted_sum_over_a_box_of_space_and_time():
    layer, x = convolution(3, 4, "3d", kernel=5, stride=2, padding=1), clips(2, 3, 8, 9, 10)
    padded, (t, i, j) = nn.functional.pad(x, [1] * 6), (2, 1, 3)
    box = padded[:, :, 2 * t : 2 * t + 5, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5]
    by_hand = torch.einsum("bctij,octij->bo", box, layer.weight) + layer.bias
    torch.testing.assert_close(layer(x)[:, :, t, i, j], by_hand)


def test_an_odd_number_of_frames_is_halved_downwards():
    assert convolution(1, 2)(clips(1, 1, 9, 8, 8)).shape == (1, 2, 4, 4, 4)


def test_only_kinds_with_time_in_their_kernel_see_other_frames():
    same = {"kernel": 3, "stride": 1}
    assert seen(convolution(1, 1, "3d", **same)) == [3, 4, 5]
    assert seen(convolution(1, 1, "2+1d", **same)) == [3, 4, 5]
    assert seen(convolution(1, 1, "2d", **same)) == [4]


@pytest.mark.parametrize("transposed", [False, True])
def test_the_frame_kind_is_the_image_layer_on_each_frame(transposed):
    layer, flat = convolution(2, 3, "2d", transposed=transposed), (nn.ConvTranspose2d if transposed else nn.Conv2d)
    image = flat(2, 3, 4, 2, 1)
    image.weight.data, image.bias.data = layer.weight.data[:, :, 0], layer.bias.data
    x = clips(2, 2, 5, 8, 8)
    by_frame = torch.stack([image(x[:, :, t]) for t in range(5)], dim=2)
    assert torch.allclose(layer(x), by_frame, atol=1e-5)


def test_the_factors_are_an_image_layer_a_relu_and_a_layer_over_time():
    layer, x = convolution(2, 3, "2+1d", kernel=3, stride=1), clips(1, 2, 5, 6, 6)
    space, _, time = layer
    middle = torch.relu(nn.functional.conv2d(x[0].transpose(0, 1), space.weight[:, :, 0], space.bias, padding=1))
    paths = middle.permute(2, 3, 1, 0).flatten(0, 1)  # (H W, C, T)
    by_hand = nn.functional.conv1d(paths, time.weight[:, :, :, 0, 0], time.bias, padding=1)
    assert torch.allclose(layer(x)[0], by_hand.unflatten(0, (6, 6)).permute(2, 3, 0, 1), atol=1e-5)


def test_time_is_handled_where_frames_are_small():
    halving, doubled = convolution(2, 3, "2+1d"), convolution(2, 3, "2+1d", transposed=True)
    assert (halving[0].kernel_size, halving[2].kernel_size) == ((1, 4, 4), (4, 1, 1))
    assert (doubled[0].kernel_size, doubled[2].kernel_size) == ((4, 1, 1), (1, 4, 4))


@pytest.mark.parametrize("kernel", [3, 4])
def test_at_equal_middle_the_factors_weigh_as_much_as_the_full_kernel(kernel):
    full = weights(convolution(48, 64, "3d", kernel=kernel))
    middle = equal_middle(48, 64, kernel)
    factors, more = (weights(convolution(48, 64, "2+1d", kernel=kernel, middle=m)) for m in (middle, middle + 1))
    assert factors <= full < more
    assert weights(convolution(48, 64, "2+1d", kernel=kernel)) < full / 2


def test_doubling_ends_in_as_many_frames_and_pixels_as_there_are_widths():
    for kind in ("3d", "2+1d"):
        assert nn.Sequential(*doubling((6, 4, 2), kind=kind))(clips(2, 6, 3, 4, 4)).shape == (2, 2, 12, 16, 16)
    assert nn.Sequential(*doubling((6, 4, 2), 2))(clips(2, 6, 4, 4)).shape == (2, 2, 16, 16)
    assert [type(layer) for layer in after(4, 2)] == [nn.BatchNorm2d, nn.ReLU]


@pytest.mark.parametrize("kind", ["3d", "2+1d", "2d"])
def test_a_discriminator_ends_in_one_row_of_outputs_a_clip(kind):
    frames = 1 if kind == "2d" else 8
    network = ClipDiscriminator((3, frames, 16, 16), (4, 6), 5, kind)
    assert network(clips(2, 3, frames, 16, 16)).shape == (2, 5)


def test_without_a_norm_clips_do_not_mix_and_with_it_they_do():
    for norm, apart in ((False, True), (True, False)):
        torch.manual_seed(0)
        network, x = ClipDiscriminator((1, 4, 16, 16), (4, 6), 1, norm=norm), clips(3, 1, 4, 16, 16)
        assert sum(isinstance(layer, nn.BatchNorm3d) for layer in network.layers) == norm  # not after the first layer
        assert torch.allclose(network(x)[:2], network(x[:2]), atol=1e-5) == apart


def test_fresh_weights_have_the_deviation_that_was_asked_for():
    network = ClipDiscriminator((1, 4, 16, 16), (32, 64), 1)
    initialise(network, 0.01)
    first, *_, norm, _, last = network.layers
    assert network.layers[2].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert (first.bias == 0).all() and (last.bias == 0).all() and (norm.bias == 0).all()
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.02) and norm.weight.std() > 0


def test_the_order_in_memory_changes_no_number():
    torch.manual_seed(0)
    network, x = ClipDiscriminator((2, 4, 16, 16), (4, 6), 1), clips(3, 2, 4, 16, 16)
    before = network(x)
    faster_memory(network)
    assert network.layers[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(network(x), before, atol=1e-6)


def test_mistakes_are_named_with_their_fix():
    with pytest.raises(ArgumentError, match='no kind of convolution "3D"; did you mean "3d"'):
        convolution(1, 1, "3D")
    with pytest.raises(ArgumentError, match=r"size=32 with widths=\(8, 4\).*give 3 widths"):
        check_shape(16, 32, "widths", (8, 4))
    with pytest.raises(ArgumentError, match="size=28.*use size 8, 16, 32, 64"):
        check_shape(16, 28, "widths", (8, 4))
    with pytest.raises(ArgumentError, match="frames=12: 3 layers double.*multiple of 8. Nearest: frames=16"):
        check_shape(12, 32, "widths", (8, 4, 2))
