"""Put a trained run into the package: fp16 weights, their SHA-256, and the manifest that says what they are.

    python tools/ship.py runs/gan                          all networks
    python tools/ship.py runs/gan --children generator     only what sampling needs

Writes vidgen_lab/zoo/files/NAME-PRESET.safetensors, vidgen_lab/zoo/files/SHA256.json and results/NAME-PRESET.json.
"""

import argparse
import json
from pathlib import Path

from vidgen_lab import zoo
from vidgen_lab.core import write_weights
from vidgen_lab.core.manifest import command_line
from vidgen_lab.core.weights import sha256
from vidgen_lab.evaluation import evaluate
from vidgen_lab.training.state import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent


def ship(run: Path, children: tuple[str, ...] | None, n: int | None, root: Path = ROOT) -> Path:
    """Writes the three files; returns the path of the weights."""
    model = zoo.load_model(run)
    weights = zoo.FILES / f"{model.name}-{model.preset}.safetensors"
    write_weights(model, weights, half=True, children=children)
    hashes_file = zoo.FILES / "SHA256.json"
    hashes = json.loads(hashes_file.read_text()) if hashes_file.exists() else {}
    write_json(hashes_file, dict(sorted({**hashes, weights.name: sha256(weights)}.items())))
    measured = {
        item.name: item.as_json()
        for item in evaluate(zoo.load_model(weights), n)  # what is shipped is what is measured
    }
    manifest = read_json(run / "manifest.json")
    manifest |= {
        "weights": weights.name,
        "weights_bytes": weights.stat().st_size,
        "weights_sha256": sha256(weights),
        "shipped_with": f"python tools/{command_line()}",
        "metrics": measured,
    }
    write_json(root / "results" / f"{model.name}-{model.preset}.json", manifest)
    return weights


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--children", nargs="+")
    parser.add_argument("--n", type=int, help="samples to measure; by default 2,000 clips or 1,000 of anything else")
    arguments = parser.parse_args()
    path = ship(arguments.run, tuple(arguments.children) if arguments.children else None, arguments.n)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
