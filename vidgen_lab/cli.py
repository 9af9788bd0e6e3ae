"""The terminal: vidgen list | train | sample | evaluate | export | bench | teach.

Every command has --help; that of train shows the defaults of the chosen preset."""

import ast
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from vidgen_lab import board, data, metrics, viz, zoo
from vidgen_lab.core import ArgumentError, Model, Recipe, VidgenError, unknown
from vidgen_lab.core.manifest import command_line, environment
from vidgen_lab.core.weights import sha256, write_atomically, write_tensors
from vidgen_lab.evaluation import evaluate, ladder
from vidgen_lab.export import export
from vidgen_lab.training import benchmark, fit


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
        sys.stdout.flush()
        return 0
    except VidgenError as error:
        print(f"vidgen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vidgen: stopped. Add --resume to the same command to go on from the last saved state.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        return 0


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
    show = "evaluate" if model.output in ("labels", "codes") else "sample"
    print(f"Done. Next: vidgen {show} {name} --checkpoint {options.run.out}")


def _stage_help(name: str) -> Any:
    return tyro.conf.arg(help=f"run folder or weights file of the {name} that this model stands on; None: as shipped")


@dataclass
class SampleOptions:
    """Draws samples and writes them to a file."""

    checkpoint: Path | None = None  # run folder or weights file; None: the weights that ship with the package
    preset: str | None = None  # of the weights that ship, where there are several; None: the usual ones
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
    model = _load(name, options.checkpoint, options.preset)
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
    """Measures a model that makes digits, clips or plane points, beside real data, or a classifier."""

    checkpoint: Path | None = None  # run folder or weights file; None: the weights that ship with the package
    preset: str | None = None  # of the weights that ship, where there are several; None: the usual ones
    n: int | None = None  # samples, or held-out clips; None: 2,000 clips or 1,000 of anything else
    seed: int = 0  # of the samples
    json: Path | None = None  # write a manifest here


@dataclass
class LadderOptions:
    """Measures real clips that were spoilt on purpose: what a FVD-digits is worth."""

    n: int = 2000  # clips a rung
    seed: int = 0  # of the clips
    frames: int = 16  # 8 or more
    size: int = 32  # 16, 32 or 64
    color: bool = False  # six colours, or grey
    json: Path | None = None  # write a manifest here


def evaluate_command(arguments: list[str]) -> None:
    """measures a model: vidgen evaluate gan --checkpoint runs/gan --json result.json"""
    if "--ladder" in arguments:
        _ladder_command([word for word in arguments if word != "--ladder"])
        return
    name, rest = _name(arguments, "evaluate")
    about = f"Measures {name}. vidgen evaluate --ladder measures what the metric of clips sees."
    options = _run(EvaluateOptions, rest, f"vidgen evaluate {name}", about)
    model = _load(name, options.checkpoint, options.preset)
    weights = _weights_hash(model, options.checkpoint) if options.json else ""
    measured = evaluate(model, options.n, options.seed)
    _print_protocol(measured[0])
    for item in measured:
        reference = "" if item.reference is None else f"   (real data: {item.reference:.3g})"
        print(f"{item.name:28} {item.value:.4g}{reference}")
    if options.json:
        _write_json(options.json, _manifest(model, options, measured, weights))


def _ladder_command(arguments: list[str]) -> None:
    options = _run(LadderOptions, arguments, "vidgen evaluate --ladder", "FVD-digits of clips spoilt on purpose.")
    settings = {"frames": options.frames, "size": options.size, "color": options.color}
    measured = ladder(options.n, options.seed, **settings)
    floor = measured[0].value
    _print_protocol(measured[0])
    for item in measured:
        print(f"{item.name:28} {item.value:8.3f}   {item.value / floor:6.1f} floors")
    if options.json:
        rungs = {item.name: {"value": item.value, "floors": item.value / floor} for item in measured}
        protocol = measured[0].protocol
        manifest = {"command": command_line(), **environment(), "floor": floor, "rungs": rungs, "protocol": protocol}
        _write_json(options.json, manifest)


def _print_protocol(item: metrics.Measurement) -> None:
    print(", ".join(f"{key} {value}" for key, value in item.protocol.items() if not str(key).endswith("sha256")))


def _write_json(path: Path, manifest: dict[str, Any]) -> None:
    write_atomically(path, lambda part: part.write_text(json.dumps(manifest, indent=1) + "\n"))
    print(f"{path} written.")


def _manifest(
    model: Model, options: EvaluateOptions, measured: list[metrics.Measurement], weights: str
) -> dict[str, Any]:
    trained = options.checkpoint / "manifest.json" if options.checkpoint else None
    values = {item.name: item.as_json() for item in measured}
    if trained and trained.exists():
        return {**json.loads(trained.read_text()), "metrics": values, "metrics_command": command_line()}
    return {
        "model": model.name,
        "preset": model.preset,
        "command": command_line(),
        **environment(),
        "weights_sha256": weights,
        "metrics": values,
    }


def _weights_file(checkpoint: Path) -> Path:
    return checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint


def _weights_hash(model: Model, checkpoint: Path | None) -> str:
    """SHA-256 of the file that a model was loaded from; None: that of the weights that ship."""
    if checkpoint is None:
        return zoo.shipped_hash(model.name, model.preset)
    if not _weights_file(checkpoint).exists():
        raise ArgumentError(f"{checkpoint} has not finished, and what is written needs finished weights. Resume it.")
    return sha256(_weights_file(checkpoint))


def _load(name: str, checkpoint: Path | None, preset: str | None) -> Model:
    zoo.entry(name)
    if checkpoint is None:
        return zoo.load_pretrained(name, preset)
    if preset is not None:
        raise ArgumentError(f"--preset {preset} with --checkpoint: a checkpoint has one preset. Leave one of them out.")
    model = zoo.load_model(checkpoint)
    if not _weights_file(checkpoint).exists():
        print(f"note: {checkpoint} has not finished; these are the weights of its last saved state.", file=sys.stderr)
    if model.name != name:
        raise ArgumentError(f"{checkpoint} holds a {model.name}, not a {name}. Say: vidgen sample {model.name} ...")
    return model


@dataclass
class ExportOptions:
    """Writes the sampling path of a model as ONNX files, and a card that says what they take and give."""

    out: Path  # folder for the files
    checkpoint: Path | None = None  # finished run or weights file; None: the weights that ship with the package
    preset: str | None = None  # of the weights that ship, where there are several; None: the usual ones
    bits: int = 16  # 8: large weights are rounded, for files of half the size


def export_command(arguments: list[str]) -> None:
    """writes a model as ONNX, for other programs: vidgen export dcgan --out exported"""
    name, rest = _name(arguments, "export")
    options = _run(ExportOptions, rest, f"vidgen export {name}", f"{name} as ONNX. {ExportOptions.__doc__}")
    model = _load(name, options.checkpoint, options.preset)
    card = export(model, options.out, _weights_hash(model, options.checkpoint), options.bits)
    for graph in json.loads(card.read_text())["graphs"].values():
        print(f"{options.out / graph['file']}: {', '.join(graph['inputs'])} to {', '.join(graph['outputs'])}.")
    print(f"{card} says what they take and give.")


@dataclass
class BenchOptions:
    """Times training steps and samples, and reads the peak memory."""

    steps: int = 50  # timed training steps
    n: int = 16  # samples a draw
    device: str | None = None  # "cpu"; None: the GPU where there is one
    threads: int = 1  # on the CPU
    noise: bool = False  # train on noise in the shape of data that is not here
    json: Path | None = None  # write a manifest here


def bench_command(arguments: list[str]) -> None:
    """times a model: vidgen bench gan --preset ci --json speed.json"""
    if "--board" in arguments:
        _board_command([word for word in arguments if word != "--board"])
        return
    name, preset, rest = _name_and_preset(arguments, "bench")
    options = _run(BenchOptions, rest, f"vidgen bench {name} --preset {preset}", f"Speed and memory of {name}.")
    model = zoo.create_model(name, preset)
    settings = _fields(options)
    path = settings.pop("json")
    measured = benchmark(model, **settings)
    machine = environment(model.device) | {"threads": options.threads}
    print(f"{name}, preset {preset}, on {machine['device']}, threads {options.threads}")
    print(f"{'milliseconds':17}  CPU median      mean  wall median      mean")
    for part, title in {"training": "a training step", "data": "making a batch", "sampling": "drawing samples"}.items():
        if seconds := measured[part]:
            cpu, wall = seconds["cpu_seconds"], seconds["wall_seconds"]
            numbers = [1e3 * number for number in (cpu["median"], cpu["mean"], wall["median"], wall["mean"])]
            print(f"{title:17}  {numbers[0]:10.4g}{numbers[1]:10.4g}  {numbers[2]:11.4g}{numbers[3]:10.4g}")
    if measured["sampling"]:
        print(f"samples a second   {measured['sampling']['samples_per_second']:.4g}")
    memory = measured["memory"]
    print(f"peak memory        {memory['sampling_mb']:.0f} MB, {memory['before_mb']:.0f} of them before the first step")
    if "gpu_mb" in memory:
        print(f"on the GPU         {memory['gpu_mb']:.0f} MB")
    if path:
        _write_json(path, {"model": name, "preset": preset, "command": command_line(), **machine, **measured})


@dataclass
class BoardOptions:
    """Trains the preset `board` with several seeds and measures each: a row of the leaderboard for each model named."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()  # models; none: every one that can have a row
    seeds: int = 3  # trainings a model, with seeds from 0 on
    n: int | None = None  # clips to measure; None: as evaluate does
    out: Path = Path("results/board")  # a row is written to OUT-NAME.json
    runs: Path = Path("runs/board")  # folder of the runs
    resume: bool = False  # go on with the runs that are there


def _board_command(arguments: list[str]) -> None:
    options = _run(BoardOptions, arguments, "vidgen bench --board", "Makes rows of the leaderboard.")
    for name in options.names:
        board.check(name, options.seeds)
    for name in options.names or board.contenders():
        row = board.make_row(name, options.seeds, runs=options.runs, n=options.n, resume=options.resume)
        for run in row["seeds"]:
            scores = ", ".join(f"{metric} {value['value']:.4g}" for metric, value in run["metrics"].items())
            print(f"{name}, seed {run['seed']}: {run['cpu_seconds']:.0f} CPU-seconds, {scores}")
        _write_json(options.out.with_name(f"{options.out.name}-{name}.json"), row)
    if not options.names and not board.contenders():
        print('No model of the zoo makes clips and has a preset "board".')


@dataclass
class ReleaseOptions:
    """Writes the student versions of the labs: without solutions and outputs."""

    labs: Path = Path("notebooks")  # folder of the instructor's notebooks
    out: Path = Path("notebooks/student")  # folder for the student versions


@dataclass
class GradeOptions:
    """Grades submitted labs. A sub-folder of FOLDER is a student, and so is a notebook in FOLDER itself."""

    folder: tyro.conf.Positional[Path]  # the submissions
    out: Path = Path("graded")  # folder for scores.csv, exercises.csv and feedback/
    labs: Path = Path("notebooks")  # folder of the instructor's notebooks
    private: Path | None = None  # folder of more checks: LAB/EXERCISE.py
    seconds: float = 60.0  # that a cell may take
    memory_gb: float = 3.0  # that a submission may hold


@dataclass
class CheckOptions:
    """Runs the checks of a lab of yours and says what is wrong. Nothing leaves your machine."""

    notebook: tyro.conf.Positional[Path]
    seconds: float = 60.0  # that a cell may take


TEACH = {"release": ReleaseOptions, "grade": GradeOptions, "check": CheckOptions}


def teach_command(arguments: list[str]) -> None:
    """the classroom: vidgen teach release | grade FOLDER | check NOTEBOOK"""
    what = arguments[0] if arguments else ""
    if what in ("-h", "--help"):
        print("\n".join(f"  vidgen teach {name:8} {options.__doc__}" for name, options in TEACH.items()))
        return
    if what not in TEACH:
        raise unknown("command of teach", what, TEACH, "vidgen teach --help shows all")
    options = _run(TEACH[what], arguments[1:], f"vidgen teach {what}", TEACH[what].__doc__ or "")
    try:
        from vidgen_lab import teach
    except ModuleNotFoundError as error:
        raise ArgumentError(f'vidgen teach needs {error.name}: pip install "vidgen-lab[teach]"') from error
    if what == "release":
        for path in teach.release(options.labs, options.out):
            print(f"{path} written.")
    elif what == "grade":
        limits = teach.Limits(options.seconds, options.memory_gb)
        for graded in teach.grade(options.folder, options.labs, options.out, options.private, limits):
            said = graded.said or ", ".join(f"{item.exercise.name} {item.points:g}" for item in graded.results)
            print(f"{graded.student}: {graded.lab or graded.file.name} {graded.points:g} of {graded.most:g}. {said}")
        print(f"{options.out / 'scores.csv'} and the feedback beside it written.")
    else:
        graded = teach.check(options.notebook, teach.Limits(options.seconds))
        for item in graded.results:
            print(f"{item.exercise.name}: {item.points:g} of {item.exercise.points:g}. {item.said}")
        print(f"{graded.points:g} of {graded.most:g} points.")


def _describe(name: str) -> None:
    row = zoo.entry(name)
    print(
        f"{row.name}: {row.summary}\n"
        f"chapter book/{row.chapter}.md, paper {row.paper}, weights shipped: {', '.join(row.shipped) or 'none'}"
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
    "export": export_command,
    "bench": bench_command,
    "teach": teach_command,
}

if __name__ == "__main__":
    sys.exit(main())
