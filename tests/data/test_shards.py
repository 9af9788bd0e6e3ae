import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from vidgen_lab.core.errors import ArgumentError, DataError
from vidgen_lab.data import Digits, MovingDigits, Shards, collate, write_shards


@pytest.fixture
def data():
    return MovingDigits(size=16, frames=3, digits=2, color=True, length=10)


@pytest.fixture
def folder(data, tmp_path):
    return write_shards(data, tmp_path / "clips", clips_per_shard=4)


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) and value.dtype == second[name].dtype
        if isinstance(value, torch.Tensor)
        else value == second[name]
        for name, value in first.items()
    )


def test_a_clip_and_its_labels_come_back_bit_for_bit(data, folder):
    read = Shards(folder)
    assert len(read) == 10 and read.counts == {"shard-000000.tar": 4, "shard-000001.tar": 4, "shard-000002.tar": 2}
    assert read.shape == {"video": (3, 3, 16, 16)}
    assert all(same(data[index], item) for index, item in enumerate(read))


def test_images_come_back_bit_for_bit(tmp_path):
    digits = torch.utils.data.Subset(Digits("test"), range(3))
    assert all(same(digits[i], item) for i, item in enumerate(Shards(write_shards(digits, tmp_path / "x"))))


def test_a_seed_shuffles_what_is_written(data, tmp_path):
    clips = [item["video"] for item in Shards(write_shards(data, tmp_path / "x", seed=1))]
    order = [next(i for i in range(10) if torch.equal(data[i]["video"], clip)) for clip in clips]
    assert sorted(order) == list(range(10)) and order != list(range(10))


def test_loader_workers_share_the_shards(folder):
    read = DataLoader(Shards(folder), batch_size=None, num_workers=2)
    clips = [item["video"].numpy().tobytes() for item in read]
    assert len(clips) == len(set(clips)) == 10


def test_a_finished_folder_holds_nothing_but_shards_and_their_list(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar", "shards.json"]
    assert not any(pickle.PROTO + bytes([4]) in path.read_bytes()[:512] for path in folder.iterdir())


class Breaks(MovingDigits):
    def __getitem__(self, index):
        if index == 6:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def test_an_interrupted_writer_leaves_no_half_written_shard(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_shards(Breaks(size=16, frames=3, length=10), tmp_path / "x", clips_per_shard=4)
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["shard-000000.tar"]
    with pytest.raises(DataError, match="no shards.json here.*interrupted"):
        Shards(tmp_path / "x")


@pytest.mark.parametrize("keep", [10, 3000, 5120, 1024 * 4])
def test_a_shard_cut_short_is_named(folder, keep):
    path = folder / "shard-000001.tar"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="shard-000001.tar: the shard is damaged"):
        list(Shards(folder))


def test_one_changed_byte_anywhere_in_the_pixels_is_noticed(folder):
    path = folder / "shard-000002.tar"
    content = bytearray(path.read_bytes())
    at = content.index(b"NUMPY") + 500
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="shard-000002.tar: .*does not match its checksum"):
        list(Shards(folder))


def test_a_missing_shard_or_list_is_named(folder, tmp_path):
    (folder / "shard-000001.tar").unlink()
    with pytest.raises(DataError, match="1 of 3 shards are missing, the first is shard-000001.tar"):
        Shards(folder)
    (folder / "shards.json").write_text("{")
    with pytest.raises(DataError, match="shards.json: cannot be read"):
        Shards(folder)
    with pytest.raises(DataError, match="no shards.json here"):
        Shards(tmp_path)


def test_shards_are_never_written_over(data, folder):
    with pytest.raises(DataError, match="already holds shards"):
        write_shards(data, folder)


def test_a_folder_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/x: cannot write the shards"):
        write_shards(data, tmp_path / "file" / "x")


@pytest.mark.parametrize(
    "item,message",
    [
        ({"video": torch.full((1, 1, 2, 2), 0.1234)}, "video: its values are not bytes"),
        (
            {"image": torch.ones(1, 2, 2), "weight": torch.ones(2)},
            "weight: a label must be an int64 tensor or a string",
        ),
        ({"points": torch.ones(2)}, "an item with points: shards hold items with one video or one image"),
    ],
)
def test_what_would_not_come_back_exactly_is_refused(tmp_path, item, message):
    with pytest.raises(ArgumentError, match=message):
        write_shards([item], tmp_path / "x")


def test_read_clips_collate_to_a_batch(folder):
    batch = collate(list(Shards(folder)))
    assert batch["video"].shape == (10, 3, 3, 16, 16) and batch["color"].shape == (10, 2)
