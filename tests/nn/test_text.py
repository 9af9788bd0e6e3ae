"""Captions as ids, and the transformer that reads them."""

import re

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.data import MovingDigits, moving
from vidgen_lab.nn import text
from vidgen_lab.nn.text import TextEncoder, caption_words, masked_mean, split_words, tokenize

WORDS = caption_words(digits=2)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("settings", [{}, {"color": True}, {"digits": 2, "color": True}, {"turn": True}], ids=str)
def test_the_vocabulary_has_every_word_of_the_captions_and_no_other(settings):
    said = []
    for paraphrase in (False, True):
        said += MovingDigits(paraphrase=paraphrase, size=16, frames=4, **settings).__getitems__(range(600))["caption"]
    words = {word for caption in said for word in split_words(caption)}
    assert words == set(caption_words(**{"color": False, **settings}))


def test_the_vocabulary_names_what_the_data_names():
    assert (text.COLORS, text.DIRECTIONS) == (moving.COLORS, moving.DIRECTIONS)
    assert (*map(str, range(10)), *moving.WRITTEN) == text.NUMBERS


def test_a_caption_becomes_the_places_of_its_words_and_short_ones_are_padded_with_0():
    ids = tokenize(["A red 3 moves left, fast.", "a slow blue two goes up"], WORDS, 8)
    assert ids.shape == (2, 6) and ids.dtype == torch.int64
    assert [WORDS[i - 1] for i in ids[0]] == ["a", "red", "3", "moves", "left", "fast"]
    assert tokenize(["a 3"], WORDS, 8).shape == (1, 2) and len(set(WORDS)) == len(WORDS)
    assert tokenize(["red", "a 3 goes"], WORDS, 8)[0].tolist() == [1 + WORDS.index("red"), 0, 0]


@pytest.mark.parametrize(
    ("captions", "says"),
    [
        (["a rad 3"], 'no word "rad" in the vocabulary; did you mean "red"? It has: a 0 1'),
        (["a zzz 3"], 'no word "zzz" in the vocabulary. It has: a 0 1'),
        (["a 3", ", ."], "caption=', .' has no word. The vocabulary: a 0 1"),
        ([""], "caption='' has no word"),
        (["a a a a a a a a a"], 'caption="a a a a a a a a a" has 9 words; give 8 at most'),
        ("a red 3", "caption='a red 3': give a list of strings"),
        ([3], "caption=[3]: give a list of strings"),
    ],
)
def test_a_caption_that_cannot_be_read_says_why(captions, says):
    with pytest.raises(ArgumentError, match=re.escape(says)):
        tokenize(captions, WORDS, 8)


def encoder() -> TextEncoder:
    torch.manual_seed(0)
    made = TextEncoder(len(WORDS), 8, dim=12, heads=2, layers=2).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def test_padding_changes_no_word_whatever_is_written_there():
    read, ids = encoder(), tokenize(["a red 3 moves left, fast", "a blue 7"], WORDS, 8)
    words = read(ids)
    assert words.shape == (2, 6, 12)
    assert torch.allclose(read(ids[1:, :3]), words[1:, :3], atol=1e-5)
    with torch.no_grad():
        read.embedding.weight[0] = 7.0
    assert torch.allclose(read(ids)[1, :3], words[1, :3], atol=1e-5)
    assert not torch.allclose(read(ids)[1, 3:], words[1, 3:], atol=1e-2)


def test_a_word_is_read_with_all_others_and_with_its_place():
    read, ids = encoder(), tokenize(["a red 3 moves left", "a red 3 moves right", "red a 3 moves left"], WORDS, 8)
    words = read(ids)
    assert (words[0, :4] - words[1, :4]).abs().amax(1).min() > 1e-2  # the first word has seen the last
    assert not torch.allclose(words[0, 2], words[2, 2], atol=1e-2)


def test_a_score_loses_two_to_the_minus_head_for_each_word_of_distance():
    ids = tokenize(["a red 3 moves left, fast", "a blue 7"], WORDS, 8)
    near = TextEncoder(len(WORDS), 8, dim=12, heads=2, layers=1, near=True).eval()
    attention, looks = near.blocks[0].attention, []
    with torch.no_grad():  # all words alike: a score is what its distance takes
        attention.project.weight[:24].zero_()
        attention.project.bias[:24].zero_()
    attention.register_forward_hook(lambda module, given, out: looks.append((given, out)))
    near(ids)
    (x, _, mask), _ = looks[0]
    weights = torch.softmax(mask, dim=-1)  # (B, heads, N, N)
    distance = (torch.arange(6)[:, None] - torch.arange(6)).abs()
    for head in (0, 1):
        expected = torch.exp(-distance / 2**head)
        assert torch.allclose(weights[0, head], expected / expected.sum(1, keepdim=True), atol=1e-6)
        short = expected[:3, :3] / expected[:3, :3].sum(1, keepdim=True)
        assert torch.allclose(weights[1, head, :3, :3], short, atol=1e-6) and not weights[1, head, :, 3:].any()
    value = torch.nn.functional.linear(x, attention.project.weight[24:], attention.project.bias[24:])
    heads = value.unflatten(2, (2, 6)).movedim(2, 1)
    seen = attention.out((weights @ heads).movedim(1, 2).flatten(2))
    assert torch.allclose(looks[0][1], seen, atol=1e-5)


def test_an_untrained_encoder_that_looks_near_knows_whose_word_it_is():
    words = caption_words(digits=2)
    captions = [f"a {color} 3 moves left, fast and a blue 7 moves up, slowly" for color in ("red", "green")]
    ids, share = tokenize(captions, words, 16), {}
    for near in (True, False):
        torch.manual_seed(0)
        red, green = TextEncoder(len(words), 16, 48, 4, 1, near=near)(ids)
        own, other = (red - green)[4].norm(), (red - green)[11].norm()  # "left" of that 3, "up" of the other digit
        share[near] = (own / other).item()
    assert share[True] > 3 and 0.7 < share[False] < 1.5


def test_reading_near_words_changes_no_parameter_and_no_padding():
    near, far = (TextEncoder(len(WORDS), 8, 12, 2, 2, near=near).eval() for near in (True, False))
    near.load_state_dict(far.state_dict())
    ids = tokenize(["a red 3 moves left, fast", "a blue 7"], WORDS, 8)
    assert torch.allclose(near(ids)[1, :3], near(ids[1:, :3])[0], atol=1e-5)
    assert not torch.allclose(near(ids), far(ids), atol=1e-3)


def test_a_masked_mean_is_the_mean_of_what_is_there():
    x, mask = torch.randn(2, 4, 3, generator=rng()), torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]]).bool()
    assert torch.allclose(masked_mean(x, mask), torch.stack([(x[0, 0] + x[0, 2]) / 2, x[1, 3]]), atol=1e-6)


def test_the_encoder_starts_with_a_padding_that_says_nothing():
    assert not TextEncoder(5, 4, 6, 2, 1).embedding.weight[0].any()
