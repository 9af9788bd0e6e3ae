"""The role and the directives of book/_ext, in a small Sphinx project of their own."""

import io
import json
import re
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import vidgen_book
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from vidgen_lab.viz.files import mp4_bytes

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = {
    "command": "vidgen train gan --preset ci --seed 3",
    "preset": "ci",
    "seed": 3,
    "steps": 1000,
    "device": "CPU, one thread",
    "cpu_seconds": 41.26,
    "peak_memory_mb": 812,
    "versions": {"torch": "2.15.0"},
    "metrics": {"IS-digits": {"value": 6.1234, "real": 8.9, "protocol": {"samples": 1000, "seed": 0}}},
    "weights_sha256": "0123456789abcdef" * 4,
    "rows": [{"loss": "hinge", "modes": 8}],
}


def one_pixel() -> bytes:
    """A black PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


class Project:
    """Pages to build: `index` and `deep/down/page`, with a manifest, a film and its filmstrip."""

    def __init__(self, folder: Path) -> None:
        self.source, self.out = folder / "source", folder / "out"
        for name in ("results", "book/_static", "deep/down"):
            (self.source / name).mkdir(parents=True)
        self.manifest(MANIFEST)
        (self.source / "book/_static/clip.mp4").write_bytes(mp4_bytes(np.zeros((2, 32, 64, 3), np.uint8), fps=8))
        (self.source / "book/_static/strip.png").write_bytes(one_pixel())

    def manifest(self, value: object) -> None:
        (self.source / "results/gan-ci.json").write_text(json.dumps(value))

    def build(self, page: str | None = None, builder: str = "html") -> str:
        """Build, and return the warnings. `page` becomes the text of deep/down/page."""
        if page is not None:
            (self.source / "index.md").write_text("# Index\n\n```{toctree}\ndeep/down/page\n```\n")
            (self.source / "deep/down/page.md").write_text(f"# Page\n\n{page}\n")
        warnings = io.StringIO()
        with patch_docutils(), docutils_namespace():
            app = Sphinx(
                self.source,
                confdir=None,
                outdir=self.out / builder,
                doctreedir=self.out / "doctrees",
                buildername=builder,
                confoverrides={
                    "extensions": ["myst_parser", "vidgen_book"],
                    "html_theme": "basic",
                    "html_static_path": [str(self.source / "book/_static")],
                },
                status=None,
                warning=warnings,
            )
            app.build()
        return re.sub(r"\x1b\[[0-9;]*m", "", warnings.getvalue())

    def page(self) -> str:
        return (self.out / "html/deep/down/page.html").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


CLIP = (
    "```{clip} /book/_static/clip.mp4\n:alt: A digit bounces\n:poster: /book/_static/strip.png\nThe *first* draw.\n```"
)


def test_a_number_comes_out_of_its_manifest_in_the_format_asked_for(project):
    assert project.build("score {result}`gan-ci:metrics.IS-digits.value:.2f`, row {result}`gan-ci:rows.0.modes`") == ""
    assert 'score <span class="result">6.12</span>, row <span class="result">8</span>' in project.page()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gan-ci:metrics.IS-digits.valu:.2f", 'no "valu"'),
        ("gan-ci:rows.7.modes", 'no "7"'),
        ("absent:seed", "no file results/absent.json"),
        ("gan-ci:metrics.IS-digits", "not a number"),
        ("gan-ci:command:.2f", "format code"),
        ("gan-ci", "write file:dotted.key"),
    ],
)
def test_a_result_that_is_not_there_is_a_warning(project, text, reason):
    warnings = project.build(f"{{result}}`{text}`")
    assert reason in warnings and "page.md:3" in warnings


def test_a_changed_manifest_rebuilds_the_page(project):
    project.build("score {result}`gan-ci:metrics.IS-digits.value:.2f`")
    time.sleep(0.01)  # the build compares times of change
    project.manifest({**MANIFEST, "metrics": {"IS-digits": {"value": 7.0}}})
    project.build()
    assert "7.00" in project.page() and "6.12" not in project.page()


def test_a_card_shows_what_its_manifest_has(project):
    assert project.build("```{result-card} gan-ci\n```") == ""
    page = re.sub(r"<[^>]+>", "", project.page())
    metric = "IS-digits: 6.123 (real data: 8.9); samples 1000, seed 0"
    for shown in (MANIFEST["command"], "41.26 s", "812 MB", "torch 2.15.0", metric, "0123456789ab…"):
        assert shown in page
    assert "Wall time" not in page


def test_a_card_needs_the_command(project):
    project.manifest({"preset": "ci"})
    assert 'no "command"' in project.build("```{result-card} gan-ci\n```")


def row(model: str, *scores: float, captioned: bool = False, frames: int = 16) -> dict:
    """A row of the leaderboard with one run for each score."""
    metric = {"real": 0.4, "protocol": {"frames": frames, "size": 32}}
    runs = [
        {"seed": seed, "cpu_seconds": 290.0 + seed, "metrics": {"FVD-digits": {"value": score, **metric}}}
        for seed, score in enumerate(scores)
    ]
    return {"model": model, "captioned": captioned, "parameters": {"generator": 1200, "prior": 34}, "seeds": runs}


def cells(page: str) -> list[list[str]]:
    """The texts of a page's table, a list for each line."""
    lines = re.findall(r"<tr.*?</tr>", page, re.S)
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", line, re.S)]
        for line in lines
    ]


