"""The plan of an import: finish what was left open on the server, read the manifest, walk the
sources, and make directory items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siteferry.credentials.references import password_warning
from siteferry.dispatch.sources import rules_of, source_roots
from siteferry.dispatch.work import Work
from siteferry.errors import DocumentDamaged, SiteferryError
from siteferry.ftp.directories import are_directories
from siteferry.ftp.documents import exists, read_document
from siteferry.ftp.session import Session
from siteferry.ledger.items import Child, Finish
from siteferry.log import get_logger
from siteferry.publish.carry_out import carry_out, find_journal
from siteferry.run import ItemKind, RunState
from siteferry.tree import manifest as manifests
from siteferry.tree.batches import group_directories
from siteferry.tree.manifest import Manifest
from siteferry.tree.scan import scan

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """Plans a run. Who starts a run need not see its sources or credentials: this does."""

    kind: ItemKind = ItemKind.PLAN

    def carry(self, work: Work) -> Finish:
        """Plan; see the module."""
        warnings: list[str] = []
        if work.website.password_in_file:
            warnings.append(password_warning(work.website.name))
        with work.session() as session:
            warnings += _finish_open_publish(work, session)
            previous = _read_manifest(work, session, warnings)
        found = scan(source_roots(work.website, work.runtime.settings), rules_of(work.website))
        work.moved()
        for path, error in found.failures:
            work.failed(path, error)
        runs, run = work.runtime.runs, work.member.run
        warnings += found.warnings
        runs.warn(run, warnings)
        runs.keep_plan(
            run,
            ((d, manifests.encode_part(part)) for d, part in manifests.by_directory(previous)),
            {
                "directories": [directory.path for directory in found.directories],
                "previous": sorted(previous.directories),
            },
        )
        groups = group_directories(found)
        return Finish(
            children=_directory_items(groups),
            fields={
                "state": RunState.TRANSFERRING.value,
                "planned": 1,
                "files_found": found.files,
                "bytes_found": found.bytes,
                "comparing": len(groups),
            },
        )

    def give_up(self, work: Work, error: SiteferryError) -> None:
        """Without a plan there is no run."""


def _directory_items(groups: Sequence[Sequence[str]]) -> list[Child]:
    return [
        Child(f"{ItemKind.DIRECTORY}-{index}", {"directories": list(group)})
        for index, group in enumerate(groups)
    ]


def _finish_open_publish(work: Work, session: Session) -> list[str]:
    """A journal on the server is a publish that was cut off: it is finished before anything else,
    from the server alone."""
    base = work.base
    journal = find_journal(session, base)
    if journal is None:
        return []
    _log.warning("finishing the publish of an earlier run", earlier=journal.run)
    result = carry_out(session, base, journal, work.check)
    return [
        f"the publish of run {journal.run}, which was cut off, has been finished",
        *(f"{path} of run {journal.run}: {error}" for path, error in result.failed.items()),
    ]


def _read_manifest(work: Work, session: Session, warnings: list[str]) -> Manifest:
    """What was published last; empty only when the server confirms that there is none."""
    empty = Manifest(run=work.member.run, site=work.website.name, directories=frozenset(), files={})
    base = work.base
    if not are_directories(session, [base.path]) or not exists(session, base.manifest):
        return empty
    try:
        return manifests.decode(read_document(session, base.manifest))
    except DocumentDamaged as error:
        warnings.append(f"{error}: every file is sent again")
        return empty
