"""What goes around a call of acl.media."""

from __future__ import annotations

import numpy as np

NV12, NV21, RGB = 1, 2, 12


class Media:
    """A started board with a channel and a stream, and what goes around a media call."""

    def __init__(self, board):
        self.board, self.acl, self.media = board, board.acl, board.acl.media
        self.context = board.start()
        self.stream = board.ok(self.acl.rt.create_stream())
        self.channel = self.media.dvpp_create_channel_desc()
        board.ok(self.media.dvpp_set_channel_desc_mode(self.channel, 3))
        board.ok(self.media.dvpp_create_channel(self.channel))

    def memory(self, size):
        return self.board.ok(self.media.dvpp_malloc(size))

    def picture(self, width=0, height=0, stride=0, rows=0, size=None, kind=NV12, data=None):
        size = stride * rows * (1 if kind == RGB else 3) // (1 if kind == RGB else 2) if size is None else size
        description = self.media.dvpp_create_pic_desc()
        fields = {"data": data or self.memory(size), "size": size, "format": kind, "width": width, "height": height}
        fields |= {"width_stride": stride, "height_stride": rows}
        for field, value in fields.items():
            self.board.ok(getattr(self.media, f"dvpp_set_pic_desc_{field}")(description, value))
        return description

    def field(self, description, name):
        return getattr(self.media, f"dvpp_get_pic_desc_{name}")(description)

    def write(self, description, values):
        self.board.write(self.field(description, "data"), values)

    def read(self, description, shape):
        return self.board.read(self.field(description, "data"), shape, np.uint8)

    def done(self, code):
        assert code == 0, self.acl.get_recent_err_msg()
        self.board.ok(self.acl.rt.synchronize_stream(self.stream))

    def jpeg(self, data):
        """The bytes in device memory."""
        address = self.memory(len(data))
        self.board.write(address, np.frombuffer(data, np.uint8))
        return address
