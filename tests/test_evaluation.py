"""What evaluate says of models whose quality is known beforehand."""

from dataclasses import dataclass

import pytest
import torch

from vidgen_lab import zoo
from vidgen_lab.core import ArgumentError, DataConfig, Model, Recipe
from vidgen_lab.data import Digits, MovingDigits
from vidgen_lab.evaluation import draw_samples, evaluate


@dataclass(frozen=True)
class Nothing:
    pass


class Copyist(Model):
    """Hands out training clips; a lazy one has only five; asked for labels, it shows clips with those labels."""

    name, output, conditions = "copyist", "video", ("digit", "direction")

    def __init__(self, recipe=None, lazy=False, asked=False, wrong=False, **settings):
        super().__init__(Nothing(), recipe)
        self.data = MovingDigits(seed=5, **{"frames": 8, **settings})
        self.lazy, self.asked, self.wrong = lazy, asked, wrong
        self.nothing = torch.nn.Linear(1, 1)  # a model has parameters, and they have a device

    def example_condition(self, n, generator=None):
        labels = self.data.__getitems__(list(range(n)))
        return {key: labels[key] for key in self.conditions} if self.asked else None

    def _sample(self, n, frames, condition, generator):
        if condition:
            pool = self.data.__getitems__(list(range(4000)))
            rows = [
                ((pool["digit"] == digit) & (pool["direction"] == direction)).nonzero()[0, 0]
                for digit, direction in zip(condition["digit"], condition["direction"], strict=True)
            ]
            return pool["video"][torch.stack(rows).roll(int(self.wrong))]
        start = int(torch.randint(50_000, (), generator=generator))
        return self.data.__getitems__([k % 5 for k in range(n)] if self.lazy else list(range(start, start + n)))[
            "video"
        ]


class Fading(torch.nn.Linear):
    """A tokenizer that loses a tenth of all contrast."""

    def __init__(self):
        super().__init__(1, 1)

    def reconstruct(self, clips):
        return 0.9 * clips


class Narrator(Model):
    """Hands out a held-out clip of each caption, a deaf one that of the next unless it is guided.

    An image it keeps as well as told.
    """

    name, output, conditions = "narrator", "video", ("caption", "image")

    def __init__(self, deaf=False, keeps=0.9, pairs="seen"):
        kind = {"kind": "moving-digits", "size": 32, "frames": 8, "color": True, "pairs": pairs}
        super().__init__(Nothing(), Recipe(DataConfig(**kind)))
        self.data, labels = (
            MovingDigits("test", size=size, frames=frames, color=True, seed=7) for size, frames in ((32, 8), (16, 1))
        )
        self.rows = {caption: row for row, caption in enumerate(labels.__getitems__(list(range(9000)))["caption"])}
        self.deaf, self.keeps, self.tokenizer, self.heard = deaf, keeps, Fading(), []

    def _sample(self, n, frames, condition, generator, *, keep_given=True, guidance=1.0):
        self.heard.append((dict(condition), keep_given))
        clips = self.data.__getitems__([self.rows[caption] for caption in condition["caption"]])["video"]
        if "image" in condition:
            clips[:, :, 0] = condition["image"] * (1 if keep_given else self.keeps)
        return clips.roll(int(self.deaf and guidance == 1), 0)


class DigitCopyist(Model):
    """Hands out training digits of a size."""

    name, output = "digit-copyist", "image"

    def __init__(self, size):
        super().__init__(Nothing())
        self.digits, self.nothing = Digits("train", size), torch.nn.Linear(1, 1)

    def _sample(self, n, frames, condition, generator):
        return self.digits.__getitems__(list(range(n)))["image"]


def values(measured) -> dict[str, float]:
    return {item.name: item.value for item in measured}


def test_clips_that_look_real_score_near_the_floor_and_repeated_ones_do_not():
    real, lazy = evaluate(Copyist(), 400), evaluate(Copyist(lazy=True), 400)
    first = real[0]
    assert first.name == "FVD-digits" and first.value < 1.5 * first.reference
    assert lazy[0].value > 5 * first.value
    (motion,) = (item for item in real if item.name == "motion")
    assert motion.value == pytest.approx(motion.reference, rel=0.1)
    assert "FVD-digits, N to infinity" not in values(real)  # too few clips for a line


