"""VideoGPT's prior writing boxes of 256 codes with a key-value cache: against itself without one, and x-transformers.

    python benchmarks/videogpt_cache.py --rounds 5 --json results/bench-videogpt-cache.json

The plain way is written below as one writes it first: before each code, the whole text so far goes through the
transformer, and the logits of its last place are kept. Both draw the same codes from the same seed; that is checked
first. At least 20 times as quick is asked for: a ratio of at most 0.05. It is measured at two sizes: that of the public
implementation's test, four boxes, where a step is so small that calling it costs more than computing it; and the size
of the prior that ships, sixteen boxes. Against x-transformers, both sides have 4 blocks of width 96 with 4 heads, keep
a cache and draw from 128 codes without a filter; the peer has its quickest attention (`attn_flash=True`). Parameters
are those of the blocks and of the last layer: what stands before them is looked up, not computed, but for our linear
layer from codebook vectors, which the peer does not have.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from harness import OURS, PEER, Built, Case, need, run
from torch import Tensor

from vidgen_lab import create_model
from vidgen_lab.models.videogpt import VideoGPT, Writer

PACKAGE = "x-transformers"
BATCH, DIM, HEADS, LAYERS, CODES = 4, 96, 4, 4, 128
LENGTH = 256  # a box of 4x8x8
SMALL = {"dim": DIM, "heads": HEADS, "layers": LAYERS}
SHIPPED, SHIPPED_BATCH, SHIPPED_CODES = {"dim": 132, "heads": 3, "layers": 3}, 16, 128


def ours_model(sizes: Mapping[str, int], num_codes: int) -> VideoGPT:
    """With a last layer that prefers some codes, which a fresh one does not."""
    tokenizer = create_model("videogpt-tokenizer", "ci", num_codes=num_codes)
    changes = {"labels": (), "prefix_frames": 0, **sizes}
    model = create_model("videogpt", "ci", tokenizer=tokenizer, **changes).eval().requires_grad_(False)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.prior.head.weight, std=0.5)
    return model


def cached(model: VideoGPT, batch: int) -> Tensor:
    with model.inference():
        writer = Writer(model, batch, {}, torch.Generator().manual_seed(0))
        writer.write(LENGTH)
    return torch.stack(writer.tokens, dim=1)


def plain(model: VideoGPT, batch: int) -> Tensor:
    """Boxes as tokens `(B, L)`, each place from a pass over all places before it."""
    generator, tokens = torch.Generator().manual_seed(0), torch.zeros(batch, 0, dtype=torch.long)
    with model.inference():
        for _ in range(LENGTH):
            ahead = torch.cat([tokens, torch.zeros(batch, 1, dtype=torch.long)], 1)  # the last code is seen by none
            shares = model.prior(model._vectors(ahead))[:, -1].softmax(1)
            tokens = torch.cat([tokens, torch.multinomial(shares, 1, generator=generator)], 1)
    return tokens


Way = Callable[[VideoGPT, int], Tensor]


def ours(write: Way, batch: int = BATCH, num_codes: int = CODES, sizes: Mapping[str, int] = SMALL) -> Built:
    model = ours_model(sizes, num_codes)
    return Built(partial(write, model, batch), (model.prior.blocks, model.prior.head))


def peers() -> Built:
    package = need("x_transformers", PACKAGE)
    decoder = package.Decoder(dim=DIM, depth=LAYERS, heads=HEADS, attn_dim_head=DIM // HEADS, attn_flash=True)
    model = package.TransformerWrapper(num_tokens=CODES, max_seq_len=LENGTH + 1, attn_layers=decoder).eval()
    wrapper, start = package.AutoregressiveWrapper(model), torch.zeros(BATCH, 1, dtype=torch.long)
    write = partial(wrapper.generate, start, LENGTH, filter_logits_fn=lambda logits: logits)
    return Built(write, (decoder, model.to_logits))


def different(batch: int = BATCH, num_codes: int = CODES, sizes: Mapping[str, int] = SMALL) -> float:
    """Share of codes that the two sides draw differently."""
    model = ours_model(sizes, num_codes)
    return (cached(model, batch) != plain(model, batch)).float().mean().item()


def against_itself(*size: Any) -> Case:
    batch, num_codes, sizes = size
    return Case(
        f"{batch} boxes of {LENGTH} codes out of {num_codes}; width {sizes['dim']}, {sizes['heads']} heads, "
        f"{sizes['layers']} blocks",
        "the same prior without a cache",
        {OURS: partial(ours, cached, *size), PEER: partial(ours, plain, *size)},
        items=batch * LENGTH,
        difference=partial(different, *size),
        allowed=0.0,
    )


ABOUT = f"{BATCH} boxes of {LENGTH} codes out of {CODES}; width {DIM}, {HEADS} heads, {LAYERS} blocks"
CASES = {
    "small": against_itself(BATCH, CODES, SMALL),
    "shipped": against_itself(SHIPPED_BATCH, SHIPPED_CODES, SHIPPED),
    "x-transformers": Case(ABOUT, PACKAGE, {OURS: partial(ours, cached), PEER: peers}, items=BATCH * LENGTH),
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
