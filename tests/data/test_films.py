import json
import os
import warnings

import av
import numpy as np
import pytest
import torch
from PIL import Image

from vidgen_lab.core.errors import ArgumentError, DataError
from vidgen_lab.data import Images, VideoFolder
from vidgen_lab.data.films import _runs, _stamps


def frame_numbers(item):
    """Which frames of a film by the fixture `write_film` a clip holds."""
    return [round((frame.mean().item() + 1) * 127.5 / 8) for frame in item["video"].unbind(1)]


def test_clips_tile_the_film_in_order(tmp_path, write_film):
    write_film(tmp_path / "a.mp4", 20)
    data = VideoFolder(tmp_path, frames=4, size=16)
    assert [frame_numbers(data[i]) for i in range(len(data))] == [list(range(k, k + 4)) for k in range(0, 20, 4)]
    assert data[0]["video"].shape == (3, 4, 16, 16) and data[0]["video"].dtype == torch.float32
    assert data[0]["film"] == "a.mp4"


def test_stride_and_hop_choose_the_frames(tmp_path, write_film):
    write_film(tmp_path / "a.mp4", 20)
    data = VideoFolder(tmp_path, frames=3, size=16, stride=3, hop=5)
    assert [frame_numbers(data[i]) for i in range(len(data))] == [[0, 3, 6], [5, 8, 11], [10, 13, 16]]


@pytest.mark.parametrize(
    "name,codec,options",
    [
        ("a.mp4", "libx264", {"crf": "10"}),
        ("a.mkv", "libx264", {"crf": "10", "x264-params": "open-gop=1:keyint=12:bframes=3"}),
        ("a.avi", "mpeg4", {"q": "2"}),
        ("a.mp4", "mpeg4", {"q": "2", "bf": "2"}),  # often seeks behind the frame asked for
        ("a.ts", "mpeg2video", {"q": "2", "bf": "2"}),  # always does
        ("a.mpg", "mpeg2video", {"q": "2", "bf": "2"}),  # tells other times after a seek
        ("a.mpg", "mpeg2video", {"q": "2"}),  # gives two frames the same time
    ],
)
def test_random_access_reads_the_same_bits_as_decoding_from_the_start(tmp_path, write_film, name, codec, options):
    write_film(tmp_path / name, 60, 96, 96, codec=codec, gop=12, options=options, noise=30)
    whole = VideoFolder(tmp_path, frames=60, size=16)[0]["video"]
    data = VideoFolder(tmp_path, frames=2, size=16, hop=1)
    assert len(data) == 59
    for index in reversed(range(59)):
        assert torch.equal(data[index]["video"], whole[:, index : index + 2])


def test_the_shorter_side_is_resized_and_the_centre_cut_out(tmp_path):
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, 16:48] = 255  # the middle square is white
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    video = VideoFolder(tmp_path, frames=1, size=16)[0]["video"]
    assert video.shape == (3, 1, 16, 16) and video.min() > 0.98


def test_a_film_with_uneven_time_stamps_is_read_exactly(tmp_path):
    stamps = [0, 1, 2, 5, 6, 10, 11, 12, 20, 21]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 32
        stream.options, stream.gop_size = {"crf": "5"}, 3
        for k, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 8 * k, np.uint8), format="rgb24")
            frame.pts = stamp
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = VideoFolder(tmp_path, frames=4, size=16, hop=1)
    assert [frame_numbers(data[i])[0] for i in range(len(data))] == list(range(7))
    assert frame_numbers(data[6]) == [6, 7, 8, 9]


def test_runs_hold_any_rising_numbers():
    for stamps in ([0], [5, 8], [0, 512, 1024, 1536], [0, 1, 2, 5, 6, 10, 11, 12, 20, 21], [3, 4, 6, 9, 13]):
        assert _stamps(_runs(stamps)).tolist() == stamps
    assert _runs(list(range(48600, 700000, 3600))) == [[48600, 3600, 181]]


def test_train_and_test_share_no_frame(tmp_path, write_film):
    write_film(tmp_path / "a.mp4", 30)
    parts = {split: VideoFolder(tmp_path, frames=3, size=16, hop=1, split=split) for split in ("train", "test")}
    seen = {name: {k for i in range(len(part)) for k in frame_numbers(part[i])} for name, part in parts.items()}
    assert seen["train"] == set(range(27)) and seen["test"] == {27, 28, 29}


