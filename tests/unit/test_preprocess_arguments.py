"""What preprocess says about wrong arguments, where tests/property/test_preprocess_errors.py does not ask.

That file goes through the kinds of refusals; here are the full lists of names, the limits, and foreign buffers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference.arrays import DeviceBuffer

import handpose_native as hp

IMAGE = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
SIZE_HW = (4, 5)

NAMES = {
    "source_format": ["bgr24", "rgb24", "gray8", "nv12", "yuv420p"],
    "filter": ["linear", "antialias", "cubic"],
    "border": ["constant", "replicate"],
    "channel_order": ["rgb", "bgr"],
    "layout": ["NCHW", "NHWC"],
    "color_matrix": ["bt601", "bt709"],
    "color_range": ["limited", "full"],
}


class ForeignBuffer:
    """Memory given by address, shape and dtype, with attributes replaced at will."""

    def __init__(self, **attributes: Any) -> None:
        self.memory = np.zeros((3, *SIZE_HW), np.float32)
        self.address, self.shape, self.dtype = self.memory.ctypes.data, self.memory.shape, self.memory.dtype
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["", "nonsense", "bgra32", "LINEAR", "é" * 300, "linear\0"])
def test_unknown_names_list_the_allowed(name: str, value: str) -> None:
    with pytest.raises(hp.ArgumentError, match=rf"^preprocess: {name} ") as caught:
        hp.preprocess(IMAGE, size_hw=SIZE_HW, **{name: value})
    said = str(caught.value).rsplit("got", 1)[0]  # without what came
    assert all(repr(allowed) in said for allowed in NAMES[name])
    assert "bgra32" not in said


@pytest.mark.parametrize("value", [-0.001, 255.001, 1e30, -1, (0, 0, 256), (-1, 0, 0), float("inf"), float("nan")])
def test_border_value_is_grey_levels(value: Any) -> None:
    with pytest.raises(hp.ArgumentError, match=r"^preprocess: border_value"):
        hp.preprocess(IMAGE, size_hw=SIZE_HW, border_value=value)


@pytest.mark.parametrize("value", [0, 255, (0, 255, 127.5)])
def test_border_value_takes_both_ends(value: Any) -> None:
    outside = [[1, 0, 1000], [0, 1, 1000]]
    got = hp.preprocess(IMAGE, size_hw=SIZE_HW, input_from_image=outside, border_value=value, scale=1, layout="NHWC")
    assert (got == np.array(value, np.float32)).all()


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("step", [2, -1])
def test_every_plane_must_have_packed_rows(position: int, step: int) -> None:
    """The hint tells the cure, for the planes of a YUV picture as well."""
    planes = [np.zeros((height, width * abs(step)), np.uint8) for height, width in ((6, 8), (3, 4), (3, 4))]
    planes = [plane[:, ::step] if n == position else plane[:, : (8, 4, 4)[n]] for n, plane in enumerate(planes)]
    with pytest.raises(hp.ArgumentError, match=r"^preprocess: image.*numpy\.ascontiguousarray"):
        hp.preprocess(tuple(planes), size_hw=SIZE_HW, source_format="yuv420p")


@pytest.mark.parametrize("shape", [(1, 3, *SIZE_HW), (3, *SIZE_HW)])
def test_device_memory_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(hp.ArgumentError, match=r"^preprocess: out.*host_accessible"):
        hp.preprocess(IMAGE, out=DeviceBuffer(shape, np.float32))


def test_host_memory_that_says_so_is_taken() -> None:
    out = ForeignBuffer(host_accessible=True)
    assert hp.preprocess(IMAGE, out=out) is out
    np.testing.assert_array_equal(out.memory, hp.preprocess(IMAGE, size_hw=SIZE_HW)[0])


@pytest.mark.parametrize(
    "attributes",
    [
        {"address": "here"}, {"address": None}, {"address": 1.5}, {"address": -16}, {"address": 1 << 70},
        {"shape": 7}, {"shape": None}, {"shape": "3x4x5"}, {"shape": (3, 4, 5.5)}, {"shape": (3, 4, None)},
        {"shape": (3, 1 << 70, 5)}, {"shape": (3, 1 << 40, 5)}, {"shape": ()},
        {"dtype": "nonsense"}, {"dtype": 3.5}, {"dtype": "float64"}, {"dtype": ">f4"},
    ],
    ids=str,
)  # fmt: skip
def test_strange_buffers_are_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises((hp.ArgumentError, hp.DTypeError), match=r"^preprocess: out"):
        hp.preprocess(IMAGE, out=ForeignBuffer(**attributes))


@pytest.mark.parametrize("dtype", ["nonsense", "float64", "int8", ">f2", 3.5, ["x"], "bfloat16"], ids=str)
def test_unknown_dtypes(dtype: Any) -> None:
    with pytest.raises(hp.DTypeError, match=r"^preprocess: dtype"):
        hp.preprocess(IMAGE, size_hw=SIZE_HW, dtype=dtype)


@pytest.mark.parametrize("size_hw", [(4, 5, 3), (4,), (), (0, 5), (4, -1)])
def test_sizes_of_wrong_shape_or_value(size_hw: Any) -> None:
    with pytest.raises(hp.ArgumentError, match=r"^preprocess: size_hw"):
        hp.preprocess(IMAGE, size_hw=size_hw)


@pytest.mark.parametrize(
    "affine",
    [
        [[1e-320, 0, 0], [0, 1, 0]],
        [[1e308, 1e308, 0], [1e308, -1e308, 0]],
        [[1, 0, 1e308], [0, 1, -1e308]],
        [[1e-6, 0, 0], [0, 1e-6, 0]],
        [[1e-300, 1e-300, 0], [1e-300, -1e-300, 0]],
    ],
    ids=str,
)
@pytest.mark.parametrize("border", ["constant", "replicate"])
def test_extreme_affines_never_give_strange_values(affine: Any, border: str) -> None:
    """Refused as singular, or computed; but nothing outside the range of the picture comes out."""
    try:
        got = hp.preprocess(IMAGE, size_hw=SIZE_HW, input_from_image=affine, border=border, scale=1)
    except hp.ArgumentError as error:
        refused = str(error)
    else:
        refused = ""
        assert np.isfinite(got).all()
        assert got.min() >= 0
        assert got.max() <= 255
    assert refused == "" or refused.startswith("preprocess: input_from_image")
