"""The pages of the book: as written in book/, and as built by `make book`, which runs before this."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import address
import labs
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build/html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())


def toc_names(entry: dict | list) -> list[str]:
    """Every page of the table of contents, depth first."""
    if isinstance(entry, list):
        return [name for item in entry for name in toc_names(item)]
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + [name for key in ("parts", "chapters", "sections") for name in toc_names(entry.get(key, []))]


NAMES = toc_names(TOC)
SOURCES = {name: (ROOT / f"{name}.md").read_text() for name in NAMES if (ROOT / f"{name}.md").is_file()}
each_page = pytest.mark.parametrize("name", NAMES)
each_source = pytest.mark.parametrize("name", SOURCES)


def without_code(text: str) -> str:
    """A page without its listings, which may show what a page itself must not have."""
    return re.sub(r"^(`{3,})(?:\w*|\{code-block\}.*)\n.*?^\1$", "", text, flags=re.S | re.M)


def directives(text: str, name: str) -> list[str]:
    """The whole text of each directive of that name, of backticks or of colons."""
    return [hit[0] for hit in re.finditer(rf"^(`{{3,}}|:{{3,}})\{{{name}\}}.*?^\1$", text, re.S | re.M)]


class Page(HTMLParser):
    """The article of a built page: its text, its pictures and films."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.text, self.pictures, self.films, self.depth = "", [], [], 0
        path = HTML / f"{name}.html"
        if not path.is_file():
            pytest.fail(f"{path.relative_to(ROOT)} is not there: run make book")
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "article":
            self.depth += 1
        if self.depth and tag == "img":
            self.pictures.append(dict(attrs))
        if self.depth and tag == "video":
            self.films.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "article"

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.text += data


@each_page
def test_the_page_is_built_with_something_on_it_and_no_traceback(name):
    text = Page(name).text
    assert len(text.split()) > 20
    assert not re.search(r"Traceback \(most recent call last\)", text)


@each_page
def test_every_picture_and_film_is_described_in_words(name):
    page = Page(name)
    words = [picture.get("alt") or "" for picture in page.pictures]
    words += [film.get("aria-label") or "" for film in page.films]
    assert all(re.search(r"\w+\W+\w+", alt) and not alt.endswith((".png", ".svg", ".jpg", ".gif")) for alt in words), (
        words
    )


@pytest.mark.parametrize("lab", labs.read_labs(), ids=lambda lab: lab.notebook)
def test_a_lab_is_in_the_book_beside_its_chapter_and_opens_in_colab(lab):
    assert {f"notebooks/{lab.notebook}", lab.chapter} <= set(NAMES)
    opens = f"github/{address.slug(labs.address())}/blob/main/notebooks/{lab.notebook}.ipynb"
    page = (HTML / f"notebooks/{lab.notebook}.html").read_text()
    assert re.search(rf'<a href="https://colab.research.google.com/{re.escape(opens)}"[^>]*\bbtn\b', page)


@each_source
def test_every_figure_directive_has_alt_text(name):
    for kind in ("image", "figure", "clip"):
        for directive in directives(SOURCES[name], kind):
            assert re.search(r"^:alt:\s*\S", directive, re.M), directive
    assert not re.search(r"!\[\s*\]\(", without_code(SOURCES[name]))


def labels(text: str) -> list[str]:
    """The labels of the numbered equations of a page."""
    found = re.findall(r"\$\$\s*\(([\w:-]+)\)\s*$", text, re.M)
    return found + re.findall(r"^:label:\s*(\S+)", "\n".join(directives(text, "math")), re.M)


def faults(text: str) -> list[str]:
    """What is wrong with a page's equations: no row in a table, or a row whose code or test does not exist."""
    found = []
    for label in labels(text):
        rows = [
            line
            for line in text.splitlines()
            if line.startswith("|") and re.search(rf"(?<![\w-]){label}(?![\w-])", line)
        ]
        if not rows:
            found.append(f"{label}: no row in an equation table")
            continue
        tests = [hit for row in rows for hit in re.findall(r"(tests/[\w/]+\.py)::(\w+)", row)]
        files = [hit for row in rows for hit in re.findall(r"(?<![\w/])(vidgen_lab/[\w/]+\.py)", row)]
        if not tests:
            found.append(f"{label}: no test is named")
        for path, test in tests:
            if not (ROOT / path).is_file() or not re.search(rf"^ *def {test}\(", (ROOT / path).read_text(), re.M):
                found.append(f"{label}: there is no {path}::{test}")
        if not files:
            found.append(f"{label}: no file of code is named")
        for path in files:
            if not (ROOT / path).is_file() or f"eq. ({label})" not in (ROOT / path).read_text():
                found.append(f"{label}: {path} does not say eq. ({label})")
    return found


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.endswith("/notation")])
def test_every_numbered_equation_has_its_code_and_its_test(name):
    assert not faults(SOURCES[name])


def test_the_equation_check_finds_each_fault():
    page = "$$\nx\n$$ (no-1)\n\n"
    assert faults(page) == ["no-1: no row in an equation table"]
    assert faults(page + "| {eq}`no-10` |") == ["no-1: no row in an equation table"]
    row = "| {eq}`no-1` | `vidgen_lab/lab.py` | `tests/test_lab.py::test_nothing` |"
    assert faults(page + row) == [
        "no-1: there is no tests/test_lab.py::test_nothing",
        "no-1: vidgen_lab/lab.py does not say eq. (no-1)",
    ]


def bib_keys() -> list[str]:
    return re.findall(r"^@\w+\{([^,\s]+)", (ROOT / "references.bib").read_text(), re.M)


def test_bibliography_keys_are_unique_and_every_cited_one_exists():
    keys = bib_keys()
    assert len(keys) == len(set(keys))
    cited = {
        key.strip()
        for text in SOURCES.values()
        for hit in re.findall(r"\{cite[:\w]*\}`([^`]+)`", text)
        for key in hit.split(",")
    }
    assert cited <= set(keys)


def test_a_citation_in_the_package_is_in_the_bibliography():
    cited = set()
    for path in (ROOT / "vidgen_lab").rglob("*.py"):
        cited |= set(re.findall(r"\[([a-z]+(?:19|20)\d\d[a-z0-9]+)", path.read_text()))
    assert cited <= set(bib_keys())


def test_no_page_of_the_book_loads_a_script_style_or_font_from_afar():
    """Links may lead outside; what the browser loads by itself may not. The browser test sees the same at run time."""
    for path in HTML.rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe|video|source)\b[^>]*>", path.read_text(encoding="utf-8"))
        far = [
            tag for tag in tags if re.search(r'\b(?:src|href)="(?:https?:)?//', tag) and 'rel="canonical"' not in tag
        ]
        assert not far, (path, far)


def ids(path: Path, known: dict[Path, set[str]]) -> set[str]:
    """The places of a built page that a link can lead to."""
    if path not in known:
        known[path] = {html.unescape(hit) for hit in re.findall(r'\bid="([^"]+)"', path.read_text(encoding="utf-8"))}
    return known[path]


def test_links_inside_the_book_lead_somewhere():
    known: dict[Path, set[str]] = {}
    lost = []
    for name in NAMES:
        page = HTML / f"{name}.html"
        for link in set(re.findall(r'<a\b[^>]*\bhref="([^"]+)"', page.read_text(encoding="utf-8"))):
            parts = urlsplit(html.unescape(link))
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            inside = target.suffix != ".html" or not parts.fragment or unquote(parts.fragment) in ids(target, known)
            if not target.exists() or not inside:
                lost.append((name, link))
    assert not lost
