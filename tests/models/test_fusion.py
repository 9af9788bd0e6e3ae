"""Fusion: what is told and what is not, four ways into the decoder, one clip at the end."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, write_weights
from vidgen_lab.models.fusion import (
    Asked,
    FrameEncoder,
    Fusion,
    FusionConfig,
    FusionTokenizer,
    FusionTokenizerConfig,
)
from vidgen_lab.zoo import load_model

BOX = FusionTokenizerConfig(
    size=8, frames=4, widths=(6, 8), stem=2, blocks=1, block_width=4, num_codes=6, code_dim=4, background=-1.0
)
TINY = FusionConfig(prefix_frames=2, condition_dim=6, condition_heads=2, text_layers=1, dim=12, heads=2, layers=2)
WAYS = ("cross", "film", "concat", "prefix", "both")
EACH = pytest.mark.parametrize("way", WAYS)
CODES = 2 * 2 * 2
CAPTIONS = ["a red 3 moves left, fast", "a slow blue seven moves up-right", "a cyan 0 goes down slowly", "a green 8"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*(shape or (4, 3, 4, 8, 8)), generator=rng(seed)) * 2 - 1


def batch(rows: int = 4) -> dict[str, object]:
    return {"video": clips(rows, 3, 4, 8, 8), "caption": [CAPTIONS[row % 4] for row in range(rows)]}


def tokenizer(**changes: object) -> FusionTokenizer:
    """With a codebook of what its encoder says of some clips, so that clips have different codes."""
    torch.manual_seed(0)
    model = FusionTokenizer(replace(BOX, **changes))
    with torch.no_grad():
        vectors = model.encoder(model._moments(clips()).flatten(0, 1)).movedim(1, -1).flatten(0, 2)
        model.codebook.codebook.copy_(vectors[:: len(vectors) // 6][:6])
    return model


def built(way: str = "cross", spread: float | None = 0.4, **changes: object) -> Fusion:
    """With weights so large that each place says something of its own; None: as initialised."""
    model = Fusion(replace(TINY, fusion=way, **changes), tokenizer=tokenizer())
    torch.manual_seed(1)
    if spread:
        for name, parameter in model.named_parameters():
            if not name.startswith("tokenizer"):
                torch.nn.init.normal_(parameter, std=spread)
    return model.eval().requires_grad_(False)


def asked(model: Fusion, rows: int = 4, **condition: object) -> Asked:
    return model._asked(rows, condition)


def random_tokens(rows: int = 4) -> Tensor:
    return torch.randint(6, (rows, CODES), generator=rng())


def logits(model: Fusion, what: Asked, tokens: Tensor | None = None) -> Tensor:
    tokens = random_tokens(len(what.ids)) if tokens is None else tokens
    return model.decoder(model._vectors(tokens), model.decoder.tell(*model.fuse(what)))


# The tokenizer.


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_clips_become_boxes_of_codes_and_come_back(stride):
    model = tokenizer(stride=stride)
    for shape in ((2, 3, 4, 8, 8), (1, 3, 8, 12, 4)):
        codes = model.encode(clips(*shape))
        assert codes.shape == (shape[0], shape[2] // stride, shape[3] // 4, shape[4] // 4)
        assert codes.dtype == torch.int64 and model.decode(codes).shape == shape
    assert model.code_shape == tuple(model.encode(clips()).shape[1:]) and model.num_codes == 6
    assert model.reconstruct(clips()).abs().max() <= 1


def test_a_code_stands_for_a_patch_of_the_frames_of_its_moment_and_no_other():
    model, before = tokenizer(blocks=0).eval(), clips()
    after = before.clone()
    after[:, :, 3] = clips(4, 3, 8, 8, seed=1)  # the last frame: the second of the last moment
    first, second = (model.encoder(model._moments(x).flatten(0, 1)).unflatten(0, (4, 2)) for x in (before, after))
    assert torch.equal(first[:, 0], second[:, 0]) and (first[:, 1] - second[:, 1]).abs().amax((1, 2, 3)).min() > 1e-4


def test_frames_are_stacked_and_unstacked_in_their_order():
    model, x = tokenizer(), clips()
    moments = model._moments(x)
    assert moments.shape == (4, 2, 6, 8, 8)
    for frame in range(4):
        assert torch.equal(moments[:, frame // 2, 3 * (frame % 2) : 3 * (frame % 2) + 3], x[:, :, frame])
    model.decoder.forward = lambda vectors: moments.flatten(0, 1)
    assert torch.equal(model.decode(torch.zeros(4, 2, 2, 2, dtype=torch.long)), x)


def test_the_tokenizer_trains_on_one_moment_of_each_clip_and_moves_every_parameter():
    model, data, seen = tokenizer(), batch(), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    losses = model("autoencoder", data, Draw(0))
    moments = model._moments(data["video"])
    chosen = [next(t for t in range(2) if torch.equal(seen[0][row], moments[row, t])) for row in range(4)]
    for step in range(1, 6):
        model("autoencoder", data, Draw(0, step))
        chosen += [t for row in range(4) for t in range(2) if torch.equal(seen[step][row], moments[row, t])]
    assert set(chosen) == {0, 1} and len(chosen) == 24
    losses.total.backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert set(losses.terms) == {"reconstruction", "commitment"}


def test_the_reconstruction_is_a_squared_error_over_twice_the_variance():
    model, twin, data = tokenizer(variance=0.2), tokenizer(variance=0.2), batch()
    real = data["video"][:, :, :2]
    losses = model("autoencoder", {"video": real}, Draw(0))
    moment = twin._moments(real)[:, 0]
    out = twin.codebook(twin.encoder(moment), Draw(0).at("autoencoder"))
    error = (twin.decoder(out.latent) - moment).square().mean()
    assert torch.allclose(losses.terms["reconstruction"], error / 0.4)
    assert torch.allclose(losses.log["psnr"], 10 * torch.log10(4 / error))


# What is told.


def test_padding_changes_nothing():
    model = built()
    short, long = asked(model, caption=CAPTIONS), asked(model, caption=[*CAPTIONS[:3], "a green 8 flies up fast"])
    assert short.ids.shape == long.ids.shape and not short.ids[3, 3:].any()
    wider = short._replace(
        ids=torch.nn.functional.pad(short.ids, (0, 2)), words=torch.nn.functional.pad(short.words, (0, 2))
    )
    assert torch.allclose(logits(model, short), logits(model, wider), atol=1e-5)
    with torch.no_grad():
        model.text_encoder.embedding.weight[0] = 5.0  # whatever padding looks like
    assert torch.allclose(logits(model, short), logits(model, wider), atol=1e-5)
    assert not torch.allclose(logits(model, short)[3], logits(model, long)[3], atol=1e-3)


@EACH
def test_a_modality_that_is_hidden_is_one_that_was_never_given(way):
    model, image = built(way), clips(4, 3, 8, 8)
    both, text, frame, none = (
        asked(model, **condition)
        for condition in ({"caption": CAPTIONS, "image": image}, {"caption": CAPTIONS}, {"image": image}, {})
    )
    no = torch.zeros_like
    for hidden, missing in (
        (both._replace(words=no(both.words)), frame),
        (both._replace(given=no(both.given)), text),
        (both._replace(words=no(both.words), given=no(both.given)), none),
    ):
        assert torch.allclose(logits(model, hidden), logits(model, missing), atol=1e-5)
    all_four = [logits(model, what) for what in (both, text, frame, none)]
    assert all(not torch.allclose(a, b, atol=1e-3) for i, a in enumerate(all_four) for b in all_four[:i])


def test_a_null_token_stands_where_a_modality_is_missing_and_only_there():
    model = built()
    seen = model.fuse(asked(model, caption=CAPTIONS))[1]
    assert seen.shape == (4, 1 + 6 + 1) and seen[:, [0, 7]].tolist() == [[False, True]] * 4
    assert seen[:, 1:7].sum(1).tolist() == [6, 6, 6, 3]
    seen = model.fuse(asked(model, image=clips(4, 3, 8, 8)))[1]
    assert seen.shape == (4, 1 + 1 + 4) and seen.tolist() == [[True, False] + [True] * 4] * 4
    for kind, condition in ((1, {"caption": CAPTIONS}), (0, {"image": clips(4, 3, 8, 8)})):
        before = logits(model, asked(model, **condition))
        with torch.no_grad():
            model.fusion_encoder.null[1 - kind] *= -1  # of what is given: it is not seen
        assert torch.allclose(logits(model, asked(model, **condition)), before, atol=1e-6)
        with torch.no_grad():
            model.fusion_encoder.null[kind] *= -1
        assert not torch.allclose(logits(model, asked(model, **condition)), before, atol=1e-3)


def test_frames_that_are_hidden_cannot_be_seen_and_an_image_is_a_prefix_of_one_frame():
    model, prefix = built(), clips(4, 3, 2, 8, 8)
    one = asked(model, caption=CAPTIONS, image=prefix[:, :, 0])
    two = asked(model, caption=CAPTIONS, prefix=prefix)
    hidden = two._replace(given=torch.tensor([[True, False]]).expand(4, 2))
    assert torch.equal(logits(model, one), logits(model, asked(model, caption=CAPTIONS, prefix=prefix[:, :, :1])))
    assert torch.allclose(logits(model, one), logits(model, hidden), atol=1e-5)
    assert not torch.allclose(logits(model, one), logits(model, two), atol=1e-3)


def test_joint_attention_has_no_positions_and_lets_words_and_patches_see_one_another():
    encoder = built().fusion_encoder
    words, patches = torch.randn(2, 3, 6, generator=rng()), torch.randn(2, 4, 6, generator=rng(1))
    told, given = torch.tensor([[1, 1, 1], [1, 1, 0]]).bool(), torch.ones(2, 4, dtype=torch.bool)
    memory, seen = encoder(words, told, patches, given)
    order = torch.tensor([2, 0, 1])
    again, mask = encoder(words[:, order], told[:, order], patches.flip(1), given)
    assert torch.allclose(again[:, 1:4], memory[:, 1:4][:, order], atol=1e-5)
    assert torch.allclose(again[:, 5:], memory[:, 5:].flip(1), atol=1e-5) and torch.equal(mask[:, 1:4], told[:, order])
    other, _ = encoder(words, told, -patches, given)
    assert (other - memory)[:, 1:3].abs().amax(2).min() > 1e-3
    swapped, _ = encoder(patches, given, words, told)  # the modality tells words from patches
    assert not torch.allclose(swapped[:1, 1:5], memory[:1, 5:], atol=1e-3)


def test_the_memory_is_each_token_and_what_the_block_says_of_it_and_hides_what_is_not_there():
    encoder = built().fusion_encoder
    words, patches = torch.randn(2, 3, 6, generator=rng()), torch.randn(2, 4, 6, generator=rng(1))
    told, given = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool(), torch.tensor([[1] * 4, [0] * 4]).bool()
    memory, seen = encoder(words, told, patches, given)
    assert seen.int().tolist() == [[0, 1, 1, 1, 0, 1, 1, 1, 1], [0, 1, 0, 0, 1, 0, 0, 0, 0]]
    (n_w, n_p), (e_w, e_p) = encoder.null.expand(2, 2, 6).unsqueeze(2), encoder.modality
    tokens = torch.cat([n_w + e_w, words + e_w, n_p + e_p, patches + e_p], dim=1)
    for row in range(2):
        there = tokens[row : row + 1, seen[row]]  # by hand: a block without a mask, on these alone
        by_hand = encoder.norm_own(there) + encoder.norm(encoder.blocks[0](there))
        assert torch.allclose(memory[row : row + 1, seen[row]], by_hand, atol=1e-5)


def test_training_in_bf16_reads_given_frames_as_sampling_does():
    encoder = FrameEncoder(replace(TINY, prefix_frames=4, condition_dim=72), replace(BOX, size=32))
    frames, given = clips(4, 3, 4, 32, 32), torch.ones(4, 4, dtype=torch.bool)
    exact = encoder(frames, given)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(encoder(frames, given).float(), exact, atol=0.02)


def test_what_each_token_is_by_itself_is_heard_however_large_the_encoders_steps_grow():
    model, captions = built(spread=None), ["a red 3 moves left, fast", "a red 4 moves left, fast"]
    with torch.no_grad():
        for encoder in (model.text_encoder, model.fusion_encoder):
            for block in encoder.blocks:
                for last in (block.attention.out, block.mlp[2]):
                    last.bias += 1e4 * torch.randn(6, generator=rng())
    memory, _, _ = model.fuse(asked(model, 2, caption=captions))
    moved = (memory[1] - memory[0]).norm(dim=1)
    assert moved[3] > 0.5 and moved[[0, 1, 2, 4, 5, 6, 7]].max() < 0.1


@EACH
def test_the_order_of_the_memory_does_not_matter_to_the_decoder(way):
    model = built(way)
    memory, seen, patches = model.fuse(asked(model, caption=CAPTIONS, image=clips(4, 3, 8, 8)))
    order, vectors = torch.randperm(memory.shape[1], generator=rng()), model._vectors(random_tokens())
    one, two = (
        model.decoder(vectors, model.decoder.tell(*told, patches))
        for told in ((memory, seen), (memory[:, order], seen[:, order]))
    )
    assert torch.allclose(one, two, atol=1e-5)
    changed = torch.where(seen[..., None], memory, 9.0)  # what is not there cannot be seen
    assert torch.allclose(model.decoder(vectors, model.decoder.tell(changed, seen, patches)), one, atol=1e-5)


# The decoder.


@EACH
def test_a_fresh_decoder_finds_all_codes_equally_likely(way):
    loss = built(way, spread=None)("decoder", batch(), Draw(0)).total
    assert loss.item() == pytest.approx(math.log(6), abs=1e-5)


def test_a_fresh_film_is_an_unconditional_decoder():
    model = built("film", spread=None)
    torch.nn.init.normal_(model.decoder.head.weight)
    told, free = (logits(model, asked(model, **condition)) for condition in ({"caption": CAPTIONS}, {}))
    assert torch.equal(told, free) and told.abs().max() > 0.1


@EACH
def test_a_place_sees_the_places_before_it_and_no_other(way):
    model, tokens = built(way), random_tokens()
    what = asked(model, caption=CAPTIONS)
    before = logits(model, what, tokens)
    for place in range(CODES):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % 6
        moved = (logits(model, what, other) - before).abs().amax((0, 2))
        assert (moved[: place + 1] < 1e-5).all() and (moved[place + 1 :] > 1e-4).all()


@EACH
def test_cached_logits_equal_the_full_pass(way):
    model, tokens = built(way), random_tokens()
    what = asked(model, caption=CAPTIONS, image=clips(4, 3, 8, 8))
    full, vectors = logits(model, what, tokens), model._vectors(tokens)
    told = model.decoder.tell(*model.fuse(what))
    caches = model.decoder.caches(told, CODES)
    for place in range(CODES):
        step = model.decoder.step(caches, place, vectors[:, place - 1] if place else None, told)
        assert torch.allclose(step, full[:, place], atol=1e-5)


def test_a_block_adds_to_each_place_the_values_of_the_memory_by_the_weights_of_its_looks():
    model, d = built(), TINY.dim // TINY.heads
    block, x = model.decoder.blocks[0], torch.randn(1, CODES, TINY.dim, generator=rng())
    memory, seen = torch.randn(1, 5, 6, generator=rng(1)), torch.tensor([[1, 1, 0, 1, 0]]).bool()
    told = model.decoder.tell(memory, seen)
    back = x + block.attention(block.norm_attention(x, None))
    query, pair, out, there = block.cross.query, block.cross.memory, block.cross.out, memory[0, seen[0]]
    total = back + out.bias
    for head in range(TINY.heads):
        rows, below = slice(head * d, head * d + d), slice(TINY.dim + head * d, TINY.dim + head * d + d)
        asks = block.norm_cross(back)[0] @ query.weight[rows].T + query.bias[rows]  # (L, d)
        keys, values = (there @ pair.weight[part].T + pair.bias[part] for part in (rows, below))
        scores = torch.exp(asks @ keys.T / math.sqrt(d))
        total = total + (scores / scores.sum(1, keepdim=True)) @ values @ out.weight[:, rows].T
    expected = total + block.mlp(block.norm_mlp(total, None))
    assert torch.allclose(block(x, told, told.pairs[0]), expected, atol=1e-4)


@EACH
def test_every_place_is_told_of_every_word_and_every_patch(way):
    model, image = built(way), clips(4, 3, 8, 8)
    before = logits(model, asked(model, caption=CAPTIONS[:1] * 4, image=image))
    words = CAPTIONS[0].split()
    for place, word in ((1, "blue"), (2, "4"), (4, "up"), (5, "slowly")):
        caption = " ".join([*words[:place], word, *words[place + 1 :]])
        moved = (logits(model, asked(model, caption=[caption] * 4, image=image)) - before).abs().amax((0, 2))
        assert (moved > 1e-4).all()
    for row, column in ((0, 0), (0, 4), (4, 0), (4, 4)):
        other = image.clone()
        other[:, :, row : row + 4, column : column + 4] *= -1
        moved = (logits(model, asked(model, caption=CAPTIONS[:1] * 4, image=other)) - before).abs().amax((0, 2))
        assert (moved > 1e-4).all()


@EACH
def test_a_given_patch_is_told_to_the_codes_at_its_place_in_every_moment_and_to_no_other(way):
    decoder = built(way).decoder
    memory, seen = torch.randn(1, 5, 6, generator=rng()), torch.ones(1, 5, dtype=torch.bool)
    patches = torch.randn(1, 4, 6, generator=rng(1))
    before, free = (decoder.tell(memory, seen, given).places for given in (patches, None))
    assert torch.equal(free[0], decoder.positions())
    for place in range(4):
        other = patches.clone()
        other[:, place] *= -1
        moved = (decoder.tell(memory, seen, other).places - before).abs().amax(2).view(2, 4) > 1e-4
        assert moved.tolist() == [[column == place for column in range(4)]] * 2


def test_all_ways_of_fusion_have_the_same_size():
    sizes = []
    for way in WAYS:
        with torch.device("meta"):
            model = create_model("fusion", "cpu", fusion=way)
        sizes.append(sum(p.numel() for p in model.parameters()))
    assert max(sizes) / min(sizes) < 1.02


def test_film_and_concatenation_are_told_the_mean_of_the_memory_alone():
    for way in WAYS:
        model, vectors = built(way), torch.randn(1, CODES, 4, generator=rng())
        memory, seen = torch.randn(1, 5, 6, generator=rng(1)), torch.tensor([[1, 1, 1, 1, 0]]).bool()
        moved = memory + torch.tensor([[1.0], [-1.0], [2.0], [-2.0], [9.0]])
        one, two = (model.decoder(vectors, model.decoder.tell(given, seen)) for given in (memory, moved))
        assert torch.allclose(one, two, atol=1e-4) == (way in ("film", "concat"))
        mean = model.decoder.tell(memory, seen).mean
        assert torch.allclose(mean, (memory[:, 0] + memory[:, 1] + memory[:, 2] + memory[:, 3]) / 4, atol=1e-6)


# Training.


@EACH
def test_a_gradient_reaches_every_parameter_of_the_phase_and_the_tokenizer_stays(way):
    model = built(way).train()
    model("decoder", batch(24), Draw(0)).total.backward()
    still = [
        name
        for name, p in model.named_parameters()
        if (p.grad is None or not p.grad.abs().sum() > 0) != name.startswith("tokenizer")
    ]
    assert not still and not model.tokenizer.training


def test_captions_and_frames_are_hidden_from_the_share_of_clips_that_the_config_says():
    model, told, given = built(caption_dropout=0.25, frames_dropout=0.4), [], []
    model.fusion_encoder.register_forward_hook(lambda _, x, __: told.append(x[1]))
    model.frame_encoder.register_forward_hook(lambda _, x, __: given.append(x[1].sum(1)))
    for step in range(100):
        model("decoder", batch(8), Draw(0, step))
    told, given = torch.cat(told).any(1), torch.cat(given)
    assert told.float().mean().item() == pytest.approx(0.75, abs=0.06)
    for count, share in ((0, 0.4), (1, 0.3), (2, 0.3)):
        assert (given == count).float().mean().item() == pytest.approx(share, abs=0.06)
    assert (told & (given > 0)).float().mean().item() == pytest.approx(0.75 * 0.6, abs=0.06)  # apart from each other


def test_the_loss_is_the_mean_negative_log_likelihood_of_a_code():
    model, data = built(caption_dropout=0.0, frames_dropout=0.0, prefix_frames=1), batch()
    tokens = model.tokenizer.encode(data["video"]).flatten(1)
    condition = {"caption": data["caption"], "image": data["video"][:, :, 0]}
    log_p = logits(model, asked(model, **condition), tokens).log_softmax(2)
    by_hand = -torch.stack([torch.stack([log_p[b, i, tokens[b, i]] for i in range(CODES)]).mean() for b in range(4)])
    assert torch.allclose(model("decoder", data, Draw(0)).total, by_hand.mean(), atol=1e-5)
    assert torch.allclose(model.nats(data["video"], condition), by_hand, atol=1e-5)


@pytest.mark.parametrize("way", ["cross", "film", "prefix"])  # concat learns it too, in four times as many steps
def test_one_batch_is_learnt_by_heart_from_its_captions_and_shuffled_captions_raise_the_loss(way):
    model, data = built(way, spread=None, layers=1, prefix_frames=0).train().requires_grad_(True), batch()
    optimizer = torch.optim.Adam([p for n, p in model.named_parameters() if not n.startswith("tokenizer")], 2e-2)
    for step in range(100):
        optimizer.zero_grad()
        model("decoder", data, Draw(0, step)).total.backward()
        optimizer.step()
    right, wrong, none = (
        model.nats(data["video"], condition).mean().item()
        for condition in ({"caption": data["caption"]}, {"caption": data["caption"][1:] + data["caption"][:1]}, None)
    )
    assert right < 0.4 and wrong > right + 0.5 and none > right + 0.1


# Sampling.


@EACH
def test_samples_are_clips_and_the_same_seed_gives_the_same(way):
    model, condition = built(way), {"caption": CAPTIONS[:3]}
    one, two = (model.sample(3, condition=condition, generator=rng(seed)) for seed in (0, 1))
    assert one.shape == (3, 3, 4, 8, 8) and one.abs().max() <= 1
    assert torch.equal(one, model.sample(3, condition=condition, generator=rng(0))) and not torch.equal(one, two)
    assert model.sample(2, generator=rng()).shape == (2, 3, 4, 8, 8)


@EACH
def test_what_is_written_at_temperature_0_is_the_likeliest_code_of_the_full_pass(way):
    model, codes = built(way), []
    for name, parameter in model.decoder.named_parameters():
        if "positions" in name:
            torch.nn.init.normal_(parameter, std=3.0)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    decode = model.tokenizer.decode
    model.tokenizer.decode = lambda drawn: codes.append(drawn) or decode(drawn)
    for condition in ({"caption": CAPTIONS[:2]}, {"caption": CAPTIONS[:2], "prefix": clips(2, 3, 2, 8, 8)}):
        model.sample(2, condition=condition, temperature=0)
        tokens = codes.pop().flatten(1)
        assert torch.equal(logits(model, asked(model, 2, **condition), tokens).argmax(2), tokens)
        assert len(tokens.unique()) > 1


def test_given_frames_are_kept_unless_the_decoder_s_own_are_wanted():
    model, prefix = built(), clips(3, 3, 2, 8, 8)
    for condition, count in (({"prefix": prefix}, 2), ({"image": prefix[:, :, 0]}, 1)):
        kept, own = (model.sample(3, condition=condition, generator=rng(), keep_given=keep) for keep in (True, False))
        assert torch.equal(kept[:, :, :count], prefix[:, :, :count]) and torch.equal(
            kept[:, :, count:], own[:, :, count:]
        )
        assert not torch.equal(own[:, :, :count], prefix[:, :, :count])


@pytest.mark.parametrize(
    ("g", "f"), [(1.0, 1.0), (3.0, 1.0), (1.0, 2.0), (3.0, 2.0), (0.0, 1.0), (2.0, 0.0), (0.0, 0.0)]
)
def test_each_modality_is_guided_by_a_strength_of_its_own(g, f):
    model, image = built(), clips(4, 3, 8, 8)
    what, seen = asked(model, caption=CAPTIONS, image=image), []
    step = model.decoder.step
    model.decoder.step = lambda *given: seen.append(step(*given)) or seen[-1]
    drawn = []
    decode = model.tokenizer.decode
    model.tokenizer.decode = lambda codes: drawn.append(codes) or decode(codes)
    condition = {"caption": CAPTIONS, "image": image}
    model.sample(4, condition=condition, temperature=0, guidance=g, frames_guidance=f)
    tokens = drawn[0].flatten(1)
    both, frame, none = (
        logits(model, told, tokens) for told in (what, what._replace(words=torch.zeros_like(what.words)), asked(model))
    )
    mixed = none + f * (frame - none) + g * (both - frame)
    assert torch.equal(mixed.argmax(2), tokens)
    copies = {(1.0, 1.0): 1, (3.0, 1.0): 2, (1.0, 2.0): 3, (3.0, 2.0): 3, (0.0, 1.0): 1, (2.0, 0.0): 3, (0.0, 0.0): 1}
    assert len(seen[0]) == 4 * copies[g, f]  # nothing is computed that has no weight


def test_every_copy_reads_the_codes_of_its_own_clip():
    model, condition, seen, drawn = built(), {"caption": CAPTIONS, "image": clips(4, 3, 8, 8)}, [], []
    step, decode = model.decoder.step, model.tokenizer.decode
    model.decoder.step = lambda *given: seen.append(step(*given)) or seen[-1]
    model.tokenizer.decode = lambda codes: drawn.append(codes) or decode(codes)
    model.sample(4, condition=condition, generator=rng(), temperature=5.0, guidance=3.0, frames_guidance=2.0)
    tokens, parts = drawn[0].flatten(1), torch.stack(seen, dim=1).split(4)
    what = asked(model, **condition)
    told = (what, what._replace(words=torch.zeros_like(what.words)), asked(model))
    assert len(tokens.unique(dim=0)) == 4
    for part, copy in zip(parts, told, strict=True):
        assert torch.allclose(part, logits(model, copy, tokens), atol=1e-4)


def test_without_frames_guidance_goes_from_free_logits_through_asked_ones():
    model, drawn, parts = built(), [], []
    step, decode = model.decoder.step, model.tokenizer.decode
    model.decoder.step = lambda *given: parts.append(len(out := step(*given))) or out
    model.tokenizer.decode = lambda codes: drawn.append(codes) or decode(codes)
    model.sample(4, condition={"caption": CAPTIONS}, temperature=0, guidance=2.5)
    tokens = drawn[0].flatten(1)
    told, free = (logits(model, asked(model, **condition), tokens) for condition in ({"caption": CAPTIONS}, {}))
    assert torch.equal((free + 2.5 * (told - free)).argmax(2), tokens) and set(parts) == {8}


def test_attention_shows_how_much_each_code_looks_at_each_word():
    model, x, image = built(), clips(), clips(4, 3, 8, 8)
    looks = model.attention(x, {"caption": CAPTIONS})
    assert looks.shape == (2, 4, 2, 2, 2, 2, 6) and (looks >= 0).all()
    assert not looks[:, 3, ..., 3:].any()  # "a green 8" has three words
    left = 1 - looks.sum(-1)
    assert (left > 0).all() and (left < 1).all()  # for the null of the frames
    shared = model.attention(x, {"caption": CAPTIONS, "image": image})
    assert (shared.sum(-1) < 1).all() and not torch.allclose(shared, looks, atol=1e-3)
    with pytest.raises(ArgumentError, match='fusion="film" has no cross-attention'):
        built("film").attention(x, {"caption": CAPTIONS})


def test_save_and_load_keep_every_sample(tmp_path):
    below = create_model("fusion-tokenizer", widths=(6, 8), num_codes=6)
    model = create_model("fusion", tokenizer=below, dim=12, heads=2, layers=1, condition_dim=12)
    condition = {"caption": CAPTIONS[:2], "prefix": clips(2, 3, 2, 16, 16)}
    expected = model.sample(2, condition=condition, generator=rng())
    write_weights(model, tmp_path / "fusion.safetensors")
    loaded = load_model(tmp_path / "fusion.safetensors")
    assert loaded.config == model.config
    assert torch.equal(loaded.sample(2, condition=condition, generator=rng()), expected)


# Errors.


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fusion": "crosses"}, 'no fusion "crosses"; did you mean "cross"'),
        ({"dim": 14}, "dim=14: must be a multiple of 3"),
        ({"condition_dim": 9}, "condition_dim=9: .* and of condition_heads=2"),
        ({"condition_dim": 24, "fusion": "both"}, 'fusion="both" and dim=12 nothing is left .* Give less than 24'),
        ({"condition_dim": 60, "fusion": "film"}, 'fusion="film" and dim=12 nothing is left .* Give less than 60'),
        ({"caption_dropout": 1.0}, "caption_dropout=1.0"),
        ({"frames_dropout": -0.1}, "frames_dropout=-0.1"),
        ({"prefix_frames": -1}, "prefix_frames=-1"),
        ({"vocabulary": ("a", "a")}, "a word stands in it twice"),
    ],
)
def test_sizes_that_cannot_be_say_why(changes, says):
    with pytest.raises(ArgumentError, match=says):
        replace(TINY, **changes)


def test_sizes_that_do_not_fit_the_tokenizer_say_why():
    with pytest.raises(ArgumentError, match="prefix_frames=5: the clips have 4 frames"):
        Fusion(replace(TINY, prefix_frames=5), tokenizer=tokenizer())
    with pytest.raises(ArgumentError, match="stride=3 does not divide frames=4"):
        tokenizer(stride=3)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ({"caption": ["a rad 3", "a 3"]}, 'no word "rad" in the vocabulary; did you mean "red"? It has: a 0 1 2'),
        ({"caption": ["a red 3", ""]}, "caption='' has no word. The vocabulary: a 0 1 2"),
        (
            {"caption": ["a 3 and a 4", "a 3"]},
            'caption="a 3 and a 4" asks for 2 digits; this fusion moves 1. Ask for 1',
        ),
        ({"caption": ["a 3"]}, 'condition "caption" has 1 rows for n=2'),
        ({"image": torch.zeros(2, 3, 16, 16)}, "image of shape (2, 3, 16, 16): give (2, 3, 8, 8), in [-1, 1]"),
        ({"image": torch.zeros(2, 1, 8, 8)}, "give (2, 3, 8, 8)"),
        ({"prefix": torch.zeros(2, 3, 3, 8, 8)}, "prefix of 3 frames: this fusion goes on from 1 to 2"),
        ({"prefix": torch.zeros(2, 3, 0, 8, 8)}, "prefix of 0 frames"),
        ({"prefix": torch.zeros(2, 3, 8, 8)}, "prefix of shape (2, 3, 8, 8): give (2, 3, 2, 8, 8)"),
        ({"image": torch.zeros(2, 3, 8, 8), "prefix": torch.zeros(2, 3, 1, 8, 8)}, "has an image and a prefix"),
        ({"captions": ["a 3", "a 3"]}, 'no condition "captions"; did you mean "caption"?'),
    ],
)
def test_a_condition_that_cannot_be_met_says_what_can(condition, says):
    with pytest.raises(ArgumentError, match=re.escape(says)):
        built().sample(2, condition=condition)


def test_what_a_fusion_cannot_do_says_what_it_can():
    model = built()
    with pytest.raises(ArgumentError, match="writes clips of 4 frames"):
        model.sample(2, frames=8)
    with pytest.raises(ArgumentError, match="guidance=2.0: no caption asked for"):
        model.sample(2, guidance=2.0)
    with pytest.raises(ArgumentError, match="frames_guidance=2.0: no frames asked for"):
        model.sample(4, condition={"caption": CAPTIONS}, frames_guidance=2.0)
    with pytest.raises(ArgumentError, match="caption_dropout was 0 in training"):
        built(caption_dropout=0.0).sample(4, condition={"caption": CAPTIONS}, guidance=2.0)
    with pytest.raises(ArgumentError, match="trains with captions; the batch has"):
        model("decoder", {"video": clips()}, Draw(0))
    with pytest.raises(ArgumentError, match=r"clips with \(4, 2, 2\) codes; trained for \(2, 2, 2\)"):
        model.nats(clips(2, 3, 8, 8, 8))
    text_alone = built(prefix_frames=0)
    assert text_alone.conditions == ("caption",) and text_alone("decoder", batch(), Draw(0)).total.isfinite()


def test_wrong_clips_and_codes_name_the_sizes_allowed():
    model = tokenizer()
    with pytest.raises(ArgumentError, match=r"give \(B, 3, T, H, W\), T a multiple of 2"):
        model.encode(clips(1, 3, 3, 8, 8))
    with pytest.raises(ArgumentError, match=r"give \(B, 3, H, W\) with H and W multiples of 4"):
        model.encode(clips(1, 3, 4, 6, 8))
    with pytest.raises(ArgumentError, match="codes run from -1 to 6: this codebook has codes from 0 to 5"):
        model.decode(torch.tensor([-1, 6]).view(1, 2, 1, 1))
    with pytest.raises(ArgumentError, match="give \\(B, T', H', W'\\)"):
        model.decode(torch.zeros(2, 2, 2, dtype=torch.long))
