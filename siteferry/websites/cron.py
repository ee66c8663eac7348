"""Whether a text is a cron expression: five fields, as in crontab(5)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from siteferry.settings.values import wrong

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def cron_fault(text: str) -> str | None:
    """What is wrong with the expression; None where nothing is. The text is not quoted."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return 'must be five fields: minute, hour, day, month, weekday, such as "15 3 * * *"'
    for written, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        if not all(_part_is_right(part, low, high, names) for part in written.split(",")):
            return f"has no right {name}: {low}-{high}, `*`, lists, ranges and steps are known"
    return None


def _part_is_right(part: str, low: int, high: int, names: dict[str, int]) -> bool:
    found = _PART.fullmatch(part.lower())
    if found is None or (found["step"] is not None and int(found["step"]) == 0):
        return False
    ends = [end for end in (found["first"], found["last"]) if end is not None]
    numbers = [int(end) if end.isdecimal() else names.get(end, -1) for end in ends]
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)


def _checked(value: str) -> str:
    fault = cron_fault(value)
    if fault is not None:
        raise wrong(fault)
    return value


CronText = Annotated[str, AfterValidator(_checked)]
