"""Slides for a class: the pictures and films of each chapter, one on a slide, in one HTML file that needs nothing else.

    python tools/slides.py                      every chapter, into _build/slides (make slides)
    python tools/slides.py book/foundations/gan one chapter

A slide has the heading of the section, the picture or film, and what the page says right after it. Arrow keys turn the
slides, N shows the notes (the description of the picture); printing gives a slide a page.
"""

import argparse
import base64
import html
import mimetypes
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "slides"
FIGURE = re.compile(r"^```\{(?:image|clip)\} (\S+)\n(.*?)^```\n+((?:[^\n`#|$:>-][^\n]*\n)*)", re.S | re.M)

STYLE = """
body { margin: 0; font: 22px/1.45 system-ui, sans-serif; color: #222; background: #fff; }
section { box-sizing: border-box; width: 100vw; height: 100vh; padding: 3vh 5vw; display: none;
  flex-direction: column; align-items: center; justify-content: center; gap: 2vh; }
section:target, body:not(:has(:target)) section:first-of-type { display: flex; }
h1, h2 { margin: 0; text-align: center; }
img, video { min-height: 0; flex: 0 1 auto; width: auto; max-width: 90vw; max-height: 62vh; object-fit: contain;
  image-rendering: pixelated; }
.figure { flex: 1 1 auto; width: 86vw; height: 55vh; }
p { max-width: 60em; margin: 0; }
aside { display: none; max-width: 60em; font-size: 0.75em; color: #555; }
body.notes aside { display: block; }
footer { position: fixed; right: 1em; bottom: 0.5em; font-size: 0.6em; color: #555; }
@media print { section { display: flex; break-after: page; } footer { display: none; } }
"""
SCRIPT = """
const slides = [...document.querySelectorAll("section")];
const here = () => Math.max(0, slides.findIndex(slide => "#" + slide.id === location.hash));
const turn = step => { location.hash = slides[Math.min(slides.length - 1, Math.max(0, here() + step))].id; };
addEventListener("keydown", event => {
  if (["ArrowRight", "PageDown", " "].includes(event.key)) { event.preventDefault(); turn(1); }
  if (["ArrowLeft", "PageUp"].includes(event.key)) { event.preventDefault(); turn(-1); }
  if (event.key === "n") document.body.classList.toggle("notes");
});
const count = () => { document.querySelector("footer").textContent = (here() + 1) + " / " + slides.length; };
addEventListener("hashchange", count);
count();
"""


@dataclass(frozen=True)
class Slide:
    """One picture or film of a chapter."""

    heading: str  # of the section that it stands in
    file: Path
    alt: str
    says: str  # what the page says next, as plain text; may be empty


def chapters(root: Path = ROOT) -> list[str]:
    """Pages of the table of contents that have a lab, without `.md`."""
    parts = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    return [entry["file"] for part in parts for entry in part["chapters"] if "sections" in entry]


def plain(text: str) -> str:
    """Markdown of a sentence as plain text. A sentence with a number of a manifest or a formula is left out."""
    kept = [line for line in text.splitlines() if "{result}" not in line and "$" not in line]
    text = re.sub(r"\{(?:doc|ref|eq|cite[:\w]*)\}`[^`]*`", "", " ".join(kept))
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[*`]", "", text).strip()


def read(source: str, folder: Path) -> tuple[str, str, list[Slide]]:
    """Title, question and slides of a page's source; `folder` is that of the page."""
    title = re.search(r"^# (.+)$", source, re.M)[1]
    question = " ".join(re.findall(r"^> (.+)$", source.split("\n## ")[0], re.M))
    slides = []
    for hit in FIGURE.finditer(source):
        headings = re.findall(r"^#{2,3} (.+)$", source[: hit.start()], re.M)
        alt = re.search(r"^:alt: (.+)$", hit[2], re.M)[1]
        slides.append(Slide(plain((headings or [title])[-1]), (folder / hit[1]).resolve(), alt, plain(hit[3])))
    return title, plain(question), slides


def embedded(slide: Slide) -> str:
    """The picture or film inside the page."""
    kind = mimetypes.guess_type(slide.file.name)[0]
    data = f"data:{kind};base64,{base64.b64encode(slide.file.read_bytes()).decode('ascii')}"
    alt = html.escape(slide.alt)
    if kind.startswith("video/"):
        return (
            f'<video class="figure" controls loop muted autoplay playsinline aria-label="{alt}" src="{data}"></video>'
        )
    return f'<img class="figure" alt="{alt}" src="{data}">'


def deck(title: str, question: str, slides: list[Slide]) -> str:
    """The whole file."""
    pages = [f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(question)}</p>"]
    for slide in slides:
        says = f"<p>{html.escape(slide.says)}</p>\n" if slide.says else ""
        notes = f"<aside>{html.escape(slide.alt)}</aside>"
        pages.append(f"<h2>{html.escape(slide.heading)}</h2>\n{embedded(slide)}\n{says}{notes}")
    body = "\n".join(f'<section id="s{number}">\n{page}\n</section>' for number, page in enumerate(pages, start=1))
    head = f'<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n<style>{STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n<footer></footer>\n'
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def write(name: str, root: Path = ROOT, out: Path = OUT) -> Path:
    """Write the slides of the page `name`. Returns the file."""
    page = root / f"{name}.md"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{page.stem}.html"
    path.write_text(deck(*read(page.read_text(encoding="utf-8"), page.parent)), encoding="utf-8")
    return path


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PAGE")
    arguments = parser.parse_args()
    there = chapters()
    for name in arguments.names:
        if name not in there:
            parser.error(f'no chapter "{name}"; there are: {", ".join(there)}')
    for name in arguments.names or there:
        print(write(name).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
