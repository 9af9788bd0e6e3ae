"""The book on paper: every page printed by headless Chromium, in the order of the table of contents, in one PDF.

    python tools/print_book.py                                     _build/vidgen_lab.pdf (make pdf)
    python tools/print_book.py --pages book/intro --out front.pdf  some of the pages

`make book` comes first. Films are printed as their filmstrips, solutions stay folded, live figures are their picture.
What a page looks like on paper is decided by `@media print` in book/_static/vidgen.css.
"""

import argparse
import html
import io
import sys
from pathlib import Path

import browser
from playwright.sync_api import Browser
from pypdf import PdfReader, PdfWriter

OUT = browser.ROOT / "_build" / "vidgen_lab.pdf"
PAPER = {
    "format": "A4",
    "scale": 0.85,
    "margin": {"top": "16mm", "bottom": "18mm", "left": "14mm", "right": "14mm"},
    "print_background": True,
    "display_header_footer": True,
    "header_template": "<p></p>",
}
SHEET = {"width": 809, "height": 1120}  # what remains of the paper, in pixels of a page that is printed at this scale
FOOT = '<p style="width: 100%; font-size: 8px; text-align: center">{title}, <span class="pageNumber"></span></p>'
# A picture that was not yet needed is fetched now, and a film of a lab shows its first frame. A link to another page of
# the book would lead to the server that prints: it becomes text. A table wider than the paper is made smaller.
READY = """async () => {
  for (const picture of document.images) picture.loading = "eager";
  for (const film of document.querySelectorAll("video")) film.controls = false;
  for (const table of document.querySelectorAll("article table")) {
    const room = table.parentElement.clientWidth;
    if (table.scrollWidth > room) table.style.zoom = room / table.scrollWidth;
  }
  for (const link of [...document.links]) {
    if (link.origin === location.origin && link.pathname !== location.pathname) link.removeAttribute("href");
  }
  await Promise.all([...document.images].map(picture => picture.decode().catch(() => {})));
}"""


def printed(chromium: Browser, site: str, name: str) -> tuple[str, PdfReader]:
    """A page of the site: its title, and its PDF."""
    with chromium.new_context(viewport=SHEET, reduced_motion="reduce") as context:
        page = context.new_page()
        browser.settle(page, f"{site}/{name}.html")
        browser.show(page, "light")
        page.emulate_media(media="print")
        page.evaluate(READY)
        title = page.title().split(" \u2014 ")[0]
        content = page.pdf(**PAPER, footer_template=FOOT.format(title=html.escape(title)))
    return title, PdfReader(io.BytesIO(content))


def print_book(chromium: Browser, site: str, names: list[str], out: Path) -> None:
    """Print pages one after the other into one file, each with a bookmark."""
    book = PdfWriter()
    for name in names:
        print(name, flush=True)
        title, part = printed(chromium, site, name)
        book.append(part, outline_item=title, import_outline=False)
    book.compress_identical_objects()
    out.parent.mkdir(parents=True, exist_ok=True)
    book.write(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", nargs="+", default=browser.pages(), metavar="PAGE", help="such as book/intro")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    if browser.CHROMIUM is None:
        sys.exit("no Chromium found (Debian: apt-get install chromium)")
    with browser.served() as site, browser.launched() as chromium:
        print_book(chromium, site, arguments.pages, arguments.out)
    print(f"The book is printed: {arguments.out}")


if __name__ == "__main__":
    main()
