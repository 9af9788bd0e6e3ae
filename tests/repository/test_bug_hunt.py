"""The bug hunt: each of its eighteen mistakes shows its symptom, and the mended code does not."""

import math
import re
from pathlib import Path

import bug_hunt as hunt
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import softplus

from vidgen_lab.data import Ring
from vidgen_lab.models.dcgan import DCGAN
from vidgen_lab.zoo import create_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book/appendix/bug-hunt.md").read_text()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int = 500) -> torch.Tensor:
    return Ring().__getitems__(list(range(n)))["points"]


def gradients(network: nn.Module) -> list[torch.Tensor | None]:
    return [parameter.grad for parameter in network.parameters()]


# 6 to 8: a quantiser that is none


def test_06_reconstruction_alone_never_reaches_the_encoder_and_three_terms_do():
    model = hunt.Tokenizer()
    hunt.reconstruction_only(model, points()).backward()
    assert all(gradient is None for gradient in gradients(model.encoder))
    hunt.right_objective(model, points()).backward()
    assert all(gradient.any() for gradient in gradients(model.encoder))


def test_06_the_right_objective_is_reconstruction_codebook_and_beta_times_commitment():
    model, x = hunt.Tokenizer(), points()
    latent = model.encoder(x)
    distance = F.mse_loss(model.codebook[model.nearest(latent)], latent)
    expected = F.mse_loss(model.reconstruct(x), x) + 1.25 * distance
    assert torch.allclose(hunt.right_objective(model, x), expected)


def test_07_without_the_quantiser_the_codebook_never_moves_and_with_it_it_does():
    moved = {}
    for name in ("no_quantiser", "right_objective"):
        model = hunt.Tokenizer()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        before = model.codebook.detach().clone()
        for _ in range(3):
            hunt.descend(getattr(hunt, name)(model, points()), optimizer)
        moved[name] = not torch.equal(model.codebook, before)
    assert moved == {"no_quantiser": False, "right_objective": True}


def test_08_a_softmax_gives_each_input_a_code_of_its_own_and_a_table_gives_it_one_of_k():
    latent = torch.randn(200, 16, generator=rng())
    with torch.no_grad():
        assert len(hunt.SoftQuantiser()(latent).unique(dim=0)) == 200
        hard = hunt.HardQuantiser(num_codes=8)
        out = hard(latent)
        assert (out[:, None] - hard.codebook).abs().amax(2).min(1)[0].max() < 1e-5
        # a table may be applied twice: a code's nearest code is itself
        assert torch.allclose(hard(out), out, atol=1e-5)
        soft = hunt.SoftQuantiser()
        assert soft(soft(latent)).std(0).max() < soft(latent).std(0).min()


# 1 to 5: the game


def test_03_truth_values_are_no_targets():
    with pytest.raises((AttributeError, TypeError, ValueError)):
        hunt.truth_value_loss(torch.zeros(4, 1), torch.zeros(4, 1))


@pytest.mark.parametrize("step, expected", [("right_step", -0.5), ("attached_step", 0.0)])
def test_03_an_attached_fake_loses_its_push_where_the_discriminator_says_one_half(step, expected):
    generator, discriminator = nn.Linear(1, 1), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        generator.weight.zero_(), generator.bias.zero_(), discriminator.weight.fill_(1)  # the logit is the bias of G
    optimizers = [torch.optim.SGD(net.parameters(), rate) for net, rate in ((generator, 1), (discriminator, 0))]
    getattr(hunt, step)(hunt.Game(generator, discriminator, *optimizers), torch.zeros(1, 1), torch.zeros(1, 1))
    assert generator.bias.grad.item() == pytest.approx(expected)


def test_02_two_sigmoids_cannot_bring_the_loss_below_one_and_one_can():
    sure = hunt.Game(nn.Identity(), nn.Identity(), *[torch.optim.SGD([torch.zeros(1)], 0)] * 2)
    real, fake = torch.full((1, 1), 30.0, requires_grad=True), torch.full((1, 1), -30.0, requires_grad=True)
    assert hunt.two_sigmoids_step(sure, real, fake).item() == pytest.approx(1.0064, abs=1e-4)
    assert hunt.right_step(sure, real, fake).item() < 1e-6


