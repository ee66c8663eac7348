"""Progress of many runs for files, pipes and logs of CI: a line for each run that ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TextIO

from siteferry.report import figures
from siteferry.report.as_text import progress_line
from siteferry.report.fleet_count import FleetCount
from siteferry.run import Snapshot

SECONDS_BETWEEN_TOTALS = 60.0
"""Some CI systems end what says nothing for a few minutes."""


class FleetLines:
    """Writes `[12/200] example done 3/3 files, 1.2/1.2 MB in 2.3 s` to `stream` when a run ends,
    and the sums where none has ended for a minute.

    `clock` gives seconds and never goes back (`time.monotonic`).
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float], runs: int) -> None:
        self._stream = stream
        self._clock = clock
        self._count = FleetCount(runs)
        self._written_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        """There is nothing to restore."""

    def update(self, snapshot: Snapshot) -> None:
        self._count.take(snapshot)
        if self._clock() - self._written_at >= SECONDS_BETWEEN_TOTALS:
            self._write(f"{self._count.headline()}, {self._count.facts()}")

    def close(self, snapshot: Snapshot) -> None:
        self._count.take(snapshot)
        took = figures.human_duration(snapshot.seconds)
        self._write(f"[{self._count.ended}/{self._count.runs}] {progress_line(snapshot)} in {took}")

    def _write(self, line: str) -> None:
        self._written_at = self._clock()
        self._stream.write(line + "\n")
        self._stream.flush()
