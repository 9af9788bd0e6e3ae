"""Labels as conditions: what the generator reads, what a critic says of the asked values."""

import pytest
import torch

from vidgen_lab.core import ArgumentError
from vidgen_lab.nn.labels import VALUES, append, asked, check_batch, complete, count_values, draw_labels

CPU = torch.device("cpu")
LABELS = {"digit": torch.tensor([3, 9]), "speed": torch.tensor([1, 0])}


def test_each_label_is_a_one_hot_vector_behind_the_noise():
    code = append(torch.full((2, 3), 7.0), LABELS, ("digit", "speed"))
    assert code.shape == (2, 3 + 10 + 2) and (code[:, :3] == 7).all()
    assert code[:, 3:].nonzero()[:, 1].tolist() == [3, 11, 9, 10]
    assert torch.equal(append(torch.ones(2, 3), None, ()), torch.ones(2, 3))


def test_only_the_outputs_of_the_asked_values_are_added_and_only_they_learn():
    outputs = torch.arange(24.0).view(2, 12).requires_grad_()
    logits = asked(outputs, LABELS, ("digit", "speed"))
    assert logits.tolist() == [3 + 11, (12 + 9) + (12 + 10)]
    logits.sum().backward()
    assert outputs.grad.nonzero().tolist() == [[0, 3], [0, 11], [1, 9], [1, 10]]
    assert torch.equal(asked(outputs[:, :0], None, ()), torch.zeros(2))


def test_drawn_labels_take_every_value_and_repeat_with_the_seed():
    one, two = (draw_labels(500, tuple(VALUES), torch.Generator().manual_seed(1)) for _ in range(2))
    assert {name: len(values.unique()) for name, values in one.items()} == VALUES
    assert all(torch.equal(one[name], two[name]) for name in VALUES)


def test_what_a_condition_leaves_out_is_drawn_and_what_it_gives_is_kept():
    labels = complete({"digit": LABELS["digit"]}, 2, ("digit", "speed"), CPU, torch.Generator().manual_seed(0))
    assert torch.equal(labels["digit"], LABELS["digit"]) and labels["speed"].shape == (2,)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (torch.tensor([3, 10]), r"digit=\[3, 10\]: give one whole number from 0 to 9"),
        (torch.tensor([-1, 0]), r"digit=\[-1, 0\]: give one whole number from 0 to 9"),
        (torch.zeros(2, 2, dtype=torch.long), "give one whole number from 0 to 9 a clip"),
    ],
)
def test_a_label_out_of_range_says_which_values_there_are(given, says):
    with pytest.raises(ArgumentError, match=says):
        complete({"digit": given}, 2, ("digit",), CPU)


def test_an_unknown_label_names_the_nearest():
    with pytest.raises(ArgumentError, match='no label "digits"; did you mean "digit"'):
        count_values(("digits",))
    assert count_values(("direction", "speed")) == 10


def test_a_batch_without_what_a_model_trains_on_says_what_is_missing():
    check_batch({"video": 0, "digit": 0, "caption": 0}, ("digit",), "GAN")
    with pytest.raises(ArgumentError, match=r"this GAN trains on \['digit', 'video'\]; the batch has \['digit'\]"):
        check_batch({"digit": 0}, ("digit",), "GAN")
