"""I3D: the network of the Frechet video distance, and how clips are prepared for it. [carreira2017quo]

The features are the 400 logits of an I3D trained on Kinetics-400, averaged over time. The network is a TorchScript
file of yours.

    step    FVD, reference code     StyleGAN-V
    bytes   none                    127.5 x + 128, truncated
    resize  bilinear, to 224x224    inside the script
            as TensorFlow 1 does
    scale   to [-1, 1]              inside the script
    output  logits                  logits

TensorFlow 1 resizes without half-pixel centres: pixel i of the new row is read at place i * old / new of the old one.
Torch and TensorFlow 2 read at (i + 1/2) * old / new - 1/2. From 64 pixels to 224 that is 0.36 of an old pixel apart.

Where to get the file. The code of StyleGAN-V (github.com/universome/stylegan-v) names `i3d_torchscript.pt`, at
www.dropbox.com/s/ge9e5ujwgetktms. It is DeepMind's module i3d-kinetics-400 of TensorFlow Hub as TorchScript. Its author
compares the two at github.com/universome/fvd-comparison: on 4 random clips the logits are 3e-4 apart. We found no
licence for the file; DeepMind's own I3D (github.com/google-deepmind/kinetics-i3d) is under Apache 2.0.
"""

from pathlib import Path

import torch
from torch import Tensor

from vidgen_lab.core.weights import sha256
from vidgen_lab.metrics.published import Judge, load_script, to_bytes

SIZE = 224  # of the frames that I3D sees, pixels

SOURCE = (
    "Get i3d_torchscript.pt, the file of StyleGAN-V, at www.dropbox.com/s/ge9e5ujwgetktms. DeepMind's own I3D is under "
    "Apache 2.0; we found no licence for this file."
)


def fvd_judge(script: Path | str, device: torch.device | str = "cpu") -> Judge:
    """The judge of `fvd`: clips are resized here as the reference code resizes them, and the script gets them ready."""
    network = load_script(script, SOURCE, device)

    def logits(clips: Tensor) -> Tensor:
        return network(resize_tf1(clips.to(device), SIZE), rescale=False, resize=False, return_features=True)

    return Judge(logits, _protocol(script) | {"resize": "bilinear 224x224, TensorFlow 1"})


def styleganv_judge(script: Path | str, device: torch.device | str = "cpu") -> Judge:
    """The judge of `styleganv_fvd`: the script gets bytes and prepares them itself."""
    network = load_script(script, SOURCE, device)

    def logits(clips: Tensor) -> Tensor:
        return network(to_bytes(clips.to(device)), rescale=True, resize=True, return_features=True)

    return Judge(logits, _protocol(script) | {"resize": "inside the script"})


def resize_tf1(clips: Tensor, size: int) -> Tensor:
    """Frames to `size` x `size` as `tf.image.resize_bilinear` of TensorFlow 1: bilinear, without half-pixel centres.

    `(B, C, T, H, W)` to `(B, C, T, size, size)`. It does not smooth, so it skips pixels of frames above `size`.
    """
    rows, columns = (_taps(length, size).to(clips) for length in clips.shape[-2:])  # (size, H), (size, W)
    return rows @ clips @ columns.T


def _taps(length: int, size: int) -> Tensor:
    """How much of each old pixel a new one takes: `(size, length)`, rows that sum to 1."""
    place = torch.arange(size, dtype=torch.float64) * length / size
    low = place.long()
    high = (low + 1).clamp_max(length - 1)
    share = place - low
    new = torch.arange(size)
    taps = torch.zeros(size, length, dtype=torch.float64)
    taps[new, low] += 1 - share
    taps[new, high] += share  # at the last pixel high is low, and the two shares add up
    return taps


def _protocol(script: Path | str) -> dict[str, str]:
    return {"network": "I3D, Kinetics-400, TorchScript", "network_sha256": sha256(Path(script))}
