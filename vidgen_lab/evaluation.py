"""What can be measured of a model, beside real data under the same protocol.

`evaluate(model)` picks the metrics by what the model makes: points, images, clips, or labels. `ladder()` measures clips
that were spoilt on purpose, and so says what a FVD-digits is worth.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from vidgen_lab import data, metrics, zoo
from vidgen_lab.core import ArgumentError, Batch, DataConfig, Model
from vidgen_lab.metrics import Measurement
from vidgen_lab.metrics.pixels import check_clips
from vidgen_lab.models.clip_mini import recall
from vidgen_lab.models.digits3d import HEADS

FEWEST = 100
CHUNK = 100  # clips drawn or read at a time
GUIDANCE = 2.0  # with which a model that can be guided by captions is measured a second time


def evaluate(model: Model, n: int | None = None, seed: int = 0) -> list[Measurement]:
    """Measures a model's samples, or a classifier's answers.

    points: modes covered. image: IS-digits, FID-digits, classes hit. video: FVD-digits, what was asked for, content and
    motion, diversity. labels: accuracy on held-out data. codes: how well a tokenizer reconstructs held-out data, and
    how much of its codebook that takes. embedding: how often a held-out clip and its caption find each other among 100,
    and the cosine of the two. Each `reference` is what real data score in the place of the samples: held-out
    data, and for FID-digits, whose other set they are, training digits.

    A model that takes captions is asked for those of held-out clips, with guidance too where it can be guided, and, if
    its training left pairs out, for those of left-out pairs too. One that also takes an image is asked to keep it; the
    reference is what its tokenizer keeps.

    Args:
        n: samples; None: 2,000 clips, 200 clips for a tokenizer to reconstruct, or 1,000 of anything else.
        seed: of the samples.

    Raises:
        ArgumentError: too few samples, samples with NaN or outside [-1, 1], or nothing here measures this model.
    """
    if n is None:
        usual = {"video": 2000, "codes": 200 if len(getattr(model, "code_shape", ())) == 3 else 1000}
        n = usual.get(model.output, 1000)
    if n < FEWEST:
        raise ArgumentError(
            f"n={n}: too few samples for a score that means something. Use {FEWEST} or more; pages use 1,000."
        )
    measures: dict[str, Callable[[Model, int, int], list[Measurement]]] = {
        "points": _points,
        "image": _images,
        "video": _clips,
        "labels": _labels,
        "codes": _codes,
        "embedding": _embeddings,
    }
    if model.output not in measures:
        raise ArgumentError(f"evaluate measures {', '.join(measures)}; {model.name} makes {model.output}.")
    return measures[model.output](model, n, seed)


def ladder(n: int = 2000, seed: int = 0, **settings: Any) -> list[Measurement]:
    """FVD-digits of each rung of `metrics.ladder`, first the floor, which is the `reference` of all.

    Args:
        n: clips a rung, and in the reference.
        seed: other seed, other clips.
        settings: of `MovingDigits`: size, frames, color, subpixel.
    """
    settings = {"size": 32, "frames": 16, "color": False, **settings}
    clip_features, protocol = _clip_reader()
    real = clip_features(metrics.ladder.reference(n, seed, **settings))
    protocol |= {"seed": seed, **settings}
    measured: list[Measurement] = []
    for name, clips in metrics.ladder.rungs(n, seed, **settings):
        distance = metrics.frechet_distance(real, clip_features(clips), protocol, name)
        floor = measured[0].reference if measured else distance.value
        measured.append(replace(distance, reference=floor))
    return measured


def _points(model: Model, n: int, seed: int) -> list[Measurement]:
    real = data.Ring("test")
    radius = 4 * real.std
    protocol = {"samples": n, "seed": seed, "data": "ring", "radius": radius, "share": 0.02}
    samples = model.sample(n, generator=torch.Generator().manual_seed(seed)).cpu()
    points = real.__getitems__(list(range(n)))["points"]
    covered, near = metrics.modes_covered(samples, real.centers, radius)
    real_covered, real_near = metrics.modes_covered(points, real.centers, radius)
    return [
        Measurement("modes covered", covered, protocol, real_covered),
        Measurement("share near a mode", near, protocol, real_near),
    ]


def _images(model: Model, n: int, seed: int) -> list[Measurement]:
    _needs_digits(model, "digits", "mnist")
    judge = zoo.load_pretrained("digits-2d")
    size = judge.config.size
    samples, _ = draw_samples(model, n, seed)
    check_clips("samples", samples.unsqueeze(2))
    samples = _grey(samples, size)
    held_out, train = data.Digits("test", size), data.Digits("train", size)
    real = _all(held_out, min(n, len(held_out)))
    protocol = {
        "seed": seed,
        "network": "digits-2d",
        "network_sha256": zoo.shipped_hash("digits-2d"),
        "size": size,
        "real": "held-out digits",
    }
    logits, real_logits = judge.logits(samples), judge.logits(real)
    reference = judge.features(_all(held_out, len(held_out)))
    floor = judge.features(_all(train, min(n, len(train))))  # real digits, in the place of samples

    def score(of: Tensor) -> Measurement:
        return metrics.inception_score(of, protocol, name="IS-digits")

    def distance(features: Tensor) -> Measurement:
        return metrics.frechet_distance(reference, features, protocol, "FID-digits")

    def classes(of: Tensor) -> float:
        return float((metrics.class_shares(of) > 0.03).sum())

    return [
        replace(score(logits), reference=score(real_logits).value),
        replace(distance(judge.features(samples)), reference=distance(floor).value),
        Measurement("classes above 3 %", classes(logits), {**protocol, "samples": n}, classes(real_logits)),
    ]


def _clips(model: Model, n: int, seed: int) -> list[Measurement]:
    _needs_digits(model, "moving-digits")
    clip_features, protocol = _clip_reader()
    samples, asked = draw_samples(model, n, seed)
    check_clips("samples", samples)
    settings = _settings(model, samples)
    protocol |= {"seed": seed, **settings}
    real = metrics.ladder.reference(n, seed, **settings)
    others = metrics.ladder.reference(n, seed + 1, **settings)
    features, real_features, other_features = (clip_features(clips) for clips in (samples, real, others))

    def distances(of: Tensor) -> list[Measurement]:
        found = [metrics.frechet_distance(real_features, of, protocol, "FVD-digits")]
        if n >= 8 * of.shape[1]:
            found.append(metrics.frechet_infinity(real_features, of, protocol, name="FVD-digits, N to infinity"))
        return found

    def looks(clips: Tensor) -> list[Measurement]:
        stated = {"seed": seed, **settings}
        pair = metrics.content_and_motion(clips, protocol=stated)
        return [*pair, metrics.diversity(clips[:100], protocol=stated)]

    pairs = zip([*distances(features), *looks(samples)], [*distances(other_features), *looks(others)], strict=True)
    measured = [replace(mine, reference=theirs.value) for mine, theirs in pairs]
    if set(asked) & set(HEADS):
        measured += _as_asked(samples, asked, protocol, settings, seed)
    if "caption" in asked:
        measured += _captions_kept(model, max(FEWEST, n // 4), protocol, settings, seed)
        if "image" in model.conditions:
            measured.append(_image_kept(model, max(FEWEST, n // 4), seed))
    return measured


def _captions_kept(
    model: Model, n: int, protocol: dict[str, Any], settings: dict[str, Any], seed: int
) -> list[Measurement]:
    """Attribute accuracy of what `_clips` has not asked for: with guidance, and of pairs that training left out."""
    kinds: list[tuple[str, dict[str, Any]]] = [("", settings)]
    manners: list[tuple[str, dict[str, float]]] = [("", {})]
    if settings.get("pairs") == "seen":
        kinds.append((", unseen pairs", {**settings, "pairs": "unseen"}))
    if "guidance" in model.sampling_options():
        manners.append((", guided", {"guidance": GUIDANCE}))
    measured = []
    for (pairs, kind), (manner, options) in list(product(kinds, manners))[1:]:
        samples, asked = draw_samples(model, n, seed, kind.get("pairs"), **options)
        found = _as_asked(samples, asked, {**protocol, **kind, **options}, kind, seed)
        measured += [replace(each, name=each.name + pairs + manner) for each in found]
    return measured


def _image_kept(model: Model, n: int, seed: int) -> Measurement:
    """PSNR of the first frame that is drawn to the image that was given; reference: the tokenizer's own of it."""
    held_out = _held_out(model, n, seed + 1)
    images = held_out["video"][:, :, 0]
    asked = {"caption": held_out["caption"], "image": images}
    first = _drawn(model, n, asked, torch.Generator().manual_seed(seed), keep_given=False)[:, :, :1]
    parts = [
        model.tokenizer.reconstruct(part)[:, :, :1].cpu() for part in held_out["video"].to(model.device).split(CHUNK)
    ]
    protocol = {"data": "moving-digits", "split": "test", "seed": seed}
    kept, coded = (metrics.psnr(frames, images.unsqueeze(2), protocol) for frames in (first, torch.cat(parts)))
    return replace(kept, name="PSNR of the given image", reference=coded.value)


