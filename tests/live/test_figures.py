"""Live figures in headless Chromium: they load on the first touch, compute as torch, and say why where they cannot.

Where no Chromium is found these tests are skipped, and the summary says so. With VIDGEN_REQUIRE_CHROMIUM=1 they fail.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from torch.nn.functional import softplus

from vidgen_lab import viz, zoo
from vidgen_lab.core import Draw
from vidgen_lab.data import Digits, Ring
from vidgen_lab.export import rounded
from vidgen_lab.losses import ADVERSARIAL
from vidgen_lab.models.inpainting import composite, importance, mask

HTML = Path(__file__).resolve().parents[2] / "_build/html"
GAMES = [game for game in ADVERSARIAL if game != "wasserstein"]  # it needs a penalty that the page does not have
FIGURES = {  # and the page of each
    "ring": "book/foundations/gan",
    "walk": "book/foundations/dcgan",
    "fill": "book/foundations/dcgan",
    "codes": "book/foundations/vqvae",
    "streams": "book/video/conv3d",
    "swap": "book/video/temporal",
    "flight": "book/video/continuous",
    "fan": "book/video/continuous",
}
MODELS = {
    "walk": ("dcgan-cpu", "generator"),
    "fill": ("dcgan-cpu", "search"),
    "codes": ("vqvae-cpu", "decoder"),
    "streams": ("vgan-cpu", "generator"),
    "swap": ("mocogan-cpu", "frames"),
    "flight": ("mocogan-ode-cpu", "slope"),
    "fan": ("mocogan-sde-cpu", "frame"),
}


@pytest.fixture(scope="module")
def figure(visit):
    """A figure before its button is pressed, or as the test before left it."""
    return lambda demo: visit(FIGURES[demo], demo)


@pytest.fixture(scope="module")
def opened(figure):
    """A figure that runs."""

    def get(demo: str):
        seen = figure(demo)
        if seen.figure.locator(".live-start").count():
            seen.press()
        return seen

    return get


@pytest.fixture(scope="module")
def ring(opened):
    return opened("ring")


def near(shown: np.ndarray, wanted: torch.Tensor) -> bool:
    """Whether pixels are those of floats in [-1, 1], within 2 of 255."""
    return np.abs(shown - viz.to_uint8(wanted).astype(int)[..., None]).max() <= 2


def sent(url: str) -> int:
    """Bytes of a file of the site."""
    return (HTML / url.strip("/")).stat().st_size


@pytest.mark.parametrize("demo", FIGURES)
def test_a_page_loads_nothing_for_a_live_figure_but_its_button(figure, demo):
    seen = figure(demo)
    assert seen.asked("/live/", "/onnxruntime/") == ["/live/start.js"]
    assert seen.figure.locator(".live-still :is(img, video)").first.is_visible()
    assert not seen.left()


def test_a_page_without_a_live_figure_has_nothing_of_them():
    without = (HTML / "book/appendix/glossary.html").read_text()
    assert "/live/" not in without and "onnxruntime" not in without


def test_the_page_of_all_figures_loads_the_one_that_is_touched_and_no_other(visit):
    seen = visit("book/live", "walk")
    shown = seen.page.locator("figure.live").evaluate_all("(figures) => figures.map((each) => each.dataset.demo)")
    assert set(FIGURES) <= set(shown)
    assert seen.asked("/live/", "/onnxruntime/") == ["/live/start.js"]
    seen.press()
    assert seen.asked("/live/models/") == ["/live/models/dcgan-cpu-generator.onnx", "/live/models/dcgan-cpu.json"]
    assert not seen.complaints and not seen.left()


def test_the_front_page_opens_on_a_walk_and_has_a_figure_that_needs_no_model(visit):
    seen = visit("book/intro", "ring")
    shown = seen.page.locator("figure.live").evaluate_all("(figures) => figures.map((each) => each.dataset.demo)")
    assert shown == ["walk", "ring"]
    assert seen.asked("/live/") == ["/live/start.js"]
    seen.press()
    assert not seen.asked("/onnxruntime/", "/live/models/")
    assert not seen.complaints and not seen.left()


@pytest.mark.parametrize("demo", MODELS)
def test_a_model_that_cannot_run_says_why_and_leaves_the_picture(figure, demo):
    seen, (model, graph) = figure(demo), MODELS[demo]
    page, start, note = seen.page, seen.figure.locator(".live-start"), seen.figure.locator(".live-note")
    still = seen.figure.locator(".live-still :is(img, video)").first

    def refused(words: str) -> None:
        start.press("Enter")
        note.filter(has_text=words).wait_for()
        assert still.is_visible() and start.is_enabled() and not seen.figure.locator("canvas").count()

    page.evaluate("() => { window.validate = WebAssembly.validate; WebAssembly.validate = () => false; }")
    refused("lacks WebAssembly with vector instructions")
    page.evaluate("() => { WebAssembly.validate = window.validate; }")
    for pattern, answer, words in (
        (f"**/{model}-{graph}.onnx", {"status": 404}, f"{model}-{graph}.onnx is missing from this site"),
        (f"**/{model}-{graph}.onnx", {"body": b"not a model"}, f"{model}-{graph}.onnx is damaged: its SHA-256 is not"),
        (
            f"**/{model}.json",
            {"json": {"weights_sha256": "0" * 64, "graphs": {}}},
            "not those that this page was built",
        ),
    ):
        page.route(pattern, lambda route, request, answer=answer: route.fulfill(**answer))
        refused(words)
        page.unroute(pattern)


@pytest.mark.parametrize("demo", FIGURES)
def test_a_page_opened_from_a_file_says_that_it_needs_a_server_and_leaves_the_picture(chromium, demo):
    page = chromium.new_page()
    page.goto((HTML / f"{FIGURES[demo]}.html").as_uri(), wait_until="domcontentloaded")
    figure = page.locator(f"figure.live[data-demo={demo}]")
    figure.locator(".live-start").press("Enter")
    figure.locator(".live-note").filter(has_text="Live figures need a server").wait_for()
    assert figure.locator(".live-still :is(img, video)").first.is_visible() and not figure.locator("canvas").count()
    page.close()


@pytest.mark.parametrize("demo", FIGURES)
def test_a_figure_is_there_soon_after_the_first_touch_loads_less_than_6_mb_and_complains_of_nothing(figure, demo):
    """1.5 seconds of the page's thread."""
    seen = figure(demo)
    begun = seen.seconds()
    seen.press()
    assert seen.seconds() - begun < 1.5
    assert seen.figure.locator(".live-still").is_hidden()
    asked = seen.asked("/live/", "/onnxruntime/")
    assert any(url.endswith(".onnx") for url in asked) == (demo in MODELS)
    assert sum(map(sent, asked)) < 6e6
    assert not seen.complaints and not seen.left()


