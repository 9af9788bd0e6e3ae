"""A folder of media files and its index: every file is read in full once, and what was learnt is kept beside it.

The index is a JSON file, so that building the data set again costs nothing. A file whose size or time of change differs
from the index is read again.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from vidgen_lab.core.errors import DataError
from vidgen_lab.data.atomic import appears_whole
from vidgen_lab.data.pixels import Split, check_split

Info = dict[str, Any]


def split_folder(path: Path | str, split: Split | None) -> tuple[Path, bool]:
    """The folder that holds a split, and whether the split has still to be made within it.

    Where there is a `train` or a `test` folder inside, the split is that folder.
    """
    folder = Path(path)
    if split is None or not any((folder / name).is_dir() for name in ("train", "test")):
        return folder, split is not None and bool(check_split(split))
    if not (folder / check_split(split)).is_dir():
        raise DataError(f'{folder} has no folder "{split}", though it has the other. Add {folder / split}.')
    return folder / split, False


def index_folder(folder: Path, kind: str, suffixes: Collection[str], probe: Callable[[Path], Info]) -> dict[str, Info]:
    """What `probe` says of each file below `folder`, by relative name, sorted; `{"error": ...}` for those it refuses.

    `kind` is the plural that messages and the index's name use. Hidden files are left out. Raises DataError when there
    is no such folder or no such file in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of {kind}.")
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes and path.is_file()]
    files = {path.relative_to(folder).as_posix(): path for path in found if not path.name.startswith(".")}
    if not files:
        raise DataError(f"{folder}: holds no {kind}. Known endings: {', '.join(sorted(suffixes))}.")
    known, index = _load(folder, kind), {}
    stamps = {name: [path.stat().st_size, path.stat().st_mtime_ns] for name, path in files.items()}
    fresh = [name for name in files if known.get(name, {}).get("stamp") != stamps[name]]
    for name in tqdm(fresh, desc=f"reading {kind}", leave=False, disable=not fresh):
        try:
            info = probe(files[name])
        except DataError as error:
            info = {"error": str(error)}
        known[name] = {"stamp": stamps[name], "info": info}
    index = {name: known[name] for name in files}
    if fresh:
        _save(folder, kind, index)
    return {name: entry["info"] for name, entry in index.items()}


def report(folder: Path, kind: str, problems: dict[str, str], total: int, strict: bool) -> None:
    """Say which files are left out and why, in one warning; or raise DataError when `strict`, or when none is left."""
    if not problems:
        return
    reasons = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
    if len(problems) == total:
        raise DataError(f"{folder}: none of the {total} {kind} can be used. {reasons}")
    if strict:
        raise DataError(
            f"{folder}: {len(problems)} of {total} {kind} cannot be used. {reasons}. strict=False skips them."
        )
    warnings.warn(f"{folder}: skipped {len(problems)} of {total} {kind}. {reasons}", stacklevel=3)


def _places(folder: Path, kind: str) -> list[Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidgen_lab"
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return [folder / f".vidgen-{kind}.json", cache / f"{kind}-{key}.json"]


def _load(folder: Path, kind: str) -> dict[str, Info]:
    for place in _places(folder, kind):
        try:
            index = json.loads(place.read_text())
            if index["format"] == 1:
                return dict(index["files"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # none, or not ours: the files are read again
    return {}


def _save(folder: Path, kind: str, files: dict[str, Info]) -> None:
    beside, cache = _places(folder, kind)
    content = json.dumps({"format": 1, "files": files}).encode()
    try:
        with appears_whole(beside) as file:
            file.write(content)
        return
    except OSError as error:
        reason = error.strerror
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with appears_whole(cache) as file:
            file.write(content)
        warnings.warn(f"{folder} cannot be written ({reason}): its index of {kind} is kept in {cache}.", stacklevel=4)
    except OSError:
        warnings.warn(f"{folder} cannot be written ({reason}): its {kind} are read in full each time.", stacklevel=4)
