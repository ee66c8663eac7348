"""How far the schedule of each website is dealt with, and what became of its last due time.

A due time is dealt with once, whatever number of schedulers there are: the step that starts its run
(`start.lua`, see `Runs.start_due`), or that says why there is none, is the one that notes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import AHEAD_SECONDS, SCHEDULE_SECONDS

_SITES_AT_ONCE = 250


class DueOutcome(StrEnum):
    """What became of a due time."""

    STARTED = "started"
    SKIPPED = "skipped"
    """Another run held the target."""
    MISSED = "missed"
    """No scheduler was there in time."""
    REFUSED = "refused"
    """No run can be started; the reason is told."""


@dataclass(frozen=True, slots=True)
class Due:
    """A due time of a website: Unix seconds; `times` is the text of its schedule.

    queues: while another run holds the target it waits; else it is skipped then.
    """

    site: str
    at: int
    times: str
    queues: bool = False


@dataclass(frozen=True, slots=True)
class Handled:
    """A due time that was dealt with. Times are Unix seconds: `due` as the schedule has it, `at`
    when that was, by the ledger's clock.

    run: the one that was started, or that was in the way; empty where there is none.
    """

    due: float
    outcome: DueOutcome
    run: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """What the ledger knows of a website's schedule.

    times: the text of the schedule that was seen last. until: Unix seconds up to which everything
    is dealt with. waits: the due time for which a run waits for `holder` to end; None: none does.
    ahead_seconds: how far ahead of Redis' clock that was noted, where that is not believed; `until`
    is then Redis' time.
    """

    times: str
    until: float
    last: Handled | None = None
    waits: float | None = None
    holder: str = ""
    ahead_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedules:
    """All methods raise LedgerUnreachable."""

    connection: Connection

    def read(self, sites: Sequence[str]) -> dict[str, ScheduleFacts]:
        """What is known of each of `sites`; one of which nothing is known is absent."""
        return self.look(sites)[1]

    def look(self, sites: Sequence[str]) -> tuple[float, dict[str, ScheduleFacts]]:
        """The time of Redis' clock (Unix seconds), and what is known of each of `sites`. Redis is
        asked also where there are none."""
        keys = self.connection.keys
        found: dict[str, ScheduleFacts] = {}
        now = 0.0
        for start in range(0, max(len(sites), 1), _SITES_AT_ONCE):
            some = sites[start : start + _SITES_AT_ONCE]
            now, answers = self.connection.hashes([keys.schedule(site) for site in some])
            for site, fields in zip(some, answers, strict=True):
                if "handled" in fields:
                    found[site] = _facts(fields, now)
        return now, found

    def begin(self, site: str, times: str, until: float) -> float:
        """Note a schedule that is new or another one: nothing up to `until` is due by it.

        Returns:
            Until when everything is dealt with now: later, if the ledger knew that already; Redis'
            time instead of one that lies AHEAD_SECONDS ahead of it.
        """
        return float(self.connection.run_script("settle", site, times, until, "", ""))

    def forget(self, site: str, until: float) -> None:
        """There is no schedule any more: if it comes back, nothing of the time between is due."""
        self.begin(site, "", until)

    def settle(self, due: Due, outcome: DueOutcome, reason: str = "") -> None:
        """Note that `due` is dealt with without a run, unless it has been dealt with already, or
        lies AHEAD_SECONDS ahead of Redis' clock."""
        self.connection.run_script("settle", due.site, due.times, due.at, outcome.value, reason)

    def refresh(self, sites: Sequence[str]) -> None:
        """Keep what is known of them for SCHEDULE_SECONDS from now."""
        keys, client = self.connection.keys, self.connection.client

        def write() -> None:
            with client.pipeline(transaction=False) as pipe:
                for site in sites:
                    pipe.expire(keys.schedule(site), SCHEDULE_SECONDS)
                pipe.execute()

        self.connection.call(write)


def _facts(fields: Mapping[str, str], now: float) -> ScheduleFacts:
    last = None
    if "outcome" in fields:
        last = Handled(
            float(fields["due"]),
            DueOutcome(fields["outcome"]),
            fields["run"],
            fields["reason"],
            float(fields["at"]),
        )
    until, ahead_seconds = float(fields["handled"]), 0.0
    if until > now + AHEAD_SECONDS:
        until, ahead_seconds = now, until - now
    times = fields.get("times", "")
    waits = float(fields["waits"]) if "waits" in fields else until
    if waits <= until:
        return ScheduleFacts(times, until, last, ahead_seconds=ahead_seconds)
    return ScheduleFacts(times, until, last, waits, fields["holder"], ahead_seconds)
