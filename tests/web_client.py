"""A server with results made by hand, and a small client that speaks HTTP over plain sockets."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

import handpose_native as hp
from handpose_native.report import RunReport
from handpose_native.timing import FrameTimes
from handpose_native.types import FrameResult
from handpose_native.web import Access, load_server

JOINTS = np.stack([np.linspace(30, 130, 21), np.linspace(20, 100, 21)], 1).astype(np.float32)


def hand(track_id: int = 3) -> hp.Hand:
    return hp.Hand(JOINTS, np.full(21, 0.9, np.float32), 0.98, "left", 0.87, None, None, track_id)


def result(
    index: int,
    *,
    hands: list[hp.Hand] | None = None,
    model_ms: float = 2.0,
    planes: bool = True,
    size: tuple[int, int] = (160, 120),
) -> FrameResult:
    """A result with a picture of a plain colour that depends on its number."""
    width, height = size
    image = np.full((height, width, 3), (40, 60 + index % 150, 90), np.uint8)
    picture = hp.Picture.from_bgr(image)
    if planes:
        packed = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        picture = hp.Picture(hp.yuv_planes(packed, "yuv420p"), "yuv420p")
    times = FrameTimes()
    now = time.perf_counter()
    times.add("read", now - 0.03, now)
    times.add("model", now, now + model_ms / 1e3)
    return FrameResult(index, index / 30, picture, hands if hands is not None else [hand()], times)


class Camera(hp.Source):
    """A live source that nobody reads: what a server wants to know of one."""

    def __init__(self, is_live: bool = True) -> None:
        super().__init__(hp.SourceInfo("rtsp://camera", "stream", 160, 120, is_live=is_live))

    def _frames(self) -> Iterator[hp.Frame]:
        yield from ()

    def _release(self) -> None:
        return


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is not strict JSON")

        return json.loads(self.body, parse_constant=refuse)


@dataclass
class Site:
    """A server, its source and report."""

    server: Any
    source: Camera
    report: RunReport
    sockets: list[socket.socket] = field(default_factory=list)

    def show(self, *indices: int, **options: Any) -> None:
        for index in indices:
            one = result(index, **options)
            self.report.count(one)
            self.server.show(one)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask with headers in which _ stands for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def connect(self, text: bytes = b"", receive_bytes: int = 0) -> socket.socket:
        """Open a connection and send something."""
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.server.port))
        self.sockets.append(connection)
        connection.sendall(text)
        return connection

    def open(self, path: str, headers: str = "", receive_bytes: int = 0) -> socket.socket:
        """Begin to read a stream."""
        return self.connect(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n".encode(), receive_bytes)


@contextmanager
def site(
    token: str | None = None, origins: tuple[str, ...] = (), is_live: bool = True, port: int = 0, **options: Any
) -> Iterator[Site]:
    """A server on a port of this machine; on a free one unless told."""
    source = Camera(is_live)
    report = RunReport("rtsp://camera", 'a "model"\\with\nodd letters')
    access = Access("127.0.0.1", token=token, origins=origins)
    server = load_server()(source, lambda: report, access, port=port, **options)
    with server:
        one = Site(server, source, report)
        try:
            yield one
        finally:
            for connection in one.sockets:
                connection.close()


def read_until(connection: socket.socket, mark: bytes, data: bytes = b"") -> bytes:
    """Read until something has come."""
    while mark not in data:
        more = connection.recv(65536)
        assert more, f"ended before {mark!r} came: {data[-200:]!r}"
        data += more
    return data


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    data = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionError:
            return data
        if not more:
            return data
        data += more
