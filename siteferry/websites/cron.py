"""Whether a text is a cron expression that cronsim takes: five fields, as in crontab(5)."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from siteferry.settings.values import wrong

_FIELDS = (
    ("minute", "0-59, `*`, lists, ranges and steps are known"),
    ("hour", "0-23, `*`, lists, ranges and steps are known"),
    ("day of the month", "1-31, `*`, lists, ranges and steps are known, and L for the last one"),
    ("month", "1-12, jan-dec, `*`, lists, ranges and steps are known"),
    ("day of the week", "0-7, sun-sat, `*`, lists, ranges, steps and 1#2 or 5L are known"),
)
_SOME_DAY = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
_MOST_CHARACTERS = 1000
"""More than a list of all minutes, and less than `int` refuses to read."""


def cron_fault(text: str) -> str | None:
    """What is wrong with the expression; None where nothing is. The text is not quoted."""
    fields = text.split()
    # cronsim would take six, the first of them seconds, which a tick of half a minute cannot keep.
    if len(fields) != len(_FIELDS) or len(text) > _MOST_CHARACTERS:
        return 'must be five fields: minute, hour, day, month, weekday, such as "15 3 * * *"'
    for position, (name, known) in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[position] = fields[position]
        if not _is_read(" ".join(alone)):
            return f"has no right {name}: {known}"
    if not _is_read(text) or next(CronSim(text, _SOME_DAY), None) is None:
        return "names a day that never comes"
    return None


def _is_read(text: str) -> bool:
    try:
        CronSim(text, _SOME_DAY)
    except CronSimError:
        return False
    return True


def _checked(value: str) -> str:
    fault = cron_fault(value)
    if fault is not None:
        raise wrong(fault)
    return value


CronText = Annotated[str, AfterValidator(_checked)]
