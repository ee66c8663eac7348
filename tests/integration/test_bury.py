"""What a dead worker process held is given out again in one step, on a real Redis."""

from __future__ import annotations

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Fate, Finish, Items
from siteferry.ledger.keys import LEASES_SECONDS
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Member
from tests.integration.test_ledger import NODE, OTHER, new_run, planned, sent
from tests.integration.test_ledger import items as items
from tests.integration.test_ledger import runs as runs


@pytest.fixture
def slots(connection: Connection) -> SlotLedger:
    return SlotLedger(connection)


def again(member: Member) -> Member:
    return Member(member.run, member.item, member.attempt + 1)


def test_what_a_killed_worker_had_claimed_is_given_out_again_and_counts_as_a_death(
    items: Items, runs: Runs, connection: Connection
) -> None:
    one, two = planned(items, runs)
    assert items.claim(one, NODE)
    assert items.claim(two, OTHER)
    assert items.bury(NODE, Fate.KILLED) == [again(one)]
    assert not items.report(one, NODE, [sent("a")])
    assert items.report(two, OTHER, [sent("b")])
    claim = items.claim(again(one), OTHER)
    assert claim is not None
    assert (claim.deaths, claim.fruitless) == (1, 0)
    last = connection.client.hget(connection.keys.run("run-1"), "last_error")
    assert "its worker has died" in last


def test_what_a_worker_held_that_has_ended_itself_is_not_at_fault(items: Items, runs: Runs) -> None:
    one, _ = planned(items, runs)
    items.claim(one, NODE)
    assert again(one) in items.bury(NODE, Fate.LEFT)
    claim = items.claim(again(one), OTHER)
    assert claim is not None
    assert claim.fruitless == 0


def test_progress_that_was_told_is_kept(items: Items, runs: Runs) -> None:
    one, _ = planned(items, runs)
    items.claim(one, NODE)
    items.report(one, NODE, [sent("a")])
    items.bury(NODE, Fate.KILLED)
    assert runs.snapshot("run-1").transferred == 1


def test_what_stood_in_its_own_queue_is_given_out_again(items: Items, runs: Runs) -> None:
    """The first of what follows a finished item is for the finisher; the shared ones are not."""
    own, shared = planned(items, runs)
    assert items.bury(NODE, Fate.KILLED) == [again(own)]
    assert items.claim(own, OTHER) is None
    claim = items.claim(again(own), OTHER)
    assert claim is not None
    assert claim.fruitless == 0, "it was never begun"
    assert items.claim(shared, OTHER) is not None


def test_a_worker_that_is_leaving_keeps_what_it_has_begun(
    items: Items, runs: Runs, slots: SlotLedger
) -> None:
    first, _ = planned(items, runs)
    items.claim(first, NODE)
    slots.take("u@h:21", "192.0.2.1", f"{NODE}.1", most_account=2, most_address=2)
    slots.beat(NODE, [])
    assert items.bury(NODE, Fate.LEAVING) == []
    assert items.report(first, NODE, [sent("a")])
    assert slots.used("u@h:21") == 1
    assert slots.nodes() == [NODE]


def test_a_worker_that_is_leaving_gives_back_what_it_has_not_begun(
    items: Items, runs: Runs
) -> None:
    own, _ = planned(items, runs)
    assert items.bury(NODE, Fate.LEAVING) == [again(own)]


def take(slots: SlotLedger, node: str, number: int) -> bool | None:
    """A connection of `node`, which the host admits."""
    token = f"{node}.{number}"
    taken = slots.take("u@h:21", "192.0.2.1", token, most_account=3, most_address=9)
    if taken:
        slots.admitted("u@h:21", "192.0.2.1", token)
    return taken


def test_its_leases_end_and_nobody_elses(slots: SlotLedger, items: Items) -> None:
    assert all([take(slots, NODE, 1), take(slots, NODE, 2), take(slots, OTHER, 1)])
    assert not take(slots, OTHER, 2)
    items.bury(NODE, Fate.KILLED)
    assert slots.used("u@h:21") == 1
    assert slots.others("u@h:21", f"{OTHER}.1") == 0
    assert all([take(slots, OTHER, 2), take(slots, OTHER, 3)])
    assert not take(slots, OTHER, 4)


