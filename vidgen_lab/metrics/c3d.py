"""C3D: the network of the inception score of UCF-101, and how clips are prepared for it. [tran2015c3d]

    layer           kernel  output for a clip of 3x16x112x112
    conv1a          3x3x3   64x16x112x112
    pool1           1x2x2   64x16x56x56
    conv2a          3x3x3   128x16x56x56
    pool2           2x2x2   128x8x28x28
    conv3a, conv3b  3x3x3   256x8x28x28
    pool3           2x2x2   256x4x14x14
    conv4a, conv4b  3x3x3   512x4x14x14
    pool4           2x2x2   512x2x7x7
    conv5a, conv5b  3x3x3   512x2x7x7
    pool5           2x2x2   512x1x4x4: the last window is half empty
    fc6, fc7                4096
    fc8                     101

A ReLU follows each layer but the last. Dropout acts in training only and has no weights, so it is left out.
Ports that pad both sides of pool5 instead shift all its windows by one, and their scores are others.

TGAN and TGANv2 use the same weights and the same mean clip, and prepare clips differently:

    step    TGAN                    TGANv2
    pixels  128 x + 128             128 x + 128
    resize  bicubic, to 128x128     bilinear, to 112x112
            as OpenCV does          corner on corner
    order   BGR                     BGR
    mean    columns 21 to 148       rows and columns 8 to 119
            of 171: the middle      left of the middle
    crop    the middle 112x112      none

The scale of 128 fits data that were (pixel - 128) / 128. Data in this package are pixel / 127.5 - 1, so real clips come
out 0.4 % brighter than in the published code.

Where to get the files. The README of github.com/pfnet-research/tgan2 names `conv3d_deepnetA_ucf.npz` and `mean2.npz`,
both at github.com/rezoo/tgan2/releases/tag/v1.0. The weights are those of C3D (github.com/facebookarchive/C3D),
fine-tuned on UCF-101; C3D's licence is CC BY-NC 3.0, and we found none for the two files. StyleGAN-V
(github.com/universome/stylegan-v) names `c3d_ucf101.pt`, TGANv2's C3D as TorchScript, at
www.dropbox.com/s/jxpu7avzdc9n97q; we found no licence for it.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool3d

from vidgen_lab.core import ArgumentError, CheckpointError
from vidgen_lab.core.weights import read_tensors, sha256
from vidgen_lab.metrics.published import FRAMES, UNREADABLE, Judge, load_script, to_bytes

CLASSES = 101  # of UCF-101
SIZE = 112  # of the frames that C3D sees, pixels
MEAN_SHAPE = (3, FRAMES, 128, 171)  # the mean clip of the training videos, in BGR

SOURCE = (
    "Get conv3d_deepnetA_ucf.npz and mean2.npz, the files of TGANv2, at github.com/rezoo/tgan2/releases/tag/v1.0. "
    "C3D is under CC BY-NC 3.0; we found no licence for the two files."
)
SCRIPT_SOURCE = (
    "Get c3d_ucf101.pt, the file of StyleGAN-V, at www.dropbox.com/s/jxpu7avzdc9n97q. We found no licence for it."
)


class C3D(nn.Module):
    """Eight convolutions and three linear layers: 78,409,573 parameters at the published width.

    Args:
        width: channels of the first layer; all others follow. Published: 64.
        classes: published: 101.
    """

    def __init__(self, width: int = 64, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv1a = _convolution(3, width)
        self.conv2a = _convolution(width, 2 * width)
        self.conv3a = _convolution(2 * width, 4 * width)
        self.conv3b = _convolution(4 * width, 4 * width)
        self.conv4a = _convolution(4 * width, 8 * width)
        self.conv4b = _convolution(8 * width, 8 * width)
        self.conv5a = _convolution(8 * width, 8 * width)
        self.conv5b = _convolution(8 * width, 8 * width)
        self.fc6 = nn.Linear(8 * width * 4 * 4, 64 * width)
        self.fc7 = nn.Linear(64 * width, 64 * width)
        self.fc8 = nn.Linear(64 * width, classes)

    def features(self, clips: Tensor) -> Tensor:
        """Prepared clips `(B, 3, 16, 112, 112)` to the features of fc7 after their ReLU, `(B, 64 * width)`."""
        if clips.dim() != 5 or clips.shape[1:] != (3, FRAMES, SIZE, SIZE):
            raise ArgumentError(f"clips has shape {tuple(clips.shape)}: C3D reads (B, 3, {FRAMES}, {SIZE}, {SIZE}).")
        x = _pool(self.conv1a(clips).relu(), frames=1)
        x = _pool(self.conv2a(x).relu())
        x = _pool(self.conv3b(self.conv3a(x).relu()).relu())
        x = _pool(self.conv4b(self.conv4a(x).relu()).relu())
        x = _pool(self.conv5b(self.conv5a(x).relu()).relu())
        return self.fc7(self.fc6(x.flatten(1)).relu()).relu()

    def forward(self, clips: Tensor) -> Tensor:
        """Prepared clips `(B, 3, 16, 112, 112)` to logits `(B, classes)`."""
        return self.fc8(self.features(clips))


def load_c3d(path: Path | str, width: int = 64, device: torch.device | str = "cpu") -> C3D:
    """C3D with your weights, in eval mode.

    Args:
        path: a file of tensors only: .npz with Chainer's names (`conv1a/W`, `conv1a/b`), or .safetensors, .pt or .pth
            with torch's (`conv1a.weight`, `conv1a.bias`). Chainer keeps its tensors in torch's order of axes.
        width: of the network in the file.

    Raises:
        CheckpointError: no file, a file of another kind, or another network; says where the published one is.
    """
    path = Path(path)
    tensors = {
        name.replace("/W", ".weight").replace("/b", ".bias"): tensor.float()
        for name, tensor in _read(path, "weights").items()
    }
    with torch.device("meta"):
        network = C3D(width)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} is not this C3D: {' '.join(str(error).split())} {SOURCE}") from error
    return network.to(device).eval().requires_grad_(False)


def load_mean(path: Path | str) -> Tensor:
    """Your mean clip, `(3, 16, 128, 171)` in BGR on the scale of 0 to 255.

    Args:
        path: .npz, .safetensors, .pt or .pth with a tensor `mean`.

    Raises:
        CheckpointError: no file, no `mean` in it, another shape or another scale; says where the published one is.
    """
    path = Path(path)
    tensors = _read(path, "mean clip")
    if "mean" not in tensors:
        raise CheckpointError(f'{path} holds {", ".join(tensors) or "nothing"}, and no tensor "mean". {SOURCE}')
    mean = tensors["mean"].float()
    if mean.shape != MEAN_SHAPE:
        raise CheckpointError(f"the mean clip in {path} has shape {tuple(mean.shape)}, not {MEAN_SHAPE}. {SOURCE}")
    low, high = mean.min().item(), mean.max().item()
    if not (low >= 0 and 1 < high <= 255):
        raise CheckpointError(f"the mean clip in {path} runs from {low:.4g} to {high:.4g}, not in 0 to 255. {SOURCE}")
    return mean


def tgan_judge(weights: Path | str, mean: Path | str, width: int = 64, device: torch.device | str = "cpu") -> Judge:
    """The judge of `tgan_inception_score`: your C3D and your mean clip, prepared as TGAN prepares clips."""
    network, clip = load_c3d(weights, width, device), load_mean(mean).to(device)
    stated = _protocol("TGAN", weights, mean) | {"layer": "fc8"}
    return Judge(lambda clips: network(tgan_input(clips.to(device), clip)), stated)


def tganv2_judge(
    weights: Path | str,
    mean: Path | str,
    layer: Literal["fc8", "fc7"] = "fc8",
    width: int = 64,
    device: torch.device | str = "cpu",
) -> Judge:
    """The judge of `tganv2_inception_score` (layer fc8) and of `tganv2_distance` (fc7, after its ReLU)."""
    if layer not in ("fc8", "fc7"):
        raise ArgumentError(f'layer="{layer}": must be "fc8", for logits, or "fc7", for features.')
    network, clip = load_c3d(weights, width, device), load_mean(mean).to(device)
    read = network if layer == "fc8" else network.features
    stated = _protocol("TGANv2", weights, mean) | {"layer": layer}
    return Judge(lambda clips: read(tganv2_input(clips.to(device), clip)), stated)


def styleganv_judge(script: Path | str, device: torch.device | str = "cpu") -> Judge:
    """The judge of `styleganv_inception_score`: a TorchScript file that turns bytes into probabilities of 101 classes.

    The published file prepares frames itself; what it does inside was not checked here.
    """
    network = load_script(script, SCRIPT_SOURCE, device)

    def logits(clips: Tensor) -> Tensor:
        probabilities = network(to_bytes(clips.to(device))).double()
        if probabilities.min() < 0 or (probabilities.sum(1) - 1).abs().max() > 1e-3:
            raise ArgumentError(f"{script} gives no probabilities: its rows do not sum to 1. {SCRIPT_SOURCE}")
        return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()  # p log p is 0 at 0

    return Judge(logits, {"network": "C3D, UCF-101, TorchScript", "network_sha256": sha256(Path(script))})


def tgan_input(clips: Tensor, mean: Tensor) -> Tensor:
    """`(B, 3, 16, H, W)` RGB in [-1, 1] to what TGAN shows C3D, `(B, 3, 16, 112, 112)`.

    Source: saito2017tgan, evaluation/calc_inception.py.
    """
    clips = to_bgr(resize_bicubic(to_pixels(clips), mean.shape[2]))  # (B, 3, 16, 128, 128)
    return middle(clips - mean[..., 21:149])


def tganv2_input(clips: Tensor, mean: Tensor) -> Tensor:
    """`(B, 3, 16, H, W)` RGB in [-1, 1] to what TGANv2 shows C3D, `(B, 3, 16, 112, 112)`.

    Source: saito2020tganv2, tgan2/models/c3d/c3d_ucf101.py.
    """
    clips = to_bgr(resize_corners(to_pixels(clips), SIZE))  # (B, 3, 16, 112, 112)
    return clips - mean[..., 8 : 8 + SIZE, 8 : 8 + SIZE]


def to_pixels(clips: Tensor) -> Tensor:
    """[-1, 1] to [0, 256]: 128 x + 128."""
    return clips * 128 + 128


def resize_bicubic(clips: Tensor, size: int) -> Tensor:
    """Frames to `size` x `size` as OpenCV's INTER_CUBIC: a kernel with a = -0.75, no smoothing, may overshoot."""
    return interpolate(clips.flatten(1, 2), (size, size), mode="bicubic").unflatten(1, clips.shape[1:3])


