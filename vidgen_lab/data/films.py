"""Any folder of films as clips, any folder of pictures as images. An item is read when it is asked for."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from vidgen_lab.core.errors import DataError
from vidgen_lab.data.folder import Info, index_folder, report, split_folder
from vidgen_lab.data.pixels import Split, check_at_least, to_float

FILMS = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"})
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class VideoFolder(Dataset):
    """Clips from all films below a folder. Item: `video` (3, frames, size, size) float32 in [-1, 1], `film` its name.

    A clip is every `stride`-th frame, the shorter side resized to `size` and the centre cut out. Clips begin every
    `hop` frames (default: `frames * stride`, so that none overlap). `split`: the `train` or `test` folder inside
    where there is one, else the first nine tenths or the last tenth of each film; None takes everything.

    Films are decoded once for an index beside them, which finds what the decoder calls damaged; later reading seeks.
    Films that are damaged or too short are reported in one warning and skipped, or raise DataError with `strict=True`;
    so do a folder without films, and one without a single clip.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        frames: int = 16,
        size: int = 64,
        stride: int = 1,
        hop: int | None = None,
        split: Split | None = None,
        strict: bool = False,
    ) -> None:
        self.frames, self.size = check_at_least("frames", frames, 1), check_at_least("size", size, 1)
        self.stride = check_at_least("stride", stride, 1)
        self.hop = check_at_least("hop", frames * stride if hop is None else hop, 1)
        self.folder, divide = split_folder(path, split)
        films = index_folder(self.folder, "films", FILMS, _probe_film)
        span = (frames - 1) * stride + 1  # frames of the film that a clip reaches over
        self._films: list[tuple[str, Info, int]] = []  # name, info, first frame of this split
        counts, problems = [], {}
        for name, info in films.items():
            if "error" in info:
                problems[name] = info["error"]
                continue
            first, last = 0, info["frames"]
            if divide:
                border = last * 9 // 10
                first, last = (0, border) if split == "train" else (border, last)
            clips = (last - first - span) // self.hop + 1
            if last - first < span:
                part = f"its {split} part has" if divide else "it has"
                problems[name] = f"{part} {last - first} frames, a clip needs {span}"
                continue
            self._films.append((name, info, first))
            counts.append(clips)
        report(self.folder, "films", problems, len(films), strict)
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index}: this data set has clips 0 to {len(self) - 1}.")
        film = int(np.searchsorted(self._ends, index, side="right"))
        name, info, first = self._films[film]
        begin = first + (index - (self._ends[film - 1] if film else 0)) * self.hop
        by_time = info["runs"] is not None
        marks = _stamps(info["runs"]) if by_time else np.arange(info["frames"])
        marks = marks[begin : begin + self.frames * self.stride : self.stride].tolist()
        clip = _read_clip(self.folder / name, marks, self.size, by_time)  # (T, H, W, 3)
        return {"video": to_float(clip.transpose(3, 0, 1, 2)).contiguous(), "film": name}


class Images(Dataset):
    """All pictures below a folder. Item: `image` (3, size, size) float32 in [-1, 1], `file` its name.

    The shorter side is resized to `size` and the centre cut out. `split`: the `train` or `test` folder inside where
    there is one, else every tenth picture is test; None takes everything. Damaged pictures are reported in one warning
    and skipped, or raise DataError with `strict=True`; so does a folder without pictures.
    """

    def __init__(self, path: Path | str, size: int = 64, *, split: Split | None = None, strict: bool = False) -> None:
        self.size = check_at_least("size", size, 1)
        self.folder, divide = split_folder(path, split)
        index = index_folder(self.folder, "pictures", PICTURES, _probe_picture)
        problems = {name: info["error"] for name, info in index.items() if "error" in info}
        report(self.folder, "pictures", problems, len(index), strict)
        names = [name for name in index if name not in problems]
        if divide:
            names = [name for place, name in enumerate(names) if (place % 10 == 9) == (split == "test")]
        if not names:
            raise DataError(f"{self.folder}: {len(index)} pictures are too few for a test split. Add more, up to ten.")
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        with _open_picture(self.folder / self.names[index]) as picture:
            shrinks = min(picture.size) > self.size
            method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
            square = ImageOps.fit(picture, (self.size, self.size), method=method)
        pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)
        return {"image": to_float(pixels).contiguous(), "file": self.names[index]}


def _open_picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"the picture is damaged ({error})") from error


