import itertools

import numpy as np
import pytest
import torch

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.data import moving
from vidgen_lab.data.moving import COLORS, DIGIT_SIDE, DIRECTIONS, SPEEDS, UNIT, MovingDigits

KINDS = [
    {"size": size, "digits": digits, "color": color, "subpixel": subpixel, "turn": digits == 2}
    for size, digits, color, subpixel in itertools.product((16, 32, 64), (1, 2), (False, True), (False, True))
]


def centers(video):
    """Centre of mass (y, x) of grey clips (B, 1, T, H, W) uint8 -> (B, T, 2), pixels."""
    mass = video[:, 0].double()
    grid = torch.arange(mass.shape[-1], dtype=torch.double)
    total = mass.sum((-1, -2))
    return torch.stack([(mass.sum(-1) * grid).sum(-1) / total, (mass.sum(-2) * grid).sum(-1) / total], -1)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_batch_holds_the_same_bits_as_its_items_and_as_the_bytes(kind):
    data = MovingDigits(frames=5, length=50, **kind)
    rows = [7, 0, 49, 7]
    batch, items = data.__getitems__(rows), [data[row] for row in rows]
    channels = 3 if kind["color"] else 1
    assert batch["video"].shape == (4, channels, 5, kind["size"], kind["size"])
    assert batch["video"].dtype == torch.float32
    for name, value in batch.items():
        stacked = [item[name] for item in items]
        assert value == stacked if name == "caption" else torch.equal(value, torch.stack(stacked))
    expected = data.frames_uint8(rows)
    assert expected.dtype == torch.uint8 and torch.equal(batch["video"], expected.float() / 127.5 - 1)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_frame_is_the_sized_digits_placed_where_the_path_says(kind):
    """Against a plain loop: shift by area in floating point, the brighter pixel wins, colour on its channels."""
    data = MovingDigits("test", frames=6, length=9, **kind)
    draw, side, size = data._draw([2, 8]), data.side, data.size
    bank = data._bank.reshape(-1, side, size)[:, :, :side].astype(float)
    for b, t in itertools.product(range(2), range(6)):
        layers = np.zeros((data.digits, size, size))
        for d in range(data.digits):
            y, x = draw["y"][b, d, t] / 16, draw["x"][b, d, t] / 16
            for row, column in itertools.product(range(size), range(size)):
                # a pixel's value: each digit pixel, weighted by the area of it that lies in this pixel
                i, j = int(np.floor(row - y)), int(np.floor(column - x))
                for di, dj in itertools.product((0, 1), (0, 1)):
                    if 0 <= i + di < side and 0 <= j + dj < side:
                        area = (1 - abs(row - y - i - di)) * (1 - abs(column - x - j - dj))
                        layers[d, row, column] += max(area, 0) * bank[draw["image"][b, d], i + di, j + dj]
        layers = np.floor(layers + 0.5)
        winner = layers.argmax(0)
        video = data.frames_uint8([2, 8])[b, :, t].numpy()
        if not kind["color"]:
            assert np.array_equal(video[0], layers.max(0))
        else:
            rgb = moving.RGB[draw["labels"]["color"][b]][winner]  # (H, W, 3)
            assert np.array_equal(video, (layers.max(0)[..., None] * rgb).transpose(2, 0, 1))


def test_an_item_depends_on_seed_split_and_index_alone():
    data = MovingDigits(length=100)
    alone = data[42]["video"]
    data[3], data.__getitems__([1, 2])
    assert torch.equal(data[42]["video"], alone)
    assert torch.equal(MovingDigits(length=43)[42]["video"], alone)
    others = [MovingDigits(seed=1)[42], MovingDigits("test")[42], data[41]]
    assert all(not torch.equal(other["video"], alone) for other in others)
    assert not np.array_equal(MovingDigits("test")._draw([42])["x"], data._draw([42])["x"])  # not the digits alone


def test_more_frames_begin_with_the_same_clip():
    assert torch.equal(MovingDigits(frames=24)[5]["video"][:, :16], MovingDigits(frames=16)[5]["video"])


