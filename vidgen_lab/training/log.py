"""What a run leaves to read: a progress bar, log.jsonl, TensorBoard scalars and pictures."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from vidgen_lab.core import CheckpointError, Model
from vidgen_lab.core.weights import disk_message, write_atomically

History = list[dict[str, float]]
"""One record a step: `step`, and `phase/term` for each term and each logged number."""


class RunLog:
    """Progress on screen; files too where `out` is given. Only the main process opens one, as a context.

    A file that cannot be written raises CheckpointError. A resumed run drops what was logged after the state that it
    starts from.
    """

    def __init__(self, out: Path | None, start: int, steps: int, title: str, progress: bool) -> None:
        self.history: History = []
        self._file = self._board = None
        self._hook, threading.excepthook = threading.excepthook, _without_disk_errors
        if out is not None:
            from torch.utils.tensorboard import SummaryWriter

            path = out / "log.jsonl"
            self.history = [record for record in read_log(path) if record["step"] < start] if start else []
            lines = "".join(json.dumps(record) + "\n" for record in self.history)
            write_atomically(path, lambda temporary: temporary.write_text(lines))
            try:
                self._file = open(path, "a", buffering=1)  # noqa: SIM115  closed in __exit__
                self._board = SummaryWriter(str(out / "tensorboard"), purge_step=start)
            except OSError as error:
                if self._file:
                    self._file.close()
                raise CheckpointError(disk_message(path, error)) from error
        self._bar = tqdm(
            total=steps,
            initial=start,
            desc=title,
            unit="step",
            disable=not progress,
            file=sys.stdout,
            dynamic_ncols=True,
        )

    def step(self, record: dict[str, float]) -> None:
        """Writes one step's record everywhere."""
        self.history.append(record)
        numbers = {key: value for key, value in record.items() if key != "step"}
        try:
            if self._file:
                self._file.write(json.dumps(record) + "\n")
            if self._board:
                for key, value in numbers.items():
                    self._board.add_scalar(key, value, int(record["step"]))
        except OSError as error:
            raise CheckpointError(disk_message(Path(self._file.name), error)) from error
        first = {key.split("/")[0]: key for key in reversed(numbers)}  # one term a phase: a terminal is narrow
        self._bar.set_postfix({name: f"{numbers[key]:.2f}" for name, key in reversed(first.items())}, refresh=False)
        self._bar.update()

    def samples(self, model: Model, step: int, out: Path | None) -> None:
        """A grid of 16 samples as a picture, for models that make images or clips."""
        if out is None or model.output not in ("image", "video"):
            return
        from vidgen_lab import viz

        generator = torch.Generator().manual_seed(0)
        samples = model.sample(16, condition=model.example_condition(16, generator), generator=generator).cpu()
        picture = viz.grid(samples, clip=True) if model.output == "image" else viz.filmstrip(samples, clip=True)
        viz.save(samples, out / "samples" / f"step-{step:08d}.png", clip=True)
        if self._board:
            self._board.add_image("samples", picture, step, dataformats="HWC")

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Flushes and closes everything. What goes wrong here does not hide the error that ended the run."""
        self._bar.close()
        for part in (self._file, self._board):
            try:
                if part:
                    part.close()
            except OSError as error:
                if kind is None:
                    raise CheckpointError(disk_message(Path(self._file.name), error)) from error
        threading.excepthook = self._hook


def _without_disk_errors(failed: threading.ExceptHookArgs) -> None:
    """TensorBoard writes in a thread, which would print a traceback before its OSError reaches us."""
    if not isinstance(failed.exc_value, OSError):
        threading.__excepthook__(failed)


def read_log(path: Path) -> History:
    """Records of a log.jsonl; a last line cut by a kill is left out."""
    records: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
    return records
