"""Files on the servers' side for the tests of downloads, and what becomes of fetching them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from siteferry.errors import SiteferryError
from siteferry.ftp.download import Download, Fetched, download_files
from siteferry.ftp.session import Session
from tests.servers.base import FtpServer
from tests.servers.sessions import MTIME, give_to_the_server


def download(server: FtpServer, folder: Path, name: str, **known: int | bool) -> Download:
    remote = f"{server.remote_root}/{name}".replace("//", "/")
    return Download(remote, folder / name, **known)  # type: ignore[arg-type]


def fetched(content: bytes, mtime: int | None = MTIME) -> Fetched:
    return Fetched(len(content), hashlib.sha256(content).hexdigest(), mtime)


def outcomes(
    session: Session, downloads: Iterable[Download]
) -> dict[str, Fetched | SiteferryError]:
    """The outcome of each file by its local name; none may have two."""
    result: dict[str, Fetched | SiteferryError] = {}
    for one, outcome in download_files(session, downloads):
        assert one.local.name not in result
        result[one.local.name] = outcome
    return result


def plant_contents(server: FtpServer, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (server.root / name).write_bytes(content)
        os.utime(server.root / name, (MTIME, MTIME))
    give_to_the_server(server.root)
