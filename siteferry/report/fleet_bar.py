"""Live progress of many runs on a terminal: their sums, and a line for a few that go on."""

from __future__ import annotations

from rich.console import Console

from siteferry.report.bar import ProgressBar
from siteferry.report.fleet_count import FleetCount
from siteferry.run import RunState, Snapshot

MOST_SHOWN = 6


class FleetBar(ProgressBar):
    """As `ProgressBar`, with a first line of how many of `runs` have ended, and at most MOST_SHOWN
    of those that are neither waiting nor ended. A run that is shown stays until it ends."""

    def __init__(self, console: Console, runs: int, *, auto_refresh: bool = True) -> None:
        super().__init__(console, auto_refresh=auto_refresh)
        self._count = FleetCount(runs)
        self._sums = self._progress.add_task("", total=runs, facts="")
        self._draw_sums()

    def update(self, snapshot: Snapshot) -> None:
        self._count.take(snapshot)
        has_room = len(self._tasks) < MOST_SHOWN and snapshot.state is not RunState.QUEUED
        if snapshot.run in self._tasks or has_room:
            super().update(snapshot)
        self._draw_sums()

    def close(self, snapshot: Snapshot) -> None:
        super().close(snapshot)
        self._count.take(snapshot)
        self._draw_sums()

    def _draw_sums(self) -> None:
        count = self._count
        self._progress.update(
            self._sums,
            description=count.headline(),
            completed=count.ended,
            facts=count.facts(),
            refresh=not self._progress.live.auto_refresh,
        )
