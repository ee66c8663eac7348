"""Schedules as people and programs read them."""

from __future__ import annotations

import datetime as dt
import json
import re
from zoneinfo import ZoneInfo

from siteferry.report.schedules import (
    LastDue,
    ListedSchedule,
    WaitingDue,
    schedules_json,
    schedules_table,
)

VILNIUS = ZoneInfo("Europe/Vilnius")
HEADER = ["SITE", "CRON", "TIME ZONE", "NEXT", "IN", "LAST DUE", "RESULT"]
NOW = dt.datetime(2026, 10, 24, 22, 59, 50, tzinfo=dt.UTC)
SETTLED = dt.datetime(2026, 10, 24, 0, 30, 1, 500_000, tzinfo=dt.UTC)


def local(day: int, hour: int, minute: int = 0, fold: int = 0) -> dt.datetime:
    return dt.datetime(2026, 10, day, hour, minute, tzinfo=VILNIUS, fold=fold)


def listed(
    site: str, outcome: str, run: str = "", state: str = "", reason: str = ""
) -> ListedSchedule:
    last = LastDue(local(24, 3, 30), outcome, run, state, reason, SETTLED)
    times = (local(25, 3, 30), local(25, 3, 30, fold=1), local(27, 3, 30))
    return ListedSchedule(
        site, "*/30 3 * * *", "Europe/Vilnius", "skip", "run", upcoming=times, last=last
    )


ALL = [
    listed("a", "started", "20261024-003000-aaaaaa", "done"),
    listed("b", "started", "20261024-003000-bbbbbb"),
    listed("c", "skipped", "20261024-002000-cccccc", "publishing"),
    listed("d", "missed"),
    listed("e", "refused", reason="does not do that\nRemove it.\x1b[2J"),
    ListedSchedule(
        "f",
        "0 4 * * *",
        "UTC",
        "queue",
        "skip",
        waiting=WaitingDue(dt.datetime(2026, 10, 24, 4, tzinfo=dt.UTC), "20261024-030000-ffffff"),
    ),
    ListedSchedule("g", error="g.yaml:1: ftp: is required\ng.yaml:2: x: is not known"),
]


def test_the_table_has_a_line_for_each_schedule_and_one_for_each_further_time() -> None:
    lines = schedules_table(ALL, NOW).splitlines()
    assert re.split("  +", lines[0]) == HEADER
    assert len(lines) == 1 + 5 * 3 + 2
    columns = [line[: lines[0].index("LAST DUE")].rstrip() for line in lines[1:4]]
    assert columns == [
        "a     */30 3 * * *  Europe/Vilnius  Sun 2026-10-25 03:30 +0300  1 h 30 min",
        "                                    Sun 2026-10-25 03:30 +0200  2 h 30 min",
        "                                    Tue 2026-10-27 03:30 +0200  2 d 02 h",
    ]
    results = [line[lines[0].index("LAST DUE") :] for line in lines[1::3]]
    assert results[:5] == [
        "Sat 2026-10-24 03:30 +0300  done, run 20261024-003000-aaaaaa",
        "Sat 2026-10-24 03:30 +0300  started, run 20261024-003000-bbbbbb",
        "Sat 2026-10-24 03:30 +0300  skipped, for run 20261024-002000-cccccc went on",
        "Sat 2026-10-24 03:30 +0300  missed, for no scheduler ran",
        r"Sat 2026-10-24 03:30 +0300  refused: does not do that; Remove it.\x1b[2J",
    ]
    assert "due Sat 2026-10-24 04:00 +0000, waits for run 20261024-030000-ffffff" in lines[-2]
    assert lines[-1].endswith(
        "not scheduled: g.yaml:1: ftp: is required; g.yaml:2: x: is not known"
    )


def test_the_json_has_times_with_their_offsets() -> None:
    first, *_, waiting, broken = json.loads(schedules_json(ALL))
    assert first == {
        "site": "a",
        "cron": "*/30 3 * * *",
        "timezone": "Europe/Vilnius",
        "overlap": "skip",
        "missed": "run",
        "next": [
            "2026-10-25T03:30:00+03:00",
            "2026-10-25T03:30:00+02:00",
            "2026-10-27T03:30:00+02:00",
        ],
        "last": {
            "due": "2026-10-24T03:30:00+03:00",
            "outcome": "started",
            "run": "20261024-003000-aaaaaa",
            "state": "done",
            "reason": None,
            "at": "2026-10-24T00:30:01.500+00:00",
        },
        "waiting": None,
        "error": None,
    }
    assert waiting["waiting"]["run"] == "20261024-030000-ffffff"
    assert waiting["last"] is None
    assert broken["error"].startswith("g.yaml:1: ftp")
    assert broken["next"] == []
