"""The causal transformer: who sees whom, what a cache may not change, and how tokens are drawn."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.transformer import (
    Attention,
    Block,
    Cache,
    CausalTransformer,
    CrossAttention,
    attend,
    sample_tokens,
    sharpen,
)

K, L, LABELS = 7, 12, 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def transformer(num_labels: int = 0, spread: float = 0.4, **changes) -> CausalTransformer:
    """Tiny, in eval mode; weights large enough that places differ by far more than rounding."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CausalTransformer(
            K, L, **{"dim": 16, "heads": 2, "layers": 3, "num_labels": num_labels, **changes}
        ).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=spread)
    return model.requires_grad_(False)


def tokens(batch: int = 4, length: int = L) -> torch.Tensor:
    return torch.randint(K, (batch, length), generator=rng())


LABEL = torch.tensor([0, 1, 2, 1])


# the network


@pytest.mark.parametrize("length", [1, 5, L])
def test_there_is_one_row_of_logits_for_each_token(length):
    assert transformer()(tokens(length=length)).shape == (4, length, K)


@pytest.mark.parametrize("changed", range(L))
def test_a_token_changes_no_logits_up_to_its_own_place_and_all_later_ones(changed):
    model, first = transformer(), tokens()
    second = first.clone()
    second[:, changed] = (second[:, changed] + 1) % K
    gap = (model(first) - model(second)).abs().amax(2)  # (B, L)
    assert (gap[:, : changed + 1] == 0).all() and (gap[:, changed + 1 :] > 1e-4).all()


def test_the_logits_of_a_permuted_batch_are_the_permuted_logits():
    model, order = transformer(LABELS), torch.tensor([2, 0, 3, 1])
    permuted = model(tokens()[order], LABEL[order])
    assert torch.allclose(permuted, model(tokens(), LABEL)[order], atol=1e-5)


def test_the_label_changes_the_logits_of_every_place():
    model = transformer(LABELS)
    gap = (model(tokens(), LABEL) - model(tokens(), (LABEL + 1) % LABELS)).abs().amax(2)
    assert (gap > 1e-4).all()


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_the_weighted_mean_of_the_values_that_a_place_may_see(causal):
    attention = Attention(6, 2, causal).eval().requires_grad_(False)
    x = torch.randn(1, 5, 6, generator=rng())
    query, key, value = attention.project(x).view(5, 3, 2, 3).unbind(1)  # (L, heads, d)
    seen = torch.zeros(5, 2, 3)
    for place in range(5):
        for head in range(2):
            scores = torch.tensor(
                [query[place, head] @ key[j, head] / math.sqrt(3) for j in range(place + 1 if causal else 5)]
            )
            weights = scores.exp() / scores.exp().sum()
            seen[place, head] = sum(w * value[j, head] for j, w in enumerate(weights))
    assert torch.allclose(attention(x), attention.out(seen.view(1, 5, 6)), atol=1e-6)


def test_a_fresh_transformer_finds_every_token_equally_likely():
    model = CausalTransformer(K, L, dim=16, heads=2, layers=3)
    assert cross_entropy(model(tokens()).transpose(1, 2), tokens()).item() == pytest.approx(math.log(K))


def test_fresh_embeddings_are_small_and_what_a_block_adds_is_smaller_by_the_depth():
    model = CausalTransformer(500, 400, dim=64, heads=2, layers=8)
    spread = {name: parameter.std().item() for name, parameter in model.named_parameters()}
    for name in ("embedding.weight", "positions", "blocks.7.attention.project.weight", "blocks.0.mlp.0.weight"):
        assert spread[name] == pytest.approx(0.02, rel=0.1), name
    for name in ("blocks.3.attention.out.weight", "blocks.3.mlp.2.weight"):
        assert spread[name] == pytest.approx(0.02 / 4, rel=0.1), name


def test_a_gradient_reaches_every_parameter():
    model = transformer(LABELS).requires_grad_(True)
    cross_entropy(model(tokens(64), LABEL.repeat(16)).transpose(1, 2), tokens(64)).backward()
    for name, parameter in model.named_parameters():
        key_bias = name.endswith("project.bias")  # softmax does not see a bias of the keys
        grad = torch.cat([parameter.grad[:16], parameter.grad[32:]]) if key_bias else parameter.grad
        assert (grad.abs() > 0).any(), name


