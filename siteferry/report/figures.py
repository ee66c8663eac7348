"""Arithmetic over snapshots: rate, time left, and numbers as people read them. Nothing is printed.

Sizes are decimal (1 MB = 1,000,000 bytes).
"""

from __future__ import annotations

import math
from collections import deque

from siteferry.run import Snapshot

_UNITS = (("B", 1), ("kB", 10**3), ("MB", 10**6), ("GB", 10**9), ("TB", 10**12))


class Rate:
    """Bytes per second over the last seconds of a run. It has no clock: times come from snapshots.

    `window_seconds` is how far back it looks: long enough that small files, which finish in
    batches, do not make it jump.
    """

    def __init__(self, window_seconds: float = 8.0) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now_seconds: float, total_bytes: int) -> None:
        """Take in that `total_bytes` had been carried at `now_seconds` (`Snapshot.now`)."""
        samples = self._samples
        if samples and (now_seconds < samples[-1][0] or total_bytes < samples[-1][1]):
            samples.clear()
        if samples and now_seconds == samples[-1][0]:
            samples.pop()
        samples.append((now_seconds, total_bytes))
        while len(samples) > 2 and samples[1][0] <= now_seconds - self._window_seconds:
            samples.popleft()

    @property
    def bytes_per_second(self) -> float | None:
        """The rate, or None before there are two moments to compare."""
        if len(self._samples) < 2:
            return None
        (begin, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - begin)


def totals_known(snapshot: Snapshot) -> bool:
    """Tell whether `files_to_send` and `bytes_to_send` are final."""
    return snapshot.planned and snapshot.comparing == 0


def seconds_left(snapshot: Snapshot, bytes_per_second: float | None) -> float | None:
    """Estimate the transfer's remaining seconds; None where nobody can know."""
    if not totals_known(snapshot) or not bytes_per_second:
        return None
    return max(0, snapshot.bytes_to_send - snapshot.moved_bytes) / bytes_per_second


def average_rate(snapshot: Snapshot) -> float | None:
    """Give bytes per second from the run's start to its end or to now, without the publish."""
    seconds = snapshot.seconds - (snapshot.publish_seconds or 0.0)
    return snapshot.transferred_bytes / seconds if seconds > 0 else None


def human_bytes(count: float) -> str:
    """`512 B`, `10.3 MB`."""
    unit, size = _unit(count)
    return f"{_scaled(count, size)} {unit}"


def human_bytes_of(done: float, total: float) -> str:
    """Both in the unit of the total: `10.3/51.0 MB`."""
    unit, size = _unit(total)
    return f"{_scaled(done, size)}/{_scaled(total, size)} {unit}"


def human_rate(bytes_per_second: float) -> str:
    """`4.1 MB/s`."""
    return f"{human_bytes(bytes_per_second)}/s"


def human_duration(seconds: float) -> str:
    """How long something took: `12 ms`, `3.4 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return _long(round(seconds))


def human_time_left(seconds: float) -> str:
    """How long something will take, in whole seconds: `10 s`, `2 min 05 s`, `1 h 02 min`."""
    whole = math.ceil(seconds)
    return f"{whole} s" if whole < 60 else _long(whole)


def _unit(count: float) -> tuple[str, int]:
    for unit, size in _UNITS:
        # What would be rounded to 1000.0 belongs to the next unit.
        if count < size * 999.95:
            return unit, size
    return _UNITS[-1]


def _scaled(count: float, size: int) -> str:
    return f"{count:.0f}" if size == 1 else f"{count / size:.1f}"


def _long(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
