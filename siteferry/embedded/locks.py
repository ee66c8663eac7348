"""Locks on files (flock): the kernel drops them when their holder dies, however it died."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siteferry.errors import LedgerUnreachable

_LOWEST_FD = 10
"""Below are 0 to 3, which the server's launch gives a meaning of their own."""


def open_lock(path: Path) -> int:
    """Open the lock file, made where it is missing; nothing is locked yet. Close with os.close."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD)
    finally:
        os.close(fd)


def try_exclusive(fd: int) -> bool:
    """Take or widen to an exclusive lock if nobody else holds any; a shared one may be lost."""
    return _try(fd, fcntl.LOCK_EX)


def take_shared(fd: int, path: Path, *, within_seconds: float) -> None:
    """Take a shared lock on the open file `fd` of `path`. Raises as `exclusively` does."""
    _take(fd, path, fcntl.LOCK_SH, within_seconds)


def release(fd: int) -> None:
    """Drop the lock, also for a forked child that shares this open file, and close."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


@contextmanager
def exclusively(path: Path, *, within_seconds: float) -> Iterator[None]:
    """Hold `path` exclusively for the block.

    Raises LedgerUnreachable if others hold it for longer than `within_seconds`.
    """
    fd = open_lock(path)
    try:
        _take(fd, path, fcntl.LOCK_EX, within_seconds)
        yield
    finally:
        release(fd)


def pauses() -> Iterator[float]:
    """Seconds to wait between looks: 2 ms at first, growing to 20 ms."""
    pause = 0.002
    while True:
        yield pause
        pause = min(pause * 1.5, 0.02)


def _take(fd: int, path: Path, kind: int, within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    for pause in pauses():
        if _try(fd, kind):
            return
        if time.monotonic() > deadline:
            raise LedgerUnreachable(
                f"another command has held {path} for {within_seconds:g} s",
                next_step="See whether a siteferry command hangs, and end it.",
            )
        time.sleep(pause)


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
