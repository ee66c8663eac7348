"""The contract of all clients: each sends the same tree into an empty directory of one server."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.outcome import MeasurementFailed, Run, Status
from tests.servers.base import FtpServer

REMOTE = "public_html"
CONNECTIONS = 8

# What is said where a server wants data connections to resume the control connection's TLS session
# and a client does not: by vsftpd, by ProFTPD, and by rclone of what vsftpd did.
_REFUSED = re.compile(r"522 |425 Unable to build|tls: illegal parameter")
_NOTE_CHARACTERS = 300
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent where.

    server: a view with an empty directory of its own (`FtpServer.fresh`). tree: the local folder.
    folder: an empty one in which a client finds no settings of the user's. limit_seconds: after so
    long a run is ended.
    """

    server: FtpServer
    tree: Path
    folder: Path
    limit_seconds: float

    @property
    def remote_dir(self) -> str:
        return f"{self.server.remote_root.rstrip('/')}/{REMOTE}"

    @property
    def local_dir(self) -> Path:
        """`remote_dir` as we see it."""
        return self.server.root / REMOTE


class Client(Protocol):
    """One client. `ours`: an error of it ends the measurement; a peer's is only written down."""

    name: str
    ours: bool

    def missing(self) -> str | None:
        """Why it cannot run here; None where it can."""

    def run(self, job: Job) -> Run:
        """Send the tree, and measure."""

    def landing(self, job: Job) -> Path:
        """Where the tree stands then, as we see it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: `code` None where it was ended at the limit."""

    code: int | None
    seconds: float
    cpu_seconds: float
    stdout: str
    stderr: str


def run_bounded(
    argv: Sequence[str],
    limit_seconds: float,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
) -> Ended:
    """Run a command to its end, or to the limit; then it is killed with all that it has started."""
    cpu = _cpu_of_children()
    begin = time.monotonic()
    with subprocess.Popen(
        argv,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=cwd,
        start_new_session=True,
        preexec_fn=_end_with_the_parent,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=limit_seconds)
            code: int | None = process.returncode
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            code = None
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
    seconds = time.monotonic() - begin
    return Ended(code, seconds, _cpu_of_children() - cpu, stdout, stderr)


def run_peer(
    argv: Sequence[str],
    job: Job,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
) -> Run:
    """One run of another program than ours."""
    ended = run_bounded(argv, job.limit_seconds, environment=environment, stdin=stdin, cwd=cwd)
    if ended.code is None:
        return Run("over limit", job.limit_seconds)
    if ended.code == 0:
        return Run("done", ended.seconds, {"cpu_seconds": ended.cpu_seconds})
    said = " ".join((ended.stderr or ended.stdout).split())
    status: Status = "refused" if job.server.tls and _REFUSED.search(said) else "failed"
    return Run(status, ended.seconds, note=f"{ended.code}: {said[-_NOTE_CHARACTERS:]}")


def succeeded(ended: Ended, what: str) -> Ended:
    """`ended`, if all is well; for our own programs.

    Raises:
        MeasurementFailed: it ended with an error, or not in time.
    """
    if ended.code is None:
        raise MeasurementFailed(f"{what} was not done after {ended.seconds:.0f} s")
    if ended.code:
        raise MeasurementFailed(
            f"{what} ended with {ended.code}: {(ended.stdout + ended.stderr)[-2000:]}"
        )
    return ended


def _end_with_the_parent() -> None:
    """If the measurement is killed, its client is not to go on (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
