"""SIGKILL, at no moment of the program's choosing, then --resume: the run ends as if it had never been touched."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidgen_lab.cli import main
from vidgen_lab.training.state import step_folders

REPOSITORY = Path(__file__).resolve().parents[2]

# What is trained, and when it is killed. None would end by itself in hours: the length is chosen when it is resumed.
COMMANDS = {
    "in the middle": (
        "gan --preset ring --ema-decay 0.99 --critic-steps 2 --save-every 20",
        lambda out: (out / "checkpoints" / "step-00000040").exists(),
    ),
    "before anything was saved": (
        "gan --preset ring --ema-decay 0.99 --critic-steps 2 --save-every 1000000",
        lambda out: (out / "log.jsonl").exists() and (out / "log.jsonl").stat().st_size > 2000,
    ),
    "with dropout and a worker": (
        "digits-2d --width 4 --features 16 --batch-size 16 --optimizers.main.schedule constant --workers 1 "
        "--save-every 20",
        lambda out: (out / "checkpoints" / "step-00000040").exists(),
    ),
}


def arguments(command: str, out: Path, steps: int) -> list[str]:
    return ["train", *command.split(), "--out", str(out), "--steps", str(steps), "--device", "cpu", "--no-progress"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> dict[str, Path]:
    """Each command, run in a process of its own and killed there; all at once, since starting is what takes long."""
    folders = {name: tmp_path_factory.mktemp("killed") / "run" for name in COMMANDS}
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", "vidgen_lab", *arguments(command, folders[name], 1_000_000)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, (command, _) in COMMANDS.items()
    }
    waiting, give_up = set(COMMANDS), time.monotonic() + 120
    try:
        while waiting:
            assert time.monotonic() < give_up, f"not reached in two minutes: {waiting}"
            for name in list(waiting):
                process, reached = processes[name], COMMANDS[name][1]
                if reached(folders[name]):
                    process.kill()
                    process.wait()
                    waiting.remove(name)
                else:
                    assert process.poll() is None, process.stdout.read()
            time.sleep(0.01)
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    assert {process.returncode for process in processes.values()} == {-signal.SIGKILL}
    return folders


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_and_resumed_run_is_the_uninterrupted_run_bit_for_bit(runs, killed, tmp_path, name):
    command, _ = COMMANDS[name]
    out = shutil.copytree(killed[name], tmp_path / "run")
    states = step_folders(out)
    assert bool(states) == (name != "before anything was saved")
    steps = int(states[-1].name.removeprefix("step-")) + 30 if states else 30

    assert main([*arguments(command, out, steps), "--resume"]) == 0
    assert main(arguments(command, tmp_path / "whole", steps)) == 0
    resumed, whole = runs.result(out), runs.result(tmp_path / "whole")
    assert {f.split("/")[1] for f in whole["bytes"]} == {
        "model.safetensors", "ema.safetensors", "optimizers.safetensors"
    }  # fmt: skip
    assert resumed == whole
    assert [record["step"] for record in resumed["log"]] == list(range(steps))