def test_train_and_test_never_share_a_digit_image():
    banks = [{digit.tobytes() for digit in MovingDigits(split, size=64)._bank} for split in ("train", "test")]
    assert len(banks[0]) == 8000 and len(banks[1]) == 2000 and not banks[0] & banks[1]


def test_all_labels_occur_about_equally_often_and_independently():
    labels = MovingDigits(color=True, turn=True, digits=2)._draw(range(20_000))["labels"]
    for name, classes in (("color", 6), ("direction", 8), ("speed", 2), ("turn", 2)):
        counts = np.bincount(labels[name].ravel(), minlength=classes)
        assert len(counts) == classes and np.abs(counts / counts.sum() * classes - 1).max() < 0.05
    flat = np.stack([labels[name][:, d] for name in ("digit", "color", "direction", "speed", "turn") for d in (0, 1)])
    assert np.abs(np.corrcoef(flat) - np.eye(10)).max() < 0.03


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("subpixel", [True, False])
def test_the_digit_moves_first_as_its_labels_say(size, subpixel):
    data = MovingDigits(size=size, subpixel=subpixel, frames=2)
    labels = data._draw(range(500))["labels"]
    path = centers(data.frames_uint8(range(500)))
    step = (path[:, 1] - path[:, 0]).numpy()
    expected = UNIT[labels["direction"][:, 0]] * ((labels["speed"][:, 0] + 1) * size / 32)[:, None]
    assert np.abs(step - expected).max() < (0.15 if subpixel else 0.55)


def test_directions_go_anticlockwise_on_the_screen():
    names = {"right": (0, 1), "up": (-1, 0), "left": (0, -1), "down": (1, 0)}
    for name, unit in names.items():
        assert np.allclose(UNIT[DIRECTIONS.index(name)], unit)
    assert np.allclose(np.linalg.norm(UNIT, axis=1), 1)
    assert np.all(UNIT[DIRECTIONS.index("up-left")] < 0)


def test_walls_reflect():
    position, sign = moving._reflect(np.array([0.0, 3.0, 7.0, 12.0, 15.0, -2.0]), 6)
    assert position.tolist() == [0, 3, 5, 0, 3, 2]
    assert sign.tolist() == [1, 1, -1, 1, 1, -1]


def test_digits_stay_inside_and_reach_every_wall():
    data = MovingDigits(size=32, frames=40)
    draw = data._draw(range(300))
    room = (32 - DIGIT_SIDE[32]) * 16
    for axis in ("y", "x"):
        assert draw[axis].min() >= 0 and draw[axis].max() <= room
        assert draw[axis].min() <= 1 and draw[axis].max() >= room - 1


def test_whole_pixel_clips_move_the_digit_without_changing_it():
    video = MovingDigits(size=32, subpixel=False).frames_uint8(range(20))
    for clip in video[:, 0]:
        assert len({frame[frame > 0].numpy().tobytes() for frame in clip}) == 1


def test_subpixel_clips_keep_the_light_of_the_digit():
    video = MovingDigits(size=32).frames_uint8(range(20)).double().sum((1, 3, 4))
    assert ((video - video[:, :1]).abs() / video[:, :1]).max() < 0.01


def test_the_first_half_of_a_turning_clip_does_not_tell_the_coin():
    straight, turning = MovingDigits(frames=16), MovingDigits(frames=16, turn=True)
    before, after = straight.frames_uint8(range(200)), turning.frames_uint8(range(200))
    assert torch.equal(before[:, :, :8], after[:, :, :8])
    assert not torch.equal(before[:, :, 8], after[:, :, 8])


def test_left_is_a_quarter_turn_anticlockwise_on_the_screen():
    data = MovingDigits(size=64, frames=16, turn=True)
    draw = data._draw(range(2000))
    path = np.stack([draw["y"], draw["x"]], -1)[:, 0] / 16  # (B, T, 2)
    before, after = path[:, 7] - path[:, 6], path[:, 8] - path[:, 7]
    free = np.all((path[:, 5:10] > 4.1) & (path[:, 5:10] < 31.9), axis=(1, 2))  # no wall near
    assert free.sum() > 200
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]  # above 0: anticlockwise, since y points down
    coin = draw["labels"]["turn"][:, 0]
    assert np.array_equal(cross[free] > 0, coin[free] == 0)
    assert np.abs((before * after).sum(-1)[free]).max() < 0.5


