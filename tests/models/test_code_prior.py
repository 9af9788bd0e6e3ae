"""The prior over codes: what it learns, what may be asked of it, and that its tokenizer stays as it is."""

import math
from dataclasses import replace

import pytest
import torch

from vidgen_lab import create_model, fit, zoo
from vidgen_lab.core import ArgumentError, Draw, write_weights
from vidgen_lab.models.code_prior import CodePrior, CodePriorConfig
from vidgen_lab.models.vqvae import VQVAE, VQVAEConfig

TOKENIZER = VQVAEConfig(channels=1, size=8, widths=(4, 4), blocks=1, block_width=4, num_codes=6, code_dim=3)
TINY = CodePriorConfig(dim=8, heads=2, layers=2, dropout=0.0)
CODES = 4  # of an image, 2 x 2


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokenizer() -> VQVAE:
    """Untrained, with random codes: every image has its grid."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VQVAE(TOKENIZER).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def prior(config: CodePriorConfig = TINY, spread: float = 0.5) -> CodePrior:
    """Tiny, with weights large enough that what it says differs from place to place."""
    model = CodePrior(config, tokenizer=tokenizer())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.prior.parameters():
            torch.nn.init.normal_(parameter, std=spread)
    return model.eval()


def batch(n: int = 5) -> dict[str, torch.Tensor]:
    images = torch.rand(n, 1, 8, 8, generator=rng()) * 2 - 1
    return {"image": images, "digit": torch.arange(n) % 10}


def all_grids(model: CodePrior) -> torch.Tensor:
    """Every grid of codes that there is, as tokens `(K^L, L)`."""
    return torch.cartesian_prod(*[torch.arange(model.tokenizer.num_codes)] * CODES)


@torch.no_grad()
def log_likelihood(model: CodePrior, tokens: torch.Tensor, digit: int) -> torch.Tensor:
    """log p of each row of tokens, `(N,)`, as the product over places."""
    log_p = model.prior(tokens, torch.full((len(tokens),), digit)).log_softmax(2)  # (N, L, K)
    return log_p.gather(2, tokens[..., None])[..., 0].sum(1)


def test_the_probabilities_of_all_grids_sum_to_one():
    model = prior()
    total = log_likelihood(model, all_grids(model), digit=3).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


def test_samples_come_as_often_as_the_prior_says():
    model = prior(spread=1.0)
    grids = all_grids(model)
    expected = log_likelihood(model, grids, digit=3).exp()
    likeliest = expected.argmax()
    images = model.sample(4000, condition={"digit": torch.full((4000,), 3)}, generator=rng())
    target = model.tokenizer.decode(grids[likeliest].view(1, 2, 2))
    share = (images == target).flatten(1).all(1).float().mean()
    assert expected[likeliest] > 0.02 and share.item() == pytest.approx(expected[likeliest].item(), rel=0.2)


def test_the_loss_is_the_mean_negative_log_likelihood_of_a_token():
    model, data = prior(), batch()
    tokens = model.tokenizer.encode(data["image"]).flatten(1)
    by_hand = [-log_likelihood(model, row[None], int(d)) / CODES for row, d in zip(tokens, data["digit"], strict=True)]
    expected = torch.cat(by_hand).mean()
    assert torch.allclose(model("prior", data, Draw(0)).total, expected, atol=1e-6)
    assert torch.allclose(model.validation_loss(data, Draw(0)), expected, atol=1e-6)


def test_a_fresh_prior_pays_ln_k_nats_a_token():
    model = CodePrior(TINY, tokenizer=tokenizer())
    assert model("prior", batch(), Draw(0)).total.item() == pytest.approx(math.log(6))


def only_reads(model: CodePrior, part: str) -> CodePrior:
    """Its logits follow one table alone, `start` or `positions`: row r says code r, with near certainty."""
    with torch.no_grad():
        for name, parameter in model.prior.named_parameters():
            if name != "norm.weight":
                parameter.zero_()
        table = model.prior.get_parameter(part)
        table.copy_(torch.eye(*table.shape))
        model.prior.norm.weight.fill_(1)
        model.prior.head.weight.copy_(100 * torch.eye(6, TINY.dim))
    return model


def test_codes_are_written_row_by_row():
    model = only_reads(prior(), "positions")
    rows = torch.tensor([[[0, 1], [2, 3]]])
    assert torch.equal(model.sample(1, generator=rng()), model.tokenizer.decode(rows))


def test_a_gradient_reaches_the_prior_and_never_the_tokenizer():
    model = prior().train()
    model("prior", batch(64), Draw(0)).total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.prior.parameters())
    assert all(parameter.grad is None for parameter in model.tokenizer.parameters())
    assert not model.tokenizer.training


def test_it_learns_one_image_by_heart():
    model = prior(spread=0.02)
    optimizer = torch.optim.Adam(model.prior.parameters(), 1e-2)
    data = {"image": batch(1)["image"].expand(4, 1, 8, 8), "digit": torch.arange(4)}
    for _ in range(100):
        optimizer.zero_grad()
        model("prior", data, Draw(0)).total.backward()
        optimizer.step()
    drawn = model.sample(4, condition={"digit": torch.arange(4)}, temperature=0)
    assert torch.equal(drawn, model.tokenizer.reconstruct(data["image"]))


def test_the_digit_that_is_asked_for_decides_the_first_code():
    model, digits = only_reads(prior(), "start.weight"), torch.tensor([4, 0, 5])
    codes = torch.zeros(3, 2, 2, dtype=torch.long)  # at later places nothing is known: greedily, the first code
    codes[:, 0, 0] = digits
    assert torch.equal(model.sample(3, condition={"digit": digits}, temperature=0), model.tokenizer.decode(codes))


def test_all_digits_come_when_none_is_asked_for():
    model = only_reads(prior(), "start.weight")
    images = model.sample(300, temperature=0, generator=rng()).flatten(1)
    each = model.sample(6, condition={"digit": torch.arange(6)}, temperature=0).flatten(1)
    shares = [(images == image).all(1).float().mean().item() for image in each]
    assert shares[1:] == pytest.approx([0.1] * 5, abs=0.05)


def test_a_prior_without_labels_takes_none():
    model = prior(replace(TINY, num_digits=0))
    assert model.sample(2, generator=rng()).shape == (2, 1, 8, 8)
    assert model("prior", {"image": batch()["image"]}, Draw(0)).total > 0
    with pytest.raises(ArgumentError, match='no condition "digit"'):
        model.sample(1, condition={"digit": torch.zeros(1, dtype=torch.long)})


def test_the_same_generator_seed_gives_the_same_samples():
    model = prior()
    first, again, other = (model.sample(6, generator=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_temperature_top_k_and_top_p_reach_the_sampler():
    model, digit = prior(), {"digit": torch.zeros(50, dtype=torch.long)}
    greedy = model.sample(50, condition=digit, temperature=0)
    assert len(greedy.flatten(1).unique(dim=0)) == 1
    for options in ({"top_k": 1}, {"top_p": 1e-6}):
        assert torch.equal(model.sample(50, condition=digit, generator=rng(), **options), greedy)
    assert len(model.sample(50, condition=digit, generator=rng()).flatten(1).unique(dim=0)) > 10


@pytest.mark.parametrize("name", ["vqvae-prior", "vqgan-prior"])
def test_one_file_samples(name, tmp_path):
    below = zoo.entry(name).model_class.stands_on["tokenizer"]
    under = {"widths": (4, 4), "blocks": 1, "block_width": 4, "num_codes": 6, "code_dim": 3}
    small = create_model(below, "image", **under)
    model = create_model(name, tokenizer=small, dim=8, heads=2, layers=1)
    expected = model.sample(3, generator=rng())
    write_weights(model, tmp_path / "prior.safetensors")
    loaded = zoo.load_model(tmp_path / "prior.safetensors")
    assert loaded.name == name and torch.equal(loaded.sample(3, generator=rng()), expected)


def test_the_preset_stands_on_a_tokenizer_of_images_and_training_asks_for_a_trained_one():
    model = create_model("vqvae-prior")
    assert model.tokenizer.preset == "image"
    with pytest.raises(ArgumentError, match="the tokenizer of vqvae-prior is untrained"):
        fit(model, steps=1, device="cpu", progress=False)


def test_mistakes_are_named_with_their_fix():
    model = prior()
    with pytest.raises(ArgumentError, match=r"codes of shape \(5, 2, 2\), those of a clip.*trained on images"):
        CodePrior(TINY, tokenizer=VQVAE(replace(TOKENIZER, clip_frames=5)))
    with pytest.raises(ArgumentError, match='trains with labels.*no "digit".*num_digits=0'):
        model("prior", {"image": batch()["image"]}, Draw(0))
    for digits in ([0, 10], [-1, 0]):
        with pytest.raises(ArgumentError, match=r"give n=2 whole numbers from 0 to 9"):
            model.sample(2, condition={"digit": torch.tensor(digits)})
    with pytest.raises(ArgumentError, match="top_k=0"):
        model.sample(1, top_k=0)
