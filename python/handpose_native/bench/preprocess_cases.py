"""Cases of ``preprocess``; every peer returns what ours does: a normalised blob in RGB."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geometry import input_from_roi, invert
from ..preprocess import preprocess, yuv_planes
from ..types import Roi
from .cases import Case, Definition
from .data import memory_limit, ring, scene, yuv_scene
from .references import resized, rgb_of_yuv, rotated

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["definitions"]

SIZES = ((640, 480), (1280, 720), (1920, 1080))
INPUTS = (128, 224, 256)
#: Of ImageNet, RGB, as most networks with images in 0..1 are trained.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MEAN, _STD = (np.array(values, np.float32).reshape(3, 1, 1) for values in (MEAN, STD))

# Largest errors in grey levels. Ours: docs/kernels.md, "Precision". Whole levels: half a level and 11-bit weights.
LINEAR, ROTATED, WHOLE_LEVELS = 0.03, 0.035, 0.6
# OpenCV's resize rounds twice, with weights of 11 bits.
OPENCV_LINEAR = 1.0
# Steps of 1/1024 for float16 of up to 2.7 standard deviations, each of up to 0.229 * 255 grey levels.
HALF_PRECISION = 2.7 / 1024 * 0.229 * 255
# A box over the same pixels is another filter: it only has to show the same picture.
OTHER_FILTER = 12.0
# Other software repeats chroma instead of interpolating it.
REPEATED_CHROMA = 6.0
# The side of the square that is turned, of the picture's height.
_SQUARE = 0.7


def definitions() -> list[Definition]:
    """Return the cases of preprocess."""
    found = []
    for filter in ("linear", "antialias"):
        for width, height in SIZES:
            for side in INPUTS:
                name = f"preprocess/{filter}/{width}x{height}/{side}"
                found.append(Definition(name, partial(_resize_case, filter, width, height, side)))
    for width, height in SIZES[1:]:
        name = f"preprocess/linear-cold/{width}x{height}/224"
        found.append(Definition(name, partial(_resize_case, "linear", width, height, 224, cold=True)))
    for width, height in SIZES:
        for source_format in ("nv12", "yuv420p"):
            name = f"preprocess/{source_format}/{width}x{height}/224"
            found.append(Definition(name, partial(_yuv_case, source_format, width, height, 224)))
        found.append(Definition(f"preprocess/rotated/{width}x{height}/224", partial(_rotated_case, width, height, 224)))
    for width, height in SIZES[1:]:
        for source_format in ("nv12", "yuv420p"):
            case = partial(_rotated_yuv_case, source_format, width, height, 224)
            found.append(Definition(f"preprocess/rotated-{source_format}/{width}x{height}/224", case))
            name = f"preprocess/rotated-{source_format}-cold/{width}x{height}/224"
            found.append(Definition(name, partial(case, cold=True)))
        name = f"preprocess/rotated-cold/{width}x{height}/224"
        found.append(Definition(name, partial(_rotated_case, width, height, 224, cold=True)))
    found.append(Definition("preprocess/float16/1280x720/224", partial(_float16_case, 1280, 720, 224)))
    found.append(Definition("preprocess/uint8-nhwc/1280x720/224", partial(_uint8_case, 1280, 720, 224)))
    return found


def _ours(image: Any, side: int, **options: Any) -> Callable[[], Array]:
    out = np.empty((1, 3, side, side), np.float32)
    return lambda: np.asarray(preprocess(image() if callable(image) else image, mean=MEAN, std=STD, out=out, **options))


def _in_levels(reference: Array) -> Callable[[Array], float]:
    """Return the largest difference of a normalised blob from a picture (h, w, 3) in RGB, in grey levels."""

    def error_of(blob: Array) -> float:
        levels = (blob[0].astype(np.float64) * _STD + _MEAN) * 255
        return float(abs(np.moveaxis(levels, 0, 2) - reference).max())

    return error_of


def _normalised(rgb: Array) -> Array:
    """Turn a picture into a blob as most programs do: every step makes an array."""
    blob = np.transpose((rgb.astype(np.float32) / 255 - _MEAN.ravel()) / _STD.ravel(), (2, 0, 1))
    return np.ascontiguousarray(blob)[np.newaxis]


def _linear_bytes(width: int, height: int, side: int, pixel_bytes: float = 3.0) -> int:
    """Count the bytes of the rows that two rows of the input touch each, and of the blob."""
    return int(min(2 * side, height) * width * pixel_bytes)


def _limit(case: Case, read_bytes: int, write_bytes: int) -> None:
    case.bytes_moved = read_bytes + write_bytes
    case.memory_limit = memory_limit(read_bytes, write_bytes)


def _cold_limit(read_bytes: int, write_bytes: int) -> Callable[[], None]:
    """Return the memory limit where what is read has to come from DRAM."""
    rows, write = ring(np.zeros(read_bytes // 4 * 4, np.uint8)), memory_limit(0, write_bytes)

    def run() -> None:
        rows().view(np.int32).max()
        write()

    return run


def _blob(image: Any, side: int, interpolation: str | None = None) -> Callable[[], Array]:
    """OpenCV's own fused call; with an interpolation it is given a picture resized so."""
    import cv2

    if not hasattr(cv2.dnn, "blobFromImageWithParams"):
        raise ImportError(f"OpenCV {cv2.__version__} does not have it")
    params: Any = cv2.dnn.Image2BlobParams()
    params.scalefactor = [1 / (255 * value) for value in STD]
    params.mean = [255 * value for value in MEAN]
    params.size, params.swapRB = (side, side), True

    def run() -> Array:
        source = image() if callable(image) else image
        if interpolation is not None:
            source = cv2.resize(source, (side, side), interpolation=getattr(cv2, interpolation))
        return np.asarray(cv2.dnn.blobFromImageWithParams(source, params))

    return run


