"""Quantisers: nearest codes, a gradient that passes, codebooks that follow their data and do not die."""

import copy
import math

import pytest
import torch
from torch import multiprocessing

from vidgen_lab.core import ArgumentError, Draw
from vidgen_lab.nn.quantize import FiniteScalarQuantizer, VectorQuantizer, smoothed, straight_through, usage


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latents(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=rng(seed))


def learned(num_codes: int = 8, dim: int = 3, **options) -> VectorQuantizer:
    """A quantiser with random codes, which has forgotten its first steps."""
    torch.manual_seed(0)
    quantizer = VectorQuantizer(num_codes, dim, data_start=False, **options)
    quantizer.steps += 10_000
    return quantizer


EITHER = pytest.mark.parametrize(
    "quantizer", [learned(), learned(decay=None), FiniteScalarQuantizer((4, 3, 2))], ids=["ema", "gradient", "fsq"]
)


def test_straight_through_has_the_value_of_the_code_and_the_gradient_of_the_latent():
    latent, code, upstream = latents(5, 3).requires_grad_(), latents(5, 3, seed=1).requires_grad_(), latents(5, 3)
    passed = straight_through(latent, code)
    passed.backward(upstream)
    assert torch.allclose(passed, code) and torch.equal(latent.grad, upstream) and code.grad is None


def test_the_decoder_s_gradient_reaches_the_encoder_unchanged_and_never_the_codebook():
    quantizer, latent = learned(decay=None).eval(), latents(2, 3, 4, 4).requires_grad_()
    upstream = latents(2, 3, 4, 4, seed=1)
    out = quantizer(latent)
    out.latent.backward(upstream)
    assert torch.allclose(out.latent, quantizer.lookup(out.codes), atol=1e-6)
    assert torch.equal(latent.grad, upstream)
    assert quantizer.codebook.grad is None


def test_each_vector_gets_the_code_at_the_smallest_distance():
    quantizer, flat = learned(), latents(50, 3)
    distances = (flat[:, None] - quantizer.codebook).square().sum(2)
    assert torch.equal(quantizer.nearest(flat), distances.argmin(1))


@EITHER
@pytest.mark.parametrize("grid", [(), (5,), (3, 5), (2, 3, 5)])
def test_any_grid_keeps_its_shape_and_codes_look_up_what_was_quantised(quantizer, grid):
    out = copy.deepcopy(quantizer).eval()(latents(4, 3, *grid))
    assert out.latent.shape == (4, 3, *grid) and out.codes.shape == (4, *grid) and out.codes.dtype == torch.int64
    assert torch.allclose(quantizer.lookup(out.codes), out.latent, atol=1e-6)


@EITHER
def test_the_codes_of_a_permuted_batch_are_the_permuted_codes(quantizer):
    quantizer, latent, order = copy.deepcopy(quantizer).eval(), latents(6, 3, 2, 2), torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.equal(quantizer(latent[order]).codes, quantizer(latent).codes[order])


