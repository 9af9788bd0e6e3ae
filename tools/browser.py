"""The built book in headless Chromium: what each page loads, weighs and reports, and what axe-core says of it.

    python tools/browser.py     visits every page, prints a table and writes results/browser.json, some minutes

`make book` comes first. No page may load anything from elsewhere, so Chromium finds no other host than this one.
tests/repository/test_browser.py asks of each page what is asked here, and more.
"""

import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from vidgen_lab.training.state import write_json

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
RESULTS = ROOT / "results" / "browser.json"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 120_000  # milliseconds: a busy machine is slow
SCREEN, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 800}  # pixels
# What axe does not read, since it costs minutes and shows nothing new: all but the first entry of a section of the
# reference, listings below the first heading, and the boxes that formulas are made of.
NOT_READ = ["section > dl.py ~ dl.py", "section section .highlight", "mjx-math"]

PLAY = """async () => {
  const still = [];
  for (const film of document.querySelectorAll("article video")) {
    film.muted = true;
    await film.play();
    const [start, end] = [film.currentTime, performance.now() + 20000];
    while (film.currentTime === start && performance.now() < end) await new Promise(requestAnimationFrame);
    if (film.currentTime === start || film.readyState < 2) still.push(film.ariaLabel);
    film.pause();
  }
  return still;
}"""
# What is wider than the screen and does not scroll in a box of its own. The column of the article is no such box.
WIDE = """() => {
  const scrolls = box => box && !box.matches(".bd-article-container")
    && (/auto|scroll|hidden/.test(getComputedStyle(box).overflowX) || scrolls(box.parentElement));
  const wide = [...document.querySelectorAll("main *")].filter(each => {
    const { right, width } = each.getBoundingClientRect();
    return width && right > innerWidth + 1 && each.checkVisibility() && !scrolls(each);
  });
  return wide.map(each => each.outerHTML.slice(0, 120));
}"""


