"""The terminal: vidgen list | train | sample | evaluate.

Every command has --help; that of train shows the defaults of the chosen preset."""

import ast
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from vidgen_lab import data, metrics, viz, zoo
from vidgen_lab.core import ArgumentError, Model, Recipe, VidgenError, unknown
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.core.weights import sha256, write_atomically, write_tensors
from vidgen_lab.training import fit


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. A mistake of the user's prints its message alone and gives exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(_overview())
            return 0
        if arguments[0] not in COMMANDS:
            raise unknown("command", arguments[0], COMMANDS, "vidgen --help shows all")
        COMMANDS[arguments[0]](arguments[1:])
        return 0
    except VidgenError as error:
        print(f"vidgen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vidgen: stopped. Add --resume to the same command to go on from the last saved state.", file=sys.stderr)
        return 130


def list_command(arguments: list[str]) -> None:
    """the models, their presets and where they are taught"""

    def command(name: tyro.conf.Positional[str] = "") -> None:
        if name:
            _describe(name)
            return
        for row in zoo.list_models():
            print(f"{row.name:14} {', '.join(row.presets):22} {row.summary}  (book/{row.chapter}.md)")

    _run(
        command,
        arguments,
        "vidgen list",
        "Models and their presets; with a name, that model's networks and parameters.",
    )


@dataclass
class TrainOptions:
    """Everything about a run that is no setting of the model."""

    out: Path  # folder of the run
    seed: int = 0  # of the weights, the data order and every draw
    save_every: int | None = None  # steps between saved states; None: a tenth of the run
    resume: bool = False  # go on from the last saved state in --out
    init_from: Path | None = None  # weights file or run to start from
    device: str | None = None  # "cpu"; None: the GPU where there is one
    workers: int = 0  # processes that prepare batches
    progress: bool = True  # show a progress bar


def train_command(arguments: list[str]) -> None:
    """trains a model: vidgen train gan --preset ci --out runs/gan"""
    name, preset, rest = _name_and_preset(arguments, "train")
    cls = zoo.entry(name).model_class
    chosen = cls.presets[preset]
    below_it = cls.stands_on.items()
    whole = make_dataclass(
        "Train",
        [
            ("run", Annotated[TrainOptions, tyro.conf.arg(name="")]),
            ("config", Annotated[type(chosen.config), tyro.conf.arg(name="")], field(default=chosen.config)),
            ("recipe", Annotated[Recipe, tyro.conf.arg(name="")], field(default=chosen.recipe)),
            *((child, Annotated[Path | None, _stage_help(below)], field(default=None)) for child, below in below_it),
        ],
    )
    options = _run(whole, rest, f"vidgen train {name} --preset {preset}", f"Trains {name}. {chosen.note}")
    stages = {child: getattr(options, child) for child, _ in below_it}
    settings = {**_fields(options.config), **_fields(options.recipe), **stages}
    model = zoo.create_model(name, preset, seed=options.run.seed, **settings)
    print(f"{name}, preset {preset}: {chosen.note} Writing to {options.run.out}.")
    fit(model, **_fields(options.run))
    show = "evaluate" if model.output == "labels" else "sample"
    print(f"Done. Next: vidgen {show} {name} --checkpoint {options.run.out}")


def _stage_help(name: str) -> Any:
    return tyro.conf.arg(help=f"run folder or weights file of the {name} that this model stands on; None: as shipped")


@dataclass
class SampleOptions:
    """Draws samples and writes them to a file."""

    checkpoint: Path | None = None  # run folder or weights file; None: the weights that ship with the package
    out: Path = Path("samples.png")  # .png, .gif, .mp4 or .safetensors
    n: int = 64  # how many
    seed: int = 0  # same seed, same samples
    frames: int | None = None  # length of clips; None: as trained
    fps: int = 8  # of .gif and .mp4
    condition: tuple[str, ...] = ()  # key=value for every sample, such as digit=3
    option: tuple[str, ...] = ()  # key=value for the model's own sampling options, such as temperature=0.9


def sample_command(arguments: list[str]) -> None:
    """draws samples: vidgen sample gan --checkpoint runs/gan --n 64 --out grid.png"""
    name, rest = _name(arguments, "sample")
    options = _run(
        SampleOptions, rest, f"vidgen sample {name}", f"Samples of {name}, as a picture, a film or raw tensors."
    )
    model = _load(name, options.checkpoint)
    generator = torch.Generator().manual_seed(options.seed)
    condition = {
        key: [value] * options.n if isinstance(value, str) else torch.tensor([value] * options.n)
        for key, value in _pairs(options.condition).items()
    }
    samples = model.sample(
        options.n,
        frames=options.frames,
        condition=condition or model.example_condition(options.n, generator),
        generator=generator,
        **_pairs(options.option),
    )
    if model.output == "points":
        _save_points(samples.cpu(), options.out)
    else:
        viz.save(samples.cpu(), options.out, fps=options.fps)
    print(f"{options.out}: {options.n} samples of {name}, seed {options.seed}.")


