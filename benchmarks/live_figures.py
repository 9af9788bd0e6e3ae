"""Live figures in the page: what each loads, how soon its first picture is there, how soon it answers, or writes.

    python benchmarks/live_figures.py --json results/live-figures.json

`make book` comes first. A headless Chromium opens each page of a plain file server and presses the figure's button.
Then one control is moved many times, and each time the picture is waited for; figures that write codes write whole
clips instead, as quickly as the page can, for each number of copies that guidance may ask for. Times are those of the
clock, the median over moves or codes, and those that the page's thread worked on the processor, which other programs
change less: the mean. Run it on a quiet machine: its load is noted.
"""

import argparse
import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from vidgen_lab import zoo
from vidgen_lab.core.manifest import environment
from vidgen_lab.training.state import write_json

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import browser  # noqa: E402

FIGURES = {  # page, and the control that is moved: a slider's label, a button's name, or none where codes are written
    "ring": ("book/foundations/gan", "One step"),
    "walk": ("book/foundations/dcgan", "Place on the walk"),
    "fill": ("book/foundations/dcgan", "One step"),
    "codes": ("book/foundations/vqvae", "The encoder's codes again"),
    "streams": ("book/video/conv3d", "Latent"),
    "swap": ("book/video/temporal", "Frames"),
    "flight": ("book/video/continuous", "Time, in frames"),
    "fan": ("book/video/continuous", "Noise"),
    "write": ("book/video/videogpt", None),
    "caption": ("book/video/fusion", None),
}
WRITERS = {"write": ("videogpt", (1, 2)), "caption": ("fusion", (1, 2, 3))}  # and for how many copies they may write
MOVES, CLIPS = 41, 3
ANSWERS = """async ([figure, name, moves]) => {
  const stage = document.querySelector(`figure.live[data-demo=${figure}] .live-stage`);
  const label = [...stage.querySelectorAll("label")].find((each) => each.textContent.startsWith(name));
  const input = label?.querySelector("input");
  const button = [...stage.querySelectorAll("button")].find((each) => each.textContent === name);
  const { port1, port2 } = new MessageChannel();
  const breath = () => new Promise((go) => ((port1.onmessage = go), port2.postMessage(0)));
  const times = [];
  for (let k = 0; k < moves; k++) {
    const before = stage.drawn;
    const next = input ? Number(input.value) + Number(input.step) : 0;
    if (input) input.value = next <= Number(input.max) ? next : input.min;
    const begun = performance.now();
    if (input) input.dispatchEvent(new Event("input"));
    else button.click();
    while (stage.drawn === before) await breath();
    times.push(performance.now() - begun);
    await new Promise((go) => setTimeout(go, 20));
  }
  return times;
}"""


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


def middle(times: list[float]) -> dict[str, float]:
    """Milliseconds: the median, and what one in twenty takes longer than."""
    times = sorted(times)
    return {"ms": times[len(times) // 2], "ms_95": times[int(0.95 * len(times))]}


def written(page: Page, site: str, name: str, copies: int) -> dict[str, float]:
    """How quickly clips of a model that ships are written."""
    given = [site, f"{name}-cpu", zoo.shipped_hash(name), copies]
    times = [each for _ in range(CLIPS) for each in page.evaluate(WRITE, given)]
    return {**middle(times), "codes_a_second": 1000 * len(times) / sum(times)}


def measure(chromium: Browser, site: str, demo: str) -> dict[str, Any]:
    """One figure, on a page that was never opened before."""
    address, control = FIGURES[demo]
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(browser.PATIENCE)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.removeprefix(site).partition("?")[0]))
    page.goto(f"{site}/{address}.html", wait_until="load")
    opened = set(asked)
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    figure = page.locator(f"figure.live[data-demo={demo}]")
    before, begun = worked(), time.perf_counter()
    figure.locator(".live-start").press("Enter")
    figure.locator(".live-stage canvas").first.wait_for(state="visible")
    clock, thread = time.perf_counter() - begun, worked() - before
    page.wait_for_timeout(1000)
    if control:
        before = worked()
        times = page.evaluate(ANSWERS, [demo, control, MOVES])
        thread_ms = 1000 * (worked() - before) / MOVES
        then = {"answer": {"to": control, **middle(times), "thread_ms": thread_ms}}
    else:
        name, copies = WRITERS[demo]
        then = {"codes": {str(each): written(page, site, name, each) for each in copies}}
    context.close()

    def megabytes(urls: set[str]) -> float:
        paths = (browser.HTML / url.strip("/") for url in urls)
        return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6

    return {
        "page": address,
        "model": next((Path(url).stem for url in asked if "/live/models/" in url and url.endswith(".json")), None),
        "megabytes": megabytes({url for url in asked if url.startswith(("/live/", "/onnxruntime/"))}),
        "model_megabytes": megabytes({url for url in asked if url.endswith(".onnx")}),
        "page_megabytes": megabytes({url for url in opened if "/mathjax/" not in url}),
        "mathjax_megabytes": megabytes({url for url in opened if "/mathjax/" in url}),
        "first_picture": {"seconds": clock, "thread_seconds": thread},
        **then,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write a manifest here")
    given = parser.parse_args()
    load, rows = os.getloadavg()[0], {}
    with browser.served() as site, browser.launched() as chromium:
        protocol = {"browser": f"Chromium {chromium.version}", "load_before": load, "moves": MOVES, "clips": CLIPS}
        for demo in FIGURES:
            row = rows[demo] = measure(chromium, site, demo)
            first = row["first_picture"]
            times = f"first picture after {first['seconds']:.2f} s ({first['thread_seconds']:.2f} of its thread)"
            print(f"{demo:8} {row['megabytes']:5.2f} MB, {times}, {row.get('answer') or row['codes']}", flush=True)
    protocol["load_after"] = os.getloadavg()[0]
    protocol["weights_sha256"] = {name: zoo.shipped_hash(name) for name, _ in WRITERS.values()}
    if given.json:
        about = {"command": "python benchmarks/live_figures.py", **environment(), "date": date.today().isoformat()}
        write_json(given.json, {**about, "protocol": protocol, "rows": rows})


if __name__ == "__main__":
    main()
