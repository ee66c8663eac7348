"""The report of a run for a person to read, and its one line while it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from siteferry.log import printable
from siteferry.report import figures
from siteferry.run import Direction, RunState, Snapshot
from siteferry.secret import redact

MOST_FAILURES = 20
MOST_WARNINGS = 10


def report(snapshot: Snapshot, *, whole: bool = False) -> str:
    """Give the report of `snapshot`, several lines without a final newline.

    `whole` lists every failure and warning that the snapshot has, instead of the first 20 and 10.
    Names, messages and replies come from elsewhere, so they are masked and escaped.
    """
    lines = [headline(snapshot)]
    lines += (f"  {line}" for part in _PARTS for line in part(snapshot))
    lines += (f"  {line}" for line in failure_lines(snapshot, None if whole else MOST_FAILURES))
    lines += (f"  {line}" for line in _warnings(snapshot, whole))
    lines += (f"  next: {step}" for step in _next_step(snapshot))
    return "\n".join(one_line(line) for line in lines)


def progress_line(snapshot: Snapshot, bytes_per_second: float | None = None) -> str:
    """`example transferring 512/2521 files, 10.3/51.0 MB, 4.1 MB/s, 10 s left`.

    The rate and the time left stand in it only if `bytes_per_second` is given, totals only once
    they are final.
    """
    facts = ", ".join(progress_facts(snapshot, bytes_per_second))
    return one_line(f"{snapshot.site} {snapshot.state.value} {facts}".rstrip())


def progress_facts(snapshot: Snapshot, bytes_per_second: float | None) -> Iterator[str]:
    """Give what is known of a run on its way, as far as it matters in its state."""
    match snapshot.state:
        case RunState.QUEUED:
            return
        case RunState.PLANNING:
            if snapshot.files_found:
                yield f"{snapshot.files_found} files found"
                yield figures.human_bytes(snapshot.bytes_found)
            return
    if figures.totals_known(snapshot) and snapshot.files_to_send:
        yield f"{snapshot.transferred}/{snapshot.files_to_send} files"
        yield figures.human_bytes_of(snapshot.moved_bytes, snapshot.bytes_to_send)
    else:
        yield f"{snapshot.transferred} files"
        yield figures.human_bytes(snapshot.transferred_bytes)
    if snapshot.failed:
        yield f"{snapshot.failed} failed"
    if snapshot.state is RunState.TRANSFERRING and bytes_per_second is not None:
        yield figures.human_rate(bytes_per_second)
        left = figures.seconds_left(snapshot, bytes_per_second)
        if left is not None:
            yield f"{figures.human_time_left(left)} left"


def one_line(text: str) -> str:
    """Mask secrets in `text` and escape what could steer a terminal or begin another line."""
    return printable(redact(text))


def headline(snapshot: Snapshot) -> str:
    """`example: incomplete, nothing was published`."""
    took = figures.human_duration(snapshot.seconds)
    match snapshot.state:
        case RunState.DONE:
            text = f"done in {took}"
            if snapshot.failed:
                text += ", but not every file"
        case RunState.INCOMPLETE:
            text = f"incomplete, {_published(snapshot)}"
        case RunState.FAILED | RunState.CANCELLED:
            text = f"{snapshot.state.value} after {took}, {_published(snapshot)}"
        case RunState.QUEUED:
            text = f"queued for {took}"
        case _:
            text = f"{snapshot.state.value}, {took} so far"
    return f"{snapshot.site}: {text}"


def _published(snapshot: Snapshot) -> str:
    if snapshot.direction is Direction.EXPORT:
        return f"{snapshot.transferred:,} files are here"
    if snapshot.publish_seconds is not None:
        return "what succeeded was published"
    if snapshot.publishing_since is not None:
        return "in the middle of publishing"
    return "nothing was published"


def _counts(snapshot: Snapshot) -> Iterator[str]:
    carried = "uploaded" if snapshot.direction is Direction.IMPORT else "downloaded"
    counts = [
        f"{snapshot.transferred:,} {carried}{_adopted(snapshot)}",
        f"{snapshot.skipped:,} already up to date",
        f"{snapshot.failed:,} failed",
    ]
    if snapshot.deleted:
        counts.append(f"{snapshot.deleted:,} deleted")
    if snapshot.dirs_created:
        counts.append(f"{_plural(snapshot.dirs_created, 'directory', 'directories')} created")
    yield ", ".join(counts)
    rate = figures.average_rate(snapshot)
    if snapshot.transferred_bytes and rate is not None:
        size = figures.human_bytes(snapshot.transferred_bytes)
        yield f"{size} at {figures.human_rate(rate)} on average"


def _adopted(snapshot: Snapshot) -> str:
    if not snapshot.adopted:
        return ""
    return f" ({snapshot.adopted:,} of them had been sent by an earlier run)"


def _mixed(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.publish_seconds:
        took = figures.human_duration(snapshot.publish_seconds)
        yield f"the site was a mixture of old and new files for {took}"


def _workers(snapshot: Snapshot) -> Iterator[str]:
    if len(snapshot.workers) > 1:
        split = (f"{name} {files:,}" for name, files in sorted(snapshot.workers.items()))
        yield f"files by worker: {', '.join(split)}"


def _error(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.error:
        yield f"the run could not go on: {snapshot.error.message}"
        if snapshot.error.reply:
            yield f"  the server said: {snapshot.error.reply}"


_PARTS = (_counts, _mixed, _workers, _error)


def failure_lines(snapshot: Snapshot, most: int | None) -> Iterator[str]:
    """The first `most` files (None: all) that were not carried, with the server's own words, and
    how many more there are."""
    shown = snapshot.failures[:most]
    for failure in shown:
        tries = f" ({failure.attempts} attempts)" if failure.attempts > 1 else ""
        yield f"failed: {failure.path}: {failure.error}{tries}"
        if failure.reply and failure.reply not in failure.error:
            yield f"  the server said: {failure.reply}"
    # The ledger may hold fewer failures than it counts.
    known = max(snapshot.failed, len(snapshot.failures))
    yield from _rest(snapshot, known - len(shown), most is None)


def _warnings(snapshot: Snapshot, whole: bool) -> Iterator[str]:
    shown: Sequence[str] = snapshot.warnings if whole else snapshot.warnings[:MOST_WARNINGS]
    for warning in shown:
        yield f"warning: {warning}"
    yield from _rest(snapshot, len(snapshot.warnings) - len(shown), whole)


def _rest(snapshot: Snapshot, count: int, whole: bool) -> Iterable[str]:
    if count <= 0:
        return ()
    return (f"… and {count:,} more" + ("" if whole else f": siteferry status {snapshot.run}"),)


def _next_step(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.error and snapshot.error.next_step:
        yield snapshot.error.next_step
    again = f"run the same {snapshot.direction.value} again"
    if snapshot.state is RunState.CANCELLED:
        yield f"{again} to do what is left"
    elif snapshot.state.ended and (snapshot.failed or snapshot.state is not RunState.DONE):
        yield f"{again} after mending it; it does only what is left"


def _plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