def test_01_a_loss_on_the_real_batch_alone_is_least_at_two_log_two_where_nothing_is_told():
    logit = torch.linspace(-5, 5, 101)
    loss = softplus(-logit) + softplus(logit)
    assert loss.argmin() == 50 and loss.min().item() == pytest.approx(2 * math.log(2))


def test_01_the_discriminator_learns_the_same_whatever_the_fakes_are():
    def after(step, shift: float) -> torch.Tensor:
        game = hunt.new_game()
        step(game, points(), shift + torch.randn(500, 2, generator=rng()))
        return torch.cat([value.flatten() for value in game.discriminator.state_dict().values()])

    assert torch.equal(after(hunt.no_fakes_step, 0), after(hunt.no_fakes_step, 5))
    assert not torch.equal(after(hunt.right_step, 0), after(hunt.right_step, 5))


def test_04_with_one_goal_both_players_are_content_with_any_fakes():
    ends = {}
    for step in (hunt.one_goal_step, hunt.right_step):
        game, losses = hunt.play(step, points(), 150)
        with torch.no_grad():
            ends[step.__name__] = losses[-1], game.generator(torch.randn(500, 2, generator=rng())).std().item()
    loss, spread = ends["one_goal_step"]
    assert loss < 1e-3 and spread < 0.2
    loss, spread = ends["right_step"]
    assert loss > 0.5 and spread > 0.2


def test_05_with_the_sign_turned_the_loss_climbs():
    def after(update) -> float:
        weight = torch.tensor([1.0], requires_grad=True)
        for _ in range(5):
            weight.grad = None
            weight.square().sum().backward()
            update([weight], 0.1)
        return weight.square().item()

    assert after(hunt.wrong_update) == pytest.approx(1.2**10, rel=1e-4)
    assert after(hunt.right_update) == pytest.approx(0.8**10, rel=1e-4)


def test_05_every_reference_of_the_page_is_in_the_bibliography_once():
    keys = re.findall(r"^@\w+\{([^,\s]+)", (ROOT / "references.bib").read_text(), re.M)
    cited = {key for hit in re.findall(r"\{cite[:\w]*\}`([^`]+)`", PAGE) for key in hit.split(",")}
    assert cited and all(keys.count(key) == 1 for key in cited)


# 9: code that cannot run


@pytest.mark.parametrize(
    "function, error",
    [
        (hunt.shadowed, UnboundLocalError),
        (hunt.code_minus_image, RuntimeError),
        (hunt.axis_that_is_not_there, IndexError),
    ],
)
def test_09_three_of_the_four_stop_with_an_error(function, error):
    with pytest.raises(error):
        function(torch.ones(3, 784))


def test_09_the_stray_axis_makes_every_pair_of_rows():
    images = torch.rand(3, 784)
    assert (images - torch.zeros(3, 1, 784)).shape == (3, 3, 784)
    assert torch.allclose(hunt.stray_axis(images), images.square().mean())  # and the mean hides it


# 10 to 14: layers


@pytest.mark.parametrize("side, kernel, stride, padding", [(4, 4, 2, 1), (1, 4, 1, 0), (7, 3, 2, 1), (8, 5, 3, 2)])
def test_10_the_side_of_a_transposed_convolution(side, kernel, stride, padding):
    made = nn.ConvTranspose2d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, side, side)).shape[-1]
    assert hunt.right_side(side, kernel, stride, padding) == made != hunt.wrong_side(side, kernel, stride, padding)


def test_10_the_adjoint_tells_a_transposed_convolution_from_a_convolution():
    weight = torch.randn(1, 1, 4, 4, generator=rng(), dtype=torch.float64)
    x, y = (torch.randn(1, 1, side, side, generator=rng(side), dtype=torch.float64) for side in (8, 4))

    def forward(x):
        return F.conv2d(x, weight, stride=2, padding=1)

    def wrong(y):
        return F.interpolate(F.conv2d(y, weight, stride=2, padding=1), size=8)

    assert hunt.adjoint_gap(forward, lambda y: F.conv_transpose2d(y, weight, stride=2, padding=1), x, y) < 1e-12
    assert hunt.adjoint_gap(forward, wrong, x, y) > 0.1


