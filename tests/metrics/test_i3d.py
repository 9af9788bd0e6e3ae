import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate

from vidgen_lab.core import CheckpointError
from vidgen_lab.metrics import i3d
from vidgen_lab.metrics.i3d import resize_tf1
from vidgen_lab.metrics.published import to_bytes

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")


def noise(*shape: int) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1


def row(*values: float) -> Tensor:
    return torch.tensor(values).expand(1, 1, 1, len(values), len(values))


def test_tensorflow_1_reads_a_new_pixel_at_its_number_times_the_ratio():
    assert torch.allclose(resize_tf1(row(0.0, 1.0), 4)[0, 0, 0, 0], torch.tensor([0.0, 0.5, 1.0, 1.0]))
    assert torch.allclose(resize_tf1(row(0.0, 3.0, 6.0, 9.0), 2)[0, 0, 0, 0], torch.tensor([0.0, 6.0]))
    third = resize_tf1(row(0.0, 3.0), 3)[0, 0, 0, 0]
    assert torch.allclose(third, torch.tensor([0.0, 2.0, 3.0]))
    assert not torch.allclose(third, interpolate(row(0.0, 3.0)[0], (3, 3), mode="bilinear")[0, 0, 0])


@pytest.mark.parametrize("height, width", [(64, 48), (224, 300), (17, 1)])
def test_the_resize_agrees_with_reading_each_place_by_grid_sample(height, width):
    frames = noise(2, 3, height, width)
    places = [np.arange(224) * length / 224 for length in (height, width)]
    units = [torch.from_numpy(2 * p / max(n - 1, 1) - 1).float() for p, n in zip(places, (height, width), strict=True)]
    grid = torch.stack(torch.meshgrid(*units, indexing="ij")[::-1], -1).expand(2, 224, 224, 2)
    expected = grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=True)
    assert torch.allclose(resize_tf1(frames[:, :, None], 224)[:, :, 0], expected, atol=1e-4)


def test_frames_of_the_right_size_stay_and_one_colour_stays_one_colour():
    clips = noise(1, 3, 2, 224, 224)
    assert torch.equal(resize_tf1(clips, 224), clips)
    assert torch.allclose(resize_tf1(torch.full((1, 3, 2, 50, 70), 0.3), 224), torch.tensor(0.3))


class Script(nn.Module):
    """Stands for the I3D file: says how it was called and what it saw."""

    def forward(
        self, clips: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        seen = clips.float()
        about = [float(rescale), float(resize), float(return_features), float(seen.size(4)), float(clips.dtype == 0)]
        return torch.cat([seen.mean([2, 3, 4]), torch.tensor(about).expand(len(clips), 5)], 1)


@pytest.fixture
def script(tmp_path):
    torch.jit.script(Script()).save(tmp_path / "i3d.pt")
    return tmp_path / "i3d.pt"


def test_the_reference_judge_prepares_clips_and_the_other_leaves_bytes_to_the_script(script):
    clips = noise(2, 3, 10, 30, 40)
    reference, styleganv = i3d.fvd_judge(script), i3d.styleganv_judge(script)
    means = resize_tf1(clips, 224).mean((2, 3, 4))
    assert torch.allclose(reference.network(clips)[:, :3], means, atol=1e-5)
    assert reference.network(clips)[0, 3:].tolist() == [False, False, True, 224, False]
    assert torch.allclose(styleganv.network(clips)[:, :3], to_bytes(clips).float().mean((2, 3, 4)))
    assert styleganv.network(clips)[0, 3:].tolist() == [True, True, True, 40, True]
    assert reference.protocol["resize"] != styleganv.protocol["resize"]
    assert reference.protocol["network_sha256"] == styleganv.protocol["network_sha256"]


def test_a_missing_or_damaged_script_is_named_with_the_place_where_it_is(tmp_path):
    with pytest.raises(CheckpointError, match=r"no file none.pt.*i3d_torchscript.pt.*Apache 2.0"):
        i3d.fvd_judge("none.pt")
    torch.save({"a": torch.zeros(2)}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="must be a TorchScript file"):
        i3d.styleganv_judge(tmp_path / "state.pt")
