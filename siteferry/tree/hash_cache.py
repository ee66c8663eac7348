"""Content hashes of local files that were read before, so that unchanged ones are not read again.

Every look opens the file. A stat would do on a local disk, but NFS answers it from attributes that
may be a minute old, and asks the server only at open (close-to-open consistency, nfs(5)).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.content_hashes import FileState, Key, Result
from siteferry.tree.found import FoundFile
from siteferry.tree.hash_store import HashStore
from siteferry.tree.reading import Digest, open_source

_BATCH_FILES = 256
"""Looked up, and written, in one transaction."""
_HASH_CHUNK_BYTES = 256 * 1024


class HashCache:
    """Digests kept in a folder, for any number of threads and processes of one user.

    Nothing that happens to the folder makes a call fail; without it, files are read.
    """

    def __init__(self, store: HashStore, now_ns: Callable[[], int]) -> None:
        self._store = store
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._pending: list[tuple[Key, bytes]] = []

    @classmethod
    def open(cls, folder: Path, now_ns: Callable[[], int] = time.time_ns) -> HashCache:
        """Use the cache in `folder`, which is made where it is missing.

        Args:
            folder: on a local disk: SQLite's log of changes needs memory that is shared by all who
                use the file.
            now_ns: nanoseconds since 1970 UTC.
        """
        return cls(HashStore(folder, now_ns), now_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is not yet written. Files are read from then on."""
        self._write_pending()
        self._store.close()

    def digest(self, found: FoundFile) -> Digest:
        """Give a file's digest, from the file itself only where it is not known.

        Raises:
            SourceUnreadable, SourceChanged: as for `hash_file`.
        """
        (result,) = self.digests([found])
        if isinstance(result, Digest):
            return result
        raise result

    def digests(self, found_files: Sequence[FoundFile]) -> Iterator[Result]:
        """As `digest` for many files, such as those of a directory: less than half the time for
        each, and memory for a few hundred at a time. A file's error is given in its place."""
        self._write_pending()
        remaining = iter(found_files)
        while batch := list(islice(remaining, _BATCH_FILES)):
            yield from self._batch(batch)

    def remember(self, state: FileState, digest: Digest) -> None:
        """Keep a digest of content that was read anyhow; a crash may lose the last few hundred.

        Args:
            state: of the descriptor that was read from, before the first byte; what the path
                names afterwards may be another file.
        """
        if not state.settled or digest.size != state.key[2]:
            return
        with self._lock:
            self._pending.append((state.key, bytes.fromhex(digest.sha256)))
            enough = len(self._pending) >= _BATCH_FILES
        if enough:
            self._write_pending()

    def _write_pending(self) -> None:
        with self._lock:
            rows, self._pending = self._pending, []
        self._store.put(rows)

    def _batch(self, batch: Sequence[FoundFile]) -> Iterator[Result]:
        now_ns = self._now_ns()
        states = [_look(found, now_ns) for found in batch]
        known = self._store.find([state.key for state in states if state])
        for found, state in zip(batch, states, strict=True):
            sha256 = known.get(state.key) if state else None
            yield state.digest(sha256) if state and sha256 else self._read_or_error(found)
        self._write_pending()

    def _read_or_error(self, found: FoundFile) -> Result:
        try:
            return self._read(found)
        except (SourceUnreadable, SourceChanged) as error:
            return error

    def _read(self, found: FoundFile) -> Digest:
        """Read a file for its digest, and keep it."""
        looked_ns = self._now_ns()
        with open_source(found) as reader:
            for _ in reader.read_chunks(_HASH_CHUNK_BYTES):
                pass
            digest = reader.finish()
        self.remember(FileState.of(reader.opened, looked_ns), digest)
        return digest


def _look(found: FoundFile, looked_ns: int) -> FileState | None:
    """None where there is no file to be read; reading it tells why."""
    try:
        with open_source(found) as reader:
            return FileState.of(reader.opened, looked_ns)
    except (SourceUnreadable, SourceChanged):
        return None
