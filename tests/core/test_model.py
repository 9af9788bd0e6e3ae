"""The interface, proved on a miniature video model: condition, prefix, another length, a sampling option."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError, Draw, Losses, Model, Phase, count_parameters, latent_normal
from vidgen_lab.core.model import Batch


@dataclass(frozen=True)
class MiniVideoConfig:
    frames: int = 4
    size: int = 2
    latent_dim: int = 3


class MiniVideo(Model):
    """A clip is its first frame (or the last of the prefix) drifting along a learned direction, scaled by a digit."""

    name = "mini-video"
    output = "video"
    conditions = ("digit", "prefix")
    averaged = ("generator",)
    phases = (
        Phase("critic", updates=("critic",)),
        Phase("generator", updates=("generator",), optimizer="slow", every=2),
    )

    def __init__(self, config: MiniVideoConfig) -> None:
        super().__init__(config)
        self.generator = nn.Sequential(nn.Linear(config.latent_dim + 1, config.size**2), nn.Dropout(0.5))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(config.frames * config.size**2, 1))

    def make(self, latent: Tensor, digit: Tensor, prefix: Tensor | None, frames: int) -> Tensor:
        size = self.config.size
        drift = self.generator(torch.cat([latent, digit[:, None].float()], 1)).view(-1, 1, 1, size, size)
        start = torch.zeros_like(drift) if prefix is None else prefix[:, :, -1:]
        times = torch.arange(1, frames + 1, device=latent.device).view(1, 1, -1, 1, 1)
        return (start + times * drift).tanh()  # (B, 1, T, H, W)

    def critic_loss(self, batch: Batch, draw: Draw) -> Losses:
        fake = self.fake(batch, draw).detach()
        return Losses({"real": -self.critic(batch["video"]).mean(), "fake": self.critic(fake).mean()})

    def generator_loss(self, batch: Batch, draw: Draw) -> Losses:
        fake = self.fake(batch, draw)
        return Losses({"adversarial": -self.critic(fake).mean()}, log={"size": fake.abs().mean()})

    def fake(self, batch: Batch, draw: Draw) -> Tensor:
        latent = draw.normal("latent", (len(batch["digit"]), self.config.latent_dim))
        return self.make(latent, batch["digit"], None, self.config.frames)

    def _sample(
        self,
        n: int,
        frames: int | None,
        condition: Batch,
        generator: torch.Generator | None,
        *,
        temperature: float = 1.0,
    ) -> Tensor:
        if "digit" not in condition:
            raise ArgumentError(f'{self.name} needs the condition "digit"; example_condition gives one.')
        latent = temperature * latent_normal(n, self.config.latent_dim, self.device, generator)
        return self.make(latent, condition["digit"], condition.get("prefix"), frames or self.config.frames)

    def example_condition(self, n: int, generator: torch.Generator | None = None) -> Batch:
        return {"digit": torch.randint(0, 10, (n,), generator=generator)}


@pytest.fixture
def model() -> MiniVideo:
    torch.manual_seed(0)
    return MiniVideo(MiniVideoConfig())


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


BATCH = {"video": torch.rand(6, 1, 4, 2, 2, generator=rng()) * 2 - 1, "digit": torch.arange(6)}


def test_a_phase_gives_gradients_to_its_children_only(model):
    for phase, other in (("critic", "generator"), ("generator", "critic")):
        model.zero_grad()
        losses = model(phase, BATCH, Draw(0))
        losses.total.backward()
        assert all(p.grad is not None for p in getattr(model, phase).parameters())
        assert all(p.grad is None for p in getattr(model, other).parameters())


def test_the_total_is_the_sum_of_the_terms_and_not_of_the_log():
    losses = Losses({"a": torch.tensor(1.0), "b": torch.tensor(2.5)}, log={"c": torch.tensor(9.0)})
    assert losses.total == 3.5


def test_a_phase_draws_under_its_own_name(model):
    model.eval()
    drawn = model("generator", BATCH, Draw(0, 7)).log["size"]
    fake = model.fake(BATCH, Draw(0, 7).at("generator"))
    assert torch.equal(drawn, fake.abs().mean())
    assert not torch.equal(drawn, model.fake(BATCH, Draw(0, 7).at("critic")).abs().mean())


def test_a_phase_that_does_not_exist_is_refused_with_the_nearest(model):
    with pytest.raises(ArgumentError, match='no phase "generatr"; did you mean "generator"'):
        model("generatr", BATCH, Draw(0))


def test_the_optimizer_of_a_phase_is_its_own_name_unless_it_says_another(model):
    assert [phase.optimizer_name for phase in model.phases] == ["critic", "slow"]


def test_a_condition_a_prefix_a_length_and_an_option_all_reach_the_clip(model):
    digit = {"digit": torch.full((5,), 3)}
    base = model.sample(5, condition=digit, generator=rng())
    assert base.shape == (5, 1, 4, 2, 2) and not base.requires_grad
    assert torch.equal(base, model.sample(5, condition=digit, generator=rng()))
    assert not torch.equal(base, model.sample(5, condition={"digit": torch.full((5,), 4)}, generator=rng()))
    assert not torch.equal(base, model.sample(5, condition=digit, generator=rng(1)))
    longer = model.sample(5, frames=9, condition=digit, generator=rng())
    assert longer.shape[2] == 9 and torch.equal(longer[:, :, :4], base)
    prefix = {**digit, "prefix": torch.full((5, 1, 2, 2, 2), 2.0)}
    assert (model.sample(5, condition=prefix, generator=rng()) > base).all()
    still = model.sample(5, condition=digit, generator=rng(), temperature=0.0)
    assert torch.equal(still[0], still[4])


def test_the_sampling_options_are_the_keyword_only_arguments_of_sample(model):
    assert model.sampling_options() == {"temperature": 1.0}
    with pytest.raises(ArgumentError, match='no sampling option "temprature"; did you mean "temperature"'):
        model.sample(2, condition=model.example_condition(2), temprature=0.5)


def test_what_sample_cannot_do_is_said(model):
    with pytest.raises(ArgumentError, match='needs the condition "digit"; example_condition gives one'):
        model.sample(2)
    with pytest.raises(ArgumentError, match='condition "digit" has 3 rows for n=2 samples. Give 2 rows'):
        model.sample(2, condition=model.example_condition(3))
    with pytest.raises(ArgumentError, match='no condition "colour".*takes digit, prefix'):
        model.sample(2, condition={"colour": torch.zeros(2)})
    with pytest.raises(ArgumentError, match="n=-1"):
        model.sample(-1)


def test_sampling_is_in_eval_mode_and_leaves_the_mode_as_it_was(model):
    model.train()
    condition = model.example_condition(3, rng())
    assert torch.equal(*(model.sample(3, condition=condition, generator=rng()) for _ in range(2))), "dropout was on"
    assert model.training and model.generator.training
    model.eval()
    model.sample(3, condition=condition)
    assert not model.training


def test_averaged_weights_are_on_inside_and_off_again_even_after_an_error(model):
    live = model.generator[0].weight.clone()
    model.ema = {name: torch.full_like(tensor, 2.0) for name, tensor in model.averaged_tensors().items()}
    assert set(model.ema) == {"generator.0.weight", "generator.0.bias"}
    with pytest.raises(RuntimeError, match="inside"), model.inference():
        assert (model.generator[0].weight == 2).all()
        assert (model.critic[1].weight != 2).any()
        raise RuntimeError("inside")
    assert torch.equal(model.generator[0].weight, live) and model.training


def test_each_network_is_counted_also_without_memory():
    with torch.device("meta"):
        assert count_parameters(MiniVideo(MiniVideoConfig())) == {"generator": 4 * 4 + 4, "critic": 16 + 1}
