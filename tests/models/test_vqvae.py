"""VQ-VAE: shapes of images and clips, what each loss term moves, the published networks, one batch by heart."""

from dataclasses import replace

import pytest
import torch

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, count_parameters, write_weights
from vidgen_lab.models.vqvae import VQVAE, VQVAEConfig
from vidgen_lab.zoo import load_model

TINY = VQVAEConfig(
    channels=1, size=8, widths=(6, 8), stem=2, blocks=1, block_width=4, num_codes=6, code_dim=4, background=-1.0
)
FSQ = replace(TINY, quantizer="fsq", levels=(3, 2))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=rng(seed)) * 2 - 1


def built(config: VQVAEConfig = TINY) -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(config)


def trained(config: VQVAEConfig, batch: dict, steps: int = 150, lr: float = 1e-2) -> tuple[VQVAE, float]:
    """The model after some steps on one batch, and the PSNR of the last."""
    model = built(config)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for step in range(steps):
        optimizer.zero_grad()
        losses = model("autoencoder", batch, Draw(0, step))
        losses.total.backward()
        optimizer.step()
    return model, losses.log["psnr"].item()


def test_the_paper_preset_has_the_published_networks():
    with torch.device("meta"):
        model = create_model("vqvae", preset="paper")
    down = [tuple(p.shape) for name, p in model.encoder.named_parameters() if name.endswith("weight")]
    assert down == [(256, 3, 4, 4), (256, 256, 4, 4)] + 2 * [(256, 256, 3, 3), (256, 256, 1, 1)] + [(64, 256, 1, 1)]
    up = [tuple(p.shape) for name, p in model.decoder.named_parameters() if name.endswith("weight")]
    assert sorted(up[-2:]) == [(256, 3, 4, 4), (256, 256, 4, 4)]
    blocks = 2 * (9 * 256**2 + 256 + 256**2 + 256)
    assert count_parameters(model) == {
        "codebook": 512 * 64,
        "encoder": (16 * 3 * 256 + 256) + (16 * 256**2 + 256) + blocks + (256 * 64 + 64),
        "decoder": (9 * 64 * 256 + 256) + blocks + (16 * 256**2 + 256) + (16 * 256 * 3 + 3),
    }
    assert model.code_shape == (8, 8) and model.num_codes == 512 and model.config.beta == 0.25


