"""The SQLite file of the content hashes: its owner's alone, and begun anew where it is damaged.

A new file has a new name, with the next number, and no name is used twice: SQLite goes by names
when it opens a file's log and when its last user removes it, so that a process that still has the
damaged file would take away the log of the new one. A process finds out which file is the newest,
opens it and makes the next one only while it holds a lock on a file beside them (never removed: a
lock is on the inode).

The file is never opened but by SQLite once it is there: closing any descriptor of a file drops all
of this process's POSIX locks on it, SQLite's as well (https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VERSION = 1
"""Of the schema; a file with another one counts as damaged."""

_APPLICATION = 0x53464843
"""SQLite's application_id: tells our file from other databases ("SFHC")."""

_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.005

_TABLES = """
CREATE TABLE digest (
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    used_day INTEGER NOT NULL,  -- days since 1970, a week behind at most
    PRIMARY KEY (device, inode)
) WITHOUT ROWID;
CREATE INDEX digest_used ON digest (used_day);
CREATE TABLE tidied (day INTEGER NOT NULL);
INSERT INTO tidied VALUES (0);
"""


def is_damage(error: Exception) -> bool:
    """Whether a new file would help, which it does not for a full disk or a lack of rights."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, for use by any thread that holds the caller's lock; make it if need be.

    Raises:
        sqlite3.Error, OSError: it cannot be used; see `is_damage`.
    """
    _make_private(path)
    connection = sqlite3.connect(
        path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
    )
    # A damaged page may hold a text where a hash was: it must not fail for what is no UTF-8.
    connection.text_factory = bytes
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def newest(folder: Path) -> Path:
    """The file that is in use, or will be the first. Needs the lock."""
    numbers = (_number_of(path) for path in folder.glob(_name("*")))
    return folder / _name(str(max(numbers, default=0) or 1))


def begin_anew(damaged: Path) -> Path:
    """Make the next file. `damaged` stays for whoever wants to look at it, until the next damage;
    what is older is removed. Needs the lock."""
    number = _number_of(damaged)
    path = damaged.with_name(_name(str(number + 1)))
    _make_private(path)
    for old in damaged.parent.glob(_name("*") + "*"):
        if 0 < _number_of(old) < number:
            old.unlink(missing_ok=True)
    return path


def _name(number: str) -> str:
    return f"hashes-{number}.sqlite3"


def _number_of(path: Path) -> int:
    """0 where somebody else's file has such a name."""
    number = path.name.removeprefix("hashes-").partition(".")[0]
    return int(number) if number.isdecimal() else 0


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock in `folder`, which is made where it is missing.

    Raises:
        OSError: it cannot be had, or others have held it for seconds.
    """
    _require_own_folder(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder / "hashes.lock", flags, 0o600)
    try:
        _take(descriptor)
        yield
    finally:
        # Before closing: a child that was forked meanwhile has this lock, too.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection) -> None:
    version = _number(connection, "PRAGMA user_version")
    application = _number(connection, "PRAGMA application_id")
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    connection.execute("PRAGMA journal_mode = WAL")
    # A power failure may lose the last digests, never spoil the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    if (version, application, tables) == (0, 0, 0):
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES}"
            f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
    elif (version, application) != (VERSION, _APPLICATION):
        foreign = sqlite3.DatabaseError(
            f"it has version {version}, not {VERSION}, or is another program's"
        )
        foreign.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise foreign


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])


def _make_private(path: Path) -> None:
    """Make an empty file, mode 0600: SQLite gives its log files the same mode."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
        return
    if not stat.S_ISREG(status.st_mode):
        raise FileExistsError(f"{path} is not a file")
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        path.chmod(0o600)


def _require_own_folder(folder: Path) -> None:
    """Who can write there could tell us that a changed file is the one that was published."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(0o700, exist_ok=True)  # another process may be making it, too
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        raise PermissionError(f"{folder} can be written by other users")


def _take(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError("another process has been opening it for too long") from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return
