"""A Jupyter kernel that fences itself in before it runs anything: python confined.py FOLDER MEMORY CONNECTION_FILE

It may write in FOLDER alone, read only Python and the system, and hold MEMORY bytes of data. The fence is Landlock, a
part of Linux since 5.13 that needs no privileges (https://docs.kernel.org/userspace-api/landlock.html); without it,
the limits hold and the fence is missing. Run as a file, and not imported: a kernel does not wait for the package.
"""

import ctypes
import os
import resource
import runpy
import sys
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # numbers of the system calls, the same on all processors
NO_NEW_PRIVILEGES = 38  # option of prctl
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14
EVERYTHING = (1 << 13) - 1  # what version 1 knows: the above but TRUNCATE, and making and removing what a folder holds
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc", "/proc", "/sys")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
FILE_BYTES = 100_000_000  # the largest file that may be written


class Ruleset(ctypes.Structure):
    _fields_ = [("handled", ctypes.c_uint64)]


class Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def landlock_version() -> int:
    """Of this system; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def fence(folder: Path) -> None:
    """From here on, this process and its children reach the files that they need, and no other. There is no way back.

    Raises OSError if the system has Landlock and refuses.
    """
    version = landlock_version()
    if not version:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    handled = EVERYTHING | (TRUNCATE if version >= 3 else 0)
    ruleset = Ruleset(handled)
    rules = libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0)
    package = Path(__file__).resolve().parent.parent
    read = READ_FILE | READ_DIR | EXECUTE
    allowed: list[tuple[str | Path, int]] = [
        (folder, handled),
        ("/dev/shm", handled),
        (package, read),
        (package.parent, READ_DIR),  # names only: Python looks for the package there
        *((path, read) for path in (*SYSTEM, sys.prefix, sys.base_prefix)),
        *((path, READ_FILE | WRITE_FILE) for path in DEVICES),
    ]
    for path, access in allowed:
        if os.path.exists(path):
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            beneath = Beneath(access, opened)
            _checked(libc.syscall(ADD_RULE, rules, 1, ctypes.byref(beneath), 0))
            os.close(opened)
    _checked(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(libc.syscall(RESTRICT_SELF, rules, 0))
    os.close(rules)


def _checked(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), "Landlock refused a rule")


def main() -> None:
    folder, memory, connection = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    fence(Path(folder))
    quick = ("--InteractiveShell.xmode=Plain", "--HistoryManager.enabled=False")
    sys.argv = ["ipykernel_launcher", "-f", connection, *quick]
    runpy.run_module("ipykernel_launcher", run_name="__main__")


if __name__ == "__main__":
    main()
