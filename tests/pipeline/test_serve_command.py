"""``handpose-native serve`` as a user meets it: what it prints, how it ends, what the page is told."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="aiohttp serves the page (extra web)")
pytest.importorskip("prometheus_client", reason="prometheus_client writes /metrics (extra web)")

import handpose_native as hp

from .conftest import Demo
from .mjpeg_camera import Connection, mjpeg_camera, until

COMMAND = [sys.executable, "-m", "handpose_native", "serve"]


class Served:
    """The running command."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self.process = process
        self.line = line
        match = re.search(r"http://([^:/]+):(\d+)/(?:\?token=(\S+))?", line)
        assert match is not None, line
        self.host, self.port, self.token = match[1], int(match[2]), match[3]
        self.connections: list[http.client.HTTPConnection] = []

    def ask(self, path: str) -> http.client.HTTPResponse:
        """Begin to read an answer; the connection is closed at the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.connections.append(connection)
        connection.request("GET", path)
        return connection.getresponse()

    def get(self, path: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def status(self) -> Any:
        return json.loads(self.get("/status.json")[1])

    def frames(self) -> int:
        report = self.status()["report"]
        return int(report["frames"]) if report else 0

    def end(self, number: int) -> tuple[int, float, str]:
        """Send a signal; return the exit code, how long it took, and what was written to stderr."""
        began = time.monotonic()
        self.process.send_signal(number)
        _, text = self.process.communicate(timeout=60)
        return self.process.returncode, time.monotonic() - began, text


@contextmanager
def serve(*arguments: object, port: int = 0, **environment: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--port", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    connections: list[http.client.HTTPConnection] = []
    try:
        if not line:
            raise AssertionError(process.communicate(timeout=20)[1])
        served = Served(process, line)
        connections = served.connections
        yield served
    finally:
        for connection in connections:
            connection.close()
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_command_shows_a_file_in_real_time_until_it_is_told_to_end(demo: Demo, number: int, code: int) -> None:
    with serve(demo.clip, "--model", demo.model, "--loop", "--quiet") as served:
        assert (served.host, served.token) == ("127.0.0.1", None)
        assert served.get("/")[0] == 200
        assert until(lambda: served.frames() > 20)
        found = served.status()
        assert found["report"]["is_live"]
        assert found["recent"]["fps"] < 45  # the clip has 30
        assert len(found["newest"]["hands"]) == 1
        streams = [served.ask(path) for path in ("/video.mjpeg", "/video.mjpeg", "/events")]
        served.ask("/video.mjpeg")  # and never read
        for stream in streams:
            assert len(stream.read(5000)) == 5000
        status, jpeg = served.get("/picture.jpg")
        assert status == 200
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (480, 640, 3)
        returned, seconds, text = served.end(number)
        assert returned == code, text
        assert seconds < 4  # 2 on a machine that has time
        assert text == ""


def test_at_its_own_speed_and_recorded(demo: Demo, tmp_path: Path) -> None:
    video, keypoints, report = tmp_path / "o.mp4", tmp_path / "o.jsonl", tmp_path / "r.json"
    arguments = ["--no-realtime", "-o", video, "--keypoints", keypoints, "--report", report, "--max-frames", 40]
    with serve(demo.clip, "--model", demo.model, *arguments) as served:
        _, text = served.process.communicate(timeout=60)
        assert served.process.returncode == 0, text
    assert "40 frames" in text
    assert len(list(hp.read_keypoints(keypoints)[1])) == 40
    found = json.loads(report.read_text())
    assert not found["is_live"]
    assert found["ledger"]["replaced"] == 0
    with hp.open_source(video) as source:
        assert sum(1 for _ in source) == 40


def test_the_end_of_a_file_is_told_and_the_command_ends(demo: Demo) -> None:
    with serve(demo.clip, "--model", demo.model, "--max-frames", 30) as served:
        states = []
        events = served.ask("/events")
        while True:
            try:
                found = served.status()
            except (ConnectionError, http.client.HTTPException):
                break
            states.append((found["state"], found["message"]))
            time.sleep(0.1)
        assert states[-1] == ("ended", "30 frames are done, as asked.")
        assert b'event: end\ndata: {"message":"30 frames' in events.read()
        assert served.process.wait(20) == 0


def test_it_may_stay_when_the_source_has_ended(demo: Demo) -> None:
    with serve(demo.clip, "--model", demo.model, "--no-realtime", "--keep") as served:
        assert until(lambda: served.status()["state"] == "ended")
        found = served.status()
        assert found["message"] == "The source has ended."
        assert found["report"]["frames"] == len(demo.truth)
        assert served.get("/picture.jpg")[0] == 200
        assert served.get("/healthz")[0] == 503
        assert served.end(signal.SIGTERM)[0] == 143


def test_a_connection_that_is_lost_shows_and_comes_back(demo: Demo) -> None:
    pictures = [frame.image.copy() for frame in hp.open_source(demo.clip) if frame.index < 20]
    on_air = threading.Event()

    def program(connection: Connection, number: int) -> None:
        if number and not on_air.wait(0.01):
            return
        for index in range(40 if number == 0 else 1_000_000):
            connection.send(pictures[index % 20])
            if connection.ended.is_set():
                return

    with mjpeg_camera(program, fps=30) as url, serve(url, "--model", demo.model, "--quiet") as served:
        assert until(lambda: served.status()["state"] == "lost", 40)
        assert "connection is lost" in served.status()["message"]
        assert served.get("/healthz") == (503, b"lost\n")
        on_air.set()
        assert until(lambda: served.status()["state"] == "running", 40)
        found = served.status()
        assert found["report"]["ledger"]["reconnected"] == 1
        assert "the connection was lost once" in found["problems"][0]
        assert served.end(signal.SIGTERM)[0] == 143


def test_others_need_the_token_that_is_printed_once(demo: Demo) -> None:
    with serve(demo.clip, "--model", demo.model, "--loop", "--host", "0.0.0.0", "--quiet") as served:
        assert served.token is not None
        assert len(served.token) >= 32
        assert served.host != "0.0.0.0"
        assert served.get("/status.json")[0] == 401
        assert served.get(f"/status.json?token={served.token}")[0] == 200
        code, _, text = served.end(signal.SIGTERM)
        assert (code, text) == (143, "")


def test_a_token_that_was_given_is_not_printed(demo: Demo) -> None:
    token = "a-token-of-my-own-0123"
    arguments = [demo.clip, "--model", demo.model, "--loop", "--quiet"]
    for options, environment in ((["--token", token], {}), ([], {"HANDPOSE_NATIVE_TOKEN": token})):
        with serve(*arguments, *options, **environment) as served:
            assert token not in served.line
            assert served.get("/")[0] == 401
            assert served.get(f"/status.json?token={token}")[0] == 200


def failure(*arguments: object, **environment: str) -> tuple[int, str]:
    result = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr


def test_what_cannot_be_is_told_in_one_line(demo: Demo, tmp_path: Path) -> None:
    with serve(demo.clip, "--model", demo.model, "--loop") as served:
        code, text = failure(demo.clip, "--model", demo.model, "--port", served.port)
        assert (code, text.count("\n")) == (3, 1)
        assert f"cannot listen on 127.0.0.1 port {served.port}" in text
    assert failure(demo.clip, "--port", "70000")[0] == 2
    assert failure(demo.clip, "--model", demo.model, "--token", "short")[0] == 2
    assert failure(demo.clip, "--model", demo.model, "--quality", "200", "--port", "0")[0] == 2
    assert failure("missing.mp4", "--model", demo.model)[0] == 3
    assert failure(demo.clip, "--host", "nowhere.invalid")[0] == 3
    (tmp_path / "aiohttp").mkdir()
    (tmp_path / "aiohttp" / "__init__.py").write_text("raise ModuleNotFoundError('not here', name='aiohttp')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code, text = failure(demo.clip, "--model", demo.model, PYTHONPATH=path)
    assert code == 5
    assert "handpose_native[web]" in text
