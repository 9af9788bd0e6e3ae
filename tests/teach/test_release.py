"""Student versions: what nbgrader takes out, and what the rest says."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.nbgraderformat import ValidationError

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.teach.release import labs_in, release, student_version

ROOT = Path(__file__).resolve().parents[2]
STUDENT = {path.stem: nbformat.read(path, as_version=4) for path in (ROOT / "notebooks/student").glob("*.ipynb")}
each_student = pytest.mark.parametrize("name", STUDENT)
MARK = {"schema_version": 3, "locked": False, "grade": False, "solution": True, "task": False}


def lab_with(source: str, **marks):
    cell = new_code_cell(source, metadata={"nbgrader": {**MARK, "grade_id": "add", **marks}, "tags": ["hide-cell"]})
    return new_notebook(cells=[new_markdown_cell("# Lab"), cell])


@each_student
def test_no_solution_and_no_output_is_left(name):
    text = nbformat.writes(STUDENT[name])
    assert not [word for word in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "hide-cell") if word in text]
    assert not [cell for cell in STUDENT[name].cells if cell.get("outputs") or cell.get("execution_count")]


@each_student
def test_a_student_version_keeps_every_cell_with_its_identity(name):
    lab = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    assert [cell.id for cell in STUDENT[name].cells] == [cell.id for cell in lab.cells]
    marks = [cell.metadata.get("nbgrader") for cell in lab.cells]
    assert [cell.metadata.get("nbgrader") for cell in STUDENT[name].cells] == marks


@each_student
def test_its_colab_button_opens_the_student_file_and_no_line_speaks_of_what_is_folded(name):
    card = STUDENT[name].cells[0].source
    assert f"/blob/main/notebooks/student/{name}.ipynb)" in card and card.count("colab.research") == 1
    assert not [cell.source for cell in STUDENT[name].cells if "folded" in cell.source]


@each_student
def test_relative_links_of_the_student_file_lead_somewhere(name):
    links = {link for cell in STUDENT[name].cells for link in re.findall(r"\]\((\.\./[^)#]+)", cell.source)}
    assert links and all((ROOT / "notebooks/student" / link).exists() for link in links)


def test_the_stub_stands_where_the_solution_was():
    lab = lab_with("def add(a, b):\n    # BEGIN SOLUTION\n    return a + b\n    # END SOLUTION\n\n\nprint(1)")
    stub = student_version(lab, "x").cells[1]
    assert stub.source == "def add(a, b):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n\n\nprint(1)"
    assert "tags" not in stub.metadata and "BEGIN SOLUTION" in lab.cells[1].source


def test_hidden_tests_of_a_check_are_taken_out():
    source = "assert add(1, 1) == 2\n# BEGIN HIDDEN TESTS\nassert add(2, 2) == 4\n# END HIDDEN TESTS"
    lab = lab_with(source, grade=True, solution=False, points=1, locked=True)
    assert student_version(lab, "x").cells[1].source == "assert add(1, 1) == 2"


def test_a_repeated_grade_id_is_refused():
    lab = lab_with("pass")
    lab.cells.append(lab.cells[1])
    with pytest.raises(ValidationError):
        student_version(lab, "x")


def test_release_writes_a_file_for_each_lab(tmp_path):
    nbformat.write(lab_with("pass"), tmp_path / "07_x.ipynb")
    assert release(tmp_path, tmp_path / "student") == [tmp_path / "student/07_x.ipynb"]
    assert "07_x.ipynb` runs all checks" in nbformat.read(tmp_path / "student/07_x.ipynb", as_version=4).cells[0].source


def test_a_folder_without_labs_is_named(tmp_path):
    with pytest.raises(ArgumentError, match="no notebook there. Give the notebooks/"):
        labs_in(tmp_path)
