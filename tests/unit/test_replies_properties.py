"""Whatever a server answers: one of our errors, a port or none, the same reply however it comes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.errors import (
    ConnectionLimited,
    HostError,
    LoginRefused,
    NotFound,
    NotPermitted,
    PermanentReply,
    SessionLost,
    StorageFull,
    TransientReply,
)
from siteferry.ftp.control import ControlChannel
from siteferry.ftp.replies import Reply, error_for, login_error, parse_reply, told_port

if TYPE_CHECKING:
    from socket import socket

WORDS = [
    "too many", "maximum", "already logged in", "no space left", "quota", "disk full", "no such",
    "not found", "permission denied", "read-only", "TLS", "SSL", "encrypt", "failure writing",
    "(|||2121|)", "(127,0,0,1,8,10)", "(|||99999|)", "\u0661\u0662", "\udcff", "250 ", "550-",
]  # fmt: skip
texts = st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
codes = st.integers(0, 999)
replies = st.builds(
    lambda code, first, more: Reply(code, (f"{code:03} {first}", *more)),
    codes,
    texts,
    st.lists(texts, max_size=3),
)

REFUSALS = {
    SessionLost, StorageFull, LoginRefused, ConnectionLimited, HostError, TransientReply,
    NotPermitted, NotFound, PermanentReply,
}  # fmt: skip
LOGIN_REFUSALS = {ConnectionLimited, HostError, SessionLost, LoginRefused}


@given(replies)
def test_an_unwelcome_reply_is_one_of_the_documented_errors(reply: Reply) -> None:
    error = error_for(reply, "storing a/b.css")
    assert type(error) in REFUSALS
    if isinstance(error, TransientReply):
        assert 400 <= reply.code < 500
    if isinstance(error, PermanentReply):
        assert not 400 <= reply.code < 500
    if isinstance(error, NotFound | NotPermitted):
        assert reply.code in (550, 553)
    assert error.reply
    assert error.reply in str(error)


@given(replies)
def test_a_refused_login_is_one_of_the_documented_errors(reply: Reply) -> None:
    error = login_error(reply)
    assert type(error) in LOGIN_REFUSALS
    if isinstance(error, LoginRefused):
        assert not 400 <= reply.code < 500, "what is transient is no wrong password"


@given(st.lists(texts, min_size=1, max_size=3).map(tuple))
def test_any_lines_are_a_reply_or_lose_the_session(lines: tuple[str, ...]) -> None:
    if not re.match("[0-9]{3}", lines[0]):
        with pytest.raises(SessionLost) as lost:
            parse_reply(lines)
        assert len(lost.value.reply or "") <= 200
        return
    reply = parse_reply(lines)
    assert lines[0].startswith(f"{reply.code:03}")
    assert reply.lines == lines
    assert reply.text == lines[-1]
    assert isinstance(reply.told, str)


@given(replies)
def test_any_reply_tells_a_port_or_none(reply: Reply) -> None:
    port = told_port(reply)
    assert port is None or (0 < port < 65536 and reply.code in (227, 229))


class PiecemealSocket:
    """A connected socket whose bytes come in these pieces, one a call, and then end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def recv(self, most_bytes: int) -> bytes:
        if not self._pieces:
            return b""
        piece, rest = self._pieces[0][:most_bytes], self._pieces[0][most_bytes:]
        self._pieces[0:1] = [rest] if rest else []
        return piece

    def setsockopt(self, *_option: object) -> None: ...

    def gettimeout(self) -> float:
        return 1.0

    def settimeout(self, _seconds: float) -> None: ...


def channel(pieces: list[bytes]) -> ControlChannel:
    return ControlChannel(cast("socket", PiecemealSocket(pieces)))


def cut(content: bytes, places: list[int]) -> list[bytes]:
    ends = [*sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]


REPLIES = [
    b"220 welcome\r\n",
    b"229 Entering Extended Passive Mode (|||2121|)\r\n",
    b"226-File successfully transferred\r\n226 0.000 seconds, 54.32 Kbytes per second\r\n",
    b"211-Features:\r\n MLST type*;size*;\r\n 211 not the end\r\n211-nor this\r\n211 End\r\n",
    b"550 \xc3\xbcml\xc3\xa4ut\xff: No such file\n",
    b"250\r\n",
]

scripts = st.lists(st.sampled_from(REPLIES), min_size=1, max_size=5)
places = st.lists(st.integers(0, 10_000), max_size=12)


@given(scripts, places)
def test_replies_are_the_same_however_their_bytes_are_split(
    script: list[bytes], places: list[int]
) -> None:
    whole = channel([b"".join(script)])
    expected = [whole.read_reply("utf-8") for _ in script]
    assert [int(raw[:3]) for raw in script] == [reply.code for reply in expected]
    assert [raw.count(b"\n") for raw in script] == [len(reply.lines) for reply in expected]
    split = channel(cut(b"".join(script), places))
    assert [split.read_reply("utf-8") for _ in script] == expected


@given(st.sampled_from(REPLIES), places, st.integers(0, 200))
def test_a_reply_that_breaks_off_anywhere_loses_the_session(
    raw: bytes, places: list[int], length: int
) -> None:
    begun = raw[: length % len(raw)]
    try:
        reply = channel(cut(begun, places)).read_reply("utf-8")
    except SessionLost:
        return
    raise AssertionError(f"{begun!r} was taken for {reply}")


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_any_bytes_are_a_reply_or_lose_the_session(pieces: list[bytes]) -> None:
    for encoding in ("utf-8", "latin-1"):
        try:
            reply = channel(pieces).read_reply(encoding)
        except SessionLost:
            continue
        assert 0 <= reply.code <= 999