@pytest.mark.parametrize("kind", [{"color": True}, {"subpixel": False}, {"digits": 2}, {}], ids=str)
def test_a_restless_clip_flies_as_before_with_another_digit_in_each_frame(kind):
    steady, restless = MovingDigits(**kind), MovingDigits(restless=True, **kind)
    before, after = steady.frames_uint8(range(20)), restless.frames_uint8(range(20))
    assert torch.equal(before[:, :, 0], after[:, :, 0])
    assert (before[:, :, 1:] != after[:, :, 1:]).transpose(1, 2).flatten(2).any(2).all()
    assert torch.equal(before.flatten(2).any(2), after.flatten(2).any(2))  # of the same colour
    if not kind:  # the ink of another digit lies elsewhere in its box, and the box flies on the same path
        assert (centers(after) - centers(before)).mean(1).abs().max() < 3
    if "subpixel" in kind:
        assert all(len({frame[frame > 0].numpy().tobytes() for frame in clip}) == 16 for clip in after[:, 0])
    labels, others = (data.__getitems__([3, 4]) for data in (steady, restless))
    assert all(torch.equal(labels[name], others[name]) for name in ("digit", "direction", "speed"))
    assert torch.equal(restless[3]["video"], restless.__getitems__([9, 3])["video"][1])


def test_captions_say_what_the_labels_say():
    for kind in ({"color": True}, {"digits": 2, "color": True, "turn": True}, {}):
        data = MovingDigits(frames=4, **kind)
        for index in range(30):
            item = data[index]
            for d, phrase in enumerate(item["caption"].split(" and ")):
                label = {k: int(v.reshape(-1)[d]) for k, v in item.items() if k not in ("video", "caption")}
                words = phrase.replace(",", "").split()
                assert words[0] == ("an" if label["digit"] == 8 and "color" not in label else "a")
                assert str(label["digit"]) in words
                assert DIRECTIONS[label["direction"]] in words and SPEEDS[label["speed"]] in words
                assert "color" not in label or words[1] == COLORS[label["color"]]
                assert "turn" not in label or phrase.endswith(f"then turns {moving.TURNS[label['turn']]}")
    assert moving.captions(
        {"digit": np.array([[3]]), "color": np.array([[0]]), "direction": np.array([[4]]), "speed": np.array([[1]])}
    ) == ["a red 3 moves left, fast"]


def test_a_paraphrase_says_the_same_in_eight_forms_and_changes_no_pixel():
    labels = {"digit": [3], "color": [0], "direction": [3], "speed": [0]}
    said = {moving.captions(labels, np.array([form]))[0] for form in range(moving.FORMS)}
    assert said == {
        "a red 3 moves up-left, slowly", "a red three moves up-left, slowly",
        "a slow red 3 moves up-left", "a slow red three moves up-left",
        "a red 3 goes up-left slowly", "a red three goes up-left slowly",
        "a red 3 flies slowly up-left", "a red three flies slowly up-left",
    }  # fmt: skip
    assert moving.captions({"digit": [8], "direction": [0], "speed": [1], "turn": [0]}, np.array([5])) == [
        "an eight goes right quickly, then turns left"
    ]
    plain, other = (MovingDigits(color=True, digits=2, paraphrase=on).__getitems__(range(200)) for on in (False, True))
    assert torch.equal(plain["video"], other["video"]) and torch.equal(plain["digit"], other["digit"])
    labels = {name: plain[name] for name in ("digit", "color", "direction", "speed")}
    assert plain["caption"] == moving.captions(labels)
    forms = [[moving.captions(labels, np.full((200, 2), form))[row] for form in range(8)] for row in range(200)]
    same = [caption in forms[row] for row, caption in enumerate(other["caption"])]  # both digits in one form
    assert 0.03 < np.mean(same) < 0.3 and len(set(other["caption"]) - set(plain["caption"])) > 150
    assert other["caption"][7] == MovingDigits(color=True, digits=2, paraphrase=True, length=8)[7]["caption"]


