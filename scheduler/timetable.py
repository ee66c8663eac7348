"""When a schedule is due: pure arithmetic on its cron expression and time zone.

cronsim's rules are those of Debian's cron; docs/schedules.md has what that means on the days when
the clocks change. All times are aware, and those that are given are in the schedule's zone.
"""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from collections.abc import Iterator

from cronsim import CronSim

from siteferry.websites import Schedule

_SPANS = (dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(days=32))
"""How far back is looked for the latest due time, before all the way."""


def times_of(schedule: Schedule) -> str:
    """What its due times depend on, as one text: a schedule with another text is another one."""
    return f"{' '.join(schedule.cron.split())} {schedule.timezone}"


def zone_of(schedule: Schedule) -> dt.tzinfo:
    """The schedule's time zone.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: the machine has lost it since the file was read.
    """
    # For cronsim, datetime's own UTC needs no look at a change of the clocks.
    return dt.UTC if schedule.timezone == "UTC" else zoneinfo.ZoneInfo(schedule.timezone)


class _Clock(CronSim):
    """cronsim 2.8, whose steps end at whole hours of the clock also where it moves by half of one.

    Its own step is of sixty minutes, so behind such a change each hour begins at its half, and what
    is due before that is left out; its jump to a single minute lands at another one.
    """

    def advance_hour(self) -> bool:
        """Go on to the first hour that fits, unless this one does (False)."""
        if self.dt.hour in self.hours:
            return False
        while self.dt.hour not in self.hours:
            self.tick(3600 - 60 * self.dt.minute - self.dt.second)
            if self.dt.hour == 0:
                break  # another day, which has to fit as well
        return True

    def advance_minute(self) -> bool:
        """Go on to the first minute that fits, unless this one does (False)."""
        if self.dt.minute in self.minutes:
            return False
        self.dt = self.dt.replace(second=0)
        while self.dt.minute not in self.minutes:
            self.tick(60)
            if self.dt.minute == 0:
                break  # another hour, which has to fit as well
        return True


def due_times(schedule: Schedule, after: dt.datetime) -> Iterator[dt.datetime]:
    """Every due time later than `after`, in order; it ends where none comes within 50 years."""
    zone = zone_of(schedule)
    last = after.astimezone(dt.UTC)
    for moment in _Clock(schedule.cron, after.astimezone(zone)):
        # By way of UTC: cronsim may give a midnight that the clocks leave out, and, from within an
        # hour that comes twice, a time of the first pass, which is over.
        due = moment.astimezone(dt.UTC)
        if due > last:
            last = due
            yield due.astimezone(zone)


def next_due(schedule: Schedule, after: dt.datetime) -> dt.datetime | None:
    """The first due time later than `after`; None where none comes within 50 years."""
    return next(due_times(schedule, after), None)


def next_due_times(schedule: Schedule, after: dt.datetime, count: int) -> list[dt.datetime]:
    """The next `count` due times later than `after`."""
    return list(itertools.islice(due_times(schedule, after), count))


def latest_due(schedule: Schedule, since: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    """The latest due time in (`since`, `now`]; None where there is none.

    cronsim's way backwards has other rules for the change of the clocks, so the way is forwards,
    from nearby first: a schedule of each minute may be looked at after months.
    """
    for start in (*(now - span for span in _SPANS if now - span > since), since):
        latest = None
        for due in due_times(schedule, start):
            if due > now:
                break
            latest = due
        if latest is not None:
            return latest
    return None
