"""Hundreds of runs are followed with a bounded number of questions to Redis."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from siteferry.cli.following import follow, poll_seconds
from siteferry.errors import RunLost
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Items
from siteferry.ledger.runs import NewRun, Runs
from siteferry.run import Direction, RunState, Snapshot

RUNS = 200


def enter(connection: Connection, count: int = RUNS) -> list[str]:
    names = [f"run-{n:03}" for n in range(count)]
    for name in names:
        Runs(connection).start(
            NewRun(name, name, Direction.IMPORT, f"{name}@host:21", name, 8, "hold", {})
        )
    return names


def questions(connection: Connection) -> dict[str, int]:
    """How often Redis has carried out what, so far."""
    told = connection.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in told.items()}


@dataclass
class Passing:
    """Time that passes when somebody sleeps: at each look, a share of the runs ends."""

    connection: Connection
    names: list[str]
    at_once: int
    slept: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        # Three looks, then an end.
        if len(self.slept) % 3 == 0:
            for _ in range(min(self.at_once, len(self.names))):
                Items(self.connection).fail_run(
                    self.names.pop(), RunState.CANCELLED, None, spare_publish=True
                )


def followed(connection: Connection, names: list[str], passing: Passing) -> list[Snapshot]:
    return follow(connection, names, json=False, quiet=True, check=lambda: None, sleep=passing)


def test_following_200_runs_reads_each_once_a_look_and_its_details_once(
    connection: Connection,
) -> None:
    names = enter(connection)
    passing = Passing(connection, list(names), at_once=50)
    connection.client.zadd(connection.keys.nodes(), {"worker": 2**40})
    before = questions(connection)
    ended = followed(connection, names, passing)
    after = questions(connection)
    asked = {name: after[name] - before.get(name, 0) for name in after}
    assert [snapshot.run for snapshot in ended] == names
    assert {snapshot.state for snapshot in ended} == {RunState.CANCELLED}
    looks = len(passing.slept) + 1
    assert looks == 13
    live = 4 * 200 + 3 * 150 + 3 * 100 + 3 * 50
    assert asked["hscan"] == asked["lrange"] == RUNS, "details of each once"
    assert asked["hgetall"] == live + 2 * RUNS, "and at its end each run with its workers"
    # Of the worker's heartbeat two questions a look, however many runs there are.
    assert asked["zrangebyscore"] <= looks


def test_hundreds_of_runs_are_one_round_trip_a_look(connection: Connection) -> None:
    names = enter(connection)
    trips: list[int] = []
    original = connection.call

    class Counting(Connection):
        def call(self, action):  # type: ignore[no-untyped-def]
            trips.append(1)
            return original(action)

    counting = Counting(
        connection.client, connection.keys, connection.patience_seconds, connection.scripts
    )
    passing = Passing(connection, list(names), at_once=RUNS)
    connection.client.zadd(connection.keys.nodes(), {"worker": 2**40})
    followed(counting, names, passing)
    looks = len(passing.slept) + 1
    assert len(trips) <= 3 * looks + RUNS


def test_many_runs_are_looked_at_less_often() -> None:
    def a_second(live: int, looks: int = 1000) -> float:
        return live / poll_seconds(looks, live)

    assert poll_seconds(1, 1) == 0.025
    assert poll_seconds(1000, 1) == poll_seconds(1000, 20) == 0.1
    assert [a_second(live) for live in (40, 200, 400)] == pytest.approx([200.0] * 3)
    assert poll_seconds(1000, 200) == pytest.approx(1.0)
    assert poll_seconds(1000, 5000) == 2.0, "the screen must not stand still"


def test_snapshots_of_many_are_those_of_each(connection: Connection) -> None:
    names = enter(connection, 3)
    runs = Runs(connection)
    runs.set_fields(names[1], {"transferred": 7, "state": "transferring"})
    together = runs.snapshots([*names, "unknown"])
    assert list(together) == names
    assert together[names[1]].transferred == 7
    for name in names:
        alone = runs.snapshot(name, details=False)
        assert together[name].state is alone.state
        assert together[name].site == alone.site
        assert abs(together[name].now - alone.now) < 60


def test_a_run_that_the_ledger_has_lost_ends_the_command(connection: Connection) -> None:
    names = enter(connection, 2)

    def lose(_seconds: float) -> None:
        connection.client.delete(connection.keys.run(names[1]))

    with pytest.raises(RunLost, match=names[1]):
        follow(connection, names, json=False, quiet=True, check=lambda: None, sleep=lose)
