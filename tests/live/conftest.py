"""A live figure in headless Chromium: what it loads, what it draws, what goes wrong.

Times are those of the page's own thread on the processor, so that a busy machine does not count.
"""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

PATIENCE = 120_000  # milliseconds; a busy machine is slow


class Visit:
    """A page with a live figure, in a context of its own."""

    def __init__(self, browser: Browser, site: str, page: str, demo: str, **settings: object) -> None:
        self.site, self.selector = site, f"figure.live[data-demo={demo}]"
        self.context = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(f"{site}/{page}.html", wait_until="load", timeout=3 * PATIENCE)
        self.figure: Locator = self.page.locator(self.selector)
        self.session = self.context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _hear(self, message) -> None:
        of_tests = "willReadFrequently" in message.text
        if message.type in ("error", "warning") and not of_tests:
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

    def asked(self, *parts: str) -> list[str]:
        """Addresses on the site, without it, that were asked for; with `parts` only those that have one of them."""
        ours = {url.removeprefix(self.site).partition("?")[0] for url in self.requests if url.startswith(self.site)}
        return sorted(url for url in ours if not parts or any(part in url for part in parts))

    def left(self) -> list[str]:
        """Requests that left for another site."""
        return [url for url in self.requests if not url.startswith((self.site, "data:", "blob:"))]

    def pixels(self, place: int = 0) -> np.ndarray:
        """Red, green and blue of one of the figure's canvases."""
        flat, height, width = (
            self.figure.locator(".live-stage canvas")
            .nth(place)
            .evaluate(
                """(canvas) => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return [Array.from(data), canvas.height, canvas.width];
            }"""
            )
        )
        return np.array(flat, dtype=np.int64).reshape(height, width, 4)[..., :3]

    def stage(self, expression: str):
        """A value of the running figure, as JSON; typed arrays become lists."""
        return self.figure.locator(".live-stage").evaluate(
            f"""(stage) => JSON.parse(
                JSON.stringify({expression}, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x) : x))
            )"""
        )

    def act(self, action: Callable[[], object]) -> float:
        """Does something that draws anew, waits for the picture, and says how long the page's thread took."""
        before, begun = self.stage("stage.drawn"), self.seconds()
        action()
        self.page.wait_for_function(
            "([figure, n]) => document.querySelector(`${figure} .live-stage`).drawn > n", arg=[self.selector, before]
        )
        return self.seconds() - begun


@pytest.fixture(scope="module")
def visit(chromium, site):
    """Opens the page of a figure once: `visit(page, demo)`. The reader wants less motion, so films wait."""
    opened: dict[tuple[str, str], Visit] = {}

    def get(page: str, demo: str) -> Visit:
        if (page, demo) not in opened:
            opened[page, demo] = Visit(chromium, site, page, demo, reduced_motion="reduce")
        return opened[page, demo]

    yield get
    for each in opened.values():
        each.context.close()
