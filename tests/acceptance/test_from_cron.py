"""Imports from cron: nothing but errors is printed, and an import that goes on is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Items
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from tests.installation import Installation, Outcome
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FLAGS = ("--detach", "--if-not-running", "--quiet")


@pytest.fixture
def site(pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path) -> Installation:
    made = Installation(tmp_path, redis=redis_server.url)
    for name in ("shop-a", "shop-b", "blog"):
        made.add_site(pyftpd_server, name, remote=name, website={"name": name, "groups": ["g"]})
    return made


def sites(connection: Connection) -> list[str]:
    runs = Runs(connection)
    return sorted(runs.snapshot(run).site for run in runs.latest())


def is_silent(outcome: Outcome) -> bool:
    return (outcome.code, outcome.output) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["blog"], ["blog"]),
        (["shop-*"], ["shop-a", "shop-b"]),
        (["blog", "shop-a"], ["blog", "shop-a"]),
        (["--group", "g"], ["blog", "shop-a", "shop-b"]),
        (["--all"], ["blog", "shop-a", "shop-b"]),
    ],
)
def test_each_is_started_once_and_nothing_is_printed(
    arguments: list[str], chosen: list[str], site: Installation, connection: Connection
) -> None:
    for _ in range(2):
        assert is_silent(site.run("import", *arguments, *FLAGS))
        assert sites(connection) == chosen
    for run in Runs(connection).latest():
        Items(connection).fail_run(run, RunState.CANCELLED, None, spare_publish=False)
    assert is_silent(site.run("import", *arguments, *FLAGS))
    assert sites(connection) == sorted(chosen * 2)


def test_of_many_a_broken_one_is_told_and_all_others_are_started(
    site: Installation, connection: Connection
) -> None:
    (site.folder / "config/websites/shop-a.yaml").write_text("ftp: {hostt: x}\n")
    assert is_silent(site.run("import", "shop-b", *FLAGS))
    outcome = site.run("import", "--all", *FLAGS)
    assert outcome.code == 2
    assert outcome.stdout == ""
    lines = outcome.stderr.splitlines()
    assert "shop-a: config/websites/shop-a.yaml:1: ftp.hostt: is not a known key" in lines[-1]
    assert all(line.startswith("shop-a: ") for line in lines)
    assert sites(connection) == ["blog", "shop-b"]


def test_without_quiet_a_person_is_told_the_runs_and_what_is_under_way(
    site: Installation, connection: Connection
) -> None:
    first = site.run("import", "blog", "--detach", "--if-not-running")
    assert [first.stdout.strip()] == Runs(connection).latest()
    again = site.run("import", "blog", "--detach", "--if-not-running")
    assert (again.code, again.stdout) == (0, "")
    assert "holds the target of blog" in again.stderr
    many = site.run("import", "--all", "--detach", "--if-not-running")
    assert len(many.stdout.split()) == 2
    assert many.stderr.strip() == "a run is under way already for blog"


def test_a_redis_that_is_away_is_an_error(site: Installation, redis_server: RedisServer) -> None:
    site.configure(redis={"patience_seconds": 0})
    redis_server.stop()
    outcome = site.run("import", "--all", *FLAGS)
    assert outcome.code == 7
    assert "Redis cannot be reached" in outcome.stderr
