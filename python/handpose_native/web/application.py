"""What is answered to which address. Every answer comes from memory: no part of an address names a file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import socket
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..video.keypoints import json_text
from .access import Refusal
from .metrics import Metrics
from .pictures import BOUNDARY, PART_HEAD
from .viewers import TooManyViewers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .access import Access
    from .feed import Feed
    from .pictures import Jpeg, Pictures
    from .status import Status
    from .viewers import Viewer, Viewers

__all__ = ["Application"]

logger = logging.getLogger(__name__)

_PAGE = "index.html"
_ASSETS = {_PAGE: "text/html", "page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}
#: A viewer that takes nothing for so long is let go.
_STALLED_S = 10.0
#: Without news the last picture, or an empty line, is sent again: so it is noticed when a viewer has gone.
_REPEAT_S = 2.0
#: What the system may hold of a stream that it could not send yet.
_UNSENT_BYTES = 32768
_VIEWER_NAME = re.compile(r"[0-9a-z]{1,32}")
#: Everything the page needs comes from here, and nobody may frame it or read its answers.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "Server": "handpose_native",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: What pages of allowed origins may ask.
_PREFLIGHT = {
    "Access-Control-Allow-Headers": "Authorization, Last-Event-ID",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Max-Age": "600",
}


class Application:
    """The addresses and their answers.

    Parameters
    ----------
    feed : Feed
    pictures : Pictures
    status : Status
    viewers : Viewers
    access : Access
    on_request : callable
        Called with the connection of each request that arrives.

    Attributes
    ----------
    app : aiohttp.web.Application
    status_asked_s : float
        When the status was last asked for, on the clock of ``time.monotonic``.
    """

    def __init__(
        self,
        feed: Feed,
        pictures: Pictures,
        status: Status,
        viewers: Viewers,
        access: Access,
        on_request: Callable[[object], None],
    ) -> None:
        self._feed = feed
        self._pictures = pictures
        self._status = status
        self._viewers = viewers
        self._access = access
        self._on_request = on_request
        self._metrics = Metrics(status, feed, self._figures)
        self._assets = {name: (resources.files(__package__) / "assets" / name).read_bytes() for name in _ASSETS}
        self._cookie = "handpose_native"
        self.status_asked_s = -math.inf
        self.app = web.Application(middlewares=[self._guard], client_max_size=1024)
        self.app.on_response_prepare.append(self._add_headers)
        routes: dict[str, Any] = {
            "/": self._page,
            "/video.mjpeg": self._video,
            "/picture.jpg": self._picture,
            "/keypoints.json": self._keypoints,
            "/events": self._events,
            "/status.json": self._status_json,
            "/metrics": self._metrics_text,
            "/healthz": self._health,
            **{f"/{name}": self._asset for name in _ASSETS if name != _PAGE},
        }
        for path, handler in routes.items():
            self.app.router.add_get(path, handler, allow_head=False)

    def listens_on(self, port: int) -> None:
        """Say the port: browsers do not tell the cookies of a machine's ports apart."""
        self._cookie = f"handpose_native_{port}"

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._on_request(request.protocol)
        refusal = self._access.check_source(request.headers)
        if refusal is None and request.method == "OPTIONS" and self._access.allowed_origin(request.headers):
            return web.Response(status=204, headers=_PREFLIGHT)
        if refusal is None and request.path != "/healthz":  # which tells nothing that a token would be needed for
            asked, cookie = request.query.get("token"), request.cookies.get(self._cookie)
            refusal = self._access.check_token(request.headers, asked, cookie)
        if refusal is not None:
            return _refused(refusal)
        try:
            response: web.StreamResponse = await handler(request)
        except TooManyViewers:
            reason = f"all {self._viewers.limit} places for viewers are taken (--max-viewers)"
            response = _refused(Refusal(503, reason))
            response.headers["Retry-After"] = "5"
        except web.HTTPException as error:
            return _refused(Refusal(error.status, error.reason), error.headers.get("Allow"))
        return response

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        origin = self._access.allowed_origin(request.headers)
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if response.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"

    async def _page(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("token")
        if token is None or self._access.token is None:
            return self._asset_named(_PAGE)
        # Into a cookie, so that it stands neither in the address bar nor in the browser's history.
        response = web.Response(status=303, headers={"Location": "./"})
        response.set_cookie(self._cookie, token, httponly=True, samesite="Lax", path="/")
        return response

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        return self._asset_named(request.path[1:])  # one of the routes above

    def _asset_named(self, name: str) -> web.Response:
        return web.Response(body=self._assets[name], content_type=_ASSETS[name], charset="utf-8")

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        with self._viewers.one_more("") as viewer:
            jpeg = await self._next_picture(self._feed.number - 1)
            if jpeg is None:
                return _refused(Refusal(503, "there is no picture yet"))
            viewer.count(len(jpeg.data))
            headers = {"X-Frame": str(jpeg.index), "X-Time": f"{jpeg.pts_s:.6f}"}
            return web.Response(body=jpeg.data, content_type="image/jpeg", headers=headers)

    async def _video(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("viewer", "")
        if name and not _VIEWER_NAME.fullmatch(name):
            raise web.HTTPBadRequest(reason="viewer must be 1 to 32 letters a-z and digits")
        with self._viewers.one_more(name) as viewer:
            response = web.StreamResponse()
            response.content_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
            with contextlib.suppress(ConnectionError):  # the viewer has gone
                await self._begin(request, response)
                await self._send_pictures(request, response, viewer)
        return response

    async def _send_pictures(self, request: web.Request, response: web.StreamResponse, viewer: Viewer) -> None:
        await response.write(PART_HEAD)  # each picture brings that of the next
        jpeg: Jpeg | None = None
        while True:
            following = await self._next_picture(jpeg.number if jpeg is not None else self._feed.number - 1)
            if following is not None:
                jpeg = following
            elif self._feed.ended:
                return
            if jpeg is not None:
                await self._send(request, response, jpeg.part, viewer)

    async def _next_picture(self, number: int) -> Jpeg | None:
        """Return a picture after the one with this number; None where none comes for a while, or ever."""
        try:
            return await asyncio.wait_for(self._pictures.after(max(number, 0)), _REPEAT_S)
        except asyncio.TimeoutError:
            return None

    async def _keypoints(self, request: web.Request) -> web.StreamResponse:
        entries = self._feed.entries_after(self._feed.number - 1)
        if not entries:
            return _refused(Refusal(503, "there is no frame yet"))
        return _json({**self._status.header, **entries[-1].record})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID", "")
        number = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else self._feed.number
        number = min(number, self._feed.number)
        with self._viewers.one_more("") as viewer:
            response = web.StreamResponse()
            response.content_type, response.charset = "text/event-stream", "utf-8"
            with contextlib.suppress(ConnectionError):  # the program has gone
                await self._begin(request, response)
                await self._send_events(request, response, viewer, number)
        return response

    async def _send_events(
        self, request: web.Request, response: web.StreamResponse, viewer: Viewer, number: int
    ) -> None:
        """Send the entries after one with this number."""
        header = json_text(self._status.header)
        await self._send(request, response, f"retry: 2000\nevent: header\ndata: {header}\n\n".encode(), viewer)
        while not (self._feed.ended and number >= self._feed.number):
            try:
                await asyncio.wait_for(self._feed.wait_after(number), _REPEAT_S)
            except asyncio.TimeoutError:
                await self._send(request, response, b":\n\n", viewer)
                continue
            entries = self._feed.entries_after(number)
            if entries:
                number = entries[-1].number
                text = "".join(f"event: frame\nid: {entry.number}\ndata: {entry.text}\n\n" for entry in entries)
                await self._send(request, response, text.encode(), viewer)
        ending = json_text({"message": self._status.state.message})
        await self._send(request, response, f"event: end\ndata: {ending}\n\n".encode(), viewer)

    async def _status_json(self, request: web.Request) -> web.StreamResponse:
        self.status_asked_s = time.monotonic()
        viewer = self._viewers.named(request.query.get("viewer", ""))
        found = {
            **self._status.to_dict(),
            "viewers": {"now": len(self._viewers), "limit": self._viewers.limit},
            "viewer": None if viewer is None else {"sent": viewer.sent, "fps": viewer.fps},
        }
        return _json(found)

    async def _metrics_text(self, request: web.Request) -> web.StreamResponse:
        body, content_type = self._metrics.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _health(self, request: web.Request) -> web.StreamResponse:
        state = self._status.state
        return web.Response(text=f"{state.name}\n", status=200 if state.is_well else 503)

    def _figures(self) -> dict[str, tuple[str, str, float]]:
        return {
            "viewers": ("gauge", "Open streams of pictures and events.", len(self._viewers)),
            "viewers_refused": ("counter", "Viewers for whom there was no room.", self._viewers.refused),
            "sent_bytes": ("counter", "Bytes of pictures and events that viewers took.", self._viewers.sent_bytes),
            "pictures_encoded": ("counter", "Pictures that were encoded for viewers.", self._pictures.encoded),
            "encoding_seconds": ("counter", "Time that encoding pictures took.", self._pictures.encode_s),
        }

    async def _begin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send the headers; from then on a viewer's own pace counts, and next to nothing is kept ready for it."""
        await response.prepare(request)
        transport = request.transport
        if transport is not None:
            transport.set_write_buffer_limits(high=0)
            _keep_little_unsent(transport)

    async def _send(self, request: web.Request, response: web.StreamResponse, data: bytes, viewer: Viewer) -> None:
        """Send it all; a viewer that does not take it in time is let go."""
        try:
            await asyncio.wait_for(_write(request, response, data), _STALLED_S)
        except asyncio.TimeoutError:
            logger.info("a viewer took nothing for %g s and was let go", _STALLED_S)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the viewer has stopped reading") from None
        viewer.count(len(data))


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    await response.write(data)
    await request.writer.drain()  # until the system has taken all of it; aiohttp itself waits for large pieces only


def _keep_little_unsent(transport: asyncio.BaseTransport) -> None:
    """Have the system take no more than it can send soon: what waits there makes a slow viewer's picture old."""
    connection = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS
    if connection is not None and option is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)


def _refused(refusal: Refusal, allow: str | None = None) -> web.Response:
    headers = {"Allow": allow} if allow else None
    return web.Response(status=refusal.status, text=refusal.reason + "\n", headers=headers)


def _json(value: Any) -> web.Response:
    return web.Response(text=json_text(value), content_type="application/json")
