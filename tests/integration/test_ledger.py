"""The ledger's Lua against a real server: what counts, what is given out, and what is let go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from siteferry.errors import LedgerUnreachable, TargetHeld, UnknownRun
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Child, Finish, Items, Kept, Outcome, Status
from siteferry.ledger.keys import Keys
from siteferry.ledger.runs import NewRun, Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Direction, Member, RunState

NODE = "node-a"
OTHER = "node-b"


@pytest.fixture
def items(connection: Connection) -> Items:
    return Items(connection)


@pytest.fixture
def runs(connection: Connection) -> Runs:
    return Runs(connection)


def new_run(name: str = "run-1", *, target: str = "t1", limit: int = 3, **changes: str) -> NewRun:
    return NewRun(
        run=name,
        site="example",
        direction=Direction.IMPORT,
        account="u@h:21",
        target=target,
        connections=limit,
        on_failure=changes.get("on_failure", "hold"),
        options={},
    )


def sent(path: str, size: int = 10) -> Outcome:
    return Outcome(path, Status.TRANSFERRED, {"staged": [path, size, "x", None]}, size)


def failed(path: str) -> Outcome:
    return Outcome(path, Status.FAILED, {"error": "refused", "reply": "550 no", "attempts": 1})


def planned(
    items: Items, runs: Runs, files: Sequence[str] = ("a", "b"), name: str = "run-1"
) -> list[Member]:
    """A run whose plan has left one file item for each of `files`."""
    (plan,) = runs.start(new_run(name, target=name))
    assert items.claim(plan, NODE)
    children = [Child(f"files-0-{index}", {"files": [path]}) for index, path in enumerate(files)]
    return items.finish(
        plan, NODE, Finish(children=children, fields={"state": "transferring", "planned": 1})
    )


def test_python_and_lua_build_the_same_key_names(connection: Connection) -> None:
    keys = Keys(connection.keys.prefix)
    names = {
        keys.runs(), keys.live(), keys.run("R"), keys.account("A"), keys.window("A"),
        keys.turns("A"), keys.beats(), keys.delayed(), keys.slots_of_account("A"),
        keys.slots_of_address("I"), keys.logins_of_account("A"), keys.logins_of_address("I"),
        keys.limits_of_account("A"), keys.limits_of_address("I"), keys.accounts_at("I"),
        keys.connects_to("I"), keys.wanted_of_account("A"), keys.wanted_of_address("I"),
        keys.swept("T"), keys.target("T"), keys.nodes(), keys.loads(), keys.settling(),
        keys.heard(), keys.sweeper(), keys.items("R"), keys.attempts("R"), keys.fruitless("R"),
        keys.claims("R"), keys.replies("R"), keys.waiting("R"), keys.outcomes("R"),
        keys.failures("R"), keys.workers("R"), keys.previous("R"), keys.tree("R"),
        keys.warnings("R"), keys.barren("R"), keys.parts("R"), keys.profile("A"),
        keys.stopped("A"), keys.left("T"), keys.staged("R"), keys.extras("R"), keys.planned("R"),
        keys.swept("T"), keys.leases("N"), keys.elsewhere("R"), keys.deaths("R"), keys.stops(),
        keys.totals(), keys.all_accounts(), keys.sites(), keys.site("S"),
        keys.schedule("S"),
    }  # fmt: skip
    assert set(connection.run_script("key_names")) == names


def test_a_claim_succeeds_once(items: Items, runs: Runs) -> None:
    (plan,) = runs.start(new_run())
    assert items.claim(plan, NODE) is not None
    assert items.claim(plan, NODE) is None
    assert items.claim(plan, OTHER) is None


def test_a_message_of_an_older_attempt_claims_nothing(items: Items, runs: Runs) -> None:
    (plan,) = runs.start(new_run())
    items.claim(plan, NODE)
    (again,) = items.release(plan, NODE, [], 0, None, blameless=False)
    assert again.attempt == 2
    assert items.claim(plan, OTHER) is None
    assert items.claim(again, OTHER) is not None


def test_the_window_holds_at_most_the_accounts_connections(items: Items, runs: Runs) -> None:
    first = planned(items, runs, files=[str(n) for n in range(10)])
    assert len(first) == 3
    items.claim(first[0], NODE)
    following = items.finish(first[0], NODE, Finish(outcomes=[sent("0")]))
    assert len(following) == 1


def test_runs_of_one_account_take_turns(items: Items, runs: Runs) -> None:
    first = planned(items, runs, files=[str(n) for n in range(10)])
    (plan,) = runs.start(new_run("run-2", target="t2")) or [None]
    assert plan is None, "the window is full"
    items.claim(first[0], NODE)
    following = items.finish(first[0], NODE, Finish(outcomes=[sent("0")]))
    items.claim(first[1], NODE)
    following += items.finish(first[1], NODE, Finish(outcomes=[sent("1")]))
    assert {member.run for member in following} == {"run-1", "run-2"}


def test_each_file_counts_once_whatever_is_repeated(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    assert items.report(one, NODE, [sent("a", 7)])
    assert items.report(one, NODE, [sent("a", 7)])
    items.finish(one, NODE, Finish(outcomes=[sent("a", 7)]))
    snapshot = runs.snapshot("run-1")
    assert (snapshot.transferred, snapshot.transferred_bytes) == (1, 7)
    assert snapshot.workers == {NODE: 1}


def test_a_file_that_failed_before_and_arrives_later_is_no_failure(
    items: Items, runs: Runs
) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    items.report(one, NODE, [failed("a")])
    items.report(one, NODE, [sent("a")])
    snapshot = runs.snapshot("run-1")
    assert (snapshot.transferred, snapshot.failed) == (1, 0)


def test_a_repeated_finish_gets_the_same_answer_and_changes_nothing(
    items: Items, runs: Runs
) -> None:
    """Its reply may have been lost: the members it let in must not be."""
    first = planned(items, runs, files=[str(n) for n in range(10)])
    items.claim(first[0], NODE)
    result = Finish(outcomes=[sent("0")], counts={"skipped": 2})
    following = items.finish(first[0], NODE, result)
    assert items.finish(first[0], NODE, result) == following
    assert runs.snapshot("run-1").skipped == 2


def test_an_attempt_that_was_taken_away_can_record_nothing(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    items.release(one, NODE, [], 0, None, blameless=False)
    assert not items.report(one, NODE, [sent("a")])
    items.finish(one, NODE, Finish(outcomes=[sent("a")]))
    snapshot = runs.snapshot("run-1")
    assert snapshot.transferred == 0
    assert snapshot.state is RunState.TRANSFERRING


def test_publishing_begins_when_every_item_is_finished(items: Items, runs: Runs) -> None:
    one, two = planned(items, runs)
    for member, path in ((one, "a"), (two, "b")):
        items.claim(member, NODE)
        following = items.finish(member, NODE, Finish(outcomes=[sent(path)]))
    assert [member.item for member in following] == ["publish"]
    assert runs.state("run-1") is RunState.PUBLISHING
    items.claim(following[0], NODE)
    items.finish(following[0], NODE, Finish())
    assert runs.state("run-1") is RunState.DONE


@pytest.mark.parametrize(
    ("on_failure", "state"), [("hold", RunState.INCOMPLETE), ("publish", RunState.PUBLISHING)]
)
def test_a_failed_file_holds_the_publish_unless_asked_otherwise(
    items: Items, runs: Runs, on_failure: str, state: RunState
) -> None:
    (plan,) = runs.start(new_run(on_failure=on_failure))
    items.claim(plan, NODE)
    items.finish(plan, NODE, Finish(outcomes=[failed("a")], fields={"state": "transferring"}))
    assert runs.state("run-1") is state


def test_a_file_refused_at_publish_is_not_counted_as_carried(items: Items, runs: Runs) -> None:
    (one,) = planned(items, runs, files=["a"])
    items.claim(one, NODE)
    (publish,) = items.finish(one, NODE, Finish(outcomes=[sent("a", 7)]))
    items.claim(publish, NODE)
    refused = Outcome("a", Status.UNPUBLISHED, {"error": "x", "reply": None, "attempts": 1}, 7)
    items.finish(publish, NODE, Finish(outcomes=[refused]))
    snapshot = runs.snapshot("run-1")
    assert (snapshot.transferred, snapshot.transferred_bytes, snapshot.failed) == (0, 0, 1)
    assert snapshot.state is RunState.INCOMPLETE


def test_a_second_run_for_a_target_is_refused_until_the_first_has_ended(
    items: Items, runs: Runs
) -> None:
    runs.start(new_run("run-1", target="t"))
    with pytest.raises(TargetHeld, match="run-1"):
        runs.start(new_run("run-2", target="t"))
    items.fail_run("run-1", "cancelled", None, spare_publish=True)
    runs.start(new_run("run-2", target="t"))
    assert runs.state("run-1") is RunState.CANCELLED


def test_a_publishing_run_is_not_cancelled(items: Items, runs: Runs) -> None:
    (one,) = planned(items, runs, files=["a"])
    items.claim(one, NODE)
    items.finish(one, NODE, Finish(outcomes=[sent("a")]))
    assert items.fail_run("run-1", "cancelled", None, spare_publish=True) is None
    assert runs.state("run-1") is RunState.PUBLISHING


def test_a_claim_that_redis_has_forgotten_is_renewed_by_who_works_on_it(
    items: Items, runs: Runs, connection: Connection
) -> None:
    """With fsync every second, a Redis that restarts may have lost the last claims."""
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    connection.client.hdel(connection.keys.claims("run-1"), one.item)
    assert items.report(one, NODE, [sent("a")])
    assert not items.report(one, OTHER, [])
    assert items.claim(one, OTHER) is None
    items.finish(one, NODE, Finish(outcomes=[sent("a")]))
    assert runs.snapshot("run-1").transferred == 1


def sweep(items: Items, *, stale: float, lost: float = 1000, queued: int = 0) -> list[Member]:
    swept = items.sweep(NODE, stale_seconds=stale, lost_seconds=lost, queued=queued, lease_ms=1)
    assert swept is not None
    return swept[0]


def test_a_silent_workers_item_is_given_out_as_its_next_attempt(
    items: Items, runs: Runs, connection: Connection
) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    assert sweep(items, stale=60) == []
    given = sweep(items, stale=-1)
    assert given == [Member("run-1", one.item, 2)]
    claim = items.claim(given[0], OTHER)
    assert claim is not None
    assert (claim.deaths, claim.fruitless) == (1, 0)


def test_progress_clears_the_record_of_fruitless_attempts(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    (two,) = sweep(items, stale=-1)
    items.claim(two, NODE)
    items.report(two, NODE, [sent("a")])
    (three,) = items.release(two, NODE, [], 0, None, blameless=True)
    claim = items.claim(three, NODE)
    assert claim is not None
    assert claim.fruitless == 0


def empty_files_in_doubt(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    assert items.report(one, NODE, [], [part("a", 0)])
    assert items.report(one, NODE, [sent("a", 0)])
    refused = Outcome("a", Status.UNPUBLISHED, {"error": "no", "reply": None, "attempts": 1}, 0)
    assert items.report(one, NODE, [refused])
    snapshot = runs.snapshot("run-1")
    assert (snapshot.transferred, snapshot.transferred_bytes, snapshot.part_bytes) == (0, 0, 0)
    assert snapshot.failed == 1


def part(path: str, offset: int, furthest: int = 0) -> Kept:
    return Kept(path, f".ht{path}.{offset}", 100, offset, "00" * 32, False, furthest)


def test_what_stands_of_a_file_is_kept_until_the_file_is_done(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    assert items.report(one, NODE, [], [part("a", 10)])
    assert runs.parts("run-1", ["a", "b"]) == {"a": part("a", 10, 10)}
    assert runs.snapshot("run-1").moved_bytes == 10
    (two,) = items.release(one, NODE, [], 0, None, parts=[part("a", 20)], blameless=False)
    assert runs.parts("run-1", ["a"]) == {"a": part("a", 20, 20)}
    items.claim(two, NODE)
    items.report(two, NODE, [], [part("a", 15)])
    assert runs.snapshot("run-1").moved_bytes == 15
    items.report(two, NODE, [sent("a", 40)], [part("a", 30)])
    assert runs.parts("run-1", ["a"]) == {}
    snapshot = runs.snapshot("run-1")
    assert (snapshot.transferred_bytes, snapshot.part_bytes) == (40, 0)


def test_an_attempt_that_does_not_count_keeps_nothing(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    sweep(items, stale=-1)
    assert not items.report(one, NODE, [], [part("a", 10)])
    assert runs.parts("run-1", ["a"]) == {}


def test_progress_that_a_heartbeat_has_told_already_is_progress(items: Items, runs: Runs) -> None:
    (member, _) = planned(items, runs)
    assert items.claim(member, NODE)
    items.report(member, NODE, [], [part("a", 10)])
    (member,) = items.release(
        member, NODE, [], 0, None, parts=[part("a", 10)], blameless=False, progressed=True
    )
    claim = items.claim(member, NODE)
    assert claim is not None
    assert (claim.fruitless, claim.barren_seconds) == (0, 0)


def test_an_empty_file_that_was_in_doubt_is_recorded(items: Items, runs: Runs) -> None:
    """Its part has no bytes; `test_ledger_on_redis.py` has it on a Redis before 7.2."""
    empty_files_in_doubt(items, runs)


def test_to_send_again_what_stood_before_is_no_progress(items: Items, runs: Runs) -> None:
    (member, _) = planned(items, runs)
    seen = []
    for told in ([10], [5, 10], [2, 9], [4, 11]):
        claim = items.claim(member, NODE)
        assert claim is not None
        seen.append(claim.fruitless)
        for offset in told:
            items.report(member, NODE, [], [part("a", offset)])
        (member,) = items.release(member, NODE, [], 0, None, blameless=False)
    last = items.claim(member, NODE)
    assert last is not None
    assert [*seen, last.fruitless] == [0, 1, 2, 3, 1]
    assert runs.parts("run-1", ["a"])["a"].furthest == 11


def test_to_come_further_with_a_file_is_progress_and_to_stand_still_is_not(
    items: Items, runs: Runs
) -> None:
    (member, _) = planned(items, runs)
    seen = []
    for offset in (10, 20, 20, 20, 30):
        claim = items.claim(member, NODE)
        assert claim is not None
        seen.append((claim.fruitless, claim.barren_seconds > 0))
        (member,) = items.release(
            member, NODE, [], 0, None, parts=[part("a", offset)], blameless=False
        )
    last = items.claim(member, NODE)
    assert last is not None
    seen.append((last.fruitless, last.barren_seconds > 0))
    assert seen == [(0, False), (0, False), (0, False), (1, True), (2, True), (0, False)]


def test_an_item_that_yields_lets_the_accounts_other_runs_go_first(
    items: Items, runs: Runs
) -> None:
    """One connection: run-1 works on its long file, run-2 waits."""
    (plan,) = runs.start(new_run("run-1", target="1", limit=1))
    items.claim(plan, NODE)
    (long_one,) = items.finish(plan, NODE, Finish(children=[Child("files-0-0", {"files": []})]))
    assert runs.start(new_run("run-2", target="2", limit=1)) == []
    items.claim(long_one, NODE)
    (following,) = items.release(long_one, NODE, [], 0, None, blameless=True, yielding=True)
    assert following == Member("run-2", "plan", 1)
    items.claim(following, NODE)
    (following,) = items.release(following, NODE, [], 3600, None, blameless=True)
    assert following == Member("run-1", "files-0-0", 2)


def test_a_message_that_nobody_claims_is_sent_again_only_when_the_queue_is_empty(
    items: Items, runs: Runs
) -> None:
    # The first of them went to the finisher's own queue, which never began to beat.
    _, shared = planned(items, runs)
    assert shared not in sweep(items, stale=60, lost=-1, queued=5)
    again = sweep(items, stale=60, lost=-1, queued=0)
    assert Member("run-1", shared.item, 2) in again


def test_a_message_in_a_living_nodes_own_queue_may_wait_for_a_thread(
    items: Items, runs: Runs
) -> None:
    own, shared = planned(items, runs)
    SlotLedger(items.connection).beat(NODE, [])
    limits = {"stale_seconds": 60, "lost_seconds": -1, "queued": 0, "lease_ms": 1}
    assert items.sweep(NODE, **limits) == ([Member("run-1", shared.item, 2)], [])
    given, _ = items.sweep(NODE, **limits, busy_seconds=-1) or ([], [])
    assert Member("run-1", own.item, 2) in given


def test_what_waits_in_a_dead_nodes_own_queue_is_given_out_again(
    items: Items, runs: Runs, connection: Connection
) -> None:
    own, _ = planned(items, runs)
    keys = connection.keys
    # A second of grace for a node that has just begun: put the entry two seconds back.
    value = connection.client.hget(keys.window("u@h:21"), str(own))
    node, since = value.split(" ")
    connection.client.hset(keys.window("u@h:21"), str(own), f"{node} {float(since) - 2}")
    assert sweep(items, stale=60) == [Member("run-1", own.item, 2)]


def test_a_released_item_waits_for_its_time(items: Items, runs: Runs) -> None:
    (one, _) = planned(items, runs)
    items.claim(one, NODE)
    assert items.release(one, NODE, [], 3600, {"message": "x"}, blameless=False) == []
    assert sweep(items, stale=60) == []
    (two, _) = planned(items, runs, name="run-3")
    items.claim(two, NODE)
    items.release(two, NODE, [], 0.0001, None, blameless=False)
    given: list[Member] = []
    while not given:
        given = sweep(items, stale=60)
    assert given == [Member("run-3", two.item, 2)]


def test_only_one_node_sweeps_at_a_time(items: Items) -> None:
    arguments = {"stale_seconds": 5.0, "lost_seconds": 30.0, "queued": 0}
    assert items.sweep(NODE, lease_ms=60_000, **arguments) is not None
    assert items.sweep(OTHER, lease_ms=60_000, **arguments) is None
    assert items.sweep(NODE, lease_ms=60_000, **arguments) is not None


def test_a_slot_needs_room_at_the_account_and_at_the_address(connection: Connection) -> None:
    slots = SlotLedger(connection)
    limits = {"most_account": 2, "most_address": 3}
    for account, token in (("a", "1"), ("a", "2")):
        assert slots.take(account, "ip", token, **limits)
        slots.admitted(account, "ip", token)
    assert not slots.take("a", "ip", "3", **limits), "the account is full"
    assert slots.wanted("a", "another ip")
    assert not slots.wanted("b", "ip")
    assert slots.take("b", "ip", "4", **limits)
    slots.admitted("b", "ip", "4")
    assert not slots.take("b", "ip", "5", **limits), "the address is full"
    assert slots.wanted("b", "ip")
    slots.free("a", "ip", "1")
    assert slots.take("b", "ip", "5", **limits)
    assert slots.used("a") == 1


def test_taking_the_same_slot_twice_uses_one(connection: Connection) -> None:
    """A reply may be lost, and the call be repeated."""
    slots = SlotLedger(connection)
    for _ in range(3):
        assert slots.take("a", "ip", "1", most_account=1, most_address=1)
    assert slots.used("a") == 1


def test_a_beat_revives_a_lease_only_when_it_was_missing_before(connection: Connection) -> None:
    """At first it may have been given back at that moment; at last Redis has lost it."""
    slots = SlotLedger(connection)
    missed = slots.beat(NODE, [("a", "ip", "ghost")])
    assert missed == {"ghost"}
    assert slots.used("a") == 0
    assert slots.nodes() == [NODE]
    assert slots.beat(NODE, [("a", "ip", "ghost"), ("a", "ip", "other")], missed) == {"other"}
    assert slots.used("a") == 1


def test_every_key_of_an_ended_run_expires(
    items: Items, runs: Runs, connection: Connection
) -> None:
    """What has no lifetime holds only what runs now, or is bounded (see keys.py)."""
    runs.warn("run-1", ["a warning"])
    (one,) = planned(items, runs, files=["a"])
    runs.keep_plan("run-1", [("", "{}")], {"directories": [""], "previous": []})
    items.claim(one, NODE)
    (publish,) = items.finish(one, NODE, Finish(outcomes=[sent("a"), failed("z")])) or [None]
    assert publish is None
    client, keys = connection.client, connection.keys
    lasting = {key for key in client.keys("*") if client.ttl(key) == -1}
    assert lasting <= {keys.runs(), keys.nodes(), keys.loads(), keys.sweeper(), keys.totals()}
    assert runs.state("run-1") is RunState.INCOMPLETE


def test_an_unknown_run_is_told_as_such(runs: Runs) -> None:
    with pytest.raises(UnknownRun, match="siteferry runs"):
        runs.snapshot("nothing")


def test_a_redis_that_is_away_is_waited_for_and_then_told() -> None:
    closed = connect("redis://127.0.0.1:1", patience_seconds=0.3)
    with pytest.raises(LedgerUnreachable, match="cannot be reached"):
        closed.run_script("key_names")
