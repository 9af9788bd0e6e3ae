"""A run that was stopped and goes on is the run that was never stopped, and it cannot become another one."""

import json
import shutil

import pytest
import torch

from vidgen_lab.core import ArgumentError, CheckpointError, DataConfig, Optimizer
from vidgen_lab.zoo import load_model

STEPS, EVERY = 12, 4


class Stop(Exception):
    pass


def stop_after(steps):
    def callback(step, model, record):
        if step + 1 == steps:
            raise Stop

    return callback


def gan(runs, **overrides):
    """With everything that has a state: averaged weights, spectral norm's vectors, a critic's rhythm, a schedule."""
    linear = {name: Optimizer("adamw", lr=1e-2, schedule="linear") for name in ("generator", "discriminator")}
    return runs.gan(
        **{
            "ema_decay": 0.9,
            "spectral_norm": True,
            "critic_steps": 2,
            "optimizers": linear,
            "steps": STEPS,
            **overrides,
        }
    )


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory):
    """The result of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    runs.fit(gan(runs), out, save_every=EVERY)
    return runs.result(out)


@pytest.mark.parametrize("stopped_after", [2, 4, 7, 11])
def test_a_stopped_run_ends_with_the_same_bytes(runs, whole, tmp_path, stopped_after):
    with pytest.raises(Stop):
        runs.fit(gan(runs), tmp_path, save_every=EVERY, callback=stop_after(stopped_after))
    runs.fit(gan(runs, seed=99), tmp_path, save_every=EVERY, resume=True)  # other initial weights: all are restored
    if stopped_after <= EVERY:  # the callback comes before the state is saved
        assert runs.result(tmp_path) != whole, "nothing had been saved, so the other initial weights count"
    else:
        assert runs.result(tmp_path) == whole


def test_resume_with_nothing_there_starts_at_step_0(runs, whole, tmp_path):
    runs.fit(gan(runs), tmp_path, save_every=EVERY, resume=True)
    assert runs.result(tmp_path) == whole


def test_a_run_that_goes_on_longer_is_the_long_run_and_says_so(runs, tmp_path):
    constant = {"optimizers": {name: Optimizer() for name in ("generator", "discriminator")}}
    runs.fit(gan(runs, **constant), tmp_path / "long", steps=10, save_every=5)
    runs.fit(gan(runs, **constant), tmp_path / "short", steps=5, save_every=5)
    with pytest.raises(Stop):
        runs.fit(gan(runs, **constant), tmp_path / "short", steps=10, save_every=5, resume=True, callback=stop_after(7))
    assert not (tmp_path / "short" / "model.safetensors").exists(), "it would pass for the result of ten steps"
    assert load_model(tmp_path / "short").ema is not None
    runs.fit(gan(runs, **constant), tmp_path / "short", steps=10, save_every=5, resume=True)
    assert runs.result(tmp_path / "short") == runs.result(tmp_path / "long")
    manifest = json.loads((tmp_path / "short" / "manifest.json").read_text())
    assert manifest["steps"] == 10 and manifest["lengthened"] == [{"at": 5, "from": 5, "to": 10}]


def test_a_schedule_that_follows_the_length_warns_when_the_length_changes(runs, tmp_path):
    runs.fit(gan(runs), tmp_path, steps=4)
    with pytest.warns(UserWarning, match="was a run of 4 steps and goes on to 6. Its learning rates follow the length"):
        runs.fit(gan(runs), tmp_path, steps=6, resume=True)


def test_resuming_a_finished_run_changes_nothing(runs, whole, tmp_path):
    runs.fit(gan(runs), tmp_path, save_every=EVERY)
    history = runs.fit(gan(runs), tmp_path, save_every=EVERY, resume=True)
    assert runs.result(tmp_path) == whole and history == whole["log"]


def test_what_a_killed_writer_left_behind_is_removed(runs, whole, tmp_path):
    with pytest.raises(Stop):
        runs.fit(gan(runs), tmp_path, save_every=EVERY, callback=stop_after(6))
    for folder in (tmp_path, tmp_path / "checkpoints"):
        half = folder / ".writing-abc" / "step-00000008"
        half.mkdir(parents=True)
        (half / "model.safetensors").write_bytes(b"half")
    runs.fit(gan(runs), tmp_path, save_every=EVERY, resume=True)
    assert runs.result(tmp_path) == whole and not list(tmp_path.rglob(".writing-*"))


def test_only_the_last_two_states_stay(runs, tmp_path):
    runs.fit(gan(runs), tmp_path, save_every=3)
    assert sorted(f.name for f in (tmp_path / "checkpoints").iterdir()) == ["step-00000009", "step-00000012"]


def test_another_run_in_the_same_folder_is_refused_and_nothing_is_lost(runs, whole, tmp_path):
    runs.fit(gan(runs), tmp_path, save_every=EVERY)
    with pytest.raises(ArgumentError, match=r"already holds a run \(step-00000012\). Add --resume .* another --out"):
        runs.fit(gan(runs), tmp_path)
    assert runs.result(tmp_path) == whole
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(ArgumentError, match=r"already holds a run \(model.safetensors\)"):
        runs.fit(gan(runs), tmp_path)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"latent_dim": 3}, {}, "config.latent_dim=2, not 3"),
        ({"batch_size": 4}, {}, "recipe.batch_size=8, not 4"),
        ({"optimizers": {n: Optimizer("adamw", lr=2e-2) for n in ("generator", "discriminator")}}, {}, r"lr=0.01, not"),
        ({"precision": "bf16"}, {}, 'recipe.precision="no", not "bf16"'),
        ({"ema_decay": None}, {}, "recipe.ema_decay=0.9, not null"),
        ({}, {"seed": 1}, "seed=0, not 1"),
        ({}, {"data": DataConfig("ring", size=32)}, "recipe.data.size=28, not 32"),
        ({}, {"data": "points"}, 'data=null, not "Ring"'),
        ({}, {"steps": 3}, "is at step 4, beyond steps=3. Ask for more steps"),
    ],
)
def test_a_run_cannot_be_resumed_as_another_one(runs, tmp_path, change, options, message):
    with pytest.raises(Stop):
        runs.fit(gan(runs), tmp_path, save_every=EVERY, callback=stop_after(5))
    if options.get("data") == "points":
        options = {"data": runs.points()}
    with pytest.raises(ArgumentError, match=message):
        runs.fit(gan(runs, **change), tmp_path, resume=True, **options)


# damaged states

FILES = ["model.safetensors", "ema.safetensors", "optimizers.safetensors", "state.json"]


@pytest.fixture(scope="module")
def stopped(runs, tmp_path_factory):
    """A run with states after 4 and 8 of 12 steps."""
    out = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stop):
        runs.fit(gan(runs), out, save_every=EVERY, callback=stop_after(10))
    return out


@pytest.fixture
def run(stopped, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(stopped, tmp_path / "run")


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was loaded')",)


def damage(file, how):
    content = file.read_bytes()
    match how:
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case "one byte flipped":
            middle = len(content) // 2
            file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "missing":
            file.unlink()
        case "a pickle":
            torch.save(Bomb(), file)


@pytest.mark.parametrize("how", ["truncated", "one byte flipped", "missing", "a pickle"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_state_is_refused_with_its_path_and_what_to_do(runs, run, name, how):
    newest = run / "checkpoints" / "step-00000008"
    damage(newest / name, how)
    with pytest.raises(CheckpointError) as error:
        runs.fit(gan(runs), run, save_every=EVERY, resume=True)
    assert str(newest / name) in str(error.value)
    assert str(error.value).endswith(f"Delete {newest} to go on from an older state.")
    with pytest.raises(CheckpointError, match="step-00000008"):
        load_model(run)


def test_after_deleting_the_damaged_state_the_older_one_gives_the_same_run(runs, run, whole):
    newest = run / "checkpoints" / "step-00000008"
    damage(newest / "model.safetensors", "truncated")
    shutil.rmtree(newest)
    runs.fit(gan(runs), run, save_every=EVERY, resume=True)
    assert runs.result(run) == whole


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(step=6),
        lambda state: state["positions"][0].update(step=6),
        lambda state: state.update(best={"step": 4, "value": 0.0}),
        lambda state: state["files"].pop("ema.safetensors"),
        lambda state: state.pop("sha256"),
        lambda state: state.update(sha256="0" * 64),
    ],
)
def test_a_number_changed_in_state_json_is_noticed(runs, run, change):
    file = run / "checkpoints" / "step-00000008" / "state.json"
    state = json.loads(file.read_text())
    change(state)
    file.write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match=f"{file}.*Delete"):
        runs.fit(gan(runs), run, save_every=EVERY, resume=True)


def test_json_that_is_no_state_at_all_is_refused(runs, run):
    for content in ("[]", "null", "3", '{"sha256": 0}', ""):
        (run / "checkpoints" / "step-00000008" / "state.json").write_text(content)
        with pytest.raises(CheckpointError, match="state.json.*Delete"):
            load_model(run)


def test_a_state_of_another_model_is_refused(runs, run, tmp_path):
    runs.fit(gan(runs, generator_widths=(5,)), tmp_path / "other", steps=1)
    newest = run / "checkpoints" / "step-00000008"
    shutil.rmtree(newest)
    shutil.copytree(tmp_path / "other" / "checkpoints" / "step-00000001", newest)
    with pytest.raises(CheckpointError, match=f"{newest} does not fit this gan: .*size mismatch"):
        load_model(run)


def test_a_damaged_run_json_is_refused(runs, run):
    (run / "run.json").write_text('{"model": "gan", "pre')
    for read in (lambda: load_model(run), lambda: runs.fit(gan(runs), run, resume=True)):
        with pytest.raises(CheckpointError, match="cannot read .*run.json"):
            read()
