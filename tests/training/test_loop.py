"""The loop, phase by phase, on the smallest models that show it."""

import json
import math
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from vidgen_lab import create_model
from vidgen_lab.core import (
    ArgumentError,
    CheckpointError,
    DataConfig,
    Draw,
    Losses,
    Model,
    NonFiniteError,
    Optimizer,
    Phase,
    Recipe,
    write_weights,
)
from vidgen_lab.data import Ring
from vidgen_lab.training import initialise, read_log, set_learning_rate
from vidgen_lab.zoo import load_model


@dataclass(frozen=True)
class PairConfig:
    width: int = 2


class Pair(Model):
    """Two networks with a phase each; the second sees the first, as a generator sees its critic."""

    name = "pair"
    output = "points"
    averaged = ("left",)
    phases = (Phase("left", updates=("left",)), Phase("right", updates=("right",)))

    def __init__(self, recipe: Recipe | None = None) -> None:
        super().__init__(PairConfig(), recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.left = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
            self.right = nn.Linear(2, 2)

    def left_loss(self, batch, draw):
        return Losses({"error": (self.left(batch["points"]) - batch["points"]).square().mean()})

    def right_loss(self, batch, draw):
        return Losses({"error": (self.right(self.left(batch["points"])) - batch["points"]).square().mean()})


def recipe(**settings) -> Recipe:
    """Plain gradient descent at rate 0.1 on every phase of Pair, unless told otherwise."""
    optimizers = {"left": Optimizer("sgd", lr=0.1), "right": Optimizer("sgd", lr=0.1)}
    return Recipe(**{"data": DataConfig("ring"), "batch_size": 8, "steps": 4, "optimizers": optimizers, **settings})


class Watched(Ring):
    """A ring that remembers the batches it gave."""

    seen = ()

    def __getitems__(self, indices):
        self.seen += (super().__getitems__(indices),)
        return self.seen[-1]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# one step


def test_one_step_of_plain_descent_is_the_step_done_by_hand(runs):
    model, by_hand = runs.gan(), runs.gan()
    descend = {"discriminator": Optimizer("sgd", lr=0.5), "generator": Optimizer("sgd", lr=0.25)}
    model.recipe = recipe(optimizers=descend, steps=1)
    data = Watched(length=64)
    runs.fit(model, data=data)
    for phase, rate in (("discriminator", 0.5), ("generator", 0.25)):
        by_hand.zero_grad()
        by_hand(phase, data.seen[0], Draw(0, 0, 1)).total.backward()
        with torch.no_grad():
            for parameter in getattr(by_hand, phase).parameters():
                parameter -= rate * parameter.grad
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(model.parameters(), by_hand.parameters(), strict=True))


def test_a_phase_runs_when_the_step_divides_by_its_every(runs):
    model, generators = runs.gan(critic_steps=3, ema_decay=0.9), []
    averages = []

    def keep(step, model, record):
        generators.append(weights(model.generator))
        averages.append({name: tensor.clone() for name, tensor in model.ema.items()})

    history = runs.fit(model, data=runs.points(), steps=7, callback=keep)
    ran = [record["step"] for record in history if "generator/adversarial" in record]
    assert ran == [0, 3, 6] and all("discriminator/real" in record for record in history)
    moved = [step for step in range(1, 7) if not same(generators[step - 1], generators[step])]
    averaged = [step for step in range(1, 7) if not same(averages[step - 1], averages[step])]
    assert moved == averaged == [3, 6]


def test_two_phases_can_share_an_optimiser(runs):
    class Shared(Pair):
        phases = (Phase("left", ("left",), optimizer="both"), Phase("right", ("right", "left"), optimizer="both"))

    settings = Optimizer("adamw", lr=0.1, betas=(0.5, 0.9), weight_decay=0.1)
    model, by_hand = Shared(recipe(optimizers={"both": settings})), Shared()
    for child in (model.left, by_hand.left):
        child[2].p = 0.0  # the hand-made loop below has no seeds for dropout
    data = Watched(length=64)
    runs.fit(model, data=data)
    optimizer = torch.optim.AdamW(
        [*by_hand.left.parameters(), *by_hand.right.parameters()],
        lr=0.1,
        betas=(0.5, 0.9),
        weight_decay=0.1,
        fused=True,
    )
    for batch in data.seen:
        for phase in by_hand.phases:
            optimizer.zero_grad()
            by_hand(phase.name, batch, Draw(0)).total.backward()
            optimizer.step()
    assert same(weights(model), weights(by_hand))


