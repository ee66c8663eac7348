"""The rows of known content hashes, and what becomes of a cache that cannot be used: nothing.

Where the file is damaged a new one is begun, once. With any other trouble (no rights, a full disk,
a lock that is not given) the store knows nothing for `REST_SECONDS`, then tries again. Each of the
two is logged the first time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from siteferry.log import get_logger
from siteferry.tree.content_hashes import Key
from siteferry.tree.hash_database import alone, begin_anew, connect, is_damage, newest

REST_SECONDS = 300
KEPT_DAYS = 90
MOST_ROWS = 2_000_000
"""About 200 MB."""

_USED_AGAIN_DAYS = 7
"""A row that is used says so this seldom: else every lookup would be a write."""
_TIDY_ROWS = 100_000
"""New rows after which one process looks whether there are too many."""
_CHUNK_ROWS = 5_000
_MOST_REMOVED_ROWS = 300_000
"""What is left then is for the next time: removal may take a second or two, not a minute."""
_ANY_DAY = 2**62
_SHA256_BYTES = 32
_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS

_FIND = """
SELECT sha256, used_day < ?6 FROM digest
WHERE device = ?1 AND inode = ?2 AND size = ?3 AND mtime_ns = ?4 AND ctime_ns = ?5
"""
_PUT = "INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?, ?, ?, ?)"
_USED = "UPDATE digest SET used_day = ? WHERE device = ? AND inode = ?"
_REMOVE = """
DELETE FROM digest WHERE (device, inode) IN (
    SELECT device, inode FROM digest WHERE used_day < ? ORDER BY used_day LIMIT ?
)
"""

_log = get_logger(__name__)
_T = TypeVar("_T")


class HashStore:
    """SHA-256 by `Key`, one row for each device and inode. For any number of threads; open one in
    each process, for SQLite's connections do not survive a fork."""

    def __init__(self, folder: Path, now_ns: Callable[[], int], most_rows: int = MOST_ROWS) -> None:
        self._folder = folder
        self._now_ns = now_ns
        self._most_rows = most_rows
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: Path | None = None
        self._closed = False
        self._rests_until_ns = 0
        self._untidied = 0
        self._begun_anew = False
        self._warned = False
        self._use(self._tidy_daily, None)

    def close(self) -> None:
        """Know nothing from now on."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def find(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Those of `keys` that are known; a few hundred at a time."""
        return self._use(lambda connection: self._find(connection, keys), {}) if keys else {}

    def put(self, rows: Sequence[tuple[Key, bytes]]) -> None:
        """Keep these, in one transaction."""
        if rows:
            self._use(lambda connection: self._put(connection, rows), None)

    def _find(self, connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, bytes]:
        today = self._today()
        used_before = today - _USED_AGAIN_DAYS
        known = {}
        long_unused = []
        execute = connection.execute
        execute("BEGIN")
        for key in keys:
            try:
                row = execute(_FIND, (*key, used_before)).fetchone()
            except OverflowError:
                row = execute(_FIND, (*_storable(key), used_before)).fetchone()
            # A damaged page may give a value of another type.
            if row and isinstance(row[0], bytes) and len(row[0]) == _SHA256_BYTES:
                known[key] = row[0]
                if row[1]:
                    long_unused.append((today, *_storable(key)[:2]))
        execute("COMMIT")
        if long_unused:
            self._write(connection, _USED, long_unused)
        return known

    def _put(self, connection: sqlite3.Connection, rows: Sequence[tuple[Key, bytes]]) -> None:
        today = self._today()
        self._write(connection, _PUT, [(*_storable(key), sha256, today) for key, sha256 in rows])
        self._untidied += len(rows)
        if self._untidied >= min(_TIDY_ROWS, self._most_rows):
            self._tidy(connection)

    def _write(
        self, connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]
    ) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows)
        connection.execute("COMMIT")

    def _tidy_daily(self, connection: sqlite3.Connection) -> None:
        today = self._today()
        claim = connection.execute("UPDATE tidied SET day = ? WHERE day <> ?", (today, today))
        if claim.rowcount:
            self._tidy(connection)

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Remove what was not used for long, and the longest unused of what is too much."""
        self._untidied = 0
        self._remove(connection, self._today() - KEPT_DAYS, _MOST_REMOVED_ROWS)
        rows = connection.execute("SELECT count(*) FROM digest").fetchone()[0]
        if rows > self._most_rows:
            # A tenth more than what is too much, or there would be something to do every time.
            excess = rows - self._most_rows * 9 // 10
            self._remove(connection, _ANY_DAY, min(excess, _MOST_REMOVED_ROWS))

    def _remove(self, connection: sqlite3.Connection, before_day: int, most: int) -> None:
        """The longest unused first, in chunks, so that others can write in between."""
        removed = _CHUNK_ROWS
        while most > 0 and removed == _CHUNK_ROWS:
            chunk = min(_CHUNK_ROWS, most)
            removed = connection.execute(_REMOVE, (before_day, chunk)).rowcount
            most -= removed

    def _today(self) -> int:
        return self._now_ns() // _DAY_NS

    def _use(self, action: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        with self._lock:
            try:
                connection = self._connected()
                return action(connection) if connection else otherwise
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
                return otherwise
            except BaseException:
                # Interrupted: a transaction must not stay open.
                self._disconnect()
                raise

    def _connected(self) -> sqlite3.Connection | None:
        if self._connection is None and not self._closed and self._now_ns() >= self._rests_until_ns:
            with alone(self._folder):
                self._file = newest(self._folder)
                try:
                    self._connection = connect(self._file)
                except sqlite3.Error as error:
                    if not is_damage(error) or self._begun_anew:
                        raise
                    self._file = self._begin_anew(self._file, error)
                    self._connection = connect(self._file)
        return self._connection

    def _fail(self, error: Exception) -> None:
        """Rest, or, where the file is damaged, see to it that the next use has a new one."""
        self._disconnect()
        if is_damage(error) and not self._begun_anew:
            try:
                with alone(self._folder):
                    # Another process may have been here before.
                    if self._file and self._file == newest(self._folder):
                        self._begin_anew(self._file, error)
                return
            except OSError as second:
                error = second
        self._rests_until_ns = self._now_ns() + REST_SECONDS * _NS
        if not self._warned:
            self._warned = True
            _log.warning(
                "the cache of content hashes cannot be used: files are read instead",
                folder=str(self._folder),
                error=str(error),
            )

    def _begin_anew(self, damaged: Path, error: Exception) -> Path:
        self._begun_anew = True
        path = begin_anew(damaged)
        _log.warning(
            "the cache of content hashes is damaged: a new one is begun",
            damaged=str(damaged),
            new=str(path),
            error=str(error),
        )
        return path

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _storable(key: Key) -> tuple[int, ...]:
    """SQLite's integers end at 2**63: devices and inodes may have the topmost bit set, and some
    file systems have times beyond the year 2262."""
    return tuple((number + 2**63) % 2**64 - 2**63 for number in key)
