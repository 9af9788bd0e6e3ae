"""The labs' card and set-up cell, written from one place, and the run that makes their committed outputs.

    python tools/labs.py write     card and set-up cell of every lab; the outputs stay
    python tools/labs.py run       run every lab at preset ci, then write card, set-up cell and outputs (make notebooks)

Both write the student version of each lab too, and take the names of labs (`01_gan`) to do only those. What a card
says stands in notebooks/labs.toml, the repository's address in _config.yml, the version in vidgen_lab/__init__.py.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import sys
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from vidgen_lab.core.manifest import environment
from vidgen_lab.teach import student_version

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 300  # a cell that runs longer is stopped
KEPT_METADATA = ("tags", "nbgrader")
WIDGET = "application/vnd.jupyter.widget"


@dataclass(frozen=True)
class Lab:
    """One row of notebooks/labs.toml."""

    number: int
    notebook: str  # file name without .ipynb
    title: str
    chapter: str  # path of the page, without .md
    goal: str
    prerequisites: str

    def path(self, root: Path = ROOT) -> Path:
        return root / "notebooks" / f"{self.notebook}.ipynb"

    def student_path(self, root: Path = ROOT) -> Path:
        return root / "notebooks" / "student" / f"{self.notebook}.ipynb"

    def manifest(self, preset: str, root: Path = ROOT) -> Path:
        """Where the cost of the whole lab at a preset is recorded."""
        return root / "results" / f"lab-{self.number:02d}{'' if preset == 'ci' else '-' + preset}.json"


def read_labs(root: Path = ROOT) -> list[Lab]:
    """All labs, in the order of the file."""
    return [Lab(**row) for row in tomllib.loads((root / "notebooks" / "labs.toml").read_text(encoding="utf-8"))["lab"]]


def address(root: Path = ROOT) -> str:
    """The repository's address, as _config.yml states it."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def version(root: Path = ROOT) -> str:
    """The package's version, as vidgen_lab/__init__.py states it."""
    return re.search(r'^__version__ = "(.+)"$', (root / "vidgen_lab/__init__.py").read_text(encoding="utf-8"), re.M)[1]


def set_up_source(root: Path = ROOT) -> str:
    """The set-up cell, the same in every lab: it installs from a tag, so that an old lab keeps its package."""
    return f"""\
try:
    import vidgen_lab
except ImportError:  # Colab, or a bare kernel
    %pip install -q "vidgen-lab @ git+{address(root)}@v{version(root)}"
    import vidgen_lab

setup = vidgen_lab.setup()  # preset and device; VIDGEN_PRESET=ci overrides"""


def cost(lab: Lab, preset: str, root: Path = ROOT) -> str:
    """Minutes and memory of the lab at a preset, from its manifest, as two cells of the card's table.

    On a CPU the minutes are those that its one thread worked, for the machine may have had other work too.
    """
    path = lab.manifest(preset, root)
    if not path.exists():
        return "not measured yet | not measured yet"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    seconds = manifest["cpu_seconds" if manifest["device"].endswith("CPU") else "wall_seconds"]
    minutes = max(0.5, round(seconds / 30) / 2)
    return f"{minutes:g} | {manifest['peak_memory_mb'] / 1000:.1f} GB"


def card_source(lab: Lab, root: Path = ROOT) -> str:
    """The card, a markdown cell: goal, prerequisites, cost by preset, links."""
    url = address(root)
    owner, name = url.removeprefix("https://github.com/").split("/")
    colab = f"https://colab.research.google.com/github/{owner}/{name}/blob/main/notebooks"
    online = f"https://{owner}.github.io/{name}/{lab.chapter}.html"
    return f"""\
# Lab {lab.number}: {lab.title}

**Goal.** {lab.goal}

**You need.** {lab.prerequisites}

| preset | runs on | minutes | memory |
| --- | --- | --- | --- |
| `ci` | one CPU thread | {cost(lab, "ci", root)} |
| `gpu` | one 16 GB GPU | {cost(lab, "gpu", root)} |

[The chapter](../{lab.chapter}.md) ([on the web]({online})) · [Open in Colab]({colab}/{lab.notebook}.ipynb)

[Open in Colab without the folded solutions]({colab}/student/{lab.notebook}.ipynb)"""


