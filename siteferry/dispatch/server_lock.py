"""The lock on a website's server as an attempt wants it: what the ledger knows of who holds it."""

from __future__ import annotations

from siteferry.dispatch.heartbeat import STALE_SECONDS
from siteferry.dispatch.work import Work
from siteferry.errors import UnknownRun
from siteferry.publish.lock import SILENT_SECONDS, Claimant


def claimant_of(work: Work) -> Claimant:
    """This attempt as one that wants the lock."""
    return Claimant(
        run=work.member.run,
        token=work.token,
        patience=lambda run: _patience(work, run),
        clock=work.clock,
        sleep=lambda seconds: _wait(work, seconds),
        check=work.check,
    )


def _wait(work: Work, seconds: float) -> None:
    """Nothing is held yet by who waits, so the item may be given back."""
    work.go_on()
    work.runtime.sleep(seconds)


def _patience(work: Work, run: str) -> float | None:
    """For how many seconds `run`, which holds the lock, is watched; None: it lives."""
    try:
        snapshot = work.runtime.runs.snapshot(run, details=False)
    except UnknownRun:
        # Another machine's, or this one's ledger has lost it.
        return SILENT_SECONDS
    if not snapshot.state.ended:
        return None
    # A run that was cancelled in the middle of its plan has a worker that hears of it only now.
    ended_for = snapshot.now - (snapshot.ended or snapshot.now)
    return max(0.0, STALE_SECONDS - ended_for)
