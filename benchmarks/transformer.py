"""CausalTransformer against x-transformers: a training step, and sampling with a cache.

    python benchmarks/transformer.py --json results/bench-transformer.json

Both are decoders of 4 blocks of width 96 with 4 heads of 24, learned positions and no dropout, on 256 tokens out of
256. The peer has its quickest attention (`attn_flash=True`); the counts of parameters are within 1 %. Training
calls its network itself; sampling is that of its wrapper, from a start token, without a filter on the logits.
"""

from functools import partial

import torch
from harness import OURS, PEER, Built, Case, need, run
from torch import Tensor
from torch.nn.functional import cross_entropy

from vidgen_lab.nn.transformer import CausalTransformer, sample_tokens

TOKENS, LENGTH, BATCH, DIM, HEADS, LAYERS = 256, 256, 4, 96, 4, 4
PACKAGE = "x-transformers"


def batch(length: int = LENGTH) -> Tensor:
    return torch.randint(TOKENS, (BATCH, length), generator=torch.Generator().manual_seed(0))


def stepping(module: torch.nn.Module, loss) -> Built:
    """A training step with fused Adam."""
    adam = torch.optim.Adam(module.parameters(), lr=3e-4, fused=True)

    def call() -> None:
        loss().backward()
        adam.step()
        adam.zero_grad()

    return Built(call, (module,))


def ours_model() -> CausalTransformer:
    return CausalTransformer(TOKENS, LENGTH, dim=DIM, heads=HEADS, layers=LAYERS)


def peer_model(length: int) -> torch.nn.Module:
    peer = need("x_transformers", PACKAGE)
    decoder = peer.Decoder(dim=DIM, depth=LAYERS, heads=HEADS, attn_dim_head=DIM // HEADS, attn_flash=True)
    return peer.TransformerWrapper(num_tokens=TOKENS, max_seq_len=length, attn_layers=decoder)


def ours_step() -> Built:
    model, tokens = ours_model(), batch()
    return stepping(model, lambda: cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()))


def peer_step() -> Built:
    model, tokens = peer_model(LENGTH), batch(LENGTH + 1)
    places, targets = tokens[:, :-1], tokens[:, 1:].flatten()
    return stepping(model, lambda: cross_entropy(model(places).flatten(0, 1), targets))


def ours_sampling() -> Built:
    model = ours_model().eval()
    return Built(torch.no_grad()(partial(sample_tokens, model, BATCH)), (model,))


def peer_sampling() -> Built:
    model, start = peer_model(LENGTH + 1), torch.zeros(BATCH, 1, dtype=torch.long)
    wrapper = need("x_transformers", PACKAGE).AutoregressiveWrapper(model)
    return Built(partial(wrapper.generate, start, LENGTH, filter_logits_fn=lambda logits: logits), (model,))


CASES = {
    "training": Case(
        f"a step on {BATCH} x {LENGTH} tokens, width {DIM}, {LAYERS} blocks",
        PACKAGE,
        {OURS: ours_step, PEER: peer_step},
        items=BATCH * LENGTH,
    ),
    "sampling": Case(
        f"{BATCH} sequences of {LENGTH} tokens, cached",
        PACKAGE,
        {OURS: ours_sampling, PEER: peer_sampling},
        items=BATCH * LENGTH,
    ),
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
