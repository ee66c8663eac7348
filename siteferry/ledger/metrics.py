"""What the ledger can tell a monitor: counts that outlive runs, and how everything stands now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from siteferry.ledger.connection import Connection

_BEAT_SECONDS = 5.0
"""For how long a worker process counts as alive after its last heartbeat."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Connections of an account or an address: `used` now, of `configured`; `learned` is what its
    host has admitted at most, where that is less, else `configured`."""

    name: str
    used: int
    configured: int
    learned: int


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the last run of a website ended, and when its last good one did. Unix seconds of the
    ledger's clock; `good` is None where there was none within 400 days."""

    site: str
    ended: float
    state: str
    good: float | None


@dataclass(frozen=True, slots=True)
class LedgerMetrics:
    """All of it, as of one moment.

    totals: by what is counted and direction, since the ledger is there. runs: that have not ended,
    by state. items: by where they are: waiting, sent, claimed, delayed. messages: in the queue that
    all workers read. stopped: accounts whose login was refused.
    """

    totals: Mapping[tuple[str, str], int]
    runs: Mapping[str, int]
    items: Mapping[str, int]
    messages: int
    workers: int
    stopped: Sequence[str]
    accounts: Sequence[Slots]
    addresses: Sequence[Slots]
    sites: Sequence[LastRun]


def read_metrics(connection: Connection, queue: str) -> LedgerMetrics:
    """Look at everything in one step.

    Args:
        queue: name of the queue that all workers read.

    Raises:
        LedgerUnreachable: Redis does not answer, or refuses us.
    """
    answer: dict[str, Any] = json.loads(connection.run_script("metrics", queue, _BEAT_SECONDS))
    return LedgerMetrics(
        totals={_what_and_direction(text): n for text, n in answer["totals"].items()},
        runs=dict(answer["runs"]),
        items=dict(answer["items"]),
        messages=answer["messages"],
        workers=answer["workers"],
        # Lua writes an empty list as {}.
        stopped=sorted(answer["stopped"] or ()),
        accounts=[Slots(*row) for row in sorted(answer["accounts"] or ())],
        addresses=[Slots(*row) for row in sorted(answer["addresses"] or ())],
        sites=[
            LastRun(site, ended, state, good or None)
            for site, ended, state, good in sorted(answer["sites"] or ())
        ],
    )


def _what_and_direction(text: str) -> tuple[str, str]:
    what, _, direction = text.rpartition(" ")
    return what, direction
