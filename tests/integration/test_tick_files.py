"""The tick and the website files: edited, removed, broken, absent for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.ledger.connection import Connection
from tests.scheduling import Place, at, turns


@pytest.fixture
def place(connection: Connection, tmp_path: Path) -> Place:
    return Place(tmp_path, connection)


def test_an_edited_schedule_counts_from_its_edit(place: Place) -> None:
    place.write("a", "0 4 * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("02:00:00"))
    place.write("a", "0 1,3 * * *")
    turns(place, "02:30:00", "04:30:00", scheduler)
    assert place.started() == ["03:00"]


def test_an_edit_within_the_last_half_minute_may_be_due_at_once(place: Place) -> None:
    place.write("a", "0 4 * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("01:59:30"))
    place.write("a", "0 2 * * *")
    place.write("b", "0 2 * * *")
    scheduler.turn(at("02:00:00"))
    assert place.started("a") == place.started("b") == ["02:00"]


def test_schedulers_with_different_versions_of_a_file_do_not_reset_each_other(
    place: Place, tmp_path: Path
) -> None:
    other = Place(tmp_path / "other", place.connection)
    place.write("a", "0 * * * *")
    other.write("a", "0,20 * * * *")
    one, two = place.scheduler(), other.scheduler()
    turns(place, "00:50:00", "02:30:00", one, two)
    assert place.started() == ["01:00", "01:20", "02:00", "02:20"]
    turns(place, "02:59:30", "03:10:00", one)
    two.turn(at("03:40:00"))
    assert place.started()[-2:] == ["03:00", "03:20"], "what it missed itself is made up for"


def test_a_website_that_is_gone_for_a_while_is_not_made_up_for(place: Place) -> None:
    place.write("a", "0 * * * *")
    place.write("other", None)
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    place.file("a").unlink()
    turns(place, "00:59:30", "01:00:30", scheduler)
    place.write("a", "0 * * * *")
    turns(place, "01:30:00", "02:00:30", scheduler)
    assert place.started() == ["02:00"]
    place.write("a", None)
    turns(place, "02:59:30", "03:00:30", scheduler)
    place.write("a", "0 * * * *")
    turns(place, "03:30:00", "04:00:30", place.scheduler())
    assert place.started() == ["02:00", "04:00"]


def test_a_file_that_is_absent_at_the_very_tick_loses_no_due_time(place: Place) -> None:
    """As while a checkout or an editor removes it and writes it anew."""
    place.write("a", "0 * * * *", missed="skip")
    place.write("other", None)
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    for hour in ("01", "02"):
        place.file("a").unlink()
        turns(place, f"{hour}:00:00", f"{hour}:00:30", scheduler)
        place.write("a", "0 * * * *", missed="skip")
        turns(place, f"{hour}:01:00", f"{hour}:01:30", scheduler)
    assert place.started() == ["01:00", "02:00"]


def test_a_folder_that_is_empty_for_a_while_loses_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """As one on which a volume is mounted, while it is not."""
    for name in ("a", "b"):
        place.write(name, "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    for name in ("a", "b"):
        place.file(name).unlink()
    turns(place, "00:59:30", "01:10:00", scheduler)
    assert caplog.text.count("nothing is scheduled") == 1
    for name in ("a", "b"):
        place.write(name, "0 * * * *")
    scheduler.turn(at("01:20:00"))
    assert place.started() == ["01:00", "01:00"]


def test_a_broken_file_is_told_once_and_made_up_for_when_it_is_mended(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "0 * * * *")
    place.write("b", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    place.file("a").write_text("ftp: {hostt: x}\n")
    turns(place, "00:59:30", "01:01:00", scheduler)
    assert place.started() == ["01:00"], "b"
    assert scheduler.files.parsed == 3
    assert caplog.text.count("a website is not scheduled") == 1
    place.write("a", "0 * * * *")
    scheduler.turn(at("01:20:00"))
    assert place.started("a") == ["01:00"]


def test_a_folder_that_is_away_starts_nothing_and_forgets_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a", "0 * * * *")
    scheduler = place.scheduler()
    scheduler.turn(at("00:30:00"))
    folder = place.folder / "config/websites"
    folder.rename(place.folder / "away")
    turns(place, "00:59:30", "01:01:00", scheduler)
    assert place.started() == []
    assert caplog.text.count("nothing is scheduled") == 1
    (place.folder / "away").rename(folder)
    scheduler.turn(at("01:20:00"))
    assert place.started() == ["01:00"]
