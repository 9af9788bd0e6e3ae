"""Captions as words of a closed vocabulary, and a transformer that reads them.

    symbol   name    shape      meaning
    w        ids     (B, N)     the words of each caption, 1 to the size of the vocabulary; 0 is padding
    h        words   (B, N, D)  what the encoder says of each word, having seen the others

The words are those of MovingDigits' captions. A caption is read in small letters, without commas and full stops.
"""

import difflib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.transformer import INIT_STD, Block

NUMBERS = (*"0123456789", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLORS = ("red", "green", "blue", "yellow", "magenta", "cyan")
DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")


def caption_words(digits: int = 1, color: bool = True, turn: bool = False) -> tuple[str, ...]:
    """The words of the captions of one or two digits, in colour or grey, that turn or do not, with paraphrases."""
    manner = ("slowly", "fast", "slow", "quickly")
    words = ("a", *(() if color else ("an",)), *NUMBERS, "moves", "goes", "flies", *DIRECTIONS, *manner)
    return (*words, *(COLORS if color else ()), *(("then", "turns") if turn else ()), *(("and",) if digits > 1 else ()))


def split_words(caption: str) -> list[str]:
    """The words of a caption."""
    return caption.lower().replace(",", " ").replace(".", " ").split()


def tokenize(captions: Sequence[str], vocabulary: Sequence[str], longest: int) -> Tensor:
    """Captions to ids `(B, N)` int64, N the words of the longest of them; 0 where a caption has ended.

    Args:
        vocabulary: the words that are known, in the order of their ids.
        longest: words that a caption may have.

    Raises:
        ArgumentError: not a list of strings, an empty caption, one that is too long, or an unknown word.
    """
    if isinstance(captions, str) or not all(isinstance(caption, str) for caption in captions):
        raise ArgumentError(
            f'caption={captions!r}: give a list of strings, one a clip, for instance ["a 3 moves left"].'
        )
    known = {word: place for place, word in enumerate(vocabulary, 1)}
    rows = []
    for caption in captions:
        words = split_words(caption)
        if not words:
            raise ArgumentError(f"caption={caption!r} has no word. The vocabulary: {' '.join(vocabulary)}.")
        if len(words) > longest:
            raise ArgumentError(f'caption="{caption}" has {len(words)} words; give {longest} at most.')
        for word in words:
            if word not in known:
                near = difflib.get_close_matches(word, vocabulary, n=1, cutoff=0.5)
                hint = f'; did you mean "{near[0]}"?' if near else "."
                raise ArgumentError(
                    f'caption="{caption}": no word "{word}" in the vocabulary{hint} It has: {" ".join(vocabulary)}.'
                )
        rows.append(torch.tensor([known[word] for word in words]))
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


class TextEncoder(nn.Module):
    """Words to vectors that have seen one another: ids `(B, N)`, 0 is padding, to `(B, N, D)`.

    Args:
        num_words: size of the vocabulary.
        longest: words that a caption may have.
        dim, heads, layers: of the transformer.
        near: whether a word looks most at those next to it: head h takes 2^-h, h = 0, 1, ..., for each word of distance
            from its scores [press2022alibi]. So from the first step on a word knows whose it is.
    """

    def __init__(self, num_words: int, longest: int, dim: int, heads: int, layers: int, near: bool = False) -> None:
        super().__init__()
        self.heads, self.near = heads, near
        self.embedding = nn.Embedding(num_words + 1, dim, padding_idx=0)
        self.positions = nn.Parameter(INIT_STD * torch.randn(longest, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, causal=False) for _ in range(layers))
        self.norm, self.norm_own = nn.LayerNorm(dim), nn.LayerNorm(dim)
        nn.init.normal_(self.embedding.weight[1:], std=INIT_STD)

    def forward(self, ids: Tensor) -> Tensor:
        x, words = self.embedding(ids) + self.positions[: ids.shape[1]], ids > 0
        own = self.norm_own(x)  # a word by itself: beside large steps of the blocks it would be lost
        mask = words[:, None, None]  # (B, 1, 1, N): no place looks at padding
        if self.near:
            places = torch.arange(ids.shape[1], device=ids.device)
            slopes = 0.5 ** torch.arange(self.heads, device=ids.device)
            far = slopes[:, None, None] * (places[:, None] - places).abs()  # (heads, N, N)
            mask = (-far).masked_fill(~mask, -torch.inf)  # eq. (fusion-near)
        for block in self.blocks:
            x = block(x, mask=mask)
        return own + self.norm(x)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """`(B, N, D)` and `(B, N)` to `(B, D)`: the mean over the places where the mask is True, one or more."""
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
