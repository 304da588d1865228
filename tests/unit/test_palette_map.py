"""palette_map and palette_map_changed against plain indexing, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference.arrays import Buffer, DeviceBuffer, guarded, guards_intact, noise, repitch

import handpose_native as hp
from handpose_native.palette import palette_map_changed

pytestmark = pytest.mark.usefixtures("level")


@pytest.fixture
def lut(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (64, 64, 64), dtype=np.uint8)


def by_indexing(image: np.ndarray, lut: np.ndarray) -> np.ndarray:
    b, g, r = np.moveaxis(image >> 2, 2, 0)
    return lut[r, g, b]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 8), (9, 15), (16, 16), (17, 31), (64, 33), (480, 640)])
def test_is_indexing(rng: np.random.Generator, lut: np.ndarray, size: tuple[int, int]) -> None:
    image = noise(rng, "bgr24", *size)
    out, flat = guarded(size, np.uint8)
    assert hp.palette_map(image, lut, out) is out
    np.testing.assert_array_equal(out, by_indexing(image, lut))
    assert guards_intact(flat)
    buffer = Buffer(size, np.uint8)
    assert hp.palette_map(image, lut, buffer) is buffer
    np.testing.assert_array_equal(buffer.array(), out)
    assert buffer.guards_intact()


def test_makes_its_own_result(rng: np.random.Generator, lut: np.ndarray) -> None:
    image = noise(rng, "bgr24", 6, 7)
    out = hp.palette_map(image, lut)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, by_indexing(image, lut))


def test_every_colour_of_the_table(lut: np.ndarray) -> None:
    r, g, b = (axis.astype(np.uint8) for axis in np.indices((64, 64, 64)))
    image = np.stack([b << 2 | 3, g << 2, r << 2 | 1], axis=-1).reshape(512, 512, 3)
    out = np.zeros((512, 512), np.uint8)
    hp.palette_map(image, lut, out)
    np.testing.assert_array_equal(out.reshape(64, 64, 64), lut)


@pytest.mark.parametrize(("padding", "flipped"), [(5, False), (0, True), (8, True)])
def test_pitches(rng: np.random.Generator, lut: np.ndarray, padding: int, flipped: bool) -> None:
    image = repitch(noise(rng, "bgr24", 13, 21), padding, flipped=flipped)
    out = np.zeros((13, 21), np.uint8)
    hp.palette_map(image, lut, out)
    np.testing.assert_array_equal(out, by_indexing(image, lut))


IMAGE, LUT, OUT = np.zeros((4, 5, 3), np.uint8), np.zeros((64, 64, 64), np.uint8), np.zeros((4, 5), np.uint8)
FROZEN = np.zeros((4, 5), np.uint8)
FROZEN.flags.writeable = False
A, D = hp.ArgumentError, hp.DTypeError
BAD: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "float image": ((IMAGE * 1.0, LUT, OUT), D, "image"),
    "grey image": ((IMAGE[..., 0], LUT, OUT), A, "image"),
    "empty image": ((IMAGE[:0], LUT, OUT[:0]), A, "image"),
    "mirrored image": ((IMAGE[:, ::-1], LUT, OUT), A, "ascontiguousarray"),
    "small lut": ((IMAGE, LUT[:32], OUT), A, "lut"),
    "flat lut": ((IMAGE, LUT.ravel(), OUT), A, "lut"),
    "float lut": ((IMAGE, LUT * 1.0, OUT), D, "lut"),
    "strided lut": ((IMAGE, np.zeros((64, 64, 128), np.uint8)[:, :, ::2], OUT), A, "lut"),
    "out float": ((IMAGE, LUT, OUT * 1.0), D, "out"),
    "out other size": ((IMAGE, LUT, np.zeros((5, 4), np.uint8)), A, "out"),
    "out three-dimensional": ((IMAGE, LUT, np.zeros((4, 5, 1), np.uint8)), A, "out"),
    "out read-only": ((IMAGE, LUT, FROZEN), A, "out"),
    "out strided": ((IMAGE, LUT, np.zeros((4, 10), np.uint8)[:, ::2]), A, "out"),
    "out on a device": ((IMAGE, LUT, DeviceBuffer((4, 5), np.uint8)), A, "out"),
    "out over the image": ((IMAGE, LUT, IMAGE.reshape(-1)[30:50].reshape(4, 5)), A, "out"),
    "out over the lut": ((IMAGE, LUT, LUT.reshape(-1)[:20].reshape(4, 5)), A, "out"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_refusals(case: str) -> None:
    arguments, error, says = BAD[case]
    with pytest.raises(error, match=rf"^palette_map: .*{says}"):
        hp.palette_map(*arguments)


def small_changes(rng: np.random.Generator, image: np.ndarray, tolerance: int) -> np.ndarray:
    """Return a copy in which most pixels differ by about the tolerance, and whole stretches by nothing."""
    change = rng.integers(-tolerance - 1, tolerance + 2, image.shape)
    change[:, : image.shape[1] // 2] *= rng.integers(0, 20, (*image.shape[:1], image.shape[1] // 2, 1)) == 0
    return np.clip(image.astype(int) + change, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("tolerance", [0, 1, 3, 127, 128, 254, 255])
@pytest.mark.parametrize("size", [(1, 1), (3, 15), (5, 16), (9, 17), (4, 33), (48, 100)])
def test_changed_maps_what_changed(
    rng: np.random.Generator, lut: np.ndarray, size: tuple[int, int], tolerance: int
) -> None:
    held, held_flat = guarded((*size, 3), np.uint8)
    out, out_flat = guarded(size, np.uint8)
    held[...], out[...] = noise(rng, "bgr24", *size), rng.integers(0, 256, size)
    image = noise(rng, "bgr24", *size)
    for source in (small_changes(rng, held, tolerance), repitch(image, 7, flipped=True), repitch(image, 0)):
        changed = (np.abs(source.astype(int) - held) > tolerance).any(axis=2)
        expected_held = np.where(changed[..., np.newaxis], source, held)
        expected = np.where(changed, by_indexing(source, lut), out)
        palette_map_changed(source, lut, tolerance, held, out)
        np.testing.assert_array_equal(held, expected_held)
        np.testing.assert_array_equal(out, expected)
    assert guards_intact(held_flat)
    assert guards_intact(out_flat)


HELD = np.zeros((4, 5, 3), np.uint8)
BAD_CHANGED: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "float image": ((IMAGE * 1.0, LUT, 3, HELD, OUT), D, "image"),
    "small lut": ((IMAGE, LUT[:32], 3, HELD, OUT), A, "lut"),
    "held float": ((IMAGE, LUT, 3, HELD * 1.0, OUT), D, "held"),
    "held other size": ((IMAGE, LUT, 3, HELD[:3], OUT), A, "held"),
    "held strided": ((IMAGE, LUT, 3, np.zeros((4, 10, 3), np.uint8)[:, ::2], OUT), A, "held"),
    "held is the image": ((IMAGE, LUT, 3, IMAGE, OUT), A, "held"),
    "held over the lut": ((IMAGE, LUT, 3, LUT.reshape(-1)[:60].reshape(4, 5, 3), OUT), A, "held"),
    "out over held": ((IMAGE, LUT, 3, HELD, HELD.reshape(-1)[:20].reshape(4, 5)), A, "out"),
    "out over the image": ((IMAGE, LUT, 3, HELD, IMAGE.reshape(-1)[30:50].reshape(4, 5)), A, "out"),
    "out over the lut": ((IMAGE, LUT, 3, HELD, LUT.reshape(-1)[:20].reshape(4, 5)), A, "out"),
    "out read-only": ((IMAGE, LUT, 3, HELD, FROZEN), A, "out"),
    "out missing": ((IMAGE, LUT, 3, HELD, None), D, "out"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CHANGED)
def test_changed_refusals(case: str) -> None:
    arguments, error, says = BAD_CHANGED[case]
    with pytest.raises(error, match=rf"^palette_map_changed: .*{says}"):
        palette_map_changed(*arguments)


@pytest.mark.parametrize("tolerance", [-1, 256, 1.5, None])
def test_changed_refuses_tolerances(tolerance: Any) -> None:
    with pytest.raises(A, match=r"^palette_map_changed: tolerance"):
        palette_map_changed(IMAGE, LUT, tolerance, HELD, OUT)
