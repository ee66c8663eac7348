"""When to try again: pure arithmetic, no clock, no sleeping."""

from __future__ import annotations

from dataclasses import dataclass

from siteferry.errors import ConnectionLimited, HostUnreachable, SiteferryError
from siteferry.run import ItemKind

MOST_FRUITLESS = {
    ItemKind.PLAN: 3,
    ItemKind.DIRECTORY: 5,
    ItemKind.FILES: 5,
    ItemKind.PUBLISH: 10,
}
"""Attempts in a row without progress before an item is given up. The plan gives up soonest, for
somebody may be waiting at a terminal; a publish that has begun is worth the most patience."""

MOST_PATIENT = 12
"""The same, once the plan is made, for a host that does not answer, as while it starts again, and
while the plan is made for one that admits none of our connections. With the pauses between the
attempts it is some four minutes."""

MOST_FULL_SECONDS = 1200.0
"""For how long, once the plan is made, a host is waited for that admits none. Pure-FTPd counts a
session whose worker was killed at the wrong moment for 15 minutes, its idle time."""

MOST_DEATHS = 15
"""Attempts in a row whose workers died or went silent, without progress, before an item is given
up. They are many, for nobody can tell whether the item was at fault."""

MOST_BARREN_SECONDS = 1800.0
"""And for so long at most, for attempts that each wait for a deadline take their time; but time in
which nothing was tried (workers were off) is not held against an item:"""
FEWEST_BARREN = 3

MOST_ELSEWHERE_SECONDS = 60.0
"""For how long an item is offered around when no worker that lives has the website's sources;"""
FEWEST_ELSEWHERE = 20
"""and so often at least, for time in which workers were off does not count. One that lives and has
not had its turn with the item may have them, and be busy: then it is MOST_BARREN_SECONDS."""

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after so many seconds; `blameless`: the item was not at fault."""

    delay_seconds: float
    blameless: bool = False


def backoff_seconds(fruitless: int, jitter: float) -> float:
    """0.5, 1, 2, 4 … 30 seconds after 0, 1, 2, 3 … attempts without progress, each made up to half
    as long again by `jitter` (0 to 1), so that many workers do not come back together."""
    return min(_FIRST_SECONDS * 2.0**fruitless, _LONGEST_SECONDS) * (1 + jitter / 2)


def decide_elsewhere(tries: int, seconds: float, jitter: float, *, others: bool) -> Again | None:
    """Whether an item is offered again whose worker did not have the website's sources.

    Args:
        tries: attempts in a row that ended so, with this one.
        seconds: how long ago the first of them did.
        others: a worker lives that has not tried.
    """
    most = MOST_BARREN_SECONDS if others else MOST_ELSEWHERE_SECONDS
    if tries >= FEWEST_ELSEWHERE and seconds >= most:
        return None
    # The sweeper, which lets it back in, comes once a second: about a second in all.
    return Again(0.5 + jitter / 2, blameless=True)


def decide(
    error: SiteferryError,
    kind: ItemKind,
    fruitless: int,
    jitter: float,
    *,
    blameless: bool,
    barren_seconds: float = 0.0,
) -> Again | None:
    """Whether an item whose attempt ended with `error` is tried again; None: it is given up.

    Args:
        fruitless: attempts in a row without progress before this one.
        blameless: nothing was tried, for want of a free connection.
        barren_seconds: time since the first of those attempts ended.
    """
    if not error.transient:
        return None
    if blameless:
        return Again(0.1 + 0.4 * jitter, blameless=True)
    count = fruitless + 1
    too_long = barren_seconds >= MOST_BARREN_SECONDS and count >= FEWEST_BARREN
    is_full = isinstance(error, ConnectionLimited)
    if is_full and kind is not ItemKind.PLAN:
        given_up = barren_seconds >= MOST_FULL_SECONDS and count >= FEWEST_BARREN
    elif is_full or (isinstance(error, HostUnreachable) and kind is not ItemKind.PLAN):
        given_up = count >= MOST_PATIENT or too_long
    else:
        given_up = count >= MOST_FRUITLESS[kind] or too_long
    if given_up:
        return None
    return Again(backoff_seconds(fruitless, jitter))
