"""A Redis that is away: how long to wait between two looks, and what is said of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from siteferry.log import get_logger

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0

_log = get_logger(__name__)


def pauses(random: Callable[[], float]) -> Iterator[float]:
    """Seconds to wait before each further look: doubled up to two, less up to a fifth, so that the
    workers that lost Redis at one moment do not all come back at one.

    Args:
        random: gives a number from 0 to 1.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause * (1 - random() / 5)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


@dataclass(slots=True)
class Outage:
    """Tells once that Redis is away and once that it is back, whatever number of threads have
    noticed. What is mended within the first pause is not told."""

    clock: Callable[[], float] = time.monotonic
    answered_at: float | None = None
    """When Redis has answered last, to any thread."""
    _since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lasts(self, error: BaseException, patience_seconds: float) -> None:
        """A second look, or a later one, was in vain."""
        with self._lock:
            if self._since is not None:
                return
            self._since = self.clock()
        # JSON has no word for the patience of a worker that starts.
        limit = {} if math.isinf(patience_seconds) else {"at_most_seconds": patience_seconds}
        _log.warning("Redis is away; waiting for it", error=str(error), **limit)

    def over(self) -> None:
        """Redis has answered. Called after each call, so it costs nothing where none was away."""
        self.answered_at = self.clock()
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            _log.warning("Redis is back", after_seconds=round(self.clock() - since, 1))