def gradients(beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the terms: at the encoder's output, and at the codebook."""
    quantizer, latent = learned(decay=None, beta=beta).eval(), latents(4, 3, 2, 2).requires_grad_()
    sum(quantizer(latent).terms.values()).backward()
    return latent.grad, quantizer.codebook.grad


def test_scaling_beta_scales_the_encoder_s_gradient_and_leaves_the_codebook_s_alone():
    (encoder, codebook), (encoder_4, codebook_4) = gradients(0.25), gradients(1.0)
    latent = latents(4, 3, 2, 2)
    away = latent - learned().lookup(learned().eval()(latent).codes)
    assert torch.allclose(encoder_4, 2 * away / latent.numel(), atol=1e-6)  # of the mean square: beta is 1
    assert torch.allclose(encoder_4, 4 * encoder) and encoder.abs().sum() > 0
    assert torch.equal(codebook_4, codebook) and codebook.abs().sum() > 0


def test_the_codebook_term_moves_a_code_towards_its_vectors():
    quantizer, latent = learned(decay=None).eval(), latents(64, 3).requires_grad_()
    out = quantizer(latent)
    out.terms["codebook"].backward()
    assert latent.grad is None
    for code in out.codes.unique():
        pull = (latent[out.codes == code] - quantizer.codebook[code]).sum(0) * 2 / latent.numel()
        assert torch.allclose(quantizer.codebook.grad[code], -pull, atol=1e-6)


def test_with_a_code_for_each_vector_nothing_is_lost():
    quantizer, latent = VectorQuantizer(16, 3), latents(4, 3, 2, 2)
    out = quantizer(latent, Draw(0))
    assert out.terms["commitment"] == 0 and torch.equal(out.latent, latent)
    assert math.isclose(out.log["perplexity"], 16, rel_tol=1e-5) and out.log["usage"] == 1


def test_running_means_settle_at_the_means_of_the_clusters():
    centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])
    latent = centres.repeat(10, 1) + 0.3 * latents(30, 2)
    quantizer = VectorQuantizer(3, 2, data_start=False, decay=0.9)
    quantizer.codebook.copy_(centres + 1.0)
    quantizer.sums.copy_(quantizer.codebook)
    for step in range(200):
        quantizer(latent, Draw(0, step))
    means = torch.stack([latent[i::3].mean(0) for i in range(3)])
    assert torch.allclose(quantizer.codebook, means, atol=1e-3)
    assert torch.allclose(quantizer.counts, torch.full((3,), 10.0), atol=1e-3)


def test_one_step_of_the_running_means_is_their_formula_and_comes_after_the_codes_are_read():
    quantizer, latent = learned(4, 3, decay=0.9, revive_below=0.0), latents(20, 3)
    before = copy.deepcopy(quantizer)
    out = quantizer(latent, Draw(0))
    assert torch.equal(out.codes, before.nearest(latent))
    assert torch.allclose(out.latent, before.lookup(out.codes), atol=1e-6)
    hits = torch.bincount(out.codes, minlength=4).float()
    sums = torch.stack([latent[out.codes == k].sum(0) for k in range(4)])
    counts = 0.9 * before.counts + 0.1 * hits
    assert torch.allclose(quantizer.counts, counts)
    assert torch.allclose(quantizer.codebook, (0.9 * before.sums + 0.1 * sums) / smoothed(counts)[:, None], atol=1e-6)


def test_the_first_steps_forget_faster():
    quantizer, latent = VectorQuantizer(4, 3, data_start=False, revive_below=0.0), latents(20, 3)
    for step, decay in enumerate([1 / 10, 2 / 11, 3 / 12]):
        before = quantizer.counts.clone()
        hits = torch.bincount(quantizer.nearest(latent), minlength=4).float()
        quantizer(latent, Draw(0, step))
        assert torch.allclose(quantizer.counts, decay * before + (1 - decay) * hits)


def test_smoothing_keeps_the_sum_and_leaves_no_count_at_zero():
    counts = torch.tensor([0.0, 3.0, 5.0])
    assert torch.allclose(smoothed(counts).sum(), counts.sum()) and smoothed(counts).min() > 0
    assert torch.allclose(smoothed(counts, eps=1.0), torch.tensor([1.0, 4.0, 6.0]) / 11 * 8)


def test_a_far_code_that_nobody_chooses_is_drawn_to_zero_when_its_count_has_faded():
    quantizer, latent = VectorQuantizer(4, 2, data_start=False, revive_below=0.0), latents(32, 2)
    quantizer.codebook[3] = quantizer.sums[3] = 100.0
    far = []
    for step in range(60):
        quantizer(latent, Draw(0, step))
        far.append(quantizer.codebook[3].norm().item())
    assert far[2] > 100 and min(far) < 10


@pytest.mark.parametrize("decay", [0.99, None])
def test_the_codebook_starts_as_different_vectors_of_the_first_batch(decay):
    quantizer, latent = VectorQuantizer(8, 3, decay=decay, revive_below=0.0), latents(20, 3)
    expected = copy.deepcopy(quantizer)
    expected._start(latent, Draw(0))
    assert len({tuple(row) for row in expected.codebook.tolist()} & {tuple(row) for row in latent.tolist()}) == 8
    assert torch.equal(quantizer(latent, Draw(0)).codes, expected.nearest(latent))


