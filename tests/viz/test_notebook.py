import base64
import io
import re

import av
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

from vidgen_lab import viz
from vidgen_lab.core.errors import ArgumentError

IMAGES = torch.linspace(-1, 1, 4 * 28 * 28).view(4, 1, 28, 28)
CLIPS = torch.linspace(-1, 1, 2 * 16 * 32 * 32).view(2, 1, 16, 32, 32)


def displayed(*args, **kwargs) -> dict:
    """What a notebook would store for `show(...)`."""
    InteractiveShell.instance()
    with capture_output() as captured:
        viz.show(*args, **kwargs)
    (output,) = captured.outputs
    return output.data


def embedded(page: str) -> bytes:
    return base64.b64decode(re.search(r'src="data:[^;]+;base64,([^"]+)"', page)[1])


def test_images_show_as_html_with_alt_text_as_png_for_print_and_as_a_stable_line():
    data = displayed(IMAGES, alt='a "seven" & more')
    assert 'alt="a &quot;seven&quot; &amp; more"' in data["text/html"]
    assert data["text/plain"] == '4 images of 28x28: a "seven" & more'
    assert embedded(data["text/html"]) == base64.b64decode(data["image/png"])


def test_small_images_are_enlarged_pixel_by_pixel():
    page = viz.picture(IMAGES[:1], alt="one")
    shown = np.asarray(Image.open(io.BytesIO(page.png)).convert("RGB"))
    assert shown.shape == (168, 168, 3) and 'width="168"' in page._repr_html_()
    assert np.array_equal(shown[::6, ::6], viz.grid(IMAGES[:1]))
    assert "image-rendering:pixelated" in page._repr_html_()
    assert viz.picture(IMAGES, alt="four", scale=1).width == 58


@pytest.mark.parametrize(("count", "side", "width"), [(1, 32, 192), (1, 64, 192), (64, 28, 476), (1, 256, 256)])
def test_a_clip_is_about_192_pixels_wide_and_a_grid_fits_the_page(count, side, width):
    assert viz.picture(torch.zeros(count, 1, side, side), alt="grey").width == width


def test_a_player_is_an_embedded_looping_video_with_a_name_for_screen_readers():
    player = viz.player(CLIPS[:1], alt="a <ramp>", fps=4)
    page = player._repr_html_()
    tag = re.match(r"<video ([^>]*?)src=", page)[1]
    assert {"controls", "loop", "muted", "playsinline", "autoplay"} <= set(tag.split())
    assert 'aria-label="a &lt;ramp&gt;"' in tag and 'width="192"' in tag
    with av.open(io.BytesIO(embedded(page))) as film:
        stream = film.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert float(stream.average_rate) == 4 and stream.codec_context.pix_fmt == "yuv420p"
    assert len(frames) == 16 and frames[0].shape == (64, 64, 3)  # the page shows it three times as large
    true = viz.filmstrip(CLIPS[:1], pad=0)[:, :32].repeat(2, 0).repeat(2, 1)
    assert np.abs(frames[0].astype(int) - true).mean() < 2


def test_a_player_prints_as_a_filmstrip_and_one_line_of_text():
    data = displayed(CLIPS, alt="two ramps")
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"))
    assert np.array_equal(strip[::2, ::2], viz.filmstrip(CLIPS, frames=8))
    assert data["text/plain"] == "2 clips of 16 frames of 32x32: two ramps"


def test_the_filmstrip_of_colour_clips_has_256_colours_and_looks_the_same():
    clips = torch.rand(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    strip = Image.open(io.BytesIO(viz.player(clips, alt="noise").png))
    assert strip.mode == "P"
    true = viz.filmstrip(clips).astype(int)
    assert np.abs(np.asarray(strip.convert("RGB"))[::2, ::2] - true).mean() < 16  # noise: the worst case


def test_the_same_samples_store_the_same_output():
    assert displayed(CLIPS, alt="ramps") == displayed(CLIPS.clone(), alt="ramps")


def test_a_title_is_the_caption():
    assert ">1 &lt; 2</figcaption>" in displayed(IMAGES, "1 < 2", alt="ramps")["text/html"]


def test_a_figure_shows_with_its_own_alt_text():
    fig, ax = viz.figure(alt="a line")
    ax.plot([0, 1])
    data = displayed(fig)
    assert 'alt="a line"' in data["text/html"] and "pixelated" not in data["text/html"]
    assert data["text/plain"] == "Figure of 640x360: a line"
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (1280, 720)


@pytest.mark.parametrize("alt", [None, "", "  "])
@pytest.mark.parametrize("call", [viz.show, viz.picture, viz.player])
def test_alt_text_is_required(call, alt):
    samples = CLIPS if call is viz.player else IMAGES
    with pytest.raises(ArgumentError, match="alt="):
        call(samples, alt=alt)


def test_scale_must_enlarge():
    with pytest.raises(ArgumentError, match="scale=0"):
        viz.picture(IMAGES, alt="ramps", scale=0)
