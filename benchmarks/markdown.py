"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def rows(header: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    """The table, line by line."""
    yield _row(header)
    yield _row(["---"] * len(header))
    for cells in body:
        yield _row(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
