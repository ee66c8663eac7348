"""How many commands may be under way, unanswered, at a time (docs/decisions/0005)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BURST_COMMANDS = 400
"""A reply takes some 60 bytes: so many fit into what the kernels on the way hold, and a server that
answers while we still write does not wait for us."""
CAREFUL_BYTES = 4000
"""For servers of which nothing is known: less than any of them reads at a time."""
GENEROUS_BYTES = 16_000
"""For servers that are known: about what a connection may send at once after a silence (ten
segments of 1,448 bytes; RFC 6928), and far below what the kernels on the way hold."""
PROFTPD_BYTES = 4103
"""ProFTPD 1.3.8 reads at most 4,102 bytes beyond the beginning of a command, and joins two commands
where that falls between the first one's CR and LF: where a run of whole commands has just so many
bytes. So no run may."""

_PATH = re.compile(rb"(?P<verb>[A-Z]{3,4} |SITE CHMOD [0-7]{3} )(?P<own>\.ht)?(?P<root>/(?!/))?")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be under way at a server.

    most_bytes: of commands. never: a number of bytes that no run of whole commands may have.
    """

    most_bytes: int = CAREFUL_BYTES
    never: int | None = None


def windows(lines: Sequence[bytes], allowance: Allowance) -> Iterator[list[bytes]]:
    """Cut command lines into what may be written at a time; a longer line is alone.

    Where a run of lines would have the number of bytes that must never be, the last one's path gets
    a `/` or `./` more, which names the same; where that does not help, a new window begins.
    """
    window = _Window(allowance)
    for line in lines:
        shaped = _longer(line) if window.is_unlucky(line) else line
        if window.lines and (window.is_full(shaped) or window.is_unlucky(shaped)):
            yield window.lines
            window = _Window(allowance)
            shaped = _longer(line) if window.is_unlucky(line) else line
        window.add(shaped)
    if window.lines:
        yield window.lines


class _Window:
    """The lines of one window, and where each begins in it."""

    def __init__(self, allowance: Allowance) -> None:
        self.lines: list[bytes] = []
        self._allowance = allowance
        self._begins: set[int] = set()
        self._size = 0

    def is_full(self, line: bytes) -> bool:
        too_large = self._size + len(line) > self._allowance.most_bytes
        return too_large or len(self.lines) >= BURST_COMMANDS

    def is_unlucky(self, line: bytes) -> bool:
        """Whether a run of lines that ends with this one would have the length that must not be, or
        one before it has."""
        never = self._allowance.never
        if never is None:
            return False
        begin = self._size + len(line) - never
        return begin in self._begins or begin == self._size or never in map(len, self.lines[:1])

    def add(self, line: bytes) -> None:
        self._begins.add(self._size)
        self.lines.append(line)
        self._size += len(line)


def _longer(line: bytes) -> bytes:
    found = _PATH.match(line)
    if found is None or not (found["own"] or found["root"]):
        return line
    more = b"./" if found["own"] else b"/"
    return found["verb"] + more + line[len(found["verb"]) :]
