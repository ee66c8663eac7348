"""`siteferry schedule list`: with a Redis, with the private server, for some of the websites."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.ledger.connection import Connection
from tests.installation import Installation
from tests.private_redis import RedisServer
from tests.scheduling import Place, at


@pytest.fixture
def place(connection: Connection, tmp_path: Path) -> Place:
    return Place(tmp_path, connection)


def command(place: Place, redis: RedisServer | None) -> Installation:
    """The command on the configuration of `place`."""
    installation = Installation(place.folder / "other", redis=redis.url if redis else None)
    websites = str(place.folder / "config/websites")
    installation.configure(paths={"websites": websites})
    return installation


def test_every_schedule_is_listed_with_what_became_of_it(
    place: Place, redis_server: RedisServer
) -> None:
    place.write("daily", "15 3 * * *", timezone="America/New_York")
    place.write("none", None)
    place.write("refused", "* * * * *", text=', "keep_previous": 2')
    place.write("waits", "* * * * *", overlap="queue")
    scheduler = place.scheduler()
    for time in ("00:00:30", "00:01:00", "00:02:00"):
        scheduler.turn(at(time))
    place.file("wrong").write_text("schedule: {cron: x}\n")
    site = command(place, redis_server)
    outcome = site.run("schedule", "list", "--next", "2")
    assert outcome.code == 0, outcome.output
    header, *lines = outcome.stdout.splitlines()
    assert header.split()[0] == "SITE"
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "daily", "refused", "waits", "wrong"
    ]  # fmt: skip
    assert len(lines) == 4 + 3
    text = outcome.stdout
    assert "America/New_York" in text
    assert "03:15 -0" in text
    assert "refused: website refused: this version does not do keep_previous yet" in text
    assert "due Mon 2026-06-01 00:02 +0000, waits for run " in text
    assert "not scheduled: " in text
    assert "schedule.cron: must be five fields" in text

    some = site.run("schedule", "list", "da*", "wrong", "--json", "--next", "3").json
    assert [one["site"] for one in some] == ["daily", "wrong"]
    assert len(some[0]["next"]) == 3
    assert some[0]["last"] is None, "nothing was due yet"
    assert "five fields" in some[1]["error"]


def test_it_works_with_the_private_server_and_without_any_schedule(place: Place) -> None:
    site = command(place, None)
    outcome = site.run("schedule", "list")
    assert (outcome.code, outcome.output) == (0, "no website has a schedule\n")
    place.write("a", "0 4 * * *")
    (one,) = site.run("schedule", "list", "--json").json
    assert (one["site"], one["cron"], one["last"]) == ("a", "0 4 * * *", None)


def test_a_website_that_there_is_not_is_an_error(place: Place, redis_server: RedisServer) -> None:
    place.write("example", "0 4 * * *")
    outcome = command(place, redis_server).run("schedule", "list", "exampel")
    assert outcome.code == 2
    assert "Did you mean example?" in outcome.stderr
