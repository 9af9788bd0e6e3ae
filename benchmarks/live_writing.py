"""Codes a second in the page: how quickly the figures of chapters 7 and 8 write, and what their pages load.

    python benchmarks/live_writing.py --json results/live-writing.json

`make book` comes first. A headless Chromium opens each page of a plain file server, presses the figure's button and
waits for the first picture. Then whole clips are written as quickly as the page can, for each number of copies that
guidance may ask for; told are medians over the codes, by the clock. The first picture is also told in seconds that the
page's thread spent on the processor. Run it on a quiet machine: its load is noted.
"""

import argparse
import os
import threading
import time
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from vidgen_lab import zoo
from vidgen_lab.core.manifest import environment
from vidgen_lab.training.state import write_json

HTML = Path(__file__).resolve().parent.parent / "_build/html"
FIGURES = {"videogpt": ("book/video/videogpt", (1, 2)), "fusion": ("book/video/fusion", (1, 2, 3))}
CLIPS = 3
WRITE = """async ([root, name, weights, copies]) => {
  const { loadModel } = await import(`${root}/live/model.mjs`);
  const { pick, sharpen, Writer } = await import(`${root}/live/writer.mjs`);
  const { uniform } = await import(`${root}/live/live.mjs`);
  const model = await loadModel(name, weights, ["tell", "step"]);
  const inputs = {};
  for (const [port, { shape, dtype, range }] of Object.entries(model.card.graphs.tell.inputs)) {
    const size = shape.slice(1).reduce((product, side) => product * side, copies);
    inputs[port] = dtype === "int64" ? new BigInt64Array(size).fill(1n) : new Float32Array(size).fill(range[0]);
  }
  const [chance, times] = [uniform(1), []];
  const writer = new Writer(model, await model.run("tell", inputs), copies);
  while (!writer.done) {
    const begun = performance.now();
    const logits = await writer.logits(Array.from({ length: copies }, () => 1 / copies));
    writer.codes.push(pick(sharpen(logits, 1, 1), chance()));
    times.push(performance.now() - begun);
  }
  return times;
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def median(numbers: list[float], share: float = 0.5) -> float:
    return sorted(numbers)[int(share * len(numbers))]


def weigh(page: Page) -> dict[str, int]:
    """Adds up, by kind, the bytes of all answers that the page gets from now on."""
    kinds = {"/mathjax/": "MathJax", "/onnxruntime/": "runtime", "/live/models/": "model"}
    weight, asked = dict.fromkeys(("page", *kinds.values()), 0), {}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["request"]["url"]}))

    def add(event: dict[str, Any]) -> None:
        url = asked[event["requestId"]]
        weight[next((kind for part, kind in kinds.items() if part in url), "page")] += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", add)
    return weight


def measure(browser: Browser, site: str, name: str) -> dict[str, Any]:
    address, all_copies = FIGURES[name]
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    weight = weigh(page)
    page.goto(f"{site}/{address}.html", wait_until="networkidle")
    figure = page.locator("figure.live")
    figure.scroll_into_view_if_needed()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def on_processor() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    begun, worked = time.perf_counter(), on_processor()
    figure.locator(".live-start").press("Enter")
    figure.locator(".live-stage canvas").first.wait_for(state="visible")
    row: dict[str, Any] = {"first_picture": {"seconds": time.perf_counter() - begun}}
    row["first_picture"]["cpu_seconds"] = on_processor() - worked
    page.wait_for_load_state("networkidle")
    row["bytes"] = {**weight, "all": sum(weight.values())}
    figure.get_by_role("button", name="Stop").press("Enter")
    row["copies"] = {}
    for copies in all_copies:
        given = [site, f"{name}-cpu", zoo.shipped_hash(name), copies]
        times = [each for _ in range(CLIPS) for each in page.evaluate(WRITE, given)]
        middle, slow = median(times), median(times, 0.95)
        whole = 1000 * len(times) / sum(times)
        row["copies"][str(copies)] = {"ms": middle, "ms_95": slow, "codes_a_second": whole}
    context.close()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write a manifest here")
    parser.add_argument("--html", type=Path, default=HTML, help="the built book")
    given = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=given.html))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    load, rows = os.getloadavg()[0], {}
    with sync_playwright() as play:
        browser = play.chromium.launch(args=["--no-sandbox", "--disable-gpu"], executable_path="/usr/bin/chromium")
        for name in FIGURES:
            rows[name] = measure(browser, f"http://127.0.0.1:{server.server_port}", name)
            print(name, rows[name], flush=True)
        stated = {"browser": f"Chromium {browser.version}", "load_before": load, "clips": CLIPS}
        browser.close()
    server.shutdown()
    if given.json:
        weights = {name: zoo.shipped_hash(name) for name in rows}
        protocol = {**stated, "weights_sha256": weights}
        about = {"command": "python benchmarks/live_writing.py", **environment(), "date": date.today().isoformat()}
        write_json(given.json, {**about, "protocol": protocol, "rows": rows})


if __name__ == "__main__":
    main()
