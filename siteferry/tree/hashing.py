"""SHA-256 of what is read, and for long files beside the reading instead of in its way."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_MOST_PENDING = 2


class HashBeside:
    """Hashes chunks in a thread of its own while the caller sends them: both leave the
    interpreter's lock alone meanwhile. At most three chunks are held at a time."""

    def __init__(self, begun: hashlib._Hash) -> None:
        self._sha256 = begun
        self._pending: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="siteferry-hash")

    def update(self, chunk: bytes) -> None:
        """Have `chunk` hashed behind those before it."""
        if len(self._pending) >= _MOST_PENDING:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._sha256.update, chunk))

    def so_far(self) -> hashlib._Hash:
        """The state behind every chunk that was given; a copy."""
        while self._pending:
            self._pending.popleft().result()
        return self._sha256.copy()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
