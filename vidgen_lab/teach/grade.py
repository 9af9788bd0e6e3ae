"""Grades a folder of submitted labs, one at a time. Whatever a submission does, the others are graded."""

import csv
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from vidgen_lab.core.errors import ArgumentError, VidgenError
from vidgen_lab.core.weights import write_atomically
from vidgen_lab.teach import feedback
from vidgen_lab.teach.exercises import Exercise, Sheet, exercises, own_sheet, sheet
from vidgen_lab.teach.kernel import Kernel, Limits, Outcome
from vidgen_lab.teach.release import labs_in, student_version

LARGEST = 300_000_000  # bytes of a submitted file
EMPTY = "The exercise was not done."


@dataclass(frozen=True)
class Result:
    """What one exercise got, and why."""

    exercise: Exercise
    points: float
    said: str  # one line: "right", the check's message, or what happened
    trace: str = ""  # of an error, for the feedback
    output: str = ""  # the beginning of what its cells printed


@dataclass(frozen=True)
class Graded:
    """What one notebook got. Without results, `said` tells what was wrong with the file."""

    student: str
    file: Path
    lab: str = ""
    results: tuple[Result, ...] = ()
    said: str = ""
    most: float = 0.0

    @property
    def points(self) -> float:
        return sum(result.points for result in self.results)


class GradingError(VidgenError):
    """A lab whose own solution does not get full marks, or whose untouched release gets any."""


def run(what: Sheet, limits: Limits) -> list[Result]:
    """Runs the exercises of a notebook in order. When a kernel dies, a new one goes on without the cell that did it."""
    results: list[Result] = []
    before, left = list(what.preparation), list(what.exercises)
    while left:
        with Kernel(limits) as kernel:
            for source in list(before):
                kernel.run(source)
                if not kernel.alive:
                    before.remove(source)
                    break
            while left and kernel.alive:
                exercise = left.pop(0)
                results.append(_graded(exercise, kernel, limits))
                if kernel.alive:
                    before.append(exercise.solution or "")  # a later exercise may call it
    return results


def _graded(exercise: Exercise, kernel: Kernel, limits: Limits) -> Result:
    if exercise.solution is None:
        return Result(exercise, 0, "There is no code to check.")
    output = ""
    for part in ("solution", "check", "private"):
        outcome = kernel.run(getattr(exercise, part))
        output += outcome.output if part == "solution" else ""
        if outcome.status != "ok":
            told = part == "private" or outcome.name in ("AssertionError", "NotImplementedError")
            return Result(exercise, 0, _said(outcome, part, limits), "" if told else outcome.trace, output)
    return Result(exercise, exercise.points, "Right.", "", output)


def _said(outcome: Outcome, part: str, limits: Limits) -> str:
    """One line about a cell that did not end well."""
    where = "Your cell" if part == "solution" else "The check of your code"
    if outcome.status == "slow":
        return f"{where} took more than {limits.seconds:g} seconds and was stopped. Does a loop never end?"
    if outcome.status == "died":
        return f"{where} ended the whole process. Does it call exit()?"
    if outcome.name == "NotImplementedError":
        return EMPTY
    if outcome.name == "AssertionError" and part != "solution":
        return outcome.message or "The check failed, and says no more."
    memory = outcome.name == "MemoryError" or "can't allocate memory" in outcome.message
    more = f" (it may hold {limits.memory_gb:g} GB)" if memory else ""
    return f"{where} stops with {outcome.name}: {outcome.message.partition(chr(10))[0]}{more}"


def read(path: Path) -> NotebookNode:
    """A notebook without its outputs. Raises VidgenError that says what is wrong with a file that is none."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise VidgenError(f"The file has {size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}: clear its outputs.")
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
        for cell in [*raw.get("cells", ()), *(cell for sheet in raw.get("worksheets", ()) for cell in sheet["cells"])]:
            if "outputs" in cell:
                cell["outputs"] = []
        with warnings.catch_warnings(action="ignore"):  # of cells that were copied with their identity
            notebook = nbformat.reads(json.dumps(raw), as_version=4)
        for cell in notebook.cells:
            if not isinstance(cell.source, str) or not isinstance(cell.metadata, dict):
                raise ValueError("a cell without text")
            cell.source = cell.source.encode("utf-8", "replace").decode()  # half characters cannot be sent on
        return notebook
    except VidgenError:
        raise
    except json.JSONDecodeError as error:
        empty = "The file is empty." if not path.stat().st_size else ""
        raise VidgenError(empty or f"The file is no notebook: it is not JSON from line {error.lineno} on.") from error
    except Exception as error:  # whatever a stranger's file can do to a parser
        raise VidgenError(f"The file is no notebook: {type(error).__name__}: {error}"[:300]) from error


def submissions(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Students and their files: a sub-folder is a student with any number of notebooks; a notebook in the folder
    itself is a student of its own. A sub-folder without a notebook gives None.

    Raises ArgumentError if there is nothing at all.
    """
    found = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
    found = [path for path in found if path.is_dir() or path.suffix == ".ipynb"]
    if not found:
        raise ArgumentError(f"{folder}: neither folders of students nor notebooks there.")
    for path in found:
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
        inside = [file for file in inside if ".ipynb_checkpoints" not in file.parts]
        yield from [(path.name if path.is_dir() else path.stem, file) for file in inside or [None]]


