"""What the servers' replies mean (the lines are those of docs/servers.md and of users' reports)."""

from __future__ import annotations

import string

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
    ReplyError,
    SessionLost,
    SiteferryError,
    StorageFull,
    TransientReply,
)
from siteferry.ftp.replies import Reply, error_for, login_error, parse_reply, told_port


def reply(*lines: str) -> Reply:
    return parse_reply(lines)


REFUSALS: list[tuple[str, type[SiteferryError]]] = [
    # vsftpd, whose words are the same for what is missing and what is closed
    ("550 Create directory operation failed.", PermanentReply),
    ("550 Could not get file size.", PermanentReply),
    ("550 Failed to open file.", PermanentReply),
    ("550 Failed to change directory.", PermanentReply),
    ("550 Delete operation failed.", PermanentReply),
    ("550 RNFR command failed.", PermanentReply),
    ("550 Rename failed.", PermanentReply),
    ("553 Could not create file.", PermanentReply),
    ("550 Permission denied.", NotPermitted),
    ("503 RNFR required first.", PermanentReply),
    ("522 SSL connection failed: session reuse required", PermanentReply),
    ("500 Unknown command.", PermanentReply),
    # ProFTPD
    ("550 /a/b: File exists", PermanentReply),
    ("550 /a/b: No such file or directory", NotFound),
    ("550 /a/b: Permission denied", NotPermitted),
    ("550 /a/b: Operation not permitted", NotPermitted),
    ("550 /a/b: Not a regular file", PermanentReply),
    ("550 /a/b: Not a directory", PermanentReply),
    ("550 /a/b: Directory not empty", PermanentReply),
    ("450 /a: No such file or directory", TransientReply),
    ("425 Unable to build data connection: Operation not permitted", TransientReply),
    ("552 Transfer aborted. Disc quota exceeded", StorageFull),
    ("450 /a: Disk quota exceeded", StorageFull),
    ("451 /a: No space left on device", StorageFull),
    # Pure-FTPd
    ("550 Can't create directory: File exists", PermanentReply),
    ("550 Can't create directory: No such file or directory", NotFound),
    ("550 Can't create directory: Permission denied", NotPermitted),
    ("553 Can't open that file: No such file or directory", NotFound),
    ("553 Can't open that file: Permission denied", NotPermitted),
    ("553 Can't open that file: Is a directory", PermanentReply),
    ("553 Prohibited file name: /a\\b", NotPermitted),
    ("550 Can't check for file existence", PermanentReply),
    ("550 Sorry, but that file doesn't exist", NotFound),
    ("451 Rename/move failure: No such file or directory", TransientReply),
    ("451 Error during write to file: No space left on device", StorageFull),
    ("552 Disk full - please upload later", StorageFull),
    # pyftpdlib
    ("550 No such file or directory.", NotFound),
    ("550 Not enough privileges.", PermanentReply),
    ("550 Is a directory.", PermanentReply),
    ("501 No such directory.", PermanentReply),
    # IIS, FileZilla Server, cPanel, proxies
    ("550 Cannot create a file when that file already exists. ", PermanentReply),
    ("550 The system cannot find the file specified. ", PermanentReply),
    ("553 Read-only file system", NotPermitted),
    ("452 Insufficient storage space in file system", StorageFull),
    ("552 Requested file action aborted: exceeded storage allocation", StorageFull),
    ("426 Connection closed; transfer aborted.", TransientReply),
    ("421 Session Timeout (3600 seconds): closing control connection.", SessionLost),
    ("530 Please login with USER and PASS.", LoginRefused),
]


@pytest.mark.parametrize(("line", "kind"), REFUSALS)
def test_a_refusal_becomes_its_error_with_the_servers_words(
    line: str, kind: type[SiteferryError]
) -> None:
    error = error_for(reply(line), "storing a/b")
    assert type(error) is kind
    assert error.reply == line
    assert line in str(error)
    assert "storing a/b" in str(error) or kind is LoginRefused
    if isinstance(error, ReplyError):
        assert error.code == int(line[:3])
        assert error.transient is line.startswith("4")


