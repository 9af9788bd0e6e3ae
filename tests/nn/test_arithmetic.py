"""Layer tables: what they count and predict is what torch does."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv3d

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.arithmetic import alias, layer_table, map_bytes, receptive_field

KERNEL, STRIDE, PADDING = (3, 4, 5), (2, 2, 1), (1, 1, 2)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(2, 3, (4, 4, 4), 2, 1), nn.Identity(), nn.Conv3d(3, 4, KERNEL, STRIDE, PADDING), nn.Conv3d(4, 1, 2)
    )


def transposed() -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(5, 4, (2, 4, 4)), nn.ConvTranspose3d(4, 3, 4, 2, 1))


def test_a_3d_convolution_is_a_weighted_sum_over_a_box_of_space_and_time():
    video, kernel = torch.randn(2, 3, 6, 7, 7, generator=rng()), torch.randn(4, 3, *KERNEL, generator=rng(1))
    out = conv3d(video, kernel, None, STRIDE, PADDING)
    padded = nn.functional.pad(video, (2, 2, 1, 1, 1, 1))
    t, i, j = 2, 1, 3
    box = padded[:, :, 2 * t : 2 * t + 3, 2 * i : 2 * i + 4, j : j + 5]
    by_hand = torch.einsum("bctij,octij->bo", box, kernel)
    torch.testing.assert_close(out[:, :, t, i, j], by_hand)


def test_the_cost_is_one_multiply_add_for_each_weight_and_each_place():
    first, second, last = layer_table(convolutions(), torch.zeros(5, 2, 8, 16, 16))
    assert first.size_out == (4, 8, 8) and second.size_in == (4, 8, 8)
    assert first.parameters == 3 * 2 * 64 + 3
    assert first.multiply_adds == (4 * 8 * 8) * (3 * 2 * 64)
    assert second.multiply_adds == second.size_out[0] * second.size_out[1] * second.size_out[2] * (4 * 3 * 60)
    assert (last.name, last.kernel, last.width_out) == ("3", (2, 2, 2), 1)


def test_a_transposed_layer_pays_for_each_place_that_it_reads():
    first, second = layer_table(transposed(), torch.zeros(3, 5, 1, 1, 1))
    assert first.multiply_adds == 5 * 4 * 32 and second.multiply_adds == (2 * 4 * 4) * (4 * 3 * 64)
    assert second.size_out == (4, 8, 8)


def test_the_table_counts_what_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    grouped = nn.Sequential(nn.Conv3d(4, 6, 3, groups=2), nn.ConvTranspose3d(6, 4, 3, groups=2))
    cases = (
        (convolutions(), torch.zeros(3, 2, 8, 16, 16)),
        (transposed(), torch.zeros(3, 5, 1, 1, 1)),
        (grouped, torch.zeros(3, 4, 5, 6, 6)),
    )
    for network, given in cases:
        with FlopCounterMode(display=False) as counter:
            network(given)
        assert counter.get_total_flops() == 2 * 3 * sum(row.multiply_adds for row in layer_table(network, given))


def test_pictures_read_frame_by_frame_are_counted_for_the_whole_clip():
    class PerFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, video: torch.Tensor) -> torch.Tensor:
            return self.conv(video.transpose(1, 2).flatten(0, 1))

    (row,) = layer_table(PerFrame(), torch.zeros(2, 1, 5, 8, 8))
    assert row.kernel == (1, 3, 3) and row.size_out == (1, 8, 8)
    assert row.multiply_adds == 5 * 8 * 8 * 2 * 9


def box_of(gradient: torch.Tensor) -> tuple[int, int, int]:
    """Sides of the smallest box around what is not 0, of (T, H, W)."""
    return tuple(int(places.max() - places.min() + 1) for places in gradient.nonzero().T)


def test_the_gradient_of_one_output_fills_the_receptive_field():
    network = nn.Sequential(nn.Conv3d(1, 2, (3, 4, 4), 2, 1), nn.ReLU(), nn.Conv3d(2, 1, 3, (2, 2, 1), 1))
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1)  # positive, so that nothing cancels and no ReLU is shut
    video = torch.rand(1, 1, 30, 40, 40, generator=rng()).requires_grad_()
    out = network(video)
    (gradient,) = torch.autograd.grad(out[0, 0, out.shape[2] // 2, out.shape[3] // 2, out.shape[4] // 2], video)
    assert box_of(gradient[0, 0]) == receptive_field(layer_table(network, video)) == (7, 8, 8)


def test_one_number_of_a_transposed_stack_reaches_its_field():
    network = nn.Sequential(nn.ConvTranspose3d(1, 2, 4, 2), nn.ConvTranspose3d(2, 1, (2, 4, 4), (1, 2, 2)))
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1)
    video = torch.zeros(1, 1, 7, 7, 7)
    reached = network(video)
    video[0, 0, 3, 3, 3] = 1
    reached = network(video) - reached
    assert box_of(reached[0, 0]) == receptive_field(layer_table(network, video)) == (5, 10, 10)


def kept(network: nn.Module, given: torch.Tensor) -> int:
    """Bytes of the maps that autograd keeps, each place in memory once, weights and the input left out."""
    places = {}
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers(), given)}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 5 and tensor.untyped_storage()._cdata not in own:
            places[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = network(given)  # held: the last map waits too
    assert out.untyped_storage()._cdata in places
    return sum(place.nbytes() for place in places.values())


def test_what_waits_for_the_backward_pass_is_one_map_a_layer_and_two_with_a_norm():
    bare = nn.Sequential(nn.Conv3d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Conv3d(4, 8, 4, 2, 1), nn.Tanh())
    normal = nn.Sequential(
        nn.ConvTranspose3d(3, 8, 4, 2, 1), nn.BatchNorm3d(8), nn.ReLU(inplace=True),
        nn.ConvTranspose3d(8, 4, 4, 2, 1), nn.BatchNorm3d(4), nn.ReLU(inplace=True),
    )  # fmt: skip
    video = torch.zeros(5, 1, 8, 16, 16)
    rows = layer_table(bare, video)
    assert map_bytes(rows, 5) == 4 * 5 * (4 * 4 * 8 * 8 + 8 * 2 * 4 * 4)
    assert kept(bare, video) == map_bytes(rows, 5)
    latent = torch.zeros(5, 3, 2, 4, 4)
    assert kept(normal, latent) == map_bytes(layer_table(normal, latent), 5, maps=2)


def test_a_frequency_and_its_alias_pass_through_the_same_kept_frames():
    frames = torch.arange(48, dtype=torch.float64)
    for frequency in (0.05, 0.3, 0.45, 0.5):
        for stride in (1, 2, 3):
            seen = torch.cos(2 * torch.pi * frequency * frames[::stride])
            low = alias(frequency, stride)
            assert 0 <= low <= 0.5
            kept = torch.arange(len(seen), dtype=torch.float64)
            torch.testing.assert_close(seen, torch.cos(2 * torch.pi * low * kept), atol=1e-9, rtol=0)
    assert alias(0.5, 2) == 0  # a flicker becomes a still


def test_errors_say_what_is_wrong():
    with pytest.raises(ArgumentError, match="no convolution"):
        layer_table(nn.Linear(2, 2), torch.zeros(1, 2))
    mixed = layer_table(nn.Sequential(nn.Conv3d(1, 1, 1), nn.ConvTranspose3d(1, 1, 1)), torch.zeros(1, 1, 2, 2, 2))
    with pytest.raises(ArgumentError, match="mixed"):
        receptive_field(mixed)
    with pytest.raises(ArgumentError, match="stride=0"):
        alias(0.1, 0)
