"""What an earlier run of the same target has staged is used, not sent again."""

from __future__ import annotations

from siteferry.dispatch.work import Work
from siteferry.ftp.directories import file_sizes
from siteferry.ftp.session import Session
from siteferry.ledger.findings import Findings
from siteferry.log import get_logger

_log = get_logger(__name__)


def adopt_staged(work: Work, session: Session) -> int:
    """Take over the staging directory of the last run that ended without publishing all of it.

    The whole directory is renamed, in one step. Names in it carry item, attempt and a token, so
    none of this run's can meet them; an attempt of the earlier run that still writes writes to a
    name that nothing refers to. The directory items then look which of the files are still what the
    source holds. May be repeated after it was cut off anywhere.

    Returns:
        How many files stand ready.
    """
    findings = Findings(work.runtime.connection)
    run, facts = work.member.run, work.claim.facts
    left = findings.left_behind(facts["target"])
    if left == run:
        # An earlier attempt at this plan has come so far.
        left = facts.get("adopts")
    elif left is not None:
        rows = findings.all_staged(left)
        findings.keep_staged(run, rows)
        # Before the rename: whoever comes after us then looks in our directory.
        work.runtime.runs.set_fields(run, {"adopts": left})
        findings.leave_behind(facts["target"], run)
    if left is None:
        return 0
    _rename(work, session, left)
    rows = findings.all_staged(run)
    staging = work.base.staging(run)
    names = {path: f"{staging}/{row[0]}" for path, row in rows.items()}
    sizes = file_sizes(session, list(names.values()))
    ready = {path: row for path, row in rows.items() if sizes[names[path]] == row[1]}
    findings.keep_staged(run, ready)
    _log.info("found staged files of an earlier run", earlier=left, files=len(ready))
    return len(ready)


def _rename(work: Work, session: Session, left: str) -> None:
    """Where it does not succeed the sizes will tell, and the files are sent again."""
    staging = work.base.staging
    if session.burst([f"RNFR {staging(left)}"])[0].code < 400:
        session.burst([f"RNTO {staging(work.member.run)}"])
