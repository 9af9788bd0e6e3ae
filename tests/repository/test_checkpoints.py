"""Every file of weights that ships is the one its manifest describes, small enough, with its notice."""

import json
import shutil
from pathlib import Path

import checkpoints
import pytest

from vidgen_lab import zoo

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [(row, preset) for row in zoo.list_models() for preset in row.shipped]


def test_no_shipped_file_is_missing_changed_or_without_its_manifest(capsys):
    assert checkpoints.faults() == []
    listed = capsys.readouterr().out
    assert all(f"vidgen train {row.name} " in listed for row, _ in SHIPPED)


def test_a_changed_file_and_a_missing_manifest_are_told(tmp_path, monkeypatch):
    files = shutil.copytree(zoo.FILES, tmp_path / "files")
    with open(files / "gan-ci.safetensors", "ab") as file:
        file.write(b"x")
    (tmp_path / "results").mkdir()
    shutil.copy(ROOT / "results/gan-ci.json", tmp_path / "results")
    monkeypatch.setattr(zoo, "FILES", files)
    wrong = checkpoints.faults(tmp_path)
    assert "gan-ci.safetensors is missing or changed" in wrong
    assert "digits-2d-ci.safetensors has no manifest digits-2d-ci.json" in wrong


def test_shipped_weights_are_small_and_no_other_file_lies_beside_them():
    files = {path.name: path.stat().st_size for path in zoo.FILES.glob("*.safetensors")}
    assert (
        set(files)
        == {row.weights(preset) for row, preset in SHIPPED}
        == set(json.loads((zoo.FILES / "SHA256.json").read_text()))
    )
    assert max(files.values()) <= 4e6 and sum(files.values()) <= 40e6


@pytest.mark.parametrize(("row", "preset"), SHIPPED)
def test_the_licence_notice_names_every_file(row, preset):
    assert f"`{row.weights(preset)}`" in (zoo.FILES / "LICENSE-weights.md").read_text()
