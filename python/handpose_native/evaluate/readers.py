"""Data sets of annotated hands, as their authors and MMPose lay them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, VideoError
from ..skeleton import NUM_JOINTS
from ..video import natural_key
from .samples import PIXEL_CENTRE, Dataset, Sample

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["FORMATS", "read_dataset"]

#: RHD lists every finger from its tip to the palm: the place there of each joint here.
_RHD_FROM_OURS = np.array([0, *(4 * finger + joint for finger in range(5) for joint in (4, 3, 2, 1))])
_SPLITS = ("training", "evaluation")


def read_dataset(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    images: str | os.PathLike[str] | None = None,
    split: str | None = None,
) -> Dataset:
    """Read the annotations of a data set. Pictures are not opened.

    Parameters
    ----------
    path : path
        ``freihand``, ``handpose-x``: the folder. ``coco``, ``coco-wholebody``, ``rhd``: the JSON file of annotations.
    format : {"freihand", "coco", "coco-wholebody", "rhd", "handpose-x"}, optional
        Found out from the files unless given.
    images : path, optional
        The folder that the file names of a JSON file start from; that of the JSON file unless given.
    split : {"training", "evaluation"}, optional
        Of FreiHAND; needed where the folder holds both.

    Returns
    -------
    Dataset
        With at least one sample.

    Raises
    ------
    ArgumentError
        For an unknown format or split, or an argument that the format does not have.
    VideoError
        If a file cannot be read or is not laid out like that.
    """
    place = Path(path)
    if format is None:
        format = _recognised(place)
    if format not in FORMATS:
        raise ArgumentError(f"read_dataset: format must be one of {', '.join(FORMATS)}; got {format!r}")
    if format == "freihand":
        if images is not None:
            raise ArgumentError("read_dataset: images is for annotations in one JSON file, not for freihand")
        dataset = _read_freihand(place, split)
    elif split is not None:
        raise ArgumentError(f"read_dataset: split is for freihand, not for {format}")
    elif format == "handpose-x":
        if images is not None:
            raise ArgumentError("read_dataset: images is for annotations in one JSON file, not for handpose-x")
        dataset = Dataset(format, tuple(_handpose_x_samples(place)))
    else:
        dataset = _read_coco(place, format, Path(images) if images is not None else place.parent)
    if not dataset.samples:
        raise VideoError(f"{place}: there is no annotated hand in this {format} data set")
    return dataset


def _recognised(place: Path) -> str:
    """Return the format of what is there."""
    if place.is_dir():
        if any((place / f"{split}_K.json").is_file() for split in _SPLITS):
            return "freihand"
        if any(place.glob("*.json")):
            return "handpose-x"
        raise VideoError(
            f"{place}: neither training_K.json nor evaluation_K.json (freihand), nor NAME.json (handpose-x)"
        )
    document = _load(place)
    if not isinstance(document, dict) or not {"images", "annotations"} <= set(document):
        raise VideoError(f"{place}: annotations must be a JSON object with images and annotations, as COCO's are")
    info = document.get("info")
    if isinstance(info, dict) and str(info.get("description", "")).upper().startswith("RHD"):
        return "rhd"
    return "coco-wholebody" if any("lefthand_kpts" in one for one in document["annotations"][:1]) else "coco"


def _read_freihand(folder: Path, split: str | None) -> Dataset:
    there = [name for name in _SPLITS if (folder / f"{name}_K.json").is_file()]
    if split is None:
        if len(there) != 1:
            raise ArgumentError(f"read_dataset: say which split of {folder}: {' or '.join(there or _SPLITS)}")
        (split,) = there
    if split not in _SPLITS:
        raise ArgumentError(f"read_dataset: split must be one of {', '.join(_SPLITS)}; got {split!r}")
    cameras = _numbers(folder / f"{split}_K.json", (3, 3))
    truth = folder / f"{split}_xyz.json"
    if not truth.is_file() and split == "training":
        raise VideoError(f"{truth}: there is no such file")
    # The truth of the evaluation split came out years after its pictures; without it there is still a submission.
    joints = _of_each_hand(truth, (NUM_JOINTS, 3), len(cameras))
    # With K, it is what FreiHAND lets a method know of a picture: the length of one bone.
    scales = _of_each_hand(folder / f"{split}_scale.json", (), len(cameras))
    samples = []
    for index, camera in enumerate(cameras):
        where = joints[index] if joints is not None else None
        samples.append(
            Sample(
                folder / split / "rgb" / f"{index:08d}.jpg",
                _projected(where, camera) if where is not None else None,
                handedness="right",  # left hands were mirrored by the authors
                joints_m=where,
                intrinsics=camera,
                hand_scale_m=float(scales[index]) if scales is not None else None,
            )
        )
    return Dataset(f"freihand {split}", tuple(samples), whole_pictures=True)


def _of_each_hand(file: Path, shape: tuple[int, ...], count: int) -> NDArray[np.float64] | None:
    """Return numbers of every hand; None where there is no such file."""
    if not file.is_file():
        return None
    values = _numbers(file, shape)
    if len(values) != count:
        raise VideoError(f"{file}: has {len(values)} hands, but there are {count} cameras")
    return values


def _projected(joints: NDArray[np.float64], camera: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = joints @ camera.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:] + PIXEL_CENTRE)


def _read_coco(file: Path, format: str, images: Path) -> Dataset:
    document = _load(file)
    try:
        pictures = {one["id"]: one for one in document["images"]}
        samples = [
            sample
            for one in document["annotations"]
            if not one.get("iscrowd")
            for sample in _COCO_SAMPLES[format](one, pictures[one["image_id"]], images)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise VideoError(f"{file}: the annotations are not laid out as {format}: {_said(error)}") from error
    return Dataset(format, tuple(samples))


def _coco_samples(annotation: dict[str, Any], picture: dict[str, Any], images: Path) -> Iterator[Sample]:
    yield from _annotated(images / picture["file_name"], annotation["keypoints"], annotation.get("bbox"))


def _wholebody_samples(annotation: dict[str, Any], picture: dict[str, Any], images: Path) -> Iterator[Sample]:
    for side in ("left", "right"):
        if annotation[f"{side}hand_valid"]:
            keypoints, box = annotation[f"{side}hand_kpts"], annotation[f"{side}hand_box"]
            yield from _annotated(images / picture["file_name"], keypoints, box, side)


def _rhd_samples(annotation: dict[str, Any], picture: dict[str, Any], images: Path) -> Iterator[Sample]:
    keypoints = np.asarray(annotation["keypoints"], np.float64).reshape(NUM_JOINTS, 3)[_RHD_FROM_OURS]
    millimetres = annotation.get("joint_cam")
    joints = None
    if millimetres is not None:
        joints = np.asarray(millimetres, np.float64).reshape(NUM_JOINTS, 3)[_RHD_FROM_OURS] / 1000.0
    camera = picture.get("cam_param")
    intrinsics = None
    if camera is not None:
        (fx, fy), (cx, cy) = camera["focal"], camera["princpt"]
        intrinsics = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    image, side = images / picture["file_name"], annotation.get("hand_type")
    yield from _annotated(image, keypoints, annotation.get("bbox"), side, joints, intrinsics)


_COCO_SAMPLES: dict[str, Callable[[dict[str, Any], dict[str, Any], Path], Iterator[Sample]]] = {
    "coco": _coco_samples,
    "coco-wholebody": _wholebody_samples,
    "rhd": _rhd_samples,
}
FORMATS = ("freihand", *_COCO_SAMPLES, "handpose-x")


def _annotated(
    image: Path,
    keypoints: Any,
    box: Any,
    handedness: str | None = None,
    joints_m: NDArray[np.float64] | None = None,
    intrinsics: NDArray[np.float64] | None = None,
) -> Iterator[Sample]:
    """Yield the hand of x, y, visibility triples, or nothing where no joint is annotated."""
    triples = np.asarray(keypoints, np.float64).reshape(NUM_JOINTS, 3)
    visible = triples[:, 2] > 0
    if visible.any():
        points = np.where(visible[:, None], triples[:, :2] + PIXEL_CENTRE, np.nan)
        side = handedness if handedness in ("left", "right") else None
        yield Sample(image, points, visible, _box(box), side, joints_m, intrinsics)


def _box(xywh: Any) -> tuple[float, float, float, float] | None:
    """Return a box in continuous pixels; None for one without extent."""
    if xywh is None or len(xywh) != 4:
        return None
    left, top, width, height = (float(number) for number in xywh)
    return (left, top, width, height) if width > 0 and height > 0 else None


def _handpose_x_samples(folder: Path) -> Iterator[Sample]:
    """Yield the hands of a folder with one JSON file beside each picture; their points count from their boxes."""
    if not folder.is_dir():
        raise VideoError(f"{folder}: there is no such folder")
    for file in sorted(folder.glob("*.json"), key=lambda path: natural_key(path.name)):
        document = _load(file)
        try:
            for one in document["info"] if document else []:
                left, top, right, bottom = (float(number) for number in one["bbox"])
                points = [(one["pts"][str(joint)]["x"], one["pts"][str(joint)]["y"]) for joint in range(NUM_JOINTS)]
                keypoints = np.asarray(points, np.float64) + np.array([left, top]) + PIXEL_CENTRE
                yield Sample(
                    file.with_suffix(".jpg"), keypoints, box_xywh=_box((left, top, right - left, bottom - top))
                )
        except (KeyError, TypeError, ValueError) as error:
            raise VideoError(f"{file}: the annotation is not laid out as handpose-x: {_said(error)}") from error


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise VideoError(f"{file}: the annotations cannot be read: {error.strerror}") from error
    except ValueError as error:  # also text that is not UTF-8
        raise VideoError(f"{file}: the annotations are not JSON: {error}") from error


def _numbers(file: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        values = np.asarray(_load(file), np.float64)
    except (TypeError, ValueError) as error:
        raise VideoError(f"{file}: must hold a list of numbers of shape {shape}: {error}") from error
    if values.ndim != len(shape) + 1 or values.shape[1:] != shape:
        raise VideoError(f"{file}: must hold a list of numbers of shape {shape}; got {values.shape}")
    return values


def _said(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)