def test_folders_named_train_and_test_are_the_split(tmp_path, write_film):
    write_film(tmp_path / "train" / "a.mp4", 5)
    write_film(tmp_path / "test" / "deep" / "b.mp4", 6)
    assert VideoFolder(tmp_path, frames=5, size=16, split="train")[0]["film"] == "a.mp4"
    assert VideoFolder(tmp_path, frames=5, size=16, split="test")[0]["film"] == "deep/b.mp4"
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match='no folder "train", though it has the other'):
        VideoFolder(tmp_path, frames=5, size=16, split="train")


def damage(folder, write_film):
    """One good film, and films that are damaged in each of the usual ways, by name and what must be said of them."""
    whole = write_film(folder / "whole.mp4").read_bytes()
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    quick = write_film(folder / "blank.mp4", faststart=True)
    with av.open(str(quick)) as container:
        ends = [packet.pos + packet.size for packet in container.demux() if packet.size]
    content = quick.read_bytes()
    quick.write_bytes(content[: ends[13]] + bytes(len(content) - ends[13]))
    (folder / "short.mp4").write_bytes(content[: ends[6]])  # seven frames, whole
    flipped = bytearray(write_film(folder / "flip.mp4", noise=30).read_bytes())
    for at in range(len(flipped) // 4, len(flipped) * 3 // 4, 300):  # many, since the decoder may miss one
        flipped[at] ^= 0x55
    (folder / "flip.mp4").write_bytes(flipped)
    return {
        "noise.mp4": "the film is damaged after 0 frames",
        "empty.mp4": "the film is damaged after 0 frames",
        "cut.mp4": "the film is damaged, there are no pictures",
        "blank.mp4": "the film is damaged after 1",
        "short.mp4": "the film is damaged: 7 of 20 frames",
        "flip.mp4": "the film is damaged ",
    }


def test_damaged_films_are_reported_once_and_skipped_and_nothing_else_is_lost(tmp_path, write_film):
    wrong = damage(tmp_path, write_film)
    with pytest.warns(UserWarning, match="skipped 6 of 7 films") as caught:
        data = VideoFolder(tmp_path, frames=4, size=16)
    assert len(caught) == 1 and all(f"{name}: {reason}" in str(caught[0].message) for name, reason in wrong.items())
    assert len(data) == 5 and {data[i]["film"] for i in range(5)} == {"whole.mp4"}


def test_strict_raises_for_a_damaged_film(tmp_path, write_film):
    wrong = damage(tmp_path, write_film)
    with pytest.raises(DataError, match="6 of 7 films cannot be used") as caught:
        VideoFolder(tmp_path, frames=4, size=16, strict=True)
    assert all(f"{name}: {reason}" in str(caught.value) for name, reason in wrong.items())


def test_films_shorter_than_a_clip_are_reported_and_skipped_or_raise(tmp_path, write_film):
    write_film(tmp_path / "long.mp4", 10)
    write_film(tmp_path / "short.mp4", 9)
    with pytest.warns(UserWarning, match="skipped 1 of 2 films. short.mp4: it has 9 frames, a clip needs 10"):
        assert len(VideoFolder(tmp_path, frames=4, stride=3, size=16)) == 1
    with pytest.raises(DataError, match="short.mp4: it has 9 frames, a clip needs 10"):
        VideoFolder(tmp_path, frames=4, stride=3, size=16, strict=True)
    with pytest.raises(DataError, match="none of the 2 films can be used. long.mp4: it has 10 frames, a clip needs 11"):
        VideoFolder(tmp_path, frames=11, size=16)


def test_a_folder_without_films_or_no_folder_raises(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="holds no films. Known endings: .*mp4"):
        VideoFolder(tmp_path)
    with pytest.raises(DataError, match="there is no such folder of films"):
        VideoFolder(tmp_path / "none")


def test_the_index_is_kept_beside_the_films_and_read_anew_only_for_changed_ones(tmp_path, write_film):
    write_film(tmp_path / "a.mp4", 8)
    changing = write_film(tmp_path / "b.mp4", 8)
    VideoFolder(tmp_path, frames=4, size=16)
    place = tmp_path / ".vidgen-films.json"
    index = json.loads(place.read_text())
    index["files"]["a.mp4"]["info"]["frames"] = 4  # a mark: this entry is believed as long as the file is unchanged
    place.write_text(json.dumps(index))
    write_film(changing, 16)
    os.utime(changing, ns=(0, 12345))
    data = VideoFolder(tmp_path, frames=4, size=16)
    assert [data[i]["film"] for i in range(len(data))] == ["a.mp4"] + ["b.mp4"] * 4
    os.utime(tmp_path / "a.mp4", ns=(0, 12345))
    assert len(VideoFolder(tmp_path, frames=4, size=16)) == 6
    changing.unlink()
    assert len(VideoFolder(tmp_path, frames=4, size=16)) == 2


def test_a_spoilt_index_is_made_again(tmp_path, write_film):
    write_film(tmp_path / "a.mp4", 8)
    (tmp_path / ".vidgen-films.json").write_text('{"format": 1, "fil')
    assert len(VideoFolder(tmp_path, frames=4, size=16)) == 2


def test_where_the_folder_cannot_be_written_the_index_goes_to_the_users_cache(tmp_path, monkeypatch, write_film):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_film(tmp_path / "films" / "a.mp4", 8)
    (tmp_path / "films" / ".vidgen-films.json").mkdir()  # cannot be written, whoever runs this
    with pytest.warns(UserWarning, match="cannot be written .* its index of films is kept in .*cache"):
        VideoFolder(tmp_path / "films", frames=4, size=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(VideoFolder(tmp_path / "films", frames=4, size=16)) == 2
    assert [path.name for path in (tmp_path / "films").iterdir() if path.name.endswith(".part")] == []


def test_a_film_that_vanishes_or_changes_later_is_named(tmp_path, write_film):
    film = write_film(tmp_path / "a.mp4", 8)
    data = VideoFolder(tmp_path, frames=4, size=16)
    write_film(film, 5)
    assert frame_numbers(data[0]) == [0, 1, 2, 3]
    with pytest.raises(DataError, match="a.mp4: cannot be read any more .*not those of the index"):
        data[1]
    film.unlink()
    with pytest.raises(DataError, match="a.mp4: cannot be read any more"):
        data[0]


def test_numbers_and_indices_out_of_range_are_refused(tmp_path, write_film):
    write_film(tmp_path / "a.mp4", 8)
    with pytest.raises(ArgumentError, match="stride=0"):
        VideoFolder(tmp_path, stride=0)
    with pytest.raises(IndexError, match="clips 0 to 1"):
        VideoFolder(tmp_path, frames=4)[2]


def test_pictures_are_cut_square_on_three_channels(tmp_path, write_picture):
    write_picture(tmp_path / "a.png", 255)
    Image.new("L", (9, 20), 0).save(tmp_path / "sub.jpg")
    data = Images(tmp_path, 16)
    assert data[0]["image"].shape == (3, 16, 16) and data[0]["file"] == "a.png"
    assert data[0]["image"][:, 8, 8].tolist() == [1, -1, 1] and data[1]["image"].max() == -1


def test_damaged_pictures_are_reported_and_skipped_or_raise(tmp_path, write_picture):
    write_picture(tmp_path / "a.png", 1)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.jpg").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="skipped 2 of 3 pictures. cut.png: .*damaged.* noise.jpg: .*damaged"):
        assert Images(tmp_path, 16).names == ["a.png"]
    with pytest.raises(DataError, match="2 of 3 pictures cannot be used"):
        Images(tmp_path, 16, strict=True)
    with pytest.raises(DataError, match="holds no pictures"):
        (tmp_path / "none").mkdir()
        Images(tmp_path / "none")


def test_every_tenth_picture_is_test(tmp_path, write_picture):
    for k in range(20):
        write_picture(tmp_path / f"{k:02d}.png", k)
    assert Images(tmp_path, 8, split="test").names == ["09.png", "19.png"]
    assert len(Images(tmp_path, 8, split="train")) == 18 and len(Images(tmp_path, 8)) == 20
    for k in range(9, 20):
        (tmp_path / f"{k:02d}.png").unlink()
    with pytest.raises(DataError, match="9 pictures are too few for a test split"):
        Images(tmp_path, 8, split="test")
