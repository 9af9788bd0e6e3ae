"""Every test runs torch on one thread, also in the kernels and processes that it starts. The book in a browser."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import shutil  # noqa: E402
import threading  # noqa: E402
import warnings  # noqa: E402
from functools import partial  # noqa: E402
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer  # noqa: E402
from pathlib import Path  # noqa: E402

import matplotlib  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
matplotlib.use("Agg")  # not through the environment: a lab's kernel draws inline

HTML = Path(__file__).resolve().parents[1] / "_build/html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site():
    """The address of the built book on a plain file server: no special headers."""
    if not (HTML / "index.html").is_file():
        pytest.fail("_build/html is not there: run make book")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=HTML))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium. Without one the tests are skipped, or fail with VIDGEN_REQUIRE_CHROMIUM=1."""
    if CHROMIUM is None:
        message = "no Chromium found: the pages were NOT tried in a browser (Debian: apt-get install chromium)"
        if os.environ.get("VIDGEN_REQUIRE_CHROMIUM") == "1":
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
