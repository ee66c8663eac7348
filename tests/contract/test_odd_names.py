"""What each server makes of odd names, and that the preflight knows it beforehand.

A directory is made with MKD and a file is renamed into place with RNTO, as a publish does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from siteferry.errors import SiteferryError
from siteferry.ftp import profile
from siteferry.ftp.session import Session
from siteferry.tree import name_limits
from siteferry.tree.name_limits import NameLimits, limits_for
from siteferry.tree.preflight import check_names
from tests.conftest import Servers
from tests.servers.base import FtpServer
from tests.servers.sessions import plant, session_on

SHAPES = {
    "space at the end": "a ",
    "space at the beginning": " a",
    "space alone": " ",
    "space inside": "a  b",
    "tab at the end": "a\t",
    "tab at the beginning": "\ta",
    "tab inside": "a\tb",
    "bell": "a\ab",
    "delete": "a\x7fb",
    "C1 control": "a\x85b",
    "no-break space at the end": "a\xa0",
    "backslash": "a\\b",
    "asterisk": "a*b",
    "Windows' characters": '<a>:"b"|c?',
    "Windows' device": "CON",
    "dot at the end": "a.",
    "three dots": "...",
    "tilde": "~root",
    "dash": "-R",
    "percent": "%41",
    "braces": "{a,b}",
    "brackets": "[a]",
    "composed": "caf\xe9",
    "decomposed": "cafe\u0301",
    "255 bytes": "ž" * 127 + "x",
    "256 bytes": "ž" * 128,
}
CHANGED_BY_PUREFTPD = {
    "space at the end": "a_",
    "space alone": "_",
    "tab at the end": "a_",
    "tab at the beginning": "_a",
    "tab inside": "a_b",
    "bell": "a_b",
    "delete": "a_b",
}
"""What Pure-FTPd makes of them, with a reply of success."""
NOT_HELD = {
    "vsftpd": {"256 bytes"},
    "proftpd": {"256 bytes"},
    "pureftpd": {*CHANGED_BY_PUREFTPD, "backslash", "256 bytes"},
    "pyftpd": {"256 bytes"},
}
LONGEST_PATH = {"vsftpd": 4089, "proftpd": 4093, "pureftpd": 4095, "pyftpd": 2043}
"""In bytes, as it is sent."""


def make(session: Session, server: FtpServer, name: str, *, directory: bool) -> bool:
    """Put an empty file or a directory there as a publish does; whether it is there by its name.
    What is there by another one stays."""
    target = f"{server.remote_root}/{name}"
    if directory:
        session.burst([f"MKD {target}"])
    else:
        plant(server, "staged")
        session.burst([f"RNFR {server.remote_root}/staged", f"RNTO {target}"])
    local = os.fsencode(server.root) + b"/" + name.encode(session.encoding)
    try:
        return os.path.lexists(local)
    finally:
        if os.path.isdir(local):  # noqa: PTH112  # bytes, which pathlib does not take
            os.rmdir(local)  # noqa: PTH106
        elif os.path.lexists(local):
            os.unlink(local)  # noqa: PTH108
        (server.root / "staged").unlink(missing_ok=True)


def limits_of(session: Session) -> NameLimits:
    return limits_for(session.profile.features, session.encoding)


def refuses(limits: NameLimits, name: str, *, directory: bool) -> bool:
    failures, _ = check_names([name] if directory else [], [] if directory else [name], limits)
    return failures != ()


@pytest.mark.parametrize("directory", [False, True], ids=["file", "directory"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", NOT_HELD)
def test_what_a_server_cannot_hold_is_known_before_and_nothing_else_is_refused(
    kind: str, tls: bool, directory: bool, servers: Servers
) -> None:
    """In TLS, FEAT has other words; they must lead to the same server."""
    server = servers.shared(kind, tls=tls).fresh()
    expected = NOT_HELD[kind] | ({"asterisk"} if kind == "proftpd" and directory else set())
    with session_on(server) as session:
        held = {
            label
            for label, name in SHAPES.items()
            if make(session, server, name, directory=directory)
        }
        limits = limits_of(session)
    assert SHAPES.keys() - held == expected
    refused = {
        label for label, name in SHAPES.items() if refuses(limits, name, directory=directory)
    }
    assert refused == expected
    shutil.rmtree(server.root)


@pytest.mark.parametrize("label", CHANGED_BY_PUREFTPD)
def test_pureftpd_says_yes_and_writes_another_name(label: str, servers: Servers) -> None:
    """Why these must be found beforehand: no reply tells."""
    server = servers.shared("pureftpd", tls=False).fresh()
    with session_on(server) as session:
        (reply,) = session.burst([f"MKD {server.remote_root}/{SHAPES[label]}"])
    assert reply.ok
    assert os.listdir(server.root) == [CHANGED_BY_PUREFTPD[label]]  # noqa: PTH208
    shutil.rmtree(server.root)


def test_latin_1_names_arrive_byte_by_byte_where_the_preflight_lets_them_through(
    ftp_server: FtpServer,
) -> None:
    with session_on(ftp_server, encoding="latin-1") as session:
        assert session.encoding == "latin-1"
        limits = limits_of(session)
        for directory in (False, True):
            held = make(session, ftp_server, "caf\xe9", directory=directory)
            assert held == (ftp_server.kind != "pyftpd")
            assert refuses(limits, "caf\xe9", directory=directory) == (not held)
    assert refuses(limits, "ž", directory=False)
    assert not refuses(limits, "plain", directory=False)


@contextmanager
def deep_directory(server: FtpServer, length: int) -> Iterator[str]:
    """A directory of the server's whose path, relative to its root, has `length` bytes; it is made
    step by step, for no system call takes the whole of its local path."""
    names = ["d" * 100] * ((length + 1) // 101 - 1)
    names.append("e" * (length - len(names) * 101))
    there = os.open(server.root, os.O_RDONLY)
    owner = os.fstat(there)
    try:
        for name in names:
            os.mkdir(name, dir_fd=there)
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=there)
            below = os.open(name, os.O_RDONLY, dir_fd=there)
            os.close(there)
            there = below
        yield "/".join(names)
    finally:
        os.close(there)
        shutil.rmtree(server.root / names[0])


@pytest.mark.parametrize("over", [0, 1], ids=["the longest path", "a byte more"])
def test_the_longest_path_is_the_one_that_the_preflight_lets_through(
    ftp_server: FtpServer, over: int
) -> None:
    plant(ftp_server, "staged")
    remote_root = ftp_server.remote_root
    length = LONGEST_PATH[ftp_server.kind] + over - len(remote_root.encode()) - 1
    with deep_directory(ftp_server, length - 5) as directory:
        path = f"{directory}/file"
        with session_on(ftp_server) as session:
            limits = limits_of(session).below(remote_root)
            try:
                session.burst([f"RNFR {remote_root}/staged", f"RNTO {remote_root}/{path}"])
            except SiteferryError:
                assert over  # a line that it does not take may end the session
        held = not (ftp_server.root / "staged").exists()
    assert held == (not over)
    assert refuses(limits, path, directory=False) == bool(over)


def test_the_words_that_tell_servers_apart_are_those_of_the_server_profile() -> None:
    assert name_limits.PUREFTPD_WORDS == profile._PUREFTPD
    assert name_limits.PROFTPD_WORDS == profile._PROFTPD
    assert name_limits.VSFTPD_WORDS == profile._VSFTPD
