"""Downloads that say how large they are, check what came, and leave nothing half done."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm.auto import tqdm

from vidgen_lab.core.errors import DataError
from vidgen_lab.data.atomic import appears_whole


def checksum(path: Path, kind: str = "sha256") -> str:
    """The hash of a file in hex digits, read piece by piece. `kind` is a name that hashlib knows."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def download(url: str, path: Path | str, expected: str, *, kind: str = "sha256") -> Path:
    """Fetch `url` into the file `path`, whose hash must be `expected`. A file that is already right is kept.

    Prints the size before it starts and shows a progress bar. The file appears under its name only when it is whole
    and its checksum is right. Raises DataError when there is no network, when the server refuses, when the checksum is
    wrong, and when the file cannot be written.
    """
    path = Path(path)
    if path.exists() and checksum(path, kind) == expected:
        return path
    by_hand = f"Or get {url} by other means and save it as {path} ({kind} {expected})."
    request = urllib.request.Request(url, headers={"User-Agent": "vidgen_lab"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            print(f"Downloading {path.name}, {f'{size / 1e6:.1f} MB' if size else 'size unknown'}, to {path.parent}")
            path.parent.mkdir(parents=True, exist_ok=True)
            digest, bar = hashlib.new(kind), tqdm(total=size or None, unit="B", unit_scale=True, desc=path.name)
            with appears_whole(path) as file, bar:
                while piece := answer.read(1 << 20):
                    file.write(piece)
                    digest.update(piece)
                    bar.update(len(piece))
                if bar.n < size:
                    raise DataError(f"{url}: the connection broke after {bar.n} of {size} bytes. Try again. {by_hand}")
                if digest.hexdigest() != expected:
                    raise DataError(
                        f"{url}: the {kind} of what came is {digest.hexdigest()}, expected {expected}. It was removed. "
                        "It was damaged on the way, or has changed at its source: try again, then report it."
                    )
    except urllib.error.HTTPError as error:
        raise DataError(f"{url}: the server answers {error.code} ({error.reason}). {by_hand}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"cannot reach {urlsplit(url).netloc} ({reason}). Is there a network? Try again with one. {by_hand}"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}). Free some space or choose another folder."
        ) from error
    return path
