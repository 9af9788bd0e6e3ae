"""Random numbers by counting: a number is a hash of (seed, split, item, field), so no state has to be carried.

An item of a data set made on the fly then depends on nothing but its own address, and a whole batch is drawn by a few
array operations. The mixing function is
the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
"""

from collections.abc import Sequence

import numpy as np

_STEP = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniforms(seed: int, split: str, indices: Sequence[int] | np.ndarray, fields: int) -> np.ndarray:
    """Uniform numbers in [0, 1), `(B, fields)` float64. Row b depends on (seed, split, indices[b]) alone."""
    key = np.array([seed % 2**64], np.uint64)
    for byte in split.encode():
        key = _mix(key + np.uint64(_STEP)) ^ np.uint64(byte)
    items = _mix(_mix(key) + np.uint64(_STEP) * np.asarray(indices).astype(np.uint64))  # (B,)
    columns = np.uint64(_STEP) * np.arange(1, fields + 1, dtype=np.uint64)
    bits = _mix(items[:, None] + columns)  # (B, fields)
    return (bits >> np.uint64(11)) * 2.0**-53


def check_indices(indices: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
    """The indices as int64 `(B,)`. Raises IndexError when one is outside 0..length-1."""
    rows = np.asarray(indices, dtype=np.int64).reshape(-1)
    if rows.size and (rows.min() < 0 or rows.max() >= length):
        raise IndexError(f"indices from {rows.min()} to {rows.max()}: this data set has items 0 to {length - 1}.")
    return rows


def permutation(seed: int, purpose: str, size: int) -> np.ndarray:
    """A shuffle of 0..size-1, int64 `(size,)`, that depends on its arguments alone."""
    return np.argsort(uniforms(seed, purpose, np.arange(size), 1)[:, 0], kind="stable")
