"""One turn of the scheduler: what is due is started, and what cannot be is noted with its reason.

Nothing is lost or doubled by a scheduler that is killed at any point, or paused with a due time in
its hand: the ledger starts the run and notes the due time in one step.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from scheduler.following import Entered, Followed, Following, moment
from scheduler.start import start_due
from scheduler.timetable import latest_due
from scheduler.website_files import WebsiteFiles
from siteferry.broker import Broker
from siteferry.errors import (
    ClockAhead,
    ConfigurationError,
    LedgerUnreachable,
    SiteferryError,
    TargetHeld,
)
from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import AHEAD_SECONDS
from siteferry.ledger.schedules import Due, DueOutcome, ScheduleFacts, Schedules
from siteferry.log import get_logger
from siteferry.websites import Chosen, Schedule, Website

TURN_SECONDS = 30
"""From one turn to the next: at :00 and :30 of the wall clock's minutes."""
LATE_SECONDS = 300
"""A due time that is later than that has been missed."""
_REFRESH_SECONDS = 24 * 3600

_log = get_logger(__name__)


@dataclass(slots=True)
class Ticker:
    """Starts what is due, turn by turn.

    What is due is looked for after what the ledger knows to be dealt with, and after what this
    process knows: so a ledger that has lost its data neither loses nor repeats anything.
    """

    connection: Connection
    broker: Broker
    files: WebsiteFiles
    scheduled: frozenset[str] = frozenset()
    """The websites that have a schedule, as of the last turn; asked by other threads."""
    hindrance: str = ""
    """Why the last turn has started nothing at all, of what this machine is to blame for."""
    _schedules: Schedules = field(init=False)
    _following: Following = field(init=False)
    _told: dict[str, Chosen] = field(default_factory=dict)
    _told_of_folder: str = ""
    _refreshed: float = 0.0

    def __post_init__(self) -> None:
        self._schedules = Schedules(self.connection)
        self._following = Following(self.connection)

    def turn(self, now: float) -> None:
        """Look at all schedules, and start what is due.

        Args:
            now: Unix seconds.

        Raises:
            LedgerUnreachable: Redis does not answer; the same turn may be made again.
        """
        chosen = self._look()
        scheduled = [
            (one.website, one.website.schedule)
            for one in chosen or ()
            if one.website is not None and one.website.schedule is not None
        ]
        clock, facts = self._schedules.look([website.name for website, _ in scheduled])
        if self._is_ahead(now - clock):
            return
        for website, schedule in scheduled:
            try:
                self._one(website, schedule, facts.get(website.name), now)
            except LedgerUnreachable:
                raise
            except Exception:  # noqa: BLE001  # no website keeps the others from their turn
                _log.exception("a schedule fails", site=website.name)
        if chosen is None:
            return
        broken = {one.name for one in chosen if one.error is not None}
        self._following.forget_all_but({website.name for website, _ in scheduled} | broken)
        self.scheduled = frozenset(self._following.followed)
        if now - self._refreshed >= _REFRESH_SECONDS:
            self._schedules.refresh(list(self._following.followed))
            self._refreshed = now
        self._following.looked = now

    def _is_ahead(self, seconds: float) -> bool:
        """Whether the clock here is so many seconds ahead of Redis' that what is due by it is not
        due yet; told once."""
        if seconds <= AHEAD_SECONDS:
            self.hindrance = ""
            return False
        if not self.hindrance:
            error = f"the clock of this machine is {seconds:.0f} s ahead of Redis'"
            _log.error("nothing is scheduled", error=error)
        self.hindrance = f"its clock is {seconds:.0f} s ahead of Redis'"
        return True

    def _look(self) -> list[Chosen] | None:
        """The websites; None where their folder cannot be read, which is told once."""
        try:
            chosen = self.files.look()
        except ConfigurationError as error:
            if self._told_of_folder != error.message:
                _log.error("nothing is scheduled", error=str(error))
                self._told_of_folder = error.message
            return None
        self._told_of_folder = ""
        told = {one.name: one for one in chosen if one.error is not None}
        for one in told.values():
            if self._told.get(one.name) is not one:
                _log.error("a website is not scheduled", site=one.name, error=str(one.error))
        self._told = told
        return chosen

    def _one(
        self, website: Website, schedule: Schedule, facts: ScheduleFacts | None, now: float
    ) -> None:
        followed = self._following.follow(website.name, schedule, facts, now)
        if followed.following is None or followed.following.timestamp() > now:
            return
        due = latest_due(schedule, moment(followed.since), moment(now))
        if due is None:
            return
        named = Due(website.name, int(due.timestamp()), followed.times, schedule.overlap == "queue")
        # What waits, or was started and is lost, has had its scheduler in time.
        seen = followed.again == named.at or (facts is not None and facts.waits is not None)
        if schedule.missed == "skip" and now - named.at > LATE_SECONDS and not seen:
            self._schedules.settle(named, DueOutcome.MISSED)
            _log.warning("a due time was missed", site=website.name, due=due.isoformat())
        elif not self._start(website, named, due, followed, facts, now):
            return
        followed.move(schedule, named.at)

    def _start(
        self,
        website: Website,
        due: Due,
        when: dt.datetime,
        followed: Followed,
        facts: ScheduleFacts | None,
        now: float,
    ) -> bool:
        """Start what is due; False where it waits to be tried again."""
        log = _log.bind(site=website.name, due=when.isoformat())
        try:
            run = start_due(self.connection, self.broker, website, due)
        except LedgerUnreachable:
            raise
        except ClockAhead as error:
            log.error("a due run cannot be started", error=str(error))  # noqa: TRY400  # told whole
            return False
        except TargetHeld as error:
            if due.queues:
                if facts is None or facts.waits != due.at:
                    log.info("a due run waits for another one", holder=error.run)
                return False
            log.warning("a due run is skipped, for another one goes on", holder=error.run)
        except SiteferryError as error:
            self._schedules.settle(due, DueOutcome.REFUSED, str(error))
            log.error("a due run cannot be started", error=str(error))  # noqa: TRY400  # told whole
        except Exception as error:
            # Its text may hold anything, so only its name goes into the ledger.
            reason = f"unexpected {type(error).__name__}; the scheduler's log has more"
            self._schedules.settle(due, DueOutcome.REFUSED, reason)
            log.exception("a due run cannot be started")
        else:
            followed.entered = Entered(due.at, run or "", now)
            if run is not None:
                log.info("a due run is started", run=run)
        return True
