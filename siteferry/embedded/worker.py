"""A worker process kept alive beside one command, and gone with it."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from siteferry.embedded.log_tail import last_lines
from siteferry.errors import NoWorker

PARENT_PIPE = "SITEFERRY_PARENT_PIPE"
"""Environment variable with the number of the file descriptor that ends with the command."""

_RESTARTS = 5
_RESTARTS_WITHIN_SECONDS = 60.0

_log = logging.getLogger(__name__)


class EmbeddedWorker:
    """Supervises one worker process.

    `argv`, `env`: its command line and its whole environment, to which `PARENT_PIPE` is added.
    `log_path`: what it prints is appended there; None lets it print to the command's stderr.
    `grace_seconds`: how long it may take to end after SIGTERM.
    `clock`: gives seconds, for the limit of five restarts a minute.

    It runs in a session of its own, so that the terminal's Ctrl-C reaches the command only. It
    holds the read end of a pipe whose other end is the command's alone: when the command dies in
    whatever way, the worker reads the end of it (`watch_parent`), on any system.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path | None,
        grace_seconds: float = 10.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._argv = list(argv)
        self._env = dict(env)
        self._log_path = log_path
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: tuple[int, int] | None = None
        self._restarted: deque[float] = deque(maxlen=_RESTARTS)
        self._last_exit: str | None = None

    @property
    def pid(self) -> int | None:
        """Of the present process; None before `start` and after `stop`."""
        return self._process.pid if self._process is not None else None

    @property
    def last_exit(self) -> str | None:
        """How the last one ended: `exit status 1`, `killed by SIGKILL`; None if none has."""
        return self._last_exit

    def start(self) -> None:
        """Start the worker. Raises NoWorker where it cannot be started."""
        if self._process is not None:
            raise RuntimeError("the worker was started before")
        self._pipe = os.pipe()
        try:
            self._spawn()
        except BaseException:
            self._close_pipe()
            raise

    def check(self) -> None:
        """Start the worker again if it has died; to be called regularly by the command.

        Raises NoWorker when it would be the sixth start over within a minute.
        """
        process = self._running()
        status = process.poll()
        if status is None:
            return
        self._last_exit = _described(status)
        now = self._clock()
        full = len(self._restarted) == _RESTARTS
        if full and now - self._restarted[0] < _RESTARTS_WITHIN_SECONDS:
            raise NoWorker(
                f"the worker has died {_RESTARTS + 1} times within a minute ({self._last_exit})"
                f"{self._last_words()}",
                next_step=self._where_to_look(),
            )
        self._restarted.append(now)
        _log.warning("the worker %d has died (%s); starting it again", process.pid, self._last_exit)
        self._spawn()

    def stop(self, *, at_once: bool = False) -> None:
        """End the worker: SIGTERM, and SIGKILL after the grace; `at_once` SIGKILL only.

        An interrupt while it waits kills the worker as well. Not started: nothing happens.
        """
        if self._process is None:
            return
        process = self._process
        try:
            if not at_once:
                process.terminate()
                process.wait(self._grace_seconds)
        except subprocess.TimeoutExpired:
            _log.warning("the worker %d has not ended in %g s", process.pid, self._grace_seconds)
        finally:
            process.kill()  # nothing happens if it has ended
            self._last_exit = _described(process.wait())
            self._process = None
            self._close_pipe()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("start the worker first")
        return self._process

    def _spawn(self) -> None:
        if self._pipe is None:
            raise RuntimeError("start the worker first")
        read_end = self._pipe[0]
        try:
            output = self._open_log()
            try:
                self._process = subprocess.Popen(
                    self._argv,
                    env={**self._env, PARENT_PIPE: str(read_end)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(read_end,),
                    start_new_session=True,
                )
            finally:
                if self._log_path is not None:
                    os.close(output)
        except OSError as error:
            raise NoWorker(
                f"the worker {self._argv[0]} cannot be started: {error}",
                next_step="See that siteferry is installed whole and its state directory writable.",
            ) from error

    def _open_log(self) -> int:
        if self._log_path is None:
            return 2  # the command's stderr; its stdout may carry JSON
        return os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _last_words(self) -> str:
        lines = last_lines(self._log_path) if self._log_path is not None else []
        return f": {' | '.join(lines)}" if lines else ""

    def _where_to_look(self) -> str:
        return f"See {self._log_path}." if self._log_path is not None else "See its output above."

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None


def watch_parent(fd: int, on_gone: Callable[[], None]) -> None:
    """In a daemon thread, wait for the end of the command that started this process.

    `fd`: the pipe named by `PARENT_PIPE`; it is owned from now on. `on_gone` is called once, in
    that thread. Raises ValueError if `fd` is no pipe.
    """
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError as error:
        raise ValueError(f"file descriptor {fd} ({PARENT_PIPE}) is not open") from error
    if not is_pipe:
        raise ValueError(f"file descriptor {fd} ({PARENT_PIPE}) is not a pipe")
    os.set_inheritable(fd, False)

    def wait() -> None:
        while os.read(fd, 1):
            pass
        os.close(fd)
        on_gone()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def _described(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-status}"
