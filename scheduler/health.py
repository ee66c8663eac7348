"""What a scheduler writes for `siteferry-probe`: whether it is alive, and ready.

A Redis that is away is waited for, and a new start would only wait as well: that is not ready. Not
alive is a loop that hangs although nothing that it does may take so long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from siteferry.health.record import Health

HUNG_SECONDS = 300.0
"""Without a sign of life; each call to Redis is given up within a minute."""


@dataclass(slots=True)
class Pulse:
    """How far the loop of turns has come. clock: seconds that never go back."""

    clock: Callable[[], float] = time.monotonic
    _moved_at: float = field(init=False)
    _silent_since: float | None = field(init=False)
    _has_answered: bool = False
    _waits: bool = False
    _fails: bool = False
    _hindrance: str = ""

    def __post_init__(self) -> None:
        self._moved_at = self._silent_since = self.clock()

    def moved(self) -> None:
        """The loop moves."""
        self._moved_at = self.clock()
        self._waits = False

    def waits(self) -> None:
        """From now on the loop may wait for Redis, however long that takes."""
        self._waits = True

    def turned(self, answered: bool, hindrance: str = "") -> None:
        """A turn is over. `answered`: whether Redis has; `hindrance`: why it started nothing."""
        self.moved()
        self._fails, self._hindrance = False, hindrance
        if answered:
            self._silent_since, self._has_answered = None, True
        elif self._silent_since is None:
            self._silent_since = self._moved_at

    def failed(self) -> None:
        """A turn has ended with an error that nobody expects."""
        self.moved()
        self._fails = True

    def look(self) -> Health:
        """To be called at any time, by any thread."""
        now, since = self.clock(), self._silent_since
        still = now - self._moved_at
        alive = ready = None
        if still > HUNG_SECONDS and not self._waits:
            alive = f"the turns have stood still for {still:.0f} s"
        if since is not None and not self._has_answered:
            ready = "Redis has not answered yet"
        elif since is not None:
            ready = f"Redis has not answered for {now - since:.0f} s"
        elif self._fails:
            ready = "its last turn has failed; its log has more"
        elif self._hindrance:
            ready = self._hindrance
        return Health(alive, ready)
