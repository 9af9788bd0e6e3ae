"""The ladder: the same clips, spoilt in ways that a good metric must see, each worse than a person would let pass.

A number such as "FVD-digits 12" means nothing alone. Beside the rungs it does: is it nearer to faint noise, or to clips
that stand still? The lowest rung is the floor, real clips against other real clips.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from vidgen_lab.core import ArgumentError
from vidgen_lab.data import MovingDigits

FLOOR = "real clips"
RUNGS = (
    FLOOR,
    "faint noise",
    "heavy noise",
    "blur",
    "frames shuffled",
    "static clip",
    "one digit only",
    "one direction only",
    "new digit in each frame",
)
FAINT, HEAVY = 0.05, 0.3  # standard deviations of the noise, on the scale of [-1, 1]
ONE = 3  # the digit, and the direction, that is left when all others are gone


def rungs(n: int, seed: int = 0, **settings: Any) -> Iterator[tuple[str, Tensor]]:
    """Yields the name and n clips `(n, C, T, H, W)` in [-1, 1] of each rung, in the order of RUNGS.

    All are held-out clips of moving digits that share no draw with `reference(n, seed)`.

    Args:
        seed: other seed, other clips.
        settings: of `MovingDigits`: size, frames, color, subpixel. One digit a clip.
    """
    clips = _Held(n, seed + 1, settings)
    if clips.data.digits != 1:
        raise ArgumentError(f"digits={clips.data.digits}: the ladder is made of clips of one digit.")
    generator = torch.Generator().manual_seed(seed)
    real = clips.take()
    makers: dict[str, Callable[[], Tensor]] = {
        FLOOR: lambda: real,
        "faint noise": lambda: noisy(real, FAINT, generator),
        "heavy noise": lambda: noisy(real, HEAVY, generator),
        "blur": lambda: blurred(real),
        "frames shuffled": lambda: shuffled(real, generator),
        "static clip": lambda: real[:, :, :1].expand_as(real),
        "one digit only": lambda: clips.take("digit"),
        "one direction only": lambda: clips.take("direction"),
        "new digit in each frame": lambda: _Held(n, seed + 1, {**settings, "restless": True}).take(),
    }
    yield from ((name, makers[name]()) for name in RUNGS)


def reference(n: int, seed: int = 0, **settings: Any) -> Tensor:
    """The held-out clips `(n, C, T, H, W)` that every rung, and every model, is measured against."""
    return _Held(n, seed, settings).take()


def noisy(clips: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian noise on every pixel; what leaves [-1, 1] is clamped."""
    return (clips + sigma * torch.randn(clips.shape, generator=generator)).clamp_(-1, 1)


def blurred(clips: Tensor) -> Tensor:
    """Each pixel becomes the mean of the 3 x 3 around it."""
    return avg_pool3d(clips, (1, 3, 3), stride=1, padding=(0, 1, 1), count_include_pad=False)


def shuffled(clips: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The frames of each clip in a random order of its own."""
    n, _, frames = clips.shape[:3]
    order = torch.rand(n, frames, generator=generator).argsort(1)  # (n, T)
    return clips.gather(2, order[:, None, :, None, None].expand_as(clips))


class _Held:
    """Draws held-out clips, all of them or those with one value of a label."""

    def __init__(self, n: int, seed: int, settings: dict[str, Any]) -> None:
        if n < 1:
            raise ArgumentError(f"n={n}: ask for 1 clip or more.")
        # One clip in ten shows one digit and one in eight flies one way: more than enough are to choose from.
        self.n, self.data = n, MovingDigits("test", length=20 * n + 1000, seed=seed, **settings)

    def take(self, label: str = "") -> Tensor:
        """The first n clips; with a label, the first n that have the value ONE."""
        if not label:
            return self._clips(range(self.n))
        chosen: list[int] = []
        for rows in torch.arange(len(self.data)).split(500):
            values = self.data.__getitems__(rows.tolist())[label]
            chosen += rows[values == ONE].tolist()
            if len(chosen) >= self.n:
                break
        return self._clips(chosen[: self.n])

    def _clips(self, rows: Sequence[int]) -> Tensor:
        parts = torch.tensor(list(rows)).split(100)
        return torch.cat([self.data.__getitems__(part.tolist())["video"] for part in parts])
