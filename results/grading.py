"""How long grading takes, and on how many attempts each check was tried.

    python results/grading.py     writes results/grading.json, about a minute on one CPU thread

Each lab's own solution is graded as a submission is, in a kernel of its own. The attempts are those of
tests/teach/attempts; tests/teach/test_checks.py proves that every wrong one is caught and every right one accepted.
"""

import re
import resource
import time
from pathlib import Path
from typing import Any

from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.teach.exercises import sheet
from vidgen_lab.teach.grade import run
from vidgen_lab.teach.kernel import Limits
from vidgen_lab.teach.release import labs_in, student_version
from vidgen_lab.training.state import write_json

ROOT = Path(__file__).resolve().parent.parent
CLASS = 30


def cpu_seconds() -> float:
    """Of the kernels so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tried(lab: str, kind: str) -> int:
    """Attempts at a lab's exercises that are right, or wrong."""
    texts = [path.read_text() for path in (ROOT / "tests/teach/attempts" / lab).glob("*.py")]
    return sum(len(re.findall(rf"^# %% {kind}:", text, re.M)) for text in texts)


def main() -> None:
    rows: dict[str, dict[str, Any]] = {}
    for name, lab in labs_in(ROOT / "notebooks").items():
        cpu, wall = cpu_seconds(), time.monotonic()
        results = run(sheet(lab, student_version(lab, name), lab), Limits())
        rows[name] = {
            "exercises": len(results),
            "points": sum(result.points for result in results),
            "cpu_seconds": cpu_seconds() - cpu,
            "wall_seconds": time.monotonic() - wall,
            "wrong": tried(name, "wrong"),
            "right": tried(name, "right"),
        }
        print(name, rows[name], flush=True)
    slowest = max(row["cpu_seconds"] for row in rows.values())
    totals = {key: sum(row[key] for row in rows.values()) for key in ("exercises", "wrong", "right")}
    estimate = {"students": CLASS, "slowest_lab_cpu_seconds": slowest, "cpu_minutes": CLASS * slowest / 60}
    manifest = {"command": command_line(), **environment(), "labs": rows, "all": totals, "class_estimate": estimate}
    write_json(ROOT / "results" / "grading.json", manifest)


if __name__ == "__main__":
    main()
