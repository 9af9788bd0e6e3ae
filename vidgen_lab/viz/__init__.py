"""Pictures, films and figures of any model's samples: for files, notebooks and the book."""

from vidgen_lab.viz.arrays import filmstrip, grid, to_uint8, x_t_slice
from vidgen_lab.viz.explorer import explorer_picture, latent_explorer
from vidgen_lab.viz.figures import curves, figure, landscape, points, save_figure
from vidgen_lab.viz.files import save
from vidgen_lab.viz.notebook import picture, player, show

__all__ = [
    "curves",
    "explorer_picture",
    "figure",
    "filmstrip",
    "grid",
    "landscape",
    "latent_explorer",
    "picture",
    "player",
    "points",
    "save",
    "save_figure",
    "show",
    "to_uint8",
    "x_t_slice",
]