def test_the_protocol_of_clips_names_the_network_its_hash_and_the_shape():
    protocol = evaluate(Copyist(frames=9, color=True), 300, seed=2)[0].protocol
    stated = {"network": "digits-3d", "network_sha256": zoo.shipped_hash("digits-3d"), "seed": 2, "samples": 300}
    stated |= {"frames": 9, "size": 32, "color": True, "real": 300}
    assert stated.items() <= protocol.items()


def test_clips_are_judged_by_what_was_asked():
    right = values(evaluate(Copyist(asked=True), 300))
    wrong = values(evaluate(Copyist(asked=True, wrong=True), 300))
    assert right["digit as asked"] > 0.9 and right["direction as asked"] > 0.9
    assert wrong["digit as asked"] < 0.3 and wrong["all as asked"] < 0.1


def test_a_captioned_model_is_asked_for_what_held_out_clips_show_and_for_pairs_that_training_left_out():
    model = Narrator()
    right, wrong = (values(evaluate(which, 300)) for which in (model, Narrator(deaf=True)))
    for name in ("digit", "color", "direction", "speed", "all"):
        for kind in ("", ", unseen pairs"):
            assert right[f"{name} as asked{kind}"] > 0.8 and wrong[f"{name} as asked{kind}, guided"] > 0.8
    assert wrong["all as asked"] < 0.1 and wrong["all as asked, unseen pairs"] < 0.1
    shown = {kind: MovingDigits("test", frames=1, color=True, pairs=kind, seed=1) for kind in ("seen", "unseen")}
    asked = [caption for condition, _ in model.heard[:5] for caption in condition["caption"]]
    expected = [shown[kind].__getitems__(list(range(n))) for kind, n in (("seen", 300), ("seen", 100), ("unseen", 100))]
    assert asked == [caption for batch in expected for caption in batch["caption"]]
    everything = Narrator(pairs="all")
    assert not [name for name in values(evaluate(everything, 300)) if "unseen" in name]


def test_a_model_that_takes_an_image_is_measured_by_how_well_it_keeps_it_beside_what_its_tokenizer_keeps():
    for keeps in (0.9, 0.5):
        model = Narrator(keeps=keeps)
        (kept,) = (item for item in evaluate(model, 300) if item.name == "PSNR of the given image")
        condition, put_back = model.heard[-1]
        assert set(condition) == {"caption", "image"} and not put_back
        assert kept.reference == pytest.approx(26.2, abs=0.3)  # a tenth of 1, of a range of 2
        assert (kept.value == pytest.approx(kept.reference, abs=0.1)) == (keeps == 0.9)


class Matcher(Model):
    """Its vectors say which caption a clip has; a blind one confuses the clips."""

    name, output = "matcher", "embedding"

    def __init__(self, blind=False):
        super().__init__(Nothing(), Recipe(DataConfig(kind="moving-digits", size=16, frames=8, color=True)))
        self.blind, self.nothing = blind, torch.nn.Linear(1, 1)
        self.captions = {}

    def embed_captions(self, captions):
        places = [self.captions.setdefault(caption, len(self.captions)) for caption in captions]
        return torch.nn.functional.one_hot(torch.tensor(places), 1000).float()

    def embed_clips(self, clips):
        rows = MovingDigits("test", size=16, frames=8, color=True).__getitems__(list(range(200)))
        places = [int((rows["video"] == clip).flatten(1).all(1).nonzero()[0]) for clip in clips]
        return self.embed_captions([rows["caption"][place] for place in places]).roll(int(self.blind), 0)


def test_a_model_of_clips_and_captions_is_measured_by_whether_each_finds_the_other_among_a_hundred():
    right, blind = (values(evaluate(Matcher(blind), 200)) for blind in (False, True))
    captions = MovingDigits("test", size=16, frames=8, color=True).__getitems__(list(range(200)))["caption"]
    best = (len(set(captions[:100])) + len(set(captions[100:]))) / 200  # among equal captions chance decides
    assert 0.8 < best < 1
    for what in ("caption of a clip", "clip of a caption"):
        assert right[f"{what} found, R@1 of 100"] == pytest.approx(best)
        assert blind[f"{what} found, R@1 of 100"] < 0.1
    assert right["cosine of a clip and its caption"] == 1 and right["cosine of a clip and another's caption"] < 0.1
    (first, *_) = evaluate(Matcher(), 250)
    assert {"clips": 200, "candidates": 100, "split": "test", "seed": 0}.items() <= first.protocol.items()


