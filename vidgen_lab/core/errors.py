"""Errors that say what was given, what is allowed, and what to do."""

import difflib
from collections.abc import Iterable


class VidgenError(Exception):
    """Base of every error that this package raises on purpose. The terminal shows its message without a traceback."""


class ArgumentError(VidgenError, ValueError):
    """An argument that cannot work: the message names it, what was given, what is allowed and the fix."""


class DataError(VidgenError):
    """Data that is missing, damaged, too short, or not what its checksum says."""


class CheckpointError(VidgenError):
    """A checkpoint that cannot be written or must not be read: the message names its path and the reason."""


class NonFiniteError(VidgenError):
    """Training met a NaN or an infinity. The last good state is kept."""


def unknown(kind: str, given: str, allowed: Iterable[str], more: str = "") -> ArgumentError:
    """An error for a name that does not exist, with the nearest that does.

    `unknown("model", "videogtp", ["videogpt", "gan"], "vidgen list shows all")` reads
    `no model "videogtp"; did you mean "videogpt"? vidgen list shows all`.
    """
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(names) or 'none'}."
    return ArgumentError(f'no {kind} "{given}"; {hint} {more}'.rstrip())
