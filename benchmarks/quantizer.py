"""VectorQuantizer against vector-quantize-pytorch: forward, backward and the update of the codebook.

    python benchmarks/quantizer.py --json results/bench-quantizer.json

Both have the same settings: running means of decay 0.99, commitment weight 0.25, dead codes revived below a count of 1,
the straight-through gradient (the peer's rotation trick is off), a codebook that starts as noise. Each call brings new
vectors, and both sides get the same ones. Ours also gives the perplexity and the share of codes that occur.
"""

import itertools
from functools import partial

import torch
from harness import OURS, PEER, Built, Case, need, run
from torch import Tensor

from vidgen_lab.core import Draw
from vidgen_lab.nn.quantize import VectorQuantizer

SHAPES = {"small": ((8, 32, 4, 4, 4), 128), "large": ((2, 256, 4, 32, 32), 2048)}
PACKAGE = "vector-quantize-pytorch"


def latents(shape: tuple[int, ...]) -> itertools.cycle:
    """Four batches in turn, each a leaf that takes a gradient."""
    generator = torch.Generator().manual_seed(0)
    return itertools.cycle([torch.randn(shape, generator=generator).requires_grad_() for _ in range(4)])


def backward(latent: Tensor, quantized: Tensor, commitment: Tensor) -> None:
    """As a decoder's loss would."""
    latent.grad = None
    (quantized.square().mean() + commitment).backward()


def ours(shape: tuple[int, ...], codes: int) -> Built:
    quantizer, source, steps = VectorQuantizer(codes, shape[1], data_start=False), latents(shape), itertools.count()

    def call() -> None:
        latent = next(source)
        out = quantizer(latent, Draw(0, next(steps)))
        backward(latent, out.latent, out.terms["commitment"])

    return Built(call, (quantizer,))


def peer(shape: tuple[int, ...], codes: int) -> Built:
    quantizer = need("vector_quantize_pytorch", PACKAGE).VectorQuantize(
        dim=shape[1],
        codebook_size=codes,
        decay=0.99,
        commitment_weight=0.25,
        threshold_ema_dead_code=1,
        rotation_trick=False,
        accept_3d_fmap=True,
    )
    source = latents(shape)

    def call() -> None:
        latent = next(source)
        quantized, _, commitment = quantizer(latent)
        backward(latent, quantized, commitment.sum())

    return Built(call, (quantizer,))


def difference(shape: tuple[int, ...], codes: int) -> float:
    """Largest difference of the quantised latents in eval mode, with one codebook for both."""
    mine, theirs = ours(shape, codes).modules[0].eval(), peer(shape, codes).modules[0].eval()
    theirs._codebook.embed.copy_(mine.codebook)  # (1, K, D)
    latent = next(latents(shape)).detach()
    return (mine(latent).latent - theirs(latent)[0]).abs().max().item()


CASES = {
    name: Case(
        f"{shape} to {codes} codes, forward, backward and update",
        PACKAGE,
        {OURS: partial(ours, shape, codes), PEER: partial(peer, shape, codes)},
        difference=partial(difference, shape, codes),
    )
    for name, (shape, codes) in SHAPES.items()
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
