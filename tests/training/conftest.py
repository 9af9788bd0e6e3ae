import hashlib
import json
from pathlib import Path

import pytest

from vidgen_lab import create_model, fit
from vidgen_lab.data import Ring
from vidgen_lab.training import read_log


class Runs:
    """Small real runs, and what is compared of two of them."""

    model_sizes = {"generator_widths": (8,), "discriminator_widths": (8,), "batch_size": 8}

    def gan(self, **overrides):
        """The GAN of the ring, with eight units a layer."""
        return create_model("gan", "ring", **{**self.model_sizes, **overrides})

    def fit(self, model, out=None, **options):
        return fit(model, out=out, **{"device": "cpu", "progress": False, **options})

    def points(self, length: int = 64):
        return Ring(length=length)

    def result(self, out: Path) -> dict:
        """All that must be equal when two runs are the same run: every tensor's bytes, every scalar, every record."""
        last = sorted((out / "checkpoints").glob("step-*"))[-1]
        files = [*last.glob("*.safetensors"), out / "model.safetensors"]
        state = json.loads((last / "state.json").read_text())
        return {
            "bytes": {f"{f.parent.name}/{f.name}": hashlib.sha256(f.read_bytes()).hexdigest() for f in files[:-1]},
            "model": hashlib.sha256(files[-1].read_bytes()).hexdigest(),
            "state": {k: v for k, v in state.items() if k not in ("cpu_seconds", "wall_seconds", "sha256")},
            "log": read_log(out / "log.jsonl"),
        }


@pytest.fixture(scope="session")
def runs() -> Runs:
    return Runs()
