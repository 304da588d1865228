"""Whom the server answers, and which requests and connections it refuses."""

from __future__ import annotations

import logging
import re
import threading

import pytest

pytest.importorskip("aiohttp", reason="aiohttp serves the page (extra web)")
pytest.importorskip("prometheus_client", reason="prometheus_client writes /metrics (extra web)")

from tests.web_client import read_all, read_until, site

from handpose_native.web import server

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

TOKEN = "0123456789abcdef"

PATHS = [
    "/", "/page.js", "/page.css", "/icon.svg", "/video.mjpeg", "/picture.jpg", "/keypoints.json", "/events",
    "/status.json", "/metrics",
]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/index.html", "/assets/page.js", "/../../../../etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd",
        "/%2e%2e/page.js", "/page.js/../../access.py", "/page.js%00", "/server.py", "/page.js/",
    ],
)  # fmt: skip
def test_no_path_reaches_the_disk(path: str) -> None:
    with site() as one:
        assert one.get(path).status in (400, 404)


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(path: str) -> None:
    with site(token=TOKEN) as one:
        one.show(0)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"handpose_native_{one.server.port}=wrong"}):
            answer = one.get(path, **headers)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "token is needed" in answer.text
        assert one.get(f"{path}?token=wrong%C3%A9%FF").status == 401
        assert one.get("/healthz").text == "running\n"


def test_the_three_ways_to_bring_the_token() -> None:
    with site(token=TOKEN) as one:
        one.show(0)
        assert one.get("/status.json", Authorization=f"Bearer {TOKEN}").status == 200
        assert one.get(f"/picture.jpg?token={TOKEN}").status == 200
        page = one.get(f"/?token={TOKEN}")
        assert (page.status, page.headers["Location"]) == (303, "./")
        cookie = page.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert one.get("/", Cookie=cookie.partition(";")[0]).status == 200


def test_names_of_others_are_not_answered() -> None:
    with site() as one:
        for path in (*PATHS, "/healthz"):
            answer = one.get(path, Host=f"evil.example:{one.server.port}")
            assert answer.status == 403
            assert "evil.example" in answer.text
        assert b" 403 " in read_all(one.connect(b"GET /healthz HTTP/1.0\r\n\r\n"))
        assert one.get("/healthz", Host="localhost:1").status == 200


def test_pages_of_others_read_nothing_unless_they_are_named() -> None:
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}
    with site(token=TOKEN, origins=("https://example.org",)) as one:
        one.show(0)
        assert one.get(f"/keypoints.json?token={TOKEN}", **foreign, Origin="https://evil.example").status == 403
        answer = one.get(f"/keypoints.json?token={TOKEN}", **foreign, Origin="https://example.org")
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://example.org")
        assert answer.headers["Vary"] == "Origin"
        preflight = one.get("/keypoints.json", "OPTIONS", **foreign, Origin="https://example.org")
        assert (preflight.status, preflight.headers["Access-Control-Allow-Methods"]) == (204, "GET")
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        assert one.get("/keypoints.json", "OPTIONS", Origin="https://evil.example").status == 401


@pytest.mark.parametrize(
    "text",
    [
        b"GET /?" + b"x" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000 + b"\r\n\r\n",
        b"no request\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_requests_that_are_none_are_refused_and_fill_no_log(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with site() as one, caplog.at_level(logging.WARNING):
        assert re.match(rb"HTTP/1\.. 4\d\d ", read_all(one.connect(text)))
        assert one.get("/healthz").status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(method: str) -> None:
    with site() as one:
        for path in PATHS:
            assert one.get(path, method).status == 405


def test_a_body_is_not_read() -> None:
    with site() as one:
        connection = one.connect(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
        assert b" 405 " in read_until(connection, b"\r\n\r\n")


def test_connections_that_say_nothing_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SILENT_S", 0.3)
    with site() as one:
        for text in (b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            connection = one.connect(text)
            answer = read_all(connection)  # ends only because the server closes
            assert (b"200 OK" in answer) == text.endswith(b"\r\n\r\n")
        # Streams and requests that come in time are not touched.
        one.show(0)
        stream = one.open("/video.mjpeg")
        for index in range(1, 5):
            read_until(stream, b"--picture")
            threading.Event().wait(0.15)
            one.show(index)
        read_until(stream, b"--picture")


def test_more_connections_than_needed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_FURTHER_CONNECTIONS", 2)
    with site(max_viewers=1) as one:
        kept = [one.connect() for _ in range(3)]
        assert one.connect().recv(10) == b""
        kept[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in kept[0].recv(4096)
