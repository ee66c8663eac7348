"""What stands in Redis after real runs, and while one lasts, is what the table in keys.py says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from siteferry.errors import UnknownRun
from siteferry.ledger import keys as table
from siteferry.ledger import slots
from siteferry.ledger.connection import connect
from siteferry.ledger.items import Items
from siteferry.ledger.keys import LIVE_SECONDS
from siteferry.ledger.runs import Runs
from siteferry.ledger.schedules import Due, DueOutcome, Schedules
from siteferry.run import RunState
from tests.acceptance.test_two_workers import wait_for_workers
from tests.installation import Installation, put_on_server, write_tree
from tests.integration.test_broker_guards import wait_for
from tests.integration.test_ledger import new_run
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer, remove_tree

HOUR, DAY = 3600, 86400


@dataclass(frozen=True)
class Row:
    """A line of the table; capitals in the key stand for what differs."""

    key: str
    type: str
    lifetime: str

    def matches(self, name: str) -> bool:
        pattern = re.sub(r"\b[A-Z]\b", ".+", re.escape(self.key))
        # kombu puts the priority behind the name of a queue.
        return re.fullmatch(rf"{pattern}(\x06\x16\d)?", name) is not None

    @property
    def expires(self) -> bool:
        return not self.lifetime.startswith("none")


def rows() -> list[Row]:
    lines = re.findall(r"^\| (.*) \|$", table.__doc__ or "", re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    found = [Row(key, kind, lifetime) for key, kind, _, lifetime in cells if key[0] not in "-k"]
    # The most particular first: `run:R:items` before `run:R`.
    return sorted(found, key=lambda row: -len(re.sub(r"\b[A-Z]\b", "", row.key)))


def differences(redis: RedisServer) -> Iterator[str]:
    with redis.client() as client:
        for raw in client.keys("*"):
            name = raw.decode()
            kind, lives = client.type(raw).decode(), int(client.pttl(raw))
            if kind == "none":
                continue  # it has gone meanwhile
            row = next((r for r in rows() if r.matches(name.removeprefix("siteferry:"))), None)
            if row is None:
                yield f"{name} ({kind}) is not in the table"
            elif kind != row.type:
                yield f"{name} is a {kind}, and {row.key} a {row.type}"
            elif (lives >= 0) != row.expires:
                yield f"{name}: time to live {lives} ms, and {row.key}: {row.lifetime}"


def test_the_table_has_a_type_and_a_lifetime_for_every_key() -> None:
    assert len(rows()) > 40
    assert {row.type for row in rows()} <= {"hash", "list", "set", "zset", "string"}
    assert all(row.lifetime for row in rows())


def test_python_and_lua_mean_the_same_times() -> None:
    names = Path(table.__file__).parent / "lua/shared/names.lua"
    found = re.findall(r"^local (\w+_SECONDS) = ([\d. *]+)$", names.read_text(), re.MULTILINE)
    in_lua = {name: math.prod(float(factor) for factor in text.split("*")) for name, text in found}
    in_python = vars(table) | vars(slots)
    both = in_lua.keys() & in_python.keys()
    assert both >= {"LEASE_SECONDS", "LEASES_SECONDS", "LIVE_SECONDS", "SETTLING_SECONDS"}
    assert {name: in_lua[name] for name in both} == {name: in_python[name] for name in both}


@pytest.mark.slow
def test_every_key_is_in_the_table_with_its_type_and_lifetime(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path, redis=redis_server.url)
    site.configure(batch={"files": 5}, redis={"keep_runs": "2h"})
    write_tree(
        site.add_site(pyftpd_server, delete={"mode": "published"}),
        {f"{n % 3}/page-{n}.html": f"<p>{n}" for n in range(40)},
    )
    write_tree(
        site.add_site(pyftpd_server, "slow", remote="slow", bandwidth="4k"),
        {"large.bin": b"x" * 400_000, "small.txt": "x"},
    )
    write_tree(
        site.add_site(
            pyftpd_server, "wrong", remote="wrong", password="no", ftp={"username": "stranger"}
        ),
        {"a": "a"},
    )
    put_on_server(pyftpd_server, {"0/page-0.html/inner.txt": "in the way"})
    with site.process("worker", "--events"):
        wait_for_workers(redis_server, 1)
        assert sorted(differences(redis_server)) == []
        first = site.run("import", "example", "--json", "--quiet")
        assert first.code == 1, first.output
        assert sorted(differences(redis_server)) == [], "of a run with failures"
        remove_tree(pyftpd_server.root / "public_html/0/page-0.html")
        assert site.run("retry", first.json["run"]).code == 0
        assert site.run("import", "wrong").code == 3
        assert site.run("plan", "example").code == 0

        connection = connect(redis_server.url)
        live = site.run("import", "slow", "--detach").stdout.strip()
        parts = connection.keys.parts(live)
        wait_for("no part stands", lambda: connection.client.exists(parts) == 1)
        assert sorted(differences(redis_server)) == [], "while a run lasts"
        assert connection.client.ttl(connection.keys.run(live)) > LIVE_SECONDS - DAY
        assert site.run("cancel", live).code == 0
        wait_for("the worker goes on", lambda: connection.client.exists("siteferry:unacked") == 0)
        schedules = Schedules(connection)
        schedules.begin("example", "0 3 * * * UTC", 1000.5)
        schedules.settle(Due("example", 2000, "0 3 * * * UTC"), DueOutcome.MISSED)
        assert sorted(differences(redis_server)) == [], "after all"
        for run in Runs(connection).latest():
            for key in connection.client.scan_iter(f"{connection.keys.run(run)}*"):
                assert connection.client.pttl(key) <= 2 * HOUR * 1000, key
            assert connection.client.ttl(connection.keys.run(run)) > 2 * HOUR - 120
        connection.client.close()


def test_a_run_is_kept_for_as_long_as_was_said_when_it_began(redis_server: RedisServer) -> None:
    short = connect(redis_server.url, keep_seconds=DAY)
    runs, items = Runs(short), Items(short)
    runs.start(new_run("run-1"))
    assert short.client.ttl(short.keys.run("run-1")) > LIVE_SECONDS - 60, "it lives"
    short.client.close()

    other = connect(redis_server.url, keep_seconds=90 * DAY)
    items = Items(other)
    items.fail_run("run-1", RunState.FAILED, None, spare_publish=False)
    for name in (other.keys.run("run-1"), other.keys.attempts("run-1")):
        assert DAY - 60 < other.client.ttl(name) <= DAY
    Runs(other).start(new_run("run-2"))
    items.fail_run("run-2", RunState.FAILED, None, spare_publish=False)
    assert other.client.ttl(other.keys.run("run-2")) > 89 * DAY
    other.client.close()


def test_the_list_of_runs_loses_those_that_have_expired(redis_server: RedisServer) -> None:
    connection = connect(redis_server.url, keep_seconds=1)
    runs = Runs(connection)
    runs.start(new_run("run-1"))
    Items(connection).fail_run("run-1", RunState.FAILED, None, spare_publish=False)
    wait_for("it does not expire", lambda: runs.state("run-1") is None, seconds=10)
    assert runs.latest() == ["run-1"]
    runs.start(new_run("run-2"))
    assert runs.latest() == ["run-2"]
    connection.client.close()


def test_what_is_noted_of_a_run_that_is_gone_does_not_bring_it_back(
    redis_server: RedisServer,
) -> None:
    connection = connect(redis_server.url)
    runs = Runs(connection)
    runs.set_fields("gone", {"publishing_since": 1.5})
    runs.warn_once("gone", "the lock", "text")
    with pytest.raises(UnknownRun):
        runs.snapshot("gone")
    assert connection.client.keys("*") == []
    connection.client.close()


def test_keys_that_come_late_expire_with_their_run(redis_server: RedisServer) -> None:
    """Where all processes die, nobody ends the run: nothing of it may stay for ever."""
    connection = connect(redis_server.url)
    runs, items = Runs(connection), Items(connection)
    (member,) = runs.start(new_run("run-1"))
    connection.client.expire(connection.keys.run("run-1"), 10 * DAY)
    assert items.claim(member, "node-a") is not None
    assert connection.client.ttl(connection.keys.run("run-1")) > LIVE_SECONDS - 60
    assert connection.client.ttl(connection.keys.claims("run-1")) > LIVE_SECONDS - 60
    connection.client.close()
