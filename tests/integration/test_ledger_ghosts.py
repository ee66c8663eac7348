"""What a worker may not do to the ledger whose attempt, or whose run, has gone on without it."""

from __future__ import annotations

import pytest

from siteferry.errors import UnknownRun
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Finish, Items
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Member, RunState
from tests.integration.test_ledger import NODE, OTHER, failed, new_run, planned, sent, sweep
from tests.private_redis import RedisServer

ACCOUNT = "u@h:21"


@pytest.fixture
def items(connection: Connection) -> Items:
    return Items(connection)


@pytest.fixture
def runs(connection: Connection) -> Runs:
    return Runs(connection)


@pytest.mark.parametrize("end", ["finish", "release"])
def test_who_has_lost_an_attempt_to_another_node_does_not_free_its_place(
    items: Items, runs: Runs, connection: Connection, end: str
) -> None:
    """Redis forgot the first claim, and the message came again. Were the second node to die then,
    nobody would look for its item."""
    one, _ = planned(items, runs)
    items.claim(one, NODE)
    connection.client.hdel(connection.keys.claims("run-1"), one.item)
    assert items.claim(one, OTHER)
    if end == "finish":
        items.finish(one, NODE, Finish(outcomes=[sent("a")]))
    else:
        items.release(one, NODE, [], 0, None, blameless=True)
    assert connection.client.hexists(connection.keys.window(ACCOUNT), str(one))
    assert Member("run-1", one.item, 2) in sweep(items, stale=-1)


def test_the_place_of_a_message_is_free_when_its_run_ends(
    items: Items, runs: Runs, connection: Connection
) -> None:
    """It may be lost, and with no run left nobody would ever look."""
    claimed, waits = planned(items, runs)
    items.claim(claimed, NODE)
    items.fail_run("run-1", "cancelled", None, spare_publish=True)
    window = connection.client.hkeys(connection.keys.window(ACCOUNT))
    assert window == [str(claimed)], "its worker does not know it yet"
    assert items.claim(waits, OTHER) is None


def test_who_ends_a_run_lets_nothing_in_and_the_sweeper_does(items: Items, runs: Runs) -> None:
    """`siteferry cancel` sends no messages: what it let in would wait until it counts as lost."""
    runs.start(new_run("run-1", target="1", limit=1))
    assert runs.start(new_run("run-2", target="2", limit=1)) == []
    assert items.fail_run("run-1", "cancelled", None, spare_publish=True) == []
    assert sweep(items, stale=60) == [Member("run-2", "plan", 1)]


def test_a_run_whose_first_claim_was_forgotten_is_being_planned_all_the_same(
    items: Items, runs: Runs, redis_server: RedisServer
) -> None:
    (plan,) = runs.start(new_run())
    assert items.report(plan, NODE, [])
    snapshot = runs.snapshot("run-1")
    assert snapshot.state is RunState.PLANNING
    assert snapshot.started is not None


def test_the_reply_to_who_has_ended_a_run_expires_with_it(
    items: Items, runs: Runs, connection: Connection
) -> None:
    (plan,) = runs.start(new_run())
    items.claim(plan, NODE)
    items.finish(plan, NODE, Finish(outcomes=[failed("a")], fields={"state": "transferring"}))
    assert runs.state("run-1") is RunState.INCOMPLETE
    assert connection.client.ttl(connection.keys.replies("run-1")) > 0


def test_nothing_is_noted_of_a_run_that_has_ended(items: Items, runs: Runs) -> None:
    runs.start(new_run())
    runs.warn_once("run-1", "chmod", "in time")
    runs.set_fields("run-1", {"publish_creates": 1, "seconds": 0.25, "name": "ü"})
    items.fail_run("run-1", "cancelled", None, spare_publish=True)
    before = runs.snapshot("run-1")
    runs.warn_once("run-1", "space", "too late")
    runs.set_fields("run-1", {"deleted": 5})
    assert runs.snapshot("run-1").warnings == ("in time",)
    assert runs.snapshot("run-1").deleted == before.deleted


def test_nothing_is_noted_of_a_run_that_redis_has_lost(runs: Runs, connection: Connection) -> None:
    """A hash with nothing but a note would be no run, and would stay for ever."""
    runs.warn_once("run-1", "chmod", "lost")
    runs.set_fields("run-1", {"adopts": "run-0"})
    assert connection.client.keys("*") == []
    with pytest.raises(UnknownRun):
        runs.snapshot("run-1")


def test_who_shares_an_address_is_not_remembered_for_ever(
    items: Items, runs: Runs, connection: Connection
) -> None:
    """Nobody looks at the accounts of an address when the last run was ended from outside."""
    runs.start(new_run())
    SlotLedger(connection).take(ACCOUNT, "ip", "1", most_account=2, most_address=2)
    sweep(items, stale=60)
    items.fail_run("run-1", "cancelled", None, spare_publish=True)
    assert connection.client.ttl(connection.keys.accounts_at("ip")) > 0
