"""A model's sampling path as ONNX, for any program that runs ONNX: a browser, a phone, another language.

`export(model, out)` writes one `.onnx` file for each graph of the model and a card, a JSON file that says what each
graph takes and gives. Loops that grow, such as the steps of a solver, stay outside: a graph is what the loop repeats.
The live figures of the book are made this way.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidgen_lab.core import ArgumentError, Model
from vidgen_lab.core.config import to_json
from vidgen_lab.core.weights import write_atomically
from vidgen_lab.export.bits import rounded
from vidgen_lab.export.clips import mocogan, mocogan_ode, mocogan_sde, vgan
from vidgen_lab.export.codes import fusion, videogpt
from vidgen_lab.export.files import OPSET, onnx_bytes
from vidgen_lab.export.graph import Graph, Port
from vidgen_lab.export.images import dcgan, gan, vqvae

__all__ = ["GRAPHS", "OPSET", "Graph", "Port", "export", "graphs", "onnx_bytes", "rounded"]

GRAPHS: dict[str, Callable[[Any], dict[str, Graph]]] = {
    "gan": gan,
    "dcgan": dcgan,
    "vqvae": vqvae,
    "vgan": vgan,
    "mocogan": mocogan,
    "mocogan-ode": mocogan_ode,
    "mocogan-sde": mocogan_sde,
    "videogpt": videogpt,
    "fusion": fusion,
}


def graphs(model: Model) -> dict[str, Graph]:
    """The graphs of a model's sampling path, by name. ArgumentError where there are none."""
    if model.name not in GRAPHS:
        raise ArgumentError(
            f"{model.name} cannot be exported; these can: {', '.join(GRAPHS)}. For samples: vidgen sample {model.name}"
        )
    return GRAPHS[model.name](model)


def export(model: Model, out: Path | str, weights_sha256: str, bits: int = 16) -> Path:
    """Writes a model's graphs, `NAME-PRESET-GRAPH.onnx`, and their card, `NAME-PRESET.json`. Returns the card's path.

    Weights are stored as fp16 and computed with as float32. The files hold no traces of the machine that wrote them.

    Args:
        model: with the weights to export.
        out: a folder; it is made where it is missing.
        weights_sha256: of the weights file that the model was loaded from, for the card; a manifest states the same.
        bits: 16, or 8 for about half the size: large weights are then rounded, and the graphs give what
            `rounded(model)` gives.

    Raises:
        ArgumentError: the model has no graphs, bits are not 16 or 8, or a package is missing.
        CheckpointError: `out` cannot be written.
    """
    if bits not in (8, 16):
        raise ArgumentError(f"bits={bits}: weights are stored in 16 bits, or rounded to 8.")
    out, stem = Path(out), f"{model.name}-{model.preset}"
    model = rounded(model) if bits == 8 else model
    card: dict[str, Any] = {
        "model": model.name,
        "preset": model.preset,
        "weights_sha256": weights_sha256,
        "opset": OPSET,
        "bits": bits,
        "config": to_json(model.config),
        "graphs": {},
    }
    for name, graph in graphs(model).items():
        content = onnx_bytes(model, graph, bits)
        path = out / f"{stem}-{name}.onnx"
        write_atomically(path, lambda part, content=content: part.write_bytes(content))
        card["graphs"][name] = {
            "file": path.name,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "inputs": {key: port.as_json() for key, port in graph.inputs.items()},
            "outputs": {key: port.as_json() for key, port in graph.outputs.items()},
        }
    text = json.dumps(card, indent=1) + "\n"
    write_atomically(out / f"{stem}.json", lambda part: part.write_text(text))
    return out / f"{stem}.json"