def private_checks(folder: Path | None, lab: str, lab_exercises: list[Exercise]) -> dict[str, str]:
    """FOLDER/LAB/EXERCISE.py for each exercise that has one: run after the visible check, never shown.

    Raises ArgumentError for a file that belongs to no exercise.
    """
    if folder is None or not (folder / lab).is_dir():
        return {}
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / lab).glob("*.py"))}
    known = [exercise.name for exercise in lab_exercises]
    for name in found:
        if name not in known:
            raise ArgumentError(f"--private {folder / lab / name}.py: {lab} has the exercises {', '.join(known)}.")
    return found


def prove(lab: NotebookNode, name: str, private: Mapping[str, str], limits: Limits) -> None:
    """The lab's own solution must get full marks and its untouched release none: else no student is graded.

    Raises GradingError that names the exercise.
    """
    released = student_version(lab, name)
    for title, notebook, full in (("own solution", lab, True), ("untouched release", released, False)):
        for result in run(sheet(lab, released, notebook, private), limits):
            if result.points != (result.exercise.points if full else 0) or (not full and result.said != EMPTY):
                raise GradingError(
                    f"{name}: its {title} gets {result.points:g} of {result.exercise.points:g} points in "
                    f"{result.exercise.name}: {result.said} Nothing was graded."
                )


def grade(
    folder: Path,
    labs: Path,
    out: Path,
    private: Path | None = None,
    limits: Limits | None = None,
) -> Iterator[Graded]:
    """Grades every submission of a folder, and gives each as soon as it is done.

    `out` gets scores.csv (a row for each file), exercises.csv (a row for each exercise) and the students' feedback as
    HTML; the two tables are whole after each submission. Raises GradingError before the first one if a lab cannot
    tell its own solution from its release.
    """
    limits, known = limits or Limits(), labs_in(labs)
    if private and not any((private / name).is_dir() for name in known):
        raise ArgumentError(f"--private {private}: no folder of a lab there. Write {private}/LAB/EXERCISE.py.")
    handed_in = list(submissions(folder))
    named = {file: _lab_of(file, known) for _, file in handed_in if file}
    checks = {}
    for name in sorted({name for name in named.values() if name}):
        checks[name] = private_checks(private, name, exercises(known[name]))
        prove(known[name], name, checks[name], limits)
    done: list[Graded] = []
    for student, file in handed_in:
        name = named.get(file, "")
        graded = _grade_file(student, file or folder / student, name, known.get(name), checks.get(name, {}), limits)
        done.append(graded)
        name = str(graded.file.relative_to(folder)).removesuffix(".ipynb")
        _write(out / "feedback" / f"{name}.html", feedback.page(graded))
        _write_tables(done, out)
        yield graded


def check(path: Path, limits: Limits | None = None) -> Graded:
    """The checks of a student's own notebook. Raises VidgenError if it is none, or has no exercise left."""
    notebook = read(path)
    if not exercises(notebook):
        raise ArgumentError(f"{path}: no exercise found. Its check cells are gone; begin again from a fresh copy.")
    what = own_sheet(notebook)
    return Graded("", path, path.stem, tuple(run(what, limits or Limits())), most=what.points)


def _lab_of(file: Path, labs: Mapping[str, NotebookNode]) -> str:
    """The lab whose name is in the file's: also of "Copy of 01_gan (1).ipynb"; else "" ."""
    return max((name for name in labs if name in file.stem), key=len, default="")


def _grade_file(
    student: str, file: Path, name: str, lab: NotebookNode | None, private: Mapping[str, str], limits: Limits
) -> Graded:
    if file.is_dir():
        return Graded(student, file, said="There is no notebook in the folder.")
    if lab is None:
        return Graded(student, file, said="No lab's name is in the file's name.")
    nothing = Graded(student, file, name, most=sum(exercise.points for exercise in exercises(lab)))
    try:
        what = sheet(lab, student_version(lab, name), read(file), private)
        return replace(nothing, results=tuple(run(what, limits)))
    except VidgenError as error:
        return replace(nothing, said=str(error))
    except Exception as error:  # a fault of ours must not cost the rest of the class its marks
        return replace(nothing, said=f"The grader itself failed: {type(error).__name__}: {error}. Grade it by hand.")


def _write_tables(done: list[Graded], out: Path) -> None:
    files, rows = [("student", "file", "lab", "points", "of", "said")], []
    rows.append(("student", "file", "lab", "exercise", "points", "of", "said", "notes"))
    for graded in done:
        said = graded.said or " ".join(
            f"{result.exercise.name}: {result.said}" for result in graded.results if result.points == 0
        )
        head = (graded.student, graded.file.name, graded.lab)
        files.append((*head, f"{graded.points:g}", f"{graded.most:g}", said))
        for result in graded.results:
            marks = (result.exercise.name, f"{result.points:g}", f"{result.exercise.points:g}")
            rows.append((*head, *marks, result.said, " ".join(result.exercise.notes)))
    for name, table in (("scores.csv", files), ("exercises.csv", rows)):
        text = io.StringIO()
        plain = [[f" {cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in row] for row in table]
        csv.writer(text, lineterminator="\n").writerows(plain)  # a spreadsheet must not run what a student wrote
        _write(out / name, text.getvalue())


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8", errors="replace"))
