import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from vidgen_lab import viz
from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.viz import figures

HISTORY = [{"step": s, "discriminator/real": 0.7, "generator/loss": float(s % 2), "note": "x"} for s in range(100)]


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two colours, 1 to 21."""

    def luminance(color: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_the_first_colours_stand_out_from_the_card():
    assert contrast(figures.INK, figures.CARD) >= 7
    assert min(contrast(color, figures.CARD) for color in figures.COLORS[:3]) >= 3


def test_a_figure_is_a_light_card_with_clear_round_corners():
    fig, _ = viz.figure(alt="empty axes")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGBA"))
    assert pixels[0, 0, 3] == 0 and pixels[-1, -1, 3] == 0  # the page shows through
    assert pixels[3, 320].tolist() == [250, 250, 250, 255]
    assert pixels[180, 2].tolist() == [250, 250, 250, 255]


def test_lines_take_the_colours_in_order_and_the_users_style_is_left_alone():
    with mpl.rc_context({"lines.linewidth": 7.0}):
        _, axes = viz.figure(1, 2, alt="two lines", sharey=True)
        lines = [axes[1].plot([0, k])[0].get_color() for k in range(2)]
        assert tuple(lines) == figures.COLORS[:2]
        assert mpl.rcParams["lines.linewidth"] == 7.0


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_figure_is_the_same_file_with_its_alt_text_inside(tmp_path, suffix):
    one, two = (viz.save_figure(viz.curves(HISTORY, alt="flat & noisy"), tmp_path / f"{name}{suffix}") for name in "ab")
    assert one.read_bytes() == two.read_bytes()
    if suffix == ".svg":
        assert "<title>flat &amp; noisy</title>" in one.read_text() and "<dc:date>" not in one.read_text()
    else:
        assert Image.open(one).text == {"Description": "flat & noisy"}


def test_a_figure_is_saved_as_png_or_svg_only(tmp_path):
    with pytest.raises(ArgumentError, match=r'".pdf". Choose .png or .svg'):
        viz.save_figure(viz.figure(alt="empty axes")[0], tmp_path / "a.pdf")


def test_alt_text_is_required_and_kept():
    with pytest.raises(TypeError, match="alt"):
        viz.figure()
    with pytest.raises(ArgumentError, match="alt=''"):
        viz.figure(alt="")
    assert viz.curves(HISTORY, alt="flat").alt == "flat"


def test_curves_draw_each_number_faint_as_it_was_and_bold_as_its_mean():
    (ax,) = viz.curves(HISTORY, alt="flat and noisy").axes
    smooth = {line.get_label(): line.get_ydata() for line in ax.lines if not line.get_label().startswith("_")}
    assert list(smooth) == ["discriminator/real", "generator/loss"]
    assert np.allclose(smooth["discriminator/real"], 0.7)
    assert np.abs(smooth["generator/loss"][5:-5] - 0.5).max() < 0.05
    raw = [line for line in ax.lines if line.get_alpha() is not None]
    assert np.array_equal(raw[1].get_ydata(), np.arange(100) % 2)


def test_curves_take_chosen_keys_that_not_every_record_holds():
    history = [{"step": 0, "a": 1.0}, {"step": 1, "b": 2.0}, {"step": 2, "a": 3.0}]
    (ax,) = viz.curves(history, ["a"], alt="a rises").axes
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[0.0, 1.0], [2.0, 3.0]]]


@pytest.mark.parametrize(
    ("history", "keys", "message"),
    [
        (HISTORY, ["generator/los"], 'no curve "generator/los"; did you mean "generator/loss"'),
        ([], None, "history"),
        ([{"loss": 1.0}], None, "step"),
    ],
)
def test_curves_that_cannot_be_drawn_are_explained(history, keys, message):
    with pytest.raises(ArgumentError, match=message):
        viz.curves(history, keys, alt="nothing")


def test_points_draw_both_sets_where_they_are_and_name_them():
    _, ax = viz.figure(alt="points")
    real, fake = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 5.0]])
    viz.points(real, fake, ax)
    assert [c.get_offsets().tolist() for c in ax.collections] == [real.tolist(), fake.tolist()]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["real", "fake"]
    with pytest.raises(ArgumentError, match=r"fake of shape \(1, 3\)"):
        viz.points(real, torch.zeros(1, 3), ax)


def test_a_landscape_puts_x_across_and_y_up():
    fig, ax = viz.figure(alt="a slope")
    net = torch.nn.Linear(2, 1)  # needs gradients, gives (N, 1)
    net.weight.data, net.bias.data = torch.tensor([[1.0, 10.0]]), torch.zeros(1)
    contours = viz.landscape(net, ax, extent=(0, 1, 0, 2))
    assert contours.zmin == 0.0 and contours.zmax == 21.0
    assert ax.get_xlim() == (0, 1) and ax.get_ylim() == (0, 2)
    right_bottom, left_top = contours.get_paths()[0], contours.get_paths()[-1]
    assert right_bottom.contains_point((0.9, 0.05)) and left_top.contains_point((0.9, 1.95))
    with pytest.raises(ArgumentError, match="one value a point"):
        viz.landscape(lambda plane: plane, ax)
