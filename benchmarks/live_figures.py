"""Live figures in the page: what each loads, how soon its first picture is there, how soon it answers a hand.

    python benchmarks/live_figures.py --json results/live-figures.json

`make book` comes first. A headless Chromium opens each page of a plain file server and presses the figure's button.
Then one control is moved many times, and each time the picture is waited for. Times are those of the clock, the median
over the moves, and those that the page's thread worked on the processor, which other programs change less: the mean.
Run it on a quiet machine: its load is noted. And what 8 bits change is measured, for models that the page gets rounded.
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

import torch
from playwright.sync_api import Browser, sync_playwright

from vidgen_lab import zoo
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.export import rounded
from vidgen_lab.training.state import write_json

HTML = Path(__file__).resolve().parent.parent / "_build/html"
FIGURES = {  # page, and the control that is moved: a slider's label, a button's name, or none where codes are written
    "ring": ("book/foundations/gan", "One step"),
    "walk": ("book/foundations/dcgan", "Place on the walk"),
    "fill": ("book/foundations/dcgan", "One step"),
    "codes": ("book/foundations/vqvae", "The encoder's codes again"),
    "streams": ("book/video/conv3d", "Latent"),
    "swap": ("book/video/temporal", "Frames"),
    "flight": ("book/video/continuous", "Time, in frames"),
    "fan": ("book/video/continuous", "Noise"),
    "write": ("book/video/videogpt", None),  # benchmarks/live_writing.py times the codes of these two
    "caption": ("book/video/fusion", None),
}
MOVES = 41
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


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def measure(browser: Browser, site: str, html: Path, demo: str) -> dict[str, Any]:
    """One figure, on a page that was never opened before."""
    address, control = FIGURES[demo]
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(120_000)
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
    answer = {}
    if control:
        before = worked()
        times = sorted(page.evaluate(ANSWERS, [demo, control, MOVES]))
        moved = 1000 * (worked() - before) / MOVES
        answer = {"to": control, "ms": times[MOVES // 2], "ms_95": times[int(0.95 * MOVES)], "thread_ms": moved}
    context.close()

    def megabytes(urls: set[str]) -> float:
        return sum((html / url.strip("/")).stat().st_size for url in urls if (html / url.strip("/")).is_file()) / 1e6

    return {
        "page": address,
        "model": next((Path(url).stem for url in asked if "/live/models/" in url and url.endswith(".json")), None),
        "megabytes": megabytes({url for url in asked if url.startswith(("/live/", "/onnxruntime/"))}),
        "model_megabytes": megabytes({url for url in asked if url.endswith(".onnx")}),
        "page_megabytes": megabytes({url for url in opened if "/mathjax/" not in url}),
        "first_picture": {"seconds": clock, "thread_seconds": thread},
        **({"answer": answer} if control else {}),
    }


def rounding() -> dict[str, Any]:
    """What 8 bits change: PSNR of held-out frames through the VQ-VAE, and levels of 255 in VGAN's clips."""
    exact = zoo.load_pretrained("vqvae")
    near = rounded(exact)
    frames = MovingDigits("test", size=32, frames=1).__getitems__(list(range(256)))["video"][:, :, 0]
    psnr = {
        key: 10 * torch.log10(4 / (model.reconstruct(frames) - frames).square().mean()).item()
        for key, model in (("exact", exact), ("rounded", near))
    }
    clips = zoo.load_pretrained("vgan")
    asked = {"digit": torch.arange(64) % 10, "direction": torch.arange(64) % 8, "speed": torch.arange(64) % 2}
    latent = torch.randn(64, clips.config.latent_dim, generator=torch.Generator().manual_seed(0))
    videos = []
    for model in (clips, rounded(clips)):
        with model.inference():
            videos.append(model.streams(latent, asked)["video"])
    away = (videos[0] - videos[1]).abs() * 127.5
    same = (exact.encode(frames) == near.encode(frames)).float().mean().item()
    return {
        "vqvae": {"psnr": psnr, "same_codes": same, "frames": len(frames)},
        "vgan": {"levels_mean": away.mean().item(), "levels_most": away.max().item(), "clips": len(latent)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write a manifest here")
    parser.add_argument("--html", type=Path, default=HTML, help="the built book")
    given = parser.parse_args()
    torch.set_num_threads(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=given.html))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    load, rows = os.getloadavg()[0], {}
    with sync_playwright() as play:
        browser = play.chromium.launch(args=["--no-sandbox", "--disable-gpu"], executable_path="/usr/bin/chromium")
        for demo in FIGURES:
            row = rows[demo] = measure(browser, f"http://127.0.0.1:{server.server_port}", given.html, demo)
            first, answer = row["first_picture"], row.get("answer", {})
            times = f"first picture after {first['seconds']:.2f} s ({first['thread_seconds']:.2f} of its thread)"
            if answer:
                times += f", {answer['to']} after {answer['ms']:.1f} ms ({answer['thread_ms']:.1f})"
            print(f"{demo:8} {row['megabytes']:5.2f} MB, {times}", flush=True)
        chromium = browser.version
        browser.close()
    server.shutdown()
    protocol = {
        "browser": f"Chromium {chromium}",
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "moves": MOVES,
    }
    if given.json:
        about = {"command": "python benchmarks/live_figures.py", **environment(), "date": date.today().isoformat()}
        write_json(given.json, {**about, "protocol": protocol, "rows": rows, "rounding": rounding()})


if __name__ == "__main__":
    main()