def _steps(image: Any, side: int) -> Callable[[], Array]:
    import cv2

    def run() -> Array:
        source = image() if callable(image) else image
        resized_bgr = cv2.resize(source, (side, side), interpolation=cv2.INTER_LINEAR)
        return _normalised(cv2.cvtColor(resized_bgr, cv2.COLOR_BGR2RGB))

    return run


def _pillow(image: Array, side: int) -> Callable[[], Array]:
    from PIL import Image

    def run() -> Array:
        rgb = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
        return _normalised(np.asarray(rgb.resize((side, side), Image.Resampling.BILINEAR)))

    return run


def _torch(image: Array, side: int) -> Callable[[], Array]:
    import torch

    torch.set_num_threads(1)

    def run() -> Array:
        planes = torch.from_numpy(image).permute(2, 0, 1)[None]
        small = torch.nn.functional.interpolate(planes, (side, side), mode="bilinear", antialias=True)
        rgb = small.numpy()[:, ::-1].astype(np.float32)
        rgb /= 255
        rgb -= _MEAN
        rgb /= _STD
        return np.asarray(rgb)

    return run


def _resize_case(filter: str, width: int, height: int, side: int, *, cold: bool = False) -> Case:
    case, image = Case(), scene(width, height)
    source: Any = ring(image) if cold else image
    reference = resized(image[..., ::-1], (side, side), filter)
    error_of = _in_levels(reference)
    linear = filter == "linear"
    read = _linear_bytes(width, height, side) if linear else width * height * 3
    _limit(case, read, 12 * side * side)
    if cold:
        case.memory_limit = _cold_limit(read, 12 * side * side)
    case.add_ours(_ours(source, side, filter=filter), error_of, LINEAR if linear else WHOLE_LEVELS)
    if linear:
        case.add_peer("cv2 blobFromImageWithParams", lambda: _blob(source, side), error_of, OPENCV_LINEAR)
        case.add_peer("cv2 resize, NumPy steps", lambda: _steps(source, side), error_of, OPENCV_LINEAR)
        return case
    area = partial(_blob, image, side, "INTER_AREA")
    case.add_peer("cv2 INTER_AREA, blob", area, error_of, OTHER_FILTER)
    # Pillow rounds between its two passes too.
    case.add_peer("Pillow BILINEAR, NumPy steps", lambda: _pillow(image, side), error_of, 2 * WHOLE_LEVELS)
    case.add_peer("torch antialias, NumPy", lambda: _torch(image, side), error_of, 2 * WHOLE_LEVELS)
    return case


