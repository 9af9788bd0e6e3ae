"""The zoo: from a name to a model. One row for each model of the course."""

import copy
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vidgen_lab.core import ArgumentError, CheckpointError, Model, Recipe, read_weights, unknown
from vidgen_lab.core.config import from_json
from vidgen_lab.core.weights import load_tensors, sha256

FILES = Path(__file__).parent / "files"


@dataclass(frozen=True)
class Entry:
    """One row: what the model is and where it is taught."""

    name: str
    source: str  # module:class
    summary: str
    chapter: str  # page of the book
    paper: str  # bibliography key
    shipped: tuple[str, ...] = ()  # presets whose weights lie in vidgen_lab/zoo/files, the usual one first

    @property
    def model_class(self) -> type[Model]:
        module, _, cls = self.source.partition(":")
        return getattr(importlib.import_module(module), cls)

    @property
    def presets(self) -> tuple[str, ...]:
        return tuple(self.model_class.presets)

    def weights(self, preset: str | None = None) -> str:
        """Name of the shipped file of a preset; None: of the usual one. ArgumentError where nothing ships."""
        if not self.shipped:
            rows = [row.name for row in ENTRIES.values() if row.shipped]
            raise ArgumentError(
                f"{self.name} ships no weights; these do: {', '.join(rows)}. vidgen train {self.name} makes your own."
            )
        if preset not in (None, *self.shipped):
            raise unknown(f"shipped preset of {self.name}", preset, self.shipped)
        return f"{self.name}-{preset or self.shipped[0]}.safetensors"


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "gan",
            "vidgen_lab.models.gan:GAN",
            "an MLP generator against an MLP discriminator",
            "foundations/gan",
            "goodfellow2014gan",
            ("ci",),
        ),
        Entry(
            "dcgan",
            "vidgen_lab.models.dcgan:DCGAN",
            "convolutional generator and discriminator, by the guidelines that made image GANs train",
            "foundations/dcgan",
            "radford2016dcgan",
            ("cpu", "classes"),
        ),
        Entry(
            "vae",
            "vidgen_lab.models.vae:VAE",
            "a plain VAE: images from draws of a standard normal latent",
            "foundations/vqvae",
            "kingma2014vae",
        ),
        Entry(
            "vqvae",
            "vidgen_lab.models.vqvae:VQVAE",
            "a tokenizer: images, or clips frame by frame, to a grid of codes and back",
            "foundations/vqvae",
            "vandenoord2017vqvae",
            ("cpu",),
        ),
        Entry(
            "vqgan",
            "vidgen_lab.models.vqgan:VQGAN",
            "a VQ-VAE whose decoder must also fool a discriminator of patches",
            "foundations/vqvae",
            "esser2021vqgan",
        ),
        Entry(
            "vqvae-prior",
            "vidgen_lab.models.code_prior:CodePrior",
            "a causal transformer that writes the codes of a VQ-VAE, and so draws images",
            "foundations/vqvae",
            "vandenoord2017vqvae",
        ),
        Entry(
            "vqgan-prior",
            "vidgen_lab.models.code_prior:VQGANPrior",
            "the same transformer on the codes of a VQGAN",
            "foundations/vqvae",
            "esser2021vqgan",
        ),
        Entry(
            "c3dgan",
            "vidgen_lab.models.c3dgan:C3DGAN",
            "3-D convolutions in one stream, full or factorised into space and time",
            "video/conv3d",
            "vondrick2016vgan",
        ),
        Entry(
            "vgan",
            "vidgen_lab.models.vgan:VGAN",
            "3-D convolutions in two streams: a still background around a moving foreground",
            "video/conv3d",
            "vondrick2016vgan",
            ("cpu",),
        ),
        Entry(
            "tgan",
            "vidgen_lab.models.tgan:TGAN",
            "a temporal generator makes a latent for each frame, an image generator draws it; a clipped critic",
            "video/temporal",
            "saito2017tgan",
            ("cpu",),
        ),
        Entry(
            "mocogan",
            "vidgen_lab.models.mocogan:MoCoGAN",
            "a content code for the whole clip, a motion code for each frame, and clips of any length",
            "video/temporal",
            "tulyakov2018mocogan",
            ("cpu",),
        ),
        Entry(
            "tganv2",
            "vidgen_lab.models.tganv2:TGANv2",
            "levels of growing size and falling frame rate, trained together; sampled at any length",
            "video/temporal",
            "saito2020tganv2",
            ("cpu",),
        ),
        Entry(
            "tgan-ode",
            "vidgen_lab.models.latent_ode:TGANODE",
            "TGAN whose frame latents follow a differential equation: clips at any times",
            "video/continuous",
            "gordon2021latent",
        ),
        Entry(
            "tgan-sde",
            "vidgen_lab.models.latent_ode:TGANSDE",
            "the same with noise on the way: one start, many futures",
            "video/continuous",
            "gordon2021latent",
        ),
        Entry(
            "mocogan-ode",
            "vidgen_lab.models.latent_ode:MoCoGANODE",
            "MoCoGAN whose motion code follows a differential equation: clips at any times",
            "video/continuous",
            "gordon2021latent",
            ("cpu",),
        ),
        Entry(
            "mocogan-sde",
            "vidgen_lab.models.latent_ode:MoCoGANSDE",
            "the same with noise on the way: one start, many futures",
            "video/continuous",
            "gordon2021latent",
            ("cpu",),
        ),
        Entry(
            "tganv2-ode",
            "vidgen_lab.models.latent_ode:TGANv2ODE",
            "TGANv2 whose lowest maps follow a differential equation: clips at any times",
            "video/continuous",
            "gordon2021latent",
        ),
        Entry(
            "tganv2-sde",
            "vidgen_lab.models.latent_ode:TGANv2SDE",
            "the same with noise on the way: one start, many futures",
            "video/continuous",
            "gordon2021latent",
        ),
        Entry(
            "videogpt-tokenizer",
            "vidgen_lab.models.videogpt:VideoGPTTokenizer",
            "clips to boxes of codes over space and time and back, by 3-D convolutions and axial attention",
            "video/videogpt",
            "yan2021videogpt",
            ("cpu",),
        ),
        Entry(
            "videogpt",
            "vidgen_lab.models.videogpt:VideoGPT",
            "a causal transformer that writes boxes of codes: from labels, from given frames, or from nothing",
            "video/videogpt",
            "yan2021videogpt",
            ("cpu",),
        ),
        Entry(
            "fusion-tokenizer",
            "vidgen_lab.models.fusion:FusionTokenizer",
            "clips to codes and back, a moment of a few frames at a time",
            "video/fusion",
            "vandenoord2017vqvae",
            ("cpu",),
        ),
        Entry(
            "fusion",
            "vidgen_lab.models.fusion:Fusion",
            "a caption, given frames, or both, joined by attention, become a clip",
            "video/fusion",
            "mittal2017syncdraw",
            ("cpu",),
        ),
        Entry(
            "clip-mini",
            "vidgen_lab.models.clip_mini:ClipMini",
            "clips and captions as vectors that can be compared: retrieval, and a score of fit",
            "video/fusion",
            "radford2021clip",
            ("cpu",),
        ),
        Entry(
            "digits-2d",
            "vidgen_lab.models.digits2d:Digits2d",
            "a digit classifier; its class probabilities and features measure image generators",
            "appendix/how-good",
            "lecun1998gradient",
            ("ci",),
        ),
        Entry(
            "digits-3d",
            "vidgen_lab.models.digits3d:Digits3d",
            "reads moving digits; its labels and features measure clip generators",
            "appendix/how-good",
            "tran2018closer",
            ("cpu",),
        ),
    )
}


