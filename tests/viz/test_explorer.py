import base64
import io
import math
import re

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image

from vidgen_lab import viz
from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.viz.explorer import draw_latent, slerp


def decode(latent: torch.Tensor) -> torch.Tensor:
    """The k-th pixel of the image is the k-th coordinate of the latent."""
    assert latent.shape == (1, 4)
    return torch.tanh(latent).view(1, 1, 2, 2)


def decode_clip(latent: torch.Tensor) -> torch.Tensor:
    return decode(latent)[:, :, None].repeat(1, 1, 3, 1, 1)


def controls(explorer: widgets.VBox) -> dict[str, widgets.Widget]:
    return {widget.description: widget for widget in explorer.children[:-1]}


def seen(explorer: widgets.VBox) -> torch.Tensor:
    """The latent that the picture on the screen was decoded from, as far as its grey levels tell."""
    png = base64.b64decode(re.search(r"base64,([^\"]+)", explorer.children[-1].value)[1])
    pixels = np.asarray(Image.open(io.BytesIO(png)))[::96, ::96].reshape(-1)
    return torch.from_numpy(pixels / 127.5 - 1).float()


def test_the_explorer_starts_at_the_sample_of_its_seed():
    explorer = viz.latent_explorer(decode, 4, seed=3)
    assert torch.allclose(seen(explorer), torch.tanh(draw_latent(4, 3))[0], atol=0.005)


def test_moving_a_slider_redraws_and_shifts_its_direction_alone():
    explorer = viz.latent_explorer(decode, 4, dims=[1, 2])
    before = seen(explorer)
    controls(explorer)["z[2]"].value = 1.5
    after = seen(explorer)
    shifted = draw_latent(4, 0)
    shifted[0, 2] += 1.5
    assert torch.allclose(after, torch.tanh(shifted)[0], atol=0.005)
    assert (before != after).tolist() == [False, False, True, False]


def test_the_seed_boxes_and_the_mix_lead_from_one_sample_to_another():
    explorer = viz.latent_explorer(decode, 4, seed=5)
    controls(explorer)["to seed"].value = 9
    controls(explorer)["mix"].value = 1.0
    assert torch.allclose(seen(explorer), torch.tanh(draw_latent(4, 9))[0], atol=0.005)
    controls(explorer)["mix"].value = 0.0
    controls(explorer)["seed"].value = 11
    assert torch.allclose(seen(explorer), torch.tanh(draw_latent(4, 11))[0], atol=0.005)


def test_a_clip_is_explored_in_a_player():
    explorer = viz.latent_explorer(decode_clip, 4, alt="a clip")
    before = explorer.children[-1].value
    controls(explorer)["z[0]"].value = -2.0
    assert "<video" in before and 'aria-label="a clip"' in before
    assert explorer.children[-1].value != before


def test_the_picture_for_the_static_page_walks_each_direction_in_a_row():
    walk = viz.explorer_picture(decode, 4, dims=[3, 0], steps=5, alt="a walk")
    pixels = np.asarray(Image.open(io.BytesIO(walk.png)))
    scale = walk.width // (5 * 2 + 4 * 2)
    small = pixels[::scale, ::scale] / 127.5 - 1
    base = draw_latent(4, 0)[0]
    for column, shift in enumerate((-3, -1.5, 0, 1.5, 3)):
        assert small[1, 4 * column + 1] == pytest.approx(float(torch.tanh(base[3] + shift)), abs=0.005)
        assert small[4, 4 * column] == pytest.approx(float(torch.tanh(base[0] + shift)), abs=0.005)
    assert "<video" in viz.explorer_picture(decode_clip, 4, alt="a walk")._repr_html_()


def test_the_way_between_two_latents_keeps_their_length():
    def at(angle: float) -> torch.Tensor:
        return 3 * torch.tensor([[math.cos(angle), math.sin(angle)]])

    for whole in (0.05, 1.2, 3.0):
        for mix in (0.0, 0.25, 0.5, 1.0):
            assert torch.allclose(slerp(at(0), at(whole), mix), at(mix * whole), atol=1e-4)


def test_where_there_is_no_arc_the_way_is_straight():
    start = torch.tensor([[3.0, 0.0]])
    assert torch.allclose(slerp(start, start, 0.5), start)
    assert torch.allclose(slerp(start, 2 * start, 0.5), 1.5 * start)
    assert torch.allclose(slerp(start, -start, 0.25), 0.5 * start, atol=1e-4)  # opposite: every arc is as good


@pytest.mark.parametrize("dims", [[4], [-1], []])
def test_a_direction_that_does_not_exist_is_refused(dims):
    with pytest.raises(ArgumentError, match="dims=.*0 to 3"):
        viz.latent_explorer(decode, 4, dims=dims)
