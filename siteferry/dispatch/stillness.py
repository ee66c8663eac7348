"""Items whose thread does not move any more: what only a new start of the process can mend.

A thread that has shown no sign of life for three minutes is past every deadline of its own: it will
not come back, its item is others' already, and its place among the threads is lost. (What hangs so
is mostly a read from a dead mount.) Signs of life come from the server, so one that reads and
hashes a huge file shows none: as long as the thread uses the processor it is believed to work, but
not for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from siteferry.dispatch.work import Work

BUSY_TIMES = 20
"""How many times as long a thread may be silent that uses the processor: an hour."""
_SOON_SECONDS = 1.0
_DEADLINES_TIMES = 4 / 3
"""Of a website with long timeouts, the least silence that counts, in all its timeouts together.
With the default ones it is three minutes as well."""
_USER, _SYSTEM = 11, 12


@dataclass(slots=True)
class Stillness:
    """Looks at the threads that carry items, once a second.

    stalled_seconds: silence after which a thread counts as hung.
    """

    stalled_seconds: float
    clock: Callable[[], float] = time.monotonic
    used: Callable[[int], str | None] = field(default=lambda thread: processor_time(thread))
    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Processor time of silent threads, by attempt, and when it was first seen to be that."""

    def of(self, work: Work) -> float:
        """Seconds for which the thread of `work` has been hung beyond doubt; 0 if it has not."""
        now = self.clock()
        silent = now - work.pulse.moved_at
        if silent < min(_SOON_SECONDS, self.stalled_seconds):
            return 0.0
        bound = max(self.stalled_seconds, _DEADLINES_TIMES * work.pulse.deadlines_seconds)
        if silent > bound * BUSY_TIMES:
            return silent
        still = min(silent, now - self._busy_until(work, now))
        return silent if still > bound else 0.0

    def forget_all_but(self, works: list[Work]) -> None:
        """Of attempts that have ended nothing is kept."""
        there = {str(work.member) for work in works}
        for member in self._seen.keys() - there:
            del self._seen[member]

    def _busy_until(self, work: Work, now: float) -> float:
        member, threads = str(work.member), sorted(work.threads)
        used = " ".join(told for thread in threads if (told := self.used(thread)) is not None)
        before, since = self._seen.get(member, (None, work.pulse.moved_at))
        if before is not None and used != before:
            since = now
        self._seen[member] = used, since
        return since


def processor_time(thread: int) -> str | None:
    """What a thread of this process has used (proc(5), /proc/self/task/TID/stat); None where the
    system does not tell. `thread`: its number in the system, `threading.get_native_id()`."""
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:  # noqa: PTH123  # each second
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return f"{fields[_USER].decode()} {fields[_SYSTEM].decode()}"