BOARDS = "```{leaderboard}\n```\n\n## Captioned\n\n```{leaderboard} captioned\n```"


def test_an_empty_leaderboard_says_so(project):
    assert project.build(BOARDS) == ""
    page = project.page()
    assert "No row yet: no clip model without captions has been trained" in page and "<table" not in page
    assert "No row yet: no clip model that takes a caption has been trained" in page


def test_the_leaderboard_is_ranked_with_its_spread_and_captioned_models_stand_apart(project):
    for model in (
        row("tgan", 9.0, 12.0, 15.0),
        row("vgan", 4.0, 5.0, 9.0),
        row("fusion", 1.0, 1.0, 1.0, captioned=True),
    ):
        (project.source / f"results/board-{model['model']}.json").write_text(json.dumps(model))
    assert project.build(BOARDS) == ""
    plain, captioned = project.page().split('<section id="captioned">')
    assert cells(plain) == [
        ["", "model", "FVD-digits", "CPU-seconds", "parameters"],
        ["1", "vgan", "6 (4 to 9)", "291", "1,234"],
        ["2", "tgan", "12 (9 to 15)", "291", "1,234"],
        ["", "real clips", "0.4", "", ""],
    ]
    assert [line[1] for line in cells(captioned)] == ["model", "fusion", "real clips"]


def test_a_new_row_of_the_leaderboard_rebuilds_its_page(project):
    project.build(BOARDS)
    time.sleep(0.01)
    (project.source / "results/board-vgan.json").write_text(json.dumps(row("vgan", 4.0, 4.0, 4.0)))
    assert project.build() == "" and "vgan" in project.page()


def test_rows_of_two_protocols_are_not_ranked(project):
    for model in (row("tgan", 9.0, 9.0, 9.0), row("vgan", 4.0, 4.0, 4.0, frames=8)):
        (project.source / f"results/board-{model['model']}.json").write_text(json.dumps(model))
    assert "FVD-digits of vgan and of tgan differ in frames" in project.build(BOARDS)


def test_a_row_of_fewer_seeds_than_three_is_not_ranked(project):
    (project.source / "results/board-vgan.json").write_text(json.dumps(row("vgan", 4.0)))
    assert "vgan has 1 seeds, not 3" in project.build(BOARDS)


def test_a_clip_is_found_at_any_depth_and_is_not_fetched_before_it_is_seen(project):
    assert project.build(CLIP) == ""
    video = re.search(r"<video[^>]*>", project.page())[0]
    for attribute in ("controls", "loop", "muted", "playsinline", 'aria-label="A digit bounces"', 'preload="none"'):
        assert attribute in video
    assert 'width="64" height="32"' in video
    for kind in ("src", "poster"):
        assert (project.out / "html/deep/down" / re.search(rf' {kind}="([^"]+)"', video)[1]).resolve().is_file()
    assert re.search(r"<figcaption>.*The <em>first</em> draw\..*</figcaption>", project.page(), re.S)
    strip = re.search(r'<img[^>]*class="clip-print"[^>]*>', project.page())[0]
    source = re.search(r'src="([^"]+)"', strip)[1]
    assert (project.out / "html/deep/down" / source).resolve().is_file()


def test_a_page_has_no_script_for_live_cells_and_a_bibliography_is_a_list_of_items(project):
    context = {"script_files": ["vidgen.js", "sphinx-thebe.js"], "body": '<div role="doc-biblioentry">'}
    vidgen_book.mend_page(None, "page", "page.html", context, None)
    assert context == {"script_files": ["vidgen.js"], "body": '<div role="listitem">'}


def test_print_shows_the_filmstrip_instead_of_the_clip(project):
    assert project.build(CLIP, builder="latex") == ""
    text = next((project.out / "latex").glob("*.tex")).read_text()
    assert r"includegraphics{{strip}.png}" in text and "clip.mp4" not in text


@pytest.mark.parametrize(
    ("line", "instead", "reason"),
    [
        (":alt: A digit bounces\n", "", "give :alt:"),
        (":poster: /book/_static/strip.png\n", "", "give :poster:"),
        ("/book/_static/strip.png", "/book/_static/gone.png", "no file book/_static/gone.png"),
        ("/book/_static/clip.mp4", "/book/_static/gone.mp4", "no file book/_static/gone.mp4"),
        ("/book/_static/clip.mp4", "/index.md", "put the film into book/_static/"),
    ],
)
def test_a_clip_without_words_or_file_is_an_error(project, line, instead, reason):
    warnings = project.build(CLIP.replace(line, instead))
    assert reason in warnings and "<video" not in project.page()
