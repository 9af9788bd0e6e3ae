"""video-diffusion-pytorch alone: a training step of its 3-D U-Net and a sampling step, at two sizes.

    python benchmarks/video_diffusion.py --json results/bench-video-diffusion.json

Our video diffusion will stand beside it when its chapter is there. A sampling step is one call of the network without
gradients, the unit in which samplers are counted.
"""

from functools import partial

import torch
from harness import PEER, Built, Case, need, run

PACKAGE = "video-diffusion-pytorch"
SHAPES = {  # clips (B, C, T, H, W) in [0, 1], as the peer wants them; base width; multiples of it by level
    "small": ((8, 1, 8, 16, 16), 16, (1, 2, 4)),
    "large": ((4, 1, 8, 32, 32), 32, (1, 2, 4)),
}


def peer_model(shape: tuple[int, ...], dim: int, dim_mults: tuple[int, ...]) -> torch.nn.Module:
    peer = need("video_diffusion_pytorch", PACKAGE)
    _, channels, frames, size, _ = shape
    unet = peer.Unet3D(dim=dim, dim_mults=dim_mults, channels=channels, attn_heads=4, attn_dim_head=16)
    return peer.GaussianDiffusion(unet, image_size=size, num_frames=frames, channels=channels, timesteps=1000)


def peer_step(shape: tuple[int, ...], dim: int, dim_mults: tuple[int, ...]) -> Built:
    diffusion = peer_model(shape, dim, dim_mults)
    adam = torch.optim.Adam(diffusion.parameters(), lr=1e-4, fused=True)
    clips = torch.rand(shape, generator=torch.Generator().manual_seed(0))

    def call() -> None:
        diffusion(clips).backward()
        adam.step()
        adam.zero_grad()

    return Built(call, (diffusion,))


def peer_sampling(shape: tuple[int, ...], dim: int, dim_mults: tuple[int, ...]) -> Built:
    diffusion = peer_model(shape, dim, dim_mults).eval()
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    step = torch.full((len(noise),), 500)
    return Built(torch.no_grad()(partial(diffusion.denoise_fn, noise, step)), (diffusion,))


CASES = {}
for name, (shape, *sizes) in SHAPES.items():
    about = f"clips of {shape}, width {sizes[0]}"
    CASES[f"{name}_training"] = Case(
        f"a training step on {about}", PACKAGE, {PEER: partial(peer_step, shape, *sizes)}, items=shape[0]
    )
    CASES[f"{name}_sampling"] = Case(
        f"a sampling step of {about}", PACKAGE, {PEER: partial(peer_sampling, shape, *sizes)}, items=shape[0]
    )

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
