"""VDEC, the engine of an Ascend board that decodes H.264 and H.265."""

from __future__ import annotations

import heapq
import itertools
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DeviceError, VideoError
from .codes import REPORT_TIMEOUTS, describe_code
from .engines import require_engine
from .memory import GrowingBlock
from .pictures import NV12, PicturePool, align, nv12_bytes
from .runtime import Holdings

if TYPE_CHECKING:
    from .pictures import DevicePicture, PictureBlock
    from .runtime import AclLibrary

__all__ = ["TimedPicture", "VideoDecoder", "VideoFormat"]

#: ``aclvdec``'s ``enType`` by codec and profile as FFmpeg names them.
_STREAM_TYPES = {
    ("h264", "Baseline"): 1,
    ("h264", "Constrained Baseline"): 1,
    ("h264", "Main"): 2,
    ("h264", "High"): 3,
    ("hevc", "Main"): 0,
    ("hevc", "Main 10"): 0,
}
#: Smallest side, and largest width and height by codec, of the 310B and of all others (VDEC, "Functions and
#: Restrictions", CANN 6.0 to 8.5).
_SMALLEST = 128
_LARGEST_310B = {"h264": (8192, 8192), "hevc": (5400, 8192)}
_LARGEST = {"h264": (4096, 4096), "hevc": (4096, 4096)}
#: Strides of the pictures that come out (same page).
_STRIDE, _ROWS = 16, 2
#: Packets that are sent before the first picture has come out: as many as a stream may reorder (H.264 and H.265: 16
#: pictures), and a few to work on. Where VDEC keeps silent for a moment, more are sent, as it may hold back more.
_IN_FLIGHT, _MOST_IN_FLIGHT = 20, 64
_PATIENCE_S = 0.25
#: How long pictures are waited for at the end, after the last that came.
_END_PATIENCE_S = 2.0
#: What a packet says that holds a field or nothing to be seen; not a failure (``aclvdecSendFrame``).
_NO_PICTURE = 0x20000
_REPORT_MS = 100
_SMALLEST_INPUT = 1 << 16

_channels: set[int] = set()
_channels_lock = threading.Lock()


@dataclass(frozen=True)
class VideoFormat:
    """What is known of a stream before it is decoded.

    Attributes
    ----------
    codec : {"h264", "hevc"}
    profile : str or None
        As FFmpeg names it.
    width, height : int
    matrix : {"bt601", "bt709"}
    full : bool
        Whether luma has the full range.
    """

    codec: str
    profile: str | None
    width: int
    height: int
    matrix: str
    full: bool


class TimedPicture(NamedTuple):
    """A picture and its time, in the units of the stream; None where it has none."""

    pts: int | None
    picture: DevicePicture


class _Input:
    """Memory for one packet, which grows to the largest, and its description."""

    def __init__(self, library: AclLibrary, nbytes: int, keep: ExitStack) -> None:
        self._library = library
        self.description = int(library.result("media.dvpp_create_stream_desc"))
        keep.callback(library.status, "media.dvpp_destroy_stream_desc", self.description)
        self.memory = GrowingBlock(library, nbytes, keep)

    def write(self, data: Any, stream: int, *, is_end: bool) -> None:
        """Put a packet where VDEC reads it; none at the end."""
        count = len(data)
        if count:
            self.memory.write(data)
            self.memory.block.upload(count, stream)
        fields = {"data": self.memory.block.device_address if count else 0, "size": count, "eos": int(is_end)}
        for name, value in fields.items():
            self._library.status(f"media.dvpp_set_stream_desc_{name}", self.description, value)


@dataclass(eq=False)
class _Sent:
    """A packet in VDEC, and the room for a picture that went with it."""

    input: _Input
    block: PictureBlock
    time: _Time | None
    code: int = 0


@dataclass(order=True)
class _Time:
    """When a picture is shown; of streams without times, in the order of the packets."""

    order: int
    number: int
    pts: int | None
    wanted: bool


