"""The network that reads moving digits: what it takes, what it learns, and what its training adds to clips."""

import pytest
import torch

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.data import MovingDigits
from vidgen_lab.models.digits3d import HEADS, Digits3d, Digits3dConfig
from vidgen_lab.zoo import load_model, load_pretrained

TINY = Digits3dConfig(widths=(4, 6, 8))
PLAIN = Digits3dConfig(widths=(4, 6, 8), blurred=0, noisy=0)


def clips(n: int = 6, **options) -> dict:
    return MovingDigits(**{"frames": 8, "color": True, "length": n, **options}).__getitems__(list(range(n)))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("preset", ["gpu", "cpu", "ci"])
def test_each_preset_has_128_features_and_fits_1_5_mb_in_fp16(preset):
    with torch.device("meta"):
        model = create_model("digits-3d", preset)
    assert sum(count_parameters(model).values()) == 256_163
    assert 2 * sum(tensor.numel() for tensor in model.state_dict().values()) < 1.5e6
    assert model.head.in_features == 128


@pytest.mark.parametrize("shape", [(3, 8, 32, 32), (1, 16, 32, 32), (3, 11, 64, 64), (1, 8, 20, 28)])
def test_clips_of_8_frames_or_more_of_any_size_grey_or_coloured_are_read(shape):
    model = Digits3d(TINY)
    given = torch.rand(2, *shape, generator=rng()) * 2 - 1
    assert model.features(given).shape == (2, 8)
    assert {name: tuple(logits.shape) for name, logits in model.logits(given).items()} == {
        name: (2, classes) for name, classes in HEADS.items()
    }


def test_a_grey_clip_counts_as_the_same_clip_on_three_channels():
    model, grey = Digits3d(TINY), clips(color=False)["video"]
    assert torch.equal(model.features(grey), model.features(grey.repeat(1, 3, 1, 1, 1)))


def test_a_clip_of_another_size_keeps_its_rows_channels_and_frames_apart():
    value = torch.linspace(-1, 1, 2 * 3 * 8).view(2, 3, 8, 1, 1)  # a shade of its own for each frame
    model = Digits3d(TINY)
    expected = model.features(value.expand(-1, -1, -1, 32, 32))
    for height, width in ((64, 64), (20, 28)):
        assert torch.allclose(model.features(value.expand(-1, -1, -1, height, width)), expected, atol=1e-6)


def test_rows_do_not_mix_and_time_matters():
    model, batch = Digits3d(TINY), clips()["video"]
    features = model.features(batch)
    assert torch.allclose(model.features(batch.flip(0)).flip(0), features, atol=1e-5)
    assert not torch.allclose(model.features(batch.flip(2)), features, atol=1e-4)


def test_every_parameter_gets_a_gradient():
    model = Digits3d(TINY)
    model("classifier", clips(), Draw(0)).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_it_learns_one_batch_by_heart_in_all_four_labels():
    torch.manual_seed(0)
    model, batch = Digits3d(Digits3dConfig(widths=(8, 12, 16), blurred=0, noisy=0)), clips(12)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(150):
        optimizer.zero_grad()
        model("classifier", batch, Draw(0, step)).total.backward()
        optimizer.step()
    for name, logits in model.logits(batch["video"]).items():
        assert (logits.argmax(1) == batch[name]).all(), name


