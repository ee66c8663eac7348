"""Days on which the clocks change, and every time of them at which a schedule is due, literally.

Vilnius leaves out 03:00-04:00 and has it twice, New York 02:00-03:00 and 01:00-02:00; Lord Howe's
clocks move by half an hour only: it leaves out 02:00-02:30 and has 01:30-02:00 twice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class ChangeDay:
    """A day in a zone. due: cron expression -> offset from UTC -> the local times."""

    name: str
    zone: str
    day: dt.date
    due: dict[str, dict[str, str]]

    @property
    def begin(self) -> float:
        """Unix seconds of its midnight."""
        return dt.datetime.combine(self.day, dt.time(), ZoneInfo(self.zone)).timestamp()

    @property
    def end(self) -> float:
        """Unix seconds of the next midnight."""
        following = self.day + dt.timedelta(days=1)
        return dt.datetime.combine(following, dt.time(), ZoneInfo(self.zone)).timestamp()

    def expected(self, cron: str) -> list[float]:
        """Unix seconds of each due time."""
        return [
            dt.datetime.fromisoformat(f"{self.day}T{time}:00{offset}").timestamp()
            for offset, times in self.due[cron].items()
            for time in times.split()
        ]


_HOURS_4_23 = (
    "04:00 05:00 06:00 07:00 08:00 09:00 10:00 11:00 12:00 13:00 14:00 15:00 16:00 17:00 18:00 "
    "19:00 20:00 21:00 22:00 23:00"
)
_HALVES_4_23 = (
    "04:00 04:30 05:00 05:30 06:00 06:30 07:00 07:30 08:00 08:30 09:00 09:30 10:00 10:30 11:00 "
    "11:30 12:00 12:30 13:00 13:30 14:00 14:30 15:00 15:30 16:00 16:30 17:00 17:30 18:00 18:30 "
    "19:00 19:30 20:00 20:30 21:00 21:30 22:00 22:30 23:00 23:30"
)

CHANGE_DAYS = [
    ChangeDay(
        "Vilnius, forward",
        "Europe/Vilnius",
        dt.date(2026, 3, 29),
        {
            "0 * * * *": {"+02:00": "00:00 01:00 02:00", "+03:00": _HOURS_4_23},
            "*/30 * * * *": {
                "+02:00": "00:00 00:30 01:00 01:30 02:00 02:30",
                "+03:00": _HALVES_4_23,
            },
            "30 3 * * *": {"+03:00": "04:00"},
            "15,45 3 * * *": {"+03:00": "04:00"},
            "*/30 3 * * *": {},
            "0 3,4 * * *": {"+03:00": "04:00"},
            "0 2-4 * * *": {"+02:00": "02:00", "+03:00": "04:00"},
        },
    ),
    ChangeDay(
        "Vilnius, back",
        "Europe/Vilnius",
        dt.date(2026, 10, 25),
        {
            "0 * * * *": {
                "+03:00": "00:00 01:00 02:00 03:00",
                "+02:00": f"03:00 {_HOURS_4_23}",
            },
            "*/30 * * * *": {
                "+03:00": "00:00 00:30 01:00 01:30 02:00 02:30 03:00 03:30",
                "+02:00": f"03:00 03:30 {_HALVES_4_23}",
            },
            "30 3 * * *": {"+03:00": "03:30"},
            "15,45 3 * * *": {"+03:00": "03:15 03:45"},
            "*/30 3 * * *": {"+03:00": "03:00 03:30", "+02:00": "03:00 03:30"},
            "0 3,4 * * *": {"+03:00": "03:00", "+02:00": "04:00"},
            "0 2-4 * * *": {"+03:00": "02:00 03:00", "+02:00": "04:00"},
        },
    ),
    ChangeDay(
        "New York, forward",
        "America/New_York",
        dt.date(2026, 3, 8),
        {
            "0 * * * *": {"-05:00": "00:00 01:00", "-04:00": f"03:00 {_HOURS_4_23}"},
            "*/30 * * * *": {
                "-05:00": "00:00 00:30 01:00 01:30",
                "-04:00": f"03:00 03:30 {_HALVES_4_23}",
            },
            "30 2 * * *": {"-04:00": "03:00"},
            "30 1 * * *": {"-05:00": "01:30"},
            "*/30 2 * * *": {},
        },
    ),
    ChangeDay(
        "New York, back",
        "America/New_York",
        dt.date(2026, 11, 1),
        {
            "0 * * * *": {
                "-04:00": "00:00 01:00",
                "-05:00": f"01:00 02:00 03:00 {_HOURS_4_23}",
            },
            "*/30 * * * *": {
                "-04:00": "00:00 00:30 01:00 01:30",
                "-05:00": f"01:00 01:30 02:00 02:30 03:00 03:30 {_HALVES_4_23}",
            },
            "30 2 * * *": {"-05:00": "02:30"},
            "30 1 * * *": {"-04:00": "01:30"},
            "*/30 1 * * *": {"-04:00": "01:00 01:30", "-05:00": "01:00 01:30"},
        },
    ),
    ChangeDay(
        "Lord Howe, forward",
        "Australia/Lord_Howe",
        dt.date(2026, 10, 4),
        {
            # 02:00 is left out, so the hours before and after are an hour and a half apart.
            "0 * * * *": {"+10:30": "00:00 01:00", "+11:00": f"03:00 {_HOURS_4_23}"},
            "*/30 * * * *": {
                "+10:30": "00:00 00:30 01:00 01:30",
                "+11:00": f"02:30 03:00 03:30 {_HALVES_4_23}",
            },
            "15 2 * * *": {"+11:00": "02:30"},
            "45 2 * * *": {"+11:00": "02:45"},
        },
    ),
    ChangeDay(
        "Lord Howe, back",
        "Australia/Lord_Howe",
        dt.date(2026, 4, 5),
        {
            "0 * * * *": {"+11:00": "00:00 01:00", "+10:30": f"02:00 03:00 {_HOURS_4_23}"},
            "*/30 * * * *": {
                "+11:00": "00:00 00:30 01:00 01:30",
                "+10:30": f"01:30 02:00 02:30 03:00 03:30 {_HALVES_4_23}",
            },
            "45 1 * * *": {"+11:00": "01:45"},
            "15 2 * * *": {"+10:30": "02:15"},
            "15 */2 * * *": {
                "+11:00": "00:15",
                "+10:30": "02:15 04:15 06:15 08:15 10:15 12:15 14:15 16:15 18:15 20:15 22:15",
            },
        },
    ),
]