def _save_points(points: torch.Tensor, out: Path) -> None:
    """Points of the plane beside real ones, as a figure; or the tensor itself, under the name `samples`."""
    if out.suffix == ".safetensors":
        write_atomically(out, lambda path: write_tensors({"samples": points}, path))
        return
    fig, ax = viz.figure(alt=f"{len(points)} samples among as many real points.", width=4.8, height=4.8)
    viz.points(data.Ring("test").__getitems__(list(range(len(points))))["points"], points, ax)
    viz.save_figure(fig, out)


@dataclass
class EvaluateOptions:
    """Measures a model that makes digits or plane points, beside real data under the same protocol, or a classifier."""

    checkpoint: Path | None = None  # run folder or weights file; None: the weights that ship with the package
    n: int = 1000  # samples, or held-out clips
    seed: int = 0  # of the samples
    json: Path | None = None  # write a manifest here


def evaluate_command(arguments: list[str]) -> None:
    """measures a model: vidgen evaluate gan --checkpoint runs/gan --json result.json"""
    name, rest = _name(arguments, "evaluate")
    options = _run(EvaluateOptions, rest, f"vidgen evaluate {name}", f"Measures {name}.")
    model = _load(name, options.checkpoint)
    if options.json and options.checkpoint and not _weights_file(options.checkpoint).exists():
        raise ArgumentError(f"{options.checkpoint} has not finished, and a manifest needs finished weights. Resume it.")
    measured = evaluate(model, options.n, options.seed)
    protocol = measured[0].protocol
    print(", ".join(f"{key} {value}" for key, value in protocol.items() if not str(key).endswith("sha256")))
    for item in measured:
        reference = "" if item.reference is None else f"   (real data: {item.reference:.3g})"
        print(f"{item.name:28} {item.value:.4g}{reference}")
    if options.json:
        manifest = _manifest(model, options, measured)
        write_atomically(options.json, lambda path: path.write_text(json.dumps(manifest, indent=1) + "\n"))
        print(f"{options.json} written.")


def evaluate(model: Model, n: int = 1000, seed: int = 0) -> list[metrics.Measurement]:
    """What can be measured of this model's samples now: digit images, plane points, or a classifier's accuracy."""
    if n < 100:
        raise ArgumentError(
            f"n={n}: too few samples for a score that means something. Use 100 or more; pages use 1,000."
        )
    generator = torch.Generator().manual_seed(seed)
    protocol: dict[str, Any] = {"samples": n, "seed": seed}
    match model.output:
        case "points":
            real = data.Ring("test")
            radius = 4 * real.std
            covered, near = metrics.modes_covered(model.sample(n, generator=generator).cpu(), real.centers, radius)
            real_points = real.__getitems__(list(range(n)))["points"]
            real_covered, real_near = metrics.modes_covered(real_points, real.centers, radius)
            protocol |= {"data": "ring", "radius": radius, "share": 0.02}
            return [
                metrics.Measurement("modes covered", covered, protocol, real_covered),
                metrics.Measurement("share near a mode", near, protocol, real_near),
            ]
        case "image":
            judge = zoo.load_pretrained("digits-2d")
            samples = model.sample(n, generator=generator, condition=model.example_condition(n, generator)).cpu()
            size = judge.config.size
            held_out = data.Digits("test", size)
            real = held_out.__getitems__(list(range(min(n, len(held_out)))))["image"]
            logits, real_logits = judge.logits(_fit_size(samples, size)), judge.logits(real)
            protocol |= {
                "network": "digits-2d",
                "network_sha256": zoo.shipped_hash("digits-2d"),
                "size": size,
                "real": len(real),
            }
            return [
                metrics.Measurement(
                    "IS-digits", metrics.inception_score(logits), protocol, metrics.inception_score(real_logits)
                ),
                metrics.Measurement("classes above 3 %", *_classes(logits, real_logits, protocol)),
            ]
        case "labels":
            return _accuracies(model, n)
    raise ArgumentError(f"evaluate measures models that make images or points; {model.name} makes {model.output}.")


def _accuracies(model: Model, n: int) -> list[metrics.Measurement]:
    """Share of right answers on held-out data: on every digit image, or of each head on n clips of moving digits."""
    if model.recipe is not None and model.recipe.data.kind == "moving-digits":
        clips = model.recipe.data
        held_out, key = data.build(clips, "test"), "video"
        protocol = {"clips": n, "frames": clips.frames, "size": clips.size, "split": "test"}
    else:
        held_out, key = data.Digits("test", model.config.size), "image"
        n = len(held_out)
        protocol = {"images": n, "split": "test"}
    right: Counter[str] = Counter()
    for rows in torch.arange(n).split(500):
        batch = held_out.__getitems__(rows.tolist())
        logits = model.logits(batch[key])
        heads = logits if isinstance(logits, dict) else {"digit": logits}
        right.update({name: int((given.argmax(1) == batch[name]).sum()) for name, given in heads.items()})
    title = "{} accuracy" if len(right) > 1 else "accuracy"
    return [metrics.Measurement(title.format(name), count / n, protocol) for name, count in right.items()]