def resize_corners(clips: Tensor, size: int) -> Tensor:
    """Frames to `size` x `size` as Chainer's resize_images: bilinear, the corners of old and new on each other."""
    resized = interpolate(clips.flatten(1, 2), (size, size), mode="bilinear", align_corners=True)
    return resized.unflatten(1, clips.shape[1:3])


def to_bgr(clips: Tensor) -> Tensor:
    """Channels in reverse: RGB to BGR."""
    return clips.flip(1)


def middle(clips: Tensor) -> Tensor:
    """The middle 112 x 112 pixels of frames of 128 x 128."""
    start = (clips.shape[-1] - SIZE) // 2
    return clips[..., start : start + SIZE, start : start + SIZE]


def _convolution(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, kernel_size=3, padding=1)


def _pool(clips: Tensor, frames: int = 2) -> Tensor:
    return max_pool3d(clips, (frames, 2, 2), ceil_mode=True)  # a window that sticks out counts with what it covers


def _protocol(published: str, weights: Path | str, mean: Path | str) -> dict[str, str]:
    return {
        "network": f"C3D, UCF-101, input of {published}",
        "network_sha256": sha256(Path(weights)),
        "mean_sha256": sha256(Path(mean)),
    }


def _read(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a file that holds nothing else."""
    if not path.is_file():
        raise CheckpointError(f"no {what} of C3D: there is no file {path}. {SOURCE}")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        if path.suffix == ".safetensors":
            return read_tensors(path)[0]
        if path.suffix in (".pt", ".pth"):
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(tensors, dict) and all(isinstance(tensor, Tensor) for tensor in tensors.values()):
                return tensors
            raise CheckpointError(f"{path} is no dict of tensors: save network.state_dict() alone.")
    except UNREADABLE as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"cannot read the {what} of C3D from {path}: {reason} {SOURCE}") from error
    raise CheckpointError(f'{path} ends in "{path.suffix}": give .npz, .safetensors, .pt or .pth. {SOURCE}')
