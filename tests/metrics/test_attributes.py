import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.metrics import attribute_accuracy

STATED = {"network": "none", "seed": 0}


def sure(labels: list[int], classes: int) -> torch.Tensor:
    return 9.0 * torch.eye(classes)[labels]


def test_each_attribute_counts_alone_and_all_count_together():
    logits = {"digit": sure([1, 2, 3, 4], 10), "speed": sure([0, 0, 1, 1], 2), "color": sure([5, 5, 5, 5], 6)}
    asked = {"digit": torch.tensor([1, 2, 3, 0]), "speed": torch.tensor([1, 0, 1, 0]), "caption": ["a", "b", "c", "d"]}
    measured = {item.name: item.value for item in attribute_accuracy(logits, asked, STATED)}
    assert measured == {"digit as asked": 0.75, "speed as asked": 0.5, "all as asked": 0.5}


def test_one_attribute_has_no_line_for_all():
    (only,) = attribute_accuracy({"digit": sure([1, 2], 10)}, {"digit": torch.tensor([1, 1])}, STATED)
    assert only.name == "digit as asked" and only.value == 0.5 and only.protocol == STATED


@pytest.mark.parametrize(
    "logits,asked,stated,message",
    [
        ({"digit": sure([1], 10)}, {"caption": ["a"]}, STATED, r"asked for \['caption'\].*reads \['digit'\]"),
        ({"digit": sure([1], 10)}, {"digit": torch.tensor([1, 2])}, STATED, r"1 samples, but labels of shape \(2,\)"),
        ({"digit": float("nan") * sure([1], 10)}, {"digit": torch.tensor([1])}, STATED, "logits of digit hold NaN"),
        ({"digit": sure([1], 10)}, {"digit": torch.tensor([1])}, {}, "does not name the classifier"),
    ],
)
def test_what_cannot_be_compared_is_refused(logits, asked, stated, message):
    with pytest.raises(ArgumentError, match=message):
        attribute_accuracy(logits, asked, stated)
