"""Live figures in headless Chromium, with no network but the site: they load on the first touch, and compute as torch.

Times are those of the page's own thread on the processor, so that a busy machine does not count. Where no Chromium is
found these tests are skipped, and the summary says so. With VIDGEN_REQUIRE_CHROMIUM=1 they fail.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from vidgen_lab import viz, zoo
from vidgen_lab.core import Draw
from vidgen_lab.data import Ring
from vidgen_lab.losses import ADVERSARIAL

HTML = Path(__file__).resolve().parents[2] / "_build/html"
PATIENCE = 120_000  # milliseconds; a busy machine is slow
GAMES = [game for game in ADVERSARIAL if game != "wasserstein"]  # it needs a penalty that the page does not have


class Visit:
    """A page with a live figure, in a context of its own; only the site can be reached."""

    def __init__(self, browser, site: str, name: str, **settings: object) -> None:
        self.context = browser.new_context(**settings)
        self.context.route(lambda url: not url.startswith(site), lambda route: route.abort())
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(f"{site}/{name}.html", wait_until="load")
        self.figure = self.page.locator("figure.live")
        self.site = site
        self.session = self.context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _hear(self, message) -> None:
        if (
            message.type in ("error", "warning") and "willReadFrequently" not in message.text
        ):  # that is the test's doing
            self.complaints.append(message.text)

    def seconds(self) -> float:
        """Time that the page's thread has spent on the processor."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    def press(self) -> None:
        """The button by keyboard, until the first picture is there."""
        self.complaints.clear()  # what the theme says while the page loads is not ours
        self.figure.locator(".live-start").press("Enter")
        self.figure.locator(".live-stage canvas").first.wait_for(state="visible")

    def loaded(self, part: str) -> list[str]:
        return [url for url in self.requests if part in url]


@pytest.fixture(scope="module")
def ring(chromium, site):
    visit = Visit(chromium, site, "book/foundations/gan", reduced_motion="reduce")
    yield visit
    visit.context.close()


@pytest.fixture(scope="module")
def walk(chromium, site):
    visit = Visit(chromium, site, "book/foundations/dcgan")
    yield visit
    visit.context.close()


def pixels(page: Page, canvas: str) -> np.ndarray:
    """Red, green and blue of a canvas."""
    flat, height, width = page.evaluate(
        """(name) => {
            const canvas = document.querySelector(name);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [Array.from(data), canvas.height, canvas.width];
        }""",
        canvas,
    )
    return np.array(flat, dtype=np.int64).reshape(height, width, 4)[..., :3]


def stage(page: Page, expression: str):
    """A value of the running figure, as JSON; typed arrays become lists."""
    return page.evaluate(
        f"""() => {{
            const stage = document.querySelector(".live-stage");
            return JSON.parse(JSON.stringify({expression}, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x) : x)));
        }}"""
    )


def act(visit: Visit, action) -> float:
    """Does something that draws anew, waits for the picture, and says how long the page's thread took."""
    before, begun = stage(visit.page, "stage.drawn"), visit.seconds()
    action()
    visit.page.wait_for_function("(n) => document.querySelector('.live-stage').drawn > n", arg=before)
    return visit.seconds() - begun


def test_a_page_loads_nothing_for_its_live_figure_but_the_button_and_without_one_not_even_that(ring, site):
    assert [url.removeprefix(site) for url in ring.loaded("/live/")] == ["/live/start.js"]
    assert not ring.loaded("/onnxruntime/")
    ring.page.wait_for_selector("figure.live video")  # the film that is there anyway
    without = (HTML / "book/intro.html").read_text()
    assert "/live/" not in without and "onnxruntime" not in without


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
    ring.press()
    assert figure.locator("video").is_hidden()
    state = figure.locator(".live-state")
    page.wait_for_timeout(300)
    assert state.text_content().startswith("Step 0.")
    before = pixels(page, ".live-stage canvas")
    figure.get_by_role("button", name="One step").press("Space")
    assert state.text_content().startswith("Step 1.")
    after = pixels(page, ".live-stage canvas")
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


def test_a_model_that_cannot_run_says_why_and_leaves_the_picture(walk):
    page, figure = walk.page, walk.figure
    button, note, picture = (
        figure.locator(".live-start"),
        figure.locator(".live-note"),
        figure.locator(".live-still img"),
    )

    def refused(words: str) -> None:
        button.press("Enter")
        note.filter(has_text=words).wait_for()
        assert picture.is_visible() and button.is_enabled() and not figure.locator("canvas").count()

    page.evaluate("() => { window.validate = WebAssembly.validate; WebAssembly.validate = () => false; }")
    refused("lacks WebAssembly with vector instructions")
    page.evaluate("() => { WebAssembly.validate = window.validate; }")

    page.route("**/*.onnx", lambda route: route.fulfill(status=404))
    refused("dcgan-cpu-generator.onnx is missing from this site")
    page.unroute("**/*.onnx")
    page.route("**/*.onnx", lambda route: route.fulfill(body=b"not a model"))
    refused("dcgan-cpu-generator.onnx is damaged: its SHA-256 is not that")
    page.unroute("**/*.onnx")
    page.route("**/dcgan-cpu.json", lambda route: route.fulfill(json={"weights_sha256": "0" * 64, "graphs": {}}))
    refused("not those that this page was built with")
    page.unroute("**/dcgan-cpu.json")