LOGINS: list[tuple[str, type[SiteferryError]]] = [
    ("530 Login incorrect.", LoginRefused),
    ("421 Temporarily banned for too many failed login attempts.", LoginRefused),
    ("530 Maximum login attempts exceeded.", LoginRefused),
    ("530 Your IP address is blocked.", LoginRefused),
    ("530 Login authentication failed", LoginRefused),
    ("530 Authentication failed.", LoginRefused),
    ("530 User cannot log in, home directory inaccessible.", LoginRefused),
    ("530 Permission denied.", LoginRefused),
    ("530 Sorry, the maximum number of allowed clients (3) are already connected.",
     ConnectionLimited),
    ("530 Sorry, the maximum number of clients (8) from your host are already connected.",
     ConnectionLimited),
    ("421 There are too many connected users, please try later.", ConnectionLimited),
    ("421 There are too many connections from your internet address.", ConnectionLimited),
    ("421 8 users (the maximum) are already logged in, sorry", ConnectionLimited),
    ("421 Too many connections (8) from this IP", ConnectionLimited),
    ("421 Too many connections. Service temporarily unavailable.", ConnectionLimited),
    ("421 Too many connections from the same IP address.", ConnectionLimited),
    ("421 Service not available, closing control connection.", SessionLost),
    ("430 try again", SessionLost),
    ("530 Anonymous sessions must use encryption.", HostError),
    ("530 Non-anonymous sessions must use encryption.", HostError),
    ("550 SSL/TLS required on the control channel", HostError),
    ("421 Please reconnect using TLS security mechanisms.", HostError),
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind"), LOGINS)
def test_a_refused_login_becomes_its_error_with_the_next_step(
    line: str, kind: type[SiteferryError]
) -> None:
    error = login_error(reply(line))
    assert type(error) is kind
    assert error.reply == line
    if kind is not SessionLost:
        assert error.next_step
    if kind is HostError:
        assert "ftp.security: explicit" in error.next_step


def test_a_limit_is_never_taken_for_a_wrong_password() -> None:
    for line, kind in LOGINS:
        if kind is ConnectionLimited and line.startswith("530"):
            assert type(error_for(reply(line), "going on")) is ConnectionLimited


@pytest.mark.parametrize(
    "line",
    ["550 /a: No such file or directory", "553 Can't open that file: No such file or directory",
     "550 Sorry, but that file doesn't exist", "450 /a: No such file or directory"],
)  # fmt: skip
def test_missing_is_what_the_words_say(line: str) -> None:
    assert reply(line).missing


@pytest.mark.parametrize(
    "line",
    ["550 Failed to open file.", "550 /a: Permission denied", "500 not found", "226 no such luck"],
)
def test_missing_is_nothing_else(line: str) -> None:
    assert not reply(line).missing


def test_the_meaning_of_many_lines_stands_in_the_last_one() -> None:
    many = reply("550-The directory", " 550 is", "550 Permission denied")
    assert many.text == "550 Permission denied"
    assert isinstance(error_for(many, "looking"), NotPermitted)


@pytest.mark.parametrize(
    ("line", "preliminary", "ok"),
    [("125 x", True, False), ("150 x", True, False), ("200 x", False, True), ("299", False, True),
     ("331 x", False, False), ("350 x", False, False), ("450 x", False, False),
     ("550 x", False, False), ("632 x", False, False)],
)  # fmt: skip
def test_the_first_digit_tells_how_it_went(line: str, preliminary: bool, ok: bool) -> None:
    assert (reply(line).preliminary, reply(line).ok) == (preliminary, ok)


@given(st.integers(0, 999), st.text(), st.lists(st.text()))
def test_a_reply_is_its_code_and_keeps_every_line(code: int, text: str, more: list[str]) -> None:
    lines = (f"{code:03}{text}", *more)
    assert parse_reply(lines) == Reply(code, lines)


@given(st.text())
def test_what_has_no_code_is_no_reply_and_is_quoted_within_bounds(line: str) -> None:
    digits = set(string.digits)
    if len(line) >= 3 and set(line[:3]) <= digits:
        assert parse_reply((line,)).code == int(line[:3])
    else:
        with pytest.raises(SessionLost) as lost:
            parse_reply((line,))
        assert len(lost.value.reply or "") <= 200


@given(st.integers(400, 999), st.text())
def test_every_refusal_becomes_an_error_of_ours(code: int, text: str) -> None:
    refused = reply(f"{code} {text}")
    for error in (error_for(refused, "storing a/b"), login_error(refused)):
        assert isinstance(error, SiteferryError)
        assert error.reply == refused.text


@given(st.integers(1, 65535), st.sampled_from("|!#~"))
def test_the_port_of_epsv_and_pasv_is_read_back(port: int, sign: str) -> None:
    extended = f"229 Entering Extended Passive Mode ({sign * 3}{port}{sign})."
    assert told_port(reply(extended)) == port
    passive = f"227 Entering Passive Mode (10,0,0,1,{port // 256},{port % 256})."
    assert told_port(reply(passive)) == port
    assert told_port(reply(passive.replace("(", "").replace(")", ""))) == port


@pytest.mark.parametrize(
    "line",
    [
        "229 Entering Extended Passive Mode",
        "229 (|||0|)",
        "229 (|||65536|)",
        "229 (|||-1|)",
        "229 (|||²|)",
        "229 (|1|127.0.0.1|21)",
        "229 (||!21|)",
        "227 Entering Passive Mode (127,0,0,1,0,0)",
        "227 Entering Passive Mode (127,0,0,1,256,0)",
        "227 Entering Passive Mode (127,0,0,1,1,256)",
        "227 Entering Passive Mode (127,0,0,1,1)",
        "200 (|||2000|)",
        "200 127,0,0,1,1,1",
    ],
)
def test_what_tells_no_port_tells_none(line: str) -> None:
    assert told_port(reply(line)) is None


@given(st.sampled_from(["227 ", "229 "]), st.text(alphabet="0123456789,|() ", max_size=60))
def test_a_told_port_is_always_one(code: str, text: str) -> None:
    port = told_port(reply(code + text))
    assert port is None or 0 < port < 65536