def test_a_lease_that_was_given_back_is_forgotten(
    slots: SlotLedger, connection: Connection
) -> None:
    node = "host.example-1-ab"
    take(slots, node, 1)
    key = connection.keys.leases(node)
    assert connection.client.hlen(key) == 1
    assert 0 < connection.client.ttl(key) <= LEASES_SECONDS
    slots.free("u@h:21", "192.0.2.1", f"{node}.1")
    assert not connection.client.exists(key)
    take(slots, node, 2)
    slots.refused("u@h:21", "192.0.2.1", f"{node}.2", told=None, whose=None)
    assert not connection.client.exists(key)


def test_a_lease_that_a_restarted_redis_has_lost_is_known_again(
    slots: SlotLedger, items: Items, connection: Connection
) -> None:
    take(slots, NODE, 1)
    connection.client.flushall()
    lease = ("u@h:21", "192.0.2.1", f"{NODE}.1")
    slots.beat(NODE, [lease], slots.beat(NODE, [lease]))
    assert slots.used("u@h:21") == 1
    items.bury(NODE, Fate.KILLED)
    assert slots.used("u@h:21") == 0


def test_it_is_no_worker_any_more_and_sweeps_no_more(
    items: Items, slots: SlotLedger, connection: Connection
) -> None:
    slots.beat(NODE, [])
    slots.beat(OTHER, [])
    sweep = {"stale_seconds": 5.0, "lost_seconds": 30.0, "queued": 0, "lease_ms": 60_000}
    assert items.sweep(NODE, **sweep) is not None  # type: ignore[arg-type]
    assert items.sweep(OTHER, **sweep) is None  # type: ignore[arg-type]
    items.bury(NODE, Fate.LEFT)
    assert slots.nodes() == [OTHER]
    assert items.sweep(OTHER, **sweep) is not None  # type: ignore[arg-type]


def test_a_plan_waits_a_second_for_what_may_still_be_on_its_way(
    items: Items, runs: Runs, connection: Connection
) -> None:
    (plan,) = runs.start(new_run())
    items.claim(plan, NODE)
    assert items.bury(NODE, Fate.KILLED) == []
    due = connection.client.zscore(connection.keys.delayed(), "run-1 plan")
    seconds, micros = connection.client.time()
    assert 0 < due - seconds - micros / 1e6 <= 1


def test_a_publish_does_so_as_well(items: Items, runs: Runs, connection: Connection) -> None:
    (one,) = planned(items, runs, files=["a"])
    items.claim(one, NODE)
    (publish,) = items.finish(one, NODE, Finish(outcomes=[sent("a")]))
    assert items.claim(publish, NODE)
    assert items.bury(NODE, Fate.KILLED) == []
    assert connection.client.zcard(connection.keys.delayed()) == 1
    assert not items.report(publish, NODE, [])


def test_items_of_a_run_that_has_ended_only_leave_the_window(items: Items, runs: Runs) -> None:
    for member in planned(items, runs):
        items.claim(member, NODE)
    items.fail_run("run-1", "cancelled", None, spare_publish=False)
    assert items.bury(NODE, Fate.KILLED) == []
    assert len(runs.start(new_run("run-2", target="t2", limit=1))) == 1, "the window is not free"


def test_to_bury_twice_gives_nothing_out_twice(items: Items, runs: Runs) -> None:
    one, _ = planned(items, runs)
    items.claim(one, NODE)
    assert items.bury(NODE, Fate.KILLED)
    assert items.bury(NODE, Fate.KILLED) == []


def test_who_does_not_stay_gets_nothing_of_what_follows(items: Items, runs: Runs) -> None:
    """What it finishes and gives back is followed by items for whoever comes."""
    first, second, *_ = planned(items, runs, files=["a", "b", "c", "d", "e"])
    items.claim(first, NODE)
    items.claim(second, NODE)
    assert items.finish(first, NODE, Finish(outcomes=[sent("a")]), beside=None)
    assert items.release(second, NODE, [], 0, None, blameless=True, beside=None) == [again(second)]
    assert items.bury(NODE, Fate.LEFT) == []
