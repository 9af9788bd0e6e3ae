"""A training step of VideoGPT's prior against x-transformers at equal size.

    python benchmarks/videogpt_step.py --json results/bench-videogpt-step.json

Both sides read 4 boxes of 256 codes out of 128, through 4 blocks of width 96 with 4 heads, without dropout, and take a
step of fused Adam. Ours reads vectors of the codebook through a linear layer, the peer a table of its own. Parameters
are those of the blocks and of the last layer.
"""

import torch
from harness import OURS, PEER, Built, Case, need, run
from torch import Tensor
from torch.nn.functional import cross_entropy
from videogpt_cache import BATCH, CODES, DIM, HEADS, LAYERS, LENGTH, PACKAGE

from vidgen_lab import create_model


def tokens(length: int = LENGTH) -> Tensor:
    return torch.randint(CODES, (BATCH, length), generator=torch.Generator().manual_seed(0))


def stepping(learned: torch.nn.Module, loss, counted: tuple[torch.nn.Module, ...]) -> Built:
    """A training step with fused Adam."""
    adam = torch.optim.Adam(learned.parameters(), lr=3e-4, fused=True)

    def call() -> None:
        loss().backward()
        adam.step()
        adam.zero_grad()

    return Built(call, counted)


def ours() -> Built:
    tokenizer = create_model("videogpt-tokenizer", "ci", num_codes=CODES)
    changes = {"labels": (), "prefix_frames": 0, "dim": DIM, "heads": HEADS, "layers": LAYERS}
    model, boxes = create_model("videogpt", "ci", tokenizer=tokenizer, **changes).train(), tokens()

    def loss() -> Tensor:
        return cross_entropy(model.prior(model._vectors(boxes)).flatten(0, 1), boxes.flatten())

    return stepping(model.prior, loss, (model.prior.blocks, model.prior.head))


def peers() -> Built:
    package = need("x_transformers", PACKAGE)
    decoder = package.Decoder(dim=DIM, depth=LAYERS, heads=HEADS, attn_dim_head=DIM // HEADS, attn_flash=True)
    model = package.TransformerWrapper(num_tokens=CODES, max_seq_len=LENGTH, attn_layers=decoder)
    boxes = tokens(LENGTH + 1)
    places, targets = boxes[:, :-1], boxes[:, 1:].flatten()
    return stepping(model, lambda: cross_entropy(model(places).flatten(0, 1), targets), (decoder, model.to_logits))


CASES = {
    "training": Case(
        f"a step on {BATCH} boxes of {LENGTH} codes, width {DIM}, {LAYERS} blocks",
        PACKAGE,
        {OURS: ours, PEER: peers},
        items=BATCH * LENGTH,
    ),
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
