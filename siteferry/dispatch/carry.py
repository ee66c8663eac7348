"""Carries one attempt from claim to end: the one place where steps, ledger and retry meet."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import replace

from siteferry.dispatch.elsewhere import offer_again
from siteferry.dispatch.ended import (
    DROPPED,
    PASSED_ON,
    ended_finished,
    ended_given_up,
    ended_later,
    ended_lost,
    ended_released,
    failed_before,
)
from siteferry.dispatch.policy import MOST_DEATHS, Again, decide
from siteferry.dispatch.runtime import Runtime
from siteferry.dispatch.work import Step, Work
from siteferry.errors import (
    CredentialElsewhere,
    LeaseLost,
    LedgerUnreachable,
    SiteferryError,
    SlotsBusy,
    SourceElsewhere,
    StorageFull,
    Unexpected,
    WorkersLost,
    WorkerStops,
)
from siteferry.ledger.items import Finish, Later
from siteferry.log import bind, get_logger
from siteferry.run import Ended, Ending, ItemKind, Member, RunState

_OF_A_WHOLE_WEBSITE = (ItemKind.PLAN, ItemKind.PUBLISH)

_log = get_logger(__name__)


def carry(runtime: Runtime, member: Member, step: Step) -> Ended:
    """Claim `member` and carry it through; a copy of a message that was claimed before is dropped.
    A process that was told to stop passes the message on.

    Returns:
        What became of it, for people; the ledger has been told.

    Raises:
        LedgerUnreachable: Redis stayed away; the sweeper gives the item out again.
    """
    work = _take_up(runtime, member)
    if isinstance(work, Ended):
        return work
    with bind(run=member.run, site=work.claim.facts["site"], task=member.item):
        _log.info("begun", attempt=member.attempt)
        try:
            runtime.versions.compare(work)
            ended = _carried(work, step)
            with runtime.hands.dealing():
                beside = None if runtime.stopping.is_set() else runtime.hands.beside(work)
                following, words = _told(runtime, work, step, ended, beside)
                files = len(work.outcomes())
                _log.info("ended", attempt=member.attempt, files=files, seconds=work.seconds())
                runtime.hands.put_down(work, [m for m in following if m.node == runtime.node])
                runtime.broker.send(following)
            shown = _said(words)
        finally:
            runtime.hands.put_down(work)
    if step.kind in _OF_A_WHOLE_WEBSITE:
        # CPython keeps some freed tuples and the like for reuse until a full collection: they lie
        # all over what a large website took, of which half would not go back to the system.
        gc.collect()
    return shown


def _said(words: Callable[[], Ended]) -> Ended:
    try:
        return words()
    except Exception:  # noqa: BLE001  # the ledger knows what counts, and the task has ended
        _log.exception("what became of a task cannot be told")
        return Ended(Ending.DONE, "it has ended; the worker's log has more")


def _take_up(runtime: Runtime, member: Member) -> Work | Ended:
    with runtime.hands.dealing():
        runtime.hands.arrived(member)
        if runtime.stopping.is_set():
            runtime.broker.send([member])
            return PASSED_ON
        held = runtime.hands.holds(member)
        claim = None if held else runtime.items.claim(member, runtime.node)
        if claim is None:
            _log.debug("not mine to do", run=member.run, task=member.item, attempt=member.attempt)
            return DROPPED
        work = Work(runtime, member, claim)
        runtime.hands.take(work)
        return work


def _carried(work: Work, step: Step) -> Finish | Later | SiteferryError:
    """How the step ended. Raises LedgerUnreachable."""
    if work.claim.deaths >= MOST_DEATHS:
        return WorkersLost(
            f"{work.claim.deaths} workers in a row have died or gone silent over it",
            next_step="Look in the workers' and the system's logs for what ends them (memory?); "
            f"then: siteferry retry {work.member.run}",
        )
    try:
        return step.carry(work)
    except LedgerUnreachable:
        raise
    except SiteferryError as error:
        return error
    except Exception as error:  # noqa: BLE001  # whatever it is, the run must not hang on it
        _log.exception("unexpected error")
        return Unexpected(
            f"unexpected {type(error).__name__}: {error}",
            next_step="The worker's log has the details; please report it.",
        )


def _told(
    runtime: Runtime,
    work: Work,
    step: Step,
    ended: Finish | Later | SiteferryError,
    beside: int | None,
) -> tuple[list[Member], Callable[[], Ended]]:
    """Tell the ledger; gives what may be sent now, and who makes the words for people: nothing must
    wait for them, or fail by them. `beside`: what this process has in hand apart from it; None: it
    has no thread for a next item."""
    if isinstance(ended, Finish):
        return _finish(runtime, work, ended, beside)
    if isinstance(ended, Later):
        # Who gives an item back because it stops has not had the item's turn.
        yielding = not runtime.stopping.is_set()
        return _release(runtime, work, beside, yielding=yielding), lambda: ended_later(work)
    if isinstance(ended, LeaseLost):
        _log.warning("given to another worker", reason=str(ended))
        return [], lambda: ended_lost(ended)
    if isinstance(ended, WorkerStops):
        _log.info("given back", reason=str(ended))
        return _release(runtime, work, beside), lambda: ended_released(work, ended)
    return _after_error(runtime, work, step, ended, beside)


def _release(
    runtime: Runtime,
    work: Work,
    beside: int | None,
    delay_seconds: float = 0,
    error: SiteferryError | None = None,
    *,
    blameless: bool = True,
    yielding: bool = False,
) -> list[Member]:
    with work.pulse.telling:
        return runtime.items.release(
            work.member,
            runtime.node,
            work.outcomes(),
            delay_seconds,
            failure_facts(error) if error else None,
            parts=work.kept(),
            blameless=blameless,
            yielding=yielding,
            progressed=work.progressed,
            beside=beside,
            elsewhere=isinstance(error, SourceElsewhere),
        )


def _finish(
    runtime: Runtime, work: Work, finish: Finish, beside: int | None
) -> tuple[list[Member], Callable[[], Ended]]:
    with work.pulse.telling:
        whole = replace(finish, outcomes=[*work.outcomes(), *finish.outcomes])
        following = runtime.items.finish(work.member, runtime.node, whole, beside=beside)
    return following, lambda: ended_finished(work, whole, failed_before(work))


def _after_error(
    runtime: Runtime, work: Work, step: Step, error: SiteferryError, beside: int | None
) -> tuple[list[Member], Callable[[], Ended]]:
    items, member, node = runtime.items, work.member, runtime.node
    again, error = _again(work, step, error)
    if isinstance(error, CredentialElsewhere):
        beside = None  # what follows is not for who lacks the password, either
    if again is not None:
        log = _log.debug if again.blameless else _log.warning
        log("trying again", error=str(error), delay_seconds=round(again.delay_seconds, 2))
        delay, blameless = again.delay_seconds, again.blameless
        following = _release(runtime, work, beside, delay, error, blameless=blameless)
        return following, lambda: ended_released(work, error, again)
    _log.error("given up", error=str(error))
    finish = None if error.ends_run else step.give_up(work, error)
    if finish is not None:
        return _finish(runtime, work, finish, beside)
    with work.pulse.telling:
        counts = items.report(member, node, work.outcomes())
    following = []
    if counts:
        # What a full disk leaves staged is worth keeping; any other end of a run is its failure.
        state = RunState.INCOMPLETE if isinstance(error, StorageFull) else RunState.FAILED
        facts = failure_facts(error)
        following = items.fail_run(member.run, state, facts, spare_publish=False) or []
    following += items.release(member, node, [], 0, None, blameless=True, beside=beside)
    return following, lambda: ended_given_up(error)


def _again(work: Work, step: Step, error: SiteferryError) -> tuple[Again | None, SiteferryError]:
    """Whether the item is tried again, and what is said of it."""
    if isinstance(error, SourceElsewhere | CredentialElsewhere):
        work.runtime.hands.lacked()
    if isinstance(error, SourceElsewhere):
        return offer_again(work, error)
    # Progress in this attempt clears the item's record: only a series of fruitless ones is poison.
    fruitless = 0 if work.progressed else work.claim.fruitless
    again = decide(
        error,
        step.kind,
        fruitless,
        random.random(),
        blameless=isinstance(error, SlotsBusy | CredentialElsewhere),
        barren_seconds=0 if work.progressed else work.claim.barren_seconds,
    )
    return again, error


def failure_facts(error: SiteferryError) -> dict[str, object]:
    """An error as the ledger keeps it for reports; see `siteferry.run.RunFailure`."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "reply": error.reply,
        "next_step": error.next_step,
        "exit_code": error.exit_code,
    }
