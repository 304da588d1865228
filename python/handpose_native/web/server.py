"""The server: a thread with an event loop beside the run."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http import HttpProcessingError

from ..errors import ArgumentError, VideoError
from ..video.base import reason_of
from .application import Application
from .feed import Feed
from .pictures import Pictures
from .status import Status
from .viewers import Viewers

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ..report import RunReport
    from ..types import FrameResult
    from ..video import Source
    from .access import Access

__all__ = ["Server"]

logger = logging.getLogger(__name__)

_BACKLOG = 32
#: Connections beyond the viewers' own: for pages and programs that ask now and then.
_FURTHER_CONNECTIONS = 32
#: A connection that has asked nothing for so long is closed, new or used.
_SILENT_S = 15.0
#: How long leaving waits for answers that are on their way (twice, where a viewer has stalled), and for the thread.
_LAST_ANSWERS_S, _THREAD_S = 0.1, 1.0
#: A page asks for the status about once a second; where none has for so long there is none.
_PAGE_IS_OPEN_S = 3.0
_MAX_LINE_BYTES = 4096
_MAX_HEADER_BYTES = 8192


class Server:
    """Serves a run while its context lasts.

    Parameters
    ----------
    source : Source
        Being run; only what it says of itself is used.
    report : callable
        Returns the report of the run, None before it begins.
    access : Access
        Where to listen, and who may look.
    port : int
        0 for any that is free.
    draws : bool
        Whether the hands are drawn here: False where the run has other outputs and thus draws them itself.
    max_viewers : int
        Streams at a time.
    quality : int
        Of the JPEG pictures, 1..100.
    fps : float
        Pictures per second that a viewer gets at most.

    Attributes
    ----------
    port : int
        The one it listens on.

    Raises
    ------
    ArgumentError
        For a wrong number.
    VideoError
        If it cannot listen there.
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(
        self,
        source: Source,
        report: Callable[[], RunReport | None],
        access: Access,
        *,
        port: int = 8080,
        draws: bool = True,
        max_viewers: int = 8,
        quality: int = 80,
        fps: float = 30.0,
    ) -> None:
        if not (1 <= quality <= 100 and 0 < fps < 1e4 and max_viewers >= 1 and 0 <= port < 65536):
            raise ArgumentError(
                "serve: quality must be 1..100, fps above 0, max_viewers at least 1 and port 0..65535; "
                f"got {quality}, {fps}, {max_viewers} and {port}"
            )
        self._feed = Feed()
        self._pictures = Pictures(self._feed, draws=draws, quality=quality, fps=fps)
        self._status = Status(source, self._feed, report)
        self._viewers = Viewers(max_viewers)
        self._arriving = 0
        self._silent: set[object] = set()
        self._site = Application(self._feed, self._pictures, self._status, self._viewers, access, self._silent.discard)
        self._access = access
        self._sockets = _listen(access.host, port)
        self.port: int = self._sockets[0].getsockname()[1]
        self._site.listens_on(self.port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="serve", daemon=True)

    @property
    def url(self) -> str:
        """Where a browser on this machine or, if the server listens to others, on another one finds the page."""
        host = _address_for_others(self._access.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def url_with_token(self) -> str:
        return self.url if self._access.token is None else f"{self.url}?token={self._access.token}"

    def show(self, result: FrameResult) -> None:
        """Take the newest result; from one thread, which never waits for viewers. The picture is left to the server."""
        self._feed.publish(result)

    def end(self, message: str, *, linger_s: float = 0.0) -> None:
        """Tell viewers that the run is over, and why.

        Parameters
        ----------
        message : str
            For people.
        linger_s : float
            How long to wait for those who look to learn of it, if there are any.
        """
        self._status.end(message)
        if time.monotonic() - self._site.status_asked_s < _PAGE_IS_OPEN_S:
            time.sleep(linger_s)

    def __enter__(self) -> Server:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._close()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.end()
        if self._loop is not None and self._leaving is not None:
            with contextlib.suppress(RuntimeError):  # the loop has failed and is closed
                self._loop.call_soon_threadsafe(self._leaving.set)
        self._thread.join(_THREAD_S)
        if self._thread.is_alive():
            logger.warning("serve: the server does not come to its end; left alone")
        self._close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._failure = error
            logger.exception("serve: the server failed; the run goes on without it")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        self._feed.attach(loop)
        runner = web.AppRunner(
            self._site.app,
            logger=_requests_logger(),
            access_log=None,  # addresses may hold the token
            handler_cancellation=True,  # of viewers that have gone
            keepalive_timeout=_SILENT_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            shutdown_timeout=_LAST_ANSWERS_S,
        )
        await runner.setup()
        assert runner.server is not None
        accept = partial(self._accept, runner.server)
        try:
            servers = [await loop.create_server(accept, sock=one, backlog=_BACKLOG) for one in self._sockets]
            self._ready.set()
            await self._leaving.wait()
            for server in servers:
                server.close()
        finally:
            await runner.cleanup()

    def _accept(self, server: web.Server) -> asyncio.Protocol:
        """Make the protocol of a new connection; refuses those that are too many, and notes that it has not asked yet.

        aiohttp limits neither the number of connections nor (before 3.14.5) how long a new one says nothing.
        """
        assert self._loop is not None
        if len(server.connections) + self._arriving >= self._viewers.limit + _FURTHER_CONNECTIONS:
            return _Refusing()
        connection = server()
        # The event loop tells the server of it right after what it is asked here.
        self._arriving += 1
        self._loop.call_soon(self._arrived)
        self._silent.add(connection)
        self._loop.call_later(_SILENT_S, self._close_silent, connection)
        return connection

    def _arrived(self) -> None:
        self._arriving -= 1

    def _close_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.discard(connection)
            connection.force_close()

    def _close(self) -> None:
        self._pictures.close()
        for one in self._sockets:
            one.close()


def _requests_logger() -> logging.Logger:
    """Return what aiohttp logs to: mistakes of this server, but not those of whoever asks."""
    requests = logging.getLogger(f"{__name__}.requests")
    requests.addFilter(_is_our_mistake)
    return requests


def _is_our_mistake(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


class _Refusing(asyncio.Protocol):
    """Closes a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets, one for each address of the host that this machine has; all on one port."""
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        place = (address[0], sockets[0].getsockname()[1], *address[2:]) if sockets else address
        one = None
        try:
            one = socket.socket(family, kind, protocol)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(place)
            sockets.append(one)
        except OSError as error:
            failure = error
            if one is not None:
                one.close()
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # such as ::1 where there is no IPv6
                continue
            break
    if failure is not None and (not sockets or failure.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
        for one in sockets:
            one.close()
        hint = "; choose another with --port" if failure.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        raise VideoError(f"serve: cannot listen on {host} port {port}: {reason_of(failure)}{hint}") from failure
    return sockets


def _address_for_others(host: str) -> str:
    """Return the host; for one that stands for every address of this machine, the one that others are likely to use."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    family = socket.AF_INET6 if host == "::" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # Sends nothing; documentation's addresses (RFC 5737, RFC 3849) are routed like any other far one.
        probe.connect(("2001:db8::1" if host == "::" else "192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return socket.gethostname()
