"""Who gets the item that follows: the finisher, whose session is there, or one with less to do."""

from __future__ import annotations

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Child, Fate, Finish, Items
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Member
from tests.integration.test_ledger import NODE, OTHER, new_run


class Import:
    """A run with many items and few connections: each that ends lets one in."""

    def __init__(self, connection: Connection) -> None:
        self.items, self.slots = Items(connection), SlotLedger(connection)
        (plan,) = Runs(connection).start(new_run(limit=2))
        assert self.items.claim(plan, NODE)
        children = [Child(f"files-0-{number}", {"files": []}) for number in range(20)]
        self._out = self.items.finish(plan, NODE, Finish(children=children), beside=None)

    def next_goes_to(self, *, beside: int | None, released: bool = False) -> str:
        """The node whose own queue gets what follows an item of NODE; empty: the shared one."""
        member = self._out.pop()
        assert self.items.claim(member, NODE)
        following = (
            self.items.release(member, NODE, [], 60, None, blameless=True, beside=beside)
            if released
            else self.items.finish(member, NODE, Finish(), beside=beside)
        )
        self._out += following
        return following[0].node

    def load(self, node: str, load: int | None) -> None:
        self.slots.beat(node, [], load=load)


@pytest.fixture
def run(connection: Connection) -> Import:
    made = Import(connection)
    made.load(NODE, None)
    return made


@pytest.mark.parametrize("released", [False, True], ids=["finished", "given back"])
def test_the_finisher_gets_it_where_it_is_alone(run: Import, released: bool) -> None:
    assert run.next_goes_to(beside=7, released=released) == NODE


@pytest.mark.parametrize("released", [False, True], ids=["finished", "given back"])
def test_a_finisher_whose_threads_are_spoken_for_leaves_it_to_all(
    run: Import, released: bool
) -> None:
    assert run.next_goes_to(beside=None, released=released) == ""


@pytest.mark.parametrize(
    ("beside", "load", "leaves"),
    [(0, 0, False), (1, 0, True), (7, 0, True), (2, 1, False), (3, 1, True), (4, 3, False)],
)
def test_one_that_has_less_than_half_of_it_is_left_it(
    run: Import, beside: int, load: int, leaves: bool
) -> None:
    """Of eight, two processes come to five and three, each change of hands being a login."""
    run.load(OTHER, load)
    assert run.next_goes_to(beside=beside) == ("" if leaves else NODE)


def test_one_with_a_thread_to_spare_is_left_one_item_until_it_tells_its_load_again(
    run: Import,
) -> None:
    run.load(OTHER, 0)
    assert run.next_goes_to(beside=2) == ""
    assert run.next_goes_to(beside=2) == NODE
    run.load(OTHER, 0)
    assert run.next_goes_to(beside=2) == ""


def test_the_one_with_the_least_counts(run: Import) -> None:
    run.load(OTHER, 3)
    assert run.next_goes_to(beside=4) == NODE
    run.load("node-c", 1)
    assert run.next_goes_to(beside=4) == ""


@pytest.mark.parametrize("why", ["busy", "dead", "silent"])
def test_one_that_is_busy_or_gone_is_left_nothing(
    why: str, run: Import, connection: Connection
) -> None:
    run.load(OTHER, 0)
    if why == "busy":
        run.load(OTHER, None)
    elif why == "dead":
        run.items.bury(OTHER, Fate.KILLED)
    else:
        connection.client.zincrby(connection.keys.nodes(), -3, OTHER)
    assert run.next_goes_to(beside=7) == NODE
    assert connection.client.zrange(connection.keys.loads(), 0, -1) == []


def test_a_repeated_finish_names_the_same_queue_again(run: Import) -> None:
    run.load(OTHER, 0)
    member: Member = run._out.pop()
    assert run.items.claim(member, NODE)
    first = run.items.finish(member, NODE, Finish(), beside=7)
    again = run.items.finish(member, NODE, Finish(), beside=0)
    assert [m.node for m in first] == [m.node for m in again] == [""]


def test_who_lacks_the_sources_lets_nothing_in(run: Import) -> None:
    """It would take what follows as well, until nothing waits for those that have them."""
    member = run._out.pop()
    assert run.items.claim(member, NODE)
    given = run.items.release(member, NODE, [], 60, None, blameless=True, elsewhere=True)
    assert given == []
    swept = run.items.sweep(NODE, stale_seconds=60, lost_seconds=60, queued=0, lease_ms=1)
    assert swept is not None
    assert [m.node for m in swept[0]] == [""]