def test_what_training_adds_comes_from_the_draw_alone():
    model, batch = Digits3d(TINY), clips()["video"]
    torch.manual_seed(1)
    first, *_ = model._augmented(batch, Draw(0, 3))
    torch.manual_seed(2)
    again, *_ = model._augmented(batch, Draw(0, 3))
    other, *_ = model._augmented(batch, Draw(0, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_loss_is_the_same_for_the_same_draw():
    model, batch = Digits3d(TINY), clips()
    first, again, other = (model("classifier", batch, Draw(seed)).total for seed in (0, 0, 1))
    assert first == again and first != other


def test_noise_reaches_its_share_of_clips_and_never_more_than_its_strength():
    still = torch.zeros(400, 1, 8, 8, 8).expand(-1, 3, -1, -1, -1)
    added, *_ = Digits3d(Digits3dConfig(widths=(4,), noisy=0.5, noise=0.12))._augmented(still, Draw(0))
    deviation = added.std(dim=(1, 2, 3, 4))
    assert 0.4 < (deviation > 0).float().mean() < 0.6
    assert deviation.max() < 0.125 and deviation[deviation > 0].mean() == pytest.approx(0.06, abs=0.01)


def test_blur_reaches_its_share_of_clips_and_mixes_no_frames():
    model = Digits3d(Digits3dConfig(widths=(4,), blurred=0.4, noisy=0))
    edges = (torch.arange(8) % 2 * 2.0 - 1).expand(400, 3, 8, 8, 8)
    blurred, _, strength = model._augmented(edges, Draw(0))
    assert 0.3 < (blurred != edges).flatten(1).any(1).float().mean() < 0.5
    kept = (blurred / edges)[:, 0, 0, 4, 4]  # the mean of -1, 1, -1 is a third, with the other sign
    assert strength.max() <= 1 and torch.allclose(kept, 1 - strength * 4 / 3, atol=1e-5)
    flicker = edges.transpose(2, 4)
    assert torch.allclose(model._augmented(flicker, Draw(0))[0], flicker)


def test_augmented_clips_stay_in_their_range():
    added, *_ = Digits3d(Digits3dConfig(widths=(4,), noisy=1.0, noise=2.0))._augmented(clips()["video"], Draw(0))
    assert added.min() == -1 and added.max() == 1


def test_about_a_seventh_of_the_clips_turn_grey_and_their_colour_is_not_asked():
    batch = clips(200, size=16)
    seen, white, _ = Digits3d(PLAIN)._augmented(batch["video"], Draw(0).at("classifier"))
    grey = (seen == seen[:, :1]).flatten(1).all(1)
    assert torch.equal(grey, white) and 0.08 < grey.float().mean() < 0.21
    model = Digits3d(PLAIN)
    changed = {**batch, "color": torch.where(white, (batch["color"] + 1) % 6, batch["color"])}
    assert model("classifier", changed, Draw(0)).terms["color"] == model("classifier", batch, Draw(0)).terms["color"]
    changed["color"] = (batch["color"] + 1) % 6
    assert model("classifier", changed, Draw(0)).terms["color"] != model("classifier", batch, Draw(0)).terms["color"]


def test_the_blur_is_asked_for_and_the_noise_is_not():
    model = Digits3d(Digits3dConfig(widths=(4,), blurred=1.0, noisy=1.0))
    batch = clips(40)
    clip, _, strength = model._augmented(batch["video"], Draw(0).at("classifier"))
    logit = model.head(model.encoder(clip))[:, -1]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logit, strength)
    terms = model("classifier", batch, Draw(0)).terms
    assert set(terms) == {*HEADS, "blur"} and torch.allclose(terms["blur"], expected)


def test_the_held_out_loss_sees_clean_clips():
    model, batch = Digits3d(TINY).eval(), clips()
    assert model.validation_loss(batch, Draw(0)) == model.validation_loss(batch, Draw(1))
    logits = model.logits(batch["video"])
    expected = sum(torch.nn.functional.cross_entropy(logits[name], batch[name]) for name in HEADS)
    assert torch.allclose(model.validation_loss(batch, Draw(0)), expected)


def test_a_saved_model_reads_the_same_and_fp16_nearly_the_same(tmp_path):
    model, batch = create_model("digits-3d", widths=(4, 6, 8)), clips()["video"]
    model("classifier", clips(), Draw(0))  # moves the running statistics
    expected = model.features(batch)
    write_weights(model, tmp_path / "full.safetensors")
    write_weights(model, tmp_path / "half.safetensors", half=True)
    assert torch.equal(load_model(tmp_path / "full.safetensors").features(batch), expected)
    assert torch.allclose(load_model(tmp_path / "half.safetensors").features(batch), expected, atol=5e-3)


def test_the_shipped_weights_read_held_out_clips_coloured_or_grey():
    model = load_pretrained("digits-3d")
    for color in (True, False):
        batch = MovingDigits("test", color=color, seed=1).__getitems__(list(range(300)))
        right = {
            name: (logits.argmax(1) == batch[name]).float().mean().item()
            for name, logits in model.logits(batch["video"]).items()
            if name in batch
        }
        assert right.pop("digit") > 0.93 and min(right.values()) > 0.97, right


def test_mistakes_are_named_with_their_fix():
    model = Digits3d(TINY)
    with pytest.raises(ArgumentError, match="clips of 7 frames: digits-3d reads 8 frames or more"):
        model.features(torch.zeros(2, 3, 7, 32, 32))
    with pytest.raises(ArgumentError, match=r"shape \(2, 2, 8, 32, 32\): give \(B, C, T, H, W\) with C of 1 or 3"):
        model.logits(torch.zeros(2, 2, 8, 32, 32))
    with pytest.raises(ArgumentError, match=r"shape \(2, 3, 32, 32\): give"):
        model.features(torch.zeros(2, 3, 32, 32))
    with pytest.raises(ArgumentError, match="noisy=1.5: must be from 0 to 1"):
        Digits3dConfig(noisy=1.5)
    with pytest.raises(ArgumentError, match="noise=-0.1: must be 0 or more"):
        Digits3dConfig(noise=-0.1)
    with pytest.raises(ArgumentError, match="widths=.*give the width of the stem"):
        Digits3dConfig(widths=())
