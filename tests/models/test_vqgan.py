"""VQGAN: a VQ-VAE with a discriminator; the adaptive weight, who moves in which phase, what the codebook may see."""

from dataclasses import replace

import pytest
import torch

from vidgen_lab import create_model
from vidgen_lab.core import ArgumentError, Draw, write_weights
from vidgen_lab.models.vqgan import VQGAN, PatchDiscriminator, VQGANConfig
from vidgen_lab.zoo import load_model

TINY = VQGANConfig(
    channels=1, size=8, widths=(6, 8), blocks=0, num_codes=6, code_dim=4, leak=0.2,
    discriminator_widths=(4, 5), adversarial_from=0.0,
)  # fmt: skip


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


BATCH = {"image": images(4, 1, 8, 8)}


def built(config: VQGANConfig = TINY) -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(config)


def test_each_phase_moves_its_own_networks_and_every_parameter_of_them():
    model = built(replace(TINY, quantizer="gradient"))
    for phase in model.phases:
        model.zero_grad()
        model(phase.name, BATCH, Draw(0)).total.backward()
        for name, parameter in model.named_parameters():
            if name.split(".")[0] in phase.updates:
                assert parameter.grad.abs().sum() > 0, name
            else:
                assert parameter.grad is None, name
    assert {child for phase in model.phases for child in phase.updates} == dict(model.named_children()).keys()


def test_the_adaptive_weight_makes_the_two_gradients_at_the_last_layer_stand_in_their_ratio():
    model = built(replace(TINY, adversarial=0.5))
    losses = model("autoencoder", BATCH, Draw(0))
    last = model.decoder.last.weight
    norms = {
        name: torch.autograd.grad(losses.terms[name], last, retain_graph=True)[0].norm()
        for name in ("reconstruction", "adversarial")
    }
    assert torch.allclose(norms["adversarial"], 0.5 * norms["reconstruction"], rtol=1e-3)


def test_the_adversarial_term_is_its_weight_times_the_softplus_of_minus_each_patch_s_logit():
    model = built()
    losses = model("autoencoder", BATCH, Draw(0))
    again = built()
    again.codebook(again.encoder(BATCH["image"]), Draw(0).at("autoencoder"))  # its codebook starts
    fooled = again.discriminator(again.decoder(again.codebook.eval()(again.encoder(BATCH["image"])).latent))
    expected = losses.log["weight"] * (1 + (-fooled).exp()).log().mean()
    assert torch.allclose(losses.terms["adversarial"], expected, rtol=1e-4)


def test_the_weight_of_a_silent_discriminator_stays_finite():
    weights = []
    for variance in (1.0, 1e-4):  # a weak and a strong reconstruction
        model = built(replace(TINY, adversarial=0.5, variance=variance))
        for parameter in model.discriminator.parameters():
            torch.nn.init.zeros_(parameter)
        losses = model("autoencoder", BATCH, Draw(0))
        weights.append(losses.log["weight"].item())
        (gradient,) = torch.autograd.grad(losses.terms["reconstruction"], model.decoder.last.weight)
        assert weights[-1] == pytest.approx(0.5 * min(gradient.norm().item() / 1e-6, 1e4), rel=1e-3)
    assert weights[0] < weights[1] == 0.5 * 1e4


def test_the_adaptive_weight_is_a_number_and_not_something_to_learn():
    assert not built()("autoencoder", BATCH, Draw(0)).log["weight"].requires_grad


def test_the_decoder_hears_the_discriminator_only_from_its_part_of_the_run_on():
    model = built(replace(TINY, adversarial_from=0.5))
    heard = ["adversarial" in model("autoencoder", BATCH, Draw(0, step, 10)).terms for step in (0, 4, 5, 9)]
    assert heard == [False, False, True, True]


def test_without_the_discriminator_it_is_a_vqvae():
    model = built(replace(TINY, adversarial_from=1.0))
    assert set(model("autoencoder", BATCH, Draw(0, 0, 10)).terms) == {"reconstruction", "commitment"}


def test_the_codebook_learns_in_the_autoencoder_s_phase_alone():
    model = built()
    model("autoencoder", BATCH, Draw(0))
    before = {name: tensor.clone() for name, tensor in model.codebook.state_dict().items()}
    model("discriminator", BATCH, Draw(0))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.codebook.state_dict().items())
    assert model.training and model.codebook.training
    model("autoencoder", BATCH, Draw(0, 1))
    assert not torch.equal(before["counts"], model.codebook.counts)


def test_the_discriminator_judges_patches_and_rows_do_not_mix():
    discriminator = PatchDiscriminator(TINY)
    logits = discriminator(images(3, 1, 16, 8))
    assert logits.shape == (3, 4, 2)
    x = images(2, 1, 32, 32)
    y = x.clone()
    y[:, :, :8, :8] = 0  # a corner
    far = (discriminator(x) - discriminator(y)).abs()[:, 4:, 4:]
    assert (far == 0).all()
    assert torch.allclose(discriminator(x.flip(0)).flip(0), discriminator(x), atol=1e-6)


def test_the_discriminator_sees_real_images_and_reconstructions_and_learns_to_tell_them():
    model = built()
    optimizer = torch.optim.Adam(model.discriminator.parameters(), 1e-2)
    for step in range(60):
        optimizer.zero_grad()
        losses = model("discriminator", BATCH, Draw(0, step))
        losses.total.backward()
        optimizer.step()
    assert losses.log["real_logit"] > losses.log["fake_logit"] + 1
    assert {"real", "fake"} <= set(losses.terms)


def test_the_penalty_comes_at_every_fourth_step_four_times_as_strong():
    model, every = built(), built(replace(TINY, penalty_every=1))
    terms = [model("discriminator", BATCH, Draw(0, step)).terms for step in range(5)]
    assert ["r1" in term for term in terms] == [True, False, False, False, True]
    assert torch.allclose(terms[0]["r1"], 4 * every("discriminator", BATCH, Draw(0)).terms["r1"])


def test_a_saved_tokenizer_gives_the_same_codes(tmp_path):
    model = create_model("vqgan", size=8, widths=(6, 8), stem=2, num_codes=6, code_dim=4)
    write_weights(model, tmp_path / "vqgan.safetensors", children=("encoder", "codebook", "decoder"))
    again = load_model(tmp_path / "vqgan.safetensors")
    assert torch.equal(again.encode(BATCH["image"]), model.encode(BATCH["image"]))
    assert torch.equal(again.reconstruct(BATCH["image"]), model.reconstruct(BATCH["image"]))


def test_mistakes_are_named_with_their_fix():
    with pytest.raises(ArgumentError, match=r"discriminator_widths=\(\): give one width or more"):
        replace(TINY, discriminator_widths=())
    with pytest.raises(ArgumentError, match="adversarial_from=2: a part of the run is from 0 to 1"):
        replace(TINY, adversarial_from=2)
    with pytest.raises(ArgumentError, match="penalty_every=0: must be 1 or more"):
        replace(TINY, penalty_every=0)
    with pytest.raises(ArgumentError, match="r1=-1: a weight must be 0 or more"):
        replace(TINY, r1=-1)
