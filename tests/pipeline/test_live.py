"""Cameras over HTTP, from a real server on the loopback, that stall, break off, change size and send garbage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import handpose_native as hp
from handpose_native.video import files as files_module
from handpose_native.video import live as live_module

from .conftest import Demo
from .mjpeg_camera import Connection, mjpeg_camera

Images = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def images(demo: Demo) -> Images:
    with hp.open_source(demo.clip) as source:
        return [frame.image for frame, _ in zip(source, range(60))]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_BACK_OFF_S", (0.05, 0.1))


def endless(images: Images) -> Callable[[Connection, int], None]:
    def program(camera: Connection, _: int) -> None:
        while not camera.ended.is_set():
            for image in images:
                camera.send(image)

    return program


def collect(demo: Demo, address: str, count: int, **options: object) -> tuple[list[hp.FrameResult], hp.RunReport]:
    with hp.Pipeline(demo.model) as pipe:
        results = list(islice(pipe.stream(hp.open_source(address), **options), count))  # type: ignore[arg-type]
        assert pipe.last_report is not None
        return results, pipe.last_report


def check_order(results: list[hp.FrameResult]) -> None:
    assert [result.index for result in results] == sorted({result.index for result in results})
    moments = [result.pts_s for result in results]
    assert moments == sorted(moments)


def test_a_camera_over_http_is_live_and_its_joints_are_found(demo: Demo, images: Images) -> None:
    with mjpeg_camera(endless(images), fps=30) as address:
        source = hp.open_source(address)
        assert source.info.is_live
        with hp.Pipeline(demo.model) as pipe:
            results = list(islice(pipe.stream(source), 20))
            report = pipe.last_report
    check_order(results)
    assert report is not None
    assert report.is_live
    for result in results:
        (hand,) = result.hands
        truth = demo.truth[result.index % len(images)]
        assert np.mean(np.linalg.norm(hand.keypoints - truth, axis=1) < 3) > 0.9, "the overlay is of another frame"


def test_a_slow_reader_gets_new_frames_and_the_account_adds_up(demo: Demo, images: Images) -> None:
    sent = 0

    def program(camera: Connection, _: int) -> None:
        nonlocal sent
        while not camera.ended.is_set():
            camera.send(images[sent % len(images)])
            sent += 1

    ages = []
    with mjpeg_camera(program, fps=60) as address, hp.Pipeline(demo.model) as pipe:
        for result in islice(pipe.stream(address), 12):
            ages.append(sent - result.index)
            time.sleep(0.1)
        report = pipe.last_report
    assert report is not None
    ledger = report.ledger
    assert ledger.replaced > 10
    assert ledger.read == ledger.processed + ledger.replaced + ledger.unfinished
    # FFmpeg's demuxer holds some back, but nothing piles up: 12 frames at 0.1 s would be 60 late by now.
    assert ages[-1] - ages[0] < 15


def test_a_camera_that_breaks_off_is_connected_to_again(demo: Demo, images: Images) -> None:
    def program(camera: Connection, number: int) -> None:
        for image in images[: 6 if number < 2 else 1000]:
            camera.send(image)
        camera.pause(60 if number >= 2 else 0)

    with mjpeg_camera(program) as address:
        results, report = collect(demo, address, 16, policy="all")
    check_order(results)
    assert report.ledger.reconnected >= 1
    assert any("connection was lost" in problem for problem in report.problems)


def test_a_size_that_changes_after_a_reconnection(demo: Demo, images: Images, tmp_path: Path) -> None:
    def program(camera: Connection, number: int) -> None:
        for image in images[:8] * (1 if number == 0 else 20):
            camera.send(image if number == 0 else cv2.resize(image, (320, 240)))

    stop = threading.Event()
    sizes = set()

    def look(result: hp.FrameResult) -> None:
        sizes.add((result.picture.width, result.picture.height))
        if len(sizes) == 2 and result.index > 14:
            stop.set()

    out = tmp_path / "out.mp4"
    with mjpeg_camera(program) as address, hp.Pipeline(demo.model) as pipe:
        report = pipe.run(address, out, policy="all", on_frame=look, stop=stop)
    assert sizes == {(640, 480), (320, 240)}
    assert report.stopped == "asked to stop"
    assert any("size changes from 640x480 to 320x240" in problem for problem in report.problems)
    with hp.open_source(out) as written:
        assert len(list(written)) == report.frames


def test_garbage_between_the_pictures_is_left_out_and_counted(demo: Demo, images: Images) -> None:
    def program(camera: Connection, _: int) -> None:
        for image in images[:5]:
            camera.send(image)
        camera.send_bytes(b"\xff\xd8 this is no picture " * 50)
        camera.send_bytes(bytes(1000))
        while not camera.ended.is_set():
            for image in images[5:]:
                camera.send(image)

    with mjpeg_camera(program) as address:
        results, report = collect(demo, address, 20, policy="all")
    check_order(results)
    assert all(result.hands for result in results)
    assert report.ledger.damaged >= 1


def test_a_camera_that_stalls_is_given_up_and_connected_to_again(
    demo: Demo, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "NETWORK_TIMEOUT_S", 0.5)

    def program(camera: Connection, number: int) -> None:
        for image in images[:8]:
            camera.send(image)
        if number == 0:
            camera.pause(30)
        for image in images * 10:
            camera.send(image)

    with mjpeg_camera(program) as address:
        results, report = collect(demo, address, 20, policy="all")
    check_order(results)
    assert report.ledger.reconnected == 1


def test_stopping_while_a_camera_stalls(demo: Demo, images: Images, tmp_path: Path) -> None:
    """What was finished is written, and nobody waits for the camera's timeout of ten seconds."""

    def program(camera: Connection, _: int) -> None:
        for image in images[:8]:
            camera.send(image)
        camera.pause(60)

    stop = threading.Event()
    seen: list[int] = []

    def look(result: hp.FrameResult) -> None:
        seen.append(result.index)
        if len(seen) == 3:
            threading.Timer(0.5, stop.set).start()

    with mjpeg_camera(program) as address, hp.Pipeline(demo.model) as pipe:
        began = time.monotonic()
        report = pipe.run(address, tmp_path / "out.mp4", policy="all", on_frame=look, stop=stop)
        took = time.monotonic() - began
    assert report.stopped == "asked to stop"
    assert report.frames == len(seen) >= 3
    assert took < files_module.NETWORK_TIMEOUT_S - 1
    with hp.open_source(tmp_path / "out.mp4") as written:
        assert len(list(written)) == report.frames


def test_a_file_in_real_time_takes_its_time(demo: Demo) -> None:
    began = time.monotonic()
    with hp.Pipeline(demo.model) as pipe:
        results = list(pipe.stream(hp.open_source(demo.clip, realtime=True), max_frames=15))
        assert pipe.last_report is not None
        assert pipe.last_report.is_live
    assert time.monotonic() - began >= results[-1].pts_s
