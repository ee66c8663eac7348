"""A Redis that comes back without its last data, so without the run that was just started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler.following import AGAIN_SECONDS
from scheduler.start import start_due, start_import
from scheduler.tick import LATE_SECONDS, Ticker
from siteferry.ledger.connection import Connection
from siteferry.ledger.schedules import DueOutcome
from siteferry.websites import load_website
from tests.inline import Queue
from tests.private_redis import RedisServer
from tests.scheduling import Place, at, turns

UNKNOWN = "a due run is unknown to the ledger"
AGAIN = "a due run is lost by the ledger"


@pytest.fixture
def place(connection: Connection, tmp_path: Path) -> Place:
    return Place(tmp_path, connection)


def test_a_run_that_is_lost_when_it_has_just_been_started_is_started_again_once(
    place: Place, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "0 * * * *", missed="skip")
    one, other = place.scheduler(), place.scheduler()
    for scheduler in (one, other):
        scheduler.turn(at("00:30:00"))
    for scheduler in (one, other):
        scheduler.turn(at("01:00:00"))
    redis_server.flush()
    for time in ("01:00:30", "01:01:00", "01:06:30"):
        other.turn(at(time))
        one.turn(at(time))
    assert place.started() == ["01:00"]
    assert place.facts("a").until == at("01:00:00")
    assert caplog.text.count(AGAIN) == 1
    assert UNKNOWN not in caplog.text
    assert len(place.runs.latest()) == 1


def overtake(first: Ticker, second: Ticker, time: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn of both: the first one comes in between when the second has the due time in hand."""

    def held(*arguments: Any) -> str | None:
        monkeypatch.setattr("scheduler.tick.start_due", start_due)
        first.turn(at(time))
        return start_due(*arguments)

    monkeypatch.setattr("scheduler.tick.start_due", held)
    second.turn(at(time))


@pytest.mark.parametrize("in_hand", [True, False])
def test_a_scheduler_that_came_second_starts_it_again_where_the_first_is_gone(
    place: Place, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, in_hand: bool
) -> None:
    place.write("a", "0 * * * *")
    first, second = place.scheduler(), place.scheduler()
    for scheduler in (first, second):
        scheduler.turn(at("00:30:00"))
    if in_hand:
        overtake(first, second, "01:00:00", monkeypatch)
    else:
        first.turn(at("01:00:00"))
        second.turn(at("01:00:10"))
    assert place.started() == ["01:00"]
    redis_server.flush()
    second.turn(at("01:00:30"))
    assert place.started() == ["01:00"]


def test_a_ledger_that_comes_back_as_it_was_earlier_starts_again_what_it_has_lost(
    place: Place, redis_server: RedisServer
) -> None:
    """Also where the run had come to its end: an import once more sends nothing."""
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    turns(place, "00:30:00", "01:00:00", scheduler)
    with redis_server.client() as client:
        client.save()
    turns(place, "02:00:00", "02:00:00", scheduler)
    redis_server.stop()
    redis_server.start()
    turns(place, "02:00:30", "02:01:00", scheduler, place.scheduler())
    assert place.started() == ["01:00", "02:00"]
    assert place.facts("a").until == at("02:00:00")


def test_a_run_that_was_started_longer_ago_is_not_repeated_but_told(
    place: Place, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    scheduler.turn(at("01:00:00"))
    (run,) = place.runs.latest()
    redis_server.flush()
    late = at("01:00:00") + AGAIN_SECONDS + 1
    for seconds in (late, late + 30):
        scheduler.turn(seconds)
    assert place.started() == []
    assert place.facts("a").until == at("01:00:00"), "a scheduler that comes now knows it, too"
    assert caplog.text.count(UNKNOWN) == 1
    told = next(line for line in caplog.text.splitlines() if UNKNOWN in line)
    assert f"run={run}" in told
    assert "due=2026-06-01T01:00:00+00:00" in told


def test_a_scheduler_that_comes_before_it_is_noticed_makes_it_told_and_not_repeated(
    place: Place, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    scheduler.turn(at("01:00:00"))
    redis_server.flush()
    place.scheduler().turn(at("01:00:20"))
    scheduler.turn(at("01:00:30"))
    assert place.started() == []
    assert caplog.text.count(UNKNOWN) == 1
    scheduler.turn(at("02:00:00"))
    assert place.started() == ["02:00"]


def test_a_run_that_was_started_late_and_is_lost_has_not_been_missed(
    place: Place, redis_server: RedisServer
) -> None:
    place.write("a", "0 * * * *", missed="skip")
    place.scheduler().turn(at("00:30:00"))
    scheduler = place.scheduler()
    scheduler.turn(at("01:00:00") + LATE_SECONDS)
    redis_server.flush()
    scheduler.turn(at("01:00:00") + LATE_SECONDS + 30)
    assert place.started() == ["01:00"]


def test_a_run_that_is_there_is_not_started_again(place: Place) -> None:
    """Where the note alone is gone."""
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    turns(place, "01:00:00", "01:00:00", scheduler)
    place.connection.client.delete(place.connection.keys.schedule("a"))
    scheduler.turn(at("01:00:30"))
    assert place.started() == ["01:00"]
    assert place.facts("a").until == at("01:00:00")


def test_what_was_skipped_stays_skipped(
    place: Place, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("a", "0,1 * * * *")
    one, other = place.scheduler(), place.scheduler()
    for scheduler in (one, other):
        scheduler.turn(at("00:30:00"))
        scheduler.turn(at("01:00:00"))
    with redis_server.client() as client:
        client.save()
    overtake(one, other, "01:01:00", monkeypatch)
    other.turn(at("01:01:30"))
    last = place.facts("a").last
    assert last is not None
    assert last.outcome is DueOutcome.SKIPPED
    redis_server.stop()
    redis_server.start()
    place.end_runs()
    for scheduler in (other, one):
        scheduler.turn(at("01:02:00"))
    assert place.started() == ["01:00"]
    assert place.facts("a").until == at("01:01:00")


def test_what_is_due_again_waits_for_a_run_by_hand_however_long(
    place: Place, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "0 * * * *", overlap="queue", missed="skip")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    scheduler.turn(at("01:00:00"))
    redis_server.flush()
    website = load_website("a", scheduler.files.settings, {})
    start_import(place.connection, Queue(), website)  # type: ignore[arg-type]
    for time in ("01:00:30", "01:01:00", "01:09:00"):
        scheduler.turn(at(time))
    assert place.started() == []
    assert place.facts("a").waits == at("01:00:00")
    place.end_runs()
    turns(place, "01:10:30", "01:11:00", scheduler, place.scheduler())
    assert place.started() == ["01:00"]
    assert (caplog.text.count(AGAIN), caplog.text.count(UNKNOWN)) == (1, 0)


def test_a_ledger_that_has_lost_its_data_is_told_again_what_is_dealt_with(
    place: Place, redis_server: RedisServer
) -> None:
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    redis_server.flush()
    scheduler.turn(at("00:30:30"))
    assert place.facts("a").until == at("00:30:00")
    redis_server.flush()
    place.scheduler().turn(at("00:59:59"))
    scheduler.turn(at("01:00:00"))
    assert place.started() == ["01:00"]
