"""What a student gets back: one HTML page that loads nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

if TYPE_CHECKING:
    from vidgen_lab.teach.grade import Graded, Result

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
pre { background: #f6f6f6; padding: .6rem; overflow-x: auto; font-size: .9rem; }
.right { color: #006b3c; } .wrong { color: #a8320a; }
""" + HtmlFormatter().get_style_defs(".highlight")


def page(graded: Graded) -> str:
    """The page for one notebook: points, then for each exercise the verdict, the student's code and its output."""
    name = escape(f"{graded.lab or graded.file.name}: {graded.student}")
    rows = "".join(
        f"<tr><td>{escape(result.exercise.name)}</td><td>{result.points:g} of {result.exercise.points:g}</td>"
        f"<td>{_verdict(result)}</td></tr>"
        for result in graded.results
    )
    table = f"<table><tr><th>exercise</th><th>points</th><th></th></tr>{rows}</table>" if rows else ""
    said = f'<p class="wrong">{escape(graded.said)}</p>' if graded.said else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{STYLE}</style></head><body><h1>{name}</h1><p>{graded.points:g} of {graded.most:g} points.</p>"
        f"{said}{table}"
        f"{''.join(_section(result) for result in graded.results)}</body></html>\n"
    )


def _verdict(result: Result) -> str:
    kind = "right" if result.points else "wrong"
    return f'<span class="{kind}">{escape(result.said)}</span>'


def _section(result: Result) -> str:
    exercise = result.exercise
    code = highlight(exercise.solution, PythonLexer(), HtmlFormatter()) if exercise.solution else ""
    notes = f"<p>{escape(' '.join(exercise.notes))}</p>" if exercise.notes else ""
    return (
        f"<h2>{escape(exercise.name)}</h2><p>{_verdict(result)}</p>{notes}{code}"
        f"{_block('It printed', result.output)}{_block('The error in full', result.trace)}"
    )


def _block(title: str, text: str) -> str:
    return f"<p>{title}:</p><pre>{escape(text)}</pre>" if text.strip() else ""
