import hashlib

import numpy as np
import pytest
import torch

from vidgen_lab.core.errors import ArgumentError, DataError
from vidgen_lab.data import digits
from vidgen_lab.data.digits import Digits, load_digits
from vidgen_lab.data.pixels import to_float, to_uint8


def test_the_splits_hold_8000_and_2000_digits_of_all_ten_classes():
    assert len(Digits("train")) == 8000 and len(Digits("test")) == 2000
    assert all((load_digits(split)[1] == digit).sum() > 150 for split in ("train", "test") for digit in range(10))


def test_train_and_test_never_share_a_digit_image():
    train, test = ({image.tobytes() for image in load_digits(split)[0]} for split in ("train", "test"))
    assert len(train) == 8000 and len(test) == 2000 and not train & test


def test_an_item_is_one_channel_in_minus_one_to_one_with_its_label():
    item = Digits("test")[5]
    assert item["image"].shape == (1, 28, 28) and item["image"].dtype == torch.float32
    assert item["image"].min() == -1 and 0.9 < item["image"].max() <= 1
    assert item["digit"].shape == () and item["digit"].dtype == torch.int64
    assert item["digit"] == load_digits("test")[1][5]


def test_a_batch_holds_the_same_bits_as_its_items():
    data = Digits("train", size=32)
    batch, items = data.__getitems__([3, 9, 3]), [data[3], data[9], data[3]]
    for name in batch:
        assert torch.equal(batch[name], torch.stack([item[name] for item in items]))


def test_size_32_is_size_28_with_two_black_pixels_on_each_side():
    small, padded = Digits("train").images, Digits("train", size=32).images
    assert torch.equal(padded[:, 2:-2, 2:-2], small)
    assert padded.sum(dtype=torch.int64) == small.sum(dtype=torch.int64)


def test_size_14_is_the_mean_of_two_by_two_pixels():
    small, half = Digits("test").images[:50].float(), Digits("test", size=14).images[:50]
    means = small.reshape(50, 14, 2, 14, 2).mean((2, 4))
    assert (half - means).abs().max() <= 0.5


def test_bytes_survive_the_way_to_floats_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(to_float(pixels)).numpy(), pixels)


def test_the_file_is_the_one_that_its_licence_notice_names():
    notice = (digits.FILE.parent / "LICENSE-mnist.md").read_text()
    assert hashlib.sha256(digits.FILE.read_bytes()).hexdigest() == digits.SHA256 and digits.SHA256 in notice


def test_a_damaged_digit_file_is_refused_with_its_path(tmp_path):
    content = bytearray(digits.FILE.read_bytes())
    content[1000] ^= 1
    damaged = tmp_path / "mnist10k.npz"
    damaged.write_bytes(content)
    with pytest.raises(DataError, match="mnist10k.npz: SHA-256 is .* damaged"):
        digits._read(damaged)
    with pytest.raises(DataError, match="nowhere.npz: cannot read"):
        digits._read(tmp_path / "nowhere.npz")


def test_a_wrong_split_or_size_names_what_is_allowed():
    with pytest.raises(ArgumentError, match='no split "tests"; did you mean "test"'):
        Digits("tests")
    with pytest.raises(ArgumentError, match="size=2: must be a whole number, 4 or more"):
        Digits(size=2)
