import pytest
import torch

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.data.ring import Ring


def test_points_lie_around_eight_even_centres_on_the_circle():
    data = Ring()
    batch = data.__getitems__(range(20_000))
    angle = torch.atan2(data.centers[:, 1], data.centers[:, 0])
    assert torch.allclose(data.centers.norm(dim=1), torch.ones(8))
    assert torch.allclose((angle.diff() + 6.2832) % 6.2832, torch.full((7,), torch.pi / 4), atol=1e-3)
    offset = batch["points"] - data.centers[batch["mode"]]
    assert abs(offset.std().item() - 0.05) < 0.001 and offset.mean(0).abs().max() < 0.002
    assert abs(torch.corrcoef(offset.T)[0, 1].item()) < 0.03
    assert (torch.bincount(batch["mode"]) / 2500 - 1).abs().max() < 0.1
    assert batch["points"].abs().max() < 1.3


def test_a_batch_holds_the_same_bits_as_its_items():
    data = Ring("test", seed=3)
    batch = data.__getitems__([5, 0, 5])
    for name in ("points", "mode"):
        assert torch.equal(batch[name], torch.stack([data[i][name] for i in (5, 0, 5)]))
    assert batch["points"].dtype == torch.float32 and batch["mode"].dtype == torch.int64


def test_seed_and_split_change_the_points():
    points = [Ring(split, seed=seed)[7]["points"] for split, seed in (("train", 0), ("train", 1), ("test", 0))]
    assert not torch.equal(points[0], points[1]) and not torch.equal(points[0], points[2])


def test_a_radius_of_zero_is_refused():
    with pytest.raises(ArgumentError, match="radius=0"):
        Ring(radius=0)
