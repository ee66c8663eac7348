"""What was published before: the manifest on the server, and what takes its place without one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from scheduler.finishing import finish_open_publish
from siteferry.dispatch.work import Work
from siteferry.errors import DocumentDamaged, SiteferryError
from siteferry.ftp.documents import ask_and_read, read_document, told_to_exist
from siteferry.ftp.replies import error_for
from siteferry.ftp.session import Session
from siteferry.publish.carry_out import find_journal
from siteferry.publish.lock import last_publisher
from siteferry.tree import manifest as manifests
from siteferry.tree.manifest import Manifest

Comparison = Literal["manifest", "listing", "mtime", "checksum", "adopt", "nothing"]
"""What the source is compared with; `nothing`: everything is sent."""


@dataclass(frozen=True, slots=True)
class Previous:
    """What was published before, as far as it is known, and how to find out the rest.

    missing: there is no manifest on the server that could be trusted.
    """

    manifest: Manifest
    comparison: Comparison
    missing: bool
    warnings: tuple[str, ...] = ()


def look_back(work: Work, session: Session) -> Previous:
    """Finish what was left open on the server, and read the manifest.

    Only a server that says that there is no manifest has none; any other failure to read it is an
    error, or said in a warning. While a publish is open no manifest is trusted: a dry run, which
    must not finish it, does without.

    Raises:
        DocumentDamaged: the journal cannot be read, or the manifest where nothing else will do.
        TargetHeld: a publish is under way on another machine.
    """
    base = work.base
    empty = nothing_before(work)
    # All in one write. Nothing of ours stands in a base that is not there, whatever else is said.
    asked = [f"CWD {base.path}", f"SIZE {base.journal}", f"SIZE {base.manifest}"]
    (entered, journal, manifest), content = ask_and_read(session, asked, base.manifest)
    if not entered.ok:
        if entered.code < 500:
            # Not now, says the server: a manifest may well be there, and a publish may be open.
            raise error_for(entered, f"entering {base.path}")
        return Previous(empty, _without_manifest(work), True)
    warnings: list[str] = []
    there = told_to_exist(manifest, base.manifest)
    if told_to_exist(journal, base.journal):
        open_run, warnings = _settle_open_publish(work, session)
        if open_run:
            return Previous(empty, _without_manifest(work), True, tuple(warnings))
        there, content = True, read_document(session, base.manifest)
    if there:
        if isinstance(content, SiteferryError):
            raise content
        try:
            return Previous(manifests.decode(content), _with_manifest(work), False, tuple(warnings))
        except DocumentDamaged as error:
            if work.website.compare == "manifest":
                raise
            warnings.append(f"{error}: the files are compared with the server's listing")
            # Damaged on its way, perhaps; so it is the lock that tells what is published upon.
            empty = replace(empty, run=last_publisher(session, base) or empty.run)
    return Previous(empty, _without_manifest(work), True, tuple(warnings))


def nothing_before(work: Work) -> Manifest:
    """The manifest of a website of which nothing was published."""
    return Manifest(run=work.member.run, site=work.website.name, directories=frozenset(), files={})


def _with_manifest(work: Work) -> Comparison:
    if work.options.purge or work.options.purge_first:
        return "nothing"
    if work.options.adopt:
        return "adopt"
    compare = work.website.compare
    return "manifest" if compare == "auto" else compare


def _without_manifest(work: Work) -> Comparison:
    if work.options.purge or work.options.purge_first:
        return "nothing"
    if work.options.adopt:
        return "adopt"
    compare = work.website.compare
    if compare == "manifest":
        return "nothing"
    return "listing" if compare == "auto" else compare


def _settle_open_publish(work: Work, session: Session) -> tuple[str | None, list[str]]:
    """A journal on the server is a publish that was cut off: it is finished before anything else,
    from the server alone. Gives the run whose publish stays open, and warnings."""
    journal = find_journal(session, work.base)
    if journal is None:
        return None, []
    if work.options.dry_run:
        return journal.run, [
            f"the publish of run {journal.run} was cut off; an import finishes it first, so this "
            "is compared with the server as it stands now"
        ]
    return None, finish_open_publish(work, session)
