"""What a step will need is what it needs."""

import sys
from pathlib import Path

import pytest
import torch

from vidgen_lab import create_model
from vidgen_lab.core import Draw, count_parameters
from vidgen_lab.training.memory import LiveBytes, predict_memory

RESULTS = Path(__file__).resolve().parents[2] / "results"
SMALL = {"generator_widths": (32, 16, 8), "discriminator_widths": (8, 16, 32)}


def clips(model: torch.nn.Module, n: int) -> dict[str, torch.Tensor]:
    config = model.config
    return {"video": torch.zeros(n, config.channels, config.frames, config.size, config.size)}


def test_tensors_count_while_they_live_and_views_not_at_all():
    before = torch.zeros(1000)
    with LiveBytes() as live:
        before.view(10, 100).add_(1)
        assert live.now == live.peak == 0  # it was there before
        first = before + 1
        view = first.view(10, 100)[2:].T
        assert live.now == 4000
        second = first + 1
        assert live.now == live.peak == 8000
        del first
        assert live.now == 8000  # the view holds it
        del view
        assert live.now == 4000 and live.peak == 8000
        second.add_(1)
        assert live.now == 4000
        del second
    assert live.now == 0


def test_a_convolution_counts_what_it_reads_and_writes_twice_while_it_runs():
    video, weight = torch.zeros(2, 3, 4, 8, 8), torch.zeros(5, 3, 3, 3, 3)
    with LiveBytes() as live:
        out = torch.nn.functional.conv3d(video, weight, padding=1)
    assert live.now == 4 * out.numel()
    assert live.peak == 4 * (2 * out.numel() + video.numel() + weight.numel())
    video.requires_grad_(), weight.requires_grad_()
    out, slope = torch.nn.functional.conv3d(video, weight, padding=1), torch.zeros_like(out)
    with LiveBytes() as live:  # backwards it reads the slope, the input and the weights, and writes a slope for the two
        gradients = torch.autograd.grad(out, (video, weight), slope)
    made = sum(gradient.numel() for gradient in gradients)
    assert live.now == 4 * made and live.peak == 4 * (2 * made + slope.numel() + video.numel() + weight.numel())


@pytest.mark.parametrize("name", ["dcgan", "vgan", "c3dgan"])
def test_the_prediction_without_numbers_is_what_the_step_with_numbers_allocates(name):
    model = create_model(name, "ci")
    batch = {"image": torch.zeros(6, 1, 32, 32)} if name == "dcgan" else clips(model, 6)
    predicted = predict_memory(model, batch)
    for phase in model.phases:
        with LiveBytes() as live:
            model(phase.name, batch, Draw(0)).total.backward()
        assert live.peak == predicted.phases[phase.name]
        model.zero_grad()
    assert predicted.activations == max(predicted.phases.values())


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from /proc, as Linux has it")
@pytest.mark.parametrize("name", ["vgan", "c3dgan"])
def test_the_predicted_peak_is_within_a_fifth_of_what_a_process_of_its_own_was_given(name):
    sys.path.insert(0, str(RESULTS))
    try:
        import conv3d_memory
    finally:
        sys.path.remove(str(RESULTS))
    case = {"name": name, "batch_size": 64, **conv3d_memory.NARROW}
    phases = predict_memory(*conv3d_memory.build(case)).phases
    worst = max(phases, key=phases.__getitem__)
    assert 0.8 < phases[worst] / conv3d_memory.in_child(case, worst) < 1.2


def test_activations_grow_with_every_axis_and_weights_with_none():
    small, long = (create_model("vgan", "ci", frames=frames, **SMALL) for frames in (8, 16))
    few, many = (predict_memory(small, clips(small, n)) for n in (8, 16))
    lengthened = predict_memory(long, clips(long, 8))
    assert many.weights == few.weights and many.optimizer == few.optimizer
    assert 1.8 < many.activations / few.activations < 2
    assert 1.8 < lengthened.activations / few.activations < 2.2


def test_weights_moments_and_the_average_are_counted_from_the_recipe():
    model = create_model("vgan", "ci", **SMALL)
    parameters = count_parameters(model)
    memory = predict_memory(model, clips(model, 4))
    buffers = sum(4 if b.dtype == torch.float32 else 8 for b in model.buffers() for _ in range(b.numel()))
    assert memory.weights == 4 * sum(parameters.values()) + buffers
    assert memory.optimizer == 2 * 4 * sum(parameters.values())  # Adam keeps two numbers a weight
    assert 4 * parameters["generator"] <= memory.average <= 4 * parameters["generator"] + buffers
    assert memory.total == memory.weights + memory.optimizer + memory.average + memory.batch + memory.activations
