"""The server over real sockets: what it answers, and that no viewer holds up anything."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="aiohttp serves the page (extra web)")
parser: Any = pytest.importorskip("prometheus_client.parser", reason="prometheus_client writes /metrics (extra web)")

from tests.web_client import Camera, Site, hand, read_all, read_until, result, site  # noqa: E402

import handpose_native as hp  # noqa: E402
from handpose_native.web import Access, application, load_server, status  # noqa: E402

from .conftest import Demo  # noqa: E402
from .mjpeg_camera import until  # noqa: E402

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_the_page_and_its_parts_come_from_here_alone() -> None:
    with site() as one:
        page = one.get("/")
        assert page.status == 200
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert {"page.js", "page.css", "icon.svg", "metrics", "events"} <= set(linked)
        for name in linked:
            assert "//" not in name
        for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg+xml")):
            answer = one.get(f"/{name}")
            assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, kind)
            assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        for answer in (page, one.get("/status.json"), one.get("/nothing"), one.get("/healthz")):
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Server"] == "handpose_native"


def test_the_newest_picture_has_its_hands_drawn() -> None:
    with site(quality=95) as one:
        assert one.get("/picture.jpg").status == 503
        one.show(*range(5), planes=False)
        answer = one.get("/picture.jpg")
        assert (answer.status, answer.headers["Content-Type"], answer.headers["X-Frame"]) == (200, "image/jpeg", "4")
        wanted = result(4, planes=False).picture.to_bgr()
        hp.draw_hands(wanted, [hand()])
        assert psnr(answer.body, wanted) > 35


def test_a_stream_gives_the_newest_pictures_and_the_head_of_the_next_at_once() -> None:
    with site(fps=1000, quality=95) as one:
        one.show(0)
        stream = one.open("/video.mjpeg")
        head, _, data = read_until(stream, b"\r\n\r\n").partition(b"\r\n\r\n")
        assert b"Content-Type: multipart/x-mixed-replace; boundary=picture" in head
        part_head = b"--picture\r\nContent-Type: image/jpeg\r\n\r\n"
        data = read_until(stream, part_head, data).partition(part_head)[2]
        for index in range(8):
            data = read_until(stream, b"\r\n" + part_head, data)
            body, _, data = data.partition(b"\r\n" + part_head)
            wanted = result(index, planes=False).picture.to_bgr()
            hp.draw_hands(wanted, [hand()])
            assert psnr(body, wanted) > 30
            assert data == b""
            one.show(index + 1, planes=False)


def test_other_programs_can_play_the_stream() -> None:
    """OpenCV's and PyAV's FFmpeg find the pictures by their boundaries."""
    with site(fps=1000) as one:
        one.show(0)
        ended = threading.Event()

        def go_on() -> None:
            index = 1
            while not ended.wait(0.02):
                one.show(index % 100)
                index += 1

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            with hp.open_source(f"http://127.0.0.1:{one.server.port}/video.mjpeg", reconnect=False) as source:
                greens = []
                for frame in source:
                    greens.append(float(frame.image[:8, :8, 1].mean()))
                    if len(greens) == 12:
                        break
        finally:
            ended.set()
            thread.join()
        assert all(abs(frame - round(frame)) < 2 for frame in greens)
        assert greens == sorted(greens)
        assert greens[-1] > greens[0]


def test_without_news_the_last_picture_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_REPEAT_S", 0.05)
    with site() as one:
        one.show(0)
        stream = one.open("/video.mjpeg")
        data = b""
        while data.count(b"--picture") < 4:
            data += stream.recv(65536)
        assert metrics(one)["handpose_native_pictures_encoded_total"] == 1


def test_keypoints_and_events_are_the_lines_of_a_keypoint_file(tmp_path: Path) -> None:
    path = tmp_path / "k.jsonl"
    with site() as one, hp.open_keypoint_writer(path, source=one.source.info) as writer:
        assert one.get("/keypoints.json").status == 503
        stream = one.open("/events")
        data = read_until(stream, b"event: header")
        assert b"Content-Type: text/event-stream; charset=utf-8" in data
        for index in range(20):
            writer.write(result(index))
            one.show(index)
        data = read_until(stream, b"id: 20\n", data)
        data = read_until(stream, b"\n\n", data[data.index(b"retry: ") :])
        newest = one.get("/keypoints.json").json
    events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in data.decode().split("\n\n")[:21]]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [json.loads(event["data"]) for event in events] == lines
    assert [event["event"] for event in events] == ["header"] + ["frame"] * 20
    assert [event["id"] for event in events[1:]] == [str(number) for number in range(1, 21)]
    assert newest == {**lines[0], **lines[-1]}


def test_a_program_that_comes_back_gets_what_it_missed() -> None:
    with site() as one:
        one.show(*range(10))
        data = read_until(one.open("/events", "Last-Event-ID: 6\r\n"), b"id: 10\n")
        assert re.findall(rb"id: (\d+)", data) == [b"7", b"8", b"9", b"10"]
        for strange in ("99999", "-1", "x", "9" * 40, "\u00b2"):
            stream = one.open("/events", f"Last-Event-ID: {strange}\r\n")
            read_until(stream, b"event: header")
            one.show(11)
            assert b"event: frame" in read_until(stream, b"event: frame")


def test_the_status_is_strict_json_and_tells_states(monkeypatch: pytest.MonkeyPatch) -> None:
    nan_hand = hp.Hand(hand().keypoints, np.full(21, np.nan, np.float32))
    with site() as one:
        found = one.get("/status.json").json
        assert (found["state"], found["newest"], found["recent"]["fps"]) == ("starting", None, None)
        assert one.get("/healthz").status == 200
        one.show(0, 1, hands=[hand(), nan_hand])
        found = one.get("/status.json?viewer=nobody").json
        assert (found["state"], found["message"], found["viewer"]) == ("running", "", None)
        assert found["newest"]["hands"] == [
            {"track_id": 3, "presence": 0.98, "handedness": "left", "handedness_score": 0.87},
            {"track_id": None, "presence": None, "handedness": None, "handedness_score": None},
        ]
        assert found["report"]["frames"] == 2
        assert found["recent"]["stages_ms"]["model"]["median"] == pytest.approx(2.0, rel=1e-3)
        one.source.interrupted = "it was cut"
        found = one.get("/status.json").json
        assert found["state"] == "lost"
        assert "it was cut" in found["message"]
        assert (one.get("/healthz").status, one.get("/healthz").text) == (503, "lost\n")
        one.source.interrupted = None
        monkeypatch.setattr(status, "_STILL_S", 0.0)
        assert one.get("/status.json").json["state"] == "still"
        one.server.end("The source has ended.")
        found = one.get("/status.json").json
        assert (found["state"], found["message"]) == ("ended", "The source has ended.")
        assert one.get("/picture.jpg").status == 200


def test_the_page_learns_whether_its_own_stream_is_alive() -> None:
    with site() as one:
        one.show(0)
        stream = one.open("/video.mjpeg?viewer=abc123")
        read_until(stream, b"--picture")
        assert one.get("/status.json?viewer=abc123").json["viewer"]["sent"] >= 0
        stream.close()
        assert until(lambda: one.get("/status.json?viewer=abc123").json["viewer"] is None)
        assert one.get("/video.mjpeg?viewer=../x").status == 400


def test_metrics_follow_the_rules_of_prometheus() -> None:
    with site() as one:
        one.show(*range(50), model_ms=3.0)
        one.show(50, model_ms=700.0)
        one.report.ledger.replaced = 7
        text = one.get("/metrics").text
        families = {family.name: family for family in parser.text_string_to_metric_families(text)}
        for name, family in families.items():
            assert family.type != "unknown"
            assert family.documentation or name.startswith("process_"), name
        (info,) = families["handpose_native_run_info"].samples
        assert info.labels["model"] == 'a "model"\\with\nodd letters'
        found = metrics(one)
        assert found["handpose_native_frames_processed_total"] == 51
        assert found['handpose_native_frames_dropped_total{"reason": "newer_frame"}'] == 7
        stages = families["handpose_native_stage_seconds"]
        assert stages.type == "histogram"
        model = [sample for sample in stages.samples if sample.labels["stage"] == "model"]
        buckets = {float(one.labels["le"]): one.value for one in model if one.name.endswith("_bucket")}
        counts = [buckets[bound] for bound in sorted(buckets)]
        assert counts == sorted(counts)
        assert (buckets[0.002], buckets[0.005], buckets[0.5], buckets[1.0]) == (0, 50, 50, 51)
        assert buckets[float("inf")] == next(one.value for one in model if one.name.endswith("_count")) == 51
        assert next(one.value for one in model if one.name.endswith("_sum")) == pytest.approx(0.85, rel=1e-3)
        assert one.get("/metrics", Accept="application/openmetrics-text").text.endswith("# EOF\n")


def test_there_is_room_for_so_many_viewers_and_for_more_once_one_leaves() -> None:
    with site(max_viewers=3) as one:
        one.show(0)
        streams = [one.open(path) for path in ("/video.mjpeg", "/video.mjpeg", "/events")]
        for stream in streams:
            read_until(stream, b"\r\n\r\n")
        answer = one.get("/video.mjpeg")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "3 places" in answer.text
        assert one.get("/events").status == 503
        assert one.get("/status.json").json["viewers"] == {"now": 3, "limit": 3}
        streams[0].close()
        assert until(lambda: one.get("/status.json").json["viewers"]["now"] == 2)
        read_until(one.open("/video.mjpeg"), b"--picture")
        assert metrics(one)["handpose_native_viewers_refused_total"] == 2


def test_a_viewer_that_stops_reading_holds_up_nobody_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_STALLED_S", 2.0)
    noise = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
    with site(fps=1000) as one:
        stalled = [one.open("/video.mjpeg", receive_bytes=4096) for _ in range(4)]
        alive = one.open("/video.mjpeg")
        data = b""
        for index in range(60):
            shown = result(index)
            picture = hp.Picture.from_bgr(noise if index < 59 else noise[:8, :8].copy())
            one.server.show(hp.FrameResult(shown.index, shown.pts_s, picture, [], shown.timings_ms))
            if index == 0:  # else a busy machine may show some of them nothing but the last one
                for connection in stalled:
                    read_until(connection, b"\xff\xd8")
        # All could be handed over at once, and the newest, a small one, arrives whoever else sleeps.
        while True:
            data = read_until(alive, b"\r\n--picture", data)
            body, _, data = data.partition(b"\r\n--picture")
            if len(body) < 5000 and b"\xff\xd8" in body:
                break
        assert until(lambda: one.get("/status.json").json["viewers"]["now"] == 1)
        assert all(len(read_all(connection)) < 8e6 for connection in stalled)


def test_a_run_finds_the_same_whoever_looks(demo: Demo, tmp_path: Path) -> None:
    alone, watched = tmp_path / "alone.jsonl", tmp_path / "watched.jsonl"
    with hp.Pipeline(demo.model) as pipe:
        pipe.run(demo.clip, keypoints=alone)
        with site(fps=1000) as one:
            for _ in range(3):
                one.open("/video.mjpeg", receive_bytes=4096)  # never read
            events = one.open("/events")
            read_until(events, b"event: header")
            report = pipe.run(demo.clip, keypoints=watched, on_frame=one.server.show)
            data = read_until(events, f"id: {len(demo.truth)}\n".encode())
            jpeg = one.get("/picture.jpg")
    assert report.frames == len(demo.truth)
    assert watched.read_bytes() == alone.read_bytes()
    assert len(re.findall(rb"event: frame", data)) == len(demo.truth)
    assert int(jpeg.headers["X-Frame"]) == len(demo.truth) - 1


def test_leaving_ends_all_streams() -> None:
    with site() as one:
        one.show(0)
        paths = ["/video.mjpeg"] * 3 + ["/events"] * 2
        streams = [one.open(path, receive_bytes=4096 if number == 0 else 0) for number, path in enumerate(paths)]
        for stream in streams:
            read_until(stream, b"\r\n\r\n")
        one.sockets.clear()
    assert b"event: end" in read_all(streams[-1])
    for stream in streams:
        read_all(stream)
        stream.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.server.port), 5)


def test_a_port_that_is_taken() -> None:
    with site() as one, pytest.raises(hp.VideoError, match=r"port \d+: Address already in use; .*--port"):
        load_server()(Camera(), lambda: None, Access("127.0.0.1"), port=one.server.port)


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"quality": 101}, {"fps": 0.0}, {"max_viewers": 0}, {"port": 65536}])
def test_wrong_numbers(wrong: dict[str, Any]) -> None:
    with pytest.raises(hp.ArgumentError, match="serve: quality"):
        load_server()(Camera(), lambda: None, Access("127.0.0.1"), **wrong)


def metrics(one: Site) -> dict[str, float]:
    """All values by name and, where there are any, labels."""
    families = parser.text_string_to_metric_families(one.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.name + (json.dumps(sample.labels) if sample.labels else ""): sample.value for sample in samples}


def psnr(jpeg: bytes, wanted: Any) -> float:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(float)
    return float(20 * np.log10(255 / np.sqrt(np.mean((decoded - wanted) ** 2))))