def test_after_step_comes_after_the_optimiser_and_before_the_next_phase(runs):
    class Clipped(Pair):
        calls = ()

        def left_loss(self, batch, draw):
            self.before = self.left[0].weight.detach().clone()
            return super().left_loss(batch, draw)

        def right_loss(self, batch, draw):
            assert self.left[0].weight.abs().max() <= 0.01
            return super().right_loss(batch, draw)

        @torch.no_grad()
        def after_step(self, phase, draw):
            self.calls += ((phase, draw.step, float(draw.shared().uniform("x", ()))),)
            if phase == "left":
                assert not torch.equal(self.left[0].weight, self.before), "the optimiser had not stepped yet"
                for parameter in self.left.parameters():
                    parameter.clamp_(-0.01, 0.01)

    model = Clipped(recipe(steps=2))
    runs.fit(model)
    assert [call[:2] for call in model.calls] == [("left", 0), ("right", 0), ("left", 1), ("right", 1)]
    assert len({number for *_, number in model.calls}) == 4, "each phase and step draws numbers of its own"
    assert all(p.abs().max() <= 0.01 for p in model.left.parameters())


def test_clipping_makes_the_step_of_each_phase_exactly_as_long_as_the_largest_norm(runs):
    def lengths(**settings):
        model = Pair(recipe(steps=1, **settings))
        before = {name: [p.detach().clone() for p in getattr(model, name).parameters()] for name in ("left", "right")}
        runs.fit(model)
        return {
            name: math.sqrt(
                sum(
                    (a - b).square().sum().item() for a, b in zip(parts, getattr(model, name).parameters(), strict=True)
                )
            )
            for name, parts in before.items()
        }

    assert lengths(clip_norm=1e-2) == {"left": pytest.approx(1e-3, rel=1e-3), "right": pytest.approx(1e-3, rel=1e-3)}
    assert min(lengths().values()) > 1e-2


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        (Optimizer(lr=0.8), {0: 0.8, 99: 0.8}),
        (Optimizer(lr=0.8, schedule="linear", final_lr=0.2), {0: 0.8, 50: 0.5, 100: 0.2}),
        (Optimizer(lr=0.8, schedule="cosine"), {0: 0.8, 25: 0.4 * (1 + math.sqrt(0.5)), 50: 0.4, 100: 0.0}),
        (Optimizer(lr=0.8, warmup=4), {0: 0.2, 1: 0.4, 3: 0.8, 4: 0.8, 99: 0.8}),
        (Optimizer(lr=0.8, schedule="cosine", final_lr=0.2, warmup=20), {9: 0.4, 20: 0.8, 60: 0.5, 100: 0.2}),
        (Optimizer(lr=0.8, schedule="linear", warmup=100), {99: 0.8, 100: 0.8}),
    ],
)
def test_the_rate_follows_its_schedule_from_end_to_end(settings, rates):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=123.0)
    for step, rate in rates.items():
        set_learning_rate(optimizer, settings, step, 100)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate, abs=1e-12), step


def test_the_schedule_reaches_the_optimiser_of_each_phase(runs):
    optimizers = {"left": Optimizer("sgd", lr=1.0, warmup=10**9), "right": Optimizer("sgd", lr=1.0)}
    model = Pair(recipe(optimizers=optimizers))
    before = weights(model)
    runs.fit(model)
    assert torch.allclose(model.left[3].weight, before["left.3.weight"], atol=1e-6), "a rate of 1e-9 moves nothing"
    assert not torch.allclose(model.right.weight, before["right.weight"], atol=1e-3)


# averaged weights


