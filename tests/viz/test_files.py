import io
import resource

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from vidgen_lab import viz
from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.files import mp4_bytes

IMAGES = torch.linspace(-1, 1, 6 * 3 * 8 * 8).view(6, 3, 8, 8)


def clips(count: int = 2, channels: int = 3, frames: int = 6, height: int = 16, width: int = 16) -> torch.Tensor:
    """A bright bar that moves right, on a ground of its own colour; large flat areas, as a codec likes them."""
    video = torch.full((count, channels, frames, height, width), -0.6)
    video[:, 0] = 0.4
    for t in range(frames):
        video[:, :, t, :, 2 * t : 2 * t + 4] = 0.9
    return video


def read_mp4(content: bytes) -> tuple[np.ndarray, float]:
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        return frames, float(stream.average_rate)


def test_a_png_of_images_is_their_grid(tmp_path):
    path = viz.save(IMAGES, tmp_path / "grid.png")
    assert np.array_equal(np.asarray(Image.open(path)), viz.grid(IMAGES))


def test_a_png_of_clips_is_their_filmstrip(tmp_path):
    path = viz.save(clips(), tmp_path / "strip.png")
    assert np.array_equal(np.asarray(Image.open(path)), viz.filmstrip(clips()))


def test_a_grey_png_is_exact_in_one_channel(tmp_path):
    with Image.open(viz.save(IMAGES[:, :1], tmp_path / "grid.png")) as stored:
        assert stored.mode == "L"
        assert np.array_equal(np.asarray(stored.convert("RGB")), viz.grid(IMAGES[:, :1]))


def test_a_grey_gif_is_exact_loops_and_keeps_time(tmp_path):
    video = clips(channels=1)
    with Image.open(viz.save(video, tmp_path / "clips.gif", fps=8)) as gif:
        assert gif.n_frames == 6 and gif.info["loop"] == 0
        durations, frames = [], []
        for index in range(gif.n_frames):
            gif.seek(index)
            durations.append(gif.info["duration"])
            frames.append(np.asarray(gif.convert("RGB")))
    assert sum(durations) == 750 and set(durations) == {120, 130}  # six eighths of a second
    assert np.array_equal(np.stack(frames), frames_of(video))


def test_a_colour_gif_keeps_its_colours(tmp_path):
    video = clips()
    with Image.open(viz.save(video, tmp_path / "clips.gif")) as gif:
        gif.seek(3)
        seen = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(seen - frames_of(video)[3]).max() <= 3


def test_an_mp4_is_h264_with_the_right_frames_rate_and_colours(tmp_path):
    video = clips(1, height=32, width=32)
    frames, rate = read_mp4(viz.save(video, tmp_path / "clips.mp4", fps=12.5).read_bytes())
    assert rate == 12.5
    assert frames.shape == (6, 32, 32, 3)
    assert np.abs(frames.astype(int) - frames_of(video)).mean() < 2
    assert np.abs(frames[0, 16, 24].astype(int) - frames_of(video)[0, 16, 24]).max() <= 6  # red stays red


def test_odd_sides_gain_a_grey_row_and_column_in_mp4(tmp_path):
    video = torch.ones(1, 1, 3, 27, 25)
    frames, _ = read_mp4(viz.save(video, tmp_path / "odd.mp4").read_bytes())
    assert frames.shape == (3, 28, 26, 3)
    assert frames[0, :26, :24].min() > 240 and np.abs(frames[0, 27].astype(int) - 128).mean() < 30


def test_safetensors_hold_the_very_same_numbers(tmp_path):
    samples = torch.randn(2, 3, 8, 8).transpose(2, 3)
    assert torch.equal(load_file(viz.save(samples, tmp_path / "raw.safetensors"))["samples"], samples)


@pytest.mark.parametrize(
    ("samples", "name", "message"),
    [
        (IMAGES, "grid.jpg", r'images cannot be saved as ".jpg". Choose .png, .safetensors'),
        (IMAGES, "grid.mp4", r'images cannot be saved as ".mp4". Choose .png, .safetensors'),
        (clips(), "clips", r'clips cannot be saved as "". Choose .png, .gif, .mp4, .safetensors'),
        (IMAGES[0], "one.png", r"samples of shape \(3, 8, 8\)"),
        (IMAGES * 2, "wild.png", "clip=True"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path, samples, name, message):
    with pytest.raises(ArgumentError, match=message):
        viz.save(samples, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "fps"), [("a.gif", 0), ("a.gif", 60), ("a.mp4", 0)])
def test_a_frame_rate_that_no_player_keeps_is_refused(tmp_path, name, fps):
    with pytest.raises(ArgumentError, match=f"fps={fps}"):
        viz.save(clips(), tmp_path / name, fps=fps)


def test_folders_on_the_way_are_made_and_an_upper_case_suffix_works(tmp_path):
    assert viz.save(IMAGES, tmp_path / "new" / "folder" / "GRID.PNG").is_file()


def test_a_path_below_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ArgumentError, match="cannot be written.*Choose a folder"):
        viz.save(IMAGES, tmp_path / "file" / "grid.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_stops_half_way_keeps_the_old_file_and_leaves_no_half_of_the_new_one(tmp_path):
    path = viz.save(IMAGES, tmp_path / "grid.png")
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the system refuses the 101st byte, as a full disk would
    try:
        with pytest.raises(ArgumentError, match="cannot be written: File too large"):
            viz.save(-IMAGES, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_the_same_clips_give_the_same_bytes(tmp_path, suffix):
    one, two = (viz.save(clips(), tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("width", [32, 162, 194])
def test_an_mp4_is_the_same_bytes_each_time_at_any_width(width):
    noise = np.random.default_rng(0).integers(0, 256, (6, 50, width, 3), dtype=np.uint8)
    assert len({mp4_bytes(noise, 8) for _ in range(8)}) == 1
