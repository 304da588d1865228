"""Files and MJPEG streams that the media engines of an Ascend board decode."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ascend.jpegd import JpegDecoder
from ..ascend.pictures import ConvertedPicture
from ..ascend.vdec import VideoDecoder, VideoFormat
from ..errors import ArgumentError, VideoError
from ..picture import Picture
from .conversion import colors_of
from .files import StreamSource

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from ..ascend.pictures import DevicePicture

__all__ = ["AscendSource", "device_of"]

_DECODER = re.compile(r"ascend(?::(\d+))?")
#: FFmpeg's filters that turn the packets of files into annex-B.
_ANNEX_B = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
#: What VDEC takes (H.265 also with 10 bits, of which it gives out 8).
_PIXEL_FORMATS = {"h264": ("yuv420p", "yuvj420p"), "hevc": ("yuv420p", "yuvj420p", "yuv420p10le")}


def device_of(decoder: str) -> int | None:
    """Return which device decodes, None for the CPU.

    Parameters
    ----------
    decoder : str
        ``"cpu"``, ``"ascend"`` or ``"ascend:N"``.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    if decoder == "cpu":
        return None
    found = _DECODER.fullmatch(decoder) if isinstance(decoder, str) else None
    if found is None:
        raise ArgumentError(f"open_source: decoder must be 'cpu', 'ascend' or 'ascend:N'; got {decoder!r}")
    return int(found[1] or 0)


class _Decoded(NamedTuple):
    """A decoded picture and its time, named as PyAV's frames do."""

    picture: DevicePicture
    pts: int | None
    time_base: Fraction | None


class AscendSource(StreamSource):
    """The first video stream of a file or address, decoded by VDEC (H.264, H.265) or JPEGD (MJPEG).

    Opening decodes the first frame by FFmpeg too: its size, rotation and colours are what the engines do not tell.

    Parameters
    ----------
    container, name, kind, path
        As of :class:`StreamSource`.
    device : int
        Which NPU.

    Raises
    ------
    VideoError
        Also for what the engines cannot decode; nothing is decoded by the CPU instead.
    DeviceError, MissingDependencyError
        If there is no board, or it has no such engine.
    """

    def __init__(self, container: Any, name: str, kind: str, path: Path | None = None, *, device: int) -> None:
        self._engine: VideoDecoder | JpegDecoder | None = None
        self._to_annex_b: Any = None
        self._probed: list[Any] = []
        super().__init__(container, name, kind, path)
        try:
            self._quarter_turns = self._turns(self._first)
            self._engine = self._open_engine(device, self._first)
            self._packets = self.damaged = 0
            self._pictures = self._decoded(chain(self._probed, self._demuxed))
            self._probed = []
            self._first = next(self._pictures, None)
            if self._first is None:
                raise VideoError(f"{name}: no frame can be read from it{self._why_empty()}") from self._stopped_by
        except BaseException:
            self._release()
            raise

    def _open_engine(self, device: int, sample: Any) -> VideoDecoder | JpegDecoder:
        """Choose the engine by the codec, with a frame that FFmpeg has decoded."""
        context, name = self._stream.codec_context, self._name
        codec = context.name
        matrix, is_full = colors_of(sample)
        if codec == "mjpeg":
            return JpegDecoder(name, device)
        if codec not in _ANNEX_B or sample.format.name not in _PIXEL_FORMATS[codec] or matrix is None:
            raise VideoError(
                f"{name}: decoder='ascend' takes H.264, H.265 and MJPEG of the usual formats and colours; this is "
                f"{codec}, {sample.format.name}, colour space {int(sample.colorspace)}: read it without"
            )
        if self._info.is_live:
            raise VideoError(
                f"{name}: decoder='ascend' takes {codec} from files only, because VDEC holds many frames back: read it "
                "without"
            )
        from av.bitstream import BitStreamFilterContext

        self._to_annex_b = BitStreamFilterContext(_ANNEX_B[codec], self._stream)
        video = VideoFormat(codec, context.profile, sample.width, sample.height, matrix, is_full)
        return VideoDecoder(name, device, video)

    def _decode(self, packet: Any) -> list[Any]:
        if self._engine is None:
            self._probed.append(packet)
            return super()._decode(packet)
        if not packet.size:
            return self._decode_rest()
        if isinstance(self._engine, JpegDecoder):
            picture = self._engine.decode(memoryview(packet))
            self.damaged += picture is None
            return [] if picture is None else [_Decoded(picture, packet.pts, packet.time_base)]
        decoded = []
        for part in self._to_annex_b.filter(packet):
            decoded += self._engine.decode(memoryview(part), part.pts, wanted=not part.is_discard)
        return self._timed(decoded)

    def _decode_rest(self) -> list[Any]:
        if self._engine is None:
            return super()._decode_rest()
        return self._timed(self._engine.finish()) if isinstance(self._engine, VideoDecoder) else []

    def _timed(self, decoded: list[Any]) -> list[_Decoded]:
        assert isinstance(self._engine, VideoDecoder)
        self.damaged += self._engine.failed
        self._engine.failed = 0
        return [_Decoded(picture, pts, self._stream.time_base) for pts, picture in decoded]

    def _why_empty(self) -> str:
        reason = self._engine.failure if isinstance(self._engine, JpegDecoder) else ""
        return f": {reason}" if reason else super()._why_empty()

    def _upright(self, picture: Any) -> Picture:
        if not isinstance(picture, _Decoded):
            return super()._upright(picture)
        if self._quarter_turns:
            return Picture.from_bgr(np.ascontiguousarray(np.rot90(picture.picture.to_bgr(), self._quarter_turns)))
        return picture.picture if self.planes_wanted else ConvertedPicture(picture.picture)

    def _release(self) -> None:
        self._probed = []
        self._to_annex_b = None
        engine, self._engine = self._engine, None
        try:
            super()._release()
        finally:
            if engine is not None:
                engine.close()
