"""Items and attempts: claimed once, recorded file by file, finished or given back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from siteferry.ledger.connection import Connection
from siteferry.run import Member


class Status(StrEnum):
    """What became of a path: it stands staged, it cannot be carried, or it was staged and then
    refused at publish."""

    TRANSFERRED = "transferred"
    FAILED = "failed"
    UNPUBLISHED = "unpublished"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one path; each path counts once, whatever is repeated.

    `facts` goes to the ledger as JSON; `size` in bytes counts unless the path failed.
    """

    path: str
    status: Status
    facts: Mapping[str, object]
    size: int = 0

    def row(self) -> list[object]:
        return [self.path, self.status.value, _dump(self.facts), self.size]


@dataclass(frozen=True, slots=True)
class Kept:
    """What stands on the server of a file that is not finished; see `siteferry.ftp.sending`.

    furthest: the largest `offset` that the ledger was ever told of this file.
    """

    path: str
    name: str
    size: int
    offset: int
    sha256: str
    ended: bool
    furthest: int = 0

    def row(self) -> list[object]:
        return [self.path, self.name, self.size, self.offset, self.sha256, self.ended]


@dataclass(frozen=True, slots=True)
class Child:
    """An item that follows from the one being finished; `first` puts it before what waits.

    label: which directory or files, for people; see `Member`.
    """

    item: str
    body: Mapping[str, object]
    first: bool = False
    label: str = ""

    def row(self) -> list[object]:
        return [self.item, self._body_text(), self.first]

    def _body_text(self) -> str:
        """The label is the first field, and no quote stands in it: `label_of` in window.lua reads
        it there without the rest. Workers of versions without labels read the body as it was."""
        text = _dump(self.body)
        if not self.label or not self.body:
            return text
        label = _dump(self.label).replace("\\\\", "\\u005c").replace('\\"', "\\u0022")
        return f'{{"label":{label},{text[1:]}'


