"""What visitors saw of a website while it was replaced, and what of that must never be. Pure.

A visit is a home page, then a page, then what that page names. A publish replaces in the opposite
order, so what a visitor has seen new must not lead to anything old.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Any


class Role(IntEnum):
    """What a file is to a visit; the greater role leads to the lesser ones."""

    ASSET = 0
    PAGE = 1
    ENTRY = 2


class Seen(StrEnum):
    """What an answer held: the file of one version, one that is the same in both, or neither."""

    OLD = "old"
    NEW = "new"
    SAME = "same"
    TORN = "torn"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Read:
    """One file, fetched between two times, in seconds of the machine's monotonic clock.

    `status` is the HTTP status, 0 where no answer came.
    """

    path: str
    role: Role
    began: float
    ended: float
    status: int
    seen: Seen


@dataclass(frozen=True, slots=True)
class Visit:
    """Reads in the order in which they were made; there is at least one."""

    reads: tuple[Read, ...]

    @property
    def began(self) -> float:
        return self.reads[0].began

    @property
    def ended(self) -> float:
        return self.reads[-1].ended

    @property
    def versions(self) -> frozenset[Seen]:
        """OLD or NEW or both; what is the same in both versions tells nothing."""
        return frozenset(read.seen for read in self.reads) & {Seen.OLD, Seen.NEW}

    @property
    def mixed(self) -> bool:
        return len(self.versions) == 2


def missing(visits: Iterable[Visit]) -> list[Read]:
    """What was not there: each file here belongs to both versions or was named by a new page."""
    return [read for visit in visits for read in visit.reads if read.status != 200]


def torn(visits: Iterable[Visit]) -> list[Read]:
    """What was there, but whole in neither version."""
    return [read for visit in visits for read in visit.reads if read.seen is Seen.TORN]


def led_back(visits: Iterable[Visit]) -> list[Visit]:
    """Visits in which something new was followed by something old that it leads to."""
    return [
        visit
        for visit in visits
        if any(
            first.seen is Seen.NEW and then.seen is Seen.OLD and first.role > then.role
            for first, then in itertools.combinations(visit.reads, 2)
        )
    ]


def mixed_seconds(visits: Sequence[Visit]) -> float:
    """For how long at least the site was a mixture: from when something new had been seen until
    something old was asked for and came. Not above 0 where all of the old came before the new."""
    new = [read.ended for visit in visits for read in visit.reads if read.seen is Seen.NEW]
    old = [read.began for visit in visits for read in visit.reads if read.seen is Seen.OLD]
    return max(old) - min(new) if old and new else 0.0


def as_facts(visit: Visit) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(read) for read in visit.reads]


def from_facts(facts: Iterable[Mapping[str, Any]]) -> Visit:
    """What `as_facts` gave, as a visit again."""
    return Visit(
        tuple(Read(**{**f, "role": Role(f["role"]), "seen": Seen(f["seen"])}) for f in facts)
    )
