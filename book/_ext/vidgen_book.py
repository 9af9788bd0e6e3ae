"""What the pages need beyond Jupyter Book: numbers and cards out of results/, and clips.

- role `result`: `` {result}`gan-ci:metric.value:.2f` `` prints one number of results/gan-ci.json, formatted.
- directive `result-card`: one manifest of results/ as a small card.
- directive `leaderboard`: the rows results/board-*.json as a table, the best first.
- directive `clip`: a film that plays once it is seen; in print, its filmstrip.

A page is built again when a file that it shows has changed. A missing file, key or alt text is reported, which ends
a build under -W.

What the theme and Jupyter Book put on each page and no reader needs is taken off: see `mend_page` and
`empty_icon_script`.
"""

import html
import json
import re
from pathlib import Path
from statistics import mean
from typing import Any

import av
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.typing import ExtensionMetadata


class ResultError(Exception):
    """A manifest or a key that is not there."""


def read_manifest(env: BuildEnvironment, name: str) -> dict[str, Any]:
    """The manifest results/NAME.json. The page that is being read is built again when the file changes."""
    path = Path(env.srcdir) / "results" / f"{name.removesuffix('.json')}.json"
    env.note_dependency(str(path))
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultError(f"no file results/{path.name}") from None
    except json.JSONDecodeError as error:
        raise ResultError(f"results/{path.name} is not JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise ResultError(f"results/{path.name} holds no JSON object")
    return manifest


def look_up(manifest: dict[str, Any], key: str) -> Any:
    """The value at a dotted key; a whole number counts into a list."""
    value: Any = manifest
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            there = ", ".join(value) if isinstance(value, dict) else type(value).__name__
            raise ResultError(f'no "{part}" of "{key}"; there: {there}') from None
    return value


class ResultRole(SphinxRole):
    """`file:dotted.key` or `file:dotted.key:format`, the format as in Python's `format(value, format)`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        name, _, rest = self.text.partition(":")
        key, _, spec = rest.partition(":")
        try:
            if not key:
                raise ResultError("write file:dotted.key or file:dotted.key:format")
            value = look_up(read_manifest(self.env, name), key)
            if isinstance(value, dict | list):
                raise ResultError(f'"{key}" is a {type(value).__name__}, not a number or a text')
            text = "–" if value is None else format(value, spec)
        except (ResultError, ValueError) as error:
            message = self.inliner.reporter.error(f"result `{self.text}`: {error}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [nodes.inline(self.rawtext, text, classes=["result"])], []


# What a card shows, in this order: key in the manifest, label, unit.
ROWS = (
    ("model", "Model", ""),
    ("preset", "Preset", ""),
    ("overrides", "Overrides", ""),
    ("seed", "Seed", ""),
    ("steps", "Steps", ""),
    ("device", "Device", ""),
    ("threads", "Threads", ""),
    ("cpu_seconds", "CPU time", "s"),
    ("wall_seconds", "Wall time", "s"),
    ("peak_memory_mb", "Peak memory", "MB"),
    ("versions", "Versions", ""),
    ("metrics", "Measured", ""),
    ("metrics_command", "Measured by", ""),
    ("weights_sha256", "Weights, SHA-256", ""),
)


def plain(value: Any) -> str:
    """A value of a manifest in words: four significant digits, `name value` pairs for an object, a hash cut short."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return re.sub(r"^([0-9a-f]{12})[0-9a-f]{52}$", r"\1…", str(value))


def measured(name: str, metric: Any) -> str:
    """A metric in one line: value, the same of real data, protocol."""
    if not isinstance(metric, dict) or "value" not in metric:
        return f"{name}: {plain(metric)}"
    real = "" if metric.get("real") is None else f" (real data: {plain(metric['real'])})"
    protocol = f"; {plain(metric['protocol'])}" if metric.get("protocol") else ""
    return f"{name}: {plain(metric['value'])}{real}{protocol}"


class ResultCard(SphinxDirective):
    """`{result-card} FILE`: a manifest as a card. It must have its command; every other row shows if it is there."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0].strip()
        try:
            manifest = read_manifest(self.env, name)
            command = look_up(manifest, "command")
        except ResultError as error:
            raise self.error(f"result-card {name}: {error}") from None
        card = nodes.container(classes=["result-card"])
        card += nodes.paragraph("", "", nodes.literal(text=str(command)), classes=["result-card-command"])
        rows = nodes.field_list()
        for key, label, unit in ROWS:
            value = manifest.get(key)
            if value in (None, "", {}, []):
                continue
            if key == "metrics" and isinstance(value, dict):
                lines = [measured(*item) for item in value.items()]
            else:
                lines = [f"{plain(value)} {unit}".rstrip()]
            body = nodes.field_body("", *(nodes.paragraph(text=line) for line in lines))
            rows += nodes.field("", nodes.field_name(text=label), body)
        card += rows
        return [card]


SCORE = "FVD-digits"  # what the leaderboard ranks by: the smaller, the better
SEEDS = 3  # trainings of each of its rows


def over_seeds(row: dict[str, Any], metric: str, key: str = "value") -> list[float]:
    """A metric of each of a row's runs."""
    return [run["metrics"][metric][key] for run in row["seeds"]]


def ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the leaderboard, the best first: the lowest mean score over the seeds.

    Raises ResultError where a metric was measured under two protocols, since such values have no common scale, and
    where a row does not have three seeds.
    """
    firsts: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in rows:
        if len(row["seeds"]) != SEEDS:
            raise ResultError(f"{row['model']} has {len(row['seeds'])} seeds, not {SEEDS}")
    runs = [(row["model"], run["metrics"]) for row in rows for run in row["seeds"]]
    for model, metrics in runs:
        if SCORE not in metrics:
            raise ResultError(f"{model} has a run without {SCORE}")
        for name, metric in metrics.items():
            protocol = metric["protocol"]
            whose, first = firsts.setdefault(name, (model, protocol))
            differing = [key for key in {**first, **protocol} if first.get(key) != protocol.get(key)]
            if differing:
                raise ResultError(f"{name} of {model} and of {whose} differ in {', '.join(differing)}")
    return sorted(rows, key=lambda row: mean(over_seeds(row, SCORE)))


class Leaderboard(SphinxDirective):
    """`{leaderboard}`: the models that take no caption; `{leaderboard} captioned`: those that do. One table."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        captioned = self.arguments == ["captioned"]
        if self.arguments and not captioned:
            raise self.error(f"leaderboard {self.arguments[0]}: write captioned, or nothing.")
        folder = Path(self.env.srcdir) / "results"
        self.env.note_dependency(str(folder))  # a new row
        try:
            rows = [read_manifest(self.env, path.name) for path in sorted(folder.glob("board-*.json"))]
            rows = ranked([row for row in rows if row["captioned"] == captioned])
        except ResultError as error:
            raise self.error(f"leaderboard: {error}") from None
        if not rows:
            kind = "that takes a caption" if captioned else "without captions"
            return [nodes.paragraph(text=f"No row yet: no clip model {kind} has been trained on this budget.")]
        metrics = list(dict.fromkeys(name for row in rows for name in row["seeds"][0]["metrics"]))
        lines = [["", "model", *metrics, "CPU-seconds", "parameters"]]
        for place, row in enumerate(rows, start=1):
            scores = {name: over_seeds(row, name) for name in row["seeds"][0]["metrics"]}
            shown = {name: f"{mean(values):.3g}" for name, values in scores.items()}
            shown[SCORE] += f" ({min(scores[SCORE]):.3g} to {max(scores[SCORE]):.3g})"
            seconds = f"{mean(run['cpu_seconds'] for run in row['seeds']):.0f}"
            parameters = f"{sum(row['parameters'].values()):,}"
            cells = [shown.get(name, "–") for name in metrics]
            lines.append([str(place), row["model"], *cells, seconds, parameters])
        real = {name: metric["real"] for row in rows for name, metric in row["seeds"][0]["metrics"].items()}
        lines.append(["", "real clips", *(f"{real[name]:.3g}" for name in metrics), "", ""])
        return [table(lines)]


def table(lines: list[list[str]]) -> nodes.table:
    """A table of texts; the first line is its head."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in lines[0]), cols=len(lines[0]))
    rows = [nodes.row("", *(nodes.entry("", nodes.paragraph(text=text)) for text in line)) for line in lines]
    group += [nodes.thead("", rows[0]), nodes.tbody("", *rows[1:])]
    return nodes.table("", group, classes=["leaderboard"])


STATIC = "book/_static/"  # html_static_path


def size_of(film: str) -> tuple[int, int]:
    """Width and height of a film, so that a page knows its room before it is fetched."""
    with av.open(film) as container:
        return container.streams.video[0].width, container.streams.video[0].height


class clip(nodes.figure):  # a node is named as its directive
    """A film. Its children are the filmstrip for print and, if there is one, the caption."""


class Clip(SphinxDirective):
    """`{clip} film.mp4` with `:alt:` (what moves, in words) and `:poster:` (the filmstrip, a PNG).

    The content is the caption. Paths are relative to the page, or to the book's root if they begin with a slash. The
    film lies in book/_static, which is copied as it is. vidgen.js starts it when it comes into view.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {
        "alt": directives.unchanged,
        "poster": directives.unchanged,
        "width": directives.length_or_percentage_or_unitless,
    }

    def run(self) -> list[nodes.Node]:
        film = self.arguments[0].strip()
        alt, poster = (self.options.get(name, "").strip() for name in ("alt", "poster"))
        if not alt:
            raise self.error(f"clip {film}: give :alt:, a sentence that says what moves.")
        if not poster:
            raise self.error(f"clip {film}: give :poster:, the filmstrip that print shows instead.")
        for name in (film, poster):
            relative, path = self.env.relfn2path(name)
            self.env.note_dependency(relative)
            if not Path(path).is_file():
                raise self.error(f"clip {film}: there is no file {relative}.")
        relative, path = self.env.relfn2path(film)
        if not relative.startswith(STATIC):
            raise self.error(f"clip {film}: put the film into {STATIC}")
        node = clip(film=relative.removeprefix(STATIC), alt=alt, size=size_of(path))
        node["width"] = self.options.get("width", "")
        node += nodes.image(uri=poster, alt=alt, classes=["clip-print"])
        if self.content:
            node += nodes.caption("", "", *self.parse_inline(" ".join(self.content))[0])
        self.set_source_info(node)
        return [node]


def visit_clip_html(self: Any, node: clip) -> None:
    root = "../" * self.builder.current_docname.count("/")
    poster = f"{root}_images/{self.builder.images[node[0]['uri']]}"
    style = f' style="width: {html.escape(node["width"])}"' if node["width"] else ""
    width, height = node["size"]
    self.body.append(
        f'<figure class="clip"><video controls loop muted playsinline preload="none" width="{width}" height="{height}" '
        f'aria-label="{html.escape(node["alt"])}"{style} poster="{poster}" src="{root}_static/{node["film"]}"></video>'
    )


def depart_clip_html(self: Any, node: clip) -> None:
    self.body.append("</figcaption></figure>\n" if len(node) > 1 else "</figure>\n")  # the caption opens it


def visit_clip_latex(self: Any, node: clip) -> None:
    self.body.append("\n\\begin{figure}[htbp]\\centering\n")


def depart_clip_latex(self: Any, node: clip) -> None:
    self.body.append("\n\\end{figure}\n")


def visit_clip_text(self: Any, node: clip) -> None:
    pass


def mend_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """No scripts for live cells, which Jupyter Book adds twice; entries of a bibliography are items of its list."""
    context["script_files"] = [script for script in context["script_files"] if "thebe" not in str(script).lower()]
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def empty_icon_script(app: Sphinx, error: Exception | None) -> None:
    """The theme draws each icon twice, from a font and then by a script. The font is enough."""
    if error is None and app.builder.format == "html":
        for script in Path(app.outdir).glob("_static/vendor/fontawesome/*/js/all.min.js"):
            script.write_text("", encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_role("result", ResultRole())
    app.add_directive("result-card", ResultCard)
    app.add_directive("leaderboard", Leaderboard)
    app.add_directive("clip", Clip)
    app.connect("html-page-context", mend_page)
    app.connect("build-finished", empty_icon_script)
    app.add_node(
        clip,
        html=(visit_clip_html, depart_clip_html),
        latex=(visit_clip_latex, depart_clip_latex),
        text=(visit_clip_text, visit_clip_text),
    )
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
