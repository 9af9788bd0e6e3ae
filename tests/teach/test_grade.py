"""Grading through real kernels: a small class with every kind of broken submission, and what became of each."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from vidgen_lab.cli import main
from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.teach import GradingError, Limits, check, grade, student_version
from vidgen_lab.teach.confined import landlock_version

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(seconds=4, memory_gb=0.5)
DOUBLE = "def double(x):\n    return x + x"
AREA = "def area(r):\n    return math.pi * r**2"


def marked(source: str, name: str, points: int = 0) -> NotebookNode:
    kind = {"grade": bool(points), "solution": not points, "locked": bool(points), "task": False, "schema_version": 3}
    marks = {**kind, "grade_id": name, **({"points": points} if points else {})}
    return new_code_cell(source, metadata={"nbgrader": marks})


LAB = new_notebook(
    cells=[
        new_markdown_cell("# A lab"),
        new_code_cell("ready = True"),
        new_code_cell("import math\nprint('a cell that takes long')\nfactor = 2"),
        marked("def double(x):\n    # BEGIN SOLUTION\n    return factor * x\n    # END SOLUTION", "double"),
        marked("assert double(2) == 4, 'twice 2'\nassert double(-3) == -6, 'negative numbers too'", "double_check", 1),
        marked("def area(r):\n    # BEGIN SOLUTION\n    return math.pi * r * r\n    # END SOLUTION", "area"),
        marked("assert abs(area(2) - 4 * math.pi) < 1e-9, 'pi times the square'", "area_check", 2),
    ]
)
NAME = "01_small"
STUB = student_version(LAB, NAME)


def answered(double: str | None = DOUBLE, area: str | None = AREA) -> NotebookNode:
    """The student version, filled in; an exercise given as None stays a stub."""
    notebook = nbformat.from_dict(STUB)
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in notebook.cells}
    for name, source in {"double": double, "area": area}.items():
        if source is not None:
            cells[name].source = source
    return notebook


def changed(change: Callable[[list[NotebookNode]], object], **sources: str | None) -> NotebookNode:
    notebook = answered(**sources)
    change(notebook.cells)
    return notebook


def without_marks(cells: list[NotebookNode]) -> None:
    for cell in cells:
        cell.metadata.clear()


def older(notebook: NotebookNode) -> str:
    """The same as a notebook of version 3, from before 2014."""
    return nbformat.writes(nbformat.convert(notebook, 3), version=3)


def with_output(notebook: NotebookNode, size: int) -> str:
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="x" * 99 + "\n")]
    text = nbformat.writes(notebook)
    return text.replace("x" * 99, "x" * size)


def from_colab(notebook: NotebookNode) -> str:
    """As Colab stores it: no identities of cells, metadata of its own."""
    notebook.nbformat_minor = 0
    for number, cell in enumerate(notebook.cells):
        cell.pop("id", None)
        cell.metadata.update(id=f"x{number}", colab={"base_uri": "https://localhost:8080/"})
    return nbformat.writes(notebook)


def reads(path: Path) -> str:
    return f"def double(x):\n    open({str(path)!r}).read()\n    return 2 * x"


# Name of the student: what was handed in, its points of 3, and a part of what the grader says about it.
BROKEN: dict[str, tuple[NotebookNode | str | bytes, float, str]] = {
    "all-right": (answered(), 3, ""),
    "untouched": (answered(None, None), 0, "not done"),
    "one-wrong": (answered(double="def double(x):\n    return abs(x + x)"), 2, "negative numbers too"),
    "check-cell-twice": (changed(lambda cells: cells.insert(5, cells[4])), 3, ""),
    "solution-cell-twice": (
        changed(lambda cells: cells.insert(4, marked("def double(x):\n    return 1", "double"))),
        2,
        "2 cells answer it; the last one counts.",
    ),
    "metadata-lost": (changed(without_marks), 3, "lost its nbgrader mark; the last cell that defines double counts."),
    "check-cells-deleted": (changed(lambda cells: (cells.pop(6), cells.pop(4))), 3, "was deleted; the original one"),
    "check-cell-changed": (
        changed(lambda cells: cells[4].update(source="assert True"), double="def double(x):\n    return 7"),
        2,
        "was changed; the original one was run",
    ),
    "solution-cell-deleted": (changed(lambda cells: cells.pop(3)), 2, "No cell of the notebook answers it"),
    "answer-in-a-new-cell": (
        changed(lambda cells: cells.insert(4, new_code_cell(DOUBLE)), double=None),
        3,
        "was left empty; the last cell that defines double counts.",
    ),
    "helper-in-a-cell-of-its-own": (
        changed(
            lambda cells: cells.insert(3, new_code_cell("def add(a, b):\n    return a + b")),
            double="def double(x):\n    return add(x, x)",
        ),
        3,
        "",
    ),
    "missing-import": (
        answered(double="def double(x):\n    return np.add(x, x)"),
        2,
        "NameError: name 'np' is not defined",
    ),
    "import-cell-deleted": (changed(lambda cells: cells.pop(2)), 3, ""),
    "syntax-error": (answered(double="def double(x:\n    return x"), 2, "Your cell stops with SyntaxError"),
    "endless-loop": (answered(double="def double(x):\n    while True:\n        pass"), 2, "more than 4 seconds"),
    "endless-loop-that-ignores-the-stop": (
        answered(
            double="def double(x):\n    while True:\n        try:\n            while True:\n                pass\n"
            "        except KeyboardInterrupt:\n            pass"
        ),
        2,
        "more than 4 seconds",
    ),
    "endless-recursion": (answered(double="def double(x):\n    return double(x)"), 2, "RecursionError"),
    "an-endless-cell-that-nothing-needs": (
        changed(lambda cells: cells.insert(3, new_code_cell("while True:\n    pass"))),
        3,
        "",
    ),
    "too-much-memory": (
        answered(double="def double(x):\n    return len([0] * 10**9)"),
        2,
        "MemoryError:  (it may hold 0.5 GB)",
    ),
    "ends-the-process": (answered(double="import os\nos._exit(1)"), 2, "Your cell ended the whole process"),
    "calls-exit": (answered(double="exit()"), 2, "Your cell ended the whole process"),
    "raises-system-exit": (answered(double="def double(x):\n    raise SystemExit"), 2, "SystemExit"),
    "prints-20-MB": (answered(double=f"print('x' * 20_000_000)\n{DOUBLE}"), 3, ""),
    "stored-output-of-200-MB": (with_output(answered(), 200_000_000), 3, ""),
    "warns": (answered(double=f"import warnings\nwarnings.warn('careful')\n{DOUBLE}"), 3, ""),
    "not-json": ("this is no notebook", 0, "it is not JSON from line 1 on"),
    "cut-off": (nbformat.writes(answered())[:-200], 0, "it is not JSON"),
    "empty": ("", 0, "The file is empty."),
    "json-but-no-notebook": ("[1, 2]", 0, "The file is no notebook"),
    "not-utf-8": (b"\xff\xfe{", 0, "The file is no notebook: UnicodeDecodeError"),
    "a-needed-cell-ends-the-process": (
        changed(
            lambda cells: cells.insert(3, new_code_cell("import os\nhelp_me = 2\nos._exit(1)")),
            double="def double(x):\n    return help_me * x",
        ),
        2,
        "NameError: name 'help_me' is not defined",
    ),
    "half-a-character": (nbformat.writes(answered(double=f"# HALF\n{DOUBLE}")).replace("HALF", "\\ud800"), 3, ""),
    "a-formula-for-the-spreadsheet": (
        answered(double="def double(x):\n    raise AssertionError('=1+1')"),
        2,
        "=1+1",
    ),
    "from-colab": (from_colab(answered()), 3, ""),
    "old-format": (older(answered()), 3, ""),
    "another-notebook": (new_notebook(cells=[new_code_cell("1 + 1")]), 0, "No cell of the notebook answers it"),
}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with the lab, the class that handed in, and what grading it left."""
    root = tmp_path_factory.mktemp("room")
    (root / "labs").mkdir()
    nbformat.write(LAB, root / "labs" / f"{NAME}.ipynb")
    for student, (content, *_) in BROKEN.items():
        folder = root / "class" / student
        folder.mkdir(parents=True)
        text = content if isinstance(content, str | bytes) else nbformat.writes(content)
        (folder / f"{NAME}.ipynb").write_bytes(text if isinstance(text, bytes) else text.encode())
    spy = answered(double=reads(root / "out" / "scores.csv"))
    nbformat.write(spy, root / "class" / f"zz-spy {NAME}.ipynb")
    (root / "class" / "nothing-handed-in").mkdir()
    (root / "class" / "other-name").mkdir()
    (root / "class" / "other-name" / "homework.ipynb").write_text(nbformat.writes(answered()))
    (root / "class" / "two-files" / "again").mkdir(parents=True)
    (root / "class" / "two-files" / f"Copy of {NAME} (1).ipynb").write_text(nbformat.writes(answered()))
    (root / "class" / "two-files" / "again" / f"{NAME}.ipynb").write_text(nbformat.writes(answered(area=None)))
    list(grade(root / "class", root / "labs", root / "out", limits=QUICK))
    return root


