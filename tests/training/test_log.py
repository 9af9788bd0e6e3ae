import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vidgen_lab import create_model
from vidgen_lab.core import DataConfig
from vidgen_lab.training import read_log


def board(out):
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    return events


def test_the_log_file_tensorboard_and_the_returned_history_agree(runs, tmp_path):
    history = runs.fit(runs.gan(), tmp_path, data=runs.points(), steps=6)
    assert read_log(tmp_path / "log.jsonl") == history and [record["step"] for record in history] == list(range(6))
    events = board(tmp_path)
    assert set(events.Tags()["scalars"]) == set(history[0]) - {"step"}
    for event, record in zip(events.Scalars("discriminator/real"), history, strict=True):
        assert (event.step, event.value) == (record["step"], pytest.approx(record["discriminator/real"]))


def test_a_resumed_run_takes_back_what_was_logged_after_its_state(runs, tmp_path):
    def stop(step, model, record):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.fit(runs.gan(), tmp_path, data=runs.points(), steps=6, save_every=3, callback=stop)
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [0, 1, 2, 3, 4]
    history = runs.fit(runs.gan(), tmp_path, data=runs.points(), steps=6, save_every=3, resume=True)
    assert [record["step"] for record in history] == list(range(6))
    assert [event.step for event in board(tmp_path).Scalars("discriminator/real")] == list(range(6))


def test_a_last_line_cut_by_a_kill_is_left_out(tmp_path):
    lines = [json.dumps({"step": step, "x": 0.5}) for step in range(3)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines)[:-4])
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [0, 1]
    assert read_log(tmp_path / "none.jsonl") == []


def test_image_models_leave_a_grid_of_samples_at_each_state(runs, tmp_path):
    model = create_model("gan", "ci", shape=(1, 8, 8), data=DataConfig("digits", size=8), **runs.model_sizes)
    runs.fit(model, tmp_path, steps=4, save_every=2)
    assert sorted(f.name for f in (tmp_path / "samples").iterdir()) == ["step-00000002.png", "step-00000004.png"]
    assert [event.step for event in board(tmp_path).Images("samples")] == [2, 4]


def test_the_bar_shows_steps_and_losses_and_can_be_switched_off(runs, capsys):
    runs.fit(runs.gan(), data=runs.points(), steps=2, progress=True)
    shown = capsys.readouterr().out
    assert "gan/ring: 100%" in shown and "2/2" in shown and "discriminator=" in shown and "generator=" in shown
    runs.fit(runs.gan(), data=runs.points(), steps=2)
    assert capsys.readouterr().out == ""


def test_nothing_is_written_without_a_folder(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs.fit(runs.gan(), data=runs.points(), steps=2)
    assert not list(tmp_path.iterdir())
