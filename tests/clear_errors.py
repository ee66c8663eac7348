"""What every error of the command must be: clear, with its exit code, and without a secret."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.installation import Installation, Outcome, write_tree
from tests.servers.base import FtpServer, file_owner, running_as_root

SITE: dict[str, str | bytes] = {"index.html": "home", "css/site.css": "a { }", "page.html": "page"}


def everything_below(folder: Path) -> dict[str, bytes | None]:
    """Content of each file and None for each directory, siteferry's own included."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def assert_clear(
    installation: Installation, outcome: Outcome, code: int, *words: str, secrets: Sequence[str]
) -> None:
    """The exit code, the essential words on the terminal, no traceback, and none of `secrets` in
    what was printed or written: the worker's log and the private ledger's files included."""
    assert outcome.code == code, outcome.output
    for word in words:
        assert word in outcome.output, f"{word!r} is missing in:\n{outcome.output}"
    assert "Traceback" not in outcome.output
    for secret in secrets:
        assert secret not in outcome.output
        for path in installation.folder.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), f"a secret stands in {path}"


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody else can take, and at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def put_old_site(server: FtpServer) -> None:
    live = server.root / "public_html"
    write_tree(live, {"index.html": "old home", "uploads/photo.jpg": "a visitor's"})
    if running_as_root():
        for path in (live, *live.rglob("*")):
            os.chown(path, *file_owner())