@pytest.fixture(scope="module")
def scores(room):
    with open(room / "out" / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_and_every_empty_folder_has_its_row(room, scores):
    students = sorted([*BROKEN, "nothing-handed-in", "other-name", "two-files", "two-files", f"zz-spy {NAME}"])
    assert sorted(row["student"] for row in scores) == students


@pytest.mark.parametrize("student", BROKEN)
def test_a_broken_submission_is_graded_and_told_what_happened(student, room, scores):
    _, points, says = BROKEN[student]
    (row,) = [row for row in scores if row["student"] == student]
    assert (row["points"], row["of"]) == (f"{points:g}", "3"), row["said"]
    with open(room / "out" / "exercises.csv", newline="") as file:
        told = " ".join(f"{r['said']} {r['notes']}" for r in csv.DictReader(file) if r["student"] == student)
    assert says in row["said"] + told
    assert says.replace("'", "&#x27;") in (room / "out" / "feedback" / student / f"{NAME}.html").read_text()


def test_no_cell_of_a_table_is_a_formula(room):
    for name in ("scores.csv", "exercises.csv"):
        with open(room / "out" / name, newline="") as file:
            assert not [cell for row in csv.reader(file) for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_files_under_another_name_are_found_or_named(scores):
    rows = {(row["student"], row["file"]): row for row in scores}
    assert rows["other-name", "homework.ipynb"]["said"] == "No lab's name is in the file's name."
    assert rows["nothing-handed-in", "nothing-handed-in"]["said"] == "There is no notebook in the folder."
    assert rows["two-files", f"Copy of {NAME} (1).ipynb"]["points"] == "3"
    assert rows["two-files", f"{NAME}.ipynb"]["points"] == "1"


def test_student_code_cannot_read_the_marks(scores):
    if not landlock_version():
        pytest.skip("this system has no Landlock, so files are not fenced off")
    (row,) = [row for row in scores if row["student"].startswith("zz-spy")]
    assert row["points"] == "2" and "PermissionError" in row["said"]


def test_feedback_shows_the_students_code_and_loads_nothing(room):
    page = (room / "out" / "feedback" / "one-wrong" / f"{NAME}.html").read_text()
    assert "2 of 3 points" in page and "negative numbers too" in page and "abs" in page
    assert "http" not in page and "<script" not in page and "factor * x" not in page


@pytest.fixture
def small_room(tmp_path):
    (tmp_path / "labs").mkdir()
    nbformat.write(LAB, tmp_path / "labs" / f"{NAME}.ipynb")
    (tmp_path / "class").mkdir()
    nbformat.write(answered(), tmp_path / "class" / f"ann {NAME}.ipynb")
    return tmp_path


def test_a_private_check_costs_points_and_is_never_shown(small_room):
    folder = small_room / "private" / NAME
    folder.mkdir(parents=True)
    (folder / "double.py").write_text("secret = double(0.5)\nassert isinstance(secret, int), 'whole numbers only'")
    lab = nbformat.from_dict(LAB)
    lab.cells[3].source = lab.cells[3].source.replace("factor * x", "round(factor * x)")
    nbformat.write(lab, small_room / "labs" / f"{NAME}.ipynb")
    (graded,) = grade(small_room / "class", small_room / "labs", small_room / "out", small_room / "private", QUICK)
    assert graded.points == 2 and graded.results[0].said == "whole numbers only"
    assert "secret" not in (small_room / "out" / "feedback" / f"ann {NAME}.html").read_text()
    with pytest.raises(ArgumentError, match="no folder of a lab there"):
        list(grade(small_room / "class", small_room / "labs", small_room / "out", folder, QUICK))
    (folder / "treble.py").write_text("assert False")
    with pytest.raises(ArgumentError, match="01_small has the exercises double, area"):
        list(grade(small_room / "class", small_room / "labs", small_room / "out", small_room / "private", QUICK))


@pytest.mark.parametrize(
    "cell, source, says",
    [
        (
            5,
            "import notthere\ndef area(r): ...",
            "own solution gets 0 of 2 points in area: Your cell stops with Module",
        ),
        (6, "assert True", "untouched release gets 2 of 2 points in area: Right."),
        (
            6,
            "done = False\ntry:\n    done = area(1) > 3\nexcept NotImplementedError:\n    pass\nassert done, 'no area'",
            "untouched release gets 0 of 2 points in area: no area",
        ),
    ],
)
def test_nobody_is_graded_by_a_lab_that_cannot_tell_its_solution_from_its_stub(small_room, cell, source, says):
    lab = nbformat.from_dict(LAB)
    lab.cells[cell].source = source
    nbformat.write(lab, small_room / "labs" / f"{NAME}.ipynb")
    with pytest.raises(GradingError, match=says):
        list(grade(small_room / "class", small_room / "labs", small_room / "out", limits=QUICK))
    assert not (small_room / "out").exists()


def test_a_student_checks_a_notebook_alone(tmp_path, capsys):
    path = tmp_path / f"{NAME}.ipynb"
    nbformat.write(answered(area="def area(r):\n    return r"), path)
    assert main(["teach", "check", str(path)]) == 0
    told = capsys.readouterr().out
    assert "double: 1 of 1. Right." in told and "area: 0 of 2. pi times the square" in told
    assert "1 of 3 points." in told
    path.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(ArgumentError, match="no exercise found"):
        check(path)


def test_a_real_lab_is_graded_by_the_command(tmp_path, capsys):
    (tmp_path / "labs").mkdir()
    shutil.copy(ROOT / "notebooks/01_gan.ipynb", tmp_path / "labs")
    right = nbformat.read(ROOT / "notebooks/01_gan.ipynb", as_version=4)
    wrong = nbformat.read(ROOT / "notebooks/student/01_gan.ipynb", as_version=4)
    (cell,) = [cell for cell in wrong.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "best_answers"]
    cell.source = "def best_answers(p, q):\n    return q / (p + q)"
    for student, notebook in {"ann": right, "bob": wrong}.items():
        (tmp_path / "class" / student).mkdir(parents=True)
        nbformat.write(notebook, tmp_path / "class" / student / "01_gan.ipynb")
    words = [
        "teach",
        "grade",
        str(tmp_path / "class"),
        "--labs",
        str(tmp_path / "labs"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "ann: 01_gan 6 of 6." in told and "bob: 01_gan 0 of 6." in told
    assert "that is the probability of fake, not of real" in (tmp_path / "out" / "scores.csv").read_text()


def test_an_empty_folder_is_named(small_room):
    (small_room / "empty").mkdir()
    with pytest.raises(ArgumentError, match="neither folders of students nor notebooks"):
        list(grade(small_room / "empty", small_room / "labs", small_room / "out"))