@pytest.mark.parametrize("config", [TINY, FSQ], ids=["vq", "fsq"])
@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (3, 1, 12, 20), (2, 1, 5, 8, 8), (1, 1, 1, 4, 8)])
def test_images_and_clips_become_grids_of_codes_and_come_back(config, shape):
    model, x = built(config), images(*shape)
    codes = model.encode(x)
    batch, *frames, height, width = shape[0], *shape[2:]
    assert codes.shape == (batch, *frames, height // 4, width // 4) and codes.dtype == torch.int64
    assert codes.min() >= 0 and codes.max() < model.num_codes == 6
    assert model.decode(codes).shape == x.shape and model.decode(codes).abs().max() <= 1
    assert torch.equal(model.reconstruct(x), model.decode(codes))


def test_a_clip_is_encoded_frame_by_frame():
    model, clip = built(), images(2, 1, 3, 8, 8)
    by_frame = torch.stack([model.encode(clip[:, :, t]) for t in range(3)], dim=1)
    assert torch.equal(model.encode(clip), by_frame)
    assert torch.equal(model.decode(by_frame)[:, :, 1], model.decode(by_frame[:, 1]))


def test_the_grid_of_codes_is_known_before_anything_is_encoded():
    assert built().code_shape == (2, 2)
    clips = built(replace(TINY, clip_frames=5))
    assert clips.code_shape == (5, 2, 2) == tuple(clips.encode(images(1, 1, 5, 8, 8)).shape[1:])


def test_the_loss_is_the_reconstruction_and_the_quantiser_s_terms():
    model, batch = built(replace(TINY, variance=0.2, quantizer="gradient")), {"image": images(3, 1, 8, 8)}
    losses = model("autoencoder", batch, Draw(0))
    assert set(losses.terms) == {"reconstruction", "commitment", "codebook"}
    again = built(replace(TINY, variance=0.2, quantizer="gradient"))
    out = again.codebook(again.encoder(batch["image"]), Draw(0).at("autoencoder"))
    error = (again.decoder(out.latent) - batch["image"]).square().mean()
    assert torch.allclose(losses.terms["reconstruction"], error / (2 * 0.2))
    assert torch.allclose(losses.total, error / (2 * 0.2) + out.terms["codebook"] + out.terms["commitment"])
    assert torch.allclose(losses.log["psnr"], 10 * torch.log10(4 / error))
    assert set(built()("autoencoder", batch, Draw(0)).terms) == {"reconstruction", "commitment"}
    assert set(built(FSQ)("autoencoder", batch, Draw(0)).terms) == {"reconstruction"}


@pytest.mark.parametrize("quantizer", ["ema", "gradient", "fsq"])
def test_a_gradient_reaches_every_parameter_of_the_phase(quantizer):
    model = built(replace(FSQ if quantizer == "fsq" else TINY, quantizer=quantizer, leak=0.2, background=0.0))
    model.encoder.layers[-1].weight.data *= 20  # else FSQ rounds all to 0, and a layer that reads 0 has no gradient
    model("autoencoder", {"image": images(8, 1, 8, 8)}, Draw(0)).total.backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == set(model.phases[0].updates)


def test_scaling_beta_changes_only_the_encoder_s_gradient():
    grads = {}
    for beta in (0.25, 1.0):
        model = built(replace(TINY, beta=beta, quantizer="gradient"))
        model("autoencoder", {"image": images(4, 1, 8, 8)}, Draw(0)).total.backward()
        grads[beta] = {name: p.grad for name, p in model.named_parameters()}
    for name in grads[1.0]:
        assert torch.equal(grads[0.25][name], grads[1.0][name]) != name.startswith("encoder"), name


@pytest.mark.parametrize("config", [TINY, replace(TINY, quantizer="gradient"), FSQ], ids=["ema", "gradient", "fsq"])
def test_one_batch_is_learnt_by_heart(config):
    steps = torch.linspace(-1, 1, 8)
    batch = {"image": torch.stack([steps.expand(8, 8), -steps.expand(8, 8), steps.expand(8, 8).T])[:, None]}
    config = replace(config, widths=(16, 24), leak=0.2, num_codes=16, levels=(4, 4) if config.levels else ())
    assert trained(config, batch, 200)[1] > 22 > 12 > trained(config, batch, steps=1)[1]


def test_in_eval_mode_the_codebook_stays_as_it_is_and_encoding_repeats():
    model, _ = trained(TINY, {"image": images(4, 1, 8, 8)}, steps=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = model.encode(images(4, 1, 8, 8, seed=5))
    assert torch.equal(model.encode(images(4, 1, 8, 8, seed=5)), first) and model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_saved_tokenizer_gives_the_same_codes_and_does_not_start_over(tmp_path):
    model = create_model("vqvae", widths=(6, 8), size=8, num_codes=6, code_dim=4)
    for step in range(3):
        model("autoencoder", {"video": images(20, 1, 3, 8, 8, seed=step)}, Draw(0, step))
    write_weights(model, tmp_path / "tokenizer.safetensors")
    again = load_model(tmp_path / "tokenizer.safetensors")
    x = images(3, 1, 2, 8, 8, seed=1)
    assert torch.equal(again.encode(x), model.encode(x)) and torch.equal(again.reconstruct(x), model.reconstruct(x))
    assert again.codebook.steps == 3 and (again.codebook.counts != 1).any()


def test_a_tokenizer_has_no_samples():
    with pytest.raises(ArgumentError, match="vqvae makes no samples; it gives codes"):
        built().sample(4)


def test_mistakes_are_named_with_their_fix():
    model = built()
    with pytest.raises(ArgumentError, match=r"images of shape \(2, 1, 7, 8\): give \(B, 1, H, W\).*multiples of 4"):
        model.encode(images(2, 1, 7, 8))
    with pytest.raises(ArgumentError, match=r"\(2, 3, 8, 8\)"):
        model.encode(images(2, 3, 8, 8))
    with pytest.raises(ArgumentError, match=r"codes of shape \(4,\): give \(B, h, w\)"):
        model.decode(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ArgumentError, match="codes run from 0 to 6: this codebook has codes from 0 to 5"):
        model.decode(torch.tensor([[[0, 6]]]))
    with pytest.raises(ArgumentError, match='clip_frames=None: this vqvae trains on "image"; the batch has'):
        model("autoencoder", {"video": images(2, 1, 3, 8, 8)}, Draw(0))
    with pytest.raises(ArgumentError, match="size=10: the networks take patches of 4 pixels"):
        replace(TINY, size=10)
    with pytest.raises(ArgumentError, match=r"widths=\(\), stem=2"):
        replace(TINY, widths=())
    with pytest.raises(ArgumentError, match='quantizer="vq": use "ema", "gradient" or "fsq"'):
        replace(TINY, quantizer="vq")
    with pytest.raises(ArgumentError, match=r'quantizer="fsq", levels=\(\): levels belong to "fsq"'):
        replace(TINY, quantizer="fsq")
    with pytest.raises(ArgumentError, match="variance=0: must be above 0"):
        replace(TINY, variance=0)
