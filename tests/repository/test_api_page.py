"""Docstrings on the API page are shown as they are written."""

import vidgen_api
from sphinx.ext.napoleon import Config, GoogleDocstring


def shown(docstring: str, what: str = "function") -> list[str]:
    lines = docstring.splitlines()
    vidgen_api.show_as_written(None, what, "f", None, None, lines)
    return lines


def test_backticks_become_code_and_stars_stay_stars():
    assert shown("Shape `(B, *shape)`, a*b and |x|.") == [r"Shape ``(B, *shape)``, a\*b and \|x\|."]


def test_an_indented_table_is_kept_to_the_letter():
    table = "    z   latent   (B, *shape)"
    assert shown(f"Idea.\n\n{table}\n\nMore *text*.") == ["Idea.", "", "::", "", table, "", r"More \*text\*."]


def test_sections_of_arguments_are_left_to_napoleon():
    assert shown("Args:\n    n: how many `rows`.") == ["Args:", "    n: how many ``rows``."]


def test_words_before_a_colon_are_not_the_type_of_an_attribute():
    lines = shown("Where we are: the next row.", what="property")
    read = GoogleDocstring(lines, Config(), what="property", name="f").lines()
    vidgen_api.give_colons_back(None, "property", "f", None, None, read)
    assert [line for line in read if line] == ["Where we are: the next row."]
