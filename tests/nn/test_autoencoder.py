"""The convolutional encoder and decoder of chapter 3: sizes, and how far a place of the grid sees."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.autoencoder import ConvSizes, Decoder, Encoder, GridAttention

SIZES = ConvSizes(channels=1, size=32, widths=(8, 32), stem=2, blocks=1, block_width=8, leak=0.2)


def images(rows: int = 2) -> Tensor:
    return torch.randn(rows, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def seen(sizes: ConvSizes) -> Tensor:
    """Whether the corner of the grid feels each pixel: `(32, 32)`."""
    torch.manual_seed(0)
    pixels = images(1).requires_grad_()
    Encoder(sizes, 4)(pixels)[:, :, 0, 0].sum().backward()
    return pixels.grad[0, 0] != 0


@pytest.mark.parametrize("sizes", [SIZES, replace(SIZES, stem=4), replace(SIZES, attention=1, fine_blocks=1)])
def test_the_decoder_gives_back_the_size_that_the_encoder_took(sizes):
    grid = Encoder(sizes, 4)(images())
    assert grid.shape == (2, 4, 32 // sizes.patch, 32 // sizes.patch)
    assert Decoder(sizes, 4)(grid).shape == (2, 1, 32, 32)


def test_without_attention_a_corner_sees_its_neighbourhood_and_with_it_the_whole_image():
    near = seen(SIZES)
    assert near[:10, :10].all() and not near[16:].any() and not near[:, 16:].any()
    assert seen(replace(SIZES, attention=1)).all()


def test_attention_alone_does_not_know_where_a_place_lies():
    torch.manual_seed(0)
    attention = GridAttention(32)
    grid = torch.randn(2, 32, 3, 5)
    assert torch.allclose(attention(grid.flip(2, 3)), attention(grid).flip(2, 3), atol=1e-5)


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ArgumentError, match="attention=1.*32"):
        replace(SIZES, widths=(8, 20), attention=1)
