"""The lock on the server for a publish: taken when all is ready for it."""

from __future__ import annotations

from siteferry.dispatch.server_lock import claimant_of
from siteferry.dispatch.work import Work
from siteferry.errors import TargetHeld
from siteferry.ftp.directories import remove_tree
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.publish.carry_out import carry_out, find_journal, published_by
from siteferry.publish.lock import FirstTry, Lock, take
from siteferry.tree.journal import Journal
from siteferry.tree.publish_plan import Wanted

_log = get_logger(__name__)


def take_to_publish(work: Work, session: Session, wanted: Wanted, first: FirstTry) -> Lock | None:
    """Take the lock for a publish that begins; see that nothing was published since its plan.

    Args:
        first: what has been tried already.

    Returns:
        None where an earlier attempt has done all of it, and could not tell the ledger. To do it
        again would be wrong: what it made room for has gone from what is observed.

    Raises:
        TargetHeld: another run publishes, or has published meanwhile; nothing was touched.
    """
    base, run, planned_with = work.base, work.member.run, wanted.previous.run
    lock = first.lock or take(session, base, claimant_of(work))
    if lock.found == planned_with != run:
        return lock
    left = find_journal(session, base)
    if left is not None:
        _log.warning("finishing the publish of an earlier run", earlier=left.run)
        carry_out(session, base, left, lock.keep)
    standing = published_by(session, base)
    if standing == run or lock.found == run != planned_with:
        remove_tree(session, base.staging(run))
        lock.release(run)
        return None
    if standing == (planned_with if planned_with != run else None):
        return lock
    lock.release(standing or run)
    what = f"run {standing} has published to" if standing else "the manifest has gone from"
    raise TargetHeld(
        f"{what} {base.remote_dir} since this run was planned; nothing of this one was published",
        next_step="Run the same import again: what this one has sent is used.",
    )


def take_to_go_on(work: Work, session: Session) -> tuple[Lock, Journal] | None:
    """Take the lock for the run's own publish, which an earlier attempt has begun; None: another
    machine has finished it meanwhile.

    Raises:
        TargetHeld: another machine is at it.
    """
    base, run = work.base, work.member.run
    lock = take(session, base, claimant_of(work))
    journal = find_journal(session, base)
    if journal is not None and journal.run == run:
        return lock, journal
    lock.release(published_by(session, base) or run)
    return None
