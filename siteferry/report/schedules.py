"""Schedules as a table and as JSON: when websites are due next, what became of the last time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from siteferry.report import figures
from siteferry.report.as_text import one_line
from siteferry.report.table import in_columns
from siteferry.secret import redact

_HEADER = ("SITE", "CRON", "TIME ZONE", "NEXT", "IN", "LAST DUE", "RESULT")
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class LastDue:
    """What became of a due time. outcome: started, skipped, missed or refused.

    run: the one that was started, or was in the way. state: what the run is in now; empty where it
    is not known any more. settled: when that was found out.
    """

    due: dt.datetime
    outcome: str
    run: str
    state: str
    reason: str
    settled: dt.datetime


@dataclass(frozen=True, slots=True)
class WaitingDue:
    """A due time that waits for the run `holder` to end."""

    due: dt.datetime
    holder: str


@dataclass(frozen=True, slots=True)
class ListedSchedule:
    """A website with a schedule, or one whose file is not as it must be, which `error` tells.

    Times are in the schedule's zone.
    """

    site: str
    cron: str = ""
    timezone: str = ""
    overlap: str = ""
    missed: str = ""
    upcoming: tuple[dt.datetime, ...] = ()
    last: LastDue | None = None
    waiting: WaitingDue | None = None
    error: str = ""


def schedules_table(schedules: Sequence[ListedSchedule], now: dt.datetime) -> str:
    """Give a line for each schedule under a header, and one more for each further time; no final
    newline."""
    rows: list[tuple[str, ...]] = []
    for one in schedules:
        first, *others = one.upcoming or (None,)
        facts = (one.site, one.cron or "-", one.timezone or "-")
        last = _time(one.last.due) if one.last is not None else "-"
        rows.append((*facts, *_next(first, now), last, _result(one)))
        rows += [("", "", "", *_next(time, now), "", "") for time in others]
    return in_columns(_HEADER, [tuple(map(one_line, row)) for row in rows])


def schedules_json(schedules: Sequence[ListedSchedule]) -> str:
    """Give a list of objects; times are ISO 8601, those of the schedule in its zone."""
    return json.dumps([_object(one) for one in schedules], indent=2)


def _next(time: dt.datetime | None, now: dt.datetime) -> tuple[str, str]:
    if time is None:
        return "-", "-"
    return _time(time), _time_left((time - now).total_seconds())


def _time(time: dt.datetime) -> str:
    # With its offset: there are hours that come twice.
    return f"{time:%a %Y-%m-%d %H:%M %z}"


def _time_left(seconds: float) -> str:
    if seconds < _DAY_SECONDS:
        return figures.human_time_left(max(seconds, 0))
    days, rest = divmod(round(seconds), _DAY_SECONDS)
    return f"{days} d {rest // 3600:02} h"


def _result(one: ListedSchedule) -> str:
    if one.error:
        return f"not scheduled: {'; '.join(one.error.splitlines())}"
    if one.waiting is not None:
        return f"due {_time(one.waiting.due)}, waits for run {one.waiting.holder}"
    last = one.last
    if last is None:
        return "-"
    match last.outcome:
        case "started":
            return f"{last.state or 'started'}, run {last.run}"
        case "skipped":
            return f"skipped, for run {last.run} went on"
        case "missed":
            return "missed, for no scheduler ran"
        case _:
            return f"{last.outcome}: {'; '.join(last.reason.splitlines())}"


def _object(one: ListedSchedule) -> dict[str, object]:
    last, waiting = one.last, one.waiting
    return {
        "site": one.site,
        "cron": one.cron or None,
        "timezone": one.timezone or None,
        "overlap": one.overlap or None,
        "missed": one.missed or None,
        "next": [time.isoformat() for time in one.upcoming],
        "last": last
        and {
            "due": last.due.isoformat(),
            "outcome": last.outcome,
            "run": last.run or None,
            "state": last.state or None,
            "reason": redact(last.reason) or None,
            "at": last.settled.isoformat(timespec="milliseconds"),
        },
        "waiting": waiting and {"due": waiting.due.isoformat(), "run": waiting.holder},
        "error": redact(one.error) or None,
    }
