"""The repository as a whole: sizes, addresses, workflows, what the wheel holds, what the README promises."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import address
import labs
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TRACKED = [Path(name) for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()]
TRACKED = [name for name in TRACKED if (ROOT / name).is_file()]
VENDORED = Path("book/_extra")
# Spelled in pieces, so that this file does not hold what it looks for.
REGISTRIES = r"pypi\.org|files\.pythonhosted|registry\.npmjs|conda\.anaconda|/opt/" + "pypi"
MACHINE_PATHS = (
    r"(?<![\w.~}])/(?:" + "|".join(["home", "Users", "root", "opt", "work", "tmp/ipykernel", "mnt"]) + r")/\w"
)


def texts() -> list[tuple[Path, str]]:
    """Every tracked text of our own."""
    found = []
    for name in TRACKED:
        if VENDORED in name.parents:
            continue
        try:
            found.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_is_above_5_mb_and_all_together_stay_under_60():
    sizes = {name: (ROOT / name).stat().st_size for name in TRACKED}
    assert not [name for name, size in sizes.items() if size > 5e6]
    assert sum(sizes.values()) < 60e6


@pytest.mark.parametrize("pattern", [REGISTRIES, MACHINE_PATHS], ids=["package registry", "machine path"])
def test_no_text_names_a(pattern):
    hits = ((name, hit, text) for name, text in texts() for hit in re.finditer(pattern, text))
    found = [(str(name), text[max(0, hit.start() - 60) : hit.end() + 60]) for name, hit, text in hits]
    assert not found


def test_the_patterns_above_find_what_they_look_for():
    assert re.search(REGISTRIES, "https://" + "pypi" + ".org/simple")
    assert re.search(MACHINE_PATHS, 'File "/' + 'home/me/x.py"') and not re.search(MACHINE_PATHS, "a/home/me, ./root/x")


def test_only_the_named_files_state_the_address_and_they_agree():
    url = labs.address()
    written = [path for lab in labs.read_labs() for path in (lab.path(), lab.student_path())]
    allowed = {*map(Path, address.REPEATED), *(path.relative_to(ROOT) for path in written)}
    stating = {name for name, text in texts() if address.slug(url) in text}
    assert stating <= allowed
    assert f'Repository = "{url}"' in (ROOT / "pyproject.toml").read_text()


def test_one_command_changes_the_address_everywhere(tmp_path):
    for name in TRACKED:
        if VENDORED not in name.parents and name.suffix not in (".npz", ".safetensors", ".mp4", ".png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    old, new = address.slug(labs.address()), "someone/their-course"
    address.change(f"https://github.com/{new}", tmp_path)
    for name in TRACKED:
        copy = tmp_path / name
        if copy.suffix in (".md", ".toml", ".yml", ".ipynb"):
            text = copy.read_text()
            assert old not in text and address.pages(old) not in text, name
            if name.name == "_config.yml" or name.suffix == ".ipynb":
                assert new in text
    with pytest.raises(ValueError, match="must be https://github.com/OWNER/REPO"):
        address.change("git@github.com:someone/their-course", tmp_path)


def test_workflows_follow_githubs_schema():
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert {path.stem for path in files} == {"ci", "pages", "colab", "newest"}
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *files]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):(?! export)", (ROOT / "Makefile").read_text(), re.M))


def test_make_help_names_every_target():
    named = set(
        re.findall(r"make ([a-z]+)", re.search(r"^help:\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)[1])
    )
    assert named == make_targets() - {"help"}


@pytest.mark.parametrize("name", ["README.md", "book/intro.md", "book/developer.md"])
def test_commands_on_the_page_exist(name):
    blocks = re.findall(r"```(?:bash|sh|shell|console)\n(.*?)```", (ROOT / name).read_text(), re.S)
    commands = "\n".join(blocks).replace("\\\n", " ").splitlines()
    if name == "README.md":
        assert any(line.startswith("make book") for line in commands)
    workflows = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test-and-book"]["steps"]
    commands += [step["run"] for step in workflows if "run" in step]
    for line in commands:
        words = re.split(r"[\s$]+", line.split("#")[0].strip(" $"))
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words[0] == "make":
            targets = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
            assert targets <= make_targets(), line
        if words[0].endswith("vidgen"):
            from vidgen_lab import cli

            assert words[1] in {*cli.COMMANDS, "--help"}, line
        if words[0] == "python" and len(words) > 1 and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), line


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    source = tmp_path / "source"
    for name in TRACKED:
        if name.parts[0] == "vidgen_lab" or name.name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, tmp_path, source], check=True, capture_output=True)
    held = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    assert {name.as_posix() for name in TRACKED if name.parts[0] == "vidgen_lab"} <= held


def test_constraints_are_names_and_versions_only():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)]


def test_conda_users_get_what_make_installs():
    given = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]
    installed = re.search(r"pip install \$\(CONSTRAINTS\) -e '(.+)'", (ROOT / "Makefile").read_text())[1]
    assert given == ["-c constraints.txt", f"-e {installed}"]


def test_the_version_is_the_same_wherever_it_is_stated():
    version = labs.version()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == version


def test_the_citation_follows_its_schema_and_names_no_person():
    path = ROOT / "CITATION.cff"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format", path]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    cited = yaml.safe_load(path.read_text())
    assert cited["authors"] == [{"name": yaml.safe_load((ROOT / "_config.yml").read_text())["author"]}]
    assert cited["repository-code"] == labs.address()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_that_a_front_page_names_exist(name):
    text = (ROOT / name).read_text()
    named = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", text) + re.findall(
        r"`((?:book|tests|notebooks)/[\w./-]+)`()", text
    )
    assert not [path for pair in named for path in pair if path and not (ROOT / path).exists()]
    assert not re.search(r"!\[\s*\]|<img(?![^>]*alt=)", text)