class VideoDecoder:
    """Decode one stream.

    Parameters
    ----------
    name : str
        Of the stream, for messages.
    device : int
    video : VideoFormat

    Attributes
    ----------
    failed : int
        Packets so far that could not be decoded.

    Raises
    ------
    VideoError
        If VDEC does not decode such streams.
    MissingDependencyError
        If there is no pyACL.
    DeviceError, DeviceMemoryError
        If the board or its version of CANN has no VDEC, or it fails.

    Notes
    -----
    Used by one thread at a time. Packets go in in the order of the file; pictures come out in the order in which they
    are shown, so each takes the earliest time of those in VDEC, whichever packet the runtime says it belongs to.
    """

    def __init__(self, name: str, device: int, video: VideoFormat) -> None:
        self.failed = 0
        self._name, self._video = name, video
        self._depth = _IN_FLIGHT
        self._numbers = itertools.count()
        self._times: list[_Time] = []
        self._changed = threading.Condition()
        self._in_vdec: set[_Sent] = set()
        self._done: list[_Sent] = []
        self._failure: DeviceError | None = None
        self._created, self._ended = threading.Event(), threading.Event()
        self._inputs: list[_Input] = []
        self._inputs_keep = ExitStack()
        self._pool = PicturePool(device, nv12_bytes(align(video.width, _STRIDE), align(video.height, _ROWS)))
        self._holdings = Holdings()
        with self._holdings.made_on(device):
            self._library = self._holdings.library
            require_engine(self._library, "VDEC")
            self._build(self._stream_type())

    def _stream_type(self) -> int:
        """Return ACL's number for such streams, or refuse them."""
        soc, video = self._library.soc, self._video
        kind = _STREAM_TYPES.get((video.codec, video.profile or ""))
        if kind is None:
            raise VideoError(
                f"{self._name}: VDEC decodes H.264 (Baseline, Main, High) and H.265 (Main, Main 10), 4:2:0; this is "
                f"{video.codec} {video.profile or 'of an unknown profile'}: read it without decoder='ascend'"
            )
        widest, highest = (_LARGEST_310B if soc.startswith("Ascend310B") else _LARGEST)[video.codec]
        if not (_SMALLEST <= video.width <= widest and _SMALLEST <= video.height <= highest):
            raise VideoError(
                f"{self._name}: VDEC of {soc} decodes {video.codec} of {_SMALLEST}x{_SMALLEST} to {widest}x{highest} "
                f"pixels; this is {video.width}x{video.height}: read it without decoder='ascend'"
            )
        return kind

    def _build(self, stream_type: int) -> None:
        """Make the channel, and what must outlive it before it: all is given back in the reverse order."""
        library, keep = self._library, self._holdings.keep
        keep.callback(self._pool.close)
        keep.callback(self._recover)
        keep.callback(self._inputs_keep.close)
        self._stream = 0
        if library.run_mode == "EP":  # for copies; it ends before their memory, should one be under way
            (self._stream,) = library.values("rt.create_stream")
            keep.callback(library.status, "rt.destroy_stream", self._stream)
        channel = self._channel = library.result("media.vdec_create_channel_desc")
        keep.callback(library.status, "media.vdec_destroy_channel_desc", channel)
        number = _reserve_channel()
        keep.callback(_channels.discard, number)
        thread = threading.Thread(target=self._serve, name="vdec", daemon=True)
        thread.start()
        keep.callback(thread.join)
        keep.callback(self._end)
        settings = {
            "channel_id": number,
            "thread_id": thread.ident,
            "callback": self._on_picture,
            "entype": stream_type,
            "out_pic_format": NV12,
            "out_mode": 0,  # in the order in which pictures are shown
        }
        for name, value in settings.items():
            library.status(f"media.vdec_set_channel_desc_{name}", channel, value)
        library.status("media.vdec_create_channel", channel)
        keep.callback(library.status, "media.vdec_destroy_channel", channel)
        self._created.set()

    def decode(self, data: Any, pts: int | None, *, wanted: bool = True) -> list[TimedPicture]:
        """Send a packet and return the pictures that are ready, which may belong to earlier ones; often none.

        Parameters
        ----------
        data : buffer
            One picture in annex-B. Copied.
        pts : int or None
            When it is shown.
        wanted : bool
            False: it is decoded because others need it, and not returned.

        Returns
        -------
        list of TimedPicture

        Raises
        ------
        DeviceError, DeviceMemoryError
            If VDEC fails; not for a packet that it cannot decode.
        """
        with self._holdings.current():
            self._wait_for_room()
            self._send(data, _Time(pts or 0, next(self._numbers), pts, wanted))
            return self._collected()

    def finish(self) -> list[TimedPicture]:
        """Return the remaining pictures; nothing may be sent any more. Raises as `decode`."""
        with self._holdings.current():
            self._send(b"", None)
            with self._changed:
                while self._waiting() and self._failure is None and self._changed.wait(_END_PATIENCE_S):
                    pass
            remaining = self._collected()
            self.failed += self._waiting()
            return remaining

    def close(self) -> None:
        """Give everything back but the pictures that are in use. May be called again."""
        self._holdings.close()

    def _waiting(self) -> int:
        """Return how many packets have not come back."""
        return sum(sent.time is not None for sent in self._in_vdec)

    def _wait_for_room(self) -> None:
        with self._changed:
            while not self._changed.wait_for(lambda: len(self._in_vdec) < self._depth or self._failure, _PATIENCE_S):
                if self._depth == _MOST_IN_FLIGHT:
                    raise DeviceError(f"{self._name}: VDEC has taken {self._depth} packets and gives no picture")
                self._depth += 1

    def _send(self, data: Any, time: _Time | None) -> None:
        """Send a packet, or the end."""
        if not self._inputs:
            size = max(self._pool.nbytes // 4, _SMALLEST_INPUT)
            self._inputs.append(_Input(self._library, size, self._inputs_keep))
        sent = _Sent(self._inputs.pop(), self._pool.take(), time)
        with self._changed:
            self._in_vdec.add(sent)  # before it may come back
            if time is not None:
                heapq.heappush(self._times, time)
        try:
            sent.input.write(data, self._stream, is_end=time is None)
            arguments = (self._channel, sent.input.description, sent.block.description, 0, sent)
            self._library.status("media.vdec_send_frame", *arguments)
        except DeviceError:
            self._take_out(sent)
            raise

    def _take_out(self, sent: _Sent) -> None:
        with self._changed:
            self._in_vdec.discard(sent)
        self._pool.give_back(sent.block)
        self._inputs.append(sent.input)

    def _collected(self) -> list[TimedPicture]:
        """Return what has come out since the last time."""
        with self._changed:
            failure, self._failure = self._failure, None  # not kept, as it would hold the pictures of its traceback
            if failure is not None:
                raise failure
            done, self._done = self._done, []
        pictures = []
        for sent in done:
            self._inputs.append(sent.input)
            time = sent.time and self._time_of(sent.time, sent.code)
            if time is None or sent.code or not time.wanted:
                self._pool.give_back(sent.block)
                self.failed += time is not None and sent.code not in (0, _NO_PICTURE)
            else:
                pictures.append(TimedPicture(time.pts, self._lend(sent.block)))
        return pictures

    def _time_of(self, sent: _Time, code: int) -> _Time:
        """Return when the picture that has come out is shown; that of the packet itself where there is none."""
        if code and sent in self._times:
            self._times.remove(sent)
            heapq.heapify(self._times)
            return sent
        return heapq.heappop(self._times)

    def _lend(self, block: PictureBlock) -> DevicePicture:
        if self._stream:
            block.memory.queue_download(block.memory.nbytes, self._stream)
            self._library.status("rt.synchronize_stream", self._stream)
        video = self._video
        return self._pool.lend(block, video.width, video.height, matrix=video.matrix, full=video.full)

    def _on_picture(self, _stream: int, _picture: int, sent: _Sent) -> None:
        """Note that a packet is done with; called in the thread that serves the channel."""
        sent.code = sent.block.code()
        with self._changed:
            self._in_vdec.discard(sent)
            self._done.append(sent)
            self._changed.notify_all()

    def _serve(self) -> None:
        """Let the runtime call `_on_picture`, until the end."""
        self._created.wait()
        if self._ended.is_set():
            return
        try:
            with self._holdings.current():  # stays the thread's own, as it had none
                pass
        except DeviceError as error:
            self._fail(error)
        while not self._ended.is_set():
            code = self._library.acl.rt.process_report(_REPORT_MS)
            if code and code not in REPORT_TIMEOUTS:
                self._fail(DeviceError(f"acl.rt.process_report: {describe_code(code)}", code))
                self._ended.wait(_REPORT_MS / 1e3)

    def _fail(self, error: DeviceError) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _end(self) -> None:
        """Let the thread end, whether or not there is a channel to serve."""
        self._ended.set()
        self._created.set()

    def _recover(self) -> None:
        """Take back what was in VDEC when the channel was destroyed."""
        with self._changed:
            left, self._done = [*self._done, *self._in_vdec], []
            self._in_vdec.clear()
        for sent in left:
            self._pool.give_back(sent.block)


def _reserve_channel() -> int:
    """Return the lowest number that no channel of this process has."""
    with _channels_lock:
        number = next(number for number in itertools.count() if number not in _channels)
        _channels.add(number)
        return number
