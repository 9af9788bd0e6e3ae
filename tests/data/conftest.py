"""Films and pictures made for a test."""

import av
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_film():
    def write(path, frames=20, width=32, height=32, *, codec="libx264", gop=4, options=None, faststart=False, noise=0):
        """A film whose frame k is all of the grey 8 * k, but for noise: which frame was read can be seen."""
        rng = np.random.default_rng(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options={"movflags": "faststart"} if faststart else {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.gop_size = gop
            stream.codec_context.thread_count = 1
            stream.options = {"crf": "5"} if options is None else options
            for k in range(frames):
                grey = np.full((height, width, 3), 8 * k % 256) + rng.integers(-noise, noise + 1, (height, width, 3))
                picture = grey.clip(0, 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def write_picture():
    def write(path, shade, size=(40, 30)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (shade, 0, 255)).save(path)

    return write
