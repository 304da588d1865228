"""Small real videos and pictures for the tests, and what is read back from them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Return a smooth BGR picture that differs from number to number: its grey bar moves, its colours stay."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = 40 + x * 150 // width
    image[..., 1] = 40 + y * 150 // height
    image[..., 2] = 128
    left = number * 3 % (width - 8)
    image[height // 4 : height // 2, left : left + 8] = 230
    return image


def photo(number: int, height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    """Return a BGR picture with many colours and a little noise, as cameras give."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shift = number * 2.0
    waves = [np.sin((x + shift) / 37 + k) + np.cos((y - shift) / 23 + 2 * k) for k in range(3)]
    noise = np.random.default_rng(number).normal(0, 2, (height, width, 3))
    return np.clip(np.dstack(waves) * 50 + 120 + noise, 0, 255).astype(np.uint8)


def make_video(
    path: Path,
    frames: int = 12,
    *,
    codec: str = "libx264",
    rate: int | Fraction = 30,
    pix_fmt: str = "yuv420p",
    gop: int = 4,
    images: Sequence[NDArray[np.uint8]] | None = None,
    options: dict[str, str] | None = None,
) -> list[NDArray[np.uint8]]:
    """Write a video and return the pictures that went in."""
    pictures = list(images) if images is not None else [picture(number) for number in range(frames)]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop
        if codec == "libx264":
            stream.options = {"crf": "12", "preset": "ultrafast", "tune": "zerolatency"}
        else:
            stream.bit_rate = 2_000_000
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return pictures


def rotate_mp4(path: Path, quarter_turns_clockwise: int) -> None:
    """Write a rotation for display into an MP4, as phones do (ISO/IEC 14496-12, 8.3.2: the matrix in tkhd)."""
    a, b = {0: (1, 0), 1: (0, 1), 2: (-1, 0), 3: (0, -1)}[quarter_turns_clockwise % 4]
    matrix = [a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    # Type, version and flags, then in version 0: five 32-bit words, two reserved, four 16-bit numbers.
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(bytes(data))


def read_video(path: Path) -> tuple[list[NDArray[np.uint8]], list[Fraction]]:
    """Return all pictures, BGR, and their times in seconds, read with PyAV alone."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [_as_bgr(frame) for frame in frames], [f.pts * f.time_base for f in frames]


def _as_bgr(frame: av.VideoFrame) -> NDArray[np.uint8]:
    if frame.colorspace == 1:  # BT.709, which PyAV before 16 has to be told
        frame = frame.reformat(format="bgr24", src_colorspace="ITU709", dst_colorspace="DEFAULT")
    return frame.to_ndarray(format="bgr24")


def gif_delays_cs(path: Path) -> list[int]:
    """Return the delays of a GIF in hundredths of a second, read from its blocks and nothing else."""
    data = path.read_bytes()
    assert data[:6] == b"GIF89a"
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    delays = []
    while data[at] != 0x3B:
        if data[at] == 0x21:
            if data[at + 1] == 0xF9:
                delays.append(int.from_bytes(data[at + 4 : at + 6], "little"))
            at += 2
        else:
            assert data[at] == 0x2C
            flags = data[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        while data[at]:
            at += 1 + data[at]
        at += 1
    assert at == len(data) - 1, "nothing may stand behind the trailer"
    return delays


def psnr_db(pictures: Iterable[NDArray[np.uint8]], originals: Iterable[NDArray[np.uint8]]) -> float:
    """Return the mean over the pictures of the peak signal to noise ratio."""
    errors = [np.mean((a.astype(np.float64) - b) ** 2) for a, b in zip(pictures, originals)]
    return float(np.mean([10 * np.log10(255**2 / max(error, 1e-9)) for error in errors]))
