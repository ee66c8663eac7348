"""Sessions of siteferry on the test servers, and local files to send over them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siteferry.ftp.endpoint import Deadlines, Endpoint
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.session import Session
from siteferry.secret import Secret
from siteferry.tree.scan import FoundFile
from tests.servers import scripted
from tests.servers.base import FtpServer

DEADLINES = Deadlines(connect_seconds=5, control_seconds=20, data_seconds=20)
"""Long enough for Pure-FTPd's answer to a wrong password (3 seconds at least)."""


def endpoint_of(server: FtpServer, **changes: Any) -> Endpoint:
    """How a website would describe `server`; `changes` are other fields of Endpoint."""
    settings: dict[str, Any] = {
        "security": "explicit" if server.tls else "none",
        "ca_file": server.certificate,
        "deadlines": DEADLINES,
    }
    return Endpoint(server.host, server.port, **(settings | changes))


@contextlib.contextmanager
def session_on(
    server: FtpServer, profile: ServerProfile | None = None, **changes: Any
) -> Iterator[Session]:
    """A session that has logged in, and that takes its leave at the end."""
    session = Session(endpoint_of(server, **changes), profile)
    session.open(server.user, Secret(server.password))
    try:
        yield session
    finally:
        session.leave()


@contextlib.contextmanager
def scripted_session(
    server: scripted.ScriptedServer, profile: ServerProfile | None = None
) -> Iterator[Session]:
    """The same on a scripted server, in plain, and with short deadlines."""
    session = Session(scripted_endpoint(server), profile)
    session.open(scripted.USER, Secret(scripted.PASSWORD))
    try:
        yield session
    finally:
        session.leave()


def scripted_endpoint(server: scripted.ScriptedServer, **changes: Any) -> Endpoint:
    settings: dict[str, Any] = {"security": "none", "deadlines": Deadlines(3, 3, 3)}
    return Endpoint(scripted.HOST, server.port, **(settings | changes))


def found_file(local: Path, path: str | None = None) -> FoundFile:
    """`local` as a scan would find it, published as `path` (None: its name)."""
    status = local.lstat()
    return FoundFile(path or local.name, str(local), status.st_size, int(status.st_mtime))


def make_file(folder: Path, name: str, content: bytes) -> FoundFile:
    """Write a file and find it."""
    local = folder / name
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(content)
    return found_file(local, name)
