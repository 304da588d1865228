"""A camera on the loopback: a real HTTP server that sends JPEG pictures at a pace, and misbehaves as told."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

_BOUNDARY = b"--picture"


@dataclass
class Connection:
    """One viewer's connection, as the camera's program sees it."""

    file: BinaryIO
    ended: threading.Event
    fps: float

    def send(self, picture: NDArray[np.uint8]) -> None:
        """Send a picture and wait for the time of the next."""
        self.send_bytes(cv2.imencode(".jpg", picture)[1].tobytes())

    def send_bytes(self, body: bytes) -> None:
        """Send something in place of a picture."""
        head = b"%b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (_BOUNDARY, len(body))
        self.file.write(head + body + b"\r\n")
        self.file.flush()
        self.pause(1 / self.fps)

    def pause(self, seconds: float) -> None:
        """Send nothing for a while; less where the camera is switched off."""
        self.ended.wait(seconds)


@contextmanager
def mjpeg_camera(program: Callable[[Connection, int], None], fps: float = 60.0) -> Iterator[str]:
    """Switch a camera on; yields its address.

    `program` is called for each connection with it and its number; the connection is closed when it returns.
    """
    ended = threading.Event()
    numbers = iter(range(1_000_000))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=" + _BOUNDARY.decode())
            self.end_headers()
            try:
                program(Connection(self.wfile, ended, fps), next(numbers))
            except (ConnectionError, TimeoutError):  # the viewer has gone
                return

        def log_message(self, *arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Callable[[], bool], patience_s: float = 20.0) -> bool:
    """Wait for something to become true; return whether it did."""
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
