"""The figures as a Markdown table, and whether the bounds were kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.rounds import Measured

MOST_OVERHEAD_SECONDS = 2.5
MOST_RATIO = 1.5

_COLUMNS = (
    "server",
    "whole command",
    "transfer and publish",
    "of which publish",
    "start and stop",
    "lftp",
    "ratio",
    "second import",
    "of which run",
)


def markdown(results: Sequence[Measured]) -> Iterator[str]:
    """The table, line by line; times are medians in seconds."""
    yield _row(_COLUMNS)
    yield _row(["---"] * len(_COLUMNS))
    for m in results:
        times = (m.wall_seconds, m.run_seconds, m.publish_seconds, m.overhead_seconds)
        again = (m.unchanged_wall_seconds, m.unchanged_run_seconds)
        yield _row(
            [m.server, *map(_seconds, (*times, m.lftp_seconds)), _ratio(m), *map(_seconds, again)]
        )


def single_rounds(results: Sequence[Measured]) -> Iterator[str]:
    """What each round gave, for who wants to see the spread."""
    for measured in results:
        for number, r in enumerate(measured.rounds, 1):
            yield (
                f"{measured.server} round {number}: whole {_seconds(r.first.wall_seconds)}, "
                f"run {_seconds(r.first.run_seconds)}, lftp {_seconds(r.lftp_seconds)}, "
                f"ratio {r.ratio:.2f}, second {_seconds(r.unchanged.wall_seconds)}"
            )


def bounds(results: Sequence[Measured]) -> Iterator[str]:
    """Each bound, and whether the medians keep it."""
    for measured in results:
        overhead, ratio = measured.overhead_seconds, measured.ratio
        yield (
            f"{measured.server}: start and stop {_seconds(overhead)} s, at most "
            f"{MOST_OVERHEAD_SECONDS} s: {_kept(overhead <= MOST_OVERHEAD_SECONDS)}"
        )
        yield (
            f"{measured.server}: transfer and publish {ratio:.2f} times lftp, at most "
            f"{MOST_RATIO}: {_kept(ratio <= MOST_RATIO)}"
        )


def _kept(is_kept: bool) -> str:
    return "kept" if is_kept else "NOT KEPT"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f}"


def _ratio(measured: Measured) -> str:
    return f"{measured.ratio:.2f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
