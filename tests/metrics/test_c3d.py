from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError, CheckpointError, count_parameters
from vidgen_lab.metrics import c3d
from vidgen_lab.metrics.c3d import C3D, load_c3d, load_mean, tgan_input, tganv2_input
from vidgen_lab.metrics.published import to_bytes


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def narrow() -> C3D:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return C3D(width=1).eval()


def chainer_file(network: C3D, path: Path) -> Path:
    names = {"weight": "W", "bias": "b"}
    tensors = {tuple(name.split(".")): tensor.numpy() for name, tensor in network.state_dict().items()}
    np.savez(path, **{f"{layer}/{names[kind]}": tensor for (layer, kind), tensor in tensors.items()})
    return path


def mean_file(path: Path, mean: Tensor | None = None) -> Path:
    np.savez(path, mean=(100 + 20 * noise(*c3d.MEAN_SHAPE) if mean is None else mean).numpy())
    return path


def test_the_published_network_has_its_layer_table_and_78_million_parameters():
    with torch.device("meta"):
        network = C3D()
        clips = torch.zeros(1, 3, 16, 112, 112)
    seen = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(
            lambda _, given, made, name=name: seen.update({name: (tuple(given[0].shape[1:]), tuple(made.shape[1:]))})
        )
    assert network(clips).shape == (1, 101)
    assert seen == {
        "conv1a": ((3, 16, 112, 112), (64, 16, 112, 112)),
        "conv2a": ((64, 16, 56, 56), (128, 16, 56, 56)),
        "conv3a": ((128, 8, 28, 28), (256, 8, 28, 28)),
        "conv3b": ((256, 8, 28, 28), (256, 8, 28, 28)),
        "conv4a": ((256, 4, 14, 14), (512, 4, 14, 14)),
        "conv4b": ((512, 4, 14, 14), (512, 4, 14, 14)),
        "conv5a": ((512, 2, 7, 7), (512, 2, 7, 7)),
        "conv5b": ((512, 2, 7, 7), (512, 2, 7, 7)),
        "fc6": ((8192,), (4096,)),
        "fc7": ((4096,), (4096,)),
        "fc8": ((4096,), (101,)),
    }
    counts = {
        name: given[0] * made[0] * (27 if name.startswith("conv") else 1) + made[0]
        for name, (given, made) in seen.items()
    }
    assert count_parameters(network) == counts and sum(counts.values()) == 78_409_573


def passing(network: C3D) -> C3D:
    """The same network, with weights that hand the first channel on, and pooled cell i to feature i."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.Conv3d):
            layer.weight.data[0, 0, 1, 1, 1] = 1
    network.fc6.weight.data[:16, :16] = torch.eye(16)
    network.fc7.weight.data[:16, :16] = torch.eye(16)
    return network


def test_every_pixel_is_pooled_once_and_the_last_windows_are_the_small_ones():
    clips = noise(2, 3, 16, 112, 112).abs()
    seen = passing(narrow()).features(clips)[:, :16].view(2, 4, 4)
    for i in range(4):
        for j in range(4):
            block = clips[:, 0, :, 32 * i : 32 * i + 32, 32 * j : 32 * j + 32]
            assert torch.equal(seen[:, i, j], block.amax((1, 2, 3)))


def test_a_relu_follows_every_layer_but_the_last():
    network = narrow()
    clips = x = 10 * noise(1, 3, 16, 112, 112)
    for name, layer in network.named_children():
        if name == "fc6":
            x = x.flatten(1)
        x = layer(x)
        assert (x < 0).any()
        if name == "fc8":
            break
        x = x.clamp_min(0)
        if name in ("conv1a", "conv2a", "conv3b", "conv4b", "conv5b"):
            odd = x.shape[-1] % 2
            x = nn.functional.pad(x, (0, odd, 0, odd))  # 0 is the least after a ReLU
            x = x.unflatten(4, (-1, 2)).amax(5).unflatten(3, (-1, 2)).amax(4)
            x = x if name == "conv1a" else x.unflatten(2, (-1, 2)).amax(3)
    assert torch.allclose(network(clips), x, atol=1e-6)


def test_weights_named_by_chainer_and_by_torch_make_one_network(tmp_path):
    network = narrow()
    save_file(network.state_dict(), tmp_path / "c3d.safetensors")
    torch.save(network.state_dict(), tmp_path / "c3d.pt")
    files = [chainer_file(network, tmp_path / "c3d.npz"), tmp_path / "c3d.safetensors", tmp_path / "c3d.pt"]
    clips = 100 * noise(1, 3, 16, 112, 112)
    with torch.no_grad():
        expected = network(clips)
        assert expected.std() > 0
        for file in files:
            assert torch.equal(load_c3d(file, width=1)(clips), expected)


def test_pixels_run_from_0_to_256_and_channels_are_turned_round():
    assert c3d.to_pixels(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0, 128, 256]
    clips = noise(1, 3, 1, 2, 2)
    assert torch.equal(c3d.to_bgr(clips), clips[:, [2, 1, 0]])


def cubic(x: np.ndarray, a: float) -> np.ndarray:
    """The kernel of cubic convolution."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def cubic_rows(old: int, new: int, a: float = -0.75) -> np.ndarray:
    """How much of each old pixel a new one takes: half-pixel centres, edges repeated."""
    rows = np.zeros((new, old))
    for i in range(new):
        place = (i + 0.5) * old / new - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            rows[i, np.clip(tap, 0, old - 1)] += cubic(place - tap, a)
    return rows


