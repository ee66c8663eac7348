"""What the ledger must do, in plain Python: a model that its Lua is held against.

The model knows runs, items and records, and nothing of keys. Each method stands for one script: it
is given the script's answer, says whether that may be, and takes over what has changed. It does not
foretell which of several waiting items are let in: only that they waited, that the window had room
for them, and that none waits while there is room. `siteferry/ledger/lua/` is what is tested, so
nothing here is taken from there; docs/states.md is what both follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from siteferry.ledger.items import Claim, Fate, Finish, Kept, Outcome, Status
from siteferry.ledger.runs import NewRun
from siteferry.run import ItemKind, Member, RunState

STALE_SECONDS, GRACE_SECONDS, LOST_SECONDS, BUSY_SECONDS, BACKLOG_SECONDS = 5, 1, 5, 30, 600
_COUNTED_AT_ONCE = {"skipped", "adopted", "adopted_bytes"}
SHARED = "-"
"""In place of a node: the message went to the queue that all nodes read."""


class Place(StrEnum):
    """Where an open item is: at exactly one of these."""

    WAITING = "waiting"
    SENT = "sent"
    CLAIMED = "claimed"
    DELAYED = "delayed"


@dataclass
class Item:
    """An open item.

    node: whose own queue it was sent to, or who has claimed it. age: seconds since it was sent, or
    since its worker was heard of; of a delayed one, since it was due.
    """

    body: Mapping[str, Any]
    place: Place = Place.WAITING
    attempt: int = 1
    fruitless: int = 0
    deaths: int = 0
    node: str = SHARED
    age: float = 0


@dataclass
class ModelRun:
    """A run with its open items and its records.

    parts: path -> what stands of it now, and what ever stood, in bytes. replies: item -> the
    attempt that has finished it, and what that was told. events: what has happened, which nothing
    that happens later takes back.
    """

    new: NewRun
    state: RunState = RunState.QUEUED
    items: dict[str, Item] = field(default_factory=dict)
    replies: dict[str, tuple[int, list[Member]]] = field(default_factory=dict)
    transferred: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    events: Counter[str] = field(default_factory=Counter)

    @property
    def dry(self) -> bool:
        return bool(self.new.options.get("dry_run"))

    def member(self, item: str) -> Member:
        return Member(self.new.run, item, self.items[item].attempt)

    def at(self, *places: Place) -> list[str]:
        return [name for name, item in self.items.items() if item.place in places]

    def record(self, outcomes: Sequence[Outcome]) -> int:
        """Each path counts once; gives how many of them are new."""
        return sum(self._record(outcome) for outcome in outcomes)

    def _record(self, outcome: Outcome) -> bool:
        path = outcome.path
        if outcome.status is Status.TRANSFERRED:
            if path in self.transferred:
                return False
            self.transferred[path] = outcome.size
            self.events["transferred"] += 1
            self.events["transferred_bytes"] += outcome.size
            self.failed.discard(path)
            self.parts.pop(path, None)
            return True
        if outcome.status is Status.UNPUBLISHED:
            self.transferred.pop(path, None)
        if path in self.transferred or path in self.failed:
            return False
        self.failed.add(path)
        return True

    def keep(self, parts: Sequence[Kept]) -> int:
        """What stands of files that are not there yet; gives how many have come further."""
        further = 0
        for part in parts:
            if part.path not in self.transferred:
                furthest = self.parts.get(part.path, (0, 0))[1]
                further += part.offset > furthest
                self.parts[part.path] = part.offset, max(part.offset, furthest)
        return further


@dataclass
class LedgerModel:
    """All runs.

    neighbours: accounts that are known to share an address, which allows `address_limit`
    connections at a time. lingering: attempts at items of runs that have ended, whose workers may
    not know it: they keep their places until they have spoken, or been silent for long.
    """

    runs: dict[str, ModelRun] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    neighbours: set[str] = field(default_factory=set)
    address_limit: int = 0
    lingering: dict[Member, Item] = field(default_factory=dict)
    sites: dict[str, dict[str, str]] = field(default_factory=dict)
    """What is known of each website's last run, and of its last good one."""
    ended_facts: dict[str, object] = field(default_factory=dict)
    """What was seen of each run when it had just ended."""

    def live(self) -> dict[str, ModelRun]:
        return {name: run for name, run in self.runs.items() if not run.state.ended}

    def totals(self) -> Counter[str]:
        """All that has happened in runs that publish."""
        return sum((run.events for run in self.runs.values() if not run.dry), Counter[str]())

    def window(self, account: str) -> set[Member]:
        """What holds a place among the account's connections."""
        own = [run for run in self.live().values() if run.new.account == account]
        inside = {run.member(i) for run in own for i in run.at(Place.SENT, Place.CLAIMED)}
        return inside | {m for m in self.lingering if self.runs[m.run].new.account == account}

    def current(self, member: Member) -> Item | None:
        """The open item that this is the counting attempt at."""
        run = self.live().get(member.run)
        item = run.items.get(member.item) if run is not None else None
        return item if item is not None and item.attempt == member.attempt else None

    # -- the scripts -------------------------------------------------------------------------------

    def start(self, new: NewRun, answer: list[Member] | str) -> None:
        """`answer`: what may be sent, or the run that holds the target."""
        holders = [name for name, run in self.live().items() if run.new.target == new.target]
        if holders and holders != [new.run]:
            assert [answer] == holders
            return
        assert not isinstance(answer, str), f"{answer} does not hold {new.target}"
        if new.run not in self.runs:
            self.runs[new.run] = ModelRun(new, items={"plan": Item({})})
            self.limits[new.account] = new.connections
        self._let_in([new.account], answer, SHARED)

    def claim(self, member: Member, node: str, claim: Claim | None) -> None:
        item = self.current(member)
        if item is None or item.place is not Place.SENT:
            assert claim is None, f"{member} is not to be claimed"
            if member.run in self.runs and self.runs[member.run].state.ended:
                self.lingering.pop(member, None)
            return
        assert claim is not None, f"{member} was sent, and nobody can claim it"
        assert (claim.body, claim.fruitless) == (item.body, item.fruitless)
        assert claim.deaths == item.deaths
        self._take(member, item, node)

    def report(
        self,
        member: Member,
        node: str,
        outcomes: Sequence[Outcome],
        parts: Sequence[Kept],
        accepted: bool,
    ) -> None:
        item = self._held(member, node)
        assert accepted is (item is not None), f"report of {member} by {node}"
        if item is not None:
            run = self.runs[member.run]
            item.age = 0
            if run.record(outcomes) + run.keep(parts):
                item.fruitless = item.deaths = 0

    def finish(self, member: Member, node: str, result: Finish, given: list[Member]) -> None:
        run = self.runs.get(member.run)
        if run is None:
            assert given == []
            return
        if member.item in run.replies:
            attempt, told = run.replies[member.item]
            assert given == (told if attempt == member.attempt else [])
            return
        if self._held(member, node) is None:
            self._refuse(member, node, given)
            return
        run.record(result.outcomes)
        run.counts.update(result.counts)
        run.events.update({n: c for n, c in result.counts.items() if n in _COUNTED_AT_ONCE})
        if "state" in result.fields:
            run.state = RunState(result.fields["state"])
        del run.items[member.item]
        for child in result.children:
            assert child.item not in run.items
            run.items[child.item] = Item(child.body)
        self._advance(run)
        self._let_in([run.new.account], given, node)
        run.replies[member.item] = member.attempt, given

    def release(
        self,
        member: Member,
        node: str,
        outcomes: Sequence[Outcome],
        parts: Sequence[Kept],
        given: list[Member],
        *,
        delayed: bool,
        blameless: bool,
        progressed: bool,
        retry: str | None,
    ) -> None:
        if member.run not in self.runs:
            assert given == []
            return
        item, run = self._held(member, node), self.runs[member.run]
        if item is None:
            self._refuse(member, node, given)
            return
        item.deaths = 0
        if run.record(outcomes) + run.keep(parts) or progressed:
            item.fruitless = 0
        elif not blameless:
            item.fruitless += 1
        self._again(item, Place.DELAYED if delayed else Place.WAITING)
        self._count_retry(run, retry)
        self._let_in([run.new.account], given, node)

    def fail(
        self, name: str, state: RunState, spare_publish: bool, answer: list[Member] | None
    ) -> None:
        run = self.live().get(name)
        if run is None or (spare_publish and run.state is RunState.PUBLISHING):
            assert answer is None
            return
        assert answer == [], "whoever ends a run may be one who sends nothing"
        self._end(run, state)

    def sweep(self, alive: Collection[str], queued: int, given: list[Member]) -> None:
        for run in self.live().values():
            for item in run.items.values():
                self._sweep_item(run, item, alive, queued)
        for member in [m for m, item in self.lingering.items() if item.age >= STALE_SECONDS]:
            del self.lingering[member]
        self._let_in(self._accounts(), given, SHARED)

    def bury(self, node: str, fate: Fate, given: list[Member]) -> None:
        for run in self.live().values():
            for name, item in run.items.items():
                if item.node == node and item.place is Place.SENT:
                    self._again(item, Place.WAITING)
                elif item.node == node and item.place is Place.CLAIMED and fate != Fate.LEAVING:
                    item.deaths += fate is Fate.KILLED
                    self._count_retry(run, "died" if fate is Fate.KILLED else None)
                    later = ItemKind.of(name) in {ItemKind.PLAN, ItemKind.PUBLISH}
                    self._again(item, Place.DELAYED if later else Place.WAITING)
        if fate != Fate.LEAVING:
            for member in [m for m, item in self.lingering.items() if item.node == node]:
                del self.lingering[member]
        self._let_in(self._accounts(), given, SHARED)

    def _sweep_item(self, run: ModelRun, item: Item, alive: Collection[str], queued: int) -> None:
        if item.place is Place.DELAYED and item.age > 0:
            item.place = Place.WAITING
        elif item.place is Place.CLAIMED and item.age >= STALE_SECONDS:
            item.deaths += 1
            self._again(item, Place.WAITING)
            self._count_retry(run, "died")
        elif item.place is Place.SENT:
            own = item.node != SHARED
            orphaned = own and item.node not in alive and item.age > GRACE_SECONDS
            most = BUSY_SECONDS if own else LOST_SECONDS
            backlog = not own and item.age >= BACKLOG_SECONDS
            if orphaned or backlog or (item.age > most and (own or not queued)):
                self._again(item, Place.WAITING)

    def connect(self, account: str, address_limit: int) -> None:
        """A session is opened: from then on it is known where the account's server is."""
        self.neighbours.add(account)
        self.address_limit = address_limit

    # -- steps that several of them share ----------------------------------------------------------

    def _accounts(self) -> set[str]:
        return {run.new.account for run in self.live().values()}

    def _take(self, member: Member, item: Item, node: str) -> None:
        item.place, item.node, item.age = Place.CLAIMED, node, 0
        run = self.runs[member.run]
        if run.state is RunState.QUEUED:
            run.state = RunState.PLANNING

    def _held(self, member: Member, node: str) -> Item | None:
        """The item, where this attempt counts. A Redis that has lost its last second may know it
        as sent: who works on it has claimed it."""
        item = self.current(member)
        if item is not None and item.place is Place.SENT:
            self._take(member, item, node)
        claimed = item is not None and item.place is Place.CLAIMED and item.node == node
        return item if claimed else None

    def _refuse(self, member: Member, node: str, given: list[Member]) -> None:
        run = self.runs[member.run]
        if run.state.ended:
            self.lingering.pop(member, None)
        self._let_in([run.new.account], given, node)

    @staticmethod
    def _again(item: Item, place: Place) -> None:
        item.place, item.node, item.age = place, SHARED, 0
        item.attempt += 1

    @staticmethod
    def _count_retry(run: ModelRun, reason: str | None) -> None:
        if reason is not None:
            run.retries += 1
            run.events[f"retries {reason}"] += 1

    def _advance(self, run: ModelRun) -> None:
        if run.items:
            return
        if run.state is RunState.PUBLISHING or run.dry:
            self._end(run, RunState.INCOMPLETE if run.failed else RunState.DONE)
        elif run.failed and run.new.on_failure != "publish":
            self._end(run, RunState.INCOMPLETE)
        else:
            run.state = RunState.PUBLISHING
            run.items["publish"] = Item({})

    def _end(self, run: ModelRun, state: RunState) -> None:
        self.lingering |= {run.member(i): run.items[i] for i in run.at(Place.CLAIMED)}
        run.items.clear()
        run.state = state
        run.events.update(
            {f"ended {state}": 1, "failed": len(run.failed), "deleted": run.counts["deleted"]}
        )
        if not run.dry:
            known = self.sites.setdefault(run.new.site, {})
            known |= {"last_run": run.new.run, "last_state": state.value}
            known |= {"good_run": run.new.run} if state is RunState.DONE else {}

    def _let_in(self, accounts: Collection[str], given: list[Member], node: str) -> None:
        """`given` have been let in, where `accounts` were looked at, and those who share the
        address of one: the first of them goes to the own queue of `node`."""
        for index, member in enumerate(given):
            item = self.current(member)
            assert item is not None, f"{member} is no open attempt"
            assert item.place is Place.WAITING, f"{member} is {item.place}, and was let in"
            item.place, item.age = Place.SENT, 0
            item.node = SHARED if index else node
        for account in {self.runs[member.run].new.account for member in given}:
            assert self._room(account) >= 0, f"more than {self.limits[account]} in the window"
        looked_at = set(accounts)
        if looked_at & self.neighbours:
            looked_at |= self.neighbours
        for account in sorted(looked_at):
            mine = [run for run in self.live().values() if run.new.account == account]
            waiting = [run.member(i) for run in mine for i in run.at(Place.WAITING)]
            room = self._room(account)
            assert room <= 0 or not waiting, f"{waiting} wait, though there is room for {room}"

    def _room(self, account: str) -> int:
        room = self.limits[account] - len(self.window(account))
        if account in self.neighbours:
            used = sum(len(self.window(neighbour)) for neighbour in self.neighbours)
            room = min(room, self.address_limit - used)
        return room