def list_models() -> Sequence[Entry]:
    """All rows, in the order of the course."""
    return tuple(ENTRIES.values())


def entry(name: str) -> Entry:
    """The row of that name. ArgumentError names the nearest for any other."""
    if name not in ENTRIES:
        raise unknown("model", name, ENTRIES, "vidgen list shows all")
    return ENTRIES[name]


def create_model(name: str, preset: str = "ci", seed: int = 0, **overrides: Any) -> Model:
    """A fresh model, initialised under its own seed (torch's global generator is left as it was).

    Args:
        name: a name in the zoo.
        preset: "paper", "gpu", "ci", ... as `vidgen list` shows.
        overrides: any field of the preset's config or recipe, for instance `latent_dim=32, batch_size=16`. For a model
            that stands on another (a prior on a tokenizer), also that one: `tokenizer="runs/vqvae"`, a run, a weights
            file or a model; else it is the one that the preset names, with the weights that ship with it.

    Under `with torch.device("meta"):` it is built without memory, for counting parameters.
    """
    row = entry(name)
    if preset not in row.presets:
        raise unknown(f"preset of {name}", preset, row.presets)
    cls = row.model_class
    chosen = cls.presets[preset]
    stages = {
        child: _stage(below, overrides.pop(child, None), chosen.stages.get(child, preset))
        for child, below in cls.stands_on.items()
    }
    chosen = chosen.override(**overrides)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = cls(chosen.config, chosen.recipe, **stages)
    model.preset = preset
    return model