def test_the_average_is_its_closed_form_with_the_warm_up(runs):
    model = runs.gan(ema_decay=0.3)
    expected, decays = {name: tensor.clone() for name, tensor in model.averaged_tensors().items()}, []

    def average(step, model, record):
        decays.append(min(0.3, (1 + step) / (10 + step)))
        for name, live in model.averaged_tensors().items():
            expected[name] = decays[-1] * expected[name] + (1 - decays[-1]) * live.detach()

    runs.fit(model, data=runs.points(), steps=6, callback=average)
    assert decays[:4] == [0.1, pytest.approx(2 / 11), 0.25, 0.3], "both sides of the minimum are met"
    assert model.ema.keys() == expected.keys() == {n for n, _ in model.named_parameters() if n.startswith("gen")}
    assert all(torch.allclose(model.ema[name], tensor, atol=1e-7) for name, tensor in expected.items())
    assert not torch.allclose(model.ema["generator.layers.0.weight"], model.generator.layers[0].weight)


def test_buffers_are_copied_into_the_average_and_not_averaged(runs):
    model = Pair(recipe(ema_decay=0.9))
    runs.fit(model)
    norm = model.left[1]
    assert torch.equal(model.ema["left.1.running_mean"], norm.running_mean) and norm.running_mean.abs().max() > 0
    assert model.ema["left.1.num_batches_tracked"] == norm.num_batches_tracked == 8
    assert not torch.equal(model.ema["left.0.weight"], model.left[0].weight)


def test_a_later_run_without_an_average_does_not_sample_from_the_old_one(runs):
    model = runs.gan(ema_decay=0.9)
    runs.fit(model, data=runs.points(), steps=2)
    model.recipe = recipe(optimizers=model.recipe.optimizers)
    runs.fit(model, data=runs.points(), steps=2)
    live = model.generator(torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(model.sample(3, generator=torch.Generator().manual_seed(0)), live)


# precision and micro-batches


def test_bf16_trains_fp32_weights_and_the_next_run_is_as_if_nothing_had_been(runs):
    def trained(precision):
        model = runs.gan(precision=precision)
        return model, runs.fit(model, data=runs.points(), steps=5)

    plain, plain_history = trained("no")
    half, half_history = trained("bf16")
    assert {tensor.dtype for tensor in half.state_dict().values()} == {torch.float32}
    assert half_history != plain_history and not same(weights(half), weights(plain)), "nothing ran in bf16"
    assert half_history[-1]["discriminator/real"] == pytest.approx(plain_history[-1]["discriminator/real"], rel=0.05)
    again, again_history = trained("no")
    assert same(weights(again), weights(plain)) and again_history == plain_history

    half.recipe = plain.recipe  # and the same model, bf16 before, now in full precision
    fresh = runs.gan()
    fresh.load_state_dict(half.state_dict())
    assert runs.fit(half, data=runs.points(), steps=3) == runs.fit(fresh, data=runs.points(), steps=3)
    assert same(weights(half), weights(fresh))


def test_a_second_run_of_a_model_is_in_bf16_too(runs):
    model = runs.gan(precision="bf16")
    seen = []
    for layer in model.generator.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda layer, given, made: seen.append(made.dtype))
    for _ in range(2):
        seen.clear()
        runs.fit(model, data=runs.points(), steps=1)
        assert torch.bfloat16 in seen


def test_fp16_on_a_cpu_is_refused_and_not_silently_ignored(runs):
    with pytest.raises(ArgumentError, match='precision="fp16": a CPU cannot train in it. Use precision="bf16"'):
        runs.fit(runs.gan(precision="fp16"), data=runs.points(), steps=1)


def test_four_micro_batches_are_one_batch(runs):
    def trained(accumulate):
        descend = {name: Optimizer("sgd", lr=0.1) for name in ("generator", "discriminator")}  # adam knows no scale
        model, rows = runs.gan(accumulate=accumulate, batch_size=16, r1=0.5, ema_decay=0.9, optimizers=descend), set()
        model.discriminator.register_forward_pre_hook(lambda module, inputs: rows.add(len(inputs[0])))
        return model, runs.fit(model, data=runs.points(), steps=20), rows

    one, one_history, one_rows = trained(1)
    four, four_history, four_rows = trained(4)
    assert (one_rows, four_rows) == ({16}, {4})
    pairs = zip(one.state_dict().values(), four.state_dict().values(), strict=True)
    assert max((a - b).abs().max().item() for a, b in pairs) < 2e-6  # 6e-7 was seen
    for first, second in zip(one_history, four_history, strict=True):
        assert second == {key: pytest.approx(value, abs=2e-5) for key, value in first.items()}


