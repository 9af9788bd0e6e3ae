"""The built pages in headless Chromium, served on localhost; no other host can be found.

No page reports an error or weighs much; formulas are drawn, films play, solutions fold, the search finds, axe-core has
no serious complaint, figures stand out on light and dark pages, and a keyboard or a phone suffices.

Where no Chromium is found these tests are skipped, and the summary says so. With VIDGEN_REQUIRE_CHROMIUM=1 they fail.
"""

import io
import os

import browser
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

PAGES = browser.pages()
SAMPLED = {"book/intro", "book/foundations/gan", "book/appendix/instructors", "notebooks/01_gan"}
each_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module")
def report(chromium, site):
    """What one visit to a page shows."""
    made: dict[str, browser.Report] = {}

    def of(name: str) -> browser.Report:
        if name not in made:
            made[name] = browser.look(chromium, site, name, contrasts=name in SAMPLED)
        return made[name]

    return of


@pytest.fixture(scope="module")
def visit(chromium, site):
    """Opens a page by its name, once."""
    opened: dict[str, Page] = {}

    def of(name: str) -> Page:
        if name not in opened:
            opened[name] = chromium.new_context(viewport=browser.SCREEN).new_page()
            browser.settle(opened[name], f"{site}/{name}.html")
        browser.show(opened[name], "light")
        return opened[name]

    yield of
    for page in opened.values():
        page.context.close()


@each_page
def test_a_page_loads_nothing_from_elsewhere_and_reports_no_error(report, name):
    seen = report(name)
    assert (seen.elsewhere, seen.failed, seen.errors) == ([], [], [])


@each_page
def test_all_formulas_of_a_page_are_drawn_and_all_its_films_play(report, name):
    seen = report(name)
    assert (seen.not_drawn, seen.not_playing) == (0, [])


@each_page
def test_a_page_weighs_at_most_3_mb(report, name):
    assert report(name).bytes <= 3e6


@each_page
def test_nothing_on_a_page_is_wider_than_a_phone(report, name):
    assert report(name).wide_on_a_phone == []


@each_page
def test_axe_finds_nothing_serious(report, name):
    """The contrasts of all pages come from one style sheet and are read on some; `make browser` reads them on all."""
    seen = report(name)
    assert (seen.axe, seen.contrasts) == ([], [])


def test_the_chapter_has_formulas_in_the_fonts_that_travel_with_the_book(report):
    seen = report("book/foundations/gan")
    assert seen.formulas > 0 and seen.fonts > 0


def test_the_front_page_paints_within_two_seconds(chromium, site):
    """The best of three, without a cache. A machine with other work is given as many times longer as it is full."""
    allowed = 2000 * max(1.0, os.getloadavg()[0] / os.cpu_count())
    times = []
    for _ in range(3):
        with chromium.new_context() as context:
            page = context.new_page()
            browser.settle(page, f"{site}/{PAGES[0]}.html")
            times.append(browser.first_paint(page))
    assert min(times) < allowed


def luminance(color: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, after WCAG 2."""
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(visit, scheme):
    """At least 4.5 to 1, as WCAG asks, for the text of the article."""
    page = visit("book/intro")
    browser.show(page, scheme)
    ink, paper = (
        page.evaluate(f"getComputedStyle(document.querySelector('{where}')).{what}")
        for where, what in (("article p", "color"), ("body", "backgroundColor"))
    )
    dark, light = sorted((luminance(ink), luminance(paper)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert (luminance(paper) > 0.5) == (scheme == "light")


def test_films_start_when_they_come_into_view_but_rest_for_a_reader_who_wants_less_motion(chromium, site):
    for motion, resting in (("no-preference", False), ("reduce", True)):
        with chromium.new_context(reduced_motion=motion) as context:
            page = context.new_page()
            page.set_default_timeout(browser.PATIENCE)
            page.goto(f"{site}/book/foundations/gan.html", wait_until="load")
            last = page.locator("article video").last
            assert last.evaluate("film => film.paused && film.readyState === 0")  # far below: not even fetched
            last.scroll_into_view_if_needed()
            page.wait_for_function("film => film.readyState >= 2", arg=last.element_handle())
            if resting:
                page.wait_for_timeout(300)
                assert last.evaluate("film => film.paused")
            else:
                page.wait_for_function("film => !film.paused", arg=last.element_handle())


def test_the_search_finds_a_word_of_the_book(chromium, site):
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(browser.PATIENCE)
        page.goto(f"{site}/search.html?q=codebook", wait_until="load")
        page.wait_for_selector("#search-results li a")
        page.wait_for_function("!document.querySelector('#search-progress')?.innerText.includes('Searching')")
        found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert [link for link in found if "book/foundations/vqvae" in link]


def test_a_solution_is_folded_until_somebody_asks_for_it_by_mouse_or_keyboard(visit):
    page = visit("notebooks/01_gan")
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


# What a reader can press or choose. The sign beside a heading is for those who point at it: the contents have the link.
REACHABLE = """() => [...document.querySelectorAll(
    "a[href], button, summary, select, video[controls], input:not([type=checkbox], [type=hidden]), [tabindex='0']")]
  .filter(each => each.checkVisibility({ visibilityProperty: true }) && !each.disabled && !each.closest("[inert]"))"""
SEEN = """() => {
  const here = document.activeElement;
  window.reached.add(here);
  if (here.matches("video")) return [false, null]; // the browser marks the control inside
  const marks = [here, ...here.children].map(each => getComputedStyle(each));
  const marked = marks.some(each => each.outlineStyle !== "none" || each.boxShadow !== "none");
  return [here === document.body, marked ? null : here.outerHTML.slice(0, 120)];
}"""


@pytest.mark.parametrize("name", ["book/intro", "notebooks/01_gan"])
def test_tab_reaches_everything_and_shows_where_it_is(visit, name):
    page = visit(name)
    page.evaluate("() => { window.reached = new Set(); document.body.tabIndex = -1; document.body.focus(); }")
    unmarked = []
    for _ in range(page.evaluate(f"({REACHABLE})().length") * 2 + 50):
        page.keyboard.press("Tab")
        ended, without_mark = page.evaluate(SEEN)
        if ended:
            break
        unmarked += [without_mark] if without_mark else []
    assert unmarked == []
    missed = f"({REACHABLE})().filter(each => !window.reached.has(each)).map(each => each.outerHTML.slice(0, 120))"
    assert page.evaluate(missed) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_stand_out_from_their_ground_on_light_and_dark_pages(visit, scheme):
    """The darkest and the lightest hundredth of a figure's pixels differ by 4.5 to 1 or more."""
    page = visit("book/foundations/gan")
    browser.show(page, scheme)
    figures = page.locator("article img.dark-light")
    assert figures.count()
    for index in range(min(3, figures.count())):
        pixels = np.asarray(Image.open(io.BytesIO(figures.nth(index).screenshot())).convert("RGB"), dtype=float) / 255
        linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
        light = linear @ np.array([0.2126, 0.7152, 0.0722])
        low, high = np.quantile(light, [0.01, 0.99])
        assert (high + 0.05) / (low + 0.05) >= 4.5