def refresh(notebook: NotebookNode, lab: Lab, root: Path = ROOT) -> None:
    """Put the current card and set-up cell first. Outputs of the set-up cell stay."""
    cells = {cell.get("id"): cell for cell in notebook.cells}
    card = cells.get("card") or nbformat.v4.new_markdown_cell(id="card")
    set_up = cells.get("set-up") or nbformat.v4.new_code_cell(id="set-up")
    card.source, set_up.source = card_source(lab, root), set_up_source(root)
    set_up.metadata["tags"] = ["nbval-ignore-output"]
    notebook.cells = [card, set_up] + [cell for cell in notebook.cells if cell.get("id") not in ("card", "set-up")]


def last_line_shown(text: str) -> str:
    """What a terminal would still show of each line after its carriage returns: of a progress bar, the end."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def normal_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without widgets (dead on a page, and drawn by scripts from afar), the pieces of a stream joined."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if any(kind.startswith(WIDGET) for kind in output.get("data", {})):
            continue
        if "metadata" in output:
            output.metadata = NotebookNode()
        before = kept[-1] if kept else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = last_line_shown(output.text)
    return kept


def normalise(notebook: NotebookNode) -> None:
    """Drop all that changes from run to run or from machine to machine and says nothing."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "accelerator": "GPU",  # Colab offers one when it opens the lab
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    count = 0
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata})
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = normal_outputs(cell.outputs)
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count


def write(notebook: NotebookNode, path: Path) -> None:
    """Write beside the old file, then put it in its place: an interrupted run leaves the old one whole."""
    nbformat.validate(notebook)
    fresh = path.with_suffix(".part")
    fresh.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
    os.replace(fresh, path)


def write_both(notebook: NotebookNode, lab: Lab, root: Path = ROOT) -> None:
    """The lab, and its student version."""
    write(notebook, lab.path(root))
    lab.student_path(root).parent.mkdir(exist_ok=True)
    write(student_version(notebook, lab.notebook), lab.student_path(root))


def write_json(value: dict[str, Any], path: Path) -> None:
    """The same for a manifest."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def execute(lab: Lab, root: Path = ROOT) -> tuple[NotebookNode, dict[str, Any]]:
    """Run every cell at preset ci on one thread. Returns the notebook and the manifest of what it cost.

    To be called in a process of its own: the cost is that of the process's children, which is the kernel.
    """
    notebook = nbformat.read(lab.path(root), as_version=4)
    refresh(notebook, lab, root)
    start = time.monotonic()
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(root / "notebooks")}},
    )
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1", "VIDGEN_PRESET": "ci"})
    wall = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    normalise(notebook)
    peak = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024  # bytes there, kB here
    return notebook, {
        "command": f"python tools/labs.py run {lab.notebook}",
        "preset": "ci",
        **environment(),
        "threads": 1,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "wall_seconds": round(wall, 1),
        "peak_memory_mb": round(peak / 1e6),
    }


def in_fresh_process(lab: Lab) -> tuple[NotebookNode, dict[str, Any]]:
    """`execute` in a process that runs nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(execute, lab).result()


def main() -> int:
    """The command line. A lab whose cell fails keeps its old file, and the exit status is 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["write", "run"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    labs = {lab.notebook: lab for lab in read_labs()}
    for name in arguments.names:
        if name not in labs:
            parser.error(f'no lab "{name}"; there are: {", ".join(labs)}')
    failed = False
    for lab in (labs[name] for name in arguments.names or labs):
        if arguments.task == "write":
            notebook = nbformat.read(lab.path(), as_version=4)
        else:
            try:
                notebook, manifest = in_fresh_process(lab)
            except CellExecutionError as error:
                print(f"{lab.notebook}: a cell failed, the file is left as it was.\n{error}", file=sys.stderr)
                failed = True
                continue
            write_json(manifest, lab.manifest("ci"))
            print(f"{lab.notebook}: {manifest['cpu_seconds']} CPU-seconds, {manifest['peak_memory_mb']} MB at most")
        refresh(notebook, lab)
        write_both(notebook, lab)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