def _stage(name: str, source: Path | str | Model | None, preset: str) -> Model:
    """The frozen model that another stands on: as given, or as shipped, or fresh (which `fit` will refuse)."""
    if source is None:
        row = entry(name)
        preset = preset if preset in row.presets else "ci"
        if preset in row.shipped and torch.get_default_device().type != "meta":
            return load_pretrained(name, preset)
        return create_model(name, preset)
    model = source if isinstance(source, Model) else load_model(source)
    if model.name != name:
        raise ArgumentError(f"{source} holds a {model.name}; this model stands on a {name}.")
    if model.ema is not None:  # stand on the averaged weights, the ones that are written
        model = copy.deepcopy(model)
        for key, tensor in model.averaged_tensors().items():
            tensor.data = model.ema[key].to(tensor.device)
        model.ema = None
    return model


def load_model(path: Path | str) -> Model:
    """The model in a weights file, or in a finished or unfinished run folder, ready to sample.

    A network that the file does not hold raises CheckpointError when it is called.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"no checkpoint at {path}. vidgen train NAME --out {path} makes one.")
    if path.is_dir():
        if not (path / "model.safetensors").exists():
            return _load_unfinished(path)
        path = path / "model.safetensors"
    weights = read_weights(path)
    model = _build(weights.description, path)
    held = {name.split(".")[0] for name in weights.tensors}
    for name, child in list(model.named_children()):
        if name not in held and any(True for _ in child.parameters()):
            setattr(model, name, _Absent(name, path))
    load_tensors(model, weights.tensors, path)
    return _as_trained(model)


def load_pretrained(name: str, preset: str | None = None) -> Model:
    """A model with the weights that ship with the package. The file's SHA-256 is checked first.

    Args:
        name: of the model.
        preset: where several ship; None: the usual one.

    Raises:
        ArgumentError: unknown name, or nothing is shipped for it.
        CheckpointError: the file is not the one that was shipped.
    """
    path = FILES / entry(name).weights(preset)
    if not path.exists() or sha256(path) != shipped_hash(name, preset):
        raise CheckpointError(
            f"{path} is missing or is not the file that was shipped (its SHA-256 differs). Reinstall the package."
        )
    return load_model(path)


def shipped_hash(name: str, preset: str | None = None) -> str:
    """SHA-256 that the shipped weights of a model must have. CheckpointError where the list is missing."""
    hashes = FILES / "SHA256.json"
    try:
        return json.loads(hashes.read_text())[entry(name).weights(preset)]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"cannot read {hashes} ({error}). Reinstall the package.") from error


def _build(description: dict[str, Any], path: Path) -> Model:
    """A model, and those it stands on, from the description that `path` holds."""
    for key in ("model", "preset", "config", "recipe", "stages"):
        if key not in description:
            raise CheckpointError(f"{path} has a damaged header: it lacks {key}. Use another copy.")
    cls = entry(description["model"]).model_class
    stages = {child: _build(below, path) for child, below in description["stages"].items()}
    try:
        config = from_json(type(next(iter(cls.presets.values())).config), description["config"])
        recipe = from_json(Recipe, description["recipe"]) if description["recipe"] else None
        model = cls(config, recipe, **stages)
    except (ArgumentError, TypeError) as error:
        raise CheckpointError(f"{path} was written by another version of {cls.name}: {error}") from error
    model.preset = description["preset"]
    return model


def _as_trained(model: Model) -> Model:
    """Marks a model, and those it stands on, as trained; in eval mode."""
    for part in model.modules():
        if isinstance(part, Model):
            part.trained = True
    return model.eval()


def _load_unfinished(run: Path) -> Model:
    """The last state of a run that has not ended yet."""
    from vidgen_lab.training.state import load_state, read_json, step_folders

    folders = step_folders(run)
    if not folders:
        raise CheckpointError(f"{run} holds neither model.safetensors nor a saved state.")
    model = _build(read_json(run / "run.json"), run)
    load_state(folders[-1], model)
    return _as_trained(model)


class _Absent(torch.nn.Module):
    """Stands where a weights file holds no network."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__()
        self._message = f"{path} holds no {name}: it was saved for sampling only. Train the model to get one."

    def forward(self, *args: Any) -> None:
        raise CheckpointError(self._message)
