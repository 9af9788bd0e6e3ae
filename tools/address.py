"""Change the repository's address everywhere: python tools/address.py https://github.com/OWNER/REPO

_config.yml states the address. pyproject.toml, README.md, CITATION.cff and the labs' first two cells repeat it, and
are rewritten.
"""

import re
import sys
from pathlib import Path

import labs
import nbformat

ROOT = Path(__file__).resolve().parent.parent
REPEATED = ("_config.yml", "pyproject.toml", "README.md", "CITATION.cff")  # and the labs, with their student versions


def slug(url: str) -> str:
    """OWNER/REPO of a GitHub address, which is the only kind that Colab opens."""
    match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", url)
    if not match:
        raise ValueError(f"URL={url}: must be https://github.com/OWNER/REPO. Colab opens labs from GitHub alone.")
    return match[1]


def change(url: str, root: Path = ROOT) -> None:
    """Replace the old address, in its three forms, by the new one."""
    old, new = slug(labs.address(root)), slug(url)
    forms = [
        (f"github.com/{old}", f"github.com/{new}"),
        (f"com/github/{old}", f"com/github/{new}"),
        (pages(old), pages(new)),
    ]
    for name in REPEATED:
        path = root / name
        text = path.read_text(encoding="utf-8")
        for before, after in forms:
            text = re.sub(re.escape(before) + r"(?![\w-])", after, text)
        path.write_text(text, encoding="utf-8")
    for lab in labs.read_labs(root):
        notebook = nbformat.read(lab.path(root), as_version=4)
        labs.refresh(notebook, lab, root)
        labs.write_both(notebook, lab, root)


def pages(name: str) -> str:
    """Where GitHub publishes the pages of OWNER/REPO."""
    owner, repository = name.split("/")
    return f"{owner}.github.io/{repository}"


def main() -> int:
    if len(sys.argv) != 2:
        print("Say: make address URL=https://github.com/OWNER/REPO", file=sys.stderr)
        return 2
    try:
        change(sys.argv[1])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"The address is {labs.address()} in {', '.join(REPEATED)} and the labs.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
