"""One private server for all commands of a user: joined by file lock, ended by the last one out.

Three locks, all of them gone with the process that holds them:

- the *door*, exclusive, held while joining or leaving, so these never overlap;
- the *lock*, shared, held by each command as long as it uses the server; who, leaving, can widen it
  to an exclusive one is the last one out;
- *alive*, exclusive, inherited by the server process and held by nobody else, so that a server
  which still loads, still stops or has lost its socket is never taken for absent: two servers on
  one append-only file would ruin it.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from siteferry.embedded import wire
from siteferry.embedded.binary import find_server_binary
from siteferry.embedded.launch import Launched, launch, raise_if_ended
from siteferry.embedded.locks import (
    exclusively,
    open_lock,
    pauses,
    release,
    take_shared,
    try_exclusive,
)
from siteferry.embedded.paths import (
    ServerPaths,
    choose_socket,
    private_directory,
    record_socket,
    recorded_socket,
)
from siteferry.errors import ConfigurationError, LedgerUnreachable

_ANSWER_SECONDS = 10.0
_LOADING_SECONDS = 120.0
_PING_SECONDS = 1.0

_log = logging.getLogger(__name__)


class EmbeddedServer:
    """`with EmbeddedServer(state_dir) as server:` joins the server, starting it where none runs.

    `state_dir` and all that lies in it belong to the user alone (mode 0700).
    `binary`: the server program; found by `find_server_binary` where it is not given.
    `answer_seconds`: how long to wait for a server that does not answer; one that says it is
    loading its data is given two minutes.

    Entering raises LedgerUnreachable where no server can be had, ConfigurationError where the
    directory is not private. Leaving raises nothing: what goes wrong there is logged.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        binary: Path | None = None,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self._paths = ServerPaths.of(state_dir)
        self._binary = binary
        self._answer_seconds = answer_seconds
        self._lock_fd: int | None = None
        self._socket: Path | None = None
        self._launched: Launched | None = None

    @property
    def socket_path(self) -> Path:
        """The server's socket; at most 100 bytes long, with no character that a URL must quote."""
        if self._socket is None:
            raise RuntimeError("enter the EmbeddedServer first")
        return self._socket

    @property
    def url(self) -> str:
        """`unix:///…/redis.sock?db=0`, as redis-py takes it."""
        return f"unix://{self.socket_path}?db=0"

    @property
    def started_here(self) -> bool:
        """Whether this object started the server, not another command."""
        return self._launched is not None

    def __enter__(self) -> Self:
        private_directory(self._paths.state)
        private_directory(self._paths.data)
        with _as_unreachable(self._paths.state), self._door(_LOADING_SECONDS):
            self._lock_fd = open_lock(self._paths.lock)
            try:
                # At once, for an exclusive holder would stand in the door.
                take_shared(self._lock_fd, self._paths.lock, within_seconds=self._answer_seconds)
                self._bring_up()
            except BaseException:
                release(self._lock_fd)
                self._lock_fd = None
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock_fd is None:
            return
        try:
            with self._door(self._answer_seconds):
                if try_exclusive(self._lock_fd):
                    self._end_server()
        except (LedgerUnreachable, OSError) as problem:
            _log.warning("the private server may be left running: %s", problem)
        finally:
            release(self._lock_fd)
            self._lock_fd = None
            if self._launched is not None:
                self._launched.exit_status()  # reaps it, if it has ended

    def check(self) -> None:
        """To be called now and then while a command lasts: starts the server again if it has died.

        The URL stays the same. Raises as entering does.
        """
        if wire.ping(self.socket_path, timeout_seconds=_PING_SECONDS) == "+PONG":
            return
        _log.warning("the private server does not answer; looking after it")
        with _as_unreachable(self._paths.state), self._door(_LOADING_SECONDS):
            self._bring_up()

    def _bring_up(self) -> None:
        """See to it that a server answers; start at most one. The caller stands in the door."""
        launched: Launched | None = None
        begin = time.monotonic()
        try:
            for pause in pauses():
                if launched is None:
                    launched = self._launch_if_none_runs()
                else:
                    raise_if_ended(self._paths, launched)
                self._socket = recorded_socket(self._paths)
                if self._answers(time.monotonic() - begin):
                    return
                time.sleep(pause)
        except BaseException:
            if launched is not None and launched.exit_status() is None:
                # Nobody has joined it: that takes the door. What it wrote is in its file.
                os.kill(launched.pid, signal.SIGKILL)
                os.waitpid(launched.pid, 0)
            raise
        finally:
            self._launched = launched or self._launched

    def _launch_if_none_runs(self) -> Launched | None:
        alive_fd = open_lock(self._paths.alive)
        try:
            if not try_exclusive(alive_fd):
                return None
            binary = self._binary or find_server_binary(copy_into=self._paths.state)
            socket = self._socket_to_start_with()
            record_socket(self._paths, socket)
            launched = launch(binary, self._paths, socket, alive_fd)
            _log.info("started the private server %s, process %d", binary, launched.pid)
            return launched
        finally:
            os.close(alive_fd)  # closed, not unlocked: the server shares the lock

    def _socket_to_start_with(self) -> Path:
        # Others may hold the URL of a server that has died: the same path again if it can be.
        before = self._socket or recorded_socket(self._paths)
        if before is not None and before.parent.parent.is_dir():
            try:
                private_directory(before.parent)
            except ConfigurationError:
                _log.warning("%s cannot be used any more", before)
            else:
                return before
        socket = choose_socket(self._paths.state, os.environ)
        private_directory(socket.parent)
        return socket

    def _answers(self, waited_seconds: float) -> bool:
        """True for a PONG, False if it may still come; raises LedgerUnreachable if it will not."""
        reply = None
        if self._socket is not None and os.path.lexists(self._socket.parent):
            private_directory(self._socket.parent)  # in /tmp another user could have put one there
            reply = wire.ping(
                self._socket, timeout_seconds=min(_PING_SECONDS, self._answer_seconds)
            )
        if reply == "+PONG":
            return True
        if reply is not None and reply.startswith("-LOADING"):
            patience = max(_LOADING_SECONDS, self._answer_seconds)
        elif reply is None or reply.startswith("-BUSY"):
            patience = self._answer_seconds
        else:  # such as MISCONF, when the disk is full
            patience = 0.0
        if waited_seconds < patience:
            return False
        raise LedgerUnreachable(
            f"the private server ({self._process()}) does not answer at {self._socket}",
            reply=reply,
            next_step=f"See {self._paths.log}; if the process hangs, end it. Where machines share"
            " the state directory, set SITEFERRY_REDIS_URL to a Redis that all of them reach.",
        )

    def _end_server(self) -> None:
        """End the server, if one runs. The caller stands in the door and is the last one out."""
        begin = time.monotonic()
        refusal: str | None = None
        alive_fd = open_lock(self._paths.alive)
        try:
            for pause in pauses():
                if try_exclusive(alive_fd):
                    self._remove_socket()
                    return
                waited = time.monotonic() - begin
                if waited > self._answer_seconds:
                    raise LedgerUnreachable(f"it does not end ({self._process()})", reply=refusal)
                refusal = wire.shut_down(self.socket_path, timeout_seconds=_PING_SECONDS) or refusal
                time.sleep(pause)
        finally:
            release(alive_fd)

    def _remove_socket(self) -> None:
        self.socket_path.unlink(missing_ok=True)  # there only if the server was killed
        directory = self.socket_path.parent
        if directory != self._paths.state:
            with suppress(FileNotFoundError):
                directory.rmdir()

    def _door(self, within_seconds: float) -> AbstractContextManager[None]:
        return exclusively(self._paths.door, within_seconds=within_seconds)

    def _process(self) -> str:
        try:
            return f"process {int(self._paths.pid.read_text(encoding='ascii'))}"
        except (FileNotFoundError, ValueError):
            return "process unknown"


@contextmanager
def _as_unreachable(state: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerUnreachable(
            f"the private server cannot use {state}: {error}",
            next_step="Look at the disk and the permissions there, or set SITEFERRY_REDIS_URL to a"
            " Redis of your own.",
        ) from error
