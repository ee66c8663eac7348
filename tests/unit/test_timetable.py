"""When schedules are due: every time of the days when the clocks change, and what was missed."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.timetable import due_times, latest_due, next_due, next_due_times, times_of
from siteferry.websites import Schedule
from siteferry.websites.cron import cron_fault
from tests.clock_changes import CHANGE_DAYS, ChangeDay

VILNIUS = ZoneInfo("Europe/Vilnius")
NOON = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
TURN = 30
DAYS = pytest.mark.parametrize("day", CHANGE_DAYS, ids=lambda day: day.name)


def of(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def local(text: str, fold: int = 0) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=VILNIUS, fold=fold)


@DAYS
def test_a_day_has_just_these_due_times(day: ChangeDay) -> None:
    for cron in day.due:
        schedule = Schedule(cron=cron, timezone=day.zone)
        times = due_times(schedule, of(day.begin - 1))
        found = itertools.takewhile(lambda time: time.timestamp() < day.end, times)
        assert [time.timestamp() for time in found] == day.expected(cron), cron


@DAYS
def test_turns_of_half_a_minute_find_each_of_them_once(day: ChangeDay) -> None:
    """Every turn starts from what is dealt with, as the tick does."""
    for cron in day.due:
        schedule = Schedule(cron=cron, timezone=day.zone)
        since, found = day.begin - 1, []
        following = next_due(schedule, of(since))
        for now in range(int(day.begin), int(day.end), TURN):
            if following is None or following.timestamp() > now:
                continue
            due = latest_due(schedule, of(since), of(now))
            assert due is not None
            since = due.timestamp()
            following = next_due(schedule, due)
            found.append(since)
        assert found == day.expected(cron), cron


def test_from_within_an_hour_that_comes_again_nothing_of_its_first_pass_is_due() -> None:
    """cronsim itself answers 03:30 of the first pass there."""
    schedule = Schedule(cron="30 3 * * *", timezone="Europe/Vilnius")
    second_pass = local("2026-10-25T03:10", fold=1)
    assert next_due(schedule, second_pass) == local("2026-10-26T03:30")
    assert latest_due(schedule, second_pass, second_pass + dt.timedelta(hours=1)) is None


def test_a_midnight_that_the_clocks_leave_out_is_one_o_clock() -> None:
    schedule = Schedule(cron="0 0 * * *", timezone="Africa/Cairo")
    wild = Schedule(cron="*/30 0 24 4 *", timezone="Africa/Cairo")
    evening = dt.datetime(2026, 4, 23, 12, tzinfo=dt.UTC)
    one = dt.datetime(2026, 4, 23, 22, tzinfo=dt.UTC)
    for each in (schedule, wild):
        due = next_due(each, evening)
        assert due == one
        assert f"{due:%H:%M %z}" == "01:00 +0300", "a time that there is"


@pytest.mark.parametrize("evening", ["2026-04-04T12:00", "2026-10-03T12:00"])
def test_the_midnight_behind_a_change_by_half_an_hour_is_due(evening: str) -> None:
    """cronsim's steps of an hour end at 00:30 then."""
    zone = ZoneInfo("Australia/Lord_Howe")
    after = dt.datetime.fromisoformat(evening).replace(tzinfo=zone)
    found = next_due_times(Schedule(cron="*/30 0 * * *", timezone=str(zone)), after, 4)
    assert [f"{time:%H:%M}" for time in found] == ["00:00", "00:30"] * 2


@DAYS
@pytest.mark.parametrize(
    "cron", ["*/30 0 * * *", "45 * * * *", "15 */2 * * *", "*/7 2-4 * * *", "30 3 * * *"]
)
def test_from_any_minute_the_next_time_is_the_one_that_comes_on_the_way(
    day: ChangeDay, cron: str
) -> None:
    """So a restart changes nothing."""
    schedule = Schedule(cron=cron, timezone=day.zone)
    way = due_times(schedule, of(day.begin - 1))
    coming = next(way)
    for now in range(int(day.begin) - 1, int(day.end) + 7200, 660):
        while coming <= of(now):
            coming = next(way)
        assert next_due(schedule, of(now)) == coming, of(now)


def test_times_are_in_the_zone_of_the_schedule() -> None:
    schedule = Schedule(cron="15 3 * * *", timezone="Europe/Vilnius")
    assert [time.isoformat() for time in next_due_times(schedule, NOON, 2)] == [
        "2026-06-02T03:15:00+03:00",
        "2026-06-03T03:15:00+03:00",
    ]
    assert next_due_times(Schedule(cron="15 3 * * *"), NOON, 1)[0].isoformat().endswith("+00:00")


def test_of_what_was_missed_the_latest_is_due() -> None:
    hourly = Schedule(cron="0 * * * *")
    now = NOON + dt.timedelta(minutes=10)
    assert latest_due(hourly, NOON - dt.timedelta(days=400), now) == NOON
    assert latest_due(hourly, NOON, now) is None, "the border has been dealt with"
    assert latest_due(hourly, NOON - dt.timedelta(seconds=1), NOON) == NOON, "now is due"


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("0 9 * * *", "2026-06-01T09:00+00:00"),
        ("0 9 3 5 *", "2026-05-03T09:00+00:00"),
        ("0 9 29 2 *", "2024-02-29T09:00+00:00"),
        ("* * 1 6 *", "2026-06-01T12:00+00:00"),
    ],
)
def test_the_latest_is_found_however_long_ago_it_was(cron: str, due: str) -> None:
    since = NOON - dt.timedelta(days=1500)
    assert latest_due(Schedule(cron=cron), since, NOON) == dt.datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("cron", "day"),
    [
        ("0 0 L * *", "2026-06-30"),
        ("0 0 LW * *", "2026-06-30"),
        ("0 0 * * 5L", "2026-06-26"),
        ("0 0 * * mon#2", "2026-06-08"),
        ("0 0 13 * fri", "2026-06-05"),  # the 13th, and every Friday
        ("0 0 */13 * fri", "2026-08-14"),  # a star: the 1st, 14th or 27th if it is a Friday
        ("0 0 * * 7", "2026-06-07"),
        ("0 0 * feb,dec *", "2026-12-01"),
    ],
)
def test_days_are_those_of_debians_cron(cron: str, day: str) -> None:
    assert cron_fault(cron) is None
    due = next_due(Schedule(cron=cron), NOON)
    assert due is not None
    assert due.date().isoformat() == day


def test_what_makes_it_another_schedule_is_its_times_alone() -> None:
    one = Schedule(cron="0  3 * * *", timezone="Europe/Vilnius")
    same = Schedule(cron="0 3 * * * ", timezone="Europe/Vilnius", overlap="queue", missed="skip")
    assert times_of(one) == times_of(same)
    assert times_of(one) != times_of(Schedule(cron="0 3 * * *"))
    assert times_of(one) != times_of(Schedule(cron="0 4 * * *", timezone="Europe/Vilnius"))


@given(st.lists(st.text("0123456789*,-/#LWmonjab ²", max_size=6), min_size=4, max_size=6))
def test_any_text_is_either_told_or_has_a_next_time(fields: list[str]) -> None:
    text = " ".join(fields)
    if cron_fault(text) is None:
        assert next_due(Schedule(cron=text), NOON) is not None
