"""The built pages in headless Chromium, served on localhost: no request leaves.

No page reports an error; formulas are drawn, films play, solutions fold, the search
finds, figures stand out on light and dark pages, and a keyboard or a phone suffices.

Where no Chromium is found these tests are skipped, and the summary says so. With VIDGEN_REQUIRE_CHROMIUM=1 they fail.
"""

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build/html"
ALLOWED_ERROR = "THEBE_JS_URL"  # sphinx-thebe puts one script on each page twice


def pages() -> list[str]:
    """Every page of the table of contents."""
    found, open_entries = [], [yaml.safe_load((ROOT / "_toc.yml").read_text())]
    while open_entries:
        entry = open_entries.pop()
        found += [entry[key] for key in ("root", "file") if key in entry]
        open_entries += [item for key in ("parts", "chapters", "sections") for item in entry.get(key, [])]
    return sorted(found)


class Visit:
    """A page in its own context, with all that it asked for and all that went wrong."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.context = browser.new_context()
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.missing: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", lambda reply: self.missing.append(reply.url) if reply.status >= 400 else None)
        self.page.goto(address, wait_until="load")
        self.page.wait_for_function("!window.MathJax || !MathJax.startup || MathJax.startup.promise")
        self.page.evaluate("() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 0) : 0")
        self.page.wait_for_load_state("networkidle")


@pytest.fixture(scope="module")
def visit(chromium, site):
    """Opens a page by its name, once."""
    opened: dict[str, Visit] = {}

    def opener(name: str) -> Visit:
        if name not in opened:
            opened[name] = Visit(chromium, f"{site}/{name}.html")
        return opened[name]

    yield opener
    for each in opened.values():
        each.context.close()


@pytest.mark.parametrize("name", pages())
def test_a_page_works_without_a_network(visit, site, name):
    seen = visit(name)
    assert not [url for url in seen.requests if not url.startswith((site, "data:", "blob:"))]
    assert not seen.missing
    assert not [error for error in seen.errors if ALLOWED_ERROR not in error]

    formulas = seen.page.locator("article .math").count()
    assert seen.page.locator("article mjx-container").count() >= formulas
    assert seen.page.locator("mjx-merror").count() == 0

    for index in range(seen.page.locator("article video").count()):
        film = seen.page.locator("article video").nth(index)
        film.evaluate("film => film.play()")
        seen.page.wait_for_function("film => film.readyState >= 2", arg=film.element_handle(), timeout=10_000)


def test_the_chapter_has_formulas_in_the_fonts_that_travel_with_the_book(visit):
    seen = visit("book/foundations/gan")
    assert seen.page.locator("article mjx-container").count() > 0
    assert [url for url in seen.requests if url.endswith(".woff") and "/mathjax/" in url]


@pytest.mark.parametrize("name", pages())
def test_a_page_fits_a_phone(visit, name):
    page = visit(name).page
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(visit, scheme):
    """At least 4.5 to 1, as WCAG asks, for the text of the article."""
    page = visit("book/intro").page
    page.evaluate("scheme => { document.documentElement.dataset.theme = scheme }", scheme)
    ink, paper = (
        page.evaluate(f"getComputedStyle(document.querySelector('{where}')).{what}")
        for where, what in (("article p", "color"), ("body", "backgroundColor"))
    )
    dark, light = sorted((luminance(ink), luminance(paper)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert (luminance(paper) > 0.5) == (scheme == "light")


def luminance(color: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, after WCAG 2."""
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_films_start_by_themselves_but_rest_for_a_reader_who_wants_less_motion(chromium, site):
    for motion, resting in (("no-preference", False), ("reduce", True)):
        with chromium.new_context(reduced_motion=motion) as context:
            page = context.new_page()
            page.goto(f"{site}/book/foundations/gan.html", wait_until="load")
            page.wait_for_function("document.querySelector('video').readyState >= 2")
            if resting:
                page.wait_for_timeout(300)
                assert page.evaluate("document.querySelector('video').paused")
            else:  # a busy machine starts late
                page.wait_for_function("!document.querySelector('video').paused")


def test_the_search_finds_a_word_of_the_book(chromium, site):
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{site}/search.html?q=codebook", wait_until="load")
        page.wait_for_selector("#search-results li a", timeout=20_000)
        page.wait_for_function("!document.querySelector('#search-progress')?.innerText.includes('Searching')")
        found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert [link for link in found if "book/foundations/vqvae" in link]


def test_a_solution_is_folded_until_somebody_asks_for_it_by_mouse_or_keyboard(visit):
    page = visit("notebooks/01_gan").page
    folded = page.locator("details.hide")
    code = page.locator("details.hide .cell_input, details.hide pre")
    assert folded.count() >= 3 and not folded.evaluate_all("all => all.some(one => one.open)")
    assert not code.first.is_visible()
    summary = folded.first.locator("summary")
    summary.click()
    assert code.first.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("!document.querySelector('details.hide').open")


@pytest.mark.parametrize("name", ["book/intro", "notebooks/01_gan"])
def test_a_keyboard_reaches_everything(visit, name):
    page = visit(name).page
    page.set_viewport_size({"width": 1280, "height": 800})
    out_of_reach = page.evaluate(
        """() => [...document.querySelectorAll(
            "main a[href], main button, main summary, main input, main select, main video[controls]")]
          .filter(each => each.checkVisibility() && each.tabIndex < 0 && !each.matches(".headerlink, [type=checkbox]"))
          .map(each => each.outerHTML.slice(0, 120))"""
    )
    assert not out_of_reach
    assert not page.locator("[tabindex]").evaluate_all("all => all.filter(one => one.tabIndex > 0).length")
    for _ in range(6):  # no element keeps the focus
        before = page.evaluate_handle("document.activeElement")
        page.keyboard.press("Tab")
        assert page.evaluate("before => document.activeElement !== before", before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_stand_out_from_their_ground_on_light_and_dark_pages(visit, scheme):
    """The darkest and the lightest hundredth of a figure's pixels differ by 4.5 to 1 or more."""
    page = visit("book/foundations/gan").page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("scheme => { document.documentElement.dataset.theme = scheme }", scheme)
    figures = page.locator("article img.dark-light")
    assert figures.count()
    for index in range(min(3, figures.count())):
        pixels = np.asarray(Image.open(io.BytesIO(figures.nth(index).screenshot())).convert("RGB"), dtype=float) / 255
        linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
        light = linear @ np.array([0.2126, 0.7152, 0.0722])
        low, high = np.quantile(light, [0.01, 0.99])
        assert (high + 0.05) / (low + 0.05) >= 4.5
    page.evaluate("() => { document.documentElement.dataset.theme = 'light' }")
