"""Memory stays flat: what reading 100,000 clips from shards, and from a folder of films, adds to the process.

    OMP_NUM_THREADS=1 python benchmarks/data_memory.py --json results/data-memory.json

The clips are tiny, so that this ends in minutes; they are written to a scratch folder first. Each source is then read
in a fresh process through `batches`, as in training. Memory is the resident set, taken before the data set is opened
and after every hundredth of the clips; the figure is the most of it less the first.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from datetime import date
from pathlib import Path

import av
import numpy as np
import psutil
import torch

from vidgen_lab.core.manifest import environment
from vidgen_lab.data import MovingDigits, Shards, VideoFolder, batches, write_shards

FRAMES, SIZE, BATCH = 4, 16, 50
ALLOWED_MB = 300


def write_films(folder: Path, clips: int, films: int) -> None:
    """Films of 32x32 pixels whose overlapping clips are together `clips`."""
    folder.mkdir()
    length = clips // films + FRAMES - 1
    for number in range(films):
        shades = np.random.default_rng(number).integers(0, 256, (length, 4, 4, 3), dtype=np.uint8)
        with av.open(str(folder / f"{number:03d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "4"})
            stream.width = stream.height = 32
            stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
            for picture in shades.repeat(8, 1).repeat(8, 2):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())


def read(source: str, folder: Path, clips: int, answer) -> None:
    """Read `clips` clips and send the memory in MB along the way. Runs in a process of its own."""
    torch.set_num_threads(1)
    process = psutil.Process(os.getpid())
    memory, start = [process.memory_info().rss / 1e6], time.process_time()
    dataset = Shards(folder) if source == "shards" else VideoFolder(folder, frames=FRAMES, size=SIZE, hop=1)
    stream, seen = batches(dataset, BATCH), 0
    while seen < clips:
        batch = next(stream)
        assert batch["video"].shape[2:] == (FRAMES, SIZE, SIZE)
        seen += len(batch["video"])
        if seen % (clips // 100) == 0:
            memory.append(process.memory_info().rss / 1e6)
    answer.send((len(dataset), seen, memory, time.process_time() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    context, results = multiprocessing.get_context("spawn"), {}
    with tempfile.TemporaryDirectory() as scratch:
        for source in ("shards", "films"):
            folder = Path(scratch) / source
            if source == "shards":
                write_shards(MovingDigits(size=SIZE, frames=FRAMES, length=given.clips), folder)
            else:
                write_films(folder, given.clips, films=100)
            receive, send = context.Pipe(duplex=False)
            reader = context.Process(target=read, args=(source, folder, given.clips, send))
            reader.start()
            send.close()
            distinct, seen, memory, seconds = receive.recv()
            reader.join()
            tenth = len(memory) // 10
            results[source] = {
                "clips_in_source": distinct,
                "clips_read": seen,
                "before_mb": round(memory[0], 1),
                "at_each_tenth_mb": [round(value, 1) for value in memory[tenth::tenth]],
                "added_mb": round(max(memory) - memory[0], 1),
                "cpu_seconds": round(seconds, 1),
            }
            added = results[source]["added_mb"]
            print(f"{source}: {seen:,} clips in {seconds:.0f} CPU-seconds add {added} MB")
            print(f"at most {ALLOWED_MB} MB: {added <= ALLOWED_MB}")
    if given.json:
        manifest = {
            "command": f"OMP_NUM_THREADS=1 python benchmarks/data_memory.py --clips {given.clips}",
            "clips": {"frames": FRAMES, "size": SIZE, "batch": BATCH},
            **results,
            "allowed_mb": ALLOWED_MB,
            **environment(),
            "date": date.today().isoformat(),
        }
        given.json.write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
