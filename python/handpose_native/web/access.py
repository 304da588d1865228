"""Who may look: the token, the names under which this machine is asked for, and the pages of others."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ArgumentError, VideoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Access", "Refusal", "is_loopback"]

_LEAST_TOKEN = 16


class Refusal(NamedTuple):
    """Why a request is not answered: the HTTP status and a sentence."""

    status: int
    reason: str


class Access:
    """The rules.

    - A request must name this machine: by an IP address, as ``localhost``, by its own name, by `host`, or by one of
      `names`. So a page of somebody else whose name is made to point here (DNS rebinding) gets nothing.
    - Where there is a token, a request must bring it, as ``Authorization: Bearer TOKEN``, as ``?token=TOKEN`` or in
      the cookie.
    - Pages of other sites get nothing, except those of `origins`.

    Parameters
    ----------
    host : str
        Where the server listens.
    token : str, optional
        At least 16 printable ASCII characters. Made where it is not given and `host` is more than this machine itself.
    names : sequence of str
        Further names under which the server may be asked for, as behind a proxy.
    origins : sequence of str
        Such as ``"https://example.org"``: pages that may read.

    Attributes
    ----------
    host : str
    token : str or None
    made_token : bool
        Whether the token was made here, so that somebody has to be told.

    Raises
    ------
    ArgumentError
        If the token is too short or has other characters, or an origin is none.
    VideoError
        If the host is not known.
    """

    def __init__(
        self, host: str, *, token: str | None = None, names: Sequence[str] = (), origins: Sequence[str] = ()
    ) -> None:
        self.host = host
        self.made_token = token is None and not is_loopback(host)
        if self.made_token:
            token = secrets.token_urlsafe(24)
        if token is not None and not (len(token) >= _LEAST_TOKEN and token.isascii() and token.isprintable()):
            raise ArgumentError(f"serve: token must have at least {_LEAST_TOKEN} printable ASCII characters")
        for origin in origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest:
                raise ArgumentError(f"serve: an origin is like https://example.org, without a path; got {origin!r}")
        self.token = token
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", own.partition(".")[0], host.lower(), *map(str.lower, names)}
        self._origins = frozenset(origins)

    def check_source(self, headers: Mapping[str, str]) -> Refusal | None:
        """Look at where a request comes from, by its ``Host``, ``Origin`` and ``Sec-Fetch-*`` headers."""
        name = _name_of(headers.get("Host", ""))
        if not (name in self._names or _is_address(name)):
            return Refusal(
                403, f"this server is not asked for as {name!r}: add --allow-host {name}, or use its address"
            )
        is_foreign = headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate"
        if is_foreign and self.allowed_origin(headers) is None:
            return Refusal(403, "pages of other sites may not read this server, unless --allow-origin names them")
        return None

    def check_token(self, headers: Mapping[str, str], asked: str | None, cookie: str | None) -> Refusal | None:
        """Look for the token.

        Parameters
        ----------
        headers : mapping
        asked : str or None
            Of the address.
        cookie : str or None
        """
        if self.token is None:
            return None
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        brought = [asked, cookie, credentials.strip() if scheme.lower() == "bearer" else None]
        if any(one is not None and self._is_token(one) for one in brought):
            return None
        return Refusal(401, "a token is needed: open the address that handpose-native printed, with ?token=... in it")

    def allowed_origin(self, headers: Mapping[str, str]) -> str | None:
        """Return the origin of another site's page that may read the answer."""
        origin = headers.get("Origin")
        return origin if origin in self._origins else None

    def _is_token(self, text: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.token.encode())


def is_loopback(host: str) -> bool:
    """Return whether a server on this host is reached from this machine only.

    Raises
    ------
    VideoError
        If the host is not known.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise VideoError(f"serve: the host {host!r} is not known: {error}") from error
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _name_of(host: str) -> str:
    """Return the name in a ``Host`` header: without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
