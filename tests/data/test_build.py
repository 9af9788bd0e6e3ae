from typing import get_args

import pytest
import torch
from torchvision import datasets

from vidgen_lab import data
from vidgen_lab.core.config import DataConfig, DataKind
from vidgen_lab.core.errors import ArgumentError, DataError


def test_every_kind_of_data_is_built(tmp_path, monkeypatch, write_film, write_picture):
    for source in (datasets.MNIST, datasets.FashionMNIST):
        monkeypatch.setattr(source, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(datasets.MovingMNIST, "_URL", "http://127.0.0.1:9/mnist_test_seq.npy")
    write_film(tmp_path / "films" / "a.mp4")
    for k in range(10):
        write_picture(tmp_path / "images" / f"{k}.png", k)
    data.write_shards(data.MovingDigits(size=16, frames=4, length=3), tmp_path / "shards" / "train")
    kinds = {
        "ring": data.Ring, "digits": data.Digits, "moving-digits": data.MovingDigits, "images": data.Images,
        "films": data.VideoFolder, "shards": data.Shards, "mnist": None, "fashion-mnist": None, "moving-mnist": None,
    }  # fmt: skip
    assert set(kinds) == set(get_args(DataKind))
    for kind, expected in kinds.items():
        config = DataConfig(kind=kind, size=16, frames=4, path=tmp_path / kind)
        if expected is None:
            with pytest.raises(DataError, match="Is there a network"):
                data.build(config)
            continue
        built = data.build(config)
        assert type(built) is expected
        item = next(iter(built))
        shapes = {"video": (4, 16, 16), "image": (16, 16), "points": ()}
        name = next(name for name in shapes if name in item)
        assert item[name].shape[1:] == shapes[name]


def test_every_setting_of_moving_digits_reaches_it():
    config = DataConfig("moving-digits", size=16, frames=6, digits=2, color=True, subpixel=False, turn=True)
    built = data.build(config, "test", seed=4)
    direct = data.MovingDigits(
        "test", size=16, frames=6, digits=2, color=True, subpixel=False, turn=True, seed=4
    )  # fmt: skip
    assert torch.equal(built[3]["video"], direct[3]["video"]) and built[3]["caption"] == direct[3]["caption"]
    held_out = data.build(
        DataConfig("moving-digits", size=32, color=True, pairs="unseen", paraphrase=True), "test", seed=4
    )
    direct = data.MovingDigits("test", color=True, pairs="unseen", paraphrase=True, seed=4)
    assert torch.equal(held_out[3]["video"], direct[3]["video"]) and held_out[3]["caption"] == direct[3]["caption"]


def test_shards_of_another_shape_or_without_the_split_are_refused(tmp_path):
    data.write_shards(data.MovingDigits(size=16, frames=4, length=3), tmp_path)
    with pytest.raises(
        ArgumentError, match="videos of 4 x 16 x 16, the config asks for 8 x 32 x 32. Set size=16 and frames=4"
    ):
        data.build(DataConfig("shards", size=32, frames=8, path=tmp_path))
    assert len(data.build(DataConfig("shards", size=16, frames=4, path=tmp_path))) == 3
    with pytest.raises(DataError, match="test: no shards.json here"):
        data.build(DataConfig("shards", size=16, frames=4, path=tmp_path), "test")


@pytest.mark.parametrize("kind", ["images", "films", "shards"])
def test_a_folder_that_was_not_given_is_asked_for(kind):
    with pytest.raises(ArgumentError, match=f'path=None: data of the kind "{kind}"'):
        data.build(DataConfig(kind))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ArgumentError, match='no kind of data "moving-digit"; did you mean "moving-digits"'):
        data.build(DataConfig("moving-digit"))


def test_the_names_that_are_promised_are_there():
    assert all(hasattr(data, name) for name in data.__all__)