def test_it_learns_one_sequence_by_heart():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CausalTransformer(K, L, dim=16, heads=2, layers=2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    target = tokens(1)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(model(target).transpose(1, 2), target).backward()
        optimizer.step()
    with torch.no_grad():
        assert torch.equal(sample_tokens(model.eval(), 3, temperature=0), target.expand(3, L))


def test_dropout_acts_in_training_and_not_in_eval_mode():
    model = transformer(dropout=0.5)
    assert torch.equal(model(tokens()), model(tokens()))
    with torch.random.fork_rng():
        model.train()
        assert not torch.equal(model(tokens()), model(tokens()))


# the cache


@pytest.mark.parametrize("num_labels", [0, LABELS])
def test_cached_logits_equal_those_of_the_full_pass(num_labels):
    model, label = transformer(num_labels), LABEL if num_labels else None
    full, caches, last = model(tokens(), label), model.caches(4), None
    for place in range(L):
        assert torch.allclose(model.step(caches, last, label), full[:, place], atol=1e-5)
        last = tokens()[:, place]


def test_samples_are_those_of_the_full_pass_without_a_cache():
    model = transformer(LABELS)
    generator, plain = rng(3), torch.zeros(4, 0, dtype=torch.long)
    for _ in range(L):
        ahead = torch.cat([plain, torch.zeros(4, 1, dtype=torch.long)], 1)  # the last token is seen by none
        shares = model(ahead, LABEL)[:, -1].softmax(1)
        plain = torch.cat([plain, torch.multinomial(shares, 1, generator=generator)], 1)
    assert torch.equal(sample_tokens(model, 4, label=LABEL, generator=rng(3)), plain)


def test_the_same_generator_seed_gives_the_same_tokens():
    model = transformer()
    first, again, other = (sample_tokens(model, 5, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_samples_follow_the_probabilities_of_the_transformer():
    model = transformer(spread=0.3)
    drawn = sample_tokens(model, 20_000, length=1, generator=rng())
    expected = model(tokens(1, 1))[0, 0].softmax(0)
    assert torch.allclose(torch.bincount(drawn[:, 0], minlength=K) / 20_000, expected, atol=0.015)


def test_without_temperature_the_likeliest_token_is_written_each_time():
    model = transformer()
    drawn = sample_tokens(model, 2, temperature=0, generator=rng())
    assert torch.equal(drawn, model(drawn).argmax(2))
    assert torch.equal(drawn, sample_tokens(model, 2, temperature=1e-4, generator=rng(9)))


# which tokens may be drawn

SHARES = torch.tensor([[0.125, 0.5, 0.25, 0.0625, 0.0625]])


def kept(**options) -> list[float]:
    return sharpen(SHARES.log(), **options).softmax(1)[0].tolist()


def test_top_k_keeps_the_likeliest_and_gives_them_the_probability_of_the_rest():
    assert kept(top_k=1) == pytest.approx([0, 1, 0, 0, 0])
    assert kept(top_k=2) == pytest.approx([0, 2 / 3, 1 / 3, 0, 0])
    assert kept(top_k=3) == pytest.approx([1 / 7, 4 / 7, 2 / 7, 0, 0])
    assert kept(top_k=4) == kept(top_k=5) == kept(top_k=99) == pytest.approx(SHARES[0].tolist())


def test_top_p_keeps_the_fewest_tokens_whose_probabilities_reach_p():
    assert kept(top_p=0.01) == kept(top_p=0.49) == pytest.approx([0, 1, 0, 0, 0])
    assert kept(top_p=0.51) == kept(top_p=0.74) == pytest.approx([0, 2 / 3, 1 / 3, 0, 0])
    assert kept(top_p=0.76) == pytest.approx([1 / 7, 4 / 7, 2 / 7, 0, 0])
    assert kept(top_p=0.9) == pytest.approx([2 / 15, 8 / 15, 4 / 15, 1 / 15, 0])
    assert kept(top_p=1.0) == pytest.approx(SHARES[0].tolist())


def test_top_p_counts_after_temperature_and_top_k():
    assert kept(top_k=2, top_p=0.6) == pytest.approx([0, 1, 0, 0, 0])  # 2/3 after top_k suffices
    assert kept(temperature=0.5, top_p=0.7) == pytest.approx([0, 1, 0, 0, 0])  # 64/86 after the squares


def test_a_temperature_raises_probabilities_to_a_power():
    squares = SHARES[0].square()
    assert kept(temperature=0.5) == pytest.approx((squares / squares.sum()).tolist())
    assert kept(temperature=1e6) == pytest.approx([0.2] * 5, abs=1e-5)
    assert kept(temperature=0) == [0, 1, 0, 0, 0]


def test_rows_are_sharpened_each_by_itself():
    rows = torch.randn(6, 9, generator=rng())
    together = sharpen(rows, 0.7, 5, 0.8)
    assert torch.equal(together, torch.cat([sharpen(row[None], 0.7, 5, 0.8) for row in rows]))


# mistakes


def test_mistakes_are_named_with_their_fix():
    model, logits = transformer(), torch.zeros(1, K)
    with pytest.raises(ArgumentError, match="heads=3 does not divide dim=16. Nearest: dim=15"):
        CausalTransformer(K, L, dim=16, heads=3, layers=1)
    with pytest.raises(ArgumentError, match="tokens has 13 places.*length=12 at most"):
        model(tokens(length=13))
    with pytest.raises(ArgumentError, match="num_labels=0: leave label out"):
        model(tokens(), LABEL)
    with pytest.raises(ArgumentError, match=r"num_labels=3: give label \(B,\)"):
        transformer(LABELS)(tokens())
    with pytest.raises(ArgumentError, match="place 0: give last=None at place 0"):
        model.step(model.caches(1), torch.zeros(1, dtype=torch.long))
    with pytest.raises(ArgumentError, match="all 12 places are written"):
        sample_tokens(model, 1, length=13)
    for options, message in (
        ({"temperature": -1.0}, "temperature=-1.0: must be 0 or more"),
        ({"top_k": 0}, "top_k=0: keep 1 token or more"),
        ({"top_p": 0.0}, "top_p=0.0: must be above 0"),
    ):
        with pytest.raises(ArgumentError, match=message):
            sharpen(logits, **options)


# masks


def test_what_a_mask_hides_changes_nothing_and_all_else_is_seen():
    torch.manual_seed(0)
    x, mask = torch.randn(2, 5, 8, generator=rng()), torch.tensor([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]]).bool()
    other = torch.where(mask[..., None], x, 9.0)
    for layer in (Attention(8, 2, causal=False), Block(8, 2, causal=False)):
        seen, again = (layer(given, mask=mask[:, None, None]) for given in (x, other))
        assert torch.allclose(seen[mask], again[mask], atol=1e-6)
        assert torch.allclose(seen[1:], layer(x[1:]), atol=1e-6)
        assert torch.allclose(seen[:1, [0, 1, 3]], layer(x[:1, [0, 1, 3]]), atol=1e-6)
    cross, memory = CrossAttention(4, 8, 2), torch.randn(2, 3, 4, generator=rng(1))
    seen, again = (cross(memory, cross.remember(given), mask[:, None, None]) for given in (x, other))
    assert torch.equal(seen, again)
    assert torch.allclose(seen[:1], cross(memory[:1], cross.remember(x[:1, [0, 1, 3]])), atol=1e-6)


def test_a_mask_may_say_for_each_place_where_it_may_look_and_then_decides_alone():
    attention, x = Attention(8, 2), torch.randn(2, 5, 8, generator=rng())
    below = torch.ones(5, 5, dtype=torch.bool).tril()
    assert torch.allclose(attention(x, mask=below), attention(x), atol=1e-6)
    full = attention(x, mask=torch.ones_like(below))
    assert not torch.allclose(full[:, 0], attention(x)[:, 0], atol=1e-3)


def test_the_weights_of_cross_attention_are_those_with_which_it_looks():
    cross, x = CrossAttention(4, 6, 2), torch.randn(2, 3, 4, generator=rng())
    pair, mask = cross.remember(torch.randn(2, 5, 6, generator=rng(1))), torch.tensor([[1, 0, 1, 1, 0]]).bool()
    weights = cross.weights(x, pair, mask)
    assert weights.shape == (2, 2, 3, 5) and not weights[..., ~mask[0]].any()
    assert torch.allclose(weights.sum(3), torch.ones(2, 2, 3))
    seen = (weights @ pair[1]).transpose(1, 2).flatten(2)
    assert torch.allclose(cross.out(seen), cross(x, pair, mask), atol=1e-6)


@pytest.mark.parametrize("cross", [False, True])
def test_looks_are_dropped_in_training_and_not_in_eval_mode(cross):
    layer = (CrossAttention(8, 6, 2, dropout=0.5) if cross else Attention(8, 2, dropout=0.5)).eval()
    x = torch.randn(2, 5, 8, generator=rng())
    pair = [layer.remember(torch.randn(2, 7, 6, generator=rng()))] if cross else []
    plain = layer(x, *pair)
    assert torch.equal(layer(x, *pair), plain)
    assert not torch.allclose(layer.train()(x, *pair), plain, atol=1e-3)
    layer.dropout = 0.0
    assert torch.allclose(layer(x, *pair), plain)


def test_a_cache_takes_several_places_at_once():
    pairs, one, many = torch.randn(2, 3, 2, 5, 4, generator=rng()), *(Cache(3, 2, 5, 4, torch.zeros(1)) for _ in "ab")
    for place in range(5):
        kept = one.extend(pairs[:, :, :, place : place + 1])
    assert torch.equal(many.extend(pairs[:, :, :, :2]), pairs[:, :, :, :2])
    assert torch.equal(many.extend(pairs[:, :, :, 2:]), kept) and torch.equal(kept, pairs) and many.filled == 5


@pytest.mark.parametrize("causal", [True, False])
def test_on_a_cpu_attention_is_computed_in_32_bits_and_comes_back_in_those_it_was_given(causal):
    query, key, value = (torch.randn(2, 3, 16, 8, generator=rng(seed)) for seed in range(3))
    half = [x.bfloat16() for x in (query, key, value)]
    with torch.autocast("cpu", torch.bfloat16):
        seen = attend(*half, None, 0.0, causal)
        rounded = scaled_dot_product_attention(*half, is_causal=causal)
    exact = scaled_dot_product_attention(*(x.float() for x in half), is_causal=causal)
    assert seen.dtype == torch.bfloat16 and torch.equal(seen, exact.bfloat16())
    assert not torch.equal(rounded, exact.bfloat16())  # what 16 bits make of it
    assert torch.equal(
        attend(query, key, value, None, 0.0, causal), scaled_dot_product_attention(query, key, value, is_causal=causal)
    )