def test_a_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(ArgumentError, match="accumulate=3 does not divide batch_size=8. Nearest: batch_size=6"):
        recipe(accumulate=3)


# randomness


def test_no_global_generator_changes_a_run_and_dropout_follows_the_seed(runs):
    def trained(seed, everywhere):
        torch.manual_seed(everywhere)
        random.seed(everywhere)
        np.random.seed(everywhere)
        model = Pair(recipe())
        runs.fit(model, data=runs.points(), seed=seed)
        return weights(model)

    first = trained(0, everywhere=1)
    assert same(first, trained(0, everywhere=2))
    assert not same(first, trained(1, everywhere=1))


# where a run starts from


def test_init_from_takes_what_has_the_same_name_and_shape(runs, tmp_path):
    small, large = runs.gan(seed=1), runs.gan(seed=2, discriminator_widths=(8, 8), ema_decay=0.9)
    write_weights(small, tmp_path / "small.safetensors")
    before = weights(large)
    taken = initialise(large, tmp_path / "small.safetensors")
    assert "discriminator.layers.0.weight" in taken and "discriminator.layers.2.weight" not in taken
    for name, tensor in large.state_dict().items():
        assert torch.equal(tensor, small.state_dict()[name] if name in taken else before[name])


def test_a_run_starts_from_another_run_and_so_does_its_average(runs, tmp_path):
    runs.fit(runs.gan(seed=1), tmp_path / "first", data=runs.points(), steps=2)
    source = load_model(tmp_path / "first")
    model = runs.gan(seed=2, ema_decay=0.9999)
    freeze = {name: Optimizer("sgd", lr=1e-12) for name in ("generator", "discriminator")}
    model.recipe = recipe(optimizers=freeze, ema_decay=0.9)
    model.ema = {name: torch.full_like(tensor, 7.0) for name, tensor in model.averaged_tensors().items()}
    runs.fit(model, data=runs.points(), steps=1, init_from=tmp_path / "first")
    assert all(torch.allclose(model.state_dict()[name], t, atol=1e-6) for name, t in source.state_dict().items())
    assert all(torch.allclose(t, source.state_dict()[name], atol=1e-6) for name, t in model.ema.items())


def test_init_from_a_stranger_is_refused(runs, tmp_path):
    write_weights(create_model("digits-2d", width=4), tmp_path / "d.safetensors")
    with pytest.raises(CheckpointError, match="d.safetensors shares no tensor of equal name and shape with gan"):
        runs.fit(runs.gan(), data=runs.points(), steps=1, init_from=tmp_path / "d.safetensors")


# what is refused before anything is trained


class Wordless(Model):
    name = "wordless"


def test_runs_that_cannot_work_are_refused_by_name(runs):
    def refused(message, model=None, **options):
        with pytest.raises(ArgumentError, match=message):
            runs.fit(model or runs.gan(), **{"data": runs.points(), **options})

    refused("steps=0: must be 1 or more", steps=0)
    refused("save_every=0: must be 1 step or more", steps=1, save_every=0)
    refused("resume=True needs out=FOLDER", steps=1, resume=True)
    refused('device="tpu": use "cpu"', steps=1, device="tpu")
    refused('pair has no recipe. Build it with create_model\\("pair"', Pair())
    refused("wordless lists no phases", Wordless(None, Recipe()))
    refused("at most batch_size=4", runs.gan(batch_size=8), data=Ring(length=4), steps=1)
    missing = Pair(recipe(optimizers={"left": Optimizer(), "rigth": Optimizer()}))
    refused('phase "right" of pair asks for the optimiser "right"; the recipe has left, rigth', missing)
    if not torch.cuda.is_available():
        refused('device="cuda": this machine has none', steps=1, device="cuda")


def test_a_file_for_sampling_only_cannot_be_trained_on_and_says_so(runs, tmp_path):
    write_weights(runs.gan(), tmp_path / "g.safetensors", children=("generator",))
    with pytest.raises(ArgumentError, match='trains "discriminator", which holds no weights .*init_from'):
        runs.fit(load_model(tmp_path / "g.safetensors"), data=runs.points(), steps=1)


# losses that are not finite