def crossings(data: MovingDigits) -> dict[str, set[tuple[int, int]]]:
    """The pairs of a digit and another label that occur."""
    labels = data._draw(range(5000))["labels"]
    return {
        name: set(zip(labels["digit"].ravel().tolist(), labels[name].ravel().tolist(), strict=True))
        for name in ("direction", "color")
    }


@pytest.mark.parametrize("digits", [1, 2])
def test_the_compositional_split_divides_all_pairs_and_both_sides_show_every_label(digits):
    every, seen, unseen = (
        crossings(MovingDigits(color=True, digits=digits, pairs=kind)) for kind in ("all", "seen", "unseen")
    )
    for name, values, held_out in (("direction", 8, 20), ("color", 6, 10)):
        assert not seen[name] & unseen[name] and seen[name] | unseen[name] == every[name]
        assert (len(unseen[name]), len(every[name])) == (held_out, 10 * values)
        for digit in range(10):  # each digit is seen, and each value
            assert {value for d, value in seen[name] if d == digit}
        assert {value for _, value in seen[name]} == set(range(values))
        assert {pair for pair in every[name] if moving.HELD_OUT[name][pair]} == unseen[name]


def test_no_clip_shows_a_held_out_direction_after_a_bounce_either():
    data = MovingDigits(pairs="seen", frames=16)
    draw = data._draw(range(2000))
    y, x = (np.ptp(draw[axis][:, 0], axis=1) > 0 for axis in ("y", "x"))  # does it ever move along this axis?
    even = draw["labels"]["digit"][:, 0] % 2 == 0
    assert not (even & x & ~y).any() and not (~even & y & ~x).any() and (x & y).any()


def test_an_item_of_the_compositional_split_depends_on_seed_split_and_index_alone():
    data = MovingDigits(pairs="seen", color=True, length=100)
    alone = data[42]
    assert torch.equal(
        MovingDigits(pairs="seen", color=True, length=43).__getitems__([7, 42])["video"][1], alone["video"]
    )
    assert not torch.equal(MovingDigits("test", pairs="seen", color=True)[42]["video"], alone["video"])


def test_the_default_draws_what_it_always_drew():
    labels = MovingDigits(color=True)._draw(range(6))["labels"]
    assert labels["direction"].ravel().tolist() == [5, 3, 7, 5, 5, 5]
    assert labels["color"].ravel().tolist() == [0, 5, 2, 2, 1, 5]


def test_the_digit_has_the_side_that_the_size_asks_for():
    for size, side in DIGIT_SIDE.items():
        data = MovingDigits(size=size)
        ink = data._bank.reshape(-1, side, size)
        assert not ink[:, :, side:].any()
        if size < 64:  # the box that MNIST drew in is filled from wall to wall
            assert ((ink[:, [0, -1]].max((1, 2)) > 0) | (ink[:, :, [0, side - 1]].max((1, 2)) > 0)).mean() > 0.9


@pytest.mark.parametrize(
    "given,message",
    [
        ({"size": 48}, "size=48: MovingDigits draws frames of 16, 32 or 64"),
        ({"digits": 3}, "digits=3: a clip holds 1 or 2"),
        ({"frames": 0}, "frames=0: must be a whole number, 1 or more"),
        ({"frames": 3, "turn": True}, "frames=3: must be a whole number, 4 or more"),
        ({"split": "val"}, 'no split "val"'),
        ({"pairs": "sen"}, 'no kind of pairs "sen"; did you mean "seen"'),
        ({"pairs": "seen", "turn": True}, 'pairs="seen" with turn=True: .* Use pairs="all"'),
        ({"pairs": "unseen", "restless": True}, "with restless=True"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(given, message):
    with pytest.raises(ArgumentError, match=message):
        MovingDigits(**given)


def test_an_index_outside_the_data_is_refused():
    with pytest.raises(IndexError, match="items 0 to 9"):
        MovingDigits(length=10)[10]
