"""VideoGPT's prior writing boxes of 256 codes with a key-value cache: against itself without one, and x-transformers.

    python benchmarks/videogpt_cache.py --rounds 5 --json results/bench-videogpt-cache.json

The plain way is written below as one writes it first: before each code, the whole text so far goes through the
transformer, and the logits of its last place are kept. Both draw the same codes from the same seed; that is checked
first. At least 20 times as quick is asked for: a ratio of at most 0.05. Against x-transformers, both sides have 4
blocks of width 96 with 4 heads, keep a cache and draw from 128 codes without a filter; the peer has its quickest
attention (`attn_flash=True`). Parameters are those of the blocks and of the last layer: what stands before them is
looked up, not computed, but for our linear layer from codebook vectors, which the peer does not have.
"""

from collections.abc import Callable
from functools import partial

import torch
from harness import OURS, PEER, Built, Case, need, run
from torch import Tensor

from vidgen_lab import create_model
from vidgen_lab.models.videogpt import VideoGPT, Writer

PACKAGE = "x-transformers"
BATCH, DIM, HEADS, LAYERS, CODES = 4, 96, 4, 4, 128
LENGTH = 256  # a box of 4x8x8


def ours_model() -> VideoGPT:
    """With a last layer that prefers some codes, which a fresh one does not."""
    tokenizer = create_model("videogpt-tokenizer", "ci", num_codes=CODES)
    changes = {"labels": (), "prefix_frames": 0, "dim": DIM, "heads": HEADS, "layers": LAYERS}
    model = create_model("videogpt", "ci", tokenizer=tokenizer, **changes).eval().requires_grad_(False)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.prior.head.weight, std=0.5)
    return model


def cached(model: VideoGPT) -> Tensor:
    with model.inference():
        writer = Writer(model, BATCH, {}, torch.Generator().manual_seed(0))
        writer.write(LENGTH)
    return torch.stack(writer.tokens, dim=1)


def plain(model: VideoGPT) -> Tensor:
    """Boxes as tokens `(B, L)`, each place from a pass over all places before it."""
    generator, tokens = torch.Generator().manual_seed(0), torch.zeros(BATCH, 0, dtype=torch.long)
    with model.inference():
        for _ in range(LENGTH):
            ahead = torch.cat([tokens, torch.zeros(BATCH, 1, dtype=torch.long)], 1)  # the last code is seen by none
            shares = model.prior(model._vectors(ahead))[:, -1].softmax(1)
            tokens = torch.cat([tokens, torch.multinomial(shares, 1, generator=generator)], 1)
    return tokens


def ours(write: Callable[[VideoGPT], Tensor]) -> Built:
    model = ours_model()
    return Built(partial(write, model), (model.prior.blocks, model.prior.head))


def peers() -> Built:
    package = need("x_transformers", PACKAGE)
    decoder = package.Decoder(dim=DIM, depth=LAYERS, heads=HEADS, attn_dim_head=DIM // HEADS, attn_flash=True)
    model = package.TransformerWrapper(num_tokens=CODES, max_seq_len=LENGTH + 1, attn_layers=decoder).eval()
    wrapper, start = package.AutoregressiveWrapper(model), torch.zeros(BATCH, 1, dtype=torch.long)
    write = partial(wrapper.generate, start, LENGTH, filter_logits_fn=lambda logits: logits)
    return Built(write, (decoder, model.to_logits))


def different() -> float:
    """Share of codes that the two sides draw differently."""
    model = ours_model()
    return (cached(model) != plain(model)).float().mean().item()


ABOUT = f"{BATCH} boxes of {LENGTH} codes out of {CODES}; width {DIM}, {HEADS} heads, {LAYERS} blocks"
CASES = {
    "without a cache": Case(
        ABOUT,
        "the same prior without a cache",
        {OURS: partial(ours, cached), PEER: partial(ours, plain)},
        items=BATCH * LENGTH,
        difference=different,
        allowed=0.0,
    ),
    "x-transformers": Case(ABOUT, PACKAGE, {OURS: partial(ours, cached), PEER: peers}, items=BATCH * LENGTH),
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
