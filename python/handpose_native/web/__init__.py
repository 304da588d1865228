"""A run in browsers and for other programs: pictures, keypoints and figures over HTTP. Needs the extra ``web``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import missing_dependency
from .access import Access

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Access", "open_server"]


def open_server(*arguments: Any, **options: Any) -> Server:
    """Make a :class:`~handpose_native.web.server.Server`; arguments as there.

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

    return Server(*arguments, **options)
