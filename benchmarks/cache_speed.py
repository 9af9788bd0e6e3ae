"""Sampling 256 tokens with a key-value cache, against the plain way without one.

    OMP_NUM_THREADS=1 python benchmarks/cache_speed.py --rounds 5 --json results/bench-cache.json

The plain way is written below as one writes it first: before each token, the whole sequence so far goes through the
transformer, and the logits of its last place are kept. Both sides draw the same tokens from the same seed; that is
checked first. At least 10 times as quick is asked for: a ratio of at most 0.1.
"""

from collections.abc import Callable
from functools import partial

import torch
from harness import OURS, PEER, Built, Case, run
from torch import Tensor

from vidgen_lab.nn.transformer import CausalTransformer, sample_tokens

NUM_TOKENS, LENGTH = 256, 256
SIZES = {"dim": 128, "heads": 4, "layers": 4}  # those of vqvae-prior


def transformer() -> CausalTransformer:
    """With a head that prefers some tokens, which a fresh one does not."""
    torch.manual_seed(0)
    model = CausalTransformer(NUM_TOKENS, LENGTH, **SIZES).eval().requires_grad_(False)
    torch.nn.init.normal_(model.head.weight, std=0.5)
    return model


def cached(model: CausalTransformer, n: int) -> Tensor:
    return sample_tokens(model, n, generator=torch.Generator().manual_seed(0))


def plain(model: CausalTransformer, n: int) -> Tensor:
    """n sequences `(n, L)`, each place from a pass over all places before it."""
    generator, tokens = torch.Generator().manual_seed(0), torch.zeros(n, 0, dtype=torch.long)
    for _ in range(LENGTH):
        ahead = torch.cat([tokens, torch.zeros(n, 1, dtype=torch.long)], 1)  # the last token is seen by none
        shares = model(ahead)[:, -1].softmax(1)
        tokens = torch.cat([tokens, torch.multinomial(shares, 1, generator=generator)], 1)
    return tokens


def build(sample: Callable[[CausalTransformer, int], Tensor], n: int) -> Built:
    model = transformer()
    return Built(partial(sample, model, n), (model,))


def different(n: int) -> float:
    """Share of tokens that the two sides draw differently."""
    model = transformer()
    return (cached(model, n) != plain(model, n)).float().mean().item()


def case(n: int) -> Case:
    sizes = ", ".join(f"{name} {value}" for name, value in SIZES.items())
    return Case(
        about=f"{n} sequences of {LENGTH} tokens out of {NUM_TOKENS}; {sizes}",
        peer="the same transformer without a cache",
        sides={OURS: partial(build, cached, n), PEER: partial(build, plain, n)},
        items=n * LENGTH,
        difference=partial(different, n),
        allowed=0.0,
    )


if __name__ == "__main__":
    run(__file__, {f"{n} sequences": case(n) for n in (4, 16)})
