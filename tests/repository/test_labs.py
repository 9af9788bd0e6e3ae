"""The committed labs, and the tool that writes them."""

import json
import re
from pathlib import Path

import labs
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
LABS = labs.read_labs()
READ = {lab.notebook: nbformat.read(lab.path(), as_version=4) for lab in LABS}
each_lab = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.notebook)
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip", "raises-exception", "nbval-raises-exception"}


def code_cells(lab):
    return [cell for cell in READ[lab.notebook].cells if cell.cell_type == "code"]


def stored_text(cell) -> str:
    """What strict nbval compares of a cell, as text."""
    return "".join(
        output.get("text", "") if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def test_every_notebook_is_in_the_table_of_labs():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == sorted(READ)
    assert all(lab.notebook.startswith(f"{lab.number:02d}_") for lab in LABS)
    assert sorted(path.stem for path in (ROOT / "notebooks/student").glob("*.ipynb")) == sorted(READ)
    chapters = sorted(lab.number for lab in LABS if lab.number < 90)  # labs of the appendix count from 90
    assert chapters == list(range(1, len(chapters) + 1))
    assert len({lab.number for lab in LABS}) == len(LABS)


@each_lab
def test_every_code_cell_was_executed_in_order_and_none_failed(lab):
    assert [cell.execution_count for cell in code_cells(lab)] == list(range(1, len(code_cells(lab)) + 1))
    meant = [cell for cell in code_cells(lab) if not {"raises-exception"} & set(cell.metadata.get("tags", []))]
    assert not [cell.source for cell in meant for output in cell.outputs if output.output_type == "error"]


@each_lab
def test_at_least_five_cells_are_compared(lab):
    compared = [
        cell
        for cell in code_cells(lab)
        if not NOT_COMPARED & set(cell.metadata.get("tags", []))
        and not re.search(r"#\s*NBVAL_(IGNORE_OUTPUT|SKIP)", cell.source)
        and stored_text(cell).strip()
    ]
    assert len(compared) >= 5


@each_lab
def test_no_output_is_a_widget(lab):
    kinds = {kind for cell in code_cells(lab) for output in cell.outputs for kind in output.get("data", {})}
    assert not [kind for kind in kinds if kind.startswith(labs.WIDGET)]
    assert "widgets" not in READ[lab.notebook].metadata


@each_lab
def test_a_lab_has_at_most_45_cells_of_at_most_25_lines(lab):
    assert len(READ[lab.notebook].cells) <= 45
    long = [cell.source for cell in code_cells(lab) if len(cell.source.splitlines()) > 25]
    assert not long, long[0]


@each_lab
def test_card_and_set_up_cell_are_current(lab):
    card, set_up = READ[lab.notebook].cells[:2]
    assert card.source == labs.card_source(lab), "run: python tools/labs.py write"
    assert set_up.source == labs.set_up_source(), "run: python tools/labs.py write"


@each_lab
def test_a_lab_is_stored_as_the_tool_writes_it(lab):
    """No timings, no metadata of someone's editor, the kernel that everyone has."""
    again = nbformat.from_dict(READ[lab.notebook])
    labs.normalise(again)
    assert nbformat.writes(again).rstrip("\n") + "\n" == lab.path().read_text(encoding="utf-8")


@each_lab
def test_the_student_version_is_current(lab):
    student = labs.student_version(READ[lab.notebook], lab.notebook)
    stored = lab.student_path().read_text(encoding="utf-8")
    assert nbformat.writes(student).rstrip("\n") + "\n" == stored, "run: vidgen teach release"


@each_lab
def test_a_lab_keeps_its_budget_of_time_and_memory(lab):
    cost = json.loads(lab.manifest("ci").read_text())
    assert cost["cpu_seconds"] <= 150 and cost["peak_memory_mb"] <= 1500


def test_the_set_up_cell_installs_a_tag_and_never_a_branch():
    assert re.search(r"git\+https://\S+@v\d+\.\d+\.\d+\"", labs.set_up_source())


# The tool, on a lab of its own.


def small_root(tmp_path: Path, *cells: nbformat.NotebookNode) -> labs.Lab:
    """A repository with one lab of these cells."""
    for name in ("notebooks", "vidgen_lab"):
        (tmp_path / name).mkdir()
    for name in ("_config.yml", "vidgen_lab/__init__.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    lab = labs.Lab(1, "01_small", "Small", "book/small", "To be small.", "Nothing.")
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    notebook.metadata["kernelspec"] = {"name": "somebody's own", "display_name": "x", "language": "python"}
    nbformat.write(notebook, lab.path(tmp_path))
    return lab


def code(source: str, **metadata) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def test_a_run_leaves_clean_outputs_at_preset_ci_and_a_manifest(tmp_path):
    lab = small_root(
        tmp_path,
        code("import os, sys\nprint(os.environ['VIDGEN_PRESET'], os.environ['OMP_NUM_THREADS'])", collapsed=True),
        code("import ipywidgets\nipywidgets.IntSlider()", tags=["nbval-ignore-output"]),
        code("print('1 %', end='\\r')\nsys.stdout.flush()\nprint('100 %')"),
    )
    notebook, manifest = labs.execute(lab, tmp_path)
    first, slider, bar = notebook.cells[2:]
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4]
    assert first.outputs[0].text == "ci 1\n" and first.metadata == {}
    assert slider.outputs == [] and slider.metadata == {"tags": ["nbval-ignore-output"]}
    assert [output.text for output in bar.outputs] == ["100 %\n"]
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    assert manifest["preset"] == "ci" and manifest["cpu_seconds"] > 0 and manifest["peak_memory_mb"] > 20


def test_a_failing_cell_is_reported_and_nothing_is_written(tmp_path):
    lab = small_root(tmp_path, code("1 / 0"))
    before = lab.path(tmp_path).read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        labs.execute(lab, tmp_path)
    assert lab.path(tmp_path).read_bytes() == before


def test_refreshing_twice_changes_nothing_and_keeps_the_outputs(tmp_path):
    lab = small_root(tmp_path, code("x = 1"))
    notebook = nbformat.read(lab.path(tmp_path), as_version=4)
    labs.refresh(notebook, lab, tmp_path)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="here\n")]
    once = nbformat.writes(notebook)
    labs.refresh(notebook, lab, tmp_path)
    assert nbformat.writes(notebook) == once and [cell.id for cell in notebook.cells[:2]] == ["card", "set-up"]


def test_the_card_states_what_was_measured_and_admits_what_was_not(tmp_path):
    lab = small_root(tmp_path)
    assert "| `ci` | one CPU thread | not measured yet | not measured yet |" in labs.card_source(lab, tmp_path)
    measured = {"cpu_seconds": 91.0, "wall_seconds": 400.0, "peak_memory_mb": 812}
    labs.write_json({**measured, "device": "x86_64 CPU"}, lab.manifest("ci", tmp_path))
    labs.write_json({**measured, "device": "some GPU"}, lab.manifest("gpu", tmp_path))
    card = labs.card_source(lab, tmp_path)
    assert "| `ci` | one CPU thread | 1.5 | 0.8 GB |" in card and "| `gpu` | one 16 GB GPU | 6.5 | 0.8 GB |" in card
