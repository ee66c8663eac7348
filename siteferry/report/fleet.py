"""The report of many runs for a person to read: one table, then what went wrong, then the sums."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from siteferry.report import figures
from siteferry.report.as_text import failure_lines, headline, one_line
from siteferry.report.fleet_table import fleet_table
from siteferry.report.outcome import exit_code
from siteferry.run import Direction, RunState, Snapshot

_Told = TypeVar("_Told", bound=Hashable)

MOST_FAILURES = 5
"""Files of one run; all of them are in `siteferry status RUN`."""
MOST_WARNINGS = 10
_MOST_SITES = 10
_SLOWEST = 3


def fleet_report(snapshots: Sequence[Snapshot], *, width: int) -> str:
    """Give the report of `snapshots`, one of each website, without a final newline.

    What several websites have in common, as a host that does not answer, is said once, with their
    names. `width`: columns of the terminal; a name or a message that needs more is not cut.
    """
    lines = [fleet_table(snapshots, width)]
    for part in (_files, _errors, _warnings, _sums):
        if told := [one_line(line) for line in part(snapshots, width)]:
            lines += ["", *told]
    return "\n".join(lines)


def _files(snapshots: Sequence[Snapshot], _width: int) -> Iterator[str]:
    for snapshot in snapshots:
        if snapshot.failed or snapshot.failures:
            yield headline(snapshot)
            yield from (f"  {line}" for line in failure_lines(snapshot, MOST_FAILURES))


def _errors(snapshots: Sequence[Snapshot], width: int) -> Iterator[str]:
    errors = ((s.error, s.site) for s in snapshots if s.error is not None)
    for error, sites in _together(errors).items():
        yield from _listed(sites, ":", width)
        yield from (f"  {line}" for line in error.message.splitlines())
        if error.reply:
            yield f"    the server said: {error.reply}"
        if error.next_step:
            yield f"  next: {error.next_step}"


def _warnings(snapshots: Sequence[Snapshot], width: int) -> Iterator[str]:
    found = _together((warning, s.site) for s in snapshots for warning in s.warnings)
    for warning, sites in list(found.items())[:MOST_WARNINGS]:
        yield f"warning: {warning}"
        some = sites[:_MOST_SITES]
        more = f" and {len(sites) - len(some):,} more" if len(sites) > len(some) else ""
        yield from _listed(some, more, width, "  ")
    if len(found) > MOST_WARNINGS:
        yield f"… and {len(found) - MOST_WARNINGS:,} others: siteferry status RUN"


def _sums(snapshots: Sequence[Snapshot], _width: int) -> Iterator[str]:
    states = Counter(snapshot.state for snapshot in snapshots)
    told = ", ".join(f"{states[state]:,} {state.value}" for state in RunState if states[state])
    ran = [snapshot for snapshot in snapshots if snapshot.run]
    took = f", in {figures.human_duration(_seconds(ran))}" if ran else ""
    yield f"{len(snapshots):,} {'website' if len(snapshots) == 1 else 'websites'}: {told}{took}"
    if ran:
        yield _files_of(ran)
    slowest = sorted(ran, key=lambda snapshot: -snapshot.seconds)[:_SLOWEST]
    if len(ran) > 1:
        each = (f"{s.site} {figures.human_duration(s.seconds)}" for s in slowest)
        yield f"slowest: {', '.join(each)}"
    if any(exit_code(snapshot) for snapshot in snapshots):
        yield "next: run the same again after mending what failed; it does only what is left"


def _files_of(ran: Sequence[Snapshot]) -> str:
    carried = "uploaded" if ran[0].direction is Direction.IMPORT else "downloaded"
    counts = (
        (sum(s.transferred for s in ran), carried),
        (sum(s.skipped for s in ran), "already up to date"),
        (sum(s.failed for s in ran), "failed"),
        (sum(s.deleted for s in ran), "deleted"),
    )
    size = figures.human_bytes(sum(s.transferred_bytes for s in ran))
    return f"{', '.join(f'{count:,} {what}' for count, what in counts)}; {size}"


def _seconds(ran: Sequence[Snapshot]) -> float:
    """From the first that was started to the last that ended, or to now."""
    ends = (s.ended if s.ended is not None else s.now for s in ran)
    return max(0.0, max(ends) - min(s.created for s in ran))


def _together(pairs: Iterable[tuple[_Told, str]]) -> Mapping[_Told, list[str]]:
    """The websites of each thing that is told, in the order in which they come."""
    found: dict[_Told, list[str]] = {}
    for thing, site in pairs:
        found.setdefault(thing, []).append(site)
    return found


def _listed(sites: Sequence[str], more: str, width: int, indent: str = "") -> list[str]:
    """The names on as many lines as they need."""
    return textwrap.wrap(
        f"{', '.join(sites)}{more}",
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
