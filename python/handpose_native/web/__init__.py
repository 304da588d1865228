"""A run in browsers and for other programs: pictures, keypoints and figures over HTTP. Needs the extra ``web``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import missing_dependency
from .access import Access

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Access", "load_server"]


def load_server() -> type[Server]:
    """Import what a server needs.

    Returns
    -------
    type
        The class :class:`~handpose_native.web.server.Server`.

    Raises
    ------
    MissingDependencyError
        If a package of the extra ``web`` is not installed.
    """
    package = "aiohttp"
    try:
        import aiohttp  # noqa: F401

        package = "prometheus_client"
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise missing_dependency(error, package, "to serve a run", "handpose_native[web]") from error
    from .server import Server

    return Server
