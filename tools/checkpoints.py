"""List the weights that ship: whether each file is what it should be, and the commands that make it again.

    python tools/checkpoints.py        (make checkpoints)

Ends with an error where a file is missing, changed, or has no manifest.
"""

import json
import sys
from pathlib import Path

from vidgen_lab import zoo
from vidgen_lab.core.weights import sha256

ROOT = Path(__file__).resolve().parent.parent


def faults(root: Path = ROOT) -> list[str]:
    """Prints a few lines for each shipped file; returns what is wrong."""
    wrong = []
    for row, preset in ((model, preset) for model in zoo.list_models() for preset in model.shipped):
        name = row.weights(preset)
        path, results = zoo.FILES / name, root / "results" / f"{Path(name).stem}.json"
        if not path.exists() or sha256(path) != zoo.shipped_hash(row.name, preset):
            wrong.append(f"{name} is missing or changed")
        if not results.exists():
            wrong.append(f"{name} has no manifest {results.name}")
            continue
        manifest = json.loads(results.read_text())
        if path.exists() and manifest["weights_sha256"] != sha256(path):
            wrong.append(f"{results.name} belongs to other weights than {name}")
        print(f"{name}  {manifest['weights_bytes'] / 1e6:.2f} MB, {manifest['cpu_seconds']:.0f} CPU-seconds")
        print(f"    {manifest['command']}\n    {manifest['shipped_with']}")
    return wrong


if __name__ == "__main__":
    sys.exit("\n".join(faults()) or 0)
