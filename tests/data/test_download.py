import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import torch
from torchvision import datasets

from vidgen_lab.core.errors import ArgumentError, DataError
from vidgen_lab.data import FullDigits, MovingMNIST
from vidgen_lab.data.download import checksum, download

NOWHERE = "http://127.0.0.1:9/"  # nobody listens here: the same as no network


class Quiet(http.server.SimpleHTTPRequestHandler):
    requests: list[str] = []

    def do_GET(self):
        self.requests.append(self.path)
        if self.path.endswith("/breaks"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """A real web server over a folder: (folder, address, list of what was asked for)."""
    folder, Quiet.requests = tmp_path / "site", []
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/", Quiet.requests
    server.shutdown()
    server.server_close()


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_a_download_says_its_size_first_and_arrives_whole(site, tmp_path, capfd):
    folder, address, _ = site
    content = np.random.default_rng(0).bytes(2_500_000)
    (folder / "clips.bin").write_bytes(content)
    path = download(address + "clips.bin", tmp_path / "new" / "clips.bin", sha(content))
    assert path.read_bytes() == content and checksum(path) == sha(content)
    shown = capfd.readouterr()
    assert "Downloading clips.bin, 2.5 MB, to" in shown.out and "100%" in shown.err


def test_a_file_that_is_there_and_right_is_not_fetched_again(site, tmp_path):
    folder, address, requests = site
    (folder / "a").write_bytes(b"abc")
    download(address + "a", tmp_path / "a", sha(b"abc"))
    download(address + "a", tmp_path / "a", sha(b"abc"))
    assert requests == ["/a"]
    (tmp_path / "a").write_bytes(b"abd")
    assert download(address + "a", tmp_path / "a", sha(b"abc")).read_bytes() == b"abc"


def test_a_wrong_checksum_is_said_and_nothing_is_kept(site, tmp_path):
    folder, address, _ = site
    (folder / "a").write_bytes(b"abc")
    with pytest.raises(DataError, match=f"sha256 of what came is {sha(b'abc')}, expected {sha(b'x')}. It was removed"):
        download(address + "a", tmp_path / "to" / "a", sha(b"x"))
    assert list((tmp_path / "to").iterdir()) == []


def test_a_wrong_checksum_leaves_an_older_file_in_place(site, tmp_path):
    folder, address, _ = site
    (folder / "a").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"older")
    with pytest.raises(DataError, match="It was removed"):
        download(address + "a", tmp_path / "a", sha(b"x"))
    assert (tmp_path / "a").read_bytes() == b"older"


def test_no_network_says_what_to_do(tmp_path):
    with pytest.raises(
        DataError, match=r"cannot reach 127.0.0.1:9 .*Is there a network\?.* save it as .*a \(sha256 12\)"
    ):
        download(NOWHERE + "a", tmp_path / "a", "12")
    assert not list(tmp_path.iterdir())


def test_a_missing_page_and_a_broken_connection_are_named(site, tmp_path):
    _, address, _ = site
    with pytest.raises(DataError, match="the server answers 404"):
        download(address + "none", tmp_path / "a", "12")
    with pytest.raises(DataError, match="broke after 9 of 1000 bytes|cannot reach"):
        download(address + "breaks", tmp_path / "a", "12")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_that_cannot_be_written_is_named(site, tmp_path):
    folder, address, _ = site
    (folder / "a").write_bytes(b"abc")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        download(address + "a", tmp_path / "file" / "a", sha(b"abc"))


def idx(array):
    """An array in MNIST's own file format, gzipped."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.mark.parametrize("kind,source", [("mnist", datasets.MNIST), ("fashion-mnist", datasets.FashionMNIST)])
def test_the_full_sets_arrive_through_torchvision(site, tmp_path, monkeypatch, kind, source):
    folder, address, requests = site
    rng, resources = np.random.default_rng(0), []
    images = {
        part: rng.integers(0, 256, (count, 28, 28), dtype=np.uint8) for part, count in (("train", 6), ("t10k", 3))
    }
    for part, pictures in images.items():
        labels = np.arange(len(pictures), dtype=np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte.gz", pictures), (f"{part}-labels-idx1-ubyte.gz", labels)):
            (folder / name).write_bytes(idx(array))
            resources.append((name, checksum(folder / name, "md5")))
    monkeypatch.setattr(source, "resources", resources)
    monkeypatch.setattr(source, "mirrors", [NOWHERE, address])
    data = FullDigits(kind, "test", path=tmp_path / "kept")
    assert len(data) == 3 and data[1]["digit"] == 1 and data[1]["image"].shape == (1, 28, 28)
    assert torch.equal(data[2]["image"][0], torch.tensor(images["t10k"][2]).float() / 127.5 - 1)
    assert len(FullDigits(kind, "train", 32, tmp_path / "kept")) == 6 and len(requests) == 4


def test_the_full_sets_without_a_network_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [NOWHERE])
    with pytest.raises(DataError, match="cannot reach 127.0.0.1:9.*Is there a network"):
        FullDigits("mnist", path=tmp_path)
    monkeypatch.setattr(datasets.MovingMNIST, "_URL", NOWHERE + "mnist_test_seq.npy")
    with pytest.raises(DataError, match="cannot reach 127.0.0.1:9.*Is there a network"):
        MovingMNIST(path=tmp_path)


def test_moving_mnist_is_read_clip_by_clip(tmp_path):
    clips = np.lib.format.open_memmap(
        (tmp_path / "MovingMNIST").mkdir() or tmp_path / "MovingMNIST" / "mnist_test_seq.npy",
        mode="w+", dtype=np.uint8, shape=(20, 10_000, 64, 64),
    )  # fmt: skip
    clips[:, 9003] = np.arange(20)[:, None, None]
    clips.flush()
    train, test = MovingMNIST(path=tmp_path), MovingMNIST("test", frames=8, size=16, path=tmp_path)
    assert len(train) == 9000 and len(test) == 1000 and train[0]["video"].shape == (1, 20, 64, 64)
    video = test[3]["video"]
    assert video.shape == (1, 8, 16, 16)
    assert torch.allclose((video[0, :, 5, 5] + 1) * 127.5, torch.arange(8.0), atol=1e-4)
    with pytest.raises(ArgumentError, match="frames=21"):
        MovingMNIST(frames=21, path=tmp_path)
    with pytest.raises(ArgumentError, match="size=48"):
        MovingMNIST(size=48, path=tmp_path)
    (tmp_path / "MovingMNIST" / "mnist_test_seq.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="cannot be read .* Remove it to download it again"):
        MovingMNIST(path=tmp_path)
