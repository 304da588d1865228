"""Which videos a batch consists of, and under which names their results are kept."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, VideoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["VIDEO_SUFFIXES", "Video", "find_videos"]

#: What counts as a video in a folder; a list may name any file.
VIDEO_SUFFIXES = frozenset(
    [
        *(".3gp", ".avi", ".flv", ".gif", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
    ]
)


@dataclass(frozen=True)
class Video:
    """One file of a batch.

    Attributes
    ----------
    name : str
        Relative path, with ``/``, under which its results are kept; unique within the batch.
    path : str
        Where it lies, absolute.
    size_bytes, mtime_ns : int or None
        Of the file when it was found; with the name they tell whether it is still the same. None where there is none.
    """

    name: str
    path: str
    size_bytes: int | None
    mtime_ns: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, from which it can be made again."""
        return asdict(self)

    @classmethod
    def at(cls, name: str, path: Path) -> Video:
        """Look at a file, which need not be there: that is for the worker to say."""
        place = os.path.abspath(path)  # noqa: PTH100 - links are not to be resolved
        try:
            status = Path(place).stat()
        except OSError:
            return cls(name, place, None, None)
        return cls(name, place, status.st_size, status.st_mtime_ns)


def find_videos(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    leave_out: str | os.PathLike[str] | None = None,
) -> list[Video]:
    """Find the videos that folders, lists and files name.

    Parameters
    ----------
    sources : path or iterable of paths
        Each a folder, which is searched with all folders in it for files with a suffix of videos, hidden ones left out;
        a video; or any other file: a list in UTF-8 with one path per line, relative ones from the list's own folder,
        where empty lines and those that begin with ``#`` mean nothing.
    leave_out : path, optional
        A folder that is not searched: where the results go.

    Returns
    -------
    list of Video
        Each file once, in the order found. Names are paths relative to the folder searched; of videos in lists the
        paths as they are listed, without a root.

    Raises
    ------
    VideoError
        If a source cannot be read, or there is no video at all.
    ArgumentError
        If two different videos would get the same name, or results would go into a folder that is searched.
    """
    given = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    names: dict[str, str] = {}
    videos: list[Video] = []
    for name, path in (found for source in given for found in _found(Path(source), leave_out)):
        real = os.path.realpath(path)
        if names.setdefault(name, real) != real:
            raise ArgumentError(
                f"find_videos: two videos would get the name {name}: {names[name]} and {real}; give their common folder"
            )
        if len(names) > len(videos):
            videos.append(Video.at(name, path))
    if not videos:
        raise VideoError(f"find_videos: no video in {', '.join(map(str, given)) or 'nothing'}")
    return videos


def _found(source: Path, leave_out: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path]]:
    """Yield names and paths."""
    if source.is_dir():
        results = os.path.realpath(leave_out) if leave_out is not None else None
        if results == os.path.realpath(source):
            raise ArgumentError(f"find_videos: {source} is the folder of results, too; these need one of their own")
        yield from _in_folder(source, results)
    elif source.suffix.lower() in VIDEO_SUFFIXES:
        yield source.name, source
    else:
        yield from _in_list(source)


def _in_folder(folder: Path, leave_out: str | None) -> Iterator[tuple[str, Path]]:
    def fail(error: OSError) -> None:
        raise VideoError(f"find_videos: {error.filename} cannot be read: {error.strerror}") from error

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != leave_out  # noqa: PTH118
        )
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in VIDEO_SUFFIXES:
                yield path.relative_to(folder).as_posix(), path


def _in_list(source: Path) -> Iterator[tuple[str, Path]]:
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise VideoError(f"find_videos: {source} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VideoError(
            f"find_videos: {source} is not a folder, a video by its suffix, or a list of paths in UTF-8"
        ) from error
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        path = source.parent / text
        name = Path(os.path.normpath(text))
        if name.is_absolute() or name.parts[0] == "..":
            name = Path(os.path.abspath(path)).relative_to(path.absolute().anchor)  # noqa: PTH100
        yield name.as_posix(), path
