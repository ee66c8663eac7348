"""A ledger with all that surrounds it: producers, messages, workers' attempts, time, a sweeper.

Every call to the ledger is shown to `tests.ledger_model`, which says whether its answer is right.
Calls that a client may have to repeat, because a reply was lost, are kept in `calls`.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from siteferry.dispatch.policy import MOST_FRUITLESS, decide
from siteferry.errors import SessionLost, TargetHeld
from siteferry.ledger.items import Fate, Finish, Items, Outcome, Status
from siteferry.ledger.runs import NewRun, Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Direction, ItemKind, Member, RunState
from tests.ledger_attempts import NONE_MOVED, Attempt, Website, size_of
from tests.ledger_model import BUSY_SECONDS, LOST_SECONDS, SHARED, STALE_SECONDS, LedgerModel, Place
from tests.ledger_view import LedgerView, Saved

NODES = ("a", "b", "c")
LONG_AGO_SECONDS = 60
_MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Message:
    """A member on its way. queue: whose own queue it is in, or SHARED."""

    member: Member
    queue: str


class LedgerWorld:
    """Begins with an empty Redis.

    websites: what each run that was ever started will find. queue: messages on their way.
    attempts: what workers have in hand, whether it counts or not.
    """

    def __init__(self, view: LedgerView) -> None:
        view.raw.flushdb()
        self.view, connection = view, view.connection
        self.items, self.runs = Items(connection), Runs(connection)
        self.slots, self._tokens = SlotLedger(connection), 0
        self.model = LedgerModel()
        self.websites: dict[str, Website] = {}
        self.alive = set(NODES)
        self.queue: list[Message] = []
        self.ever_sent: list[Message] = []
        self.attempts: list[Attempt] = []
        self.calls: list[Callable[[], None]] = []
        self._saved: tuple[Saved, LedgerModel] | None = None

    # -- what befalls Redis ------------------------------------------------------------------------

    def save(self) -> None:
        """Redis writes to its disk."""
        self._saved = self.view.save(), copy.deepcopy(self.model)

    @property
    def is_saved(self) -> bool:
        return self._saved is not None

    def restore(self) -> None:
        """Redis comes back with what it wrote. Workers and messages are as they are."""
        if self._saved is not None:
            self.view.restore(self._saved[0])
            self.model = copy.deepcopy(self._saved[1])

    def lose(self) -> None:
        """Redis comes back empty."""
        self.view.raw.flushdb()
        self.model, self._saved = LedgerModel(), None

    # -- producers and messages --------------------------------------------------------------------

    def enter(
        self, website: Website, account: str, remote: str, limit: int, on_failure: str, dry: bool
    ) -> None:
        """Start a run, or try to."""
        name = f"run-{len(self.websites)}"
        self.websites[name] = website
        new = NewRun(
            run=name,
            site=f"site-of-{remote}",
            direction=Direction.IMPORT,
            account=account,
            target=f"{remote} dry {name}" if dry else remote,
            connections=limit,
            on_failure=on_failure,
            options={"dry_run": dry},
        )
        self._call(lambda: self._start(new))

    def end(self, name: str, outside: bool) -> None:
        """End a run, as `siteferry cancel` does from outside or as a worker does."""
        state = RunState.CANCELLED if outside else RunState.FAILED
        self._call(lambda: self._fail(name, state, outside))

    def _call(self, call: Callable[[], None]) -> None:
        self.calls.append(call)
        call()

    def _send(self, members: list[Member], node: str | None = None) -> None:
        for index, member in enumerate(members):
            own = node is not None and index == 0
            message = Message(member, node if own and node is not None else SHARED)
            self.queue.append(message)
            self.ever_sent.append(message)

    def _start(self, new: NewRun) -> None:
        try:
            answer: list[Member] | str = self.runs.start(new)
        except TargetHeld as held:
            answer = str(held.run)
        self.model.start(new, answer)
        if not isinstance(answer, str):
            self._send(answer)

    def _fail(self, name: str, state: RunState, spare_publish: bool) -> None:
        answer = self.items.fail_run(name, state, None, spare_publish=spare_publish)
        self.model.fail(name, state, spare_publish, answer)

    def deliver(self, message: Message, reader: str) -> Attempt | None:
        """A message arrives: where it was sent to, or else at `reader`."""
        node, member = reader if message.queue == SHARED else message.queue, message.member
        if any(held.member == member and held.node == node for held in self.attempts):
            # The ledger tells nodes apart, not the threads of one.
            return None
        claim = self.items.claim(member, node)
        self.model.claim(member, node, claim)
        if claim is None:
            return None
        paths = list(claim.body.get("files", ()))
        parts = self.runs.parts(member.run, paths) if paths else {}
        done = self.runs.recorded(member.run, paths) if paths and member.attempt > 1 else set()
        left = [path for path in paths if path not in done]
        furthest = {path: part.furthest for path, part in parts.items()}
        attempt = Attempt(member, node, claim, left, furthest)
        self.attempts.append(attempt)
        return attempt

    # -- what workers do ---------------------------------------------------------------------------

    def tell(self, attempt: Attempt, tells: list[str]) -> None:
        """Heartbeats, each with what has become of its next file."""
        for number, word in enumerate(tells):
            path = attempt.left[0] if attempt.left else None
            if path is not None and word == "comes further":
                attempt.keep(path, 1 + number)
            elif path is not None and word != "beats":
                attempt.settle(path, arrives=word == "arrives")
            self._report(attempt)

    def _report(self, attempt: Attempt) -> None:
        parts = list(attempt.parts.values())
        accepted = self.items.report(attempt.member, attempt.node, attempt.outcomes, parts)
        self.model.report(attempt.member, attempt.node, attempt.outcomes, parts, accepted)

    def carry_through(self, attempt: Attempt, failing: bool) -> None:
        """To its end, as it ends without an error of the whole attempt."""
        name, item = attempt.member.run, attempt.member.item
        if self.websites[name].is_poison(item):
            self._meet_error(attempt)
            return
        for number, path in enumerate(list(attempt.left)):
            attempt.settle(path, arrives=not (failing and number == 0))
        besides = []
        if attempt.kind is ItemKind.PUBLISH and failing:
            run = self.model.runs.get(name)
            paths = sorted(run.transferred)[:1] if run is not None else []
            besides = [Outcome(p, Status.UNPUBLISHED, NONE_MOVED, size_of(p)) for p in paths]
        dry = attempt.claim.facts["dry_run"] == "1"
        self._finish(attempt, attempt.whole(self.websites[name].finish(item, dry), besides))

    def _finish(self, attempt: Attempt, result: Finish) -> None:
        self.attempts.remove(attempt)
        member, node = attempt.member, attempt.node

        def call() -> None:
            given = self.items.finish(member, node, result)
            self.model.finish(member, node, result, given)
            self._send(given, node)

        self._call(call)

    def give_back(self, attempt: Attempt, why: str) -> None:
        """Because of `an error`, for want of a `connection` or of the `sources`, or because its
        `time` is over."""
        if why == "error":
            self._meet_error(attempt)
        else:
            over, retry = why == "time", "elsewhere" if why == "sources" else None
            self._release(attempt, delayed=not over, blameless=True, yielding=over, retry=retry)

    def _release(
        self,
        attempt: Attempt,
        *,
        delayed: bool,
        blameless: bool,
        yielding: bool = False,
        retry: str | None = None,
    ) -> None:
        self.attempts.remove(attempt)
        member, node, outcomes = attempt.member, attempt.node, list(attempt.outcomes)
        parts, progressed = list(attempt.parts.values()), attempt.progressed

        def call() -> None:
            told: dict[str, Any] = {"blameless": blameless, "progressed": progressed}
            given = self.items.release(
                member,
                node,
                outcomes,
                3600 if delayed else 0,
                {"message": "why"} if delayed else None,
                parts=parts,
                yielding=yielding,
                elsewhere=retry == "elsewhere",
                **told,
            )
            self.model.release(
                member, node, outcomes, parts, given, delayed=delayed, retry=retry, **told
            )
            self._send(given, node)

        self._call(call)

    def _meet_error(self, attempt: Attempt) -> None:
        """As `siteferry.dispatch.carry` ends an attempt that an error has cut short."""
        error = SessionLost("cut off")
        if decide(error, attempt.kind, attempt.fruitless, 0, blameless=False) is not None:
            self._release(attempt, delayed=True, blameless=False, retry="error")
        elif attempt.kind in {ItemKind.PLAN, ItemKind.PUBLISH}:
            self._report(attempt)
            self._fail(attempt.member.run, RunState.FAILED, False)
            self._release(attempt, delayed=False, blameless=True)
        else:
            for path in list(attempt.left):
                attempt.settle(path, arrives=False)
            counts = {"comparing": -1} if attempt.kind is ItemKind.DIRECTORY else {}
            self._finish(attempt, attempt.whole(Finish(counts=counts)))

    def open_session(self, account: str, address_limit: int) -> None:
        """All accounts are on one address. The ledger learns it from the first who connects."""
        self._tokens += 1
        token = f"session-{self._tokens}"
        self.slots.take(
            account,
            "address",
            token,
            most_account=9,
            most_address=address_limit,
            connects_per_second=10**6,
        )
        self.slots.free(account, "address", token)
        self.model.connect(account, address_limit)

    # -- time --------------------------------------------------------------------------------------

    def silence(self, node: str) -> None:
        """Dead, or away for a while: what it has claimed is not heard of."""
        self.alive.discard(node)
        for run in self.model.live().values():
            for item in run.items.values():
                if item.place is Place.CLAIMED and item.node == node:
                    item.age = LONG_AGO_SECONDS

    def bury(self, node: str, fate: Fate) -> None:
        """What `siteferry.dispatch.handing_back` does for a process that ends, or has died."""
        given = self.items.bury(node, fate)
        self.model.bury(node, fate, given)
        if fate is not Fate.LEAVING:
            self.alive.discard(node)
            self.queue = [message for message in self.queue if message.queue != node]
        self._send(given)

    def hang(self, attempt: Attempt) -> None:
        """Its thread does not move, so its worker's heartbeat leaves it out."""
        item = self.model.current(attempt.member)
        if item is not None and item.place is Place.CLAIMED:
            item.age = LONG_AGO_SECONDS

    def pass_time(self, seconds: float, queued: int | None) -> None:
        """For messages that are under way, for delays, for those who have been told to stop; then
        the sweeper comes by, if `queued` tells how many messages it finds in the shared queue."""
        for run in self.model.live().values():
            for item in run.items.values():
                if item.place is not Place.CLAIMED:
                    item.age += seconds
        for item in self.model.lingering.values():
            item.age += seconds
        if queued is not None:
            self._sweep(queued)

    def _sweep(self, queued: int) -> None:
        dead = set(NODES) - self.alive
        self.view.set_clock(self.model, self.alive, dead)
        swept = self.items.sweep(
            NODES[0],
            stale_seconds=STALE_SECONDS,
            lost_seconds=LOST_SECONDS,
            busy_seconds=BUSY_SECONDS,
            queued=queued,
            lease_ms=60_000,
        )
        assert swept is not None
        given, told_dead = swept
        assert set(told_dead) <= dead
        self.model.sweep(self.alive, queued, given)
        # As `siteferry.dispatch.heartbeat` does.
        self.queue = [message for message in self.queue if message.queue not in told_dead]
        self._send(given)

    # -- the end -----------------------------------------------------------------------------------

    def everything_comes_to_its_end(self) -> None:
        """What was in hand is given up by its workers, and every message arrives."""
        self.attempts.clear()
        self.alive = set(NODES)
        for run in self.model.live().values():
            for item in run.items.values():
                item.age = LONG_AGO_SECONDS
        rounds, tries = 0, Counter[tuple[str, str]]()
        while self.model.live():
            rounds += 1
            assert rounds < _MOST_ROUNDS, f"does not end: {self.model.live()}"
            self.pass_time(LONG_AGO_SECONDS, len(self.queue))
            for message in list(self.queue):
                self.queue.remove(message)
                attempt = self.deliver(message, NODES[rounds % len(NODES)])
                if attempt is not None:
                    tries[attempt.member.run, attempt.member.item] += 1
                    self.carry_through(attempt, failing=False)
                self.view.check(self.model)
        for (_, item), count in tries.items():
            assert count <= MOST_FRUITLESS[ItemKind.of(item)], f"{item} is poison, and goes on"
        self._check_ends()
        self.view.forget_delays()
        self.pass_time(LONG_AGO_SECONDS, 0)
        self.view.check(self.model)
        self.view.check_idle()

    def _check_ends(self) -> None:
        for name, run in self.model.runs.items():
            told = self.runs.snapshot(name)
            assert told.state.ended
            assert (told.transferred, told.failed) == (len(run.transferred), len(run.failed))
            assert told.transferred_bytes == sum(map(size_of, run.transferred))
            if run.state in {RunState.DONE, RunState.INCOMPLETE}:
                settled = run.transferred.keys() | run.failed
                assert settled == self.websites[name].all_paths(run.dry), name
                assert told.error is None
