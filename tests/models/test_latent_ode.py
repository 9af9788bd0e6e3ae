"""TGAN, MoCoGAN and TGANv2 in continuous time: clips at any times, one start with one future or with many."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vidgen_lab.core import ArgumentError, Draw, Model
from vidgen_lab.models.latent_ode import (
    TGANODE,
    TGANSDE,
    MoCoGANODE,
    MoCoGANODEConfig,
    MoCoGANSDE,
    TGANODEConfig,
    TGANv2ODE,
    TGANv2ODEConfig,
    TGANv2SDE,
    Walk,
)
from vidgen_lab.training.memory import predict_memory

TGAN_TINY = TGANODEConfig(
    frames=4,
    size=16,
    latent_dim=6,
    start_widths=(8,),
    generator_widths=(8, 4),
    discriminator_widths=(4, 8),
    step=1 / 12,
)
MOCOGAN_TINY = MoCoGANODEConfig(
    frames=8,
    size=16,
    content_dim=5,
    motion_dim=6,
    start_widths=(8,),
    generator_widths=(8, 4),
    video_widths=(4, 8),
    image_widths=(4, 8),
    video_frames=8,
    image_frames=2,
    step=1 / 28,
)
TGANV2_TINY = TGANv2ODEConfig(
    frames=4,
    size=16,
    latent_dim=6,
    base=4,
    recurrent_width=6,
    widths=(6, 4),
    levels=2,
    discriminator_widths=(4, 8),
    time_strides=(2,),
    batch_strides=(1,),
    step=1 / 12,
)
MODELS = {
    TGANODE: TGAN_TINY,
    TGANSDE: TGAN_TINY,
    MoCoGANODE: MOCOGAN_TINY,
    MoCoGANSDE: MOCOGAN_TINY,
    TGANv2ODE: TGANV2_TINY,
    TGANv2SDE: TGANV2_TINY,
}
each_model = pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.name)
each_ode = pytest.mark.parametrize("kind", [TGANODE, MoCoGANODE, TGANv2ODE], ids=lambda kind: kind.name)
each_vector_ode = pytest.mark.parametrize("kind", [TGANODE, MoCoGANODE], ids=lambda kind: kind.name)
each_sde = pytest.mark.parametrize("kind", [TGANSDE, MoCoGANSDE, TGANv2SDE], ids=lambda kind: kind.name)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(kind: type[Model], seed: int = 0, **changes) -> Model:
    torch.manual_seed(seed)
    return kind(replace(MODELS[kind], **changes))


def clips(model: Model, rows: int = 3) -> dict[str, Tensor]:
    batch = {"video": torch.rand(rows, *model.config.shape, generator=rng(5)) * 2 - 1}
    return batch | {name: torch.randint(2, (rows,), generator=rng(6)) for name in model.config.labels}


def dynamics(model: Model) -> nn.Module:
    if isinstance(model, TGANv2ODE):
        return model.generator.recurrent
    return model.generator.temporal if isinstance(model, TGANODE) else model.generator.motion


def weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@each_model
def test_clips_have_a_frame_for_each_time(kind):
    model = build(kind)
    assert model.sample(3).shape == (3, *model.config.shape)
    assert model.sample(2, frames=7).shape[2] == 7
    odd = model.sample(2, times=[0.0, 0.4, 9.0], generator=rng())
    assert odd.shape == (2, 1, 3, 16, 16) and odd.abs().max() <= 1


@each_model
def test_frames_between_frames_leave_those_as_they_are(kind):
    """Eight times as many: every eighth frame is the one that the slow clip shows."""
    model = build(kind)
    slow = model.sample(3, times=[0, 1, 2, 3], generator=rng())
    fast = model.sample(3, times=[k / 8 for k in range(25)], generator=rng())
    near = 1e-3 if kind is TGANv2ODE else 1e-4  # a leaky ReLU has a kink, which finer steps meet elsewhere
    torch.testing.assert_close(fast[:, :, ::8], slow, atol=near, rtol=0)
    assert (fast[:, :, 4] - fast[:, :, 0]).abs().max() > 1e-4


@each_model
def test_a_longer_clip_begins_as_the_shorter_one(kind):
    model = build(kind)
    short, long = (model.sample(3, frames=count, generator=rng()) for count in (4, 9))
    torch.testing.assert_close(long[:, :, :4], short, atol=1e-5, rtol=0)


@each_ode
def test_there_is_time_before_the_first_frame_and_it_leads_to_the_first_frame(kind):
    model = build(kind)
    before = model.sample(2, times=[-2, -1, 0, 1], generator=rng())
    assert torch.equal(before[:, :, 2:], model.sample(2, times=[0, 1], generator=rng()))
    assert (before[:, :, 0] - before[:, :, 2]).abs().max() > 1e-4


@each_sde
def test_one_start_has_many_futures_and_one_first_frame(kind):
    model = build(kind)
    fan = model.sample(6, futures=3, generator=rng()).unflatten(0, (2, 3))
    assert torch.equal(fan[:, :1, :, 0].expand(-1, 3, -1, -1, -1), fan[:, :, :, 0])
    assert (fan[:, 1:] - fan[:, :1]).abs().amax((2, 3, 4, 5)).min() > 1e-4
    assert (fan[0, 0, :, 0] - fan[1, 0, :, 0]).abs().max() > 1e-4


@each_sde
def test_the_futures_of_one_start_show_the_same_digit_unless_asked_otherwise(kind):
    model = build(kind, labels=("digit",))
    nn.init.zeros_(dynamics(model).equation.g[0].weight)
    nn.init.zeros_(dynamics(model).equation.g[0].bias)
    for seed in range(3):
        pairs = model.sample(8, condition={}, futures=2, generator=rng(seed)).unflatten(0, (4, 2))
        assert torch.equal(pairs[:, 0], pairs[:, 1])
    asked = model.sample(4, condition={"digit": torch.arange(4)}, futures=4, generator=rng())
    assert not torch.equal(asked[0], asked[1])


@each_sde
def test_without_diffusion_all_futures_are_one(kind):
    model = build(kind)
    equation = dynamics(model).equation
    nn.init.zeros_(equation.g[0].weight)
    nn.init.zeros_(equation.g[0].bias)
    fan = model.sample(4, futures=4, generator=rng())
    assert torch.equal(fan[:1].expand(4, -1, -1, -1, -1), fan)


@each_model
def test_a_still_equation_makes_a_still_clip(kind):
    model = build(kind)
    equation = dynamics(model).equation
    for parameter in equation.parameters():
        nn.init.zeros_(parameter)
    clip = model.sample(2, frames=4, generator=rng())
    torch.testing.assert_close(clip, clip[:, :, :1].expand(-1, -1, 4, -1, -1), atol=1e-6, rtol=0)


@each_model
def test_every_parameter_gets_a_gradient_in_its_phase(kind):
    labels = ("digit", "direction")
    model, draw = build(kind, labels=labels).train(), Draw(0)
    batch = clips(model)
    for phase in model.phases:
        model.zero_grad()
        model(phase.name, batch, draw).total.backward()
        for child in phase.updates:
            silent = [
                name for name, p in getattr(model, child).named_parameters() if p.grad is None or not p.grad.any()
            ]
            silent = [name for name in silent if "bias" not in name or "norm" in name]  # a mean before a norm is lost
            assert not silent, (phase.name, silent)


@each_model
def test_the_same_draw_is_the_same_loss_and_another_step_another(kind):
    model, batch = build(kind), clips(build(kind))
    first, again, other = (model("generator", batch, Draw(0, step)).total for step in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@each_model
def test_same_seed_same_samples_also_after_saving(kind, tmp_path):
    model, copy = build(kind), build(kind, seed=1)
    assert torch.equal(model.sample(3, generator=rng()), model.sample(3, generator=rng()))
    copy.load_state_dict(model.state_dict())
    assert torch.equal(model.sample(3, generator=rng()), copy.sample(3, generator=rng()))


@each_vector_ode
@pytest.mark.parametrize("order, form", [(2, "published"), (3, "published"), (2, "textbook"), (3, "textbook")])
def test_higher_orders_build_train_and_sample(kind, order, form):
    model = build(kind, order=order, form=form).train()
    model("generator", clips(model), Draw(0)).total.backward()
    encoders = dynamics(model).encoders
    assert all(encoder.weight.grad.any() for encoder in encoders) and len(encoders) == order
    assert model.sample(2, times=[-1, 0.5]).isfinite().all()


@each_vector_ode
def test_the_adjoint_has_the_gradient_of_back_propagation(kind):
    slopes = []
    for adjoint in (False, True):
        motion = dynamics(build(kind, adjoint=adjoint, step=1 / 56).double())
        source = torch.randn(3, 6, generator=rng()).double()
        path = motion(source, range(4))
        slopes.append(torch.autograd.grad(path.square().sum(), motion.equation.f[0].weight)[0])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-4, atol=1e-6)


def test_the_map_equation_stands_in_tganv2_and_its_adjoint_has_the_gradient_of_back_propagation():
    first, slopes = torch.randn(2, 6, 4, 4, generator=rng()).double(), []
    for adjoint in (False, True):
        flow = build(TGANv2ODE, adjoint=adjoint, step=1 / 300).double().generator.recurrent
        path = flow(first, Walk(range(4)))
        assert path.shape == (2, 6, 4, 4, 4) and torch.equal(path[:, :, 0], first)
        slopes.append(torch.autograd.grad(path.square().sum(), flow.equation.f[0].weight)[0])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-3, atol=1e-3)


def test_with_few_numbers_of_noise_a_path_starts_from_zeros_elsewhere():
    model = build(MoCoGANSDE, start_dim=2, start_widths=()).eval()
    start, noise = torch.randn(3, 2, generator=rng()), torch.randn(3, 28, 6, generator=rng())
    first = model.generator.path(start, [0.0], noise)[:, 0]
    assert torch.equal(first[:, :2], start) and not first[:, 2:].any()
    wide = torch.cat([start, torch.zeros(3, 4)], dim=1)
    assert torch.equal(model.generator.path(wide, range(8), noise), model.generator.path(start, range(8), noise))
    assert model.sample(2).shape == (2, *model.config.shape)
    model("generator", clips(model), Draw(0))


@pytest.mark.parametrize("hidden", [None, 9])
@pytest.mark.parametrize("kind", [TGANSDE, MoCoGANSDE], ids=lambda kind: kind.name)
def test_noise_pushes_only_the_numbers_that_are_named_and_reaches_the_others_through_the_drift(kind, hidden):
    motion, noise = dynamics(build(kind, noisy=2, hidden=hidden)), torch.randn(3, 30, 6, generator=rng())
    start = motion.start(torch.randn(1, 6, generator=rng())).expand(3, 6)
    step = motion.equation.step
    path = motion.equation(start, [0.0, step, 8 * step], noise)
    one, many = ((path[1:, k] - path[:1, k]).abs().amax(0) for k in (1, 2))  # how far three futures are apart
    assert not one[:4].any() and one[4:].min() > 1e-3 and many[:4].max() > 1e-3


def test_the_starts_of_all_values_of_a_label_have_their_mean_at_zero():
    generator = build(MoCoGANODE, labels=("digit", "direction", "speed"), start_widths=()).generator
    values = {"direction": torch.arange(8).repeat(2), "speed": torch.arange(2).repeat_interleave(8)}
    starts = generator.path(torch.zeros(16, 6), [0.0], torch.zeros(16, 0, 6), values)[:, 0]
    for each in (starts[:8], starts[::8]):  # all directions, both speeds
        assert each.std(0).max() > 0.3
    torch.testing.assert_close(starts.mean(0), torch.zeros(6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("hidden", [None, 9])
def test_lasting_is_how_the_equation_starts(hidden):
    equation = dynamics(build(MoCoGANODE, lasting=True, hidden=hidden)).equation
    at = torch.randn(6, generator=rng())
    turning = torch.func.jacrev(equation.f)(torch.zeros(6))
    torch.testing.assert_close(turning, -turning.T)
    assert (torch.func.jacrev(equation.f)(at).trace()).abs() < 1e-5


def test_each_level_of_tganv2_is_asked_at_the_same_times():
    model = build(TGANv2ODE)
    low, high = (model.sample(2, level=level, times=[0.5, 1.0, 2.5], generator=rng()) for level in (1, 2))
    assert low.shape == (2, 1, 3, 8, 8) and high.shape == (2, 1, 3, 16, 16)


@each_model
def test_in_bf16_the_path_keeps_its_digits(kind):
    model = build(kind).eval()
    seen = []
    dynamics(model).equation.f.register_forward_hook(lambda layer, given, made: seen.append(made.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model("generator", clips(model), Draw(0))
    assert set(seen) == {torch.float32}


@each_model
def test_the_last_frame_of_a_training_clip_stands_at_the_end_of_the_duration(kind):
    short, long = (dynamics(build(kind, duration=duration)) for duration in (1.0, 3.0))
    assert short.pace * (MODELS[kind].frames - 1) == pytest.approx(1.0)
    assert long.pace == pytest.approx(3 * short.pace)
    assert long.moments([0, MODELS[kind].frames - 1, -1]) == pytest.approx([0, 3, -long.pace])


@each_model
def test_the_memory_of_a_step_is_predicted_without_a_number_computed(kind):
    model = kind(MODELS[kind], kind.presets["ci"].recipe)
    shapes = {"video": torch.empty(3, *model.config.shape, device="meta")}
    assert predict_memory(model, shapes).activations > 3 * 4 * model.config.frames * model.config.size**2


def test_paper_presets_have_the_published_parameter_counts():
    with torch.device("meta"):
        tganv2 = TGANv2ODE(TGANv2ODE.presets["paper"].config)
        assert weights(tganv2.generator) == 21_969_100 and weights(tganv2.generator.recurrent) == 9_438_208
        assert weights(tganv2.discriminator) == 116_077_060  # that of TGANv2
        noisy = TGANv2SDE(TGANv2SDE.presets["paper"].config)
        assert weights(noisy.generator) == 21_969_100 + 9_438_208  # a diffusion as large as the drift
        config = TGANODE.presets["paper"].config
        for order, count in ((1, 638_424), (2, 658_624), (3, 668_724)):
            model = TGANODE(replace(config, order=order))
            assert weights(model.generator.temporal) == count
        assert weights(model.discriminator) == 11_033_281  # that of TGAN
        assert weights(TGANODE(replace(config, start_widths=())).generator.temporal) == 10_100
        equal = weights(TGANODE(replace(config, hidden=978)).generator.temporal)
        assert abs(equal / 826_468 - 1) < 0.002  # as many as TGAN's own temporal generator has
        assert weights(TGANSDE(TGANSDE.presets["paper"].config).generator.temporal) == 638_424 + 10_100
        paper = MoCoGANODE.presets["paper"].config
        assert (
            weights(MoCoGANODE(replace(paper, start_widths=(), hidden=49)).generator.motion) == 1633
        )  # a GRU of 16: 1632


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: build(TGANODE, temporal_widths=(4, 4)), "temporal_widths=.*an equation takes their place"),
        (lambda: build(TGANODE, labels=("digit",), start_widths=()), "labels=.*Give start_widths"),
        (lambda: build(TGANODE, duration=0.0), "duration=0.0"),
        (lambda: build(TGANODE, step=0.0), "step=0.0"),
        (lambda: build(TGANSDE, order=2), "order=2.*an equation with noise is of order 1"),
        (lambda: build(MoCoGANSDE, adjoint=True), "adjoint=True.*take the model without noise"),
        (lambda: build(MoCoGANODE, lasting=True, order=2), "lasting=True with order=2: it is for order=1"),
        (lambda: build(MoCoGANODE, noisy=3), "noisy=3: give 1 to 6 with noise"),
        (lambda: build(MoCoGANSDE, noisy=7), "noisy=7: give 1 to 6 with noise"),
        (lambda: build(MoCoGANODE, start_dim=7), "start_dim=7: give 1 to motion_dim=6"),
        (lambda: build(TGANv2ODE, forget_bias=1.0), "forget_bias=1.0: there are no gates here"),
        (lambda: build(TGANv2ODE, duration=-1.0), "duration=-1.0"),
        (lambda: build(TGANv2SDE, adjoint=True), "adjoint=True.*take tganv2-ode"),
        (lambda: build(TGANv2ODE).sample(2, level=3), "level=3: this TGANv2 has levels 1 to 2"),
        (lambda: build(TGANv2ODE).sample(2, futures=2), "without noise each start has one future"),
        (lambda: build(TGANODE).sample(2, frames=0), "frames=0: ask for 1 frame or more"),
        (lambda: build(TGANODE).sample(2, frames=3, times=[1.0]), "give one of them"),
        (lambda: build(MoCoGANODE).sample(2, times=[]), "one time or more"),
        (lambda: build(TGANODE).sample(2, futures=2), "without noise each start has one future"),
        (lambda: build(TGANSDE).sample(3, futures=2), "futures=2 of 3 clips: give a number that divides 3"),
        (lambda: build(TGANSDE).sample(2, times=[-1.0, 0.0]), "cannot be walked back"),
    ],
)
def test_mistakes_are_named_with_their_fix(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
