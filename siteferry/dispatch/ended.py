"""What became of an attempt, in words for people who look at tasks. No layer decides by it."""

from __future__ import annotations

from collections.abc import Sequence

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


def ended_finished(work: Work, finish: Finish) -> Ended:
    """The item is done; `finish` has all outcomes of the attempt."""
    failed = [o for o in finish.outcomes if o.status is not Status.TRANSFERRED]
    if failed:
        return _ended_with_failures(work, failed)
    return Ended(Ending.DONE, _done(work, finish))


def ended_later(work: Work) -> Ended:
    """The item goes on after others had their turn."""
    return Ended(Ending.DONE, f"{_sent(work.outcomes())}; the rest as attempt {_next(work)}")


def ended_released(work: Work, error: SiteferryError, again: Again | None = None) -> Ended:
    """The item is given to another attempt because of `error`."""
    delay = again.delay_seconds if again is not None else 0.0
    soon = f"in {delay:.1f} s" if delay else "now"
    text = f"{_reason(error)}; again {soon}, as attempt {_next(work)}"
    return Ended(Ending.AGAIN, text, _advice(error), delay)


def ended_lost(error: SiteferryError) -> Ended:
    """Another attempt has the item already."""
    return Ended(Ending.AGAIN, f"{_reason(error)}; it goes on as another attempt")


def ended_given_up(error: SiteferryError) -> Ended:
    """The run ends, or the item's files have failed, because of `error`."""
    return Ended(Ending.FAILED, _reason(error), _advice(error))


def _ended_with_failures(work: Work, failed: Sequence[Outcome]) -> Ended:
    files = work.body.get("files")
    of = f" of {len(files)}" if files is not None else ""
    noun = "file" if len(files or failed) == 1 else "files"
    first = failed[0]
    words = first.facts.get("reply") or first.facts.get("error")
    text = f"FilesFailed: {len(failed)}{of} {noun} failed; first: {shown(first.path)}: {words}"
    lines = [_failure_line(outcome) for outcome in failed[:_MOST_FAILURES]]
    if len(failed) > _MOST_FAILURES:
        lines.append(f"and {len(failed) - _MOST_FAILURES} more: siteferry status {work.member.run}")
    return Ended(Ending.FAILED, text, tuple(lines))


def _failure_line(outcome: Outcome) -> str:
    reply = outcome.facts.get("reply")
    said = f"; the server said: {reply}" if reply else ""
    return f"{shown(outcome.path)}: {outcome.facts.get('error')}{said}"


def _done(work: Work, finish: Finish) -> str:
    counts, fields = finish.counts, finish.fields
    match work.kind:
        case ItemKind.PLAN:
            return f"{fields.get('files_found', 0)} files found"
        case ItemKind.DIRECTORY:
            wanted, same = counts.get("files_to_send", 0), counts.get("skipped", 0)
            return f"{wanted} files to send, {same} unchanged"
        case ItemKind.FILES:
            return _sent(finish.outcomes)
        case ItemKind.PUBLISH:
            return "published" if "dirs_created" in counts else "nothing to publish"


def _sent(outcomes: Sequence[Outcome]) -> str:
    sent = [o for o in outcomes if o.status is Status.TRANSFERRED]
    noun = "file" if len(sent) == 1 else "files"
    return f"{len(sent)} {noun} sent, {human_bytes(sum(o.size for o in sent))}"


def _reason(error: SiteferryError) -> str:
    said = f"; the server said: {error.reply}" if error.reply else ""
    return f"{type(error).__name__}: {error.message.rstrip('.')}{said}"


def _advice(error: SiteferryError) -> tuple[str, ...]:
    return (error.next_step,) if error.next_step else ()


def _next(work: Work) -> int:
    return work.member.attempt + 1