def test_11_the_wrong_discriminator_grows_its_maps_and_the_right_one_shrinks_them():
    x = torch.zeros(1, 1, 32, 32)
    assert [side for _, side, _ in hunt.maps(hunt.wrong_discriminator(), x)] == [64, 128]
    assert [side for _, side, _ in hunt.maps(hunt.right_discriminator(), x)] == [16, 8, 4, 1]


def test_11_a_generator_that_begins_with_convolutions_stays_one_pixel():
    assert [side for _, side, _ in hunt.maps(hunt.wrong_generator(), torch.zeros(1, 16, 1, 1))] == [1, 1]


def test_11_the_list_of_faults_finds_all_five_in_the_wrong_pair_and_none_in_ours():
    assert len(hunt.faults(hunt.wrong_generator(), hunt.wrong_discriminator())) == 5
    assert hunt.faults(hunt.right_generator(32), hunt.right_discriminator()) == []
    ours = create_model("dcgan", preset="ci")
    assert isinstance(ours, DCGAN) and hunt.faults(ours.generator, ours.discriminator) == []


def test_12_three_doublings_end_at_32_and_a_discriminator_for_64_refuses_them():
    latent = torch.zeros(1, 16, 1, 1)
    judge = nn.Sequential(*[nn.Conv2d(1, 1, 4, 2, 1) for _ in range(4)], nn.Conv2d(1, 1, 4))
    small, right = hunt.three_doublings()(latent), hunt.right_generator(64)(latent)
    assert small.shape[-1] == 32 and right.shape[-1] == 64
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        judge(small)
    assert judge(right).shape == (1, 1, 1, 1)


def test_12_the_right_one_begins_with_weights_of_deviation_two_hundredths():
    deviations = [
        [layer.weight.std().item() for layer in network if isinstance(layer, nn.ConvTranspose2d)][:3]
        for network in (hunt.three_doublings(), hunt.right_generator(64, width=16))
    ]
    assert min(deviations[0]) > 0.025
    assert deviations[1] == pytest.approx([0.02] * 3, rel=0.1)


def test_13_dividing_by_the_variance_leaves_one_over_sigma_and_no_epsilon_gives_nan():
    x = torch.randn(500, 1, generator=rng()) * 4
    assert hunt.wrong_batch_norm(x).std().item() == pytest.approx(1 / 4, rel=0.1)
    assert hunt.RightBatchNorm(1)(x).std().item() == pytest.approx(1, rel=0.01)
    still = torch.ones(8, 1)
    assert hunt.wrong_batch_norm(still).isnan().all() and not hunt.RightBatchNorm(1)(still).isnan().any()


def test_13_a_row_in_eval_mode_does_not_depend_on_its_neighbours_as_in_torch():
    ours, torchs = hunt.RightBatchNorm(3), nn.BatchNorm1d(3)
    x = 2 + torch.randn(64, 3, generator=rng())
    assert torch.allclose(ours(x), torchs(x), atol=1e-5)
    ours.eval(), torchs.eval()
    assert torch.allclose(ours(x), torchs(x), atol=1e-5) and torch.allclose(ours(x[:1]), ours(x)[:1])
    assert not torch.allclose(hunt.wrong_batch_norm(x[:2])[:1], hunt.wrong_batch_norm(x)[:1])


def test_13_batch_normalisation_first_makes_a_discriminator_blind_to_brightness():
    x = torch.rand(16, 1, 8, 8, generator=rng())
    torch.manual_seed(0)
    for first, blind in ((nn.BatchNorm2d(1), True), (nn.Identity(), False)):
        judge = nn.Sequential(first, nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64, 1))
        assert torch.allclose(judge(x), judge(0.5 * x + 0.4), atol=1e-2) == blind


def test_14_a_sigmoid_never_gets_below_zero_and_twice_its_double_is_the_tangent():
    x = torch.linspace(-6, 6, 101)
    assert hunt.wrong_tanh(x).min() > 0
    assert torch.allclose(hunt.right_tanh(x), x.tanh(), atol=1e-6)


def test_14_relu_is_linear_on_either_side_of_zero_and_not_across_it():
    one = torch.tensor(1.0)
    assert hunt.is_linear(torch.relu, one, 2 * one) and not hunt.is_linear(torch.relu, one, -one)