def _yuv_case(source_format: str, width: int, height: int, side: int) -> Case:
    case, packed = Case(), yuv_scene(width, height, source_format)
    planes = yuv_planes(packed, source_format)
    size = (side, side)
    chroma = planes[1] if source_format == "nv12" else np.stack(planes[1:], axis=-1)
    yuv = [resized(planes[0][..., None], size, "linear"), resized(chroma, size, "linear")]
    error_of = _in_levels(rgb_of_yuv(np.concatenate(yuv, axis=-1)))
    _limit(case, _linear_bytes(width, height, side, 1.5), 12 * side * side)

    def converted() -> Callable[[], Array]:
        return _converted(packed, source_format)

    # 1.2 times the error of Y and 2.2 times that of U and V: docs/kernels.md, "Precision".
    case.add_ours(_ours(planes, side, source_format=source_format), error_of, LINEAR * (1.2 + 2.2))
    image = scene(width, height)
    case.add_own("ours from BGR", _ours(image, side), _in_levels(resized(image[..., ::-1], size, "linear")), LINEAR)
    case.add_peer("cv2 cvtColor, blob", lambda: _blob(converted(), side), error_of, REPEATED_CHROMA)
    steps = lambda: _steps(converted(), side)  # noqa: E731
    case.add_peer("cv2 cvtColor, resize, NumPy steps", steps, error_of, REPEATED_CHROMA)
    return case


def _converted(packed: Any, source_format: str) -> Callable[[], Array]:
    import cv2

    code = cv2.COLOR_YUV2BGR_NV12 if source_format == "nv12" else cv2.COLOR_YUV2BGR_I420
    return lambda: np.asarray(cv2.cvtColor(packed() if callable(packed) else packed, code))


def _rotated_case(width: int, height: int, side: int, *, cold: bool = False) -> Case:
    case, image = Case(), scene(width, height)
    source: Any = ring(image) if cold else image
    affine, inverse = _turned_square(width, height, side)
    error_of = _in_levels(rotated(image[..., ::-1], inverse, (side, side)))
    # Four neighbours of every output, or the whole region where it has fewer pixels.
    read = int(min(4 * side * side, (_SQUARE * height) ** 2) * 3)
    _limit(case, read, 12 * side * side)
    if cold:
        case.memory_limit = _cold_limit(read, 12 * side * side)
    case.add_ours(_ours(source, side, input_from_image=affine), error_of, ROTATED)
    # Samples on a grid of 1/32 px in OpenCV 4: half a step along both axes on such a slope, and half a level.
    grid = 30 / 64 * 2 + 0.5
    warped = partial(_warped, source, inverse, side)
    case.add_peer("cv2 warpAffine, NumPy steps", lambda: _normalised_bgr(warped()), error_of, grid)
    case.add_peer("cv2 warpAffine, blob", lambda: _blob(warped(), side), error_of, grid)
    reference = rotated(image, inverse, (side, side))
    in_levels = lambda bgr: float(abs(bgr - reference).max())  # noqa: E731
    case.add_peer("cv2 warpAffine alone", warped, in_levels, grid, kind="part")
    return case


