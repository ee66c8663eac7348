"""Which files of a directory differ from what the server lists, where no manifest is to be trusted.

A listing knows sizes and times, not contents. What it proves depends on how the user works, so the
user chooses the mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from siteferry.tree.clock_offset import ServerClock
from siteferry.tree.found import FoundDirectory, FoundFile
from siteferry.tree.paths import split

RemoteMode = Literal["listing", "mtime", "adopt", "checksum"]
"""listing: unchanged is what has the same size and the same time, both told by the server.
mtime: changed is what has another size, or is newer than its copy on the server.
adopt: unchanged is what has the same size; takes over a live website without sending it again.
checksum: what has the same size is to be compared by content.
"""

_SAME_SIZE = "the size is the same, so only the content tells"
_SIZE_UNTOLD = "the server does not tell its size"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the server tells of a file: bytes, and its time as told (Unix seconds; see
    `ServerClock`); None for what it does not tell."""

    size: int | None
    mtime: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A file whose content must be compared before it is known whether it differs; `reason` is
    fit for the user."""

    found: FoundFile
    reason: str


@dataclass(frozen=True, slots=True)
class RemoteComparison:
    """Every file of the directory, in exactly one of three places. Only mode checksum asks."""

    changed: tuple[FoundFile, ...]
    unchanged: tuple[FoundFile, ...]
    asked: tuple[Asked, ...] = ()


def compare_remote(
    directory: FoundDirectory,
    remote: Mapping[str, RemoteFile],
    mode: RemoteMode,
    clock: ServerClock | None = None,
) -> RemoteComparison:
    """Compare a directory with its whole listing. In doubt a file is changed: sending it once more
    does no harm, and leaving it out would.

    Args:
        remote: the files of the same directory on the server, by name (not by path); no
            directories and no links, for what is not here is changed.
        clock: how to read the server's times; None: as UTC to the second.
    """
    clock = clock or ServerClock()
    changed: list[FoundFile] = []
    unchanged: list[FoundFile] = []
    asked: list[Asked] = []
    for found in directory.files:
        there = remote.get(split(found.path)[1])
        if there is None:
            changed.append(found)
        elif mode == "checksum" and there.size in (None, found.size):
            asked.append(Asked(found, _SIZE_UNTOLD if there.size is None else _SAME_SIZE))
        elif there.size == found.size and _time_allows(found, there, mode, clock):
            unchanged.append(found)
        else:
            changed.append(found)
    return RemoteComparison(tuple(changed), tuple(unchanged), tuple(asked))


def times_of_pairs(
    directory: FoundDirectory, remote: Mapping[str, RemoteFile]
) -> Iterator[tuple[int, int]]:
    """For `learn_offset`: the local and the remote time of each file that has the same size on both
    sides, and a time there. Chain those of several directories."""
    for found in directory.files:
        there = remote.get(split(found.path)[1])
        if there is not None and there.size == found.size and there.mtime is not None:
            yield found.mtime, there.mtime


def _time_allows(found: FoundFile, there: RemoteFile, mode: RemoteMode, clock: ServerClock) -> bool:
    """Whether a file of the same size counts as unchanged."""
    if mode == "adopt":
        return True
    if there.mtime is None:
        return False
    if mode == "mtime":
        return not clock.is_newer(found.mtime, there.mtime)
    return clock.agree(found.mtime, there.mtime)
