"""Schedulers whose clock is far ahead of Redis', which is the machine's own here."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scheduler.start import start_due
from siteferry.errors import ClockAhead
from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import AHEAD_SECONDS
from siteferry.ledger.schedules import Due, DueOutcome
from siteferry.websites import load_website
from tests.inline import Queue
from tests.scheduling import Place

HOUR = 3600


@pytest.fixture
def place(connection: Connection, tmp_path: Path) -> Place:
    return Place(tmp_path, connection)


@pytest.mark.parametrize("missed", ["run", "skip"])
def test_one_that_is_far_ahead_deals_with_nothing_for_the_others(
    place: Place, caplog: pytest.LogCaptureFixture, missed: str
) -> None:
    place.write("a", "* * * * *", missed=missed)
    right, ahead = place.scheduler(), place.scheduler()
    now = time.time()
    right.turn(now)
    for seconds in (0, 60):
        ahead.turn(now + 2 * HOUR + seconds)
    assert place.started() == []
    assert caplog.text.count("nothing is scheduled") == 1
    assert "7200 s ahead of Redis'" in caplog.text
    assert "clock is 7260 s ahead" in ahead.hindrance
    right.turn(now + 60)
    assert len(place.started()) == 1
    place.end_runs()
    ahead.turn(now + 120)
    assert len(place.started()) == 2, "its clock is right again"
    assert ahead.hindrance == ""


def test_one_that_is_far_ahead_begins_no_schedule(place: Place) -> None:
    place.write("a", "* * * * *")
    place.scheduler().turn(time.time() + 2 * HOUR)
    assert place.schedules.read(["a"]) == {}


def test_a_few_minutes_ahead_do_not_matter(place: Place) -> None:
    place.write("a", "* * * * *")
    scheduler = place.scheduler()
    now = time.time() + AHEAD_SECONDS - 120
    scheduler.turn(now)
    scheduler.turn(now + 60)
    assert len(place.started()) == 1
    assert place.facts("a").until > time.time() + AHEAD_SECONDS - 180


def test_the_step_in_redis_takes_no_due_time_that_is_far_ahead(place: Place) -> None:
    """Whatever the process believes: its clock may have been set since it looked."""
    place.write("a", "* * * * *")
    scheduler = place.scheduler()
    now = time.time()
    scheduler.turn(now)
    before = place.facts("a")
    website = load_website("a", scheduler.files.settings, {})
    due = Due("a", int(now + HOUR), before.times)
    with pytest.raises(ClockAhead, match="far ahead of Redis' clock"):
        start_due(place.connection, Queue(), website, due)  # type: ignore[arg-type]
    place.schedules.settle(due, DueOutcome.MISSED)
    assert place.facts("a") == before
    assert place.runs.latest() == []
    assert place.schedules.begin("a", before.times, now + HOUR) == pytest.approx(now, abs=60)


def test_what_was_noted_far_ahead_counts_as_now_and_is_told_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "* * * * *")
    now = time.time()
    place.scheduler().turn(now)
    key = place.connection.keys.schedule("a")
    place.connection.client.hset(key, "handled", now + 24 * HOUR)
    for seconds in (120, 180):
        place.scheduler().turn(now + seconds)
        place.end_runs()
    assert len(place.started()) == 2
    assert caplog.text.count("a schedule was dealt with far ahead") == 1
    assert place.facts("a").ahead_seconds == 0