def _probe_picture(path: Path) -> Info:
    with _open_picture(path) as picture:
        return {"width": picture.width, "height": picture.height}


def _probe_film(path: Path) -> Info:
    """Decode a film from end to end. Its number of frames, and their time stamps as runs [first, step, count].

    `runs` is None where stamps cannot be trusted to find a frame again: they do not rise, or only some frames have one
    and the rest are guessed, which after a seek comes out otherwise (MPEG program streams, .mpg, were seen to). Such a
    film is read by counting from its beginning: slow, but right.
    """
    stamps = []
    try:
        with av.open(path) as container:
            stream, guessed = _video_stream(container), container.format.name == "mpeg"
            for packet in container.demux(stream):
                guessed |= packet.size > 0 and packet.pts is None
                for frame in packet.decode():
                    if frame.is_corrupt:  # the decoder has painted over what is broken
                        raise DataError(f"the film is damaged at frame {len(stamps)}")
                    stamps.append(frame.pts)
            promised = stream.frames  # 0 where the container does not say
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"the film is damaged after {len(stamps)} frames ({_reason(error)})") from error
    if not stamps or len(stamps) < promised:
        raise DataError(f"the film is damaged: {len(stamps)} of {promised} frames can be decoded")
    rising = None not in stamps and all(a < b for a, b in zip(stamps, stamps[1:], strict=False))
    return {"frames": len(stamps), "runs": _runs(stamps) if rising and not guessed else None}


def _read_clip(path: Path, marks: list[int], size: int, by_time: bool) -> np.ndarray:
    """The frames with these time stamps, or these numbers, resized and cut: (T, size, size, 3) uint8.

    By time, a seek comes first; where it lands behind the first frame, one two seconds earlier; where that does too,
    the film is decoded from its beginning.
    """
    reason = "its frames are not those of the index"
    for seconds in (0, 2, None) if by_time else (None,):
        try:
            with av.open(path) as container:
                stream = _video_stream(container)
                if seconds is not None:
                    earlier = marks[0] - int(seconds / stream.time_base)
                    container.seek(max(earlier, stream.start_time or 0), stream=stream)
                decoded = container.decode(stream)
                marked = ((frame.pts, frame) for frame in decoded) if by_time else enumerate(decoded)
                clip = _pick(marked, marks, size, sought=seconds is not None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason, clip = _reason(error), None
        if clip is not None:
            return clip
    raise DataError(f"{path}: cannot be read any more ({reason}). Build the data set again.")


def _pick(marked: Iterable[tuple[int, av.VideoFrame]], marks: list[int], size: int, sought: bool) -> np.ndarray | None:
    """The frames with these marks, or None if decoding began behind the first. Only a key frame begins cleanly."""
    wanted, clip, reformatter, clean = set(marks), [], VideoReformatter(), not sought
    for mark, frame in marked:
        if not clean:
            clean = frame.key_frame
            if not clean:
                continue
            if mark > marks[0]:
                return None  # not to decode the rest in vain
        if mark in wanted:
            clip.append(_square(frame, reformatter, size))
            if len(clip) == len(marks):
                return np.stack(clip)
    return None


def _square(frame: av.VideoFrame, reformatter: VideoReformatter, size: int) -> np.ndarray:
    short = min(frame.width, frame.height)
    width, height = (max(size, round(side * size / short)) for side in (frame.width, frame.height))
    method = "AREA" if short > size else "BILINEAR"
    pixels = reformatter.reformat(frame, width, height, format="rgb24", interpolation=method).to_ndarray()
    top, left = (height - size) // 2, (width - size) // 2
    return pixels[top : top + size, left : left + size]


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    if not container.streams.video:
        raise DataError("the film is damaged, there are no pictures in it")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # loader workers are the parallel part
    return stream


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _stamps(runs: list[list[int]]) -> np.ndarray:
    return np.concatenate([first + step * np.arange(count) for first, step, count in runs])


def _runs(stamps: list[int]) -> list[list[int]]:
    """Rising numbers as runs [first, step, count] of equal steps."""
    runs: list[list[int]] = []
    for stamp in stamps:
        if runs and (runs[-1][2] == 1 or stamp == runs[-1][0] + runs[-1][1] * runs[-1][2]):
            first, _, count = runs[-1]
            runs[-1] = [first, (stamp - first) // count, count + 1]
        else:
            runs.append([stamp, 0, 1])
    return runs
