"""The clients that are compared. Each sends the same tree into an empty directory of one server."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.installation import Installation
from tests.servers.base import FtpServer

REMOTE = "public_html"
CONNECTIONS = 8


class MeasurementFailed(Exception):
    """A client did not do its work, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Import:
    """One `siteferry import`. `wall_seconds`: the whole command; `run_seconds`: its `seconds`, from
    planning to the end of the publish; `publish_seconds`: in which visitors could see both
    versions, part of `run_seconds`."""

    wall_seconds: float
    run_seconds: float
    publish_seconds: float
    uploaded: int
    skipped: int

    @property
    def overhead_seconds(self) -> float:
        """Starting and stopping: the interpreter, the private Redis, the worker, the report."""
        return self.wall_seconds - self.run_seconds


class Siteferry:
    """The whole command, with no Redis configured: it brings its own server and worker along.

    `folder` is new, so the first import starts with an empty ledger.
    """

    def __init__(self, folder: Path, server: FtpServer, tree: Path) -> None:
        self._installation = Installation(folder)
        source = self._installation.add_site(
            server, remote=REMOTE, ftp={"max_connections": CONNECTIONS}
        )
        source.rmdir()
        source.symlink_to(tree)

    def import_site(self) -> Import:
        """Run `siteferry import`, the first time with all files new, then with none changed.

        Raises:
            MeasurementFailed: not every file arrived.
        """
        begin = time.monotonic()
        result = self._installation.run("import", "example", "--json", "--quiet", timeout=900)
        wall = time.monotonic() - begin
        if result.code:
            raise MeasurementFailed(f"siteferry ended with {result.code}: {result.output[-2000:]}")
        told = result.json
        return Import(
            wall_seconds=wall,
            run_seconds=told["seconds"],
            publish_seconds=told["publish_seconds"] or 0.0,
            uploaded=told["stats"]["uploaded"],
            skipped=told["stats"]["skipped"],
        )


def lftp_mirror(folder: Path, server: FtpServer, tree: Path) -> float:
    """Seconds of the whole command `lftp … mirror -R --parallel=8`, with lftp's own defaults.

    Args:
        folder: a new folder in which lftp finds no settings of the user's.

    Raises:
        MeasurementFailed: lftp is not installed, or ended with an error.
    """
    target = f"{server.remote_root.rstrip('/')}/{REMOTE}"
    script = (
        "set ftp:ssl-allow no; set cmd:fail-exit yes; "
        f'mirror -R --parallel={CONNECTIONS} "{tree}" "{target}"; quit'
    )
    argv = ["lftp", "--env-password", "-u", server.user, "-p", str(server.port), server.host]
    environment = {**os.environ, "LFTP_PASSWORD": server.password, "LFTP_HOME": str(folder)}
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [*argv, "-e", script],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=900,
        )
    except FileNotFoundError as error:
        raise MeasurementFailed("lftp is not installed (Debian: apt install lftp)") from error
    wall = time.monotonic() - begin
    if done.returncode:
        raise MeasurementFailed(f"lftp ended with {done.returncode}: {done.stderr[-2000:]}")
    return wall