def pages(entry: dict[str, Any] | None = None) -> list[str]:
    """Every page of the table of contents, in its order."""
    entry = entry or yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + [
        name for key in ("parts", "chapters", "sections") for item in entry.get(key, []) for name in pages(item)
    ]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path = HTML) -> Iterator[str]:
    """The address of a folder on a plain file server: no special headers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


def settle(page: Page, address: str) -> None:
    """Open a page and wait until its formulas are drawn and nothing more is loaded."""
    page.set_default_timeout(PATIENCE)
    page.goto(address, wait_until="load")
    page.evaluate("() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 0) : 0")
    page.wait_for_load_state("networkidle")


def show(page: Page, scheme: str) -> None:
    """Light or dark, as the button of the theme does, with no colour still on its way."""
    page.evaluate(
        """scheme => {
          document.documentElement.dataset.theme = scheme;
          for (const change of document.getAnimations()) change.finish();
        }""",
        scheme,
    )


def complaints(page: Page, contrasts: bool) -> list[str]:
    """What axe-core finds that is serious or critical, in contrasts or in all else: rule, and where."""
    rules = {"runOnly": ["color-contrast"]} if contrasts else {"rules": {"color-contrast": {"enabled": False}}}
    options = {"resultTypes": ["violations"], "preload": False, **rules}  # its preload asks for files at wrong places
    found = Axe().run(page, context={"exclude": [[each] for each in NOT_READ]}, options=options).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html'][:120]}" for each in serious for node in each["nodes"]]


@dataclass
class Report:
    """One page, visited once."""

    bytes: int = 0  # of all that opening it loads, uncompressed, MathJax apart
    first_paint_ms: float = 0.0
    elsewhere: list[str] = field(default_factory=list)  # requests to other hosts
    failed: list[str] = field(default_factory=list)  # requests without an answer
    errors: list[str] = field(default_factory=list)  # of the console
    fonts: int = 0  # of MathJax
    formulas: int = 0
    not_drawn: int = 0  # formulas
    films: int = 0
    not_playing: list[str] = field(default_factory=list)
    wide_on_a_phone: list[str] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)
    contrasts: list[str] = field(default_factory=list)  # that axe finds too weak, on the light and on the dark page


def look(browser: Browser, site: str, name: str, contrasts: bool = True) -> Report:
    """Visit a page of the site. `contrasts` are what takes axe longest."""
    report, loaded = Report(), set()

    def asked(url: str) -> None:
        if url.startswith(site):
            loaded.add(unquote(urlsplit(url).path).lstrip("/"))
        elif not url.startswith(("data:", "blob:")):
            report.elsewhere.append(url)

    with browser.new_context(viewport=SCREEN) as context:
        page = context.new_page()
        page.on("request", lambda request: asked(request.url))
        page.on("requestfailed", lambda request: report.failed.append(request.url))
        page.on("response", lambda reply: report.failed.append(reply.url) if reply.status >= 400 else None)
        page.on("pageerror", lambda error: report.errors.append(str(error)))
        page.on("console", lambda said: report.errors.append(said.text) if said.type == "error" else None)
        settle(page, f"{site}/{name}.html")
        report.bytes = sum((HTML / path).stat().st_size for path in loaded if not path.startswith("mathjax/"))
        report.fonts = sum(path.startswith("mathjax/") and path.endswith(".woff") for path in loaded)
        report.first_paint_ms = first_paint(page)
        report.formulas = page.locator("article .math").count()
        drawn = page.locator("article mjx-container").count()
        report.not_drawn = max(0, report.formulas - drawn) + page.locator("mjx-merror").count()
        report.axe = complaints(page, contrasts=False)
        for scheme in ("light", "dark") if contrasts else ():
            show(page, scheme)
            report.contrasts += complaints(page, contrasts=True)
        report.films = page.locator("article video").count()
        report.not_playing = page.evaluate(PLAY)
        page.set_viewport_size(PHONE)
        report.wide_on_a_phone = page.evaluate(WIDE)
    return report


def first_paint(page: Page) -> float:
    """Milliseconds from the request to the first text or picture."""
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    return page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")


def main() -> None:
    if CHROMIUM is None:
        sys.exit("no Chromium found (Debian: apt-get install chromium)")
    if not (HTML / "index.html").is_file():
        sys.exit("_build/html is not there: run make book")
    rows, load = {}, os.getloadavg()[0]
    with served() as site, launched() as browser:
        chromium = browser.version
        print(f"{'page':34} {'MB':>5} {'paint, ms':>9} {'errors':>6} {'failed':>6} {'films':>5} {'axe':>4} {'wide':>4}")
        for name in pages():
            row = rows[name] = look(browser, site, name)
            axe = len(row.axe) + len(row.contrasts)
            failed = len(row.failed) + len(row.elsewhere)
            print(
                f"{name:34} {row.bytes / 1e6:5.2f} {row.first_paint_ms:9.0f} {len(row.errors):6} {failed:6} "
                f"{row.films:5} {axe:4} {len(row.wide_on_a_phone):4}",
                flush=True,
            )
    heaviest = max(rows, key=lambda name: rows[name].bytes)
    total = {
        "pages": len(rows),
        "console_errors": sum(len(row.errors) for row in rows.values()),
        "failed_requests": sum(len(row.failed) for row in rows.values()),
        "requests_elsewhere": sum(len(row.elsewhere) for row in rows.values()),
        "heaviest": {"page": heaviest, "megabytes": rows[heaviest].bytes / 1e6},
        "films": sum(row.films for row in rows.values()),
        "films_not_playing": sum(len(row.not_playing) for row in rows.values()),
        "formulas": sum(row.formulas for row in rows.values()),
        "axe_serious": sum(len(row.axe) + len(row.contrasts) for row in rows.values()),
        "wide_on_a_phone": sum(len(row.wide_on_a_phone) for row in rows.values()),
    }
    write_json(
        RESULTS,
        {
            "command": "python tools/browser.py",
            "date": date.today().isoformat(),
            "versions": {
                "chromium": chromium,
                **{name: version(name) for name in ("playwright", "axe-playwright-python")},
            },
            "load_average": load,  # while the front page was painted
            "total": total,
            "rows": {name: asdict(row) for name, row in rows.items()},
        },
    )


if __name__ == "__main__":
    main()
