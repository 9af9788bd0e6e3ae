"""The directive `live` of book/_ext, in a small Sphinx project of its own, and the models that it exports."""

import io
import json
import re
from pathlib import Path

import pytest
import vidgen_live
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from vidgen_lab import zoo

PAGE = "::::{live} ring\n:label: Train it\n:question: Which *one*?\n\nWhat is there anyway.\n::::"


def build(folder: Path, page: str) -> tuple[str, str]:
    """The page deep/page as built, and the warnings."""
    source, out, warnings = folder / "source", folder / "out", io.StringIO()
    (source / "deep").mkdir(parents=True)
    (source / "index.md").write_text("# Index\n\n```{toctree}\ndeep/page\n```\n")
    (source / "deep/page.md").write_text(f"# Page\n\n{page}\n")
    settings = {"extensions": ["myst_parser", "vidgen_live"], "html_theme": "basic"}
    settings["myst_enable_extensions"] = ["colon_fence"]
    with patch_docutils(), docutils_namespace():
        Sphinx(source, None, out, folder / "doctrees", "html", settings, status=None, warning=warnings).build()
    return (out / "deep/page.html").read_text(), re.sub(r"\x1b\[[0-9;]*m", "", warnings.getvalue())


def test_a_live_figure_holds_what_is_there_anyway_its_question_and_the_script_of_its_button(tmp_path):
    page, warnings = build(tmp_path, PAGE)
    assert warnings == ""
    figure = page[page.index("<figure") : page.index("</figure>")]
    assert figure.startswith('<figure class="live" data-demo="ring" data-label="Train it">')
    assert "<p>What is there anyway.</p>" in figure and "Which <em>one</em>?" in figure
    assert figure.endswith('<script src="../live/start.js"></script>')
    assert not (tmp_path / "out/live").exists()  # no model, nothing exported


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ring", "rink", "there is no book/_extra/live/rink.mjs"),
        (":label: Train it\n", "", "give :label:"),
        (":question: Which *one*?", ":model: dcgan-cpu", "give :label:, the words on its button, and :question:"),
        (":label:", ":model: gan-xl\n:label:", "no shipped weights gan-xl; there are gan-ci, "),
        ("What is there anyway.\n", "", "give a picture or film as its content"),
    ],
)
def test_a_live_figure_that_lacks_something_is_a_warning(tmp_path, old, new, reason):
    assert reason in build(tmp_path, PAGE.replace(old, new, 1))[1]


def test_a_model_is_exported_beside_the_pages_once_and_its_page_names_the_weights(tmp_path):
    page, warnings = build(tmp_path, PAGE.replace(":label:", ":model: dcgan-cpu\n:label:"))
    weights = zoo.shipped_hash("dcgan", "cpu")
    assert warnings == "" and f'data-model="dcgan-cpu" data-weights="{weights}"' in page
    written = tmp_path / "out/live/models"
    assert json.loads((written / "dcgan-cpu.json").read_text())["weights_sha256"] == weights
    assert (written / "dcgan-cpu-generator.onnx").is_file()

    (cache,) = (tmp_path / "live").iterdir()
    before = (cache / "dcgan-cpu.json").stat().st_mtime_ns
    assert vidgen_live.exported("dcgan-cpu", tmp_path / "live") == cache
    assert (cache / "dcgan-cpu.json").stat().st_mtime_ns == before