@pytest.mark.parametrize("height, width", [(48, 64), (128, 128), (192, 256)])
def test_the_bicubic_resize_is_cubic_convolution_with_opencvs_kernel(height, width):
    clips = noise(1, 2, 2, height, width)
    expected = cubic_rows(height, 128) @ clips.double().numpy() @ cubic_rows(width, 128).T
    assert np.abs(c3d.resize_bicubic(clips, 128).numpy() - expected).max() < 1e-5


def test_the_bicubic_of_pillow_has_another_kernel():
    frame = noise(64, 64)
    theirs = np.asarray(Image.fromarray(frame.numpy()).resize((128, 128), Image.Resampling.BICUBIC))[8:-8, 8:-8]
    rows = cubic_rows(64, 128, a=-0.5)[8:-8]
    assert np.abs(rows @ frame.double().numpy() @ rows.T - theirs).max() < 1e-5
    ours = c3d.resize_bicubic(frame[None, None, None], 128)[0, 0, 0, 8:-8, 8:-8].numpy()
    assert np.abs(ours - theirs).max() > 0.05


def test_the_bilinear_resize_lays_corner_on_corner():
    ramp = torch.linspace(0, 1, 5).expand(1, 1, 1, 3, 5)
    assert torch.allclose(c3d.resize_corners(ramp, 9)[0, 0, 0], torch.linspace(0, 1, 9).expand(9, 9))
    clips = noise(1, 1, 1, 40, 30)
    places = [np.linspace(0, length - 1, 112) for length in (40, 30)]
    expected = np.array([np.interp(places[1], np.arange(30), row) for row in clips[0, 0, 0].numpy()])
    expected = np.array([np.interp(places[0], np.arange(40), column) for column in expected.T]).T
    assert np.abs(c3d.resize_corners(clips, 112)[0, 0, 0].numpy() - expected).max() < 1e-5


def test_each_protocol_subtracts_its_own_part_of_the_mean_clip():
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(171.0), indexing="ij")
    black = -torch.ones(1, 3, 16, 64, 64)
    for place, first, second in ((columns, 29, 8), (rows, 8, 8)):
        mean = place.expand(c3d.MEAN_SHAPE)
        assert tgan_input(black, mean).unique().neg().flip(0).tolist() == list(range(first, first + 112))
        assert tganv2_input(black, mean).unique().neg().flip(0).tolist() == list(range(second, second + 112))


def test_the_mean_clip_meets_the_frame_and_the_channel_that_it_was_made_for():
    mean = torch.zeros(c3d.MEAN_SHAPE)
    mean[0, 3] = 50.0  # blue, frame 3
    clips = torch.zeros(1, 3, 16, 64, 64)
    clips[:, 2, 3] = 50 / 128  # blue is the last channel of RGB
    for prepare in (tgan_input, tganv2_input):
        assert torch.allclose(prepare(clips, mean), torch.full((1, 3, 16, 112, 112), 128.0), atol=1e-3)


