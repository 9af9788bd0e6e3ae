"""Live figures: a picture or film that becomes, when the reader presses its button, a model that runs in the page.

    ::::{live} walk
    :label: Walk it yourself
    :model: dcgan-cpu
    :question: One question to answer by playing.

    ```{clip} ...
    ```
    ::::

The name is that of a module in book/_extra/live, the content what a reader without JavaScript sees, and `:model:` the
weights that the figure runs, NAME-PRESET as they ship. They are exported as ONNX while the pages are written, once for
the same weights, and lie in live/models; large ones are rounded to 8 bits, so that they load in less than 6 MB together
with what runs them. A page without a live figure loads nothing of this.
"""

import hashlib
import html
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from vidgen_lab import export, zoo

MODULES = Path(__file__).parent.parent / "_extra" / "live"
SHIPPED = {f"{row.name}-{preset}": (row.name, preset) for row in zoo.list_models() for preset in row.shipped}
SIXTEEN_BITS_UP_TO = 2_000_000  # bytes of the weights as they ship


class live(nodes.General, nodes.Element):  # a node is named as its directive
    """A live figure. Its children are what is there anyway, and the question."""


class question(nodes.General, nodes.TextElement):
    """What to find out by playing; shown where JavaScript runs."""


class Live(SphinxDirective):
    required_arguments = 1
    has_content = True
    option_spec = {
        "label": directives.unchanged,
        "model": directives.unchanged,
        "question": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        label, model, asked = (self.options.get(key, "").strip() for key in ("label", "model", "question"))
        if not (MODULES / f"{name}.mjs").is_file():
            raise self.error(f"live {name}: there is no book/_extra/live/{name}.mjs.")
        if not label or not asked:
            raise self.error(f"live {name}: give :label:, the words on its button, and :question:.")
        if model and model not in SHIPPED:
            raise self.error(f"live {name}: no shipped weights {model}; there are {', '.join(SHIPPED)}.")
        if not self.content:
            raise self.error(f"live {name}: give a picture or film as its content, for readers without JavaScript.")
        still = nodes.container(classes=["live-still"])
        self.state.nested_parse(self.content, self.content_offset, still)
        node = live("", still, question("", "", *self.parse_inline(asked)[0]), demo=name, label=label, model=model)
        self.set_source_info(node)
        return [node]


def visit_html(self: Any, node: live) -> None:
    data = {"demo": node["demo"], "label": node["label"]}
    if node["model"]:
        data |= {"model": node["model"], "weights": zoo.shipped_hash(*SHIPPED[node["model"]])}
    attributes = "".join(f' data-{key}="{html.escape(value)}"' for key, value in data.items())
    self.body.append(f'<figure class="live"{attributes}>')


def depart_html(self: Any, node: live) -> None:
    root = "../" * self.builder.current_docname.count("/")
    self.body.append(f'<script src="{root}live/start.js"></script></figure>\n')


def visit_question_html(self: Any, node: question) -> None:
    self.body.append('<figcaption class="live-question"><p>')


def depart_question_html(self: Any, node: question) -> None:
    self.body.append("</p></figcaption>")


def nothing(self: Any, node: nodes.Node) -> None:
    pass


def skip(self: Any, node: nodes.Node) -> None:
    raise nodes.SkipNode


def write_models(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Puts the ONNX files that a page's figures run beside the pages; exports those that are not there yet."""
    for model in {node["model"] for node in (doctree.findall(live) if doctree else ()) if node["model"]}:
        shutil.copytree(
            exported(model, Path(app.outdir).parent / "live"), Path(app.outdir) / "live/models", dirs_exist_ok=True
        )


def bits(model: str) -> int:
    """In how many bits a figure gets the weights of a shipped model."""
    return 16 if (zoo.FILES / f"{model}.safetensors").stat().st_size <= SIXTEEN_BITS_UP_TO else 8


def exported(model: str, cache: Path) -> Path:
    """The folder of a shipped model's ONNX files. Its name is made of all that the files depend on."""
    weights = zoo.shipped_hash(*SHIPPED[model])
    code = sorted(Path(export.__file__).parent.glob("*.py"))
    made_of = [weights, str(bits(model)), version("torch"), version("onnxscript")]
    made_of += [path.read_text(encoding="utf-8") for path in code]
    folder = cache / f"{model}-{hashlib.sha256('|'.join(made_of).encode()).hexdigest()[:16]}"
    if not (folder / f"{model}.json").is_file():  # the card is written last
        export.export(zoo.load_pretrained(*SHIPPED[model]), folder, weights, bits(model))
    return folder


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("live", Live)
    app.add_node(live, html=(visit_html, depart_html), latex=(nothing, nothing), text=(nothing, nothing))
    app.add_node(
        question, html=(visit_question_html, depart_question_html), latex=(skip, nothing), text=(skip, nothing)
    )
    app.connect("html-page-context", write_models)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
