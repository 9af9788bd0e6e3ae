"""nuwa-pytorch alone: a training step of its VQGAN and of its NUWA with 3-D nearby attention, and generation.

    python benchmarks/nuwa.py --json results/bench-nuwa.json

Our NUWA will stand beside it when its chapter is there. The VQGAN is trained without its perceptual and adversarial
terms, whose network it would have to download. NUWA sees codes, so that its tokenizer costs it nothing. Generation
has no cache in the peer, and guides with a second pass.
"""

import torch
from harness import PEER, Built, Case, need, run

PACKAGE = "nuwa-pytorch"
FRAMES, SIZE, CODES, WIDTH = 4, 32, 128, 64
GRID = SIZE // 4  # codes a side
WORDS, LONGEST = 64, 16


def peer_vqgan() -> torch.nn.Module:
    return need("nuwa_pytorch", PACKAGE).VQGanVAE(
        dim=16,
        image_size=SIZE,
        num_layers=2,
        vq_codebook_size=CODES,
        vq_codebook_dim=32,  # generation needs it to be that of the deepest layer
        attn_heads=4,
        attn_dim_head=16,
        use_vgg_and_gan=False,
    )


def peer_nuwa(frames: int = FRAMES) -> torch.nn.Module:
    return need("nuwa_pytorch", PACKAGE).NUWA(
        dim=WIDTH,
        vae=peer_vqgan(),
        max_video_frames=frames,
        text_num_tokens=WORDS,
        text_max_seq_len=LONGEST,
        text_enc_depth=2,
        text_enc_dim_head=16,
        text_enc_heads=4,
        enc_reversible=True,  # the plain encoder does not run
        dec_depth=4,
        dec_dim_head=16,
        dec_heads=4,
    )


def stepping(module: torch.nn.Module, loss, counted: tuple[torch.nn.Module, ...]) -> Built:
    """A training step with fused Adam."""
    adam = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=3e-4, fused=True)

    def call() -> None:
        loss().backward()
        adam.step()
        adam.zero_grad()

    return Built(call, counted)


def vqgan_step() -> Built:
    model, images = peer_vqgan(), torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return stepping(model, lambda: model(images, return_loss=True), (model,))


def captions(n: int) -> torch.Tensor:
    return torch.randint(1, WORDS, (n, LONGEST), generator=torch.Generator().manual_seed(0))


def nuwa_step() -> Built:
    model, text = peer_nuwa(), captions(4)
    codes = torch.randint(CODES, (4, FRAMES, GRID, GRID), generator=torch.Generator().manual_seed(1))
    return stepping(model, lambda: model(text=text, video=codes, return_loss=True), own(model))


def nuwa_generation() -> Built:
    model, text = peer_nuwa(frames=1), captions(1)
    return Built(lambda: model.generate(text=text, num_frames=1), own(model))


def own(model: torch.nn.Module) -> tuple[torch.nn.Module, ...]:
    """Its networks without the tokenizer."""
    return tuple(child for name, child in model.named_children() if name != "vae")


CASES = {
    "vqgan_training": Case(f"a step of the VQGAN on 4 images of 3 x {SIZE} x {SIZE}", PACKAGE, {PEER: vqgan_step}, 4),
    "nuwa_training": Case(
        f"a step of NUWA on 4 clips of {FRAMES} x {GRID} x {GRID} codes, width {WIDTH}", PACKAGE, {PEER: nuwa_step}, 4
    ),
    "nuwa_generation": Case(f"generating one frame, {GRID} x {GRID} codes", PACKAGE, {PEER: nuwa_generation}, 1),
}

if __name__ == "__main__":
    run(__file__, CASES, [PACKAGE])
