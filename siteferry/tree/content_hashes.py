"""Where the SHA-256 of local files comes from, and what tells that a file is the one it was.

What is known is known of an open file, not of a path: device, inode, size, and the times of its
last change (mtime) and of the last change to its inode (ctime), in nanoseconds, as fstat gives them
before the first byte is read. A file that was replaced by a rename has another inode. One that was
written has another ctime, which no tool can set back as it can the mtime.

A file system keeps times with a grain: milliseconds where they are taken from the kernel's tick,
two seconds on FAT. What is written within the same grain after we have read leaves the times as
they are, and the file would pass for the old one for ever. Git calls such an entry of its index
racily clean. So a file whose mtime or ctime is younger than `SETTLED_SECONDS` (or in the future)
when it is read is hashed and not kept; the next scan reads it once more.

One thing stays unseen: a program that writes through a shared memory map, for the kernel sets the
times at the first write to a page, and not again until that page is on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.found import FoundFile
from siteferry.tree.reading import Digest, hash_file

Key: TypeAlias = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, mtime and ctime in nanoseconds since 1970 UTC."""

Result: TypeAlias = Digest | SourceUnreadable | SourceChanged
"""Of one file among many: what cannot be read is given, not raised."""

SETTLED_SECONDS = 2.5
"""The grain of FAT, and something for the kernel's clock of files, which is a tick behind."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What an open file was before its first byte was read; `settled`: its times were old enough
    to tell whatever is written to it from then on."""

    key: Key
    settled: bool

    @classmethod
    def of(cls, opened: os.stat_result, looked_ns: int) -> FileState:
        """
        Args:
            opened: fstat of the descriptor that is read from.
            looked_ns: what `time.time_ns()` was before that fstat.
        """
        changed, inode_changed = opened.st_mtime_ns, opened.st_ctime_ns
        return cls(
            (opened.st_dev, opened.st_ino, opened.st_size, changed, inode_changed),
            looked_ns - max(changed, inode_changed) > SETTLED_SECONDS * 1_000_000_000,
        )

    def digest(self, sha256: bytes) -> Digest:
        """The same as `SourceReader.finish` gives, from a hash that is known."""
        return Digest(self.key[2], sha256.hex(), self.key[3] // 1_000_000_000)


class ContentHashes(Protocol):
    """Where a comparison gets the digests of local files from; a context manager that closes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def digest(self, found: FoundFile) -> Digest:
        """Raises SourceUnreadable and SourceChanged, as `hash_file` does."""

    def digests(self, found_files: Sequence[FoundFile]) -> Iterator[Result]:
        """One result for each file, in their order, each as soon as it is there."""

    def remember(self, state: FileState, digest: Digest) -> None:
        """Keep what was read anyhow, where `state` allows it."""

    def close(self) -> None:
        """Write what is not yet written."""


class NoCache:
    """Reads every file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def digest(self, found: FoundFile) -> Digest:
        return hash_file(found)

    def digests(self, found_files: Sequence[FoundFile]) -> Iterator[Result]:
        return map(_hash_or_error, found_files)

    def remember(self, state: FileState, digest: Digest) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """There is nothing to write."""


def _hash_or_error(found: FoundFile) -> Result:
    try:
        return hash_file(found)
    except (SourceUnreadable, SourceChanged) as error:
        return error
