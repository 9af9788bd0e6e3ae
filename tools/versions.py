"""Try the package where readers run it: on older torch, with Colab's own versions. `make versions` runs this by hand.

For each environment: a fresh venv under build/, the package of the current commit installed from this repository's git
address, the unit tests, lab 1 compared strictly. What was seen goes to results/versions.json; the venv is deleted.
Each one downloads several GB. Names of environments as arguments do only those.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import labs

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "results/versions.json"
COLAB = [
    line
    for line in (ROOT / "tools/colab-constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
ENVIRONMENTS = {
    "colab": COLAB,  # torch 2.11
    "torch-2.9": ["torch==2.9.0", "torchvision==0.24.0"] + [line for line in COLAB if not line.startswith("torch")],
}
SHOWN = ("torch", "torchvision", "numpy", "matplotlib", "accelerate", "ipython", "ipywidgets", "ipykernel")
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval.ini", "--nbval-cell-timeout", "600"]


def attempt(command: list[str | Path], folder: Path) -> dict[str, Any]:
    """Run one command, show its output, and return its exit status, its last line and its seconds."""
    start = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VIDGEN_PRESET": "ci"}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(done.stdout)
    lines = done.stdout.strip().splitlines() or [""]
    return {"passed": done.returncode == 0, "said": lines[-1].strip("= "), "seconds": round(time.monotonic() - start)}


def try_environment(name: str, constraints: list[str], commit: str) -> dict[str, Any]:
    """Install the commit under these constraints, run the unit tests and lab 1 there, and tell what happened."""
    folder = ROOT / "build/versions" / name
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "work"
    work.mkdir(parents=True)
    # Everything but the package, so that only the installed one can be imported.
    archive = subprocess.run(
        ["git", "archive", commit, "--", ".", ":(exclude)vidgen_lab"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x", "-C", work], input=archive.stdout, check=True)
    (folder / "constraints.txt").write_text("\n".join(constraints) + "\n")
    try:
        venv.create(folder / "venv", with_pip=True, upgrade_deps=True)  # an old pip refuses git+file addresses
        python = folder / "venv/bin/python"
        package = f"vidgen-lab[test] @ git+{ROOT.as_uri()}@{commit}"
        seen = {
            "install": attempt([python, "-m", "pip", "install", "-q", "-c", folder / "constraints.txt", package], work)
        }
        if seen["install"]["passed"]:
            seen["install"]["said"] = "installed from a git address"
            held = json.loads(subprocess.check_output([python, "-m", "pip", "list", "--format", "json"], text=True))
            versions = {row["name"].lower(): row["version"] for row in held}
            seen["versions"] = {key: versions[key] for key in SHOWN if key in versions}
            seen["unit tests"] = attempt([python, *PYTEST, "tests", "--ignore=tests/repository"], work)
            lab = f"notebooks/{labs.read_labs()[0].notebook}.ipynb"
            seen["lab 1"] = attempt([python, *PYTEST, *NBVAL, lab], work)
        return seen
    finally:
        shutil.rmtree(folder)


def main() -> int:
    names = sys.argv[1:] or list(ENVIRONMENTS)
    for name in names:
        if name not in ENVIRONMENTS:
            print(f'no environment "{name}"; there are: {", ".join(ENVIRONMENTS)}', file=sys.stderr)
            return 2
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    manifest = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {"environments": {}}
    manifest["command"] = "make versions"
    for name in names:
        seen = try_environment(name, ENVIRONMENTS[name], commit)
        manifest["environments"][name] = {"python": sys.version.split()[0], "commit": commit, **seen}
        labs.write_json(manifest, MANIFEST)
    steps = [step for name in names for step in manifest["environments"][name].values() if isinstance(step, dict)]
    return int(not all(step.get("passed", True) for step in steps))


if __name__ == "__main__":
    sys.exit(main())