def test_the_walk_is_there_soon_after_the_first_touch_and_answers_the_slider_at_once(chromium, site):
    """First picture within 1.5 s, a place on the walk within 50 ms (median), less than 6 MB to load."""
    visit = Visit(chromium, site, "book/foundations/dcgan")
    begun = visit.seconds()
    visit.press()
    assert visit.seconds() - begun < 1.5

    place = visit.figure.get_by_label("Place on the walk")
    times = []
    for _ in range(11):
        begun = visit.seconds()
        place.press("ArrowRight")
        visit.page.wait_for_timeout(30)
        times.append(visit.seconds() - begun)
    assert float(place.input_value()) == pytest.approx(0.11)
    assert sorted(times)[5] < 0.05
    asked = {url.removeprefix(site) for part in ("/live/", "/onnxruntime/") for url in visit.loaded(part)}
    files = [HTML / url.strip("/") for url in asked]
    assert any(path.suffix == ".onnx" for path in files)
    assert sum(path.stat().st_size for path in files) < 6e6
    assert not visit.complaints
    visit.context.close()


def test_the_picture_on_the_canvas_is_torchs_for_the_same_latent(walk):
    walk.press()
    model = zoo.load_pretrained("dcgan")
    for label in ("Place on the walk", "Stretch the latent"):
        for key in ("End", "PageDown"):
            act(walk, lambda label=label, key=key: walk.figure.get_by_label(label).press(key))
            latent = torch.tensor(stage(walk.page, "stage.latent"))
            with model.inference():
                image = model.generator(latent[None])
            wanted = viz.to_uint8(image)[0, 0].astype(int)
            shown = pixels(walk.page, ".live-stage canvas")
            assert wanted.max() > 200
            assert np.abs(shown - wanted[..., None]).max() <= 2
    assert not walk.complaints


def labels(visit: Visit, names: dict[str, str]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([int(visit.figure.get_by_label(label).input_value())]) for name, label in names.items()}


def test_a_flight_at_any_time_is_torchs_and_comes_at_once(chromium, site):
    visit = Visit(chromium, site, "book/video/continuous", reduced_motion="reduce")
    visit.press()
    model = zoo.load_pretrained("mocogan-ode")
    visit.page.wait_for_timeout(500)  # the strip
    time, costs = visit.figure.get_by_label("Time, in frames"), []
    for key in ("ArrowRight", "End", "Home", "PageUp", "ArrowLeft"):
        costs.append(act(visit, lambda key=key: time.press(key)))
        shown = stage(visit.page, "stage.shown")
        assert shown["time"] == float(time.input_value())
        content, noise = torch.tensor([shown["content"]]), torch.tensor([shown["noise"]])
        asked = labels(visit, {"digit": "Digit", "direction": "Direction in frame 0", "speed": "Speed"})
        with model.inference():
            path = model.generator.path(noise, [shown["time"]], None, asked)
            frame = model.generator(model.generator.codes(content, path, None, asked))[0, 0, 0]
        wanted = viz.to_uint8(frame).astype(int)
        assert wanted.max() > 100
        assert np.abs(pixels(visit.page, ".live-stage canvas") - wanted[..., None]).max() <= 2
    assert sorted(costs)[2] < 0.05
    assert not visit.complaints
    visit.context.close()


def test_swapped_clips_are_torchs(chromium, site):
    visit = Visit(chromium, site, "book/video/temporal", reduced_motion="reduce")
    visit.press()
    model = zoo.load_pretrained("mocogan")
    act(visit, lambda: visit.figure.get_by_label("Frames").press("PageUp"))
    act(visit, lambda: visit.figure.get_by_label("Digit of row 2").select_option("8"))
    act(visit, lambda: visit.figure.get_by_label("Moment").press("End"))
    shown, drawn = stage(visit.page, "stage.shown"), pixels(visit.page, ".live-stage canvas")
    frames = int(visit.figure.get_by_label("Frames").input_value())
    assert shown["frame"] == frames - 1 and frames > 16
    for row, content in enumerate(shown["contents"], start=1):
        for column, motion in enumerate(shown["motions"], start=1):
            names = {"direction": f"Direction of column {column}", "speed": f"Speed of column {column}"}
            asked = labels(visit, names | {"digit": f"Digit of row {row}"})
            noise = torch.tensor(motion["noise"]).view(1, -1, model.config.motion_dim)[:, :frames]
            with model.inference():
                path = model.generator.motion_codes(torch.tensor([motion["start"]]), noise, asked)
                clip = model.generator(model.generator.codes(torch.tensor([content]), path, None, asked))
            wanted = viz.to_uint8(clip)[0, 0, -1].astype(int)
            top, left = 34 * (row - 1), 34 * (column - 1)
            assert np.abs(drawn[top : top + 32, left : left + 32] - wanted[..., None]).max() <= 2
    assert not visit.complaints
    visit.context.close()