@pytest.mark.parametrize("demo", FIGURES)
def test_an_open_figure_has_no_serious_barrier(opened, demo):
    seen = opened(demo)
    options = {"resultTypes": ["violations"], "preload": False}  # its preload asks for files at wrong places
    found = Axe().run(seen.page, context=seen.selector, options=options).response["violations"]
    assert not [each["id"] for each in found if each["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("game", GAMES)
def test_a_gan_in_the_page_learns_as_the_package_does(ring, game):
    """Three steps of both players with R1, from the same weights with the same points and noise."""
    rows, steps = 16, 3
    widths = {"generator_widths": (8, 8), "discriminator_widths": (8, 8)}
    model = zoo.create_model("gan", "ring", loss=game, r1=0.3, **widths)
    optimizers = {
        phase.name: torch.optim.Adam(getattr(model, phase.name).parameters(), lr=1e-3, betas=(0.5, 0.999))
        for phase in model.phases
    }
    points = Ring("train").__getitems__(list(range(rows * steps)))["points"].split(rows)

    def weights() -> list[list[list[float]]]:
        linear = (model.generator.layers, model.discriminator.layers)
        return [[p.detach().flatten().tolist() for p in layers.parameters()] for layers in linear]

    before, given = weights(), []
    for step, real in enumerate(points):
        draw = Draw(seed=1, step=step, steps=steps)
        noise = {name: draw.at(name).normal("latent", (rows, 2)).flatten().tolist() for name in optimizers}
        given.append([real.flatten().tolist(), noise["discriminator"], noise["generator"]])
        for name, optimizer in optimizers.items():
            optimizer.zero_grad()
            model(name, {"points": real}, draw).total.backward()
            optimizer.step()

    after = ring.page.evaluate(
        """async ([root, game, before, given]) => {
            const { GAN } = await import(`${root}/live/gan.mjs`);
            const gan = new GAN({ width: 8, uniform: Math.random });
            const parts = [gan.generator, gan.discriminator].map((net) => net.layers.flatMap(({ w, b }) => [w, b]));
            parts.forEach((arrays, net) => arrays.forEach((array, k) => array.set(before[net][k])));
            for (const [real, first, second] of given.map((step) => step.map((x) => Float64Array.from(x)))) {
                gan.teach(real, first, 16, { game, r1: 0.3, rate: 1e-3 });
                gan.fool(real, second, 16, { game, rate: 1e-3 });
            }
            return parts.map((arrays) => arrays.map((array) => Array.from(array)));
        }""",
        [ring.site, game, before, given],
    )
    moved = np.abs(np.concatenate([np.subtract(a, b) for a, b in zip(sum(after, []), sum(before, []), strict=True)]))
    assert moved.max() > 2e-3
    for ours, theirs in zip(sum(after, []), sum(weights(), []), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_the_ring_trains_by_keyboard_and_waits_for_a_reader_who_wants_less_motion(ring):
    page, figure = ring.page, ring.figure
    state = figure.locator(".live-state")
    page.wait_for_timeout(300)
    assert state.text_content().startswith("Step 0.")
    before = ring.pixels()
    figure.get_by_role("button", name="One step").press("Space")
    assert state.text_content().startswith("Step 1.")
    after = ring.pixels()
    assert len(np.unique(after.reshape(-1, 3), axis=0)) > 50  # a landscape, points and crosses
    assert (before != after).any()

    figure.get_by_label("Loss").select_option("relativistic")
    figure.get_by_label("R1, weight").press("ArrowRight")
    figure.get_by_role("button", name="Run").press("Enter")
    page.wait_for_function("document.querySelector('.live-stage').ring.steps >= 4")
    figure.get_by_role("button", name="Pause").press("Enter")
    settings = page.evaluate("document.querySelector('.live-stage').ring.settings")
    assert settings == {"game": "relativistic", "r1": 0.01, "slower": 1, "lessons": 1}
    assert not ring.complaints


def test_collapse_makes_the_discriminator_ten_times_slower_and_starts_anew(ring):
    page, figure = ring.page, ring.figure
    figure.get_by_role("button", name="Collapse").press("Enter")
    settings = page.evaluate("document.querySelector('.live-stage').ring.settings")
    assert settings == {"game": "non-saturating", "r1": 0, "slower": 10, "lessons": 1}
    assert figure.get_by_label("Discriminator slower by").input_value() == "10"
    figure.get_by_role("button", name="Pause").press("Enter")


def test_the_modes_that_fakes_cover_are_counted_as_the_package_counts_them(ring):
    from vidgen_lab.metrics import modes_covered

    data = Ring("test")
    points = data.__getitems__(list(range(400)))["points"]
    half = points[(points[:, 1] > 0.3) | (points[:, 0] > 0.9)]  # four modes
    for sample in (points, half, 3 * points):
        wanted = modes_covered(sample, data.centers, radius=0.2)[0]
        counted = ring.page.evaluate(
            "async ([root, points]) => (await import(`${root}/live/ring.mjs`)).covered(points)",
            [ring.site, sample.flatten().tolist()],
        )
        assert counted == wanted


@pytest.mark.parametrize(("demo", "slider"), [("walk", "Place on the walk"), ("flight", "Time, in frames")])
def test_a_slider_is_answered_at_once(opened, demo, slider):
    """Within 50 ms of the page's thread (median), with what else the picture needs."""
    seen = opened(demo)
    seen.page.wait_for_timeout(500)  # the strip
    move = partial(seen.figure.get_by_label(slider).press, "ArrowRight")
    assert sorted(seen.act(move) for _ in range(11))[5] < 0.05


def test_the_picture_on_the_walk_is_torchs_for_the_same_latent(opened):
    walk, model = opened("walk"), zoo.load_pretrained("dcgan")
    for label in ("Place on the walk", "Stretch the latent"):
        for key in ("End", "PageDown"):
            walk.act(partial(walk.figure.get_by_label(label).press, key))
            latent = torch.tensor(walk.stage("stage.latent"))
            with model.inference():
                image = model.generator(latent[None])[0, 0]
            assert image.max() > 0.5 and near(walk.pixels(), image)
    assert not walk.complaints


def labels(visit, names: dict[str, str]) -> dict[str, torch.Tensor]:
    """What is chosen, by the name of the model's label; `names` gives the words in the page."""
    chosen = {name: visit.figure.get_by_label(re.compile(f"^{words}")).input_value() for name, words in names.items()}
    return {name: torch.tensor([int(value)]) for name, value in chosen.items()}


def test_a_flight_at_any_time_is_torchs(opened):
    flight, model = opened("flight"), zoo.load_pretrained("mocogan-ode")
    time = flight.figure.get_by_label("Time, in frames")
    for key in ("ArrowRight", "End", "Home", "PageUp", "ArrowLeft"):
        flight.act(partial(time.press, key))
        shown = flight.stage("stage.shown")
        assert shown["time"] == float(time.input_value())
        content, noise = torch.tensor([shown["content"]]), torch.tensor([shown["noise"]])
        asked = labels(flight, {"digit": "Digit", "direction": "Direction in frame 0", "speed": "Speed"})
        with model.inference():
            path = model.generator.path(noise, [shown["time"]], None, asked)
            frame = model.generator(model.generator.codes(content, path, None, asked))[0, 0, 0]
        assert frame.max() > 0 and near(flight.pixels(), frame)
    assert not flight.complaints


def test_the_futures_of_a_start_are_torchs_and_with_half_the_noise_they_stay_nearer(opened):
    fan, model = opened("fan"), zoo.load_pretrained("mocogan-sde")
    fan.act(partial(fan.figure.get_by_label("Moment").press, "End"))
    apart = {}
    for strength in (1.0, 0.5):
        while float(fan.figure.get_by_label("Noise").input_value()) > strength:
            fan.act(partial(fan.figure.get_by_label("Noise").press, "ArrowLeft"))
        shown = fan.stage("stage.shown")
        asked = labels(fan, {"digit": "Digit", "direction": "Direction in frame 0", "speed": "Speed"})
        asked = {name: value.expand(6) for name, value in asked.items()}
        noise = torch.tensor(shown["noise"]).view(15, 6, -1, model.config.motion_dim)
        noise = strength * model.config.noise * noise.transpose(0, 1).flatten(1, 2)
        content, begin = (torch.tensor([shown[name]]).expand(6, -1) for name in ("content", "start"))
        with model.inference():
            path = model.generator.path(begin, range(16), noise, asked)
            last = model.generator(model.generator.codes(content, path, None, asked))[:, 0, -1]
        drawn = fan.pixels(1)
        for k, frame in enumerate(last):
            assert frame.max() > 0 and near(drawn[:, 34 * k : 34 * k + 32], frame)
        ink = (last + 1) / 2
        places = torch.arange(32) + 0.5
        centres = torch.stack([(ink.sum(axis) * places).sum(1) for axis in (1, 2)], dim=1) / ink.sum((1, 2))[:, None]
        apart[strength] = shown["apart"]
        assert shown["apart"] == pytest.approx(
            (centres - centres.mean(0)).square().sum(1).mean().sqrt().item(), abs=0.05
        )
    assert apart[0.5] < apart[1.0]
    assert not fan.complaints


def test_swapped_clips_are_torchs(opened):
    swap, model = opened("swap"), zoo.load_pretrained("mocogan")
    swap.act(partial(swap.figure.get_by_label("Frames").press, "PageUp"))
    swap.act(partial(swap.figure.get_by_label("Digit of row 2").press, "8"))
    swap.act(partial(swap.figure.get_by_label("Moment").press, "End"))
    shown, drawn = swap.stage("stage.shown"), swap.pixels()
    frames = int(swap.figure.get_by_label("Frames").input_value())
    assert shown["frame"] == frames - 1 and frames > 16
    for row, content in enumerate(shown["contents"], start=1):
        for column, motion in enumerate(shown["motions"], start=1):
            names = {"direction": f"Direction of column {column}", "speed": f"Speed of column {column}"}
            asked = labels(swap, names | {"digit": f"Digit of row {row}"})
            noise = torch.tensor(motion["noise"]).view(1, -1, model.config.motion_dim)[:, :frames]
            with model.inference():
                path = model.generator.motion_codes(torch.tensor([motion["start"]]), noise, asked)
                clip = model.generator(model.generator.codes(torch.tensor([content]), path, None, asked))
            top, left = 34 * (row - 1), 34 * (column - 1)
            assert clip[0, 0, -1].max() > 0 and near(drawn[top : top + 32, left : left + 32], clip[0, 0, -1])
    assert not swap.complaints


def test_a_drawing_gets_torchs_codes_and_other_codes_draw_what_torch_draws(opened):
    """By keyboard alone. The page runs weights of 8 bits, so torch gets the same."""
    codes, model = opened("codes"), rounded(zoo.load_pretrained("vqvae"))
    paper, state = codes.figure.get_by_label("Draw a digit here."), codes.figure.locator(".live-state").first
    for key in ("Space", *4 * ["ArrowDown"], *3 * ["ArrowLeft"]):
        paper.press(key)
        codes.page.wait_for_timeout(20)
    codes.page.wait_for_timeout(1000)
    shown = codes.stage("stage.shown")
    drawing = torch.tensor(shown["drawing"]).view(1, 1, 32, 32)
    assert drawing[0, 0, 20, 16] > 0.5
    written = model.encode(drawing).flatten().tolist()
    assert shown["codes"] == written
    assert "all written by the encoder" in state.text_content()

    codes.figure.get_by_role("button", name=f"Row 2, column 3: code {written[6]}").press("Enter")
    hand = codes.figure.get_by_label(re.compile("^Code in hand"))
    assert int(hand.input_value()) == written[6]
    hand.press("ArrowRight")
    other = int(hand.input_value())
    codes.act(partial(codes.figure.get_by_role("button", name="Row 3, column 2").press, "Enter"))
    shown = codes.stage("stage.shown")
    assert shown["codes"] == [*written[:9], other, *written[10:]]
    assert near(codes.pixels(1), model.decode(torch.tensor(shown["codes"]).view(1, 4, 4))[0, 0])
    assert "1 of them put by you" in state.text_content()

    codes.act(partial(codes.figure.get_by_role("button", name="The encoder's codes again").press, "Enter"))
    assert codes.stage("stage.shown.codes") == written
    assert not codes.complaints


def test_the_palette_shows_each_code_at_one_place_of_an_empty_picture(opened):
    codes, model = opened("codes"), rounded(zoo.load_pretrained("vqvae"))
    codes.page.wait_for_function(
        "(figure) => document.querySelector(`${figure} .live-stage`).tiles === 256", arg=codes.selector
    )
    empty = model.encode(-torch.ones(1, 1, 32, 32))
    drawn = codes.pixels(2)
    for code in (0, 77, 255):
        empty[0, 1, 1] = code
        top, left = 9 * (code // 32), 9 * (code % 32)
        assert near(drawn[top : top + 8, left : left + 8], model.decode(empty)[0, 0, 8:16, 8:16])


def test_the_parts_of_a_clip_are_torchs_and_a_pushed_mask_puts_them_together_anew(opened):
    streams, model = opened("streams"), rounded(zoo.load_pretrained("vgan"))
    for label, key in (("Latent", "ArrowRight"), ("Digit", "7"), ("Direction", "l"), ("Moment", "End")):
        streams.act(partial(streams.figure.get_by_label(re.compile(f"^{label}")).press, key))
    for key, open_at in (("ArrowRight", None), ("PageDown", None), ("Home", "at 0 %"), ("End", "at 100 %")):
        streams.act(partial(streams.figure.get_by_label("Push the mask").press, key))
        shown = streams.stage("stage.shown")
        asked = labels(streams, {"digit": "Digit", "direction": "Direction", "speed": "Speed"})
        assert asked["digit"] == 7 and asked["direction"] == 4 and shown["moment"] == 15
        with model.inference():
            parts = model.streams(torch.tensor([shown["latent"]]), asked)
        opened = (torch.logit(parts["mask"].double()) + shown["push"]).sigmoid().float()
        if open_at:
            opened = torch.full_like(opened, key == "End")
            assert open_at in streams.figure.locator(".live-state").text_content()
        clip = opened * parts["foreground"] + (1 - opened) * parts["background"]
        wanted = clip[0, 0, -1], 2 * opened[0, 0, -1] - 1, parts["foreground"][0, 0, -1], parts["background"][0, 0, 0]
        assert all(near(streams.pixels(place), image) for place, image in enumerate(wanted))
    assert not streams.complaints


def test_a_painted_hole_is_filled_with_what_torch_draws_for_the_latent_that_is_found(opened):
    """By keyboard alone, step by step; the loss is that of the search in torch."""
    fill, model = opened("fill"), zoo.load_pretrained("dcgan")
    fill.act(partial(fill.figure.get_by_label(re.compile("^Digit")).press, "Home"))
    fill.act(partial(fill.figure.get_by_label(re.compile("^Hole")).press, "c"))
    before = torch.tensor(fill.stage("stage.shown.known")).view(1, 1, 32, 32)
    assert torch.equal(before.float(), mask("centre", 32))
    paper, step = fill.figure.get_by_label("Paint over a part"), fill.figure.get_by_role("button", name="One step")
    for key in ("Space", "ArrowUp", *12 * ["ArrowLeft"]):
        paper.press(key)
        fill.page.wait_for_timeout(50)
    assert fill.figure.get_by_label(re.compile("^Hole")).input_value() == "yours"
    losses = []
    for _ in range(12):
        fill.act(partial(step.press, "Enter"))
        losses.append(fill.stage("stage.shown.loss"))
    assert losses[-1] < 0.8 * losses[0]

    shown = fill.stage("stage.shown")
    digit, known = (torch.tensor(shown[key]).float().view(1, 1, 32, 32) for key in ("digit", "known"))
    assert (known < before).any() and not (known > before).any()
    assert near(fill.pixels(3), Digits("test", 32).__getitems__([0])["image"][0, 0])
    with model.inference():
        image = model.generator(torch.tensor([shown["latent"]]))
        logit = model.discriminator(image)
    loss = (importance(known, 7) * (image - digit).abs()).sum() - softplus(logit)
    assert loss.item() == pytest.approx(shown["loss"], abs=0.01)
    for place, wanted in enumerate((composite(digit, image, known), image, digit), start=1):
        assert near(fill.pixels(place), wanted[0, 0])
    assert not fill.complaints
