"""VDEC: H.264 and H.265 in annex-B to YUV420SP, a callback per picture. The pixels are computed by PyAV."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from . import _codes as codes
from ._api import api
from ._errors import AclError
from ._media_desc import Bitstream
from ._media_jpeg import _av, nv12_planes
from ._memory import memory
from ._pictures import NV12, NV21, Array, Layout, Picture, engine_seconds, layout_of, media_block, store
from ._rt_stream import reports, run_callback
from ._state import Handle, emulator

STRIDE = (16, 2)
_CODECS = {0: "hevc", 1: "h264", 2: "h264", 3: "h264"}
_PATIENCE = 10.0  # seconds that destroy_channel waits for the thread that serves the callbacks


class FrameConfig(Handle):
    kind = "vdec frame configuration"


@dataclass
class _Entry:
    stream: Bitstream
    picture: Picture
    userdata: Any
    data: bytes
    eos: bool


class Decoder(Handle):
    """A decoding channel: a thread that decodes in order; the n-th picture goes to the n-th output description."""

    kind = "vdec channel description"

    def __init__(self) -> None:
        super().__init__()
        self.channel_id = self.thread_id = self.entype = self.out_mode = 0
        self.out_pic_format = NV12
        self.callback: Any = None
        self.created = False
        self._queue: queue.Queue[_Entry | None] = queue.Queue()
        self._waiting: list[_Entry] = []
        self._thread: threading.Thread | None = None
        self._posted = self._called = 0
        self._changed = threading.Condition()

    def open(self) -> None:
        if self.entype not in _CODECS:
            raise AclError(codes.INVALID_PARAM, f"entype {self.entype}, 0 to 3 are possible")
        if self.out_pic_format not in (NV12, NV21):
            raise AclError(codes.INVALID_PARAM, f"output format {self.out_pic_format}; NV12 and NV21 are emulated")
        _av()
        reports.subscribe(self.thread_id)
        self.created = True
        self._thread = threading.Thread(target=self._decode, name=f"acl vdec {self.channel_id}", daemon=True)
        self._thread.start()

    def send(self, entry: _Entry) -> None:
        self._queue.put(entry)

    def close(self) -> None:
        """Decode what was sent, wait for its callbacks."""
        if self._thread is None:
            return
        self.drop()
        with self._changed:
            served = self._changed.wait_for(lambda: self._called == self._posted, _PATIENCE)
        reports.unsubscribe(self.thread_id)
        self.created = False
        if not served:
            raise emulator.breach(46, "vdec_destroy_channel: nobody calls process_report in the channel's thread")

    def drop(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _decode(self) -> None:
        av = _av()
        context = av.CodecContext.create(_CODECS[self.entype], "r")
        context.thread_count = 1
        while (entry := self._queue.get()) is not None:
            self._waiting.append(entry)
            try:
                frames = context.decode(av.Packet(entry.data)) if entry.data else []
                frames += context.decode(None) if entry.eos else []
            except av.error.FFmpegError:
                frames = []
                self._waiting.remove(entry)
                self._finish(entry, codes.INTERNAL)
            self._deliver(frames)
            if entry.eos:
                self._abandon()
                context = av.CodecContext.create(_CODECS[self.entype], "r")
        with contextlib.suppress(av.error.FFmpegError):
            self._deliver(context.decode(None))
        self._abandon()

    def _deliver(self, frames: list[Any]) -> None:
        for frame in frames:
            if not self._waiting:
                return
            entry = self._waiting.pop(0)
            try:
                layout, planes = self._place(entry.picture, frame)
                store(planes, layout)
                time.sleep(engine_seconds("vdec", frame.width, frame.height))
                self._finish(entry, codes.SUCCESS)
            except AclError as error:
                self._finish(entry, error.code)

    def _place(self, picture: Picture, frame: Any) -> tuple[Layout, list[Array]]:
        even = frame.width + frame.width % 2, frame.height + frame.height % 2
        picture.width, picture.height = even
        picture.width_stride = picture.width_stride or -(-even[0] // STRIDE[0]) * STRIDE[0]
        picture.height_stride = picture.height_stride or even[1]
        layout = layout_of(picture, "vdec output", STRIDE, (NV12, NV21))
        planes = nv12_planes(frame.reformat(format="yuv420p"), even)
        return layout, planes if picture.format == NV12 else [planes[0], planes[1][:, :, ::-1]]

    def _abandon(self) -> None:
        """Inputs without a picture of their own (parameter sets, the end of the stream) are reported as such."""
        for entry in self._waiting:
            self._finish(entry, codes.SUCCESS if entry.eos and not entry.data else codes.INTERNAL)
        self._waiting.clear()

    def _finish(self, entry: _Entry, code: int) -> None:
        entry.picture.ret_code = code
        self._posted += 1
        blocks = [block for block in map(memory.block_at, (entry.stream.data, entry.picture.data)) if block is not None]

        def work() -> None:
            with emulator.lock:
                for block in blocks:
                    block.users -= 1
            run_callback(self.callback, entry.stream.handle, entry.picture.handle, entry.userdata)
            with self._changed:
                self._called += 1
                self._changed.notify_all()

        reports.post(self.thread_id, work)


@api("media.vdec_create_channel_desc", returns=0)
def vdec_create_channel_desc() -> int:
    return emulator.add(Decoder())


@api("media.vdec_destroy_channel_desc", "p")
def vdec_destroy_channel_desc(handle: int) -> int:
    decoder = emulator.find(handle, Decoder)
    if decoder.created:
        emulator.forbid(49, "vdec_destroy_channel_desc before vdec_destroy_channel")
    emulator.remove(decoder)
    return codes.SUCCESS


def _setter(field: str, letter: str) -> None:
    def set_field(handle: int, value: Any) -> int:
        setattr(emulator.find(handle, Decoder), field, value)
        return codes.SUCCESS

    def get_field(handle: int) -> int:
        return int(getattr(emulator.find(handle, Decoder), field))

    api(f"media.vdec_set_channel_desc_{field}", f"p{letter}")(set_field)
    if letter != "o":
        api(f"media.vdec_get_channel_desc_{field}", "p", returns=0)(get_field)


for _field, _letter in {
    "channel_id": "u",
    "thread_id": "q",
    "callback": "o",
    "entype": "i",
    "out_pic_format": "i",
    "out_mode": "u",
}.items():
    _setter(_field, _letter)


@api("media.vdec_create_channel", "p", context=True, callback_safe=False, fails_with=codes.RT_DRIVER_RESOURCE)
def vdec_create_channel(handle: int) -> int:
    decoder = emulator.find(handle, Decoder)
    if decoder.created:
        raise AclError(codes.INVALID_PARAM, "the channel exists")
    if any(other.created and other.channel_id == decoder.channel_id for other in emulator.living(Decoder)):
        raise AclError(codes.INVALID_PARAM, f"channel id {decoder.channel_id} is in use")
    decoder.open()
    return codes.SUCCESS


@api("media.vdec_destroy_channel", "p", context=True, callback_safe=False)
def vdec_destroy_channel(handle: int) -> int:
    _open(handle).close()
    return codes.SUCCESS


def _open(handle: int) -> Decoder:
    decoder = emulator.find(handle, Decoder)
    if not decoder.created:
        raise AclError(codes.INVALID_PARAM, "the channel does not exist: call vdec_create_channel")
    return decoder


@api("media.vdec_create_frame_config", returns=0)
def vdec_create_frame_config() -> int:
    return emulator.add(FrameConfig())


@api("media.vdec_destroy_frame_config", "p")
def vdec_destroy_frame_config(handle: int) -> int:
    emulator.remove(emulator.find(handle, FrameConfig))
    return codes.SUCCESS


@api("media.vdec_send_frame", "ppppo", context=True, callback_safe=False)
def vdec_send_frame(handle: int, stream: int, picture: int, config: int, userdata: Any) -> int:
    decoder = _open(handle)
    if decoder.callback is None:
        raise RuntimeError("acl.media.vdec_send_frame: no callback was set")
    if config:
        emulator.find(config, FrameConfig)
    bits, target = emulator.find(stream, Bitstream), emulator.find(picture, Picture)
    data = b""
    blocks = []
    if bits.size:
        source = media_block(bits.data, bits.size, "vdec input")
        data = ctypes.string_at(memory.device_address(source, bits.data), bits.size)
        blocks.append(source)
    elif not bits.eos:
        raise AclError(codes.INVALID_PARAM, "vdec_send_frame: the stream description is empty and not the last")
    if target.data:
        blocks.append(media_block(target.data, target.size, "vdec output"))
    with emulator.lock:
        for block in blocks:
            block.users += 1
    decoder.send(_Entry(bits, target, userdata, data, bool(bits.eos)))
    return codes.SUCCESS
