import json
import shutil

import pytest
import torch

from vidgen_lab import create_model, fit, list_models, load_model, load_pretrained, zoo
from vidgen_lab.core import ArgumentError, CheckpointError, Model, count_parameters, read_weights, write_weights
from vidgen_lab.core.model import describe
from vidgen_lab.core.weights import sha256, write_tensors

SMALL = {"generator_widths": (4,), "discriminator_widths": (4,), "batch_size": 8}


def gan(**overrides):
    return create_model("gan", "ring", **{**SMALL, **overrides})


def rng():
    return torch.Generator().manual_seed(0)


def same(first: Model, second: Model) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("row", list_models(), ids=lambda row: row.name)
def test_every_row_is_a_model_of_that_name_with_presets_that_build(row):
    assert row.model_class.name == row.name and "ci" in row.presets
    assert row.summary and row.chapter and row.paper
    for preset in row.presets:
        with torch.device("meta"):
            model = create_model(row.name, preset)
        assert model.preset == preset
        for child, count in count_parameters(model).items():  # a codebook of running means has buffers only
            assert count > 0 or any(True for _ in getattr(model, child).buffers()), child
        assert {p.device.type for p in model.parameters()} == {"meta"}


def test_the_seed_alone_decides_the_weights_and_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = gan(seed=5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert same(first, gan(seed=5)) and not same(first, gan(seed=6))


def test_overrides_reach_the_config_and_the_recipe():
    model = gan(latent_dim=7, steps=3)
    assert (model.config.latent_dim, model.recipe.steps, model.recipe.batch_size) == (7, 3, 8)


@pytest.mark.parametrize("ask", [create_model, load_pretrained, zoo.entry])
def test_an_unknown_model_is_refused_with_the_nearest(ask):
    with pytest.raises(ArgumentError, match='no model "digit-2d"; did you mean "digits-2d"\\? vidgen list shows all'):
        ask("digit-2d")


def test_an_unknown_preset_and_an_unknown_override_are_refused_with_the_nearest():
    with pytest.raises(ArgumentError, match='no preset of gan "rings"; did you mean "ring"'):
        create_model("gan", "rings")
    with pytest.raises(ArgumentError, match='no setting "latent_dims"; did you mean "latent_dim"'):
        create_model("gan", latent_dims=3)


# files and folders


def test_a_file_comes_back_as_the_same_model(tmp_path):
    model = gan(latent_dim=3, loss="hinge", steps=9)
    write_weights(model, tmp_path / "w.safetensors")
    loaded = load_model(tmp_path / "w.safetensors")
    assert same(model, loaded) and (loaded.config, loaded.recipe, loaded.preset) == (model.config, model.recipe, "ring")
    assert not loaded.training
    assert same(load_model(str(tmp_path / "w.safetensors")), model)


def test_a_finished_and_an_unfinished_run_sample_from_their_averaged_weights(tmp_path):
    model = gan(ema_decay=0.9)
    fit(model, out=tmp_path / "run", steps=4, save_every=2, device="cpu", progress=False)
    expected = model.sample(5, generator=rng())
    assert torch.equal(load_model(tmp_path / "run").sample(5, generator=rng()), expected)
    (tmp_path / "run" / "model.safetensors").unlink()
    unfinished = load_model(tmp_path / "run")
    assert torch.equal(unfinished.sample(5, generator=rng()), expected) and unfinished.preset == "ring"
    assert same(unfinished, model), "live weights are there too"


def test_a_generator_without_its_discriminator_samples_and_says_what_it_lacks(tmp_path):
    model, path = gan(), tmp_path / "g.safetensors"
    write_weights(model, path, children=("generator",))
    loaded = load_model(path)
    assert torch.equal(loaded.sample(3, generator=rng()), model.sample(3, generator=rng()))
    with pytest.raises(CheckpointError, match=f"{path} holds no discriminator: it was saved for sampling only"):
        loaded.discriminator(torch.zeros(1, 2))


def test_what_is_no_checkpoint_is_refused_with_its_path(tmp_path):
    with pytest.raises(CheckpointError, match=f"no checkpoint at {tmp_path}/none. vidgen train NAME --out"):
        load_model(tmp_path / "none")
    with pytest.raises(CheckpointError, match=f"{tmp_path} holds neither model.safetensors nor a saved state"):
        load_model(tmp_path)


def test_a_file_whose_header_and_tensors_disagree_is_refused(tmp_path):
    path, model = tmp_path / "w.safetensors", gan()

    def write(**changes):
        description = json.dumps({**describe(model), **changes})
        write_tensors(model.state_dict(), path, {"format": "vidgen_lab 1", "description": description})

    write()
    assert same(load_model(path), model)
    write(config={"latent_dim": 9, "shape": [2]})
    with pytest.raises(CheckpointError, match=f"{path} does not fit this gan: .*size mismatch"):
        load_model(path)
    write(config={"latent_width": 9})
    with pytest.raises(CheckpointError, match=f'{path} was written by another version of gan: no .*"latent_width"'):
        load_model(path)
    write(stages={"tokenizer": describe(model)})
    with pytest.raises(CheckpointError, match=f"{path} was written by another version of gan: .*tokenizer"):
        load_model(path)
    write(model="gann")
    with pytest.raises(ArgumentError, match='no model "gann"; did you mean "gan"'):
        load_model(path)
    write_tensors(model.state_dict(), path, {"format": "vidgen_lab 1", "description": '{"model": "gan"}'})
    with pytest.raises(CheckpointError, match=f"{path} has a damaged header: it lacks preset"):
        load_model(path)


# shipped weights


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped weights of our own, in place of the package's."""
    monkeypatch.setattr(zoo, "FILES", tmp_path)
    path = tmp_path / zoo.entry("gan").weights()
    write_weights(gan(), path, half=True, children=("generator",))
    (tmp_path / "SHA256.json").write_text(json.dumps({path.name: sha256(path)}))
    return path


def test_shipped_weights_load(shipped):
    expected = load_model(shipped).sample(3, generator=rng())
    assert torch.equal(load_pretrained("gan").sample(3, generator=rng()), expected)


def test_shipped_weights_with_one_byte_changed_are_refused_before_they_are_read(shipped):
    content = bytearray(shipped.read_bytes())
    content[-1] ^= 1
    shipped.write_bytes(content)
    read_weights(shipped)  # it would read
    with pytest.raises(CheckpointError, match=f"{shipped} is missing or is not the file that was shipped"):
        load_pretrained("gan")


def test_missing_shipped_files_are_told_and_not_a_traceback_of_open(shipped):
    shipped.rename(shipped.with_suffix(".gone"))
    with pytest.raises(CheckpointError, match="is missing or is not the file that was shipped.*Reinstall"):
        load_pretrained("gan")
    shutil.move(shipped.with_suffix(".gone"), shipped)
    (shipped.parent / "SHA256.json").unlink()
    with pytest.raises(CheckpointError, match="cannot read .*SHA256.json .*Reinstall"):
        load_pretrained("gan")


def test_a_model_that_ships_nothing_says_which_do(monkeypatch):
    row = zoo.entry("gan")
    monkeypatch.setitem(zoo.ENTRIES, "bare", zoo.Entry("bare", row.source, "", "", ""))
    with pytest.raises(ArgumentError, match="bare ships no weights; these do: gan, .*vidgen train bare makes your own"):
        load_pretrained("bare")


def test_a_preset_that_does_not_ship_says_which_do():
    with pytest.raises(ArgumentError, match='no shipped preset of gan "paper"; .*ci'):
        load_pretrained("gan", "paper")


def test_every_file_that_the_package_ships_is_in_its_list_and_whole():
    files = sorted(zoo.FILES.glob("*.safetensors"))
    hashes = json.loads((zoo.FILES / "SHA256.json").read_text())
    assert {file.name: sha256(file) for file in files} == hashes
    assert {row.weights(preset) for row in list_models() for preset in row.shipped} == set(hashes)
    assert all(file.stat().st_size <= 4_000_000 for file in files)
    for row in list_models():
        for preset in row.shipped:
            model = load_pretrained(row.name, preset)
            assert (model.name, model.preset) == (row.name, preset)
