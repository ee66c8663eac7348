"""Carries one attempt from claim to end: the one place where steps, ledger and retry meet."""

from __future__ import annotations

import gc
import random
from dataclasses import replace

from siteferry.dispatch.policy import decide
from siteferry.dispatch.runtime import Runtime
from siteferry.dispatch.work import Step, Work
from siteferry.errors import (
    CredentialElsewhere,
    LeaseLost,
    LedgerUnreachable,
    SiteferryError,
    SlotsBusy,
    StorageFull,
    Unexpected,
)
from siteferry.ledger.items import Finish, Later
from siteferry.log import bind, get_logger
from siteferry.run import ItemKind, Member, RunState

_OF_A_WHOLE_WEBSITE = (ItemKind.PLAN, ItemKind.PUBLISH)

_log = get_logger(__name__)


def carry(runtime: Runtime, member: Member, step: Step) -> None:
    """Claim `member` and carry it through; a copy of a message that was claimed before is dropped.

    Raises:
        LedgerUnreachable: Redis stayed away; the sweeper gives the item out again.
    """
    claim = runtime.items.claim(member, runtime.node)
    if claim is None:
        _log.debug("not mine to do", run=member.run, task=member.item, attempt=member.attempt)
        return
    work = Work(runtime, member, claim)
    with bind(run=member.run, site=claim.facts["site"], task=member.item):
        _log.info("begun", attempt=member.attempt)
        with runtime.hands.holding(work):
            following = _attempt(runtime, work, step)
        files = len(work.outcomes())
        _log.info("ended", attempt=member.attempt, files=files, seconds=work.seconds())
        runtime.broker.send(following, runtime.node)
    if step.kind in _OF_A_WHOLE_WEBSITE:
        # CPython keeps some freed tuples and the like for reuse until a full collection: they lie
        # all over what a large website took, of which half would not go back to the system.
        gc.collect()


def _attempt(runtime: Runtime, work: Work, step: Step) -> list[Member]:
    try:
        finish = step.carry(work)
    except LeaseLost as error:
        _log.warning("given to another worker", reason=str(error))
        return []
    except LedgerUnreachable:
        raise
    except SiteferryError as error:
        return _after_error(runtime, work, step, error)
    except Exception as error:  # noqa: BLE001  # whatever it is, the run must not hang on it
        _log.exception("unexpected error")
        fault = Unexpected(
            f"unexpected {type(error).__name__}: {error}",
            next_step="The worker's log has the details; please report it.",
        )
        return _after_error(runtime, work, step, fault)
    if isinstance(finish, Later):
        return _release(runtime, work, yielding=True)
    return _finish(runtime, work, finish)


def _release(
    runtime: Runtime,
    work: Work,
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
        )


def _finish(runtime: Runtime, work: Work, finish: Finish) -> list[Member]:
    with work.pulse.telling:
        whole = replace(finish, outcomes=[*work.outcomes(), *finish.outcomes])
        return runtime.items.finish(work.member, runtime.node, whole)


def _after_error(runtime: Runtime, work: Work, step: Step, error: SiteferryError) -> list[Member]:
    items, member, node = runtime.items, work.member, runtime.node
    # Progress in this attempt clears the item's record: only a series of fruitless ones is poison.
    fruitless = 0 if work.progressed else work.claim.fruitless
    blameless = isinstance(error, SlotsBusy | CredentialElsewhere)
    again = decide(
        error,
        step.kind,
        fruitless,
        random.random(),
        blameless=blameless,
        barren_seconds=0 if work.progressed else work.claim.barren_seconds,
    )
    if again is not None:
        log = _log.debug if again.blameless else _log.warning
        log("trying again", error=str(error), delay_seconds=round(again.delay_seconds, 2))
        return _release(runtime, work, again.delay_seconds, error, blameless=again.blameless)
    _log.error("given up", error=str(error))
    finish = None if error.ends_run else step.give_up(work, error)
    if finish is not None:
        return _finish(runtime, work, finish)
    with work.pulse.telling:
        items.report(member, node, work.outcomes())
    # What a full disk leaves staged is worth keeping; any other end of a run is its failure.
    state = RunState.INCOMPLETE if isinstance(error, StorageFull) else RunState.FAILED
    following = items.fail_run(member.run, state, failure_facts(error), spare_publish=False) or []
    return following + items.release(member, node, [], 0, None, blameless=True)


def failure_facts(error: SiteferryError) -> dict[str, object]:
    """An error as the ledger keeps it for reports; see `siteferry.run.RunFailure`."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "reply": error.reply,
        "next_step": error.next_step,
        "exit_code": error.exit_code,
    }