def test_a_batch_with_fewer_vectors_than_codes_starts_them_all():
    quantizer = VectorQuantizer(8, 3)
    quantizer._start(latents(3, 3), Draw(0))
    assert len(quantizer.codebook.unique(dim=0)) == 8
    nearest = torch.cdist(quantizer.codebook, latents(3, 3)).amin(1)
    assert nearest.max() < 0.1


@pytest.mark.parametrize("decay", [0.99, None])
def test_a_dead_code_comes_back_as_a_vector_of_the_batch(decay):
    quantizer = learned(4, 2, decay=decay)
    quantizer.codebook.data[3] = 100.0  # far from everything
    quantizer.counts[3] = 0.8  # a tenth of an even count of 32 / 4
    latent = latents(32, 2)
    quantizer(latent, Draw(0))
    assert (latent == quantizer.codebook[3]).all(1).any() and quantizer.counts[3] == 8


def test_without_revival_a_dead_code_stays_dead():
    quantizer = learned(4, 2, revive_below=0.0)
    quantizer.codebook[3] = quantizer.sums[3] = 100.0
    for step in range(300):
        out = quantizer(latents(32, 2, seed=step), Draw(0, step))
    assert out.log["usage"] == 0.75 and quantizer.counts[3] < 0.1 and quantizer.codebook[3].min() > 50


@EITHER
def test_eval_mode_changes_nothing(quantizer):
    quantizer = copy.deepcopy(quantizer).eval()
    before = copy.deepcopy(quantizer.state_dict())
    quantizer(latents(9, 3) * 100)
    assert all(torch.equal(before[name], tensor) for name, tensor in quantizer.state_dict().items())


def test_a_fresh_quantiser_in_eval_mode_does_not_start_either():
    quantizer = VectorQuantizer(8, 3).eval()
    before = quantizer.codebook.clone()
    quantizer(latents(9, 3))
    assert quantizer.steps == 0 and torch.equal(quantizer.codebook, before)


@pytest.mark.parametrize("decay", [0.99, None])
def test_a_reloaded_quantiser_goes_on_and_does_not_start_over(decay):
    first, again = VectorQuantizer(8, 3, decay=decay), VectorQuantizer(8, 3, decay=decay)
    for step in range(3):
        first(latents(40, 3, seed=step), Draw(0, step))
    again.load_state_dict(first.state_dict())
    for quantizer in (first, again):
        quantizer(latents(40, 3, seed=3) + 7.0, Draw(0, 3))
    assert again.steps == 4
    assert all(torch.equal(first.state_dict()[name], tensor) for name, tensor in again.state_dict().items())
    assert (again.codebook < 3.0).any()  # a new start would have put all codes around 7


def test_training_without_a_draw_is_refused():
    with pytest.raises(ArgumentError, match="draw=None: in train mode a codebook learns and needs a Draw"):
        VectorQuantizer(8, 3)(latents(9, 3))


