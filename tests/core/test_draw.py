import pytest
import torch

from vidgen_lab.core import ArgumentError, Draw, fold

DRAWS = {
    "normal": lambda draw, rows: draw.normal("x", (rows, 3)),
    "uniform": lambda draw, rows: draw.uniform("x", (rows, 3), -2.0, 5.0),
    "randint": lambda draw, rows: draw.randint("x", (rows, 3), 0, 1000),
}


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("shards", [2, 3, 6])
def test_the_rows_of_all_processes_are_the_rows_of_one(kind, shards):
    whole = DRAWS[kind](Draw(0, 5), 12)
    parts = [DRAWS[kind](Draw(0, 5, shard=i, shards=shards), 12 // shards) for i in range(shards)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("kind", DRAWS)
def test_a_shared_draw_is_the_same_on_all_processes(kind):
    first, second = (DRAWS[kind](Draw(0, 5, shard=i, shards=2).shared(), 4) for i in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, DRAWS[kind](Draw(0, 5), 4)), "shared numbers are not those of the first rows"


def test_one_number_for_the_whole_batch_is_shared_and_nothing_else():
    numbers = {int(Draw(0, 0, shard=i, shards=4).shared().randint("offset", (), 0, 10**6)) for i in range(4)}
    assert len(numbers) == 1
    with pytest.raises(ArgumentError, match=r'draw of "offset" with shape \(\).*Use draw.shared\(\)'):
        Draw(0, 0, shard=0, shards=2).randint("offset", (), 0, 4)


def test_seed_step_phase_and_name_each_change_the_numbers_and_nothing_else_does():
    base = Draw(0, 1).at("generator").normal("latent", (4,))
    others = [
        Draw(1, 1).at("generator").normal("latent", (4,)),
        Draw(0, 2).at("generator").normal("latent", (4,)),
        Draw(0, 1).at("discriminator").normal("latent", (4,)),
        Draw(0, 1).at("generator").normal("mix", (4,)),
    ]
    assert not any(torch.equal(base, other) for other in others)
    torch.manual_seed(123)
    assert torch.equal(base, Draw(0, 1, steps=999).at("generator").normal("latent", (4,)))


def test_a_draw_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    for draw in DRAWS.values():
        draw(Draw(3), 2)
    assert torch.equal(before, torch.get_rng_state())


def test_uniform_and_randint_keep_their_ranges_and_reach_both_ends():
    uniform = Draw(0).uniform("u", (20_000,), -2.0, 5.0)
    assert uniform.dtype == torch.float32 and -2 <= uniform.min() < -1.99 and 4.99 < uniform.max() < 5
    integers = Draw(0).randint("i", (2_000,), -2, 3)
    assert integers.dtype == torch.int64 and set(integers.tolist()) == {-2, -1, 0, 1, 2}
    normal = Draw(0).normal("n", (20_000,))
    assert normal.dtype == torch.float32 and abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03


def test_numbers_end_up_on_the_device_that_was_asked_for():
    assert Draw(0, device="meta").normal("x", (2,)).device.type == "meta"


def test_fold_keeps_apart_what_only_looks_alike_and_fits_a_seed():
    assert fold(1, 23) != fold(12, 3)
    assert fold("a", "b") == fold("a", "b") == 0x60A66EE019FB25CE  # the same on every machine
    assert all(0 <= fold(i) < 2**63 for i in range(100))
