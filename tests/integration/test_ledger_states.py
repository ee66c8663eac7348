"""The ledger's Lua in random orders of all that can happen to it, against `tests.ledger_model`.

Several runs on two accounts, three nodes, and every message that was ever sent: delivered in any
order, twice, or never. Workers report, finish, give back, fall silent, and go on as ghosts after
their attempts were taken away; replies are lost, so that calls are repeated; Redis comes back
without its last second, or empty. Model and Redis are compared after every step. In the end what is
left is delivered and swept, and every run must come to its end with exact counts.

Nothing here waits: before each sweep `LedgerView.set_clock` writes how long ago everything was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from siteferry.errors import UnknownRun
from siteferry.ledger.connection import connect
from siteferry.ledger.items import Fate
from siteferry.run import ItemKind
from tests.ledger_attempts import Website
from tests.ledger_view import LedgerView
from tests.ledger_world import NODES, LedgerWorld, Message
from tests.long_tests import LONG
from tests.private_redis import RedisServer

ACCOUNTS = ("one", "two")
TARGETS = ("t1", "t2", "t3")
_MOST_RUNS = 6

WEBSITES = st.builds(
    Website,
    st.sampled_from([((2, 3), (2,)), ((1,),), ((3,), (1, 2), (2,)), ((2, 2, 2),), ((), (1,)), ()]),
    refuses=st.sampled_from([False, False, False, True]),
    poison=st.sampled_from([False, False, True]),
)

STARTS = st.fixed_dictionaries(
    {
        "website": WEBSITES,
        "account": st.sampled_from(ACCOUNTS),
        "remote": st.sampled_from(TARGETS),
        "limit": st.integers(1, 3),
        "on_failure": st.sampled_from(["hold", "publish"]),
        "dry": st.sampled_from([False, False, False, True]),
    }
)
WORDS = st.sampled_from(["arrives", "fails", "comes further", "comes further", "beats"])
TELLS = st.lists(WORDS, max_size=4)
SECONDS = st.sampled_from([2.2, 11.3, 60.0])
"""No sum of them is a bound of the sweeper's."""
QUEUED = st.sampled_from([0, 5, None])
"""Messages in the shared queue, as the sweeper finds it; None: it does not come by."""
RARELY = st.sampled_from([False, False, False, False, True])


