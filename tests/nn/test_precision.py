"""Full precision inside mixed precision."""

import torch

from vidgen_lab.nn.precision import full_precision


def test_a_layer_keeps_32_bits_inside_mixed_precision():
    layer, x = torch.nn.Linear(3, 3), torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        with full_precision(x):
            assert torch.equal(layer(x), expected)


def test_the_meta_device_counts_through_it():
    layer, x = torch.nn.Linear(3, 4, device="meta"), torch.empty(2, 3, device="meta")
    with full_precision(x):
        assert layer(x).shape == (2, 4)
