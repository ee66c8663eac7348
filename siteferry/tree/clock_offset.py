"""How far the times in a server's listings are from UTC, learned from files that are on both sides.

RFC 3659 (section 2.3) asks for UTC, and some servers tell local time all the same; LIST always
does. A difference that is neither is no time zone: a server that gives every file the time of its
arrival must not be taken for one in another country.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

STEP_SECONDS = 15 * 60
"""Time zones differ from UTC by multiples of it (Nepal: 5 h 45 min)."""
FARTHEST_SECONDS = 14 * 3600
"""The farthest that a time zone is from UTC (Kiribati)."""
FEWEST_PAIRS = 3
"""So many different pairs must agree: one could do so by chance."""
_MAJORITY = (2, 3)


@dataclass(frozen=True, slots=True)
class ServerClock:
    """How to read a server's times.

    offset_seconds: what they are ahead of UTC.
    precision_seconds: what they are cut or rounded to: 1 for MLSD, 60 for the younger lines of
        LIST, 86,400 for those that tell a day.
    """

    offset_seconds: int = 0
    precision_seconds: int = 1

    def agree(self, local: int, remote: int) -> bool:
        """Whether both may be the same moment; times in Unix seconds, `remote` as it was told."""
        return abs(self.to_utc(remote) - local) <= self.precision_seconds

    def is_newer(self, local: int, remote: int) -> bool:
        """Whether `local` is certainly later than `remote`."""
        return local - self.to_utc(remote) > self.precision_seconds

    def to_utc(self, remote: int) -> int:
        """What the server means by `remote`, in Unix seconds UTC."""
        return remote - self.offset_seconds


def learn_offset(pairs: Iterable[tuple[int, int]], precision_seconds: int = 1) -> int:
    """What the server's times are ahead of UTC, in seconds: a multiple of 15 minutes within 14
    hours that at least two thirds of the pairs show; 0 where there is none.

    A pair that comes several times counts once: all files of one checkout have the same time, and
    were they all sent in the same second, they would be one witness and not many.

    Args:
        pairs: for files of the same size on both sides, the local time (Unix seconds UTC) and the
            remote one as the server tells it.
        precision_seconds: see `ServerClock`. From half of 15 minutes on nothing can be learned.
    """
    if 2 * precision_seconds >= STEP_SECONDS:
        return 0
    different = set(pairs)
    votes: Counter[int] = Counter()
    for local, remote in different:
        ahead = remote - local
        offset = round(ahead / STEP_SECONDS) * STEP_SECONDS
        if abs(ahead - offset) <= precision_seconds and abs(offset) <= FARTHEST_SECONDS:
            votes[offset] += 1
    if not votes:
        return 0
    offset, agreeing = votes.most_common(1)[0]
    part, whole = _MAJORITY
    clear = agreeing >= FEWEST_PAIRS and agreeing * whole >= len(different) * part
    return offset if clear else 0
