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
        self.ended = self.failed = self._running = self._files = self._bytes = 0
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

    def headline(self) -> str:
        """`12 of 200 ended`."""
        return f"{self.ended:,} of {self.runs:,} ended"

    def facts(self) -> str:
        """`1 failed, 8 running, 180 waiting, 512 files, 10.3 MB, 4.1 MB/s`."""
        waiting = self.runs - self.ended - self._running
        rate = self._rate.bytes_per_second
        counts = ((self.failed, "failed"), (self._running, "running"), (waiting, "waiting"))
        facts = [f"{count:,} {what}" for count, what in counts if count]
        facts += [f"{self._files:,} files", figures.human_bytes(self._bytes)]
        if rate and self._running:
            facts.append(figures.human_rate(rate))
        return ", ".join(facts)

    def _add(self, snapshot: Snapshot, sign: int) -> None:
        self._files += sign * snapshot.transferred
        self._bytes += sign * snapshot.moved_bytes
        if snapshot.state.ended:
            self.ended += sign
            self.failed += sign * (exit_code(snapshot) != 0)
        elif snapshot.state is not RunState.QUEUED:
            self._running += sign