def _as_asked(
    samples: Tensor, asked: Mapping[str, Any], protocol: dict[str, Any], settings: dict[str, Any], seed: int
) -> list[Measurement]:
    """Attribute accuracy; the reference is what the reader scores on as many real clips."""
    held_out = data.MovingDigits("test", seed=seed, **settings)
    batches = [held_out.__getitems__(rows.tolist()) for rows in torch.arange(len(samples)).split(CHUNK)]
    real = torch.cat([batch["video"] for batch in batches])
    labels = {name: torch.cat([batch[name] for batch in batches]) for name in asked if name in HEADS}
    mine = metrics.attribute_accuracy(_clip_logits(samples), asked, protocol)
    theirs = metrics.attribute_accuracy(_clip_logits(real), labels, protocol)
    return [replace(a, reference=b.value) for a, b in zip(mine, theirs, strict=True)]


def _labels(model: Model, n: int, seed: int) -> list[Measurement]:
    """Share of right answers on held-out data: on every digit image, or of each head on n clips of moving digits."""
    if model.recipe is not None and model.recipe.data.kind == "moving-digits":
        clips = model.recipe.data
        held_out, key = data.build(clips, "test"), "video"
        protocol = {"clips": n, "frames": clips.frames, "size": clips.size, "split": "test"}
    else:
        held_out, key = data.Digits("test", model.config.size), "image"
        n = len(held_out)
        protocol = {"images": n, "split": "test"}
    right: Counter[str] = Counter()
    for rows in torch.arange(n).split(500):
        batch = held_out.__getitems__(rows.tolist())
        logits = model.logits(batch[key])
        heads = logits if isinstance(logits, dict) else {"digit": logits}
        right.update({name: int((given.argmax(1) == batch[name]).sum()) for name, given in heads.items()})
    title = "{} accuracy" if len(right) > 1 else "accuracy"
    return [Measurement(title.format(name), count / n, protocol) for name, count in right.items()]


