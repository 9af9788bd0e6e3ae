"""The model on the contributor's page is a model: it trains, samples, and keeps the rules of the interface."""

import re
from pathlib import Path

import pytest
import torch

from vidgen_lab.core import ArgumentError, Draw

PAGE = Path(__file__).resolve().parents[2] / "book" / "developer.md"


@pytest.fixture(scope="module")
def page() -> dict:
    """All names that the page's code defines, after running it: the model file, then its first training."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    first = next(i for i, block in enumerate(blocks) if "class Toy(Model)" in block)
    names = {"__name__": "__main__"}  # a dataclass looks up the module that it is told it lives in
    for block in blocks[first : first + 2]:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


def test_the_example_trains_for_three_steps_and_samples(page):
    assert [record["step"] for record in page["history"]] == [0, 1, 2]
    assert all(record["autoencoder/reconstruction"] > 0 for record in page["history"])
    assert page["images"].shape == (16, 1, 28, 28) and page["images"].abs().max() <= 1


def test_the_example_moves_every_parameter_and_draws_all_its_noise(page):
    torch.manual_seed(0)
    model = page["Toy"](page["ToyConfig"](width=16))
    batch = {"image": torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1}
    first, again = (model("autoencoder", batch, Draw(0)).total for _ in range(2))
    assert torch.equal(first, again)
    first.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_example_learns_and_its_seed_decides_its_samples(page):
    from vidgen_lab import fit

    preset = page["Toy"].presets["ci"].override(width=32)
    torch.manual_seed(0)
    model = page["Toy"](preset.config, preset.recipe)
    history = fit(model, steps=60, device="cpu", progress=False)
    assert history[-1]["autoencoder/reconstruction"] < 0.5 * history[0]["autoencoder/reconstruction"]
    samples = [model.sample(2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(samples[0], samples[1]) and not torch.equal(samples[0], samples[2])


def test_the_example_refuses_what_cannot_work_and_says_why(page):
    with pytest.raises(ArgumentError, match="latent_dim=0: give 1 or more"):
        page["ToyConfig"](latent_dim=0)
