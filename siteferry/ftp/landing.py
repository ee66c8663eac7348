"""The local end of a download: a file beside the target, which takes its name once it is whole."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from siteferry.errors import (
    ConfigurationError,
    PathRefused,
    SiteferryError,
    TargetConflict,
    WorkspaceUnwritable,
)
from siteferry.tree.paths import shown

PART_PREFIX = ".siteferry-"
"""How the names of unfinished downloads begin; the end of one is random, or tells what it is of."""

_HASH_CHUNK_BYTES = 256 * 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_UNUSABLE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY)
_FOR_ALL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Landing:
    """One file being written. As a context manager it removes at its end what did not become whole,
    or keeps it, where it was opened with a key and not spoiled.

    size, digest: bytes so far, and their SHA-256 in hex; of a part that was found, all of it.
    """

    def __init__(self, target: Path, part: Path, file: BinaryIO, *, keep: bool) -> None:
        self._target = target
        self._part = part
        self._file = file
        self._keep = keep
        self._done = False
        self.size = 0
        self._sha256 = hashlib.sha256()

    def __enter__(self) -> Landing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What could not be written is of no use to the next attempt, and no reason of its own.
        with suppress(OSError):
            self._file.close()
        if not self._done and not (self._keep and self.size):
            with suppress(OSError):
                self._part.unlink()

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def write(self, chunk: memoryview) -> None:
        """Raises what `local_error` makes of a failure."""
        try:
            self._file.write(chunk)
        except OSError as error:
            self._keep = False
            raise local_error(self._target, error) from error
        self._sha256.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget what is there."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise local_error(self._target, error) from error
        self._sha256 = hashlib.sha256()
        self.size = 0

    def spoil(self) -> None:
        """What is there is no beginning of the file: never go on from it."""
        self._keep = False

    def finish(self, mtime: int | None) -> int | None:
        """Give the file its time (Unix seconds) and its name, in one step for whoever looks.

        Returns:
            `mtime`, or None where it cannot be kept.

        Raises:
            SiteferryError: see `local_error`; the target is as it was.
        """
        try:
            self._file.flush()
            # Network file systems tell only at a close that the disk is full; the file itself
            # stays open, for its lock lasts until it has its name.
            os.close(os.dup(self._file.fileno()))
            if mtime is not None:
                try:
                    os.utime(self._file.fileno(), (mtime, mtime))
                except (OSError, OverflowError):
                    mtime = None
            self._part.replace(self._target)
        except OSError as error:
            self._keep = False
            raise local_error(self._target, error) from error
        self._done = True
        return mtime

    def read_part(self) -> None:
        """Take up what an earlier attempt has left."""
        try:
            while chunk := self._file.read(_HASH_CHUNK_BYTES):
                self._sha256.update(chunk)
                self.size += len(chunk)
        except OSError as error:
            raise local_error(self._target, error) from error


def open_landing(target: Path, key: str | None) -> Landing:
    """Open a file for writing beside `target`, in a directory that is there.

    Args:
        key: None, or what the unfinished file is called by: one that an earlier attempt has left
            under the same key is taken up, unless that attempt still writes.

    Raises:
        SiteferryError: see `local_error`.
    """
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(target.lstat().st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if key and (landing := _take_up(target, target.with_name(f"{PART_PREFIX}{key}"))):
            return landing
        part = target.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}")
        file = os.fdopen(os.open(part, _FLAGS | os.O_EXCL, 0o666), "w+b")
    except (OSError, ValueError) as error:
        raise local_error(target, error) from error
    return Landing(target, part, file, keep=False)


def _take_up(target: Path, part: Path) -> Landing | None:
    """None while another attempt writes it, or has just finished it."""
    file = os.fdopen(os.open(part, _FLAGS, 0o666), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), part.lstat()):
            landing = Landing(target, part, file, keep=True)
            landing.read_part()
            return landing
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def local_error(path: Path, error: OSError | ValueError) -> SiteferryError:
    """What it means that `path` cannot be written: PathRefused for a name that this system cannot
    have, TargetConflict for a directory in its place or a file where one must be,
    ConfigurationError for what no other file can do better (a full disk), else
    WorkspaceUnwritable."""
    name = shown(str(path))
    number = error.errno if isinstance(error, OSError) else errno.EINVAL
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if number in _UNUSABLE_NAME:
        return PathRefused(f"{name} cannot be a file here: {reason}")
    if number in _IN_THE_WAY:
        return TargetConflict(
            f"{name} cannot be written, something else stands there: {reason}",
            next_step="Move it away, then run the export again.",
        )
    if number in _FOR_ALL:
        return ConfigurationError(
            f"{name} cannot be written: {reason}",
            next_step="Make room in the workspace, then run the export again.",
        )
    return WorkspaceUnwritable(
        f"{name} cannot be written: {reason}",
        next_step="Make its directory writable for the user that the worker runs as.",
    )
