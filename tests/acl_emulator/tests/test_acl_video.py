"""Section F of the rules, video: VDEC."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from .media_calls import NV12, Media

av = pytest.importorskip("av")


def annex_b(codec, frames=6, width=64, height=32, **options):
    """Encode grey pictures of rising brightness; return the packets."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.framerate = width, height, "yuv420p", 25
    context.options = {"preset": "ultrafast", **options}
    packets = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 40 + 20 * number, np.uint8), "yuv420p")
        frame.pts = number
        packets += context.encode(frame)
    return [bytes(packet) for packet in packets + context.encode(None)]


class Decoding:
    """A decoder whose callbacks run in a thread of the runtime."""

    def __init__(self, media, entype, callback=None):
        self.media, self.board, self.acl = media.media, media.board, media.acl
        self.results = []
        self.stop = threading.Event()
        self.thread = self.board.ok(self.acl.util.start_thread(self.loop, [media.context]))
        self.channel = self.media.vdec_create_channel_desc()
        settings = {"channel_id": 1, "thread_id": self.thread, "entype": entype, "out_pic_format": NV12}
        settings |= {"out_mode": 0, "callback": callback or self.done}
        for name, value in settings.items():
            self.board.ok(getattr(self.media, f"vdec_set_channel_desc_{name}")(self.channel, value))
        self.board.ok(self.media.vdec_create_channel(self.channel))
        self.config = self.media.vdec_create_frame_config()

    def loop(self, arguments):
        self.acl.rt.set_context(arguments[0])
        while not self.stop.is_set():
            self.acl.rt.process_report(20)

    def done(self, stream, picture, userdata):
        fields = ("data", "width_stride", "height_stride", "ret_code")
        self.results.append(
            (userdata, *(getattr(self.media, f"dvpp_get_pic_desc_{field}")(picture) for field in fields))
        )
        self.media.dvpp_destroy_stream_desc(stream)
        self.media.dvpp_destroy_pic_desc(picture)

    def send(self, data, userdata, size, eos=0):
        stream = self.media.dvpp_create_stream_desc()
        if data:
            address = self.board.ok(self.media.dvpp_malloc(len(data)))
            self.board.write(address, np.frombuffer(data, np.uint8))
            self.media.dvpp_set_stream_desc_data(stream, address)
            self.media.dvpp_set_stream_desc_size(stream, len(data))
        self.media.dvpp_set_stream_desc_eos(stream, eos)
        picture = self.media.dvpp_create_pic_desc()
        self.media.dvpp_set_pic_desc_data(picture, self.board.ok(self.media.dvpp_malloc(size)))
        self.media.dvpp_set_pic_desc_size(picture, size)
        self.media.dvpp_set_pic_desc_format(picture, NV12)
        return self.media.vdec_send_frame(self.channel, stream, picture, self.config, userdata)

    def end(self):
        self.board.ok(self.media.vdec_destroy_channel(self.channel))
        self.stop.set()
        self.board.ok(self.acl.util.stop_thread(self.thread))
        self.board.ok(self.media.vdec_destroy_channel_desc(self.channel))
        self.board.ok(self.media.vdec_destroy_frame_config(self.config))


@pytest.mark.parametrize(("codec", "entype"), [("libx264", 2), ("libx265", 0)])
def test_vdec_gives_every_picture_in_order(board, codec, entype):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {"tune": "zerolatency"}
    packets = annex_b(codec, **options)
    decoding = Decoding(Media(board), entype)
    for number, packet in enumerate(packets):
        assert decoding.send(packet, (1, number), 64 * 48) == 0
    decoding.end()
    assert [result[0] for result in decoding.results] == [(1, number) for number in range(6)]
    for number, (_, data, stride, rows, code) in enumerate(decoding.results):
        assert (stride, rows, code) == (64, 32, 0)
        luma = board.read(data, (48, 64), np.uint8)[:32]
        assert np.abs(luma.astype(int) - (40 + 20 * number)).max() <= 2


def test_vdec_errors_are_in_the_descriptions_and_the_end_of_a_stream(board):
    packets = annex_b("libx264", tune="zerolatency")
    decoding = Decoding(Media(board), 2)
    assert decoding.send(packets[0], "small", 100) == 0  # too little room for the picture
    assert decoding.send(packets[1], "right", 64 * 48) == 0
    assert decoding.send(b"", "end", 64 * 48, eos=1) == 0
    assert decoding.send(b"", "empty", 64 * 48) == 100000
    decoding.end()
    assert {result[0]: result[4] for result in decoding.results} == {"small": 100000, "right": 0, "end": 0}


def test_vdec_needs_a_callback_and_a_channel(board):
    media = Media(board).media
    channel = media.vdec_create_channel_desc()
    assert media.vdec_send_frame(channel, 0, 0, 0, None) == 100000
    board.ok(media.vdec_set_channel_desc_thread_id(channel, threading.get_ident()))
    board.ok(media.vdec_set_channel_desc_entype(channel, 9))
    assert media.vdec_create_channel(channel) == 100000
    board.ok(media.vdec_set_channel_desc_entype(channel, 2))
    assert media.vdec_get_channel_desc_out_mode(channel) == 0
    board.ok(media.vdec_create_channel(channel))
    with pytest.raises(RuntimeError, match="no callback"):
        media.vdec_send_frame(channel, 0, 0, 0, None)
    board.ok(media.vdec_destroy_channel(channel))