def test_perplexity_is_k_for_even_use_and_one_for_a_single_code():
    assert torch.allclose(usage(torch.full((8,), 5.0))["perplexity"], torch.tensor(8.0))
    alone = usage(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    assert alone["perplexity"] == 1 and alone["usage"] == 0.25
    uneven = usage(torch.tensor([4.0, 2.0, 1.0, 1.0, 0.0]))["perplexity"]  # 1/2, 1/4, 1/8, 1/8: 7/4 bits
    assert torch.allclose(uneven, torch.tensor(2**1.75))


def test_half_precision_around_the_quantiser_does_not_blur_its_codes():
    quantizer, latent = learned(64, 8).eval(), latents(200, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = quantizer(latent).codes
    assert torch.equal(codes, quantizer.nearest(latent))


@pytest.mark.parametrize("levels", [(5,), (4,), (2,), (1000, 999), (8, 5, 5, 3), (4, 3, 2)])
def test_every_code_of_fsq_is_a_point_of_the_grid_and_comes_back_as_itself(levels):
    quantizer = FiniteScalarQuantizer(levels)
    assert quantizer.num_codes == math.prod(levels) and quantizer.dim == len(levels)
    codes = torch.arange(quantizer.num_codes)
    grid = quantizer.lookup(codes)  # (K, D)
    assert len(grid.unique(dim=0)) == quantizer.num_codes and grid.abs().max() <= 1
    assert [len(column.unique()) for column in grid.T] == list(levels)
    halves = torch.tensor([level // 2 for level in levels])
    whole = grid * halves  # integers; the inverse of the bound leads back to a latent that rounds to them
    half, offset = (torch.tensor(levels) - 1) * (1 + 1e-3) / 2, (torch.tensor(levels) % 2 == 0) * 0.5
    latent = ((whole + offset) / half).atanh() - (offset / half).atanh()
    assert torch.equal(quantizer(latent).codes, codes)


def test_fsq_stays_in_its_bounds_and_uses_the_outermost_levels():
    quantizer = FiniteScalarQuantizer((8, 5))
    low, high = (quantizer(torch.full((1, 2), value)) for value in (-1e3, 1e3))
    assert low.codes.item() == 0 and high.codes.item() == 39
    assert low.latent.tolist() == [[-1.0, -1.0]] and high.latent.tolist() == [[0.75, 1.0]]


def test_fsq_passes_the_gradient_of_its_bound_and_has_nothing_to_learn():
    quantizer, latent = FiniteScalarQuantizer((8, 5, 5)), latents(7, 3).requires_grad_()
    upstream = latents(7, 3, seed=1)
    out = quantizer(latent)
    out.latent.backward(upstream)
    with torch.enable_grad():
        again = latent.detach().requires_grad_()
        (quantizer.bound(again) / torch.tensor([4, 2, 2])).backward(upstream)
    assert torch.allclose(latent.grad, again.grad) and not out.terms and not list(quantizer.parameters())
    assert torch.allclose(out.latent * torch.tensor([4, 2, 2]), quantizer.bound(latent).round())


def test_fsq_refuses_levels_that_cannot_be_told_apart():
    for levels in ((8, 1), (2000, 8)):
        with pytest.raises(ArgumentError, match=rf"levels=\({levels[0]}, {levels[1]}\): give 2 to 1000"):
            FiniteScalarQuantizer(levels)


def train(rank: int, world: int, folder: str) -> None:
    """Ten steps of both codebooks on this process's part of the batch; each process saves what it ends with."""
    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)
    ends = {}
    for decay in (0.99, None):
        torch.manual_seed(0)
        quantizer = VectorQuantizer(24, 3, decay=decay)
        for step in range(10):
            whole = latents(16, 3, 2, seed=step) * torch.linspace(0.2, 3, 16)[:, None, None]
            log = quantizer(whole.chunk(world)[rank], Draw(0, step, shard=rank, shards=world)).log
        ends |= {f"{decay} {name}": tensor for name, tensor in {**quantizer.state_dict(), **log}.items()}
    torch.save(ends, f"{folder}/{world}-{rank}.pt")
    if world > 1:
        torch.distributed.destroy_process_group()


def test_two_processes_end_with_the_codebook_of_one_start_and_revival_included(tmp_path):
    train(0, 1, str(tmp_path))
    multiprocessing.spawn(train, (2, str(tmp_path)), nprocs=2)
    one, first, second = (torch.load(tmp_path / name) for name in ("1-0.pt", "2-0.pt", "2-1.pt"))
    for name in one:
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(one[name], first[name], atol=1e-5), name


def test_one_pass_equals_the_public_library():
    """Where vector-quantize-pytorch is installed; benchmarks/quantizer_speed.py checks it too."""
    library = pytest.importorskip("vector_quantize_pytorch")
    peer = library.VectorQuantize(
        dim=3, codebook_size=8, decay=0.99, commitment_weight=0.25, rotation_trick=False, accept_image_fmap=True
    ).eval()
    ours, latent = learned().eval(), latents(2, 3, 4, 4)
    peer._codebook.embed.data.copy_(ours.codebook[None])
    out, (theirs, codes, _) = ours(latent), peer(latent)
    assert torch.equal(out.codes, codes) and torch.allclose(out.latent, theirs, atol=1e-6)
