"""The terminal, end to end. Most of it in this process; two real processes show the exit code and a clean screen."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from vidgen_lab import metrics, zoo
from vidgen_lab.cli import main
from vidgen_lab.core import Model, Preset, Recipe, read_weights, write_weights
from vidgen_lab.core.weights import sha256

REPOSITORY = Path(__file__).resolve().parents[1]
RING = ["gan", "--preset", "ring"]
QUIET = ["--device", "cpu", "--no-progress"]


@pytest.fixture
def vidgen(capsys):
    """Runs one command here: its exit code, what it printed, and what it complained of."""

    def run(*words) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words])
        except SystemExit as left:  # tyro leaves this way
            code = left.code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def ring(tmp_path_factory) -> Path:
    """A finished run on ring points, made by the terminal."""
    out = tmp_path_factory.mktemp("cli") / "ring"
    sizes = ["--latent-dim", "4", "--generator-widths", "8", "8", "--optimizers.generator.lr", "3e-3"]
    assert main(["train", *RING, *sizes, "--steps", "20", "--seed", "7", "--out", str(out), *QUIET]) == 0
    return out


# list


def test_list_shows_every_model_with_its_presets(vidgen):
    code, out, _ = vidgen("list")
    assert code == 0
    for row in zoo.list_models():
        assert any(line.startswith(row.name) and ", ".join(row.presets) in line for line in out.splitlines())


def test_list_with_a_name_counts_the_networks_of_each_preset(vidgen):
    code, out, _ = vidgen("list", "gan")
    assert code == 0 and "book/foundations/gan.md" in out
    assert "paper    generator 1,486,352, discriminator 533,505" in out


def test_no_command_shows_the_commands(vidgen):
    for words in ((), ("--help",), ("-h",)):
        code, out, _ = vidgen(*words)
        assert code == 0 and all(f"vidgen {name}" in out for name in ("list", "train", "sample", "evaluate"))


# train


def test_train_leaves_a_run_whose_manifest_says_what_it_was(ring):
    manifest = json.loads((ring / "manifest.json").read_text())
    assert (manifest["model"], manifest["preset"], manifest["seed"], manifest["steps"]) == ("gan", "ring", 7, 20)
    overrides = manifest["overrides"]
    assert overrides.keys() == {"latent_dim", "generator_widths", "steps", "optimizers"}
    assert overrides["latent_dim"] == 4 and overrides["optimizers"]["generator"]["lr"] == 3e-3
    assert manifest["weights_sha256"] == sha256(ring / "model.safetensors")
    assert manifest["processes"] == 1 and torch.__version__.startswith(manifest["versions"]["torch"])
    assert {"cpu_seconds", "wall_seconds", "peak_memory_mb", "threads", "device", "date", "command"} <= manifest.keys()
    assert read_weights(ring / "model.safetensors").tensors["generator.layers.0.weight"].shape == (8, 4)


def test_help_of_train_shows_the_defaults_of_the_chosen_preset(vidgen):
    presets = zoo.entry("gan").model_class.presets
    assert presets["ring"].recipe.batch_size != presets["ci"].recipe.batch_size
    for name, preset in presets.items():
        for words in (["--preset", name, "--help"], [f"--preset={name}", "-h"]):
            code, out, _ = vidgen("train", "gan", *words)
            text = " ".join(out.replace("│", " ").split())
            assert code == 0 and "--batch-size INT rows of the whole batch, over all processes" in text
            assert (
                f"(default: {preset.recipe.batch_size})" in text
                and f"--steps INT (default: {preset.recipe.steps})" in text
            )
            assert f"--latent-dim INT (default: {preset.config.latent_dim})" in text
    code, out, _ = vidgen("train", "gan", "--help")
    assert f"--steps INT (default: {presets['ci'].recipe.steps})" in " ".join(out.replace("│", " ").split())
    assert vidgen("train", "--help")[0] == 0


def test_a_second_run_into_the_folder_is_refused_and_resume_takes_no_value(vidgen, ring):
    same = [
        *RING,
        "--latent-dim",
        "4",
        "--generator-widths",
        "8",
        "8",
        "--optimizers.generator.lr",
        "3e-3",
        "--seed",
        "7",
    ]
    again = ["train", *same, "--steps", "20", "--out", ring, *QUIET]
    before = (ring / "model.safetensors").read_bytes()
    code, _, err = vidgen(*again)
    assert code == 2 and err.startswith(f"vidgen: {ring} already holds a run (step-00000020). Add --resume")
    assert vidgen(*again, "--resume")[0] == 0 and (ring / "model.safetensors").read_bytes() == before
    code, _, err = vidgen("train", *RING, "--steps", "20", "--out", ring, "--resume", *QUIET)
    assert code == 2 and "config.latent_dim=4, not 2" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], 'no command "trian"; did you mean "train"? vidgen --help shows all'),
        (["train"], "vidgen train needs the name of a model first: vidgen train gan. vidgen list shows all."),
        (["train", "--out", "x"], "vidgen train needs the name of a model first"),
        (["train", "gann"], 'no model "gann"; did you mean "gan"? vidgen list shows all'),
        (["list", "gann"], 'no model "gann"; did you mean "gan"?'),
        (["train", "gan", "--preset", "rign"], 'no preset of gan "rign"; did you mean "ring"?'),
        (["train", "gan", "--preset"], 'no preset of gan ""; there are: '),
        (["train", *RING], "--out PATH"),
        (["train", *RING, "--out", "x", "--stpes", "3"], "Unrecognized options: --stpes"),
        (["train", *RING, "--out", "x", "--steps", "few"], "Error parsing --steps"),
        (["train", *RING, "--out", "x", "--steps", "0"], "steps=0: must be 1 or more"),
        (["train", *RING, "--out", "x", "--loss", "hnge"], "--loss"),
        (["train", *RING, "--out", "x", "--critic-steps", "0"], "critic_steps=0"),
        (
            ["train", *RING, "--out", "x", "--optimizers.generator.lr", "-1"],
            "lr=-1.0: the learning rate must be above 0",
        ),
        (["train", *RING, "--out", "x", "--batch-size", "9", "--accumulate", "2"], "Nearest: batch_size=8"),
        (["train", *RING, "--out", "x", "--save-every", "0"], "save_every=0: must be 1 step or more"),
        (["train", *RING, "--out", "x", "--device", "tpu"], 'device="tpu": use "cpu"'),
        (["train", *RING, "--out", "x", "--init-from", "none"], "no file none"),
        (["sample", "gan", "--checkpoint", "none"], "no checkpoint at none. vidgen train NAME --out none makes one"),
        (["sample", "gan", "--n", "0"], "n=0: ask for 1 sample or more"),
        (["sample", "gan", "--option", "temperature"], '"temperature": write key=value, such as temperature=0.9'),
        (["sample", "gan", "--option", "temperature=1"], 'no sampling option "temperature"'),
        (["sample", "gan", "--condition", "digit=3"], 'no condition "digit"'),
        (["sample", "gan", "--frames", "3"], "frames=3: gan makes a single image, not a clip"),
        (["sample", "gan", "--out", "samples.gif"], 'cannot be saved as ".gif"'),
        (["sample", "digits-2d"], "digits-2d makes no samples; it gives labels"),
    ],
)
def test_mistakes_get_a_message_and_exit_code_2(vidgen, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = vidgen(*words)
    assert code == 2 and message in " ".join((out + err).replace("│", " ").split())


def test_a_run_that_cannot_be_written_is_told_at_once(vidgen, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = vidgen("train", *RING, "--out", tmp_path / "file", *QUIET)
    assert (
        code == 2 and f"vidgen: cannot write {tmp_path}/file/checkpoints" in err and f"{tmp_path}/file is a file" in err
    )


def test_stopping_by_hand_says_how_to_go_on(vidgen, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vidgen_lab.training.log.RunLog.step", interrupt)
    code, _, err = vidgen("train", *RING, "--out", tmp_path / "run", *QUIET)
    assert code == 130 and "Add --resume to the same command" in err


def test_output_that_nobody_reads_to_the_end_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "vidgen_lab.cli", "train", "gan", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()  # before anything is written, as `| head -0` does
    assert process.stderr.read() == b"" and process.wait() == 0


# sample


def test_the_preset_is_that_of_shipped_weights_and_no_other(vidgen, ring, tmp_path):
    out = tmp_path / "samples.png"
    assert vidgen("sample", "gan", "--preset", "ci", "--n", 4, "--out", out)[0] == 0 and out.exists()
    code, _, err = vidgen("sample", "gan", "--preset", "paper", "--out", out)
    assert code == 2 and "paper" in err and "ci" in err
    code, _, err = vidgen("sample", "gan", "--preset", "ci", "--checkpoint", ring, "--out", out)
    assert code == 2 and "Leave one of them out" in err


def test_ring_samples_become_a_picture_or_a_tensor(vidgen, ring, tmp_path):
    code, out, _ = vidgen("sample", "gan", "--checkpoint", ring, "--n", "50", "--out", tmp_path / "deep" / "ring.png")
    assert code == 0 and "50 samples of gan, seed 0" in out
    assert Image.open(tmp_path / "deep" / "ring.png").width > 100
    for seed, name in ((3, "a"), (3, "b"), (4, "c")):
        file = tmp_path / f"{name}.safetensors"
        assert (
            vidgen("sample", "gan", "--checkpoint", ring / "model.safetensors", "--seed", seed, "--out", file)[0] == 0
        )
    a, b, c = (load_file(tmp_path / f"{name}.safetensors")["samples"] for name in "abc")
    assert a.shape == (64, 2) and torch.equal(a, b) and not torch.equal(a, c)


def test_without_a_checkpoint_the_shipped_weights_sample(vidgen, tmp_path):
    assert vidgen("sample", "gan", "--n", "9", "--out", tmp_path / "grid.png")[0] == 0
    width, height = Image.open(tmp_path / "grid.png").size
    assert width == height > 3 * 28


def test_a_checkpoint_of_another_model_is_refused(vidgen, ring):
    code, _, err = vidgen("sample", "digits-2d", "--checkpoint", ring)
    assert code == 2 and f"{ring} holds a gan, not a digits-2d. Say: vidgen sample gan" in err


@dataclass(frozen=True)
class ClipConfig:
    size: int = 8


class Clip(Model):
    """Grey clips, as bright as their digits say; enough to see what the terminal hands over."""

    name = "mini-clip"
    output = "video"
    conditions = ("digit", "caption")
    presets = {"ci": Preset(ClipConfig(), Recipe())}

    def __init__(self, config, recipe=None):
        super().__init__(config, recipe)
        self.generator = nn.Linear(1, 1)

    def _sample(self, n, frames, condition, generator, *, brightness: float = 0.1, mode: str = "plain"):
        level = torch.as_tensor(condition["digit"]).float().view(n, -1).sum(1) * brightness
        level = level + len(condition.get("caption", [""])[0]) + (100 if mode == "loud" else 0)
        fading = 1 - torch.arange(frames or 4).view(1, 1, -1, 1, 1) / 10  # (1, 1, T, 1, 1)
        return (level.view(n, 1, 1, 1, 1) * fading).tanh().expand(n, 1, -1, self.config.size, self.config.size)

    def example_condition(self, n, generator=None):
        return {"digit": torch.full((n,), 9)}


def test_conditions_options_and_length_reach_a_video_model(vidgen, tmp_path, monkeypatch):
    monkeypatch.setitem(zoo.ENTRIES, "mini-clip", zoo.Entry("mini-clip", f"{__name__}:Clip", "", "", ""))
    write_weights(zoo.create_model("mini-clip"), tmp_path / "w.safetensors")

    def level(*words):
        out = tmp_path / "s.safetensors"
        code, _, err = vidgen(
            "sample", "mini-clip", "--checkpoint", tmp_path / "w.safetensors", "--n", 3, "--out", out, *words
        )
        assert code == 0, err
        samples = load_file(out)["samples"]
        assert samples.shape[:2] == (3, 1)
        return samples[0, 0, 0].mean().atanh().item(), samples.shape[2]

    assert level() == (pytest.approx(0.9), 4), "the example condition"
    assert level("--condition", "digit=3") == (pytest.approx(0.3), 4)
    assert level("--condition", "digit=(3,5)", "--frames", 6) == (pytest.approx(0.8), 6), "two digits a clip"
    assert level("--condition", "digit=3", "--option", "brightness=0.5") == (pytest.approx(1.5), 4)
    assert level("--condition", "digit=0", "caption=ab")[0] == pytest.approx(2.0)
    assert level("--condition", "digit=0", "--option", "mode=loud", "brightness=0.2")[0] > 5
    for suffix in ("gif", "mp4", "png"):
        out = tmp_path / f"clip.{suffix}"
        assert vidgen("sample", "mini-clip", "--checkpoint", tmp_path / "w.safetensors", "--out", out)[0] == 0
        assert out.stat().st_size > 100
    assert Image.open(tmp_path / "clip.gif").n_frames == 4


# evaluate


def test_evaluate_measures_the_ring_and_adds_the_protocol_to_the_manifest(vidgen, ring, tmp_path):
    code, out, _ = vidgen("evaluate", "gan", "--checkpoint", ring, "--n", "500", "--json", tmp_path / "e.json")
    assert code == 0 and "modes covered" in out and "(real data: 8)" in out
    result, trained = json.loads((tmp_path / "e.json").read_text()), json.loads((ring / "manifest.json").read_text())
    assert {key: result[key] for key in trained} == trained
    covered = result["metrics"]["modes covered"]
    assert covered["real"] == 8 and covered["protocol"]["samples"] == 500 and covered["protocol"]["data"] == "ring"
    assert result["metrics"]["share near a mode"]["real"] > 0.99


def test_evaluate_measures_images_with_the_shipped_classifier(vidgen, tmp_path):
    code, out, _ = vidgen("evaluate", "gan", "--n", "160", "--json", tmp_path / "e.json")
    assert code == 0 and "IS-digits" in out
    result = json.loads((tmp_path / "e.json").read_text())
    assert result["weights_sha256"] == zoo.shipped_hash("gan")
    protocol = result["metrics"]["IS-digits"]["protocol"]
    assert protocol["network_sha256"] == zoo.shipped_hash("digits-2d") and protocol["samples"] == 160


def test_a_score_of_too_few_samples_is_refused(vidgen):
    code, _, err = vidgen("evaluate", "gan", "--n", "5")
    assert code == 2 and "n=5: too few samples" in err


def test_evaluate_measures_a_classifier_by_its_accuracy_on_held_out_digits(vidgen):
    code, out, _ = vidgen("evaluate", "digits-2d")
    assert code == 0 and float(out.split("accuracy")[1].split()[0]) > 0.9


def test_the_ladder_prints_and_writes_every_rung_with_the_floor(vidgen, tmp_path):
    code, out, _ = vidgen("evaluate", "--ladder", "--n", "300", "--frames", "8", "--json", tmp_path / "l.json")
    assert code == 0
    result = json.loads((tmp_path / "l.json").read_text())
    assert tuple(result["rungs"]) == metrics.ladder.RUNGS and all(name in out for name in metrics.ladder.RUNGS)
    assert result["floor"] == result["rungs"]["real clips"]["value"] and result["protocol"]["frames"] == 8
    assert result["rungs"]["blur"]["floors"] == pytest.approx(result["rungs"]["blur"]["value"] / result["floor"])


def test_an_unfinished_run_is_measured_but_gives_no_manifest(vidgen, ring, tmp_path):
    run = shutil.copytree(ring, tmp_path / "run")
    (run / "model.safetensors").unlink()
    (run / "manifest.json").unlink()
    code, _, err = vidgen("evaluate", "gan", "--checkpoint", run, "--n", "150")
    assert code == 0 and f"note: {run} has not finished" in err
    code, _, err = vidgen("evaluate", "gan", "--checkpoint", run, "--n", "150", "--json", tmp_path / "e.json")
    assert code == 2 and f"{run} has not finished" in err and not (tmp_path / "e.json").exists()


# bench


def test_bench_prints_and_writes_time_and_memory_with_their_protocol(vidgen, tmp_path):
    words = [*RING, "--steps", "3", "--n", "5", "--device", "cpu", "--json", tmp_path / "b.json"]
    code, out, _ = vidgen("bench", *words)
    assert code == 0 and "gan, preset ring, on " in out and "threads 1" in out
    result = json.loads((tmp_path / "b.json").read_text())
    assert (result["model"], result["preset"], result["threads"]) == ("gan", "ring", 1)
    assert result["protocol"]["steps"] == 3 and result["protocol"]["samples_a_draw"] == 5
    assert f"{1e3 * result['training']['cpu_seconds']['median']:.4g}" in out
    assert f"{result['memory']['sampling_mb']:.0f} MB" in out
    assert {"command", "versions", "device", "data", "sampling"} <= result.keys()


def test_bench_measures_the_preset_that_is_asked_for(vidgen):
    code, out, _ = vidgen("bench", "digits-3d", "--preset", "ci", "--steps", "1", "--device", "cpu")
    assert code == 0 and "digits-3d, preset ci" in out and "drawing samples" not in out
    code, _, err = vidgen("bench", "gan", "--preset", "rign")
    assert code == 2 and 'no preset of gan "rign"; did you mean "ring"?' in err
    code, _, err = vidgen("bench", *RING, "--steps", "0")
    assert code == 2 and "steps=0: give 1 or more" in err


def test_a_model_that_makes_no_clips_gets_no_row_of_the_leaderboard(vidgen, tmp_path):
    for words in (["--board", "gan"], ["gan", "--board"]):
        code, _, err = vidgen("bench", *words, "--out", tmp_path / "board")
        assert code == 2 and "gan makes no clips (image), and the leaderboard compares clips" in err
    assert not list(tmp_path.iterdir())


# real processes


def test_a_process_of_its_own_lists_and_a_diverging_one_leaves_a_message_and_a_code(tmp_path):
    diverging = [*RING, "--steps", "500", "--save-every", "1", "--optimizers.generator.lr", "1e30"]
    commands = [["list"], ["train", *diverging, "--out", str(tmp_path / "run"), *QUIET]]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "vidgen_lab", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    (listed, no_error), (_, error) = (process.communicate(timeout=120) for process in started)
    assert started[0].returncode == 0 and listed.startswith("gan ") and no_error == ""
    assert started[1].returncode == 2 and "Traceback" not in error
    assert error.startswith("vidgen: step ") and " is nan; stopped before the " in error or " is inf; " in error
    assert "The last good state is" in error or "No state had been saved" in error
    assert not (tmp_path / "run" / "model.safetensors").exists()
    if list((tmp_path / "run" / "checkpoints").iterdir()):
        assert zoo.load_model(tmp_path / "run").name == "gan"
