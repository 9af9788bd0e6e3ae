"""Folders that cannot be written and disks that fill up: told plainly, before training where it can be known."""

import contextlib
import os
import resource
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from vidgen_lab.core import CheckpointError
from vidgen_lab.training import read_log
from vidgen_lab.zoo import load_model


@contextlib.contextmanager
def mounted(folder: Path, options: str = "size=2m"):
    """A disk of 2 MB at `folder`. Skips where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all room of the disk but `leave` bytes."""
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return disk / "filler"


def never(step, model, record):
    raise AssertionError("training began although the folder cannot be written")


def test_a_folder_that_cannot_be_made_is_found_out_before_training(runs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=f"cannot write {tmp_path}/file/run/.*Not a directory.*is a file"):
        runs.fit(runs.gan(), tmp_path / "file" / "run", callback=never)
    with pytest.raises(CheckpointError, match="cannot write /proc/run/.*choose another folder"):
        runs.fit(runs.gan(), "/proc/run", callback=never)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").touch()
    with pytest.raises(CheckpointError, match="cannot write .*/checkpoints"):
        runs.fit(runs.gan(), tmp_path / "run", callback=never)


def test_a_read_only_disk_is_found_out_before_training(runs, tmp_path):
    refused = pytest.raises(CheckpointError, match="cannot write .*Read-only file system")
    with mounted(tmp_path / "disk", "size=2m,ro") as disk, refused:
        runs.fit(runs.gan(), disk / "run", callback=never)


def test_a_folder_of_someone_else_is_found_out_before_training(runs, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the read-only disk is tested instead")
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="cannot write .*Permission denied"):
        runs.fit(runs.gan(), tmp_path / "run", callback=never)


def test_a_full_disk_is_found_out_before_training(runs, tmp_path, capfd):
    with mounted(tmp_path / "disk") as disk:
        fill(disk, leave=0)
        with pytest.raises(CheckpointError, match=rf"cannot write {disk}/run/.*No space left.*has 0 MB free"):
            runs.fit(runs.gan(), disk / "run", callback=never)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_wherever_the_disk_fills_up_there_is_one_error_and_no_traceback_of_a_thread(runs, tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: printed.append(failed.exc_value))
    with mounted(tmp_path / "disk") as disk:
        for pages in range(8):
            fill(disk, leave=4096 * pages)
            with pytest.raises(CheckpointError, match=rf"cannot write {disk}/{pages}/.*No space left"):
                runs.fit(runs.gan(), disk / str(pages), steps=200, save_every=200)
            (disk / "filler").unlink()
            shutil.rmtree(disk / str(pages), ignore_errors=True)
    assert printed == []


def test_a_disk_that_fills_up_keeps_the_last_good_state_and_the_run_goes_on_when_there_is_room(runs, tmp_path):
    options = {"steps": 12, "save_every": 3}
    model = {"discriminator_widths": (100, 100)}  # a state takes 130 kB
    runs.fit(runs.gan(**model), tmp_path / "whole", **options)
    with mounted(tmp_path / "disk") as disk:

        def another_program(step, model, record):
            if step == 7:
                fill(disk, leave=60_000)

        with pytest.raises(CheckpointError, match=rf"cannot write {disk}/run/.*step-00000009: .*No space left"):
            runs.fit(runs.gan(**model), disk / "run", callback=another_program, **options)
        assert not list(disk.rglob(".writing-*")), "something half-written was left"
        assert load_model(disk / "run").sample(2).shape == (2, 2)
        (disk / "filler").unlink()
        runs.fit(runs.gan(**model), disk / "run", resume=True, **options)
        assert runs.result(disk / "run") == runs.result(tmp_path / "whole")


def test_a_log_that_meets_the_full_disk_says_so_and_nothing_else(runs, tmp_path, capfd):
    hook = threading.excepthook
    with mounted(tmp_path / "disk") as disk:
        filler = fill(disk, leave=24_000)
        with pytest.raises(CheckpointError, match=rf"cannot write {disk}/run/log.jsonl: .*No space left"):
            runs.fit(runs.gan(), disk / "run", steps=300, save_every=300)
        steps = [record["step"] for record in read_log(disk / "run" / "log.jsonl")]
        assert steps and steps == list(range(len(steps)))
        filler.unlink()
        runs.fit(runs.gan(), disk / "run", steps=20, save_every=20, resume=True)
        assert [record["step"] for record in read_log(disk / "run" / "log.jsonl")] == list(range(20))
    assert "Traceback" not in "".join(capfd.readouterr()) and threading.excepthook is hook


def test_a_state_larger_than_a_file_may_be_is_refused_and_leaves_nothing(runs, tmp_path):
    model = runs.gan(discriminator_widths=(300, 300))  # 370 kB
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot write .*step-00000002: .*(too large|os error 27)"):
            runs.fit(model, tmp_path / "run", steps=4, save_every=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