def test_fid_of_a_generator_is_far_above_that_of_real_digits():
    measured = {item.name: item for item in evaluate(zoo.load_pretrained("gan"), 300)}
    distance = measured["FID-digits"]
    assert distance.value > 2 * distance.reference > 0
    assert distance.protocol["real"] == len(Digits("test")) and distance.protocol["features"] == 64
    assert measured["IS-digits"].value < measured["IS-digits"].reference


def test_samples_drawn_in_parts_are_all_different_and_repeat_with_the_seed():
    model = Copyist()
    samples, condition = draw_samples(model, 150, 0)
    assert samples.shape == (150, 1, 8, 32, 32) and condition == {}
    assert torch.equal(samples, draw_samples(model, 150, 0)[0])
    assert not torch.equal(samples[:50], samples[100:])


def test_a_model_of_other_pictures_is_not_measured_with_digits():
    with pytest.raises(ArgumentError, match="trained on data of the kind films; these metrics read moving-digits only"):
        evaluate(Copyist(Recipe(DataConfig("films"))), 200)
    with pytest.raises(ArgumentError, match="n=50: too few"):
        evaluate(Copyist(), 50)
    with pytest.raises(ArgumentError, match="n=0: too few"):
        evaluate(Copyist(), 0)


@pytest.mark.parametrize("value,message", [(float("nan"), "samples holds NaN"), (1.5, r"samples runs from .* to 1.5")])
def test_samples_with_nan_or_outside_the_range_are_refused(value, message):
    model = zoo.load_pretrained("gan")
    model.generator.squash = torch.nn.Hardtanh(-1, value) if value == 1.5 else torch.nn.Threshold(9, value)
    with torch.no_grad():
        model.generator.layers[-1].bias += 3
    with pytest.raises(ArgumentError, match=message):
        evaluate(model, 100)


def test_too_few_clips_for_the_features_are_refused():
    with pytest.raises(ArgumentError, match="rows of 128 features; this score needs 256"):
        evaluate(Copyist(), 200)


def test_evaluate_measures_each_head_of_a_clip_reader_on_held_out_clips():
    model = zoo.create_model("digits-3d", widths=(4,))
    measured = evaluate(model, 120)
    assert [item.name for item in measured] == [f"{head} accuracy" for head in ("digit", "color", "direction", "speed")]
    assert measured[0].protocol == {"clips": 120, "frames": 16, "size": 32, "split": "test"}
    batch = MovingDigits("test", color=True).__getitems__(list(range(120)))
    for item, (name, logits) in zip(measured, model.logits(batch["video"]).items(), strict=True):
        assert item.value == pytest.approx((logits.argmax(1) == batch[name]).float().mean().item())


def test_a_digit_scores_the_same_with_and_without_its_black_frame():
    plain, framed = (values(evaluate(DigitCopyist(size), 200)) for size in (28, 32))
    assert plain == framed


def scores_of_a_tokenizer(preset: str) -> tuple[Model, dict[str, float]]:
    model = zoo.create_model("vqvae", preset, widths=(8, 8), num_codes=16)
    return model, {item.name: item.value for item in evaluate(model, n=100)}


def test_a_tokenizer_is_measured_by_what_comes_back_of_held_out_digits_and_by_its_codes():
    model, scores = scores_of_a_tokenizer("image")
    real = Digits("test", 32).__getitems__(list(range(100)))["image"]
    error = (model.reconstruct(real) - real).square().flatten(1).mean(1)
    assert scores["PSNR"] == pytest.approx((10 * torch.log10(4 / error)).mean().item(), abs=1e-3)
    codes = model.encode(real)
    assert scores["code usage"] == len(codes.unique()) / 16
    assert scores["bits per frame"] == 4 * 4 * 4 and 0 < scores["SSIM"] < 1


@pytest.mark.parametrize(
    ("name", "changes", "frames", "bits"),
    [
        ("vqvae", {"widths": (8, 8), "clip_frames": 3}, 3, 4 * 4 * 4),
        ("videogpt-tokenizer", {"width": 4, "frames": 8, "downsample": (4, 2, 2)}, 8, 2 * 8 * 8 * 4 / 8),
    ],
    ids=["frame by frame", "boxes"],
)
def test_clips_of_a_tokenizer_are_as_long_as_those_it_was_trained_on(name, changes, frames, bits):
    model = zoo.create_model(name, "ci", num_codes=16, **changes)
    psnr, *_, last = evaluate(model, n=100)
    assert psnr.protocol["frames"] == frames and psnr.protocol["clips"] == 100
    assert (last.name, last.value) == ("bits per frame", bits)
