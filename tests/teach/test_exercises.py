"""What of a notebook is run: which cells an exercise needs, and which are the student's own."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from vidgen_lab.core.errors import VidgenError
from vidgen_lab.teach.exercises import names, own_sheet, sheet
from vidgen_lab.teach.kernel import Kernel, Limits
from vidgen_lab.teach.release import student_version

MARK = {"schema_version": 3, "locked": False, "grade": False, "solution": True, "task": False}
SOLVED = "def add(a, b):\n    # BEGIN SOLUTION\n    return a + b\n    # END SOLUTION"


def solution(source: str):
    return new_code_cell(source, metadata={"nbgrader": {**MARK, "grade_id": "add"}})


def check(source: str):
    marks = {**MARK, "grade_id": "add_check", "grade": True, "solution": False, "locked": True, "points": 1}
    return new_code_cell(source, metadata={"nbgrader": marks})


def lab(*before: str, uses: str = "1"):
    cells = [new_code_cell("ready = 1"), *(new_code_cell(source) for source in before)]
    return new_notebook(cells=[*cells, solution(SOLVED), check(f"assert add({uses}, 1) == 2, 'no'")])


def handed_in(of, *cells):
    """The student version with these cells in place of its solution cell."""
    notebook = nbformat.from_dict(student_version(of, "x"))
    at = next(i for i, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader"))
    notebook.cells[at : at + 1] = cells
    return sheet(of, student_version(of, "x"), notebook)


@pytest.mark.parametrize(
    "source, reads, binds",
    [
        ("y = x + 1", {"x"}, {"y"}),
        ("x = x + 1", {"x"}, {"x"}),
        ("for i in range(3):\n    last = i\nprint(last)", {"range", "print"}, {"i", "last"}),
        ("def f(a):\n    b = a * scale\n    return b", {"scale"}, {"f"}),
        ("def f():\n    return g()\ndef g():\n    return f()", set(), {"f", "g"}),
        ("total = sum(k * w for k in rows)", {"sum", "w", "rows"}, {"total"}),
        ("a, (b, *c) = values", {"values"}, {"a", "b", "c"}),
        ("with open(path) as file:\n    text = file.read()", {"open", "path"}, {"file", "text"}),
        ("import torch.nn as nn\nlayer = nn.Linear(1, 1)", set(), {"nn", "layer"}),
        ("class A(Base):\n    size = SIZE", {"Base", "SIZE"}, {"A"}),
        ("this is no python", set(), set()),
        ("%pip install x\nz = 1", {"get_ipython"}, {"z"}),
    ],
)
def test_names_that_a_cell_reads_and_binds(source, reads, binds):
    found = names(source)
    assert found.reads == reads and found.binds == binds


def test_of_the_lab_only_the_cells_are_run_that_an_exercise_needs():
    of = lab("import math\nnumber = 3", "slow = train()", "one = number - 2", uses="one")
    what = sheet(of, student_version(of, "x"), of)
    assert what.preparation == ("ready = 1", "import math", "import math\nnumber = 3", "one = number - 2")


def test_of_the_students_own_cells_only_those_are_run_that_an_answer_needs():
    own = [
        new_code_cell(source) for source in ("import numpy as np", "slow = train()", "def plus(a): return np.add(a, 1)")
    ]
    what = handed_in(lab(), *own, solution("def add(a, b):\n    return plus(a)"))
    assert what.preparation[2:] == ("import numpy as np", "def plus(a): return np.add(a, 1)")


def test_a_student_cannot_replace_a_cell_of_the_lab():
    of = lab("limit = 1", uses="limit")
    own = new_code_cell("limit = 'mine'")
    assert handed_in(of, own, solution("def add(a, b):\n    return limit + b")).preparation[2:] == ("limit = 1",)


def test_the_untouched_stub_is_no_answer_when_there_is_another():
    stub = student_version(lab(), "x").cells[1].source
    (exercise,) = handed_in(lab(), solution("def add(a, b):\n    return 7"), solution(stub)).exercises
    assert "return 7" in exercise.solution and exercise.notes == ()


def test_a_notebook_by_itself_is_run_with_its_last_answer():
    twice = lab()
    twice.cells.insert(2, solution("def add(a, b):\n    return 0"))
    (exercise,) = own_sheet(twice).exercises
    assert "return 0" in exercise.solution and exercise.points == 1


def test_a_kernel_without_room_says_so():
    with pytest.raises(VidgenError, match="No kernel starts in 0.001 GB"), Kernel(Limits(memory_gb=0.001)):
        pass
