"""Tables of plain text: columns, and runs in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from siteferry.report import figures
from siteferry.report.as_text import one_line
from siteferry.run import Snapshot

_HEADER = ("RUN", "SITE", "STATE", "FILES", "SIZE", "FAILED", "SECONDS", "WHEN")
_NUMBERS = frozenset({"FILES", "SIZE", "FAILED", "SECONDS"})


def runs_table(snapshots: Sequence[Snapshot], zone: dt.tzinfo | None = None) -> str:
    """Give one line for each run, in the order given, under a header; no final newline.

    `zone` is the time zone of the last column (None: the machine's).
    """
    return in_columns(_HEADER, [_row(snapshot, zone) for snapshot in snapshots], _NUMBERS)


def in_columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: frozenset[str] = frozenset(),
) -> str:
    """Give `header` and `rows` in columns that are as wide as they have to be; no final newline.

    `numbers` are the columns that stand to the right.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for cell, width, name in zip(row, widths, header, strict=True)
        ).rstrip()
        for row in (header, *rows)
    )


def _row(snapshot: Snapshot, zone: dt.tzinfo | None) -> tuple[str, ...]:
    when = dt.datetime.fromtimestamp(snapshot.created, dt.UTC).astimezone(zone)
    return (
        one_line(snapshot.run),
        one_line(snapshot.site),
        snapshot.state.value,
        f"{snapshot.transferred:,}",
        figures.human_bytes(snapshot.transferred_bytes),
        f"{snapshot.failed:,}",
        f"{snapshot.seconds:.1f}",
        f"{when:%Y-%m-%d %H:%M:%S}",
    )
