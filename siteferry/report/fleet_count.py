"""Sums over the runs of one command, while they go on."""

from __future__ import annotations

from siteferry.report import figures
from siteferry.report.figures import Rate
from siteferry.report.outcome import exit_code
from siteferry.run import RunState, Snapshot


class FleetCount:
    """Adds up the latest snapshot of each run; taking one in costs the same for any number of them.

    `runs` is how many there are; those of which no snapshot has come are taken to wait.
    """

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.ended = self.failed = self.files = self._running = self._bytes = 0
        self._latest: dict[str, Snapshot] = {}
        self._rate = Rate()

    def take(self, snapshot: Snapshot) -> None:
        """Put `snapshot` in the place of the one before it of the same run."""
        before = self._latest.get(snapshot.run)
        if before is not None:
            self._add(before, -1)
        self._latest[snapshot.run] = snapshot
        self._add(snapshot, 1)
        self._rate.add(snapshot.now, self._bytes)

    def line(self) -> str:
        """`12 of 200 ended, 1 of them failed, 8 running, 180 waiting, 512 files, 10.3 MB, …`"""
        facts = [f"{self.ended:,} of {self.runs:,} ended"]
        if self.failed:
            facts.append(f"{self.failed:,} of them failed")
        return ", ".join([*facts, *self.facts()])

    def facts(self) -> list[str]:
        """What `line` has behind the ended ones."""
        waiting = self.runs - self.ended - self._running
        rate = self._rate.bytes_per_second
        return [
            *([f"{self._running:,} running"] if self._running else []),
            *([f"{waiting:,} waiting"] if waiting else []),
            f"{self.files:,} files",
            figures.human_bytes(self._bytes),
            *([figures.human_rate(rate)] if rate and self._running else []),
        ]

    def _add(self, snapshot: Snapshot, sign: int) -> None:
        self.files += sign * snapshot.transferred
        self._bytes += sign * snapshot.moved_bytes
        if snapshot.state.ended:
            self.ended += sign
            self.failed += sign * (exit_code(snapshot) != 0)
        elif snapshot.state is not RunState.QUEUED:
            self._running += sign