def _rotated_yuv_case(source_format: str, width: int, height: int, side: int, *, cold: bool = False) -> Case:
    case, packed, image = Case(), yuv_scene(width, height, source_format), scene(width, height)
    planes = yuv_planes(packed, source_format)
    affine, inverse = _turned_square(width, height, side)
    size = (side, side)
    chroma = planes[1] if source_format == "nv12" else np.stack(planes[1:], axis=-1)
    # Chroma has half the coordinates of luma.
    yuv = [rotated(planes[0][..., None], inverse, size), rotated(chroma, inverse / 2, size)]
    error_of = _in_levels(rgb_of_yuv(np.concatenate(yuv, axis=-1)))
    read = int(min(4 * side * side, (_SQUARE * height) ** 2) * 1.5)
    _limit(case, read, 12 * side * side)
    source: Any = planes
    packed_source: Any = packed
    bgr_source: Any = image
    if cold:
        source = ring(packed, partial(yuv_planes, source_format=source_format))
        packed_source, bgr_source = ring(packed), ring(image)
        case.memory_limit = _cold_limit(read, 12 * side * side)
    # The errors of Y, and of U and V, as in _yuv_case.
    tolerance = ROTATED * (1.2 + 2.2)
    case.add_ours(_ours(source, side, source_format=source_format, input_from_image=affine), error_of, tolerance)
    of_bgr = _in_levels(rotated(image[..., ::-1], inverse, size))
    case.add_own("ours from BGR", _ours(bgr_source, side, input_from_image=affine), of_bgr, ROTATED)

    def warped() -> Callable[[], Array]:
        return _warped(_converted(packed_source, source_format), inverse, side)

    case.add_peer("cv2 cvtColor, warpAffine, blob", lambda: _blob(warped(), side), error_of, REPEATED_CHROMA)
    steps = lambda: _normalised_bgr(warped())  # noqa: E731
    case.add_peer("cv2 cvtColor, warpAffine, NumPy steps", steps, error_of, REPEATED_CHROMA)
    return case


def _turned_square(width: int, height: int, side: int) -> tuple[Array, Array]:
    """Return the affine to the input, and back, of a square turned by 25 degrees: all of it lies inside the picture."""
    extent = _SQUARE * height
    affine = input_from_roi(Roi(width / 2, height / 2, extent, extent, math.radians(25)), (side, side))
    return np.asarray(affine), np.asarray(invert(affine))


def _warped(image: Any, inverse: Array, side: int) -> Callable[[], Array]:
    import cv2

    # OpenCV counts from the centres of pixels.
    centred = inverse.copy()
    centred[:, 2] += inverse[:, :2].sum(axis=1) / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return lambda: np.asarray(cv2.warpAffine(image() if callable(image) else image, centred, (side, side), flags=flags))


def _normalised_bgr(bgr: Callable[[], Array]) -> Callable[[], Array]:
    import cv2

    return lambda: _normalised(cv2.cvtColor(bgr(), cv2.COLOR_BGR2RGB))


def _float16_case(width: int, height: int, side: int) -> Case:
    case, image = Case(), scene(width, height)
    out = np.empty((1, 3, side, side), np.float16)
    error_of = _in_levels(resized(image[..., ::-1], (side, side), "linear"))
    _limit(case, _linear_bytes(width, height, side), 6 * side * side)
    tolerance = LINEAR + HALF_PRECISION
    case.add_ours(lambda: np.asarray(preprocess(image, mean=MEAN, std=STD, out=out)), error_of, tolerance)
    case.add_own("ours in float32", _ours(image, side), error_of, LINEAR)

    def halved(call: Callable[[], Array]) -> Callable[[], Array]:
        return lambda: call().astype(np.float16)

    tolerance = OPENCV_LINEAR + HALF_PRECISION
    case.add_peer("cv2 blob, astype", lambda: halved(_blob(image, side)), error_of, tolerance)
    case.add_peer("cv2 resize, NumPy steps, astype", lambda: halved(_steps(image, side)), error_of, tolerance)
    return case


def _uint8_case(width: int, height: int, side: int) -> Case:
    case, image = Case(), scene(width, height)
    out = np.empty((1, side, side, 3), np.uint8)
    reference = resized(image[..., ::-1], (side, side), "linear")
    _limit(case, _linear_bytes(width, height, side), 3 * side * side)

    def error_of(levels: Array) -> float:
        return float(abs(levels.reshape(reference.shape) - reference).max())

    def by_opencv() -> Callable[[], Array]:
        import cv2

        return lambda: np.asarray(cv2.cvtColor(cv2.resize(image, (side, side)), cv2.COLOR_BGR2RGB))

    case.add_ours(lambda: np.asarray(preprocess(image, layout="NHWC", out=out)), error_of, 0.5 + LINEAR)
    case.add_own("ours in float32", _ours(image, side), _in_levels(reference), LINEAR)
    case.add_peer("cv2 resize, cvtColor", by_opencv, error_of, OPENCV_LINEAR)
    return case
