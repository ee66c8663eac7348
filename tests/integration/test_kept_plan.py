"""What a plan leaves in the ledger comes back whole, however much of it there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import Runs
from tests.private_redis import RedisServer

TREE = {"directories": [""], "previous": []}


@pytest.fixture
def runs(connection: Connection) -> Runs:
    return Runs(connection)


def parts(count: int) -> dict[str, str]:
    return {f"directory-{number}": f'{{"a":[{number},"x",null]}}' for number in range(count)}


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 1000, 1001])
def test_every_part_of_the_last_manifest_comes_back_once(runs: Runs, count: int) -> None:
    runs.keep_plan("R", iter(parts(count).items()), TREE)
    rows = list(runs.all_previous_parts("R"))
    assert len(rows) == count
    assert dict(rows) == parts(count)
    assert runs.tree("R") == TREE


def test_a_second_attempt_at_the_plan_replaces_what_the_first_has_kept(runs: Runs) -> None:
    runs.keep_plan("R", parts(600).items(), TREE)
    runs.keep_plan("R", parts(3).items(), {**TREE, "previous": ["a"]})
    assert dict(runs.all_previous_parts("R")) == parts(3)
    assert runs.tree("R")["previous"] == ["a"]


def test_a_plan_that_breaks_off_leaves_nothing_that_stays(
    runs: Runs, connection: Connection
) -> None:
    def broken() -> Iterator[tuple[str, str]]:
        yield from parts(600).items()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs.keep_plan("R", broken(), TREE)
    client, keys = connection.client, connection.keys
    assert client.ttl(keys.previous("R")) != -1
    assert runs.tree("R") == {}


def test_reading_goes_on_where_it_was_when_redis_is_restarted(
    redis_server: RedisServer, runs: Runs
) -> None:
    """A cursor would not: the new process orders the same hash otherwise."""
    runs.keep_plan("R", parts(1000).items(), TREE)
    reading = runs.all_previous_parts("R")
    first = [next(reading) for _ in range(300)]
    redis_server.restart()
    assert dict([*first, *reading]) == parts(1000)


def test_every_outcome_comes_back_with_its_facts(runs: Runs, connection: Connection) -> None:
    rows = {f"path-{number}": f'{{"staged":["n",{number},"x",null]}}' for number in range(501)}
    connection.client.hset(connection.keys.outcomes("R"), mapping=rows)
    outcomes = dict(runs.outcomes("R"))
    assert len(outcomes) == 501
    assert outcomes["path-500"] == {"staged": ["n", 500, "x", None]}
    assert list(runs.outcomes("another run")) == []
