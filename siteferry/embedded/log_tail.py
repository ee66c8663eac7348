"""The last lines of a log file, for messages to the operator."""

from __future__ import annotations

from pathlib import Path

_READ_BYTES = 16 * 1024


def last_lines(log: Path, *, since_bytes: int = 0, count: int = 5) -> list[str]:
    """Give at most `count` last lines written after the first `since_bytes` bytes of `log`."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(since_bytes, size - _READ_BYTES))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]