def _codes(model: Model, n: int, seed: int) -> list[Measurement]:
    """Held-out data through a tokenizer and back; clips are as long as what it draws from its own box of codes."""
    if model.recipe is None:
        raise ArgumentError(f"{model.name} has no recipe, so nothing says which held-out data to reconstruct.")
    of_clips = len(model.code_shape) == 3
    empty = model.decode(torch.zeros(1, *model.code_shape, dtype=torch.long, device=model.device))
    frames = empty.shape[2] if of_clips else 1
    config = replace(model.recipe.data, frames=frames)
    held_out = data.build(config, "test", seed)
    rows = torch.arange(min(n, len(held_out))).split(CHUNK)
    batches = [held_out.__getitems__(part.tolist())["video" if of_clips else "image"] for part in rows]
    codes = torch.cat([model.encode(batch.to(model.device)).cpu() for batch in batches])
    back = torch.cat([model.decode(part.to(model.device)).cpu() for part in codes.split(CHUNK)])
    real = torch.cat(batches)
    if not of_clips:
        real, back = real.unsqueeze(2), back.unsqueeze(2)  # a clip of one frame
    protocol = {"data": config.kind, "split": "test", "seed": seed}
    bits = math.prod(model.code_shape) * math.log2(model.num_codes) / frames
    grid = "x".join(map(str, model.code_shape))
    return [
        metrics.psnr(back, real, protocol),
        metrics.ssim(back, real, protocol),
        metrics.code_usage(codes, model.num_codes, protocol),
        metrics.code_perplexity(codes, model.num_codes, protocol),
        Measurement("bits per frame", bits, {**protocol, "codebook": model.num_codes, "grid": grid}),
    ]


def _embeddings(model: Model, n: int, seed: int) -> list[Measurement]:
    """Retrieval in groups of 100 held-out clips with their captions: is the nearest one its own?"""
    n -= n % CHUNK
    found: dict[str, list[float]] = {"caption": [], "clip": [], "own": [], "other": []}
    for first in range(0, n, CHUNK):
        batch = _held_out(model, CHUNK, seed, first=first)
        cosines = model.embed_clips(batch["video"].to(model.device)) @ model.embed_captions(batch["caption"]).T
        found["caption"].append(recall(cosines))
        found["clip"].append(recall(cosines.T))
        found["own"].append(cosines.diagonal().mean().item())
        found["other"].append((cosines.sum() - cosines.trace()).item() / (CHUNK * (CHUNK - 1)))
    mean = {name: sum(values) / len(values) for name, values in found.items()}
    protocol = {"clips": n, "candidates": CHUNK, "split": "test", "seed": seed}
    return [
        Measurement("caption of a clip found, R@1 of 100", mean["caption"], protocol),
        Measurement("clip of a caption found, R@1 of 100", mean["clip"], protocol),
        Measurement("cosine of a clip and its caption", mean["own"], protocol),
        Measurement("cosine of a clip and another's caption", mean["other"], protocol),
    ]


