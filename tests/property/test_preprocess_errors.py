"""What preprocess refuses: the class of the error, and a message that names the function and the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference import preprocess as reference
from tests.reference.arrays import DeviceBuffer, noise, plane_shapes

import handpose_native as hp

NAN, INF = float("nan"), float("inf")
IMAGE = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
Y, UV, U, V = (np.zeros(shape, np.uint8) for shape in ((6, 8), (3, 4, 2), (3, 4), (3, 4)))
SIZE = {"size_hw": (4, 5)}
ROTATION = reference.rotation_affine((4, 3), 6, 0.5, (4, 5))


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


class NoDtype:
    address, shape = 4096, (3, 4, 5)


class Strange:
    """A buffer with one attribute made wrong."""

    def __init__(self, **attributes: Any) -> None:
        memory = np.zeros((3, 4, 5), np.float32)
        self.keep, self.address, self.shape, self.dtype = memory, memory.ctypes.data, memory.shape, memory.dtype
        for name, value in attributes.items():
            setattr(self, name, value)


A, D = hp.ArgumentError, hp.DTypeError
CASES: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    # image: dtype, shape, layout
    "float image": (IMAGE.astype(np.float32), SIZE, D, "image"),
    "int8 image": (IMAGE.view(np.int8), SIZE, D, "image"),
    "bool image": (IMAGE > 3, SIZE, D, "image"),
    "no array": ("frame.png", SIZE, D, "image"),
    "None": (None, SIZE, D, "image"),
    "grey as bgr": (IMAGE[..., 0], SIZE, A, "image"),
    "four channels": (np.zeros((6, 8, 4), np.uint8), SIZE, A, "image"),
    "batch": (IMAGE[None], SIZE, A, "image"),
    "empty height": (IMAGE[:0], SIZE, A, "image"),
    "empty width": (IMAGE[:, :0], SIZE, A, "image"),
    "every second column": (IMAGE[:, ::2], SIZE, A, "ascontiguousarray"),
    "mirrored columns": (IMAGE[:, ::-1], SIZE, A, "ascontiguousarray"),
    "mirrored channels": (IMAGE[..., ::-1], SIZE, A, "ascontiguousarray"),
    "planar": (np.zeros((3, 6, 8), np.uint8).transpose(1, 2, 0), SIZE, A, "ascontiguousarray"),
    "bgr as grey": (IMAGE, {**SIZE, "source_format": "gray8"}, A, "image"),
    "array as planes": (IMAGE, {**SIZE, "source_format": "nv12"}, (A, D), "image"),
    "planes as bgr": ((Y, UV), SIZE, (A, D), "image"),
    "two planes for three": ((Y, UV), {**SIZE, "source_format": "yuv420p"}, A, "image"),
    "chroma too small": ((Y, UV[:2]), {**SIZE, "source_format": "nv12"}, A, "image"),
    "chroma too wide": ((Y, U, np.zeros((3, 5), np.uint8)), {**SIZE, "source_format": "yuv420p"}, A, "image"),
    "float chroma": ((Y, U, V.astype(np.float32)), {**SIZE, "source_format": "yuv420p"}, D, "image"),
    "no planes": ((), {**SIZE, "source_format": "yuv420p"}, A, "image"),
    # sizes
    "no size": (IMAGE, {}, A, "size_hw"),
    "zero size": (IMAGE, {"size_hw": (0, 5)}, A, "size_hw"),
    "negative size": (IMAGE, {"size_hw": (4, -5)}, A, "size_hw"),
    "one number": (IMAGE, {"size_hw": 4}, (A, D), "size_hw"),
    "three numbers": (IMAGE, {"size_hw": (4, 5, 3)}, A, "size_hw"),
    "fractions": (IMAGE, {"size_hw": (4.5, 5)}, (A, D), "size_hw"),
    "text size": (IMAGE, {"size_hw": "45"}, (A, D), "size_hw"),
    "size beyond memory": (IMAGE, {"size_hw": (1 << 31, 1 << 31)}, (A, MemoryError), ""),
    "size beyond 64 bits": (IMAGE, {"size_hw": (1 << 70, 5)}, (A, D), "size_hw"),
    # names
    "source_format": (IMAGE, {**SIZE, "source_format": "bgr"}, A, "source_format.*nv12"),
    "filter": (IMAGE, {**SIZE, "filter": "lanczos"}, A, "filter.*antialias"),
    "border": (IMAGE, {**SIZE, "border": "reflect"}, A, "border.*replicate"),
    "channel_order": (IMAGE, {**SIZE, "channel_order": "RGB"}, A, "channel_order.*bgr"),
    "layout": (IMAGE, {**SIZE, "layout": "CHW"}, A, "layout.*NHWC"),
    "color_matrix": (IMAGE, {**SIZE, "color_matrix": "bt2020"}, A, "color_matrix.*bt709"),
    "color_range": (IMAGE, {**SIZE, "color_range": "tv"}, A, "color_range.*limited"),
    "name is no text": (IMAGE, {**SIZE, "filter": 3}, (A, D), "filter"),
    "dtype float64": (IMAGE, {**SIZE, "dtype": "float64"}, D, "dtype"),
    "dtype unknown": (IMAGE, {**SIZE, "dtype": "single-ish"}, D, "dtype"),
    "dtype big endian": (IMAGE, {**SIZE, "dtype": ">f4"}, D, "dtype"),
    # affines
    "affine shape": (IMAGE, {**SIZE, "input_from_image": np.eye(3)}, A, "input_from_image"),
    "affine text": (IMAGE, {**SIZE, "input_from_image": "eye"}, (A, D), "input_from_image"),
    "affine NaN": (IMAGE, {**SIZE, "input_from_image": [[1, 0, NAN], [0, 1, 0]]}, A, "input_from_image"),
    "affine infinite": (IMAGE, {**SIZE, "input_from_image": [[INF, 0, 0], [0, 1, 0]]}, A, "input_from_image"),
    "affine singular": (IMAGE, {**SIZE, "input_from_image": [[1, 2, 0], [2, 4, 0]]}, A, "input_from_image"),
    "affine zero": (IMAGE, {**SIZE, "input_from_image": np.zeros((2, 3))}, A, "input_from_image"),
    "affine flat": (IMAGE, {**SIZE, "input_from_image": [[1, 0, 0], [0, 0, 0]]}, A, "input_from_image"),
    "rotated antialias": (IMAGE, {**SIZE, "input_from_image": ROTATION, "filter": "antialias"}, A, "filter"),
    "rotated cubic": (IMAGE, {**SIZE, "input_from_image": ROTATION, "filter": "cubic"}, A, "filter"),
    # numbers
    "std zero": (IMAGE, {**SIZE, "std": 0}, A, "std"),
    "std zero in one": (IMAGE, {**SIZE, "std": (1, 0.0, 1)}, A, "std"),
    "std negative": (IMAGE, {**SIZE, "std": -1}, A, "std"),
    "std NaN": (IMAGE, {**SIZE, "std": NAN}, A, "std"),
    "std infinite": (IMAGE, {**SIZE, "std": INF}, A, "std"),
    "std two": (IMAGE, {**SIZE, "std": (1, 2)}, A, "std"),
    "mean four": (IMAGE, {**SIZE, "mean": (1, 2, 3, 4)}, A, "mean"),
    "mean NaN": (IMAGE, {**SIZE, "mean": (1, NAN, 2)}, A, "mean"),
    "mean text": (IMAGE, {**SIZE, "mean": "half"}, (A, D), "mean"),
    "scale infinite": (IMAGE, {**SIZE, "scale": INF}, A, "scale"),
    "border_value NaN": (IMAGE, {**SIZE, "border_value": NAN}, A, "border_value"),
    "border_value 256": (IMAGE, {**SIZE, "border_value": 256}, A, "border_value"),
    "border_value negative": (IMAGE, {**SIZE, "border_value": (0, -1, 0)}, A, "border_value"),
    "border_value two": (IMAGE, {**SIZE, "border_value": (1, 2)}, A, "border_value"),
    # out
    "out read-only": (IMAGE, {"out": read_only(np.zeros((3, 4, 5), np.float32))}, A, "out"),
    "out float64": (IMAGE, {"out": np.zeros((3, 4, 5))}, D, "out"),
    "out int32": (IMAGE, {"out": np.zeros((3, 4, 5), np.int32)}, D, "out"),
    "out two-dimensional": (IMAGE, {"out": np.zeros((4, 5), np.float32)}, A, "out"),
    "out batch of two": (IMAGE, {"out": np.zeros((2, 3, 4, 5), np.float32)}, A, "out"),
    "out five-dimensional": (IMAGE, {"out": np.zeros((1, 1, 3, 4, 5), np.float32)}, A, "out"),
    "out other layout": (IMAGE, {"out": np.zeros((1, 4, 5, 3), np.float32)}, A, "out"),
    "out empty": (IMAGE, {"out": np.zeros((3, 0, 5), np.float32)}, A, "out"),
    "out strided": (IMAGE, {"out": np.zeros((3, 4, 10), np.float32)[:, :, ::2]}, A, "out"),
    "out Fortran": (IMAGE, {"out": np.zeros((3, 4, 5), np.float32, order="F")}, A, "out"),
    "out reversed": (IMAGE, {"out": np.zeros((3, 4, 5), np.float32)[::-1]}, A, "out"),
    "out against size": (IMAGE, {**SIZE, "out": np.zeros((3, 4, 6), np.float32)}, A, "out|size_hw"),
    "out against dtype": (IMAGE, {"dtype": "uint8", "out": np.zeros((3, 4, 6), np.float32)}, (A, D), "out|dtype"),
    "out a number": (IMAGE, {"out": 5}, D, "out"),
    "out a list": (IMAGE, {"out": [[[0.0]]]}, D, "out"),
    "out without dtype": (IMAGE, {"out": NoDtype()}, D, "out"),
    "out on a device": (IMAGE, {"out": DeviceBuffer((3, 4, 5), np.float32)}, A, "out"),
    "out at null": (IMAGE, {"out": Strange(address=0)}, A, "out"),
    "out at no number": (IMAGE, {"out": Strange(address="here")}, (A, D), "out"),
    "out of negative shape": (IMAGE, {"out": Strange(shape=(3, -4, 5))}, A, "out"),
    "out of no shape": (IMAGE, {"out": Strange(shape=7)}, (A, D), "out"),
    "out of broken shape": (IMAGE, {"out": Strange(shape=(3, 4, 5.0))}, (A, D), "out"),
    "out at a negative address": (IMAGE, {"out": Strange(address=-8)}, (A, D), "out"),
    "out beyond 64 bits": (IMAGE, {"out": Strange(address=1 << 70)}, (A, D), "out"),
    "out of unknown dtype": (IMAGE, {"out": Strange(dtype="single-ish")}, D, "out"),
    "out of strange dtype": (IMAGE, {"out": Strange(dtype="complex64")}, D, "out"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refusals(case: str) -> None:
    image, options, error, says = CASES[case]
    with pytest.raises(error) as caught:
        hp.preprocess(image, **options)
    if isinstance(caught.value, hp.HandposeError):
        assert str(caught.value).startswith("preprocess: ")
        assert caught.match(says)


@pytest.mark.parametrize("source_format", ["bgr24", "nv12", "yuv420p"])
def test_out_may_not_overlap_the_image(rng: np.random.Generator, source_format: str) -> None:
    memory = np.zeros(4096, np.uint8)
    planes, offset = [], 0
    for shape in plane_shapes(source_format, 6, 8):
        planes.append(memory[offset : offset + int(np.prod(shape))].reshape(shape))
        offset += int(np.prod(shape))
    image = planes[0] if len(planes) == 1 else tuple(planes)
    overlapping = memory[offset - 1 :][: 3 * 4 * 5].reshape(3, 4, 5)
    with pytest.raises(hp.ArgumentError, match=r"^preprocess: out .*(share memory|overlap)"):
        hp.preprocess(image, source_format=source_format, out=overlapping)
    beside = memory[offset:][: 3 * 4 * 5].reshape(3, 4, 5)
    assert hp.preprocess(image, source_format=source_format, out=beside) is beside


def test_overlap_with_an_upside_down_image() -> None:
    memory = np.zeros(4096, np.uint8)
    image = memory[1000 : 1000 + 6 * 8 * 3].reshape(6, 8, 3)[::-1]
    with pytest.raises(hp.ArgumentError, match=r"^preprocess: out .*(share memory|overlap)"):
        hp.preprocess(image, out=memory[1000 - 59 :][:60].reshape(3, 4, 5))
    out = memory[1000 - 60 :][:60].reshape(3, 4, 5)
    assert hp.preprocess(image, out=out) is out


def test_a_refusal_leaves_out_alone(rng: np.random.Generator) -> None:
    out = np.full((3, 4, 5), 7, np.float32)
    with pytest.raises(hp.ArgumentError):
        hp.preprocess(noise(rng, "bgr24", 6, 8), std=0, out=out)
    assert (out == 7).all()


def test_mirrored_axes_of_size_one_are_packed() -> None:
    """With one column or one row, NumPy's strides along it mean nothing."""
    image = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    column = image[:, 2:3][:, ::-1]
    np.testing.assert_array_equal(hp.preprocess(column, size_hw=(3, 1)), hp.preprocess(column.copy(), size_hw=(3, 1)))
    row = image[::7]
    np.testing.assert_array_equal(hp.preprocess(row, size_hw=(1, 5)), hp.preprocess(row.copy(), size_hw=(1, 5)))
    out = np.zeros((5, 3, 4, 5), np.float32)[::5]
    assert hp.preprocess(image, out=out) is out


def test_repeated_rows_by_zero_pitch() -> None:
    """np.broadcast_to makes a row pitch of 0, which is a pitch like any other."""
    row = np.arange(24, dtype=np.uint8).reshape(1, 8, 3)
    image = np.broadcast_to(row, (6, 8, 3))
    np.testing.assert_array_equal(hp.preprocess(image, size_hw=(4, 5)), hp.preprocess(image.copy(), size_hw=(4, 5)))


@pytest.mark.parametrize(
    "packed", [[[1, 2], [3, 4], [5, 6]], np.zeros((6, 4), np.float32), None], ids=["list", "float", "None"]
)
def test_yuv_planes_takes_bytes_in_arrays(packed: Any) -> None:
    with pytest.raises(hp.HandposeError, match=r"^yuv_planes: .*packed"):
        hp.yuv_planes(packed, "nv12")
