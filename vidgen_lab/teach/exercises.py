"""The exercises of a lab, and what of a submitted notebook belongs to them.

An exercise is a solution cell and the check cell that follows it, in nbgrader's format: the solution cell has a
`grade_id`, the check cell the same one with `_check` behind it, and points. A student's notebook may have lost any of
this. So the lab is the frame: its own check cells are run, and of the submission only the code that answers them.
"""

import ast
import symtable
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

CHECK = "_check"


@dataclass(frozen=True)
class Exercise:
    """One exercise as it is run: the student's code, then the lab's check, then a private check where there is one."""

    name: str  # grade_id of the solution cell
    points: float
    solution: str | None  # None: the submission has no cell for it
    check: str
    private: str = ""
    notes: tuple[str, ...] = ()  # what was odd about its cells


@dataclass(frozen=True)
class Sheet:
    """All that is run for one notebook: the preparation once, then the exercises in order."""

    preparation: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> float:
        """The most that can be had."""
        return sum(exercise.points for exercise in self.exercises)


@dataclass
class Names:
    """Names that a piece of code reads from elsewhere, binds, and imports at its top level."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    imports: list[str] = field(default_factory=list)  # whole statements


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells with code, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def grade_id(cell: NotebookNode) -> str | None:
    """nbgrader's name of a cell, if it has kept one."""
    marks = cell.metadata.get("nbgrader")
    return marks.get("grade_id") if isinstance(marks, dict) else None


def exercises(notebook: NotebookNode, private: Mapping[str, str] | None = None) -> list[Exercise]:
    """The exercises of a lab or of a student version, with what its solution cells hold.

    `private` gives more checks, by name of the exercise.
    """
    cells = {grade_id(cell): cell for cell in code_cells(notebook) if grade_id(cell)}
    return [
        Exercise(
            name.removesuffix(CHECK),
            float(cell.metadata["nbgrader"].get("points") or 0),
            cells[name.removesuffix(CHECK)].source,
            cell.source,
            (private or {}).get(name.removesuffix(CHECK), ""),
        )
        for name, cell in cells.items()
        if name.endswith(CHECK) and name.removesuffix(CHECK) in cells
    ]


def sheet(
    lab: NotebookNode, released: NotebookNode, submitted: NotebookNode, private: Mapping[str, str] | None = None
) -> Sheet:
    """What to run for a submission: the lab's checks, the student's solutions, and what these need of both notebooks.

    `released` is the lab's student version: it tells what the student has not touched.
    """
    blanks = {exercise.name: exercise for exercise in exercises(released)}
    given = {cell.source.strip() for cell in code_cells(released)}
    found = [_answer(exercise, blanks[exercise.name], submitted, given) for exercise in exercises(lab, private)]
    taken = {exercise.solution for exercise in found}
    marks = {name + end for name in blanks for end in ("", CHECK)}
    own = [
        cell.source
        for cell in code_cells(submitted)
        if cell.source.strip() not in given and cell.source not in taken and grade_id(cell) not in marks
    ]
    return Sheet(tuple(_preparation(lab, found, own)), tuple(found))


def own_sheet(notebook: NotebookNode) -> Sheet:
    """What to run for a notebook by itself: its own checks, and of its other cells those that the exercises need."""
    found = exercises(notebook)
    return Sheet(tuple(_preparation(notebook, found, [])), tuple(found))


def _answer(exercise: Exercise, blank: Exercise, submitted: NotebookNode, given: set[str]) -> Exercise:
    """The exercise with the student's code in place of the lab's."""
    cells, notes = code_cells(submitted), []
    sources = {cell.source.strip() for cell in cells}
    marked = [cell.source for cell in cells if grade_id(cell) == exercise.name]
    filled = [source for source in marked if source.strip() != blank.solution.strip()]
    if len(filled) > 1:
        notes.append(f"{len(filled)} cells answer it; the last one counts.")
    if not filled:
        defines = names(exercise.solution).binds
        loose = [cell.source for cell in cells if not grade_id(cell) and cell.source.strip() not in given]
        filled = [source for source in loose if names(source).binds & defines]
        if filled:
            why = "Its cell was left empty" if marked else "Its cell has lost its nbgrader mark"
            notes.append(f"{why}; the last cell that defines {' or '.join(sorted(defines))} counts.")
    checks = [cell.source.strip() for cell in cells if grade_id(cell) == exercise.name + CHECK]
    if checks and blank.check.strip() not in checks:
        notes.append("Its check cell was changed; the original one was run.")
    elif not checks and blank.check.strip() not in sources:
        notes.append("Its check cell was deleted; the original one was run.")
    solution = (filled or [blank.solution])[-1]
    if not filled and not marked and blank.solution.strip() not in sources:
        solution, notes = None, ["No cell of the notebook answers it."]
    return replace(exercise, solution=solution, notes=tuple(notes))


def _preparation(lab: NotebookNode, found: list[Exercise], own: list[str]) -> Iterable[str]:
    """The set-up cell, the lab's imports, and the cells of the lab and of the student that the exercises read from."""
    cells = code_cells(lab)
    marks = {exercise.name + end for exercise in found for end in ("", CHECK)}
    last = max((i for i, cell in enumerate(cells) if grade_id(cell) in marks), default=0)
    set_up, *before = [cell.source for cell in cells[: last + 1] if grade_id(cell) not in marks] or [""]
    imports = list(dict.fromkeys(line for cell in cells for line in names(cell.source).imports))
    imported = set().union(*(names(line).binds for line in imports))
    of_lab = set().union(imported, *(names(source).binds for source in before))

    wanted: set[str] = set()
    bound: set[str] = set()
    for exercise in found:
        for source in (exercise.solution or "", exercise.check, exercise.private):
            wanted |= names(source).reads - bound
            bound |= names(source).binds
    own_cells, wanted_too = _slice(own, wanted - of_lab)
    lab_cells, _ = _slice(before, (wanted | wanted_too) - imported)
    return [set_up, "\n".join(imports), *lab_cells, *own_cells]


def _slice(sources: list[str], wanted: set[str]) -> tuple[list[str], set[str]]:
    """Those sources that bind a wanted name, or one that a chosen source reads; and the names that remain wanted."""
    chosen: list[str] = []
    for source in reversed(sources):
        found = names(source)
        if found.binds & wanted:
            chosen.insert(0, source)
            wanted = (wanted - found.binds) | found.reads
    return chosen, wanted


@cache
def names(source: str) -> Names:
    """What a cell reads from elsewhere, binds, and imports. All empty if it is not Python."""
    try:
        statements = ast.parse(TransformerManager().transform_cell(source)).body
        tables = [symtable.symtable(ast.unparse(statement), "cell", "exec") for statement in statements]
    except Exception:  # there are many ways not to be Python
        return Names()
    result, later = Names(), set()
    for statement, table in zip(statements, tables, strict=True):
        symbols = table.get_symbols()
        binds = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
        reads = {symbol.get_name() for symbol in symbols if symbol.is_referenced()}
        if not isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            reads -= binds  # a loop reads what it binds itself
        later |= _global_reads(table)
        result.reads |= reads - result.binds
        result.binds |= binds
        if isinstance(statement, ast.Import | ast.ImportFrom):
            result.imports.append(ast.unparse(statement))
    result.reads |= later - result.binds  # the body of a function is run when the whole cell has been
    return result


def _global_reads(table: symtable.SymbolTable) -> set[str]:
    """Global names in the functions and classes of a scope."""
    found: set[str] = set()
    for child in table.get_children():
        found |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global()} | _global_reads(child)
    return found
