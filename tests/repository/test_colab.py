"""What Colab ships stays as it is when a lab's set-up cell installs the package."""

import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
COLAB = dict(
    line.split("==")
    for line in (ROOT / "tools/colab-constraints.txt").read_text().split("\n")
    if line and not line.startswith("#")
)


def test_every_requirement_admits_the_version_that_colab_ships():
    named = [Requirement(text) for text in REQUIREMENTS]
    refused = [text for text in named if text.name in COLAB and not text.specifier.contains(COLAB[text.name])]
    assert not refused
    assert {"torch", "numpy", "matplotlib", "ipywidgets"} <= {text.name for text in named} & set(COLAB)


def test_requirements_have_lower_bounds_only():
    operators = {text: {bound.operator for bound in Requirement(text).specifier} for text in REQUIREMENTS}
    assert all(found == {">="} for found in operators.values()), operators


def test_pip_would_replace_nothing_that_colab_ships(tmp_path: Path):
    """pip's own plan, in an environment that claims to hold Colab's versions. Nothing is installed."""
    venv.create(tmp_path / "colab", with_pip=False)
    python = tmp_path / "colab" / "bin" / "python"
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    for name, version in COLAB.items():
        held = Path(site.strip()) / f"{name}-{version}.dist-info"
        held.mkdir()
        (held / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (held / "INSTALLER").write_text("pip\n")
        (held / "RECORD").write_text("")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--dry-run", "--quiet", "--report", report]
    plan = subprocess.run([*command, *REQUIREMENTS], capture_output=True, text=True)
    if plan.returncode and "from versions: none" in plan.stderr:
        pytest.skip("no package index is reached, so pip's plan cannot be asked for")
    assert plan.returncode == 0, plan.stderr
    planned = {canonicalize_name(item["metadata"]["name"]) for item in json.loads(report.read_text())["install"]}
    assert "torchdiffeq" in planned
    assert not planned & set(COLAB)
