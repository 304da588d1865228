"""Who may look: tokens, names of the machine, other sites' pages."""

from __future__ import annotations

import socket

import pytest

from handpose_native.errors import ArgumentError, VideoError
from handpose_native.web import Access
from handpose_native.web.access import is_loopback

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.3.2.1"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    access = Access(host)
    assert is_loopback(host)
    assert access.token is None
    assert not access.made_token
    assert access.check_token({}, None, None) is None


def test_for_others_a_token_is_made_each_time_another() -> None:
    first, second = Access("0.0.0.0"), Access("0.0.0.0")
    assert first.made_token
    assert first.token is not None
    assert second.token is not None
    assert len(first.token) >= 32
    assert first.token != second.token
    refusal = first.check_token({}, None, None)
    assert refusal is not None
    assert refusal.status == 401


def test_a_token_is_kept_also_on_loopback() -> None:
    access = Access("127.0.0.1", token=TOKEN)
    assert not access.made_token
    assert access.check_token({}, None, None) is not None
    assert access.check_token({}, TOKEN, None) is None


@pytest.mark.parametrize("token", ["", "short", "0123456789abcdé", "0123456789abcde\n"])
def test_weak_and_unprintable_tokens_are_refused(token: str) -> None:
    with pytest.raises(ArgumentError, match="at least 16 printable"):
        Access("127.0.0.1", token=token)


def test_the_three_ways_to_bring_it() -> None:
    access = Access("127.0.0.1", token=TOKEN)
    assert access.check_token({"Authorization": f"Bearer {TOKEN}"}, None, None) is None
    assert access.check_token({"Authorization": f"bearer  {TOKEN}"}, None, None) is None
    assert access.check_token({}, TOKEN, None) is None
    assert access.check_token({}, None, TOKEN) is None
    assert access.check_token({}, "wrong", TOKEN) is None


@pytest.mark.parametrize("wrong", ["", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "é" * 16, "\udcff" * 16])
def test_wrong_tokens(wrong: str) -> None:
    access = Access("127.0.0.1", token=TOKEN)
    assert access.check_token({"Authorization": f"Bearer {wrong}"}, wrong, wrong) is not None
    assert access.check_token({"Authorization": f"Basic {TOKEN}"}, None, None) is not None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST.:1",
        "127.0.0.1:9",
        "192.168.1.7:8080",
        "[::1]:8080",
        "[fe80::1]",
        "cam",
    ],
)
def test_names_of_this_machine_and_addresses_are_answered(host: str) -> None:
    access = Access("127.0.0.1", names=["Cam"])
    assert access.check_source({"Host": host}) is None
    assert access.check_source({"Host": f"{socket.gethostname()}:8080"}) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io"]
)
def test_other_names_are_not(host: str) -> None:
    refusal = Access("127.0.0.1").check_source({"Host": host})
    assert refusal is not None
    assert refusal.status == 403
    assert "--allow-host" in refusal.reason


def test_pages_of_other_sites() -> None:
    access = Access("127.0.0.1", origins=["https://example.org"])
    here = {"Host": "localhost"}
    foreign = {**here, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert access.check_source({**here, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}) is None
    assert access.check_source({**here, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}) is None
    assert access.check_source(foreign) is not None
    assert access.check_source({**foreign, "Origin": "https://evil.example"}) is not None
    assert access.check_source({**foreign, "Origin": "https://example.org"}) is None
    assert access.allowed_origin({"Origin": "https://example.org"}) == "https://example.org"
    assert access.allowed_origin({"Origin": "https://example.org.evil.example"}) is None
    assert access.allowed_origin({}) is None


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://", "https://example.org/", "ftp://example.org", "null"]
)
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ArgumentError, match="origin"):
        Access("127.0.0.1", origins=[origin])


def test_an_unknown_host() -> None:
    with pytest.raises(VideoError, match=r"nowhere\.invalid"):
        Access("nowhere.invalid")