def _classes(logits: torch.Tensor, real_logits: torch.Tensor, protocol: dict) -> tuple[float, dict, float]:
    shares, real_shares = metrics.class_shares(logits), metrics.class_shares(real_logits)
    return float((shares > 0.03).sum()), protocol, float((real_shares > 0.03).sum())


def _fit_size(images: torch.Tensor, size: int) -> torch.Tensor:
    if images.shape[1] != 1:
        raise ArgumentError(f"IS-digits measures grey digits; these images have {images.shape[1]} channels.")
    if images.shape[-1] == size:
        return images
    return torch.nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=True)


def _manifest(model: Model, options: EvaluateOptions, measured: list[metrics.Measurement]) -> dict[str, Any]:
    trained = options.checkpoint / "manifest.json" if options.checkpoint else None
    values = {item.name: item.as_json() for item in measured}
    if trained and trained.exists():
        return {**json.loads(trained.read_text()), "metrics": values, "metrics_command": command_line()}
    path = options.checkpoint and _weights_file(options.checkpoint)
    return {
        "model": model.name,
        "preset": model.preset,
        "command": command_line(),
        **environment(),
        "weights_sha256": sha256(path) if path else zoo.shipped_hash(model.name),
        "metrics": values,
    }


def _weights_file(checkpoint: Path) -> Path:
    return checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint


def _load(name: str, checkpoint: Path | None) -> Model:
    zoo.entry(name)
    if checkpoint is None:
        return zoo.load_pretrained(name)
    model = zoo.load_model(checkpoint)
    if not _weights_file(checkpoint).exists():
        print(f"note: {checkpoint} has not finished; these are the weights of its last saved state.", file=sys.stderr)
    if model.name != name:
        raise ArgumentError(f"{checkpoint} holds a {model.name}, not a {name}. Say: vidgen sample {model.name} ...")
    return model


def _describe(name: str) -> None:
    row = zoo.entry(name)
    print(
        f"{row.name}: {row.summary}\n"
        f"chapter book/{row.chapter}.md, paper {row.paper}, weights {row.weights or 'none shipped'}"
    )
    from vidgen_lab.core import count_parameters

    for preset in row.presets:
        with torch.device("meta"):
            counts = count_parameters(zoo.create_model(name, preset))
        networks = ", ".join(f"{child} {count:,}" for child, count in counts.items())
        print(f"  {preset:8} {networks}\n           {row.model_class.presets[preset].note}")


def _name(arguments: list[str], command: str) -> tuple[str, list[str]]:
    if not arguments or arguments[0].startswith("-"):
        if set(arguments) & {"-h", "--help"}:
            arguments = [next(iter(zoo.ENTRIES)), *arguments]
        else:
            raise ArgumentError(
                f"vidgen {command} needs the name of a model first: vidgen {command} gan. vidgen list shows all."
            )
    return zoo.entry(arguments[0]).name, arguments[1:]


def _name_and_preset(arguments: list[str], command: str) -> tuple[str, str, list[str]]:
    """--preset is read first, since it decides every other default."""
    name, rest = _name(arguments, command)
    presets, preset, kept, words = zoo.entry(name).presets, "ci", [], iter(rest)
    for word in words:
        if word == "--preset" or word.startswith("--preset="):
            preset = word.partition("=")[2] or next(words, "")
        else:
            kept.append(word)
    if preset not in presets:
        raise unknown(f"preset of {name}", preset, presets)
    return name, preset, kept


def _pairs(words: Sequence[str]) -> dict[str, Any]:
    """key=value words; values are numbers, tuples, True, False or None where they read as such."""
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ArgumentError(f'"{word}": write key=value, such as temperature=0.9.')
        try:
            pairs[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            pairs[key] = value
    return pairs


def _fields(settings: Any) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def _run(what: Any, arguments: list[str], program: str, description: str) -> Any:
    return tyro.cli(what, args=arguments, prog=program, description=description)


def _overview() -> str:
    lines = [f"  vidgen {name:10} {command.__doc__}" for name, command in COMMANDS.items()]
    return "\n".join([(__doc__ or "").strip(), "", *lines, "", "vidgen COMMAND --help says more."])


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "list": list_command,
    "train": train_command,
    "sample": sample_command,
    "evaluate": evaluate_command,
}

if __name__ == "__main__":
    sys.exit(main())