def test_a_judge_of_files_scores_clips_as_the_steps_one_by_one_do(tmp_path):
    network, clips = narrow(), noise(2, 3, 16, 48, 64)
    weights, mean = chainer_file(network, tmp_path / "c3d.npz"), mean_file(tmp_path / "mean2.npz")
    clip = torch.from_numpy(np.load(mean)["mean"]).double().numpy()
    bgr = (clips.double().numpy() * 128 + 128)[:, ::-1]

    tgan = cubic_rows(48, 128) @ bgr @ cubic_rows(64, 128).T - clip[..., 21:149]
    expected = network(torch.from_numpy(tgan[..., 8:120, 8:120]).float())
    judge = c3d.tgan_judge(weights, mean, width=1)
    assert torch.allclose(judge.network(clips), expected, rtol=1e-4, atol=1e-4)

    v2 = c3d.resize_corners(torch.from_numpy(bgr.copy()), 112) - torch.from_numpy(clip[..., 8:120, 8:120])
    logits, features = (c3d.tganv2_judge(weights, mean, layer, width=1) for layer in ("fc8", "fc7"))
    assert torch.allclose(logits.network(clips), network(v2.float()), rtol=1e-4, atol=1e-4)
    assert torch.allclose(features.network(clips), network.features(v2.float()), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(judge.network(clips), logits.network(clips), rtol=1e-2)

    assert judge.protocol["network"] != logits.protocol["network"]
    assert judge.protocol["network_sha256"] == logits.protocol["network_sha256"] != judge.protocol["mean_sha256"]
    assert features.protocol["layer"] == "fc7"


class Script(nn.Module):
    """Stands for StyleGAN-V's file: bytes to probabilities, or to rows that are none."""

    def __init__(self, honest: bool) -> None:
        super().__init__()
        self.honest = honest

    def forward(self, clips: Tensor) -> Tensor:
        assert clips.dtype == torch.uint8
        rows = torch.stack([clips.float().mean([1, 2, 3, 4]), torch.zeros(len(clips))], 1) / 255
        return torch.stack([rows[:, 0], 1 - rows[:, 0], rows[:, 1]], 1) if self.honest else rows


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_styleganvs_script_sees_bytes_and_its_probabilities_become_logits(tmp_path):
    for name, honest in (("good", True), ("bad", False)):
        torch.jit.script(Script(honest)).save(tmp_path / name)
    clips = noise(2, 3, 16, 4, 4)
    logits = c3d.styleganv_judge(tmp_path / "good").network(clips)
    share = to_bytes(clips).float().mean((1, 2, 3, 4)) / 255
    assert torch.allclose(logits.softmax(1), torch.stack([share, 1 - share, 0 * share], 1).double())
    with pytest.raises(ArgumentError, match="rows do not sum to 1"):
        c3d.styleganv_judge(tmp_path / "bad").network(clips)


def test_a_missing_file_is_named_with_the_place_where_it_is():
    with pytest.raises(CheckpointError, match=r"no weights of C3D: there is no file none.npz.*rezoo/tgan2.*BY-NC"):
        load_c3d("none.npz")
    with pytest.raises(CheckpointError, match=r"no mean clip of C3D: there is no file none.npz.*mean2.npz"):
        load_mean("none.npz")


class Anything:
    """What only a pickle can hold."""


def test_a_file_that_is_no_list_of_tensors_is_refused(tmp_path):
    def refused(name: str, match: str) -> None:
        with pytest.raises(CheckpointError, match=match):
            load_c3d(tmp_path / name, width=1)

    torch.save(Anything(), tmp_path / "object.pt")
    refused("object.pt", "cannot read the weights of C3D")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    refused("list.pt", "no dict of tensors")
    np.savez(tmp_path / "object.npz", **{"conv1a/W": np.array([Anything()])})
    refused("object.npz", "cannot read the weights of C3D.*allow_pickle")
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and no more")
    refused("damaged.npz", "cannot read")
    (tmp_path / "damaged.safetensors").write_bytes(b"no header")
    refused("damaged.safetensors", "safetensors")
    (tmp_path / "c3d.caffemodel").write_bytes(b"")
    refused("c3d.caffemodel", r'ends in ".caffemodel": give .npz')


def test_another_network_is_refused(tmp_path):
    torch.save(C3D(width=1, classes=487).state_dict(), tmp_path / "sports.pt")
    with pytest.raises(CheckpointError, match="not this C3D.*fc8.*101"):
        load_c3d(tmp_path / "sports.pt", width=1)
    with pytest.raises(CheckpointError, match="not this C3D.*conv1a"):
        load_c3d(chainer_file(narrow(), tmp_path / "narrow.npz"))


def test_another_mean_clip_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"shape \(3, 16, 112, 112\), not \(3, 16, 128, 171\)"):
        load_mean(mean_file(tmp_path / "cropped.npz", torch.full((3, 16, 112, 112), 100.0)))
    with pytest.raises(CheckpointError, match=r"runs from 0.5 to 0.5, not in 0 to 255"):
        load_mean(mean_file(tmp_path / "scaled.npz", torch.full(c3d.MEAN_SHAPE, 0.5)))
    with pytest.raises(CheckpointError, match="runs from nan"):
        load_mean(mean_file(tmp_path / "nan.npz", torch.full(c3d.MEAN_SHAPE, torch.nan)))
    np.savez(tmp_path / "unnamed.npz", np.zeros(3))
    with pytest.raises(CheckpointError, match='holds arr_0, and no tensor "mean"'):
        load_mean(tmp_path / "unnamed.npz")


def test_unprepared_clips_and_unknown_layers_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"shape \(1, 3, 16, 128, 128\): C3D reads \(B, 3, 16, 112, 112\)"):
        narrow()(torch.zeros(1, 3, 16, 128, 128))
    with pytest.raises(ArgumentError, match='layer="pool5": must be "fc8".*"fc7"'):
        c3d.tganv2_judge("c3d.npz", "mean2.npz", layer="pool5")
