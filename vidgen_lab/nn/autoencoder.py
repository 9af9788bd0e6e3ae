"""The convolutional encoder and decoder that the models of chapter 3 share, in the manner of vandenoord2017vqvae.

Each level halves height and width by a convolution of kernel 4 and stride 2; the decoder mirrors it with transposed
convolutions. Layers that see all pixels cost the most, so small presets begin with one of stride 4 (`stem=4`).
`attention` is not in that paper: it lets each place of the grid see all others, as in esser2021vqgan.
"""

from dataclasses import dataclass

from einops import rearrange
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.transformer import Block

HEAD = 32  # width of an attention head


@dataclass(frozen=True)
class ConvSizes:
    """Sizes of an `Encoder` and its `Decoder`; configs of models inherit them. Defaults are vandenoord2017vqvae's."""

    channels: int = 3  # C
    size: int = 32  # height and width of an image, pixels
    widths: tuple[int, ...] = (256, 256)  # of the levels, from the image to the grid
    stem: int = 2  # stride of the first level, 2 or 4; its kernel is twice as wide
    blocks: int = 2  # residual blocks at the grid, in each network
    block_width: int = 256  # inside a residual block
    attention: int = 0  # transformer blocks at the grid after those, in each network
    fine_blocks: int = 0  # more of them in the decoder, after its last level
    leak: float = 0.0  # slope of the activations below 0; 0 is a ReLU
    background: float = 0.0  # pixel value that the networks see as 0: -1 for digits, which are mostly black

    def __post_init__(self) -> None:
        if not self.widths or self.stem not in (2, 4):
            raise ArgumentError(
                f"widths={self.widths}, stem={self.stem}: give one width or more, and a stem of 2 or 4."
            )
        if self.attention and self.widths[-1] % HEAD:
            raise ArgumentError(
                f"attention={self.attention}: its heads are {HEAD} wide; give a last width of {HEAD} k."
            )
        if self.size % self.patch:
            raise ArgumentError(f"size={self.size}: the networks take patches of {self.patch} pixels; give a multiple.")

    @property
    def patch(self) -> int:
        """Pixels on a side that one vector of the grid stands for."""
        return self.stem * 2 ** (len(self.widths) - 1)

    @property
    def side(self) -> int:
        """Vectors on a side of the grid."""
        return self.size // self.patch


class ResidualBlock(nn.Module):
    """`(B, width, H, W)` to the same: activation, 3x3, activation, 1x1, added to the input."""

    def __init__(self, width: int, inner: int, leak: float) -> None:
        super().__init__()
        wide, narrow = nn.Conv2d(width, inner, 3, padding=1), nn.Conv2d(inner, width, 1)
        self.layers = nn.Sequential(nn.LeakyReLU(leak), wide, nn.LeakyReLU(leak), narrow)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class GridAttention(nn.Module):
    """`(B, width, H, W)` to the same: a transformer block between all places, without a mask.

    It has no positions of its own: the padded convolutions around it tell where a place lies.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = Block(width, heads=width // HEAD, causal=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.block(rearrange(x, "b c h w -> b (h w) c"))
        return rearrange(seen, "b (h w) c -> b c h w", h=x.shape[2])


class Encoder(nn.Module):
    """Images to a grid of vectors: `(B, C, H, W) -> (B, out, H / patch, W / patch)`."""

    def __init__(self, sizes: ConvSizes, out: int) -> None:
        super().__init__()
        self.background = sizes.background
        first, *rest = sizes.widths
        layers: list[nn.Module] = [
            nn.Conv2d(sizes.channels, first, 2 * sizes.stem, stride=sizes.stem, padding=sizes.stem // 2)
        ]
        for width, wider in zip(sizes.widths, rest, strict=False):
            layers += [nn.LeakyReLU(sizes.leak), nn.Conv2d(width, wider, 4, stride=2, padding=1)]
        layers += _blocks(sizes)
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(sizes.leak), nn.Conv2d(sizes.widths[-1], out, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images - self.background)


class Decoder(nn.Module):
    """A grid of vectors to images: `(B, dim, H', W') -> (B, C, H' patch, W' patch)`, not bounded."""

    def __init__(self, sizes: ConvSizes, dim: int) -> None:
        super().__init__()
        self.background = sizes.background
        widths = sizes.widths[::-1]
        layers: list[nn.Module] = [nn.Conv2d(dim, widths[0], 3, padding=1), *_blocks(sizes)]
        for width, narrower in zip(widths, widths[1:], strict=False):
            layers += [nn.LeakyReLU(sizes.leak), nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1)]
        layers += [ResidualBlock(widths[-1], widths[-1], sizes.leak) for _ in range(sizes.fine_blocks)]
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(sizes.leak))
        self.last = nn.ConvTranspose2d(
            widths[-1], sizes.channels, 2 * sizes.stem, stride=sizes.stem, padding=sizes.stem // 2
        )

    def forward(self, vectors: Tensor) -> Tensor:
        return self.last(self.layers(vectors)) + self.background


def _blocks(sizes: ConvSizes) -> list[nn.Module]:
    width = sizes.widths[-1]
    near = [ResidualBlock(width, sizes.block_width, sizes.leak) for _ in range(sizes.blocks)]
    return [*near, *(GridAttention(width) for _ in range(sizes.attention))]


def check_images(x: Tensor, sizes: ConvSizes) -> None:
    """Raises ArgumentError unless these are images `(B, C, H, W)` of whole patches."""
    height, width = x.shape[-2:] if x.dim() == 4 else (1, 1)
    if x.dim() != 4 or x.shape[1] != sizes.channels or height % sizes.patch or width % sizes.patch:
        raise ArgumentError(
            f"images of shape {tuple(x.shape)}: give (B, {sizes.channels}, H, W) with H and W multiples of "
            f"{sizes.patch}."
        )
