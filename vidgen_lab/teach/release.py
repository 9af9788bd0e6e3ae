"""Student versions of the labs: nbgrader takes the solutions out, and the links lead to the student's own file."""

import copy
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import CheckCellMetadata, ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.core.weights import write_atomically

FOLDED = "hide-cell"  # the tag that folds a cell on a page
CARD = """

**Student version.** Write your code where a cell says `YOUR CODE HERE`; the cell below it says what is wrong.
`vidgen teach check {name}.ipynb` runs all checks at once."""


def labs_in(folder: Path) -> dict[str, NotebookNode]:
    """The instructor's notebooks of a folder, by name without `.ipynb`.

    Raises ArgumentError if there is none.
    """
    found = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}
    if not found:
        raise ArgumentError(f"--labs {folder}: no notebook there. Give the notebooks/ of the repository.")
    return found


def student_version(lab: NotebookNode, name: str) -> NotebookNode:
    """The lab without solutions, hidden tests and outputs; each stub raises NotImplementedError.

    Lines that speak of folded solutions are left out. Relative links are one folder deeper, since the file is.
    """
    released = copy.deepcopy(lab)
    for step in (
        CheckCellMetadata(),
        ClearSolutions(enforce_metadata=False),  # experiments have solutions too, and no points
        ClearHiddenTests(),
        ClearOutput(),
        LockCells(),
    ):
        released, _ = step.preprocess(released, {})
    for cell in released.cells:
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag != FOLDED]
        if tags:
            cell.metadata["tags"] = tags
        if cell.cell_type == "markdown":
            kept = [line for line in cell.source.splitlines() if "folded" not in line]
            text = "\n".join(kept).replace("](../", "](../../")
            cell.source = re.sub(rf"(/notebooks)(/{re.escape(name)}\.ipynb)", r"\1/student\2", text)
    released.cells[0].source = released.cells[0].source.rstrip() + CARD.format(name=name)
    return released


def release(labs: Path, out: Path) -> list[Path]:
    """Writes the student version of every lab of a folder. Returns the files."""
    written = []
    for name, lab in labs_in(labs).items():
        text = nbformat.writes(student_version(lab, name)).rstrip("\n") + "\n"
        written.append(out / f"{name}.ipynb")
        write_atomically(written[-1], lambda path, text=text: path.write_text(text, encoding="utf-8"))
    return written
