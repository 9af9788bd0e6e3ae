"""Which way does the digit of a clip veer? `turn_of(clips)` says it from the path of the digit's centre.

    python results/continuous_turns.py    writes results/continuous-turns.json: how often it is right on held-out clips,
                                          and what a second reading, `bend_of`, says of real and of generated clips

A digit of `turn=True` data flies straight up to frame T/2 - 1 and then veers by 90 degrees, left or right; walls
reflect it all the time. All such paths are known: for each velocity at the bend, each turn and many places of the bend
the path is laid beside the track of the centre. The turn of the nearest path is the answer. Vertical and horizontal
motion fit apart. Digits are centred by the box around their ink, so the middle of that box, over all frames, says how
far the track lies from the path. Where a wall stands at the bend, both turns may look the same.

The second reading needs no known path: the network digits-3d reads the direction after the bend, and in the first half
played backwards the one before it. What lies between them is the bend.
"""

import time
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from vidgen_lab import load_pretrained
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits
from vidgen_lab.data.moving import DIGIT_SIDE, UNIT
from vidgen_lab.training.state import write_json

ROOT = Path(__file__).resolve().parents[1]
CLIPS, SEED = 2000, 0
PLACES = 49  # of the bend along an axis
SLACK = 0.25  # pixels: how far the middle of the box may be missed


def track(clips: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ink is, that is what is brighter than 0.2 of white: `(B, 1, T, S, S)` in [-1, 1].

    Returns:
        The centre of its mass and the middle of the box around it, each `(B, T, 2)`.
    """
    ink = ((clips[:, 0] + 1) / 2 - 0.2).clamp(min=0)
    sides = torch.stack([ink.sum(3), ink.sum(2)], dim=2)  # (B, T, 2, S)
    place = torch.arange(clips.shape[-1], dtype=ink.dtype)
    mass = (sides * place).sum(3) / sides.sum(3).clamp(min=1e-6)
    there = sides > 0.05 * sides.amax(3, keepdim=True)
    last = torch.where(there, place, -1.0).amax(3)
    first = torch.where(there, place, float(clips.shape[-1])).amin(3)
    return mass, (first + last) / 2


@cache
def paths(frames: int, size: int) -> Tensor:
    """Paths of the middle of a digit along each axis: `(velocities at the bend, 2 turns, 2 axes, places, T)`."""
    room, bend = size - DIGIT_SIDE[size], frames // 2 - 1
    before = torch.cat([torch.from_numpy(UNIT) * speed * size / 32 for speed in (1, 2)]).float()  # (16, 2), y and x
    left = torch.stack([-before[:, 1], before[:, 0]], dim=1)  # anticlockwise, with y pointing down
    after = torch.stack([left, -left], dim=1)[..., None]  # (16, 2, 2, 1)
    moment = torch.arange(frames) - bend
    way = torch.where(moment < 0, before[:, None, :, None], after) * moment  # (16, 2, 2, T)
    phase = (torch.linspace(0, room, PLACES)[:, None] + way[..., None, :]).remainder(2 * room)
    return torch.minimum(phase, 2 * room - phase) + (DIGIT_SIDE[size] - 1) / 2


def misses(clips: Tensor) -> Tensor:
    """How far the nearest path of each turn is from the track, pixels, root mean square: `(B, 2)`, left and right."""
    known, found = paths(clips.shape[2], clips.shape[-1]), []
    for part in clips.split(64):
        mass, middle = (each.transpose(1, 2)[:, None, None, :, None] for each in track(part))
        offset = (mass - middle).median(-1, keepdim=True).values
        gap = mass - known  # (B, 16, 2, 2, places, T)
        mean = gap.mean(-1, keepdim=True)
        gap = gap - torch.minimum(torch.maximum(mean, offset - SLACK), offset + SLACK)
        squares = gap.square().mean(-1).amin(-1)  # (B, 16, 2, 2): the best place
        found.append(squares.sum(3).amin(1).sqrt())  # both axes; the best velocity
    return torch.cat(found)


def turn_of(clips: Tensor) -> Tensor:
    """Clips `(B, 1, T, S, S)` in [-1, 1] to `(B,)`: 0 left, 1 right, an index into TURNS."""
    return misses(clips).argmin(1)


@torch.no_grad()
def bend_of(clips: Tensor, reader: Model) -> Tensor:
    """Clips `(B, 1, T, S, S)` to `(B,)`: eighths of a turn at the bend, anticlockwise; 2 is left, 6 right, 0 straight.

    `reader` is digits-3d.
    """
    bend = clips.shape[2] // 2 - 1
    halves = clips[:, :, : bend + 1].flip(2), clips[:, :, bend:]
    before, after = (
        torch.cat([reader.logits(part)["direction"].argmax(1) for part in half.split(128)]) for half in halves
    )
    return (after - before - 4) % 8  # played backwards, a digit flies the opposite way


def bends(clips: Tensor, reader: Model) -> dict[str, float]:
    """Shares of the clips that go straight on, that veer left and right by a right angle, and of all others."""
    share = torch.bincount(bend_of(clips, reader), minlength=8) / len(clips)
    straight, left, right = share[[0, 2, 6]].tolist()
    return {"straight": straight, "left": left, "right": right, "other": 1 - straight - left - right}


def main() -> None:
    """Measures on held-out clips and on those of models that ship, writes."""
    torch.set_num_threads(1)
    begun = time.process_time()
    batch = MovingDigits("test", turn=True, length=CLIPS, seed=SEED).__getitems__(range(CLIPS))
    miss = misses(batch["video"])
    right, clear = miss.argmin(1) == batch["turn"], miss.amax(1) > 2 * miss.amin(1)
    found = {
        "accuracy": right.float().mean().item(),
        "clear": clear.float().mean().item(),  # the other turn misses twice as far
        "accuracy where clear": right[clear].float().mean().item(),
        "miss": miss.amin(1).mean().item(),
        "miss of the other turn": miss.amax(1).mean().item(),
    }
    reader = load_pretrained("digits-3d")
    veered = bend_of(batch["video"], reader)
    told = (veered == 2) | (veered == 6)
    straight = MovingDigits("test", length=CLIPS, seed=SEED).__getitems__(range(CLIPS))["video"]
    found["bend"] = {
        "accuracy where left or right": ((veered == 6).long() == batch["turn"])[told].float().mean().item(),
        "real": bends(batch["video"], reader),
        "real, straight": bends(straight, reader),
    }
    for name in ("mocogan-ode", "mocogan-sde"):
        model, generator = load_pretrained(name), torch.Generator().manual_seed(SEED)
        drawn = torch.cat([model.sample(100, generator=generator) for _ in range(CLIPS // 100)])
        found["bend"][name] = bends(drawn, reader)
    print(found)
    manifest = {"command": "python results/continuous_turns.py", **environment()}
    spent = {"cpu_seconds": round(time.process_time() - begun, 1)}
    stated = {"split": "test", "clips": CLIPS, "seed": SEED, "size": 32, "frames": 16, "turn": True}
    write_json(ROOT / "results" / "continuous-turns.json", manifest | spent | {"protocol": stated} | found)


if __name__ == "__main__":
    main()
