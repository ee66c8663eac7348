"""Reads a source file once, hashing what is read, and notices when it changed meanwhile.

A small file costs one open, fstat, read, fstat and close.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.hashing import HashBeside
from siteferry.tree.paths import shown
from siteferry.tree.scan import FoundFile

_HASH_CHUNK_BYTES = 256 * 1024
_LONG_BYTES = 4 * 1024 * 1024
"""From this size on a thread for the hash is worth its start."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: a FIFO that took the file's place must not hold the worker; O_NOFOLLOW: nor may a
link lead it elsewhere, for `FoundFile.local` was resolved when it was found."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What was read: bytes, SHA-256 (hex), and the file's time (Unix seconds, rounded down)."""

    size: int
    sha256: str
    mtime: int


class SourceReader:
    """One reading of one file. Close it, or use it as a context manager."""

    __slots__ = (
        "_beside",
        "_count",
        "_descriptor",
        "_found",
        "_sha256",
        "opened",
        "opened_ns",
    )

    def __init__(
        self, found: FoundFile, descriptor: int, opened: os.stat_result, opened_ns: int
    ) -> None:
        self._found = found
        self._descriptor = descriptor
        self.opened = opened
        """What fstat told of the descriptor before the first byte was read."""
        self.opened_ns = opened_ns
        """What `time.time_ns()` was before that."""
        self._count = 0
        self._sha256 = hashlib.sha256()
        self._beside: HashBeside | None = None

    def __enter__(self) -> SourceReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._state()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    @property
    def size(self) -> int:
        """Bytes that the file had when it was opened."""
        return self.opened.st_size

    @property
    def count(self) -> int:
        """Bytes that have been given, or skipped, so far."""
        return self._count

    def digest_so_far(self) -> str:
        """SHA-256 (hex) of the first `count` bytes."""
        return self._state(keep=True).hexdigest()

    def _state(self, *, keep: bool = False) -> hashlib._Hash:
        """The hash of what was given so far; the thread beside, if there is one, ends unless it is
        to be kept."""
        if self._beside is not None:
            self._sha256 = self._beside.so_far()
            if not keep:
                self._beside.close()
                self._beside = None
        return self._sha256

    def skip(self, offset: int, proof_bytes: int, proof: str) -> bool:
        """Begin at `offset` instead of at the beginning, hashing what is passed over.

        Args:
            offset: at most `proof_bytes`.
            proof_bytes, proof: how many bytes from the beginning, and the SHA-256 (hex) that they
                had when they were sent.

        Returns:
            False when they are other bytes now; the reader then stands at the beginning.

        Raises:
            SourceUnreadable: the system cannot read on.
        """
        for _ in self.read_chunks(_HASH_CHUNK_BYTES, stop=offset):
            pass
        at_offset = self._sha256.copy()
        for _ in self.read_chunks(_HASH_CHUNK_BYTES, stop=proof_bytes):
            pass
        if self._count != proof_bytes or self._sha256.hexdigest() != proof:
            self.rewind()
            return False
        self._count, self._sha256 = offset, at_offset
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        return True

    def rewind(self) -> None:
        """Stand at the beginning again."""
        self._state()
        self._count, self._sha256 = 0, hashlib.sha256()
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def read_chunks(self, chunk_bytes: int, stop: int | None = None) -> Iterator[bytes]:
        """Give the content in pieces of at most `chunk_bytes`; an empty file gives none. With
        `stop` only up to that byte.

        At most one byte more than the size at opening is given, and then `finish` refuses.

        Raises:
            SourceUnreadable: the system cannot read on.
        """
        if stop is None and self._beside is None and self.size - self._count >= _LONG_BYTES:
            self._beside = HashBeside(self._sha256)
        # One byte more than is left: a short read then is the end, without a second read.
        size = self.size
        end = size + 1 if stop is None else min(stop, size)
        while self._count < end:
            wanted = min(chunk_bytes, end - self._count)
            try:
                chunk = os.read(self._descriptor, wanted)
            except OSError as error:
                raise _unreadable(self._found, error) from error
            if not chunk:
                return
            if self._beside is not None:
                self._beside.update(chunk)
            else:
                self._sha256.update(chunk)
            self._count += len(chunk)
            yield chunk
            if self._count == size and len(chunk) < wanted:
                return

    def finish(self) -> Digest:
        """Tell what was read, once `read_chunks` has come to its end.

        Raises:
            SourceChanged: what was read may be a mixture, or is no longer what the path names.
        """
        opened = self.opened
        try:
            now = os.fstat(self._descriptor)
        except OSError as error:
            raise _unreadable(self._found, error) from error
        if (
            self._count != opened.st_size
            or now.st_size != opened.st_size
            or now.st_mtime_ns != opened.st_mtime_ns
        ):
            raise _changed(self._found, "changed while it was read")
        # Replacing, moving and removing a file touch its inode (so do chmod and a new hard link):
        # only then is a look at the path worth its price.
        touched = (now.st_ctime_ns, now.st_nlink) != (opened.st_ctime_ns, opened.st_nlink)
        if touched and not self._is_still_named():
            raise _changed(self._found, "was replaced or removed while it was read")
        return Digest(self._count, self._state().hexdigest(), now.st_mtime_ns // 1_000_000_000)

    def _is_still_named(self) -> bool:
        try:
            named = os.lstat(self._found.local)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (self.opened.st_dev, self.opened.st_ino)


def open_source(found: FoundFile) -> SourceReader:
    """Open a found file for one reading.

    Raises:
        SourceUnreadable: the system does not give it.
        SourceChanged: a link or something else that is no file has taken its place.
    """
    opened_ns = time.time_ns()
    try:
        descriptor = os.open(found.local, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _changed(found, "became a symbolic link") from error
        if error.errno == errno.ENXIO:
            raise _changed(found, "is no longer a file") from error
        raise _unreadable(found, error) from error
    try:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode):
            raise _changed(found, "is no longer a file")
    except OSError as error:
        os.close(descriptor)
        raise _unreadable(found, error) from error
    except SourceChanged:
        os.close(descriptor)
        raise
    return SourceReader(found, descriptor, opened, opened_ns)


def hash_file(found: FoundFile) -> Digest:
    """Read a found file to its end for its digest alone.

    Raises:
        SourceUnreadable, SourceChanged: as for `open_source` and `SourceReader`.
    """
    with open_source(found) as reader:
        for _ in reader.read_chunks(_HASH_CHUNK_BYTES):
            pass
        return reader.finish()


def _changed(found: FoundFile, what: str) -> SourceChanged:
    return SourceChanged(
        f"{shown(found.path)} {what}",
        next_step="Run the import again when nothing else writes to the source.",
    )


def _unreadable(found: FoundFile, error: OSError) -> SourceUnreadable:
    return SourceUnreadable(
        f"{shown(found.path)} cannot be read: {error.strerror}",
        next_step="Make it readable for the user that the worker runs as, or exclude it.",
    )
