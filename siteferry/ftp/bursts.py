"""How many commands may be under way, unanswered, at a time."""

from __future__ import annotations

from collections.abc import Sequence

BURST_COMMANDS = 400
"""A reply takes some 60 bytes: so many fit into what the kernels on the way hold, and a server that
answers while we still write does not wait for us."""
CAREFUL_BYTES = 4000
"""ProFTPD 1.3.8 reads at most 4,102 bytes at a time, and joins two commands where a read ends
between the first one's CR and LF (docs/decisions/0005): so less than that may be pending. For
servers that are not known to be free of it."""
GENEROUS_BYTES = 16_000
"""For servers that are: about what a connection may send at once after a silence (ten segments of
1,448 bytes; RFC 6928), and far below what the kernels on the way hold."""


def windows(lines: Sequence[bytes], most_bytes: int = CAREFUL_BYTES) -> list[tuple[int, int]]:
    """Cut command lines into ranges (start, stop) within both bounds; a longer line is alone."""
    ranges: list[tuple[int, int]] = []
    start = size = 0
    for index, line in enumerate(lines):
        if index > start and (index - start >= BURST_COMMANDS or size + len(line) > most_bytes):
            ranges.append((start, index))
            start, size = index, 0
        size += len(line)
    if start < len(lines):
        ranges.append((start, len(lines)))
    return ranges
