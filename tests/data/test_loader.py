import json
from itertools import islice

import pytest
import torch
from torch.utils.data import Dataset

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.data import Digits, MovingDigits, Ring, batches, collate, write_shards
from vidgen_lab.data.shards import Shards


class Numbers(Dataset):
    """Items without a batched path."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return {"points": torch.tensor([float(index), 0.0]), "mode": torch.tensor(index), "caption": f"number {index}"}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) if isinstance(first[name], torch.Tensor) else first[name] == second[name]
        for name in first
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    data = MovingDigits(size=16, frames=2, length=66)
    write_shards(data, folder / "a", clips_per_shard=6)  # 11 shards
    return Shards(folder / "a"), [item["video"].numpy().tobytes() for item in (data[i] for i in range(66))]


@pytest.mark.parametrize(
    "data",
    [Numbers(23), MovingDigits(size=16, frames=2, length=23), Digits("test"), Ring()],
    ids=lambda data: type(data).__name__,
)
def test_a_stream_resumed_at_its_position_gives_the_same_bits(data):
    whole = list(islice(batches(data, 4, seed=5), 14))
    stream = batches(data, 4, seed=5)
    list(islice(stream, 7))
    position = json.loads(json.dumps(stream.position))
    assert position == {"step": 7}
    resumed = list(islice(batches(data, 4, seed=5, start=position), 7))
    assert all(same(a, b) for a, b in zip(whole[7:], resumed, strict=True))


def test_an_epoch_holds_each_item_once_and_drops_only_the_incomplete_batch():
    rows = [torch.cat([b["mode"] for b in islice(batches(Numbers(23), 4, start={"step": s}), 5)]) for s in (0, 5, 10)]
    for epoch in rows:
        assert len(epoch) == 20 and len(epoch.unique()) == 20
    assert not torch.equal(rows[0], rows[1]) and not torch.equal(rows[1], rows[2])
    assert torch.cat(rows).unique().numel() == 23


def test_the_seed_decides_the_order():
    first, again, other = (next(batches(Numbers(100), 10, seed=seed))["mode"] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("world", [2, 4])
def test_the_rows_of_all_processes_are_the_rows_of_one(world):
    whole = islice(batches(Numbers(40), 8, seed=1), 12)
    parts = [islice(batches(Numbers(40), 8, seed=1, rank=rank, world=world), 12) for rank in range(world)]
    for batch, *pieces in zip(whole, *parts, strict=True):
        assert torch.equal(batch["mode"], torch.cat([piece["mode"] for piece in pieces]))
        assert batch["caption"] == sum((piece["caption"] for piece in pieces), [])


def test_loader_processes_change_no_batch():
    data = MovingDigits(size=16, frames=2, length=30)
    alone, helped = batches(data, 4, seed=2), batches(data, 4, seed=2, workers=2)
    for _ in range(10):
        assert same(next(alone), next(helped))
    assert helped.position == {"step": 10}


def test_the_global_random_generator_is_left_alone():
    before = torch.get_rng_state()
    next(batches(Numbers(10), 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_larger_than_the_data_says_the_largest():
    with pytest.raises(ArgumentError, match="batch_size=30: the data set has 23 items, so at most batch_size=23"):
        batches(Numbers(23), 30)
    assert len(next(batches(Numbers(23), 23))["mode"]) == 23


@pytest.mark.parametrize(
    "given,message",
    [
        ({"batch_size": 5, "world": 2}, "batch_size=5: must be a multiple of the 2"),
        ({"batch_size": 4, "rank": 2, "world": 2}, "rank=2: .* from 0 to 1"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused_by_name(given, message):
    with pytest.raises(ArgumentError, match=message):
        batches(Numbers(20), **given)


def test_collate_stacks_tensors_and_numbers_and_lists_strings():
    batch = collate([{"a": torch.ones(2), "n": 3, "s": "x"}, {"a": torch.zeros(2), "n": 4, "s": "y"}])
    assert batch["a"].tolist() == [[1, 1], [0, 0]] and batch["n"].tolist() == [3, 4] and batch["s"] == ["x", "y"]
    assert collate(batch) is batch


def clips_of(stream, count):
    return [clip.numpy().tobytes() for batch in islice(stream, count) for clip in batch["video"]]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_of_shards_gives_each_clip_once_an_epoch(shards, workers):
    data, clips = shards
    stream = batches(data, 6, seed=3, workers=workers)
    seen = clips_of(stream, 11 if workers == 0 else 22)
    count = 1 if workers == 0 else 2
    assert sorted(seen) == sorted(clips * count)


def test_processes_read_different_shards_and_together_all(shards):
    data, clips = shards
    parts = [clips_of(batches(data, 12, seed=3, rank=rank, world=2), 11) for rank in range(2)]  # two epochs
    assert sorted(parts[0] + parts[1]) == sorted(clips * 2)
    assert not set(parts[0][:30]) & set(parts[1][:30])  # the first ten shards of the first epoch


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_of_shards_resumes_at_the_next_shard(shards, workers):
    data, _ = shards
    stream = batches(data, 3, seed=3, workers=workers)
    begun = clips_of(stream, 3)  # a shard and a half, or one and a half of two
    position = json.loads(json.dumps(stream.position))
    assert position == {"step": 3, "shard": 2}
    after = clips_of(batches(data, 3, seed=3, workers=workers, start=position), 2 * 8)
    assert not set(begun) & set(after) and len(set(after)) == 48  # eight of the nine shards that were not begun
    again = batches(data, 3, seed=3, workers=workers, start=position)
    assert clips_of(again, 2 * 8) == after and again.position["step"] == 19


def test_epochs_of_shards_are_shuffled_anew(shards):
    data, _ = shards
    stream = batches(data, 6, seed=3)
    first, second = clips_of(stream, 11), clips_of(stream, 11)
    assert first != second and sorted(first) == sorted(second)
