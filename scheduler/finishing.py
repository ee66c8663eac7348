"""A publish that was cut off is finished before anything else, from the server alone."""

from __future__ import annotations

from siteferry.dispatch.server_lock import claimant_of
from siteferry.dispatch.work import Work
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.publish.carry_out import carry_out, find_journal, published_by
from siteferry.publish.lock import take

_log = get_logger(__name__)


def finish_open_publish(work: Work, session: Session) -> list[str]:
    """Finish the publish whose journal stands on the server, holding the lock there.

    Returns:
        Warnings for the run's report.

    Raises:
        TargetHeld: it is not cut off: another machine is at it.
        DocumentDamaged: the journal cannot be read.
    """
    base, run = work.base, work.member.run
    lock = take(session, base, claimant_of(work))
    # Only now: another machine may have finished it, and more, while we waited.
    journal = find_journal(session, base)
    if journal is None:
        lock.release(published_by(session, base) or run)
        return []
    _log.warning("finishing the publish of an earlier run", earlier=journal.run)
    result = carry_out(session, base, journal, lock.keep)
    lock.release(journal.run)
    return [
        f"the publish of run {journal.run}, which was cut off, has been finished",
        *([result.unset_modes] if result.unset_modes else []),
        *(f"{path} of run {journal.run}: {error}" for path, error in result.failed.items()),
    ]
