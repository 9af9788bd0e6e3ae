"""Runs a student's cells in a process of their own, with limits, and says for each what came of it."""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from vidgen_lab.core.errors import VidgenError
from vidgen_lab.teach import confined

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of tracebacks
SHOWN = 4_000  # characters kept of an output, a message or a traceback
PATIENCE = 5.0  # seconds for a cell to obey an interrupt
KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")  # of the environment


@dataclass(frozen=True)
class Limits:
    """What one notebook may use."""

    seconds: float = 60.0  # a cell
    memory_gb: float = 3.0  # of data; importing torch takes 0.8


@dataclass(frozen=True)
class Outcome:
    """What came of a cell."""

    status: Literal["ok", "error", "slow", "died"]
    name: str = ""  # class of the error
    message: str = ""
    trace: str = ""
    output: str = ""  # its beginning


class Kernel:
    """One kernel, in a folder that vanishes with it: `with Kernel(limits) as kernel: kernel.run("1 + 1")`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="vidgen-grade-"))
        memory = str(int(self.limits.memory_gb * 2**30))
        argv = [sys.executable, "-P", confined.__file__, str(self.folder), memory, "{connection_file}"]
        self.manager = KernelManager(
            kernel_spec_manager=_OneSpec(argv), connection_file=str(self.folder / "kernel.json"), ip="127.0.0.1"
        )
        home = dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR"), str(self.folder))
        self.manager.start_kernel(
            cwd=str(self.folder),
            env={
                **{key: os.environ[key] for key in KEPT if key in os.environ},
                **home,
                **{"OMP_NUM_THREADS": "1", "VIDGEN_PRESET": "ci", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"},
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=60)
        except BaseException as error:
            self._close()
            if isinstance(error, RuntimeError):  # of jupyter_client: it died, or never answered
                raise VidgenError(f"No kernel starts in {self.limits.memory_gb:g} GB: {error}") from error
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    @property
    def alive(self) -> bool:
        return self.manager.is_alive()

    def run(self, source: str) -> Outcome:
        """Runs one cell. Never raises for what the cell does; the kernel may be dead afterwards."""
        sent = self.client.execute(source, store_history=False, allow_stdin=False, stop_on_error=False)
        deadline, output = time.monotonic() + self.limits.seconds, _Output(sent)
        while True:
            reply = self._reply(sent, 0.05)
            self._read(output)
            if reply is not None:
                if any(part.get("source") == "ask_exit" for part in reply["content"].get("payload", [])):
                    self._kill()
                    return Outcome("died", output=output.text)
                return _outcome(reply["content"], output.text)
            if not self.alive:
                return Outcome("died", output=output.text)
            if time.monotonic() > deadline:
                self._interrupt(sent)
                return Outcome("slow", output=output.text)

    def _reply(self, sent: str, seconds: float) -> dict[str, Any] | None:
        with suppress(queue.Empty):
            reply = self.client.get_shell_msg(timeout=seconds)
            if reply["parent_header"].get("msg_id") == sent:
                return reply
        return None

    def _read(self, output: "_Output") -> None:
        with suppress(queue.Empty):
            while True:
                output.add(self.client.get_iopub_msg(timeout=0))

    def _interrupt(self, sent: str) -> None:
        """Stops the cell as the stop button does; a cell that does not stop takes its kernel with it."""
        self.manager.interrupt_kernel()
        until = time.monotonic() + PATIENCE
        while self.alive and time.monotonic() < until:
            if self._reply(sent, 0.1):
                return
        self._kill()

    def _kill(self) -> None:
        """The kernel and every process that it started in its group."""
        process = getattr(self.manager.provisioner, "process", None)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _close(self) -> None:
        self.client.stop_channels()
        self._kill()
        self.manager.cleanup_resources()
        shutil.rmtree(self.folder, ignore_errors=True)


class _OneSpec(KernelSpecManager):
    """Knows one kernel: ours."""

    def __init__(self, argv: list[str]) -> None:
        super().__init__()
        self._argv = argv

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(argv=self._argv, display_name="graded", language="python")


class _Output:
    """The beginning of what a cell prints; the rest is let go."""

    def __init__(self, sent: str) -> None:
        self.sent, self.text = sent, ""

    def add(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == self.sent:
            self.text = (self.text + message["content"]["text"][:SHOWN])[:SHOWN]


def _outcome(reply: dict[str, Any], output: str) -> Outcome:
    if reply["status"] == "ok":
        return Outcome("ok", output=output)
    trace = COLOUR.sub("", "\n".join(line[:SHOWN] for line in reply.get("traceback", [])))
    return Outcome(
        "error",
        reply.get("ename", reply["status"]),
        COLOUR.sub("", reply.get("evalue", "")[:SHOWN]),
        trace[-SHOWN:],
        output,
    )
