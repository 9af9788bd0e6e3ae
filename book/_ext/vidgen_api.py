"""The API page shows docstrings as they are written: plain text, with `code` in single backticks and indented tables.

Sphinx would read them as reStructuredText, where * and | are markup and an indented table is a quotation.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

HELD = "\ue000"  # stands for a colon; a character that no text uses


def plain(text: str) -> str:
    """One line of prose: backticks become code, all other markup is escaped."""
    pieces = re.split(r"(`+[^`]+`+)", text)  # prose and code in turn
    pieces[::2] = [re.sub(r"([*|\\]|_\b)", r"\\\1", prose) for prose in pieces[::2]]
    pieces[1::2] = [f"``{code.strip('`')}``" for code in pieces[1::2]]
    return "".join(pieces)


def show_as_written(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrites a docstring before napoleon reads its sections. An indented block after a blank line stays as it is."""
    shown: list[str] = []
    literal = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and shown and not shown[-1] and not literal:
            literal = True
            shown += ["::", ""]
        literal = literal and (indented or not line)
        shown.append(line if literal else plain(line))
    if what in ("attribute", "property", "data"):  # napoleon would take the words before a colon for the type
        shown = [line.replace(":", HELD) for line in shown]
    lines[:] = shown


def give_colons_back(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Ends what `show_as_written` does to the docstring of an attribute, after napoleon."""
    lines[:] = [line.replace(HELD, ":") for line in lines]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("autodoc-process-docstring", show_as_written, priority=400)  # napoleon: 500
    app.connect("autodoc-process-docstring", give_colons_back, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
