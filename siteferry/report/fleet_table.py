"""Many runs as a table: what became of each website, in columns that an 80-column page holds."""

from __future__ import annotations

from collections.abc import Sequence

from siteferry.report import figures
from siteferry.report.as_text import one_line
from siteferry.run import Direction, Snapshot

_LEAST_FOR_NAMES = 12
_COUNTS = ("SKIPPED", "FAILED", "DELETED", "SIZE", "SECONDS")


def fleet_table(snapshots: Sequence[Snapshot], width: int) -> str:
    """Give a line for each of `snapshots` under a header. A name that leaves no room for the
    numbers in `width` columns stands whole on a line of its own, with the numbers below."""
    imports = not snapshots or snapshots[0].direction is Direction.IMPORT
    header = ("STATE", "UPLOADED" if imports else "DOWNLOADED", *_COUNTS)
    rows = [_row(snapshot) for snapshot in snapshots]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    names = [one_line(snapshot.site) for snapshot in snapshots]
    room = max(_LEAST_FOR_NAMES, width - sum(widths) - len(widths) - 1)
    fitting = max((len(name) for name in names if len(name) <= room), default=len("SITE"))
    first = max(fitting, len("SITE"))
    lines = [f"{'SITE':<{first}}  {_aligned(header, widths)}"]
    for name, row in zip(names, rows, strict=True):
        if len(name) > first:
            lines.append(name)
            name = ""
        lines.append(f"{name:<{first}}  {_aligned(row, widths)}")
    return "\n".join(lines)


def _row(snapshot: Snapshot) -> tuple[str, ...]:
    return (
        snapshot.state.value,
        f"{snapshot.transferred:,}",
        f"{snapshot.skipped:,}",
        f"{snapshot.failed:,}",
        f"{snapshot.deleted:,}",
        figures.human_bytes(snapshot.transferred_bytes),
        f"{snapshot.seconds:,.1f}",
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """The state to the left, numbers to the right."""
    state, *numbers = row
    cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=True)]
    return " ".join([f"{state:<{widths[0]}}", *cells])
