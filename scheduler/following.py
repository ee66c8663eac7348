"""How far each schedule is dealt with, by all that the ledger and this process know.

A Redis that comes back without its last second has lost a run together with the note of its due
time, for both are one step. So a process keeps until when it knows everything to be dealt with, and
which run was started last.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Set
from dataclasses import dataclass, field

from scheduler.timetable import next_due, times_of
from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import Runs
from siteferry.ledger.schedules import DueOutcome, ScheduleFacts, Schedules
from siteferry.log import get_logger
from siteferry.websites import Schedule

AGAIN_SECONDS = 300
"""A run that the ledger has lost is started again if that was no longer ago: an import that has
come to its end meanwhile finds nothing left to do."""
ABSENT_TURNS = 3
"""In so many turns in a row no schedule is found before it counts as gone: a file may be absent for
a moment, as while it is checked out or saved."""
_FRESH_SECONDS = 60
"""How long before a turn a schedule that is new to it may have come: two turns."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entered:
    """A due time for which a run was started, and when this process learned that: Unix seconds.
    run: its name; empty where another scheduler came first, who is the one to know."""

    due: float
    run: str
    at: float


@dataclass(slots=True)
class Followed:
    """A schedule as this process follows it. Times are Unix seconds.

    since: what is due later has not been dealt with. following: the first due time after it, None
    where none comes. entered: the last one for which a run was started, while this process looked
    on. again: one that is due once more, for the ledger has lost its run. absent: in how many turns
    the schedule has not been found.
    """

    times: str
    since: float
    following: dt.datetime | None
    entered: Entered | None = None
    again: float | None = None
    absent: int = 0

    def move(self, schedule: Schedule, since: float) -> None:
        """Everything up to `since` is dealt with."""
        if since > self.since:
            self.since = since
            self.following = next_due(schedule, moment(since))

    def back(self, schedule: Schedule, due: float) -> None:
        """`due` is due once more."""
        self.since, self.entered, self.again = due - 1, None, due
        self.following = next_due(schedule, moment(self.since))

    def learn(self, facts: ScheduleFacts, now: float) -> None:
        """Remember the run that another scheduler has started; to be called before `move`."""
        last, entered = facts.last, self.entered
        if last is None:
            return
        is_started = last.outcome is DueOutcome.STARTED
        if last.due > self.since and is_started:
            self.entered = Entered(last.due, last.run, now)
        elif entered is not None and entered.due == last.due and not entered.run:
            self.entered = Entered(last.due, last.run, entered.at) if is_started else None


@dataclass(slots=True)
class Following:
    """All schedules that this process follows, by website. looked: Unix seconds of the last whole
    turn. The methods raise LedgerUnreachable."""

    connection: Connection
    followed: dict[str, Followed] = field(default_factory=dict)
    looked: float = 0.0
    _schedules: Schedules = field(init=False)

    def __post_init__(self) -> None:
        self._schedules = Schedules(self.connection)

    def follow(
        self, name: str, schedule: Schedule, facts: ScheduleFacts | None, now: float
    ) -> Followed:
        """How far a schedule is dealt with. facts: what the ledger knows of it."""
        times = times_of(schedule)
        if facts is not None and facts.ahead_seconds:
            seconds = round(facts.ahead_seconds)
            _log.warning("a schedule was dealt with far ahead", site=name, ahead_seconds=seconds)
            self._schedules.begin(name, times, facts.until)
        followed = self.followed.get(name)
        if followed is None or followed.times != times:
            return self._begin(name, schedule, facts, now)
        entered = followed.entered
        if entered is not None and (facts is None or _has_forgotten(facts, entered)):
            self._look_for(name, schedule, entered, facts, now)
        if facts is None or facts.until < followed.since:
            # The ledger has lost its data, or the last of them.
            followed.move(schedule, self._schedules.begin(name, times, followed.since))
        else:
            followed.learn(facts, now)
            followed.move(schedule, facts.until)
        return followed

    def forget_all_but(self, names: Set[str]) -> None:
        """What has no schedule any more is not made up for if it comes back."""
        for name, followed in list(self.followed.items()):
            followed.absent = 0 if name in names else followed.absent + 1
            if followed.absent >= ABSENT_TURNS:
                self._schedules.forget(name, followed.since)
                del self.followed[name]
                _log.info("a schedule is gone", site=name)

    def _begin(
        self, name: str, schedule: Schedule, facts: ScheduleFacts | None, now: float
    ) -> Followed:
        times = times_of(schedule)
        if facts is not None and facts.times == times:
            since = facts.until  # what was missed while no scheduler ran is due
        else:
            since = self._schedules.begin(name, times, self._seen_first(now))
        followed = Followed(times, since, next_due(schedule, moment(since)))
        self.followed[name] = followed
        following = followed.following.isoformat() if followed.following is not None else None
        _log.info("a schedule is followed", site=name, times=times, next=following)
        return followed

    def _seen_first(self, now: float) -> float:
        """From when on a schedule counts that is new or another one: it may have come at any time
        since the last turn, and nothing of what was before is due by it."""
        return min(now, max(self.looked, now - _FRESH_SECONDS)) if self.looked else now

    def _look_for(
        self,
        name: str,
        schedule: Schedule,
        entered: Entered,
        facts: ScheduleFacts | None,
        now: float,
    ) -> None:
        """The ledger knows nothing of the start of a run: see whether the run is there, and have it
        started again if it was started a moment ago. Of several schedulers that do so, the step in
        the ledger lets one."""
        followed = self.followed[name]
        log = _log.bind(site=name, due=moment(entered.due).isoformat(), run=entered.run)
        if entered.run and Runs(self.connection).state(entered.run) is not None:
            followed.entered = None
            return
        is_open = facts is None or facts.until < entered.due
        if not is_open or now - entered.at > AGAIN_SECONDS:
            log.warning("a due run is unknown to the ledger, which has lost data")
            followed.entered = None
        elif self._schedules.begin(name, followed.times, entered.due - 1) < entered.due:
            log.warning("a due run is lost by the ledger, and is due again")
            followed.back(schedule, entered.due)


def _has_forgotten(facts: ScheduleFacts, entered: Entered) -> bool:
    return facts.last is None or facts.last.due < entered.due


def moment(seconds: float) -> dt.datetime:
    """Unix seconds as an aware time."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
