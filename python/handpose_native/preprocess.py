"""Source pixels to model input, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native
from .errors import ArgumentError, DTypeError
from .picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["preprocess", "yuv_planes"]


def preprocess(
    image: Any,
    *,
    size_hw: tuple[int, int] | None = None,
    input_from_image: ArrayLike | None = None,
    source_format: str = "bgr24",
    filter: str = "linear",
    border: str = "constant",
    border_value: float | Sequence[float] = 0.0,
    channel_order: str = "rgb",
    scale: float | Sequence[float] | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    layout: str = "NCHW",
    dtype: DTypeLike | None = None,
    color_matrix: str = "bt601",
    color_range: str = "limited",
    out: Any = None,
    threads: int = 1,
) -> Any:
    """Crop, scale or rotate an image, order its channels and normalise it into a model's input.

    The rules, to the bit, are on the page "Kernels" of the documentation.

    Parameters
    ----------
    image : Picture, ndarray, uint8, or tuple of planes
        A picture states its own `source_format`, `color_matrix` and `color_range`. An array is (H, W, 3) for ``bgr24``
        and ``rgb24``, (H, W) for ``gray8``; planes are ``(y, uv)`` for ``nv12`` and ``(y, u, v)`` for ``yuv420p`` (see
        :func:`yuv_planes`). Any row pitch, also negative; the pixels of a row must be packed. Only read.
    size_hw : tuple of int, optional
        Height and width of the result; needed unless `out` is given.
    input_from_image : array_like, shape (2, 3), optional
        Affine from image to input, both in continuous coordinates (pixels). Without it the whole image is stretched.
    source_format : {"bgr24", "rgb24", "gray8", "nv12", "yuv420p"}
    filter : {"linear", "antialias", "cubic"}
        As cv2.INTER_LINEAR, Pillow's BILINEAR, cv2.INTER_CUBIC; only ``linear`` where the affine rotates or shears.
    border : {"constant", "replicate"}
        What is seen outside the image.
    border_value : float or three, grey levels 0..255
        For ``constant``, in the order of the output channels.
    channel_order : {"rgb", "bgr"}
        Of the result.
    scale, mean, std : float or three
        ``value = (scale * x - mean) / std`` with x in 0..255, in the order of the output channels. `scale` is 1/255
        unless given, and 1 for uint8 results.
    layout : {"NCHW", "NHWC"}
    dtype : {"float32", "float16", "uint8"}, optional
        float32 unless given; with `out`, that of `out`.
    color_matrix : {"bt601", "bt709"}
        Of nv12 and yuv420p sources.
    color_range : {"limited", "full"}
        Of nv12 and yuv420p sources.
    out : ndarray, or object with ``address``, ``shape`` and ``dtype``, optional
        C-contiguous memory to write into, of shape (1, 3, h, w) or (3, h, w) (NHWC likewise).
    threads : int
        At most so many threads, 1..64, share the rows of a call; a call that is too small to gain from it stays in one.
        The result does not depend on it.

    Returns
    -------
    ndarray, shape (1, 3, h, w) or (1, h, w, 3), or `out`
        A new array, or the very object given as `out`.

    Raises
    ------
    ArgumentError
        For a wrong shape, memory layout, name or number, and where `out` overlaps the image.
    DTypeError
        For a wrong dtype or type.

    Notes
    -----
    Runs without the GIL. Identical bits on every ISA level. Allocates nothing after the first call of a thread at given
    sizes, except the result where `out` is not given.
    """
    if isinstance(image, Picture):
        source_format, color_matrix, color_range = image.pixel_format, image.color_matrix, image.color_range
        image = image.data
    return _native.preprocess(
        image, size_hw, input_from_image, source_format, filter, border, border_value, channel_order,
        scale, mean, std, layout, dtype, color_matrix, color_range, out, threads,
    )  # fmt: skip


def yuv_planes(packed: NDArray[np.uint8], source_format: str) -> tuple[NDArray[np.uint8], ...]:
    """Split a packed 4:2:0 picture, as OpenCV and PyAV lay it out, into planes.

    Parameters
    ----------
    packed : ndarray, uint8, shape (H * 3 / 2, W)
        Even H and W, C-contiguous: luma rows, then chroma.
    source_format : {"nv12", "yuv420p"}

    Returns
    -------
    tuple of ndarray, uint8
        ``(y, uv)`` or ``(y, u, v)``: views of `packed`.

    Raises
    ------
    DTypeError
        If `packed` is no uint8 array.
    ArgumentError
        For another shape, layout or format.
    """
    if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8:
        got = packed.dtype if isinstance(packed, np.ndarray) else type(packed).__name__
        raise DTypeError(f"yuv_planes: packed must be a uint8 array; got {got}")
    fits = packed.ndim == 2 and packed.shape[0] % 3 == 0 and packed.shape[0] > 0 and packed.shape[1] % 2 == 0
    if not fits or not packed.flags.c_contiguous:
        raise ArgumentError(
            f"yuv_planes: packed must be C-contiguous, of shape (H * 3 / 2, W), H and W even; got {packed.shape}"
        )
    height, width = packed.shape[0] // 3 * 2, packed.shape[1]
    luma, chroma = packed[:height], packed[height:]
    if source_format == "nv12":
        return luma, chroma.reshape(height // 2, width // 2, 2)
    if source_format == "yuv420p":
        u, v = chroma.reshape(2, height // 2, width // 2)
        return luma, u, v
    raise ArgumentError(f"yuv_planes: source_format must be 'nv12' or 'yuv420p'; got {source_format!r}")