def draw_samples(model: Model, n: int, seed: int, pairs: str | None = None, **options: Any) -> tuple[Tensor, Batch]:
    """n samples on the CPU, drawn a chunk at a time, and the condition that they were drawn with ({} for none).

    A model that takes captions is asked for those of held-out clips, whose labels stand beside them; `pairs`: of
    `MovingDigits`, None: as in training. options: of `sample`.
    """
    generator = torch.Generator().manual_seed(seed)
    if "caption" in model.conditions:
        asked = _held_out(model, n, seed + 1, pairs)
        del asked["video"]
        return _drawn(model, n, {"caption": asked["caption"]}, generator, **options), asked
    condition = dict(model.example_condition(n, generator) or {})
    return _drawn(model, n, condition, generator, **options), condition


def _drawn(model: Model, n: int, condition: Batch, generator: torch.Generator, **options: Any) -> Tensor:
    parts = []
    for rows in torch.arange(n).split(CHUNK):
        first, last = int(rows[0]), int(rows[-1]) + 1
        part = {key: value[first:last] for key, value in condition.items()}
        parts.append(model.sample(len(rows), condition=part or None, generator=generator, **options).cpu())
    return torch.cat(parts)


def _held_out(model: Model, n: int, seed: int, pairs: str | None = None, first: int = 0) -> dict[str, Any]:
    """n held-out clips of the kind that a captioned model was trained on, with captions and labels."""
    if model.recipe is None:
        raise ArgumentError(f"{model.name} has no recipe, so nothing says which held-out captions to ask for.")
    config = model.recipe.data
    held_out = data.build(replace(config, pairs=pairs or config.pairs), "test", seed)
    return held_out.__getitems__(list(range(first, first + n)))


def _needs_digits(model: Model, *kinds: str) -> None:
    """A network that was taught digits says nothing of other pictures."""
    if model.recipe is not None and model.recipe.data.kind not in kinds:
        raise ArgumentError(
            f"{model.name} was trained on data of the kind {model.recipe.data.kind}; these metrics read "
            f"{' and '.join(kinds)} only. vidgen_lab.metrics.published has protocols for natural films."
        )


def _clip_reader() -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    """Features of clips, and what a protocol says of the network that gives them."""
    reader = zoo.load_pretrained("digits-3d")
    protocol = {"network": "digits-3d", "network_sha256": zoo.shipped_hash("digits-3d")}
    return lambda clips: torch.cat([reader.features(part) for part in clips.split(CHUNK)]), protocol


def _clip_logits(clips: Tensor) -> dict[str, Tensor]:
    reader = zoo.load_pretrained("digits-3d")
    parts = [reader.logits(part) for part in clips.split(CHUNK)]
    return {name: torch.cat([part[name] for part in parts]) for name in HEADS}


def _settings(model: Model, clips: Tensor) -> dict[str, Any]:
    """What `MovingDigits` needs to draw real clips of the same shape and kind."""
    _, channels, frames, height, _ = clips.shape
    config = DataConfig("moving-digits") if model.recipe is None else model.recipe.data
    more = {"digits": config.digits, "subpixel": config.subpixel, "turn": config.turn}
    if config.pairs != "all":
        more["pairs"] = config.pairs
    return {"size": height, "frames": frames, "color": channels == 3, **more}


def _all(images: data.Digits, n: int) -> Tensor:
    return images.__getitems__(list(range(n)))["image"]


def _grey(images: Tensor, size: int) -> Tensor:
    """Images as digits-2d reads them: one channel, `size` pixels a side.

    A 32-pixel digit is a 28-pixel one with two black pixels on each side (`data.digits.resize`): they are taken off
    again, for digits-2d reads shrunken digits badly.
    """
    if images.shape[1] != 1:
        raise ArgumentError(f"IS-digits measures grey digits; these images have {images.shape[1]} channels.")
    if images.shape[-1] == size:
        return images
    if (images.shape[-1], size) == (32, 28):
        return images[:, :, 2:-2, 2:-2]
    return torch.nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
