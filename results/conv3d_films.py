"""Two streams on natural film: which pixels does the background hold, when the camera stands and when it pans?

    python -m vidgen_lab.data.natural --out films
    python results/conv3d_films.py films    writes results/conv3d-films.json and book/_static/conv3d/films*

An overfit, without a critic: every clip gets a latent of its own, and the generator is trained to draw that clip from
it, with VGAN's penalty on the mask. The panning camera is made from the same film: a window that slides over it. The
film of the city pans by itself.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from vidgen_lab import create_model, metrics, viz
from vidgen_lab.core import Model
from vidgen_lab.core.manifest import environment
from vidgen_lab.data import VideoFolder
from vidgen_lab.training.state import write_json
from vidgen_lab.viz.arrays import frames_of
from vidgen_lab.viz.files import mp4_bytes, write_bytes

ROOT = Path(__file__).resolve().parents[1]
FRAMES, STRIDE, SIZE = 16, 4, 64
WIDE, PAN = 96, 2  # side of the film that the window looks at, pixels; how far the window moves from frame to frame
SECONDS, BATCH, RATE, LATENT = 60.0, 8, 3e-3, 100
WIDTHS = (128, 64, 32, 16)


def clips(folder: Path, film: str, pan: int = 0) -> Tensor:
    """All clips of a film `(N, 3, T, SIZE, SIZE)`, seen through a window that moves `pan` pixels a frame."""
    data = VideoFolder(folder, frames=FRAMES, size=WIDE, stride=STRIDE, hop=6)
    whole = torch.stack([item["video"] for item in data if item["film"] == film])  # (N, 3, T, WIDE, WIDE)
    top, frames = WIDE - SIZE - 12, []
    for t in range(FRAMES):
        left = pan * t if pan else (WIDE - SIZE) // 2
        frames.append(whole[:, :, t, top : top + SIZE, left : left + SIZE])
    return torch.stack(frames, dim=2)


def generator(streams: int) -> Model:
    """vgan, or its one-stream form of the same widths."""
    shape: dict[str, Any] = {"frames": FRAMES, "size": SIZE, "channels": 3, "latent_dim": LATENT}
    name = "vgan" if streams == 2 else "c3dgan"
    return create_model(name, "ci", **shape, generator_widths=WIDTHS, discriminator_widths=WIDTHS[::-1])


def draw(model: Model, latent: Tensor) -> dict[str, Tensor]:
    """The parts of the clips; one stream has the video alone."""
    return model.streams(latent) if model.name == "vgan" else {"video": model.generator(latent)}


def overfit(real: Tensor, streams: int) -> dict[str, Any]:
    """Trains for `SECONDS` of CPU time; PSNR on the same clips, and how much of the mask is open."""
    rng = torch.Generator().manual_seed(0)
    latent, model = torch.randn(len(real), LATENT, generator=rng), generator(streams)
    optimizer = torch.optim.Adam(model.generator.parameters(), RATE, (0.9, 0.99))
    start, step = time.process_time(), 0
    while time.process_time() - start < SECONDS:
        rows = torch.randperm(len(real), generator=rng)[:BATCH]
        parts = draw(model, latent[rows])
        loss = (parts["video"] - real[rows]).abs().mean()
        if streams == 2:
            loss = loss + model.config.mask_sparsity * parts["mask"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    seconds = time.process_time() - start
    model.train()  # with the statistics of all clips together, as in training
    with torch.no_grad():
        parts = draw(model, latent)
    numbers = {"psnr": metrics.psnr(parts["video"], real).value, "steps": step, "cpu_seconds": round(seconds, 1)}
    still = real.mean(2, keepdim=True).expand_as(real)
    numbers |= {"clips": len(real), "psnr_of_the_mean_frame": metrics.psnr(still, real).value}
    if streams == 2:
        mask = parts["mask"]
        behind = parts["background"].expand_as(real)
        numbers |= {
            "mask": mask.mean().item(),
            "open": (mask > 0.5).float().mean().item(),
            "psnr_of_the_background": metrics.psnr(behind, real).value,
        }
    return {"numbers": numbers, "parts": parts}


def main() -> None:
    """Fits all, draws, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, help="folder that python -m vidgen_lab.data.natural wrote")
    folder = parser.parse_args().films
    torch.set_num_threads(1)
    cases = {
        "still": (clips(folder, "bunny.mp4"), 2),
        "panning": (clips(folder, "bunny.mp4", PAN), 2),
        "city": (clips(folder, "city-2.mp4"), 2),
        "panning, one stream": (clips(folder, "bunny.mp4", PAN), 1),
    }
    table, shown = {}, []
    for name, (real, streams) in cases.items():
        fitted = overfit(real, streams)
        table[name] = fitted["numbers"]
        print(name, table[name], flush=True)
        parts = fitted["parts"]
        if streams == 2:
            row = len(real) // 2
            strips = [real, parts["video"], 2 * parts["mask"] - 1, parts["foreground"], parts["background"]]
            shown.append([strip[row : row + 1].expand(1, 3, FRAMES, SIZE, SIZE) for strip in strips])
    out = ROOT / "book" / "_static" / "conv3d"
    for name, strips in zip(("still", "panning", "city"), shown, strict=True):
        viz.save(torch.cat(strips)[:, :, ::3], out / f"films-{name}.png")
    film = torch.cat([strip for strips in shown for strip in strips])
    frames = frames_of(interpolate(film, scale_factor=(1, 2, 2), mode="nearest"), columns=5)
    write_bytes(out / "films.mp4", mp4_bytes(frames, fps=8))
    protocol = {
        "frames": FRAMES,
        "stride": STRIDE,
        "size": SIZE,
        "batch_size": BATCH,
        "seconds": SECONDS,
        "pan": PAN,
        "lr": RATE,
    }
    manifest = {"command": "python results/conv3d_films.py films", **environment(), "protocol": protocol}
    write_json(ROOT / "results" / "conv3d-films.json", {**manifest, "rows": table})


if __name__ == "__main__":
    main()