@dataclass(frozen=True, slots=True)
class Finish:
    """All that an item leaves behind: taken over by the ledger in one step, once."""

    outcomes: Sequence[Outcome] = ()
    children: Sequence[Child] = ()
    fields: Mapping[str, str | int | float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Later:
    """The item is not done, and nothing is wrong: it goes on after others had their turn."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Attempts in a row that ended because their workers did not have the website's sources.
    `seconds`: how long ago the first of them did; `nodes`: those workers."""

    tries: int = 0
    seconds: float = 0.0
    nodes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that succeeded. `fruitless`: attempts in a row before this one without progress;
    `barren_seconds`: how long ago the first of them ended; `deaths`: attempts in a row, of these,
    whose worker died or went silent."""

    body: Mapping[str, Any]
    fruitless: int
    barren_seconds: float
    facts: Mapping[str, str]
    elsewhere: Elsewhere = Elsewhere()
    deaths: int = 0


class Fate(StrEnum):
    """What becomes of a worker process: it still carries what it has begun, and begins nothing
    more; it has ended itself; it was killed, or has crashed."""

    LEAVING = "leaving"
    LEFT = "left"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Items:
    """The ledger's side of what workers do. All methods raise LedgerUnreachable."""

    connection: Connection

    def claim(self, member: Member, node: str) -> Claim | None:
        """Claim an attempt; None when it is claimed, finished, superseded or its run has ended."""
        answer = self.connection.run_script("claim", *_names(member), node)
        if answer is None:
            return None
        body, fruitless, barren, flat, tries, seconds, nodes, deaths = answer
        elsewhere = Elsewhere(int(tries), float(seconds), frozenset(nodes.split()))
        return Claim(
            json.loads(body),
            int(fruitless),
            float(barren),
            _pairs(flat),
            elsewhere,
            int(deaths),
        )

    def report(
        self,
        member: Member,
        node: str,
        outcomes: Sequence[Outcome],
        parts: Sequence[Kept] = (),
    ) -> bool:
        """Heartbeat with the files done since the last one, and what stands of those that are not;
        False: the attempt counts no more."""
        rows = _dump([outcome.row() for outcome in outcomes])
        kept = _dump([part.row() for part in parts])
        return bool(self.connection.run_script("report", *_names(member), node, rows, kept))

    def finish(
        self, member: Member, node: str, result: Finish, *, beside: int | None = 0
    ) -> list[Member]:
        """Finish an item; gives what may be sent now. The first of it is for this node's own queue,
        unless another node has much less in hand.

        Args:
            beside: what this node has in hand apart from this item; None: it takes no other one.
        """
        answer = self.connection.run_script(
            "finish",
            *_names(member),
            node,
            _dump([outcome.row() for outcome in result.outcomes]),
            _dump([child.row() for child in result.children]),
            _dump(result.fields),
            _dump(result.counts),
            *_finisher(node, beside),
        )
        return members(answer)

    def release(
        self,
        member: Member,
        node: str,
        outcomes: Sequence[Outcome],
        delay_seconds: float,
        error: Mapping[str, object] | None,
        *,
        parts: Sequence[Kept] = (),
        blameless: bool,
        yielding: bool = False,
        progressed: bool = False,
        beside: int | None = 0,
        elsewhere: bool = False,
    ) -> list[Member]:
        """Give an item back for another attempt after `delay_seconds`; gives what may be sent.

        Args:
            blameless: the attempt does not count as fruitless.
            yielding: other runs of the account go first.
            progressed: the attempt has come further, whoever was told of it already.
            beside: see `finish`.
            elsewhere: this node does not have the website's sources.
        """
        queue, load = _finisher(node, beside)
        answer = self.connection.run_script(
            "release",
            *_names(member),
            node,
            _dump([outcome.row() for outcome in outcomes]),
            _dump([part.row() for part in parts]),
            delay_seconds,
            _dump(error) if error else "",
            int(blameless),
            int(yielding),
            int(progressed),
            queue,
            int(elsewhere),
            load,
        )
        return members(answer)

    def fail_run(
        self, run: str, state: str, error: Mapping[str, object] | None, *, spare_publish: bool
    ) -> list[Member] | None:
        """End a run; None when it has ended already, or publishes and `spare_publish` is set."""
        answer = self.connection.run_script(
            "fail", run, state, _dump(error) if error else "", int(spare_publish)
        )
        return None if answer is None else members(answer)

    def sweep(
        self,
        node: str,
        *,
        stale_seconds: float,
        lost_seconds: float,
        queued: int,
        lease_ms: int,
        busy_seconds: float = 30.0,
    ) -> tuple[list[Member], list[str]] | None:
        """Give out again what silent workers held. None when another node is the sweeper.

        Args:
            stale_seconds: silence after which a claimed item is taken away.
            lost_seconds: age after which a message nobody claimed is taken for lost, if
                `queued` (messages in the shared queue) is 0.
            busy_seconds: the same for a message in the own queue of a node that lives.

        Returns:
            What may be sent now, and the nodes that have died.
        """
        answer = self.connection.run_script(
            "sweep", node, stale_seconds, lost_seconds, queued, lease_ms, busy_seconds
        )
        if answer is None:
            return None
        dead = json.loads(answer[1])
        return members(answer[0]), list(dead or [])

    def bury(self, node: str, fate: Fate) -> list[Member]:
        """Give out again at once what a worker process held, its connections as well; gives what
        may be sent now. May be repeated."""
        return members(self.connection.run_script("bury", node, fate.value))


def members(text: str | None) -> list[Member]:
    """Parse a script's list of {run, item, attempt, site, label, node}; Lua writes an empty one as
    {}."""
    rows = json.loads(text) if text else []
    return [Member(run, item, int(attempt), *shown) for run, item, attempt, *shown in rows or []]


def _finisher(node: str, beside: int | None) -> tuple[str, int]:
    return ("", 0) if beside is None else (node, beside)


def _names(member: Member) -> tuple[str, str, int]:
    return member.run, member.item, member.attempt


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _pairs(flat: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(flat, Mapping):
        return dict(flat)
    return dict(zip(flat[::2], flat[1::2], strict=True))
