"""Graphs of the models that write clips code by code: what is told to every step, one step, and the tokenizer.

The loop over places stays outside, and so do its caches. A step takes `past`, what the steps so far gave as `fresh`,
one after the other, and gives its own. It starts with none: `past` is then empty and `code` is K, the start.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from vidgen_lab.core import ArgumentError
from vidgen_lab.export.graph import Graph, Port, picture
from vidgen_lab.models.fusion import Asked, Told
from vidgen_lab.models.videogpt import Step


class Past:
    """A cache of a graph: keys and values of one layer at all places so far, `(2, B, heads, P, d)`, P from 0 on."""

    def __init__(self, pairs: Tensor) -> None:
        self.pairs = pairs

    def extend(self, pair: Tensor) -> Tensor:
        self.pairs = torch.cat([self.pairs, pair], dim=3)
        return self.pairs

    @staticmethod
    def unpack(past: Tensor, heads: int) -> list["Past"]:
        """Of `(P, B, layers, 2, D)`, one a layer."""
        return [Past(pairs) for pairs in rearrange(past, "p b l two (h d) -> l two b h p d", h=heads).unbind(0)]

    @staticmethod
    def pack(caches: Sequence["Past"]) -> Tensor:
        """What the last step added, `(B, layers, 2, D)`."""
        return torch.stack([cache.pairs[:, :, :, -1].flatten(2) for cache in caches]).permute(2, 0, 1, 3)


def _entering(part: Any, codebook: Tensor, code: Tensor) -> Tensor:
    """What the code before says to a place, `(B, D)`; `part` is what writes codes, with its `embed` and `start`."""
    vectors = part.embed(codebook[code.clamp(max=codebook.shape[0] - 1)])
    return torch.where((code < codebook.shape[0]).unsqueeze(1), vectors, part.start)


def _tokenizer(tokenizer: Any) -> dict[str, Graph]:
    """Clips to codes, and codes of any number of moments to their frames."""
    config = tokenizer.config
    moments, rows, columns = tokenizer.code_shape
    frame = config.channels, config.size, config.size

    def decode(codes: Tensor) -> Tensor:
        return tokenizer.decode(codes)

    codes = Port(("batch", "moments", rows, columns), 0, tokenizer.num_codes - 1, whole=True)
    box = Port(("batch", moments, rows, columns), 0, tokenizer.num_codes - 1, whole=True)
    clip = picture(frame[0], config.frames, *frame[1:])
    return {
        "encoder": Graph(tokenizer.encode, {"video": clip}, {"codes": box}),
        "decoder": Graph(decode, {"codes": codes}, {"video": picture(frame[0], "frames", *frame[1:])}),
    }


def _written(tokenizer: Any, layers: int, dim: int) -> dict[str, Port]:
    """What a step is given of the place before, of all places so far and of its own: a row of `places`."""
    return {
        "code": Port(("batch",), 0, tokenizer.num_codes, whole=True),
        "past": Port(("past", "batch", layers, 2, dim)),
        "place": Port(("batch", dim)),
    }


def _drawn(tokenizer: Any, layers: int, dim: int) -> dict[str, Port]:
    return {"logits": Port(("batch", tokenizer.num_codes)), "fresh": Port(("batch", layers, 2, dim))}


def videogpt(model: Any) -> dict[str, Graph]:
    """`tell` takes labels side by side, one-hot or all 0, and the first `count` of some frames."""
    config, prior, tokenizer = model.config, model.prior, model.tokenizer
    if not (config.labels and config.prefix_frames):
        raise ArgumentError("vidgen export knows VideoGPTs with labels that go on from given frames.")
    dim, heads, layers, length = config.dim, config.heads, config.layers, prod(tokenizer.code_shape)
    codebook, sizes = tokenizer.codebook.codebook, tokenizer.config

    def tell(labels: Tensor, frames: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        given = model.prefix_encoder(frames, count)
        pairs = torch.stack(prior.remember(given)).movedim(2, 0)
        return prior.places(given).transpose(0, 1), prior.condition(labels, given), pairs

    def step(code: Tensor, past: Tensor, place: Tensor, condition: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        caches = Past.unpack(past, heads)
        logits = Step(prior, condition, pairs.movedim(0, 2).unbind(0), caches)(_entering(prior, codebook, code) + place)
        return logits, Past.pack(caches)

    told = {
        "condition": Port(("batch", config.values)),
        "pairs": Port(("batch", layers, 2, heads, prod(tokenizer.code_shape[1:]), dim // heads)),
    }
    asked = {
        "labels": Port(("batch", config.values - config.prefix_pooled), 0.0, 1.0),
        "frames": picture(sizes.channels, config.prefix_frames, sizes.size, sizes.size),
        "count": Port(("batch",), 0, config.prefix_frames, whole=True),
    }
    return {
        "tell": Graph(tell, asked, {"places": Port((length, "batch", dim)), **told}),
        "step": Graph(step, {**_written(tokenizer, layers, dim), **told}, _drawn(tokenizer, layers, dim)),
        **_tokenizer(tokenizer),
    }


def fusion(model: Any) -> dict[str, Graph]:
    """`tell` takes the words of captions, of some frames those that are given, and whether each caption is told."""
    config, decoder, tokenizer = model.config, model.decoder, model.tokenizer
    if config.fusion == "prefix" or not config.prefix_frames:
        raise ArgumentError('vidgen export knows fusion models that take frames, in all ways but "prefix".')
    dim, heads, layers, width = config.dim, config.heads, config.layers, config.condition_dim
    length, sizes, codebook = prod(tokenizer.code_shape), tokenizer.config, tokenizer.codebook.codebook
    crossed = config.fusion in ("cross", "both")

    def tell(ids: Tensor, caption: Tensor, frames: Tensor, given: Tensor) -> tuple[Tensor, ...]:
        asked = Asked(ids, (ids > 0) & (caption[:, None] > 0), frames, given > 0)
        memory, seen, patches = model.fuse(asked)
        told = decoder.tell(memory, seen, patches)
        pairs = (torch.stack(told.pairs).movedim(2, 0),) if crossed else ()
        return told.places.transpose(0, 1), told.mean, seen.long(), *pairs

    def step(
        code: Tensor, past: Tensor, place: Tensor, mean: Tensor, seen: Tensor, *pairs: Tensor
    ) -> tuple[Tensor, ...]:
        caches = Past.unpack(past, heads)
        each = list(pairs[0].movedim(0, 2).unbind(0)) if crossed else [None] * layers
        told = Told(place.unsqueeze(1), seen[:, None, None] > 0, mean, each, place.unsqueeze(1))
        return decoder.advance(caches, _entering(decoder, codebook, code), place, told), Past.pack(caches)

    memory = 2 + config.longest + prod(tokenizer.code_shape[1:])
    told = {"mean": Port(("batch", width)), "seen": Port(("batch", memory), 0, 1, whole=True)}
    if crossed:
        told["pairs"] = Port(("batch", layers, 2, heads, memory, dim // heads))
    asked = {
        "ids": Port(("batch", config.longest), 0, len(config.vocabulary), whole=True),
        "caption": Port(("batch",), 0, 1, whole=True),
        "frames": picture(sizes.channels, config.prefix_frames, sizes.size, sizes.size),
        "given": Port(("batch", config.prefix_frames), 0, 1, whole=True),
    }
    return {
        "tell": Graph(tell, asked, {"places": Port((length, "batch", dim)), **told}),
        "step": Graph(step, {**_written(tokenizer, layers, dim), **told}, _drawn(tokenizer, layers, dim)),
        **_tokenizer(tokenizer),
    }
