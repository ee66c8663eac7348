"""What the ledger tells a monitor: exact whatever is repeated, killed, or forgotten meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from siteferry.errors import LedgerUnreachable
from siteferry.ledger.accounts import StoppedAccounts
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Fate, Finish, Items, Outcome, Status
from siteferry.ledger.metrics import LedgerMetrics, Slots, read_metrics
from siteferry.ledger.runs import NewRun, Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Member, RunState
from tests.integration.test_ledger import NODE, OTHER, failed, new_run, planned, sent
from tests.private_redis import RedisServer

QUEUE = "siteferry.work"


@pytest.fixture
def items(connection: Connection) -> Items:
    return Items(connection)


@pytest.fixture
def runs(connection: Connection) -> Runs:
    return Runs(connection)


@pytest.fixture
def slots(connection: Connection) -> SlotLedger:
    return SlotLedger(connection)


def look(items: Items) -> LedgerMetrics:
    return read_metrics(items.connection, QUEUE)


def count(items: Items, what: str) -> int:
    return look(items).totals.get((what, "import"), 0)


def finish(items: Items, member: Member, *outcomes: Outcome) -> list[Member]:
    assert items.claim(member, NODE)
    return items.finish(member, NODE, Finish(outcomes=outcomes))


def test_an_empty_ledger_tells_zeros(items: Items) -> None:
    found = look(items)
    assert (found.totals, found.runs) == ({}, {})
    assert found.items == {"waiting": 0, "sent": 0, "claimed": 0, "delayed": 0}
    assert (found.messages, found.workers) == (0, 0)
    assert [*found.stopped, *found.accounts, *found.addresses, *found.sites] == []


def test_files_count_while_their_run_lives_and_the_same_after_its_end(
    items: Items, runs: Runs
) -> None:
    one, two = planned(items, runs)
    items.claim(one, NODE)
    items.report(one, NODE, [sent("a", 7)])
    assert (count(items, "transferred"), count(items, "transferred_bytes")) == (1, 7)
    items.report(one, NODE, [sent("a", 7)])
    items.finish(one, NODE, Finish(outcomes=[sent("a", 7)]))
    (publish,) = finish(items, two, sent("b", 5))
    finish(items, publish)
    found = look(items)
    assert (found.totals["transferred", "import"], found.runs) == (2, {})
    assert found.totals["transferred_bytes", "import"] == 12
    assert found.totals["ended done", "import"] == 1


def test_counts_stay_when_the_run_is_forgotten(items: Items, runs: Runs) -> None:
    one, _ = planned(items, runs)
    finish(items, one, sent("a", 7))
    client, keys = items.connection.client, items.connection.keys
    client.delete(*client.keys(f"{keys.run('run-1')}*"))
    assert count(items, "transferred_bytes") == 7
    assert look(items).runs == {}


def test_a_file_that_failed_and_arrives_after_all_is_never_counted_as_failed(
    items: Items, runs: Runs
) -> None:
    one, two = planned(items, runs)
    items.claim(one, NODE)
    items.report(one, NODE, [failed("a")])
    assert count(items, "failed") == 0, "it may arrive yet"
    items.finish(one, NODE, Finish(outcomes=[sent("a")]))
    finish(items, two, failed("b"))
    assert runs.state("run-1") is RunState.INCOMPLETE
    assert (count(items, "failed"), count(items, "ended incomplete")) == (1, 1)


def test_a_file_that_is_refused_at_publish_has_arrived_and_has_failed(
    items: Items, runs: Runs
) -> None:
    """So no count ever goes back."""
    one, two = planned(items, runs)
    finish(items, one, sent("a", 7))
    (publish,) = finish(items, two, sent("b", 5))
    unpublished = Outcome("a", Status.UNPUBLISHED, {"error": "x", "reply": None, "attempts": 1}, 7)
    finish(items, publish, unpublished)
    assert runs.snapshot("run-1").transferred == 1
    assert (count(items, "transferred"), count(items, "failed")) == (2, 1)
    assert count(items, "transferred_bytes") == 12


def test_what_is_compared_adopted_and_deleted_counts(items: Items, runs: Runs) -> None:
    (plan,) = runs.start(new_run())
    items.claim(plan, NODE)
    counts = {"skipped": 3, "adopted": 2, "adopted_bytes": 9, "comparing": -1, "deleted": 4}
    (publish,) = items.finish(plan, NODE, Finish(counts=counts))
    assert (count(items, "skipped"), count(items, "adopted")) == (3, 2)
    assert (count(items, "adopted_bytes"), count(items, "comparing")) == (9, 0)
    assert count(items, "deleted") == 0, "nothing is deleted before the publish has ended"
    finish(items, publish)
    assert count(items, "deleted") == 4


def test_a_dry_run_counts_as_nothing_but_a_run_that_lives(items: Items, runs: Runs) -> None:
    (plan,) = runs.start(replace(new_run(), options={"dry_run": True}))
    assert look(items).runs == {"queued": 1}
    items.claim(plan, NODE)
    items.finish(plan, NODE, Finish(counts={"skipped": 3}, outcomes=[failed("a")]))
    assert runs.state("run-1") is RunState.INCOMPLETE
    found = look(items)
    assert (found.totals, list(found.sites)) == ({}, [])


def release(items: Items, member: Member, **told: object) -> list[Member]:
    """Give back after an error, unless `told` says otherwise."""
    assert items.claim(member, NODE)
    words: dict[str, object] = {"error": {"message": "x"}, "blameless": False, **told}
    error = words.pop("error")
    return items.release(member, NODE, [], 0, error, **words)  # type: ignore[arg-type]


def test_retries_count_by_their_reason_and_waiting_is_none(items: Items, runs: Runs) -> None:
    (plan,) = runs.start(new_run())
    for told in (
        {},
        {"elsewhere": True, "blameless": True},
        {"blameless": True},  # no connection was free
        {"error": None, "blameless": True, "yielding": True},  # its time was over
        {"error": None, "blameless": True},  # its worker stops
    ):
        given = release(items, plan, **told)
        if "elsewhere" in told:  # who lacks the sources lets nothing in
            assert given == []
            given, _ = items.sweep(OTHER, stale_seconds=5, lost_seconds=5, queued=0, lease_ms=1)
        (plan,) = given
    items.claim(plan, NODE)
    items.bury(NODE, Fate.LEFT)  # its worker has ended itself
    assert count(items, "retries error") == count(items, "retries elsewhere") == 1
    assert count(items, "retries died") == 0
    assert runs.snapshot("run-1").retries == 2


def test_a_worker_that_died_is_a_retry_of_each_item_that_it_had_begun(
    items: Items, runs: Runs
) -> None:
    one, two = planned(items, runs)
    items.claim(one, NODE)
    items.claim(two, OTHER)
    items.bury(NODE, Fate.KILLED)
    assert count(items, "retries died") == 1
    client, keys = items.connection.client, items.connection.keys
    client.zadd(keys.beats(), {str(two): 1})
    items.sweep(OTHER, stale_seconds=5, lost_seconds=5, queued=0, lease_ms=1000)
    assert count(items, "retries died") == 2
    assert runs.snapshot("run-1").retries == 2


def test_every_item_is_at_one_place(items: Items, runs: Runs) -> None:
    one, two, _ = planned(items, runs, files=[str(n) for n in range(7)])
    items.claim(one, NODE)
    items.claim(two, NODE)
    items.release(two, NODE, [], 3600, {"message": "x"}, blameless=False)
    items.connection.client.lpush(f"{items.connection.keys.prefix}{QUEUE}", "message")
    found = look(items)
    assert found.items == {"waiting": 3, "sent": 2, "claimed": 1, "delayed": 1}
    assert (found.messages, found.runs) == (1, {"transferring": 1})


def test_a_worker_counts_until_it_has_been_silent_for_five_seconds(
    items: Items, slots: SlotLedger
) -> None:
    slots.beat(NODE, [])
    slots.beat(OTHER, [])
    items.connection.client.zincrby(items.connection.keys.nodes(), -6, OTHER)
    assert look(items).workers == 1


def test_slots_are_told_as_used_configured_and_learned(
    items: Items, runs: Runs, slots: SlotLedger
) -> None:
    runs.start(new_run(limit=8))
    assert look(items).accounts == [Slots("u@h:21", 0, 8, 8)]
    for number in range(3):
        token = f"{NODE}.{number}"
        assert slots.take("u@h:21", "192.0.2.1", token, most_account=8, most_address=6)
        if number < 2:
            slots.admitted("u@h:21", "192.0.2.1", token)
    slots.refused("u@h:21", "192.0.2.1", f"{NODE}.2", told=None, whose="account")
    found = look(items)
    assert found.accounts == [Slots("u@h:21", 2, 8, 2)]
    assert found.addresses == [Slots("192.0.2.1", 2, 6, 6)]
    client, keys = items.connection.client, items.connection.keys
    client.zincrby(keys.slots_of_account("u@h:21"), -6, f"{NODE}.0")
    assert look(items).accounts[0].used == 1, "nobody has renewed the other lease"


def test_stopped_accounts_are_told_until_they_are_resumed(items: Items) -> None:
    stopped = StoppedAccounts(items.connection)
    stopped.stop("u@h:21", "530 no")
    stopped.stop("other@h:21", "530 no")
    assert look(items).stopped == ["other@h:21", "u@h:21"]
    stopped.resume("u@h:21")
    assert look(items).stopped == ["other@h:21"]


def test_a_website_keeps_its_last_good_run_when_later_ones_fail(items: Items, runs: Runs) -> None:
    begun = float(items.connection.client.time()[0])
    one, two = planned(items, runs)
    finish(items, one, sent("a"))
    (publish,) = finish(items, two, sent("b"))
    finish(items, publish)
    runs.start(new_run("run-2"))
    items.fail_run("run-2", RunState.FAILED, None, spare_publish=False)
    (site,) = look(items).sites
    assert (site.site, site.state) == ("example", "failed")
    assert site.good is not None
    assert begun <= site.good <= site.ended <= begun + 60
    known = items.connection.client.hgetall(items.connection.keys.site("example"))
    assert (known["good_run"], known["last_run"]) == ("run-1", "run-2")


def test_a_website_without_a_file_is_not_remembered(items: Items, runs: Runs) -> None:
    new: NewRun = replace(new_run(), options={"ad_hoc": {"source": "/x"}})
    runs.start(new)
    items.fail_run("run-1", RunState.FAILED, None, spare_publish=False)
    assert (count(items, "ended failed"), list(look(items).sites)) == (1, [])


def test_accounts_and_websites_that_nobody_uses_any_more_are_forgotten(
    items: Items, runs: Runs
) -> None:
    client, keys = items.connection.client, items.connection.keys
    client.zadd(keys.all_accounts(), {"old@h:21": 1})
    client.zadd(keys.sites(), {"old": 1})
    runs.start(new_run())
    items.fail_run("run-1", RunState.FAILED, None, spare_publish=False)
    assert client.zrange(keys.all_accounts(), 0, -1) == ["u@h:21"]
    assert client.zrange(keys.sites(), 0, -1) == ["example"]


def test_a_look_costs_nothing_for_runs_that_are_only_kept(items: Items, runs: Runs) -> None:
    def commands() -> int:
        look(items)
        stats = items.connection.client.info("commandstats")
        before = sum(row["calls"] for row in stats.values())
        look(items)
        stats = items.connection.client.info("commandstats")
        return int(sum(row["calls"] for row in stats.values()) - before)

    runs.start(new_run("run-0"))
    items.fail_run("run-0", RunState.FAILED, None, spare_publish=False)
    few = commands()
    for number in range(20):
        runs.start(new_run(f"kept-{number}"))
        items.fail_run(f"kept-{number}", RunState.FAILED, None, spare_publish=False)
    assert commands() == few
    for number in range(20):
        runs.start(new_run(f"live-{number}", target=f"t{number}"))
    assert commands() == few + 2 * 20


def test_a_look_changes_nothing(items: Items, runs: Runs, slots: SlotLedger) -> None:
    planned(items, runs)
    slots.take("u@h:21", "192.0.2.1", f"{NODE}.1", most_account=3, most_address=3)
    client = items.connection.client
    before = {key: client.dump(key) for key in client.keys("*")}
    look(items)
    assert {key: client.dump(key) for key in client.keys("*")} == before


def test_who_is_in_a_hurry_does_not_wait_for_a_redis_that_hangs(redis_server: RedisServer) -> None:
    patient = connect(redis_server.url, patience_seconds=60)
    hurried = patient.hurried(0.3)
    read_metrics(hurried, QUEUE)
    with redis_server.client() as admin:
        admin.client_pause(2000)
    begun = time.monotonic()
    with pytest.raises(LedgerUnreachable):
        read_metrics(hurried, QUEUE)
    assert time.monotonic() - begun < 1.5
    read_metrics(patient, QUEUE)
    patient.client.close()
    hurried.client.close()