def _is_early(item: str) -> bool:
    return ItemKind.of(item) in {ItemKind.PLAN, ItemKind.DIRECTORY}


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, view: LedgerView) -> None:
        super().__init__()
        self.world = LedgerWorld(view)

    @initialize(starts=st.lists(STARTS, min_size=1, max_size=3), planned=st.sampled_from([1, 1, 0]))
    def some_runs_are_there(self, starts: list[dict[str, Any]], planned: bool) -> None:
        """Most often as far as their files, where most of what can happen happens."""
        world = self.world
        for start in starts:
            world.enter(**start)
        while planned and (early := [m for m in world.queue if _is_early(m.member.item)]):
            world.queue.remove(early[0])
            attempt = world.deliver(early[0], NODES[0])
            assert attempt is not None
            world.carry_through(attempt, failing=False)

    def _one_of_the_queue(self, data: st.DataObject) -> Message:
        message = data.draw(st.sampled_from(self.world.queue))
        self.world.queue.remove(message)
        return message

    # -- producers ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.websites) < _MOST_RUNS)
    @rule(start=STARTS)
    def a_run_is_started(self, start: dict[str, Any]) -> None:
        self.world.enter(**start)

    @precondition(lambda self: self.world.model.live())
    @rule(data=st.data(), outside=st.booleans(), sure=RARELY)
    def a_run_is_ended(self, data: st.DataObject, outside: bool, sure: bool) -> None:
        if sure:
            self.world.end(data.draw(st.sampled_from(sorted(self.world.model.live()))), outside)

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), failing=st.booleans())
    def a_run_is_ended_while_a_worker_finishes(self, data: st.DataObject, failing: bool) -> None:
        attempt = data.draw(st.sampled_from(self.world.attempts))
        if attempt.member.run in self.world.model.live():
            self.world.end(attempt.member.run, outside=True)
            self.world.carry_through(attempt, failing)

    # -- messages ----------------------------------------------------------------------------------

    @precondition(lambda self: self.world.queue)
    @rule(data=st.data(), node=st.sampled_from(NODES), tells=TELLS)
    def a_message_arrives(self, data: st.DataObject, node: str, tells: list[str]) -> None:
        attempt = self.world.deliver(self._one_of_the_queue(data), node)
        if attempt is not None:
            self.world.tell(attempt, tells)

    @precondition(lambda self: self.world.queue)
    @rule(data=st.data(), node=st.sampled_from(NODES), failing=st.booleans())
    def a_message_arrives_and_its_item_is_carried_through(
        self, data: st.DataObject, node: str, failing: bool
    ) -> None:
        attempt = self.world.deliver(self._one_of_the_queue(data), node)
        if attempt is not None:
            self.world.carry_through(attempt, failing)

    @precondition(lambda self: self.world.ever_sent)
    @rule(data=st.data(), node=st.sampled_from(NODES))
    def a_message_arrives_again(self, data: st.DataObject, node: str) -> None:
        self.world.deliver(data.draw(st.sampled_from(self.world.ever_sent[::-1])), node)

    @precondition(lambda self: self.world.queue)
    @rule(data=st.data())
    def a_message_is_lost(self, data: st.DataObject) -> None:
        self._one_of_the_queue(data)

    # -- attempts, those that count and ghosts -----------------------------------------------------

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), tells=st.lists(WORDS, min_size=1, max_size=4))
    def an_attempt_goes_on(self, data: st.DataObject, tells: list[str]) -> None:
        self.world.tell(data.draw(st.sampled_from(self.world.attempts[::-1])), tells)

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), failing=st.booleans())
    def an_attempt_finishes(self, data: st.DataObject, failing: bool) -> None:
        self.world.carry_through(data.draw(st.sampled_from(self.world.attempts)), failing)

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), why=st.sampled_from(["connection", "sources", "time", "error"]))
    def an_attempt_gives_its_item_back(self, data: st.DataObject, why: str) -> None:
        self.world.give_back(data.draw(st.sampled_from(self.world.attempts)), why)

    @precondition(lambda self: self.world.ever_sent)
    @rule(data=st.data())
    def a_worker_notes_a_warning(self, data: st.DataObject) -> None:
        """It may be a ghost, and its run have ended."""
        name = data.draw(st.sampled_from(self.world.ever_sent)).member.run
        self.world.runs.warn_once(name, "chmod", "no SITE CHMOD")
        self.world.runs.set_fields(name, {"publish_creates": 1})

    @precondition(lambda self: self.world.calls)
    @rule(data=st.data())
    def a_reply_was_lost_and_the_call_is_repeated(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.world.calls[::-1]))()

    @precondition(lambda self: self.world.model.live() and not self.world.model.lingering)
    @rule(most=st.integers(1, 4))
    def sessions_are_opened(self, most: int) -> None:
        """Then the accounts that have runs share what their address allows."""
        live = self.world.model.live().values()
        for account in sorted({run.new.account for run in live}):
            self.world.open_session(account, most)
        self.world.pass_time(0.0, 5)

    # -- nodes, time, the sweeper ------------------------------------------------------------------

    @rule(node=st.sampled_from(NODES), seconds=SECONDS, queued=QUEUED)
    def a_node_falls_silent(self, node: str, seconds: float, queued: int | None) -> None:
        self.world.silence(node)
        self.world.pass_time(seconds, queued)

    @rule(node=st.sampled_from(NODES), fate=st.sampled_from(list(Fate)))
    def a_node_is_buried(self, node: str, fate: Fate) -> None:
        """It may be mistaken for dead, and go on."""
        self.world.bury(node, fate)

    @precondition(lambda self: len(self.world.alive) < len(NODES))
    @rule(data=st.data())
    def a_node_comes_back(self, data: st.DataObject) -> None:
        away = sorted(set(NODES) - self.world.alive)
        self.world.alive.add(data.draw(st.sampled_from(away)))

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), seconds=SECONDS, queued=QUEUED)
    def an_attempt_hangs(self, data: st.DataObject, seconds: float, queued: int | None) -> None:
        self.world.hang(data.draw(st.sampled_from(self.world.attempts)))
        self.world.pass_time(seconds, queued)

    @rule(seconds=SECONDS, queued=QUEUED)
    def time_passes(self, seconds: float, queued: int | None) -> None:
        self.world.pass_time(seconds, queued)

    # -- Redis -------------------------------------------------------------------------------------

    @rule()
    def redis_writes_to_its_disk(self) -> None:
        self.world.save()

    @precondition(lambda self: self.world.is_saved)
    @rule()
    def redis_comes_back_as_it_was_then(self) -> None:
        self.world.restore()

    @precondition(lambda self: self.world.queue)
    @rule(data=st.data(), one=st.sampled_from(NODES), other=st.sampled_from(NODES), tells=TELLS)
    def redis_forgets_a_claim_and_the_message_arrives_again(
        self, data: st.DataObject, one: str, other: str, tells: list[str]
    ) -> None:
        """Who had claimed it goes on; both may think that it is theirs."""
        self.world.save()
        message = self._one_of_the_queue(data)
        first = self.world.deliver(message, one)
        self.world.restore()
        if first is not None:
            self.world.deliver(Message(message.member, other), other)
            self.world.tell(first, tells)

    @rule(sure=RARELY)
    def redis_loses_everything(self, sure: bool) -> None:
        if sure:
            self.world.lose()

    # -- what must be so, always and in the end ----------------------------------------------------

    @invariant()
    def redis_holds_what_the_model_says(self) -> None:
        world = self.world
        world.view.check(world.model)
        for name in world.websites.keys() - world.model.runs.keys():
            with pytest.raises(UnknownRun):
                world.runs.snapshot(name)

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:
            self.world.everything_comes_to_its_end()


@pytest.fixture
def view(redis_server: RedisServer) -> Iterator[LedgerView]:
    connection, raw = connect(redis_server.url, patience_seconds=0.5), redis_server.client()
    yield LedgerView(connection, raw, ACCOUNTS)
    raw.close()
    connection.client.close()


EXTENT = settings(
    max_examples=10_000 if LONG else 200,
    stateful_step_count=100 if LONG else 50,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=LONG,
)


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600 if LONG else 900)
def test_in_whatever_order_nothing_is_lost_or_counted_twice_and_every_run_ends(
    view: LedgerView,
) -> None:
    run_state_machine_as_test(lambda: LedgerMachine(view), settings=EXTENT)
