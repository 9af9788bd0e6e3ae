"""The checks of the labs' exercises, tried on what students write: right in their own way, or wrong in a known one.

The attempts lie in attempts/LAB/EXERCISE.py; attempts/README.md says how one is written.
"""

import re
from functools import cache
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from vidgen_lab.teach.exercises import Exercise, exercises, sheet
from vidgen_lab.teach.release import labs_in, student_version

ROOT = Path(__file__).resolve().parents[2]
ATTEMPTS = Path(__file__).parent / "attempts"
LABS = labs_in(ROOT / "notebooks")
EXERCISES = [(name, exercise) for name, lab in LABS.items() for exercise in exercises(lab)]
each_exercise = pytest.mark.parametrize(
    "lab, exercise", EXERCISES, ids=[f"{name}-{exercise.name}" for name, exercise in EXERCISES]
)


def attempts() -> list[tuple[str, str, str, str, str]]:
    """Lab, exercise, right or wrong, what the attempt does, its code; in the order of the files."""
    found = []
    for path in sorted(ATTEMPTS.glob("*/*.py")):
        parts = re.split(r"^# %% (right|wrong): (.+)\n", path.read_text(encoding="utf-8"), flags=re.M)[1:]
        found += [(path.parent.name, path.stem, *parts[i : i + 3]) for i in range(0, len(parts), 3)]
    return found


WRITTEN = attempts()


@cache
def prepared(lab: str) -> dict:
    """The names that are there when a lab's exercises begin."""
    namespace: dict = {"__name__": lab, "display": lambda *shown: None}
    what = sheet(LABS[lab], student_version(LABS[lab], lab), LABS[lab])
    for source in what.preparation:
        exec(TransformerManager().transform_cell(source), namespace)
    return namespace


def run(lab: str, exercise: Exercise, solution: str) -> None:
    """One exercise alone: the solution, then the check."""
    namespace = dict(prepared(lab))
    exec(solution, namespace)
    exec(exercise.check, namespace)


def find(lab: str, name: str) -> Exercise:
    return next(exercise for exercise in exercises(LABS[lab]) if exercise.name == name)


@each_exercise
def test_the_labs_own_solution_passes_without_the_other_exercises(lab, exercise, capsys):
    run(lab, exercise, exercise.solution)


@each_exercise
def test_a_stub_fails_with_not_implemented_error_and_nothing_else(lab, exercise):
    released = {blank.name: blank for blank in exercises(student_version(LABS[lab], lab))}
    with pytest.raises(NotImplementedError):
        run(lab, exercise, released[exercise.name].solution)


@each_exercise
def test_a_check_was_tried_on_three_wrong_solutions_and_two_right_ones(lab, exercise):
    kinds = [kind for of, name, kind, *_ in WRITTEN if (of, name) == (lab, exercise.name)]
    where = f"see attempts/README.md, and write attempts/{lab}/{exercise.name}.py"
    assert kinds.count("wrong") >= 3 and kinds.count("right") >= 2, where


@pytest.mark.parametrize(
    "lab, name, kind, title, solution", WRITTEN, ids=[f"{lab}-{name}-{title}" for lab, name, _, title, _ in WRITTEN]
)
def test_a_check_tells_right_from_wrong_and_says_what_is_wrong(lab, name, kind, title, solution, capsys):
    if kind == "right":
        run(lab, find(lab, name), solution)
        return
    says = title.split(" -> ")[1]
    with pytest.raises(AssertionError, match=re.escape(says)):
        run(lab, find(lab, name), solution)