# 15 to 18: clips, words, order, verdicts


def test_15_one_number_of_noise_reaches_seven_voxels_far_or_the_whole_clip():
    torch.manual_seed(0)
    same, latent = hunt.same_size(), hunt.from_latent()
    noise = torch.randn(1, 1, 8, 32, 32, generator=rng(), requires_grad=True)
    same(noise)[0, 0, 4, 16, 16].backward()
    frames, rows, columns = noise.grad[0, 0].nonzero().T
    assert {(axis.min().item(), axis.max().item()) for axis in (rows, columns)} == {(13, 19)}
    assert (frames.min().item(), frames.max().item()) == (1, 7)
    code = torch.randn(1, 32, generator=rng(1))
    assert latent(code).shape == (1, 1, 8, 32, 32)
    assert hunt.reach(latent, code, 5) > 0.99 and hunt.reach(same, noise.detach(), 4000) < 0.05


def test_16_the_sum_raises_or_mixes_the_rows_and_the_sequence_does_neither():
    picture, words = torch.randn(3, 16, generator=rng()), torch.randn(3, 5, 16, generator=rng(1))
    with pytest.raises(RuntimeError, match="must match"):
        hunt.added(picture, words)
    square = words[:, :3]  # as many words as rows: it runs
    other = torch.cat([picture[:1], picture[1:] + 1])
    assert not torch.allclose(hunt.added(picture, square)[0], hunt.added(other, square)[0])
    fusion, padding = hunt.Fusion().eval(), torch.zeros(3, 5, dtype=torch.bool)
    assert torch.allclose(fusion(picture, words, padding)[0], fusion(other, words, padding)[0], atol=1e-6)
    assert not torch.allclose(fusion(picture, words, padding)[1], fusion(other, words, padding)[1], atol=1e-3)


def test_16_words_that_are_padding_do_not_count():
    picture, words = torch.randn(2, 16, generator=rng()), torch.randn(2, 5, 16, generator=rng(1))
    fusion, padding = hunt.Fusion().eval(), torch.arange(5).expand(2, 5) >= 3
    changed = torch.cat([words[:, :3], words[:, 3:] + 9], dim=1)
    assert torch.allclose(fusion(picture, words, padding), fusion(picture, changed, padding), atol=1e-6)
    assert not torch.allclose(fusion(picture, words, ~padding), fusion(picture, changed, ~padding), atol=1e-3)


def test_17_codes_drawn_at_once_are_torn_and_code_by_code_they_are_not():
    joint = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
    pairs = hunt.frame_at_once(joint, 4000, rng())
    assert (pairs[:, 0] != pairs[:, 1]).float().mean().item() == pytest.approx(0.5, abs=0.05)
    pairs = hunt.code_by_code(joint, 4000, rng())
    assert torch.equal(pairs[:, 0], pairs[:, 1])
    assert pairs.float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_18_one_run_each_always_names_a_winner_and_three_may_not():
    a, b, worse = [1.0, 3.0, 2.0], [2.5, 1.5, 2.0], [4.0, 5.0, 6.0]
    assert {hunt.wrong_verdict([one], [other]) for one in a for other in b} == {"a", "b"}
    assert hunt.right_verdict(a, b) == "undecided"
    assert hunt.right_verdict(a, worse) == "a" and hunt.right_verdict(worse, a) == "b"


# The page


def test_the_page_has_all_eighteen_each_with_its_code_a_test_and_a_chapter():
    cases = re.split(r"^### (\d+) · ", PAGE, flags=re.M)[1:]
    text = dict(zip(map(int, cases[::2]), cases[1::2], strict=True))
    assert sorted(text) == list(range(1, 19))
    for number, case in text.items():
        assert "literalinclude} bug_hunt.py" in case, number
        assert re.search(r"\{doc\}`|\{ref\}`", case), number
    tests = (ROOT / "tests/repository/test_bug_hunt.py").read_text()
    assert set(re.findall(r"^def test_(\d\d)_", tests, re.M)) == {f"{number:02d}" for number in text}
    for name in re.findall(r":pyobject: (\w+)", PAGE):
        assert hasattr(hunt, name), name
