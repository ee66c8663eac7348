"""Progress for files, pipes and logs of CI: whole lines, and few of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TextIO

from siteferry.report.as_text import progress_line
from siteferry.report.figures import Rate
from siteferry.run import RunState, Snapshot

SECONDS_BETWEEN_LINES = 2.0


@dataclass
class _Shown:
    rate: Rate = field(default_factory=Rate)
    state: RunState | None = None
    at: float = 0.0
    line: str = ""


class LinePrinter:
    """Writes a line to `stream` when a run's state changes, and at most every two seconds.

    `clock` gives seconds and never goes back (`time.monotonic`).
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._runs: dict[str, _Shown] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        """There is nothing to restore."""

    def update(self, snapshot: Snapshot) -> None:
        shown = self._runs.setdefault(snapshot.run, _Shown())
        shown.rate.add(snapshot.now, snapshot.moved_bytes)
        due = self._clock() - shown.at >= SECONDS_BETWEEN_LINES
        if snapshot.state is not shown.state or due:
            self._print(snapshot, shown)

    def close(self, snapshot: Snapshot) -> None:
        shown = self._runs.pop(snapshot.run, _Shown())
        self._print(snapshot, shown)

    def _print(self, snapshot: Snapshot, shown: _Shown) -> None:
        line = progress_line(snapshot, shown.rate.bytes_per_second)
        shown.state, shown.at = snapshot.state, self._clock()
        if line != shown.line:
            shown.line = line
            self._stream.write(line + "\n")
            self._stream.flush()
