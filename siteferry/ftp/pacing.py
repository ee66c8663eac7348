"""Spreads what is sent or received over time, for a bandwidth limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_SLICE_SECONDS = 0.25
_SMALLEST_CHUNK_BYTES = 1024


@dataclass(slots=True)
class Pace:
    """At most `bytes_per_second` on average, and never more than a quarter of a second ahead.

    Args:
        bytes_per_second: None: as fast as it goes.
    """

    bytes_per_second: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _due: float = field(default=0.0)

    def chunk_bytes(self, most_bytes: int) -> int:
        """How much may be moved in one piece."""
        if self.bytes_per_second is None:
            return most_bytes
        slice_bytes = int(self.bytes_per_second * _SLICE_SECONDS)
        return max(min(most_bytes, slice_bytes), _SMALLEST_CHUNK_BYTES)

    def moved(self, count: int) -> None:
        """`count` bytes have been moved: wait until more may be."""
        if self.bytes_per_second is None:
            return
        now = self.clock()
        # What was not used is not saved up beyond one slice.
        self._due = max(self._due, now - _SLICE_SECONDS) + count / self.bytes_per_second
        if self._due > now:
            self.sleep(self._due - now)
