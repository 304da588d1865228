"""``threads=``: the same bits however many share a call, from any number of callers, in forked children too."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import handpose_native as hp

ROTATION = [[0.3, 0.1, 10.0], [-0.1, 0.3, 60.0]]

# Each takes long enough for helpers to come, on any machine.
PICTURES: list[dict[str, Any]] = [
    {"filter": "antialias", "size_hw": (224, 224)},
    {"filter": "antialias", "size_hw": (301, 299), "dtype": "uint8", "layout": "NHWC"},
    {"filter": "cubic", "size_hw": (600, 700), "dtype": "float16"},
    {"filter": "linear", "size_hw": (1000, 1100), "border_value": 7},
    {"filter": "linear", "size_hw": (900, 900), "input_from_image": ROTATION},
    {"filter": "linear", "size_hw": (700, 700), "input_from_image": ROTATION, "border": "replicate"},
    {"filter": "antialias", "size_hw": (640, 640), "input_from_image": [[0.3, 0, 0], [0, 0.3, 140.0]]},
]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)


@pytest.mark.parametrize("options", PICTURES)
def test_preprocess_does_not_depend_on_threads(isa_level: str, picture: np.ndarray, options: dict[str, Any]) -> None:
    expected = hp.preprocess(picture, **options)
    for threads in (2, 3, 7, 64):
        np.testing.assert_array_equal(hp.preprocess(picture, **options, threads=threads), expected)


def test_planes_do_not_depend_on_threads(isa_level: str) -> None:
    packed = np.random.default_rng(2).integers(0, 256, (1620, 1920), dtype=np.uint8)
    for source_format in ("nv12", "yuv420p"):
        planes = hp.yuv_planes(packed, source_format)
        for filter in ("linear", "antialias"):
            options = {"source_format": source_format, "filter": filter, "size_hw": (500, 900)}
            expected = hp.preprocess(planes, **options)
            np.testing.assert_array_equal(hp.preprocess(planes, **options, threads=4), expected)


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark", "expectation", "upsampled_argmax"])
def test_peaks_do_not_depend_on_threads(isa_level: str, method: str) -> None:
    maps = np.random.default_rng(3).standard_normal((40, 21, 64, 64), np.float32)
    options = {"method": method, "upsampled_hw": (70, 80) if method == "upsampled_argmax" else None, "spreads": True}
    expected = hp.heatmap_peaks(maps, **options)
    for threads in (2, 5, 64):
        for got, want in zip(hp.heatmap_peaks(maps, **options, threads=threads), expected):
            np.testing.assert_array_equal(got, want)


def test_one_row_and_one_map() -> None:
    image = np.random.default_rng(4).integers(0, 256, (300, 4000, 3), dtype=np.uint8)
    options = {"size_hw": (1, 3000), "filter": "antialias"}
    np.testing.assert_array_equal(hp.preprocess(image, **options, threads=8), hp.preprocess(image, **options))
    maps = np.random.default_rng(5).random((1, 1000, 1000), np.float32)
    np.testing.assert_array_equal(hp.heatmap_peaks(maps, threads=8)[0], hp.heatmap_peaks(maps)[0])


def test_workspace_of_few_threads_then_of_many(picture: np.ndarray) -> None:
    options = {"size_hw": (224, 224), "filter": "antialias"}
    expected = hp.preprocess(picture, **options)
    for threads in (1, 64, 2, 64, 1):
        np.testing.assert_array_equal(hp.preprocess(picture, **options, threads=threads), expected)


def test_many_callers_at_once(picture: np.ndarray) -> None:
    jobs = [options for options in PICTURES for _ in range(3)]
    expected = [hp.preprocess(picture, **options) for options in jobs]
    with ThreadPoolExecutor(6) as callers:
        results = list(callers.map(lambda options: hp.preprocess(picture, **options, threads=3), jobs))
    for got, want in zip(results, expected):
        np.testing.assert_array_equal(got, want)


def test_python_goes_on_meanwhile(picture: np.ndarray) -> None:
    """Neither the caller nor its helpers hold the GIL."""
    counted = 0
    done = threading.Event()

    def call() -> None:
        for _ in range(20):
            hp.preprocess(picture, size_hw=(1000, 1000), filter="antialias", threads=2)
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    while not done.wait(0):
        counted += 1
    thread.join()
    assert counted > 100


def _peaks_in_child(maps: np.ndarray, queue: Any) -> None:
    queue.put(hp.heatmap_peaks(maps, method="expectation", threads=4)[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own() -> None:
    maps = np.random.default_rng(6).random((16, 21, 96, 96), np.float32)
    expected = hp.heatmap_peaks(maps, method="expectation", threads=4)[0]
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        queue = context.Queue()
        child = context.Process(target=_peaks_in_child, args=(maps, queue))
        child.start()
        np.testing.assert_array_equal(queue.get(timeout=60), expected)
        child.join(timeout=60)
        assert child.exitcode == 0


def test_a_process_with_helpers_ends() -> None:
    code = (
        "import numpy as np, handpose_native as hp\n"
        "hp.preprocess(np.zeros((2000, 3000, 3), np.uint8), size_hw=(900, 900), filter='antialias', threads=8)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("threads", "error"), [
    (0, hp.ArgumentError), (-1, hp.ArgumentError), (65, hp.ArgumentError), (2**40, hp.ArgumentError),
    ("2", hp.DTypeError), (1.5, hp.DTypeError), (None, hp.DTypeError),
])  # fmt: skip
def test_wrong_numbers_of_threads(threads: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="preprocess: threads must be an integer from 1 to 64"):
        hp.preprocess(np.zeros((8, 8, 3), np.uint8), size_hw=(4, 4), threads=threads)
    with pytest.raises(error, match="heatmap_peaks: threads must be an integer from 1 to 64"):
        hp.heatmap_peaks(np.zeros((2, 8, 8), np.float32), threads=threads)


def test_a_call_that_fails_leaves_the_helpers_alone(picture: np.ndarray) -> None:
    options = {"size_hw": (224, 224), "filter": "antialias", "threads": 3}
    expected = hp.preprocess(picture, **options)
    with pytest.raises(hp.ArgumentError):
        hp.preprocess(picture, **options, std=0)
    np.testing.assert_array_equal(hp.preprocess(picture, **options), expected)
