"""Every test runs torch on one thread, also in the kernels and processes that it starts. The book in a browser."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import warnings  # noqa: E402

import browser  # noqa: E402
import matplotlib  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
matplotlib.use("Agg")  # not through the environment: a lab's kernel draws inline


@pytest.fixture(scope="module")
def site():
    """The address of the built book on a plain file server."""
    if not (browser.HTML / "index.html").is_file():
        pytest.fail("_build/html is not there: run make book")
    with browser.served() as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium. Without one the tests are skipped, or fail with VIDGEN_REQUIRE_CHROMIUM=1."""
    if browser.CHROMIUM is None:
        message = "no Chromium found: the pages were NOT tried in a browser (Debian: apt-get install chromium)"
        if os.environ.get("VIDGEN_REQUIRE_CHROMIUM") == "1":
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    with browser.launched() as opened:
        yield opened
