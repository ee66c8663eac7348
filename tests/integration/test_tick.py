"""The tick on a real ledger: each due time is dealt with once, whatever becomes of schedulers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scheduler.start import start_due
from scheduler.tick import LATE_SECONDS
from siteferry.errors import TargetHeld
from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import SCHEDULE_SECONDS
from siteferry.ledger.schedules import Due, DueOutcome
from siteferry.websites import load_website
from tests.inline import Queue
from tests.scheduling import Place, at, turns


@pytest.fixture
def place(connection: Connection, tmp_path: Path) -> Place:
    return Place(tmp_path, connection)


def test_each_due_time_is_started_once_by_any_number_of_schedulers(place: Place) -> None:
    place.write("a", "*/2 * * * *")
    place.write("b", "5 3 * * *", timezone="Europe/Vilnius")
    turns(place, "00:00:00", "00:06:30", place.scheduler(), place.scheduler(), place.scheduler())
    assert place.started("a") == ["00:02", "00:04", "00:06"]
    assert place.started("b") == ["00:05"]


def test_a_schedule_that_is_new_starts_nothing_of_the_past(place: Place) -> None:
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("12:00:01"))
    assert place.started() == []
    scheduler.turn(at("13:00:00"))
    assert place.started() == ["13:00"]


def test_what_was_missed_while_no_scheduler_ran_is_made_up_for_by_one_run(place: Place) -> None:
    place.write("a", "0 * * * *")
    place.scheduler().turn(at("02:30:00"))
    late = place.scheduler()
    late.turn(at("09:17:20"))
    late.turn(at("09:17:30"))
    assert place.started() == ["09:00"]
    assert place.facts("a").until == at("09:00:00")


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(LATE_SECONDS, DueOutcome.STARTED), (LATE_SECONDS + 1, DueOutcome.MISSED)],
)
def test_with_missed_skip_only_what_is_late_is_left_out(
    place: Place, seconds: int, outcome: DueOutcome
) -> None:
    place.write("a", "0 * * * *", missed="skip")
    place.scheduler().turn(at("02:30:00"))
    scheduler = place.scheduler()
    scheduler.turn(at("09:00:00") + seconds)
    last = place.facts("a").last
    assert last is not None
    assert (last.due, last.outcome) == (at("09:00:00"), outcome)
    place.end_runs()
    scheduler.turn(at("10:00:00"))
    assert place.started()[-1] == "10:00"


def test_while_a_run_goes_on_a_due_time_is_skipped_and_told(place: Place) -> None:
    place.write("a", "* * * * *")
    scheduler = place.scheduler()
    for time in ("00:00:30", "00:01:00", "00:01:30", "00:02:00"):
        scheduler.turn(at(time))
    (run,) = place.runs.latest()
    last = place.facts("a").last
    assert last is not None
    assert (last.outcome, last.due, last.run) == (DueOutcome.SKIPPED, at("00:02:00"), run)
    place.end_runs()
    scheduler.turn(at("00:02:30"))
    assert place.started() == ["00:01"], "what was skipped is dealt with"


def test_with_overlap_queue_it_waits_and_several_become_one_run(place: Place) -> None:
    place.write("a", "* * * * *", overlap="queue", missed="skip")
    first, second = place.scheduler(), place.scheduler()
    for time in ("00:00:30", "00:01:00", "00:02:00", "00:03:00", "00:04:00"):
        first.turn(at(time))
        second.turn(at(time))
    (run,) = place.runs.latest()
    facts = place.facts("a")
    assert (facts.until, facts.waits, facts.holder) == (at("00:01:00"), at("00:04:00"), run)
    place.write("a", "* * * * *", overlap="queue", missed="skip", text=" ")
    place.end_runs()
    first.turn(at("00:04:30"))
    second.turn(at("00:04:30"))
    assert place.started() == ["00:01", "00:04"]
    assert place.facts("a").waits is None


def test_what_waits_for_long_is_not_missed(place: Place) -> None:
    place.write("a", "0 * * * *", overlap="queue", missed="skip")
    scheduler = place.scheduler()
    for time in ("00:30:00", "01:00:00", "02:00:00", "02:20:00"):
        scheduler.turn(at(time))
    place.end_runs()
    place.scheduler().turn(at("02:40:00"))
    assert place.started() == ["01:00", "02:00"]


def test_a_scheduler_that_was_paused_with_a_due_time_in_its_hand_starts_nothing(
    place: Place,
) -> None:
    place.write("a", "* * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:00:30"))
    website = load_website("a", scheduler.files.settings, {})
    old = Due("a", int(at("00:01:00")), "* * * * * UTC")
    turns(place, "00:01:00", "00:03:00", scheduler)
    assert start_due(place.connection, Queue(), website, old) is None  # type: ignore[arg-type]
    assert place.started() == ["00:01", "00:02", "00:03"]


def test_where_the_reply_of_a_start_is_lost_the_repeat_is_no_second_start(place: Place) -> None:
    place.write("a", "* * * * *")
    scheduler = place.scheduler()
    website = load_website("a", scheduler.files.settings, {})
    script = place.connection.scripts["start"]

    def twice(args: list[object]) -> object:
        script(args=args)
        return script(args=args)

    place.connection.scripts["start"] = twice
    due = Due("a", int(at("00:01:00")), "* * * * * UTC")
    run = start_due(place.connection, Queue(), website, due)  # type: ignore[arg-type]
    assert place.runs.latest() == [run]
    last = place.facts("a").last
    assert last is not None
    assert (last.outcome, last.run) == (DueOutcome.STARTED, run)


def test_a_run_that_cannot_be_started_is_refused_with_its_reason_once(place: Place) -> None:
    place.write("a", "* * * * *")
    place.write("b", "* * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:00:30"))
    place.write("a", "* * * * *", text=', "keep_previous": 3')
    scheduler.turn(at("00:01:00"))
    last = place.facts("a").last
    assert last is not None
    assert last.outcome is DueOutcome.REFUSED
    assert "does not do keep_previous" in last.reason
    assert place.started() == ["00:01"], "b"


def test_an_unexpected_error_of_one_website_stops_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        place.write(name, "* * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:00:30"))

    def fails(connection: object, broker: object, website: object, due: Due) -> str | None:
        if due.site == "b":
            raise ZeroDivisionError("secret-word")
        return start_due(connection, broker, website, due)  # type: ignore[arg-type]

    monkeypatch.setattr("scheduler.tick.start_due", fails)
    scheduler.turn(at("00:01:00"))
    assert (place.started("a"), place.started("c")) == (["00:01"], ["00:01"])
    last = place.facts("b").last
    assert last is not None
    assert last.outcome is DueOutcome.REFUSED
    assert "ZeroDivisionError" in last.reason
    assert "secret-word" not in last.reason


def test_what_is_dealt_with_never_goes_back(place: Place) -> None:
    schedules = place.schedules
    assert schedules.begin("a", "one", 100.5) == 100.5
    schedules.settle(Due("a", 160, "one"), DueOutcome.MISSED)
    schedules.settle(Due("a", 120, "one"), DueOutcome.REFUSED, "late")
    assert schedules.begin("a", "other", 130.0) == 160
    facts = place.facts("a")
    assert (facts.times, facts.until) == ("other", 160)
    assert facts.last is not None
    assert (facts.last.due, facts.last.outcome, facts.last.reason) == (160, DueOutcome.MISSED, "")


def test_what_is_known_lives_as_long_as_a_scheduler_looks_after_it(place: Place) -> None:
    place.write("a", "0 0 1 1 *")
    scheduler = place.scheduler()
    client, key = place.connection.client, place.connection.keys.schedule("a")
    scheduler.turn(at("00:00:00"))
    assert client.ttl(key) > SCHEDULE_SECONDS - 60
    client.expire(key, 1000)
    scheduler.turn(at("23:00:00"))
    assert client.ttl(key) <= 1000, "once a day is enough"
    scheduler.turn(at("00:00:00") + 86400)
    assert client.ttl(key) > SCHEDULE_SECONDS - 60


def test_a_clock_that_is_set_back_repeats_nothing(place: Place) -> None:
    place.write("a", "*/10 * * * *")
    scheduler = place.scheduler()
    turns(place, "00:05:00", "00:10:30", scheduler)
    turns(place, "00:02:00", "00:20:30", scheduler, place.scheduler())
    assert place.started() == ["00:10", "00:20"]


def test_200_websites_cost_no_reading_while_nothing_changes(place: Place) -> None:
    for number in range(200):
        place.write(f"site-{number:03}", f"{number % 60} 3 * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:00:00"))
    assert scheduler.files.parsed == 200
    with place.connection.client as client:
        before = client.info("stats")["total_commands_processed"]
        for minute in range(10):
            scheduler.turn(at(f"00:{minute + 1:02}:00"))
        commands = client.info("stats")["total_commands_processed"] - before
    assert scheduler.files.parsed == 200
    assert commands <= 10 * 202, "one question for each schedule, all of them in one message"
    place.write("site-007", "0 4 * * *")
    os.utime(place.file("site-008"), (1, 1))
    scheduler.turn(at("00:30:00"))
    assert scheduler.files.parsed == 202


def test_of_two_websites_with_one_target_the_second_is_skipped(place: Place) -> None:
    for name in ("a", "b"):
        place.write(name, "* * * * *")
        text = place.file(name).read_text().replace(f'"/{name}"', '"/same"')
        place.file(name).write_text(text)
    scheduler = place.scheduler()
    scheduler.turn(at("00:00:30"))
    scheduler.turn(at("00:01:00"))
    outcomes = [last.outcome for name in ("a", "b") if (last := place.facts(name).last)]
    assert outcomes == [DueOutcome.STARTED, DueOutcome.SKIPPED]


def test_a_run_by_hand_holds_off_the_one_that_is_due_and_the_reverse(place: Place) -> None:
    place.write("a", "* * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:00:30"))
    scheduler.turn(at("00:01:00"))
    website = load_website("a", scheduler.files.settings, {})
    due = Due("a", int(at("00:02:00")), "* * * * * UTC")
    with pytest.raises(TargetHeld):
        start_due(place.connection, Queue(), website, due)  # type: ignore[arg-type]
