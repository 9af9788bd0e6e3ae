"""LatteTransformer3DModel of diffusers alone: a training step of a small diffusion transformer on clips.

    python benchmarks/latte.py --json results/bench-latte.json

Our video diffusion will stand beside it when its chapter is there.
"""

import torch
from harness import PEER, Built, Case, need, run

PACKAGE = "diffusers"
SHAPE = (4, 1, 8, 16, 16)  # clips (B, C, T, H, W)
HEADS, WIDTH, LAYERS, PATCH = 4, 16, 2, 2


def peer() -> Built:
    """Predicts the noise in noisy clips."""
    batch, channels, frames, size, _ = SHAPE
    model = need("diffusers", PACKAGE).LatteTransformer3DModel(
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH,
        in_channels=channels,
        out_channels=channels,
        num_layers=LAYERS,
        sample_size=size,
        patch_size=PATCH,
        video_length=frames,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        attention_bias=True,
        activation_fn="gelu-approximate",
        caption_channels=HEADS * WIDTH,
        cross_attention_dim=HEADS * WIDTH,
    )
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)
    noisy, noise = torch.randn(2, *SHAPE, generator=generator)
    times = torch.randint(1000, (batch,), generator=generator)
    caption = torch.zeros(batch, 1, HEADS * WIDTH)

    def call() -> None:
        predicted = model(noisy, timestep=times, encoder_hidden_states=caption).sample
        torch.nn.functional.mse_loss(predicted, noise).backward()
        adam.step()
        adam.zero_grad()

    return Built(call, (model,))


CASES = {
    "training": Case(
        f"a training step on clips of {SHAPE}, width {HEADS * WIDTH}", PACKAGE, {PEER: peer}, items=SHAPE[0]
    )
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
