"""Worker processes of one machine, one after the other: who starts knows which have died.

Each holds a file `worker-LEDGER-N.lock` in a folder of the state directory, the first that is free
(N = 0, 1, ...), and writes its node's name into it. The kernel drops the lock with the process,
however that ended; so a name in a file that can be locked is a dead worker's. LEDGER stands for
Redis and prefix, since workers of one machine may serve two of them. Lock files are never removed:
a lock is on the inode.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from siteferry.embedded.locks import open_lock, release, try_exclusive
from siteferry.embedded.paths import private_directory
from siteferry.errors import ConfigurationError, LedgerUnreachable
from siteferry.log import get_logger

_NAME = re.compile(r"[!-~]{1,300}")
_MOST_BYTES = 400

_log = get_logger(__name__)


def begin_life(folder: Path, ledger: str, node: str, bury: Callable[[str], None]) -> int | None:
    """Take a lock file for this process, and bury what has died.

    Without a folder that can be written this is logged, and nothing happens: the sweeper hands back
    later what dead workers held.

    Args:
        folder: made where it is missing; closed to other users, and of this machine alone.
        ledger: names Redis and prefix.
        bury: called with each dead node; may raise LedgerUnreachable, for the sweeper does it, too.

    Returns:
        The descriptor that holds the lock, to be kept open; None where there is none.
    """
    try:
        private_directory(folder)
        return _begin(folder, hashlib.sha256(ledger.encode()).hexdigest()[:8], node, bury)
    except (OSError, ConfigurationError) as error:
        _log.warning(
            "no lock file: what this worker may leave waits for the sweeper", error=str(error)
        )
        return None


def end_life(lock: int | None) -> None:
    """The process has given back all that it held: there will be nobody to bury.

    Args:
        lock: what `begin_life` returned; it stays held.
    """
    if lock is None:
        return
    try:
        _write(lock, "")
    except OSError as error:
        _log.warning("who starts next will bury this worker", error=str(error))


def _begin(folder: Path, digest: str, node: str, bury: Callable[[str], None]) -> int:
    own: int | None = None
    number = 0
    while True:
        path = folder / f"worker-{digest}-{number}.lock"
        if own is not None and not path.exists():
            return own
        number += 1
        fd = open_lock(path)
        if not try_exclusive(fd):
            os.close(fd)
            continue
        buried = _bury_last(fd, bury)
        if own is None:
            own = fd
            _write(fd, node)
            continue
        if buried:
            _write(fd, "")
        release(fd)


def _bury_last(fd: int, bury: Callable[[str], None]) -> bool:
    """Bury the node whose name is in the file, if there is one. False: it must be tried again."""
    last = os.pread(fd, _MOST_BYTES, 0).decode("ascii", "replace").strip()
    if not _NAME.fullmatch(last):
        return True
    try:
        bury(last)
    except LedgerUnreachable as error:
        _log.warning("what an earlier worker held waits for the sweeper", error=str(error))
        return False
    return True


def _write(fd: int, text: str) -> None:
    content = f"{text}\n".encode()
    # One short write of a whole line, then the rest of the last one is cut off.
    os.pwrite(fd, content, 0)
    os.ftruncate(fd, len(content))
