"""Move a latent, see the sample: with sliders in a live notebook, as a picture on a static page."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vidgen_lab.core.errors import ArgumentError
from vidgen_lab.viz.notebook import Picture, picture, player

Decode = Callable[[Tensor], Tensor]


def latent_explorer(
    decode: Decode,
    latent_dim: int,
    *,
    seed: int = 0,
    dims: Sequence[int] | None = None,
    alt: str = "The decoded sample",
) -> Any:
    """Sliders for a latent and the sample it decodes to, as an `ipywidgets.VBox` (7.7 or later).

    `decode` maps a latent `(1, latent_dim)` to an image `(1, C, H, W)` or a clip `(1, C, T, H, W)` in [-1, 1]. The
    latent is drawn from one seed, turned towards that of a second by `mix`, then shifted along `dims` (by default the
    first four), at most three standard deviations either way. Raises ArgumentError for a dimension that does not exist.
    """
    import ipywidgets as widgets

    dims = _checked(dims, latent_dim)
    first = widgets.BoundedIntText(value=seed, min=0, max=2**31 - 1, description="seed")
    second = widgets.BoundedIntText(value=seed + 1, min=0, max=2**31 - 1, description="to seed")
    mix = widgets.FloatSlider(value=0.0, min=0.0, max=1.0, step=0.02, description="mix")
    shifts = [widgets.FloatSlider(value=0.0, min=-3.0, max=3.0, step=0.1, description=f"z[{dim}]") for dim in dims]
    screen = widgets.HTML()

    def redraw(change: Any = None) -> None:
        latent = slerp(draw_latent(latent_dim, first.value), draw_latent(latent_dim, second.value), mix.value)
        for dim, shift in zip(dims, shifts, strict=True):
            latent[:, dim] += shift.value
        screen.value = _look(decode, [latent], 1, alt)._repr_html_()

    controls = [first, second, mix, *shifts]
    for control in controls:
        control.observe(redraw, names="value")
    redraw()
    return widgets.VBox([*controls, screen])


def explorer_picture(
    decode: Decode,
    latent_dim: int,
    *,
    alt: str,
    seed: int = 0,
    dims: Sequence[int] | None = None,
    steps: int = 7,
    title: str | None = None,
) -> Picture:
    """What the sliders do, on one picture: a row for each of `dims`, shifted from -3 to 3 in `steps` columns.

    Images give a grid, clips a player. `decode`, `latent_dim`, `seed`, `dims`: see `latent_explorer`.
    """
    latents = []
    for dim in _checked(dims, latent_dim):
        for shift in torch.linspace(-3, 3, steps):
            latent = draw_latent(latent_dim, seed)
            latent[:, dim] += shift
            latents.append(latent)
    return _look(decode, latents, steps, alt, title)


def draw_latent(latent_dim: int, seed: int) -> Tensor:
    """Gaussian noise `(1, latent_dim)`, on the CPU, from the seed alone."""
    return torch.randn(1, latent_dim, generator=torch.Generator().manual_seed(seed))


def slerp(start: Tensor, end: Tensor, mix: float) -> Tensor:
    """From `start` (mix 0) to `end` (mix 1), each `(1, Z)`, along the arc: where both are of one length, it is kept.

    A straight line would pass near the origin, where Gaussian noise of many dimensions never is. It is taken only
    where no arc is singled out: between latents of the same direction, and between opposite ones.
    """
    angle = torch.acos((torch.nn.functional.normalize(start) * torch.nn.functional.normalize(end)).sum().clamp(-1, 1))
    if angle.sin() < 1e-4:
        return start + mix * (end - start)
    return (torch.sin((1 - mix) * angle) * start + torch.sin(mix * angle) * end) / torch.sin(angle)  # eq. (dcgan-slerp)


def _look(decode: Decode, latents: list[Tensor], columns: int, alt: str, title: str | None = None) -> Picture:
    with torch.no_grad():
        samples = torch.cat([decode(latent) for latent in latents])
    view = player if samples.ndim == 5 else picture
    return view(samples, title, alt=alt, columns=columns)


def _checked(dims: Sequence[int] | None, latent_dim: int) -> list[int]:
    chosen = list(range(min(4, latent_dim))) if dims is None else list(dims)
    wrong = [dim for dim in chosen if not 0 <= dim < latent_dim]
    if wrong or not chosen:
        raise ArgumentError(f"dims={chosen}: choose one or more of 0 to {latent_dim - 1}, the latent has {latent_dim}.")
    return chosen
