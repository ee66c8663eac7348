"""Sessions of siteferry on the test servers, and local files to send over them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from siteferry.ftp.endpoint import Deadlines, Endpoint
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Outcome, Stored, Upload, upload_files
from siteferry.secret import Secret
from siteferry.tree.scan import FoundFile
from tests.servers import scripted
from tests.servers.base import FtpServer, file_owner, running_as_root

MTIME = 1_400_000_000
"""Seconds since 1970: the time that sent files are given."""

DEADLINES = Deadlines(connect_seconds=5, control_seconds=20, data_seconds=20)
"""Long enough for Pure-FTPd's answer to a wrong password (3 seconds at least)."""


def endpoint_of(server: FtpServer, **changes: Any) -> Endpoint:
    """How a website would describe `server`; `changes` are other fields of Endpoint."""
    settings: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "security": "explicit" if server.tls else "none",
        "ca_file": server.certificate,
        "deadlines": DEADLINES,
    }
    return Endpoint(**(settings | changes))


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
    return Endpoint(server.host, server.port, **(settings | changes))


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


def plant(server: FtpServer, *names: str) -> None:
    """Files that hold their names, and directories (ending with a slash), on the server's side,
    owned as if a client had made them."""
    for name in names:
        path = server.root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(name)
    give_to_the_server(server.root)


def give_to_the_server(folder: Path) -> None:
    """What a test has made below `folder` belongs to the server's user from now on."""
    if running_as_root():
        for path in folder.rglob("*"):
            os.chown(path, *file_owner(), follow_symlinks=False)


def refused_login(endpoint: Endpoint, user: str = "site", word: str = "none") -> None:
    """Try to open a session; whatever comes of it, it must not be usable afterwards."""
    session = Session(endpoint)
    try:
        session.open(user, Secret(word))
    finally:
        assert session.lost
        assert session.sock is None


def outcomes(session: Session, uploads: Iterable[Upload]) -> dict[str, Outcome]:
    """The outcome of each file by its published path; none may have two."""
    result: dict[str, Outcome] = {}
    for upload, outcome in upload_files(session, uploads):
        assert upload.found.path not in result
        result[upload.found.path] = outcome
    return result


def stored(content: bytes, mtime: int | None = MTIME) -> Stored:
    return Stored(len(content), hashlib.sha256(content).hexdigest(), mtime)