class TurnsNaN(Dataset):
    """Ring points; from a given batch on, one of them is not a number."""

    def __init__(self, good: int) -> None:
        self.ring, self.good, self.batches = Ring(length=64), good, 0

    def __len__(self) -> int:
        return len(self.ring)

    def __getitems__(self, indices):
        batch = self.ring.__getitems__(indices)
        self.batches += 1
        if self.batches > self.good:
            batch["points"][0] = float("nan")
        return batch


def test_a_loss_that_turns_nan_stops_the_run_and_keeps_the_last_good_state(runs, tmp_path):
    model, kept = runs.gan(ema_decay=0.9), {}

    def keep(step, model, record):
        kept["live"], kept["ema"] = weights(model), {name: tensor.clone() for name, tensor in model.ema.items()}

    with pytest.raises(
        NonFiniteError, match=r"step 5: discriminator/real is nan.*last good state is .*step-00000004\."
    ):
        runs.fit(model, tmp_path / "run", data=TurnsNaN(good=5), steps=20, save_every=2, callback=keep)
    assert same(weights(model), kept["live"]) and same(model.ema, kept["ema"])
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert torch.isfinite(load_model(tmp_path / "run").sample(4)).all()
    assert [record["step"] for record in read_log(tmp_path / "run" / "log.jsonl")] == [0, 1, 2, 3, 4]
    assert model.training and all(p.requires_grad for p in model.parameters())
    runs.fit(model, data=runs.points(), steps=1)


def test_a_nan_in_the_second_phase_leaves_that_phases_weights_as_they_were(runs):
    class Breaks(Pair):
        def right_loss(self, batch, draw):
            losses = super().right_loss(batch, draw)
            return Losses({"error": losses.total * (float("inf") if draw.step == 1 else 1.0)})

    model, kept = Breaks(recipe()), {}
    with pytest.raises(NonFiniteError, match="step 1: right/error is inf; stopped before the right update. No state"):
        runs.fit(model, callback=lambda step, model, record: kept.update(weights(model)))
    assert torch.equal(model.right.weight, kept["right.weight"])
    assert not torch.equal(model.left[0].weight, kept["left.0.weight"])


def test_weights_that_are_not_finite_are_never_saved(runs, tmp_path):
    def spoil(step, model, record):
        if step == 3:
            with torch.no_grad():
                model.generator.layers[0].weight[0, 0] = float("inf")

    with pytest.raises(NonFiniteError, match=r"step 4: weight generator.layers.0.weight is not finite; not saved"):
        runs.fit(runs.gan(), tmp_path, data=runs.points(), steps=8, save_every=2, callback=spoil)
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]


# a model with a held-out loss


class Passes(Model):
    """One number that falls by 0.1 a step and is best, held out, when it passes -0.5."""

    name = "passes"
    output = "points"
    phases = (Phase("fall", updates=("number",), optimizer="main"),)
    validates = True

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(PairConfig(), recipe)
        self.number = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.number.weight)

    def fall_loss(self, batch, draw):
        return Losses({"value": self.number.weight.sum()})

    def validation_loss(self, batch, draw):
        assert not torch.is_grad_enabled() and not self.training
        return (self.number.weight.sum() + 0.5).square()


def passes(steps):
    return Passes(recipe(steps=steps, optimizers={"main": Optimizer("sgd", lr=0.1)}))


def test_a_model_with_a_held_out_loss_keeps_its_best_state_and_ends_with_it(runs, tmp_path):
    model = passes(12)
    runs.fit(model, tmp_path, save_every=1)
    assert model.number.weight.item() == pytest.approx(-0.5)
    kept = sorted(folder.name for folder in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-00000005", "step-00000011", "step-00000012"]
    assert json.loads((tmp_path / "manifest.json").read_text())["best"] == {"step": 5, "value": pytest.approx(0)}


def test_a_resumed_run_remembers_its_best_state(runs, tmp_path):
    runs.fit(passes(9), tmp_path, save_every=1)
    resumed = passes(12)
    runs.fit(resumed, tmp_path, save_every=1, resume=True)
    assert resumed.number.weight.item() == pytest.approx(-0.5)


def test_a_held_out_loss_needs_a_test_split_only_where_states_are_kept(runs, tmp_path):
    runs.fit(passes(2), data=runs.points())
    with pytest.raises(ArgumentError, match="give data as a DataConfig, which has a test split"):
        runs.fit(passes(2), tmp_path, data=runs.points())
