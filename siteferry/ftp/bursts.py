"""How many commands may be under way, unanswered, at a time."""

from __future__ import annotations

from collections.abc import Sequence

BURST_COMMANDS = 200
BURST_BYTES = 4000
"""ProFTPD 1.3.8 reads commands through a buffer of 4,103 bytes: of more that is pending, a command
that ends just where the buffer is full is joined with the next one into a single, wrong command.
Seen with RNTO; vsftpd takes 60 kB without a fault."""


def windows(lines: Sequence[bytes]) -> list[tuple[int, int]]:
    """Cut command lines into ranges (start, stop) within both bounds; a longer line is alone."""
    ranges: list[tuple[int, int]] = []
    start = size = 0
    for index, line in enumerate(lines):
        if index > start and (index - start >= BURST_COMMANDS or size + len(line) > BURST_BYTES):
            ranges.append((start, index))
            start, size = index, 0
        size += len(line)
    if start < len(lines):
        ranges.append((start, len(lines)))
    return ranges
