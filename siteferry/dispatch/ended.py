"""What became of an attempt, in words for people who look at tasks. No layer decides by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from siteferry.dispatch.policy import Again
from siteferry.dispatch.work import Work
from siteferry.errors import SiteferryError
from siteferry.ledger.items import Finish, Outcome, Status
from siteferry.report.figures import human_bytes
from siteferry.run import Ended, Ending, ItemKind
from siteferry.tree.paths import shown

_MOST_FAILURES = 20
"""Lines: the run's report has all of them."""

DROPPED = Ended(
    Ending.DROPPED, "nothing to do: claimed or given out again before, or the run has ended"
)
PASSED_ON = Ended(Ending.AGAIN, "this worker was told to stop: the message is sent to another one")


def failed_before(work: Work) -> list[Outcome]:
    """Files of the item that have failed in earlier attempts: its last one is to show them.

    Raises:
        LedgerUnreachable: Redis does not answer.
    """
    files = work.body.get("files")
    if work.member.attempt == 1 or not files:
        return []
    known = work.runtime.runs.failures(work.member.run, [row[0] for row in files])
    return [Outcome(path, Status.FAILED, facts) for path, facts in known.items()]


def ended_finished(work: Work, finish: Finish, before: Sequence[Outcome]) -> Ended:
    """The item is done.

    Args:
        finish: with all outcomes of the attempt.
        before: see `failed_before`.
    """
    failed = {o.path: o for o in (*before, *_failed(finish.outcomes))}
    if failed:
        return Ended(Ending.FAILED, _failures(work, failed), _failure_lines(work, failed))
    return Ended(Ending.DONE, _done(work, finish))


def ended_later(work: Work) -> Ended:
    """The item goes on after others had their turn."""
    return Ended(Ending.DONE, f"{_sent(work.outcomes())}; the rest as attempt {_next(work)}")


def ended_released(work: Work, error: SiteferryError, again: Again | None = None) -> Ended:
    """The item is given to another attempt because of `error`."""
    delay = again.delay_seconds if again is not None else 0.0
    soon = f"in {delay:.1f} s" if delay else "now"
    text = f"{_reason(error)}; again {soon}, as attempt {_next(work)}"
    failed = {outcome.path: outcome for outcome in _failed(work.outcomes())}
    if failed:
        text += f". {_failures(work, failed)}"
    return Ended(Ending.AGAIN, text, (*_advice(error), *_failure_lines(work, failed)), delay)


def ended_lost(error: SiteferryError) -> Ended:
    """Another attempt has the item already."""
    return Ended(Ending.AGAIN, f"{_reason(error)}; it goes on as another attempt")


def ended_given_up(error: SiteferryError) -> Ended:
    """The run ends, or the item's files have failed, because of `error`."""
    return Ended(Ending.FAILED, _reason(error), _advice(error))


def _failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status is not Status.TRANSFERRED]


def _failures(work: Work, failed: Mapping[str, Outcome]) -> str:
    files = work.body.get("files")
    count = f"{len(failed)} of {len(files)}" if files is not None else f"{len(failed)}"
    path, first = next(iter(failed.items()))
    words = first.facts.get("reply") or first.facts.get("error")
    # The server's words stand early: lists of tasks cut a line off.
    return f"FilesFailed: {count}: {words} (first: {shown(path)})"


def _failure_lines(work: Work, failed: Mapping[str, Outcome]) -> tuple[str, ...]:
    lines = [_failure_line(outcome) for outcome in islice(failed.values(), _MOST_FAILURES)]
    if len(failed) > _MOST_FAILURES:
        lines.append(f"and {len(failed) - _MOST_FAILURES} more: siteferry status {work.member.run}")
    return tuple(lines)


def _failure_line(outcome: Outcome) -> str:
    reply = outcome.facts.get("reply")
    said = f"; the server said: {reply}" if reply else ""
    return f"{shown(outcome.path)}: {outcome.facts.get('error')}{said}"


def _done(work: Work, finish: Finish) -> str:
    counts, fields = finish.counts, finish.fields
    match work.kind:
        case ItemKind.PLAN:
            return f"{_files(int(fields.get('files_found', 0)))} found"
        case ItemKind.DIRECTORY:
            wanted, same = counts.get("files_to_send", 0), counts.get("skipped", 0)
            return f"{_files(wanted)} to send, {same} unchanged"
        case ItemKind.FILES:
            return _sent(finish.outcomes)
        case ItemKind.PUBLISH:
            return "published" if "dirs_created" in counts else "nothing to publish"


def _sent(outcomes: Sequence[Outcome]) -> str:
    sent = [o for o in outcomes if o.status is Status.TRANSFERRED]
    return f"{_files(len(sent))} sent, {human_bytes(sum(o.size for o in sent))}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _reason(error: SiteferryError) -> str:
    said = f"; the server said: {error.reply}" if error.reply else ""
    return f"{type(error).__name__}: {error.message.rstrip('.')}{said}"


def _advice(error: SiteferryError) -> tuple[str, ...]:
    return (error.next_step,) if error.next_step else ()


def _next(work: Work) -> int:
    return work.member.attempt + 1
