"""How long a class takes: thirty submissions of one lab, graded one after the other as `vidgen teach grade` does it.

    python results/class_of_30.py [LAB]     writes results/class-of-30.json; the slowest lab if none is named

The submissions are made of the attempts in tests/teach/attempts: student k hands in the k-th attempt at each exercise,
round and round, so that the class holds right answers, wrong ones, and every mixture. Two of the thirty hand in the
untouched release.
"""

import argparse
import copy
import re
import resource
import tempfile
import time
from pathlib import Path

import nbformat

from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.teach.exercises import exercises, grade_id
from vidgen_lab.teach.grade import grade
from vidgen_lab.teach.release import labs_in, student_version
from vidgen_lab.training.state import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
ATTEMPTS = ROOT / "tests" / "teach" / "attempts"
STUDENTS, UNTOUCHED = 30, 2


def slowest() -> str:
    """The lab whose grading took the most CPU time in results/grading.json."""
    labs = read_json(ROOT / "results" / "grading.json")["labs"]
    return max(labs, key=lambda name: labs[name]["cpu_seconds"])


def attempts(lab: str, exercise: str) -> list[str]:
    """The code of each attempt at an exercise, right and wrong."""
    text = (ATTEMPTS / lab / f"{exercise}.py").read_text(encoding="utf-8")
    return re.split(r"^# %% (?:right|wrong): .+\n", text, flags=re.M)[1:]


def hand_in(lab: str, folder: Path) -> None:
    """Thirty notebooks, a folder for each student."""
    released = student_version(labs_in(ROOT / "notebooks")[lab], lab)
    tried = {exercise.name: attempts(lab, exercise.name) for exercise in exercises(released)}
    for student in range(STUDENTS):
        notebook = copy.deepcopy(released)
        for cell in notebook.cells if student >= UNTOUCHED else []:
            if grade_id(cell) in tried:
                cell.source = tried[grade_id(cell)][student % len(tried[grade_id(cell)])]
        path = folder / f"student-{student + 1:02d}" / f"{lab}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lab", nargs="?", default=slowest())
    lab = parser.parse_args().lab
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hand_in(lab, folder / "submissions")
        start = time.monotonic()
        graded = list(grade(folder / "submissions", ROOT / "notebooks", folder / "graded"))
        wall = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    points = [each.points for each in graded]
    manifest = {
        "command": command_line(),
        **environment(),
        "lab": lab,
        "submissions": len(graded),
        "with_results": sum(bool(each.results) for each in graded),
        "points": {"least": min(points), "mean": sum(points) / len(points), "most": max(points), "of": graded[0].most},
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "wall_seconds": wall,
    }
    print(manifest)
    write_json(ROOT / "results" / "class-of-30.json", manifest)


if __name__ == "__main__":
    main()
