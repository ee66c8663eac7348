"""The publish item: staged files take their places, once every transfer has succeeded."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from siteferry.dispatch.server_lock import claimant_of
from siteferry.dispatch.work import Work
from siteferry.errors import SiteferryError, TargetHeld
from siteferry.ftp.documents import store_document
from siteferry.ftp.renames import Rename
from siteferry.ftp.session import Session
from siteferry.ledger.findings import Findings
from siteferry.ledger.items import Finish, Outcome, Status
from siteferry.log import get_logger
from siteferry.publish.carry_out import carry_out, draft_journal, find_journal, place_journal
from siteferry.publish.lock import FirstTry, Lock, Release
from siteferry.publish.observe import observe, one_file
from siteferry.publish.staging import (
    JOURNAL_NAME,
    MANIFEST_NAME,
    prepare_staging,
    remove_old_stagings,
    trash_name,
)
from siteferry.run import ItemKind
from siteferry.tree import manifest as manifests
from siteferry.tree.journal import Journal, Move
from siteferry.tree.manifest import Entry, Manifest
from siteferry.tree.plan_digest import Step, check_expected
from siteferry.tree.publish_plan import PublishPlan, Staged, Wanted, plan_publish
from siteferry.tree.removal import Removal, check_limit
from worker.holding import take_to_go_on, take_to_publish

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishStep:
    """Publishes a run, or goes on with its publish where another worker left it."""

    kind: ItemKind = ItemKind.PUBLISH

    def carry(self, work: Work) -> Finish:
        """Publish; nothing of the live site is touched before the journal stands."""
        if _is_idle(work):
            return Finish()
        wanted = gather(work)
        if wanted.nothing:
            _check_plan(work, wanted)
            return Finish()
        with work.session() as session:
            # Nobody has begun this publish before its first attempt. What another run has, the lock
            # tells.
            begun = find_journal(session, work.base) if work.member.attempt > 1 else None
            is_own = begun is not None and begun.run == work.member.run
            going_on = take_to_go_on(work, session) if is_own else None
            conflicts: Mapping[str, SiteferryError] = {}
            if begun is not None and not is_own:
                # It was begun while this run transferred, by a machine with another ledger.
                raise TargetHeld(
                    f"run {begun.run} has begun to publish in the same place",
                    run=begun.run,
                    next_step="Run the same import again: it finishes that publish first.",
                )
            if going_on is not None:
                lock, journal = going_on
            else:
                _check(work, wanted)
                work.go_on()
                plan = _plan(work, session, wanted)
                conflicts = plan.conflicts
                # A plan is carried out whole or not at all.
                whole = work.claim.facts["on_failure"] != "publish" or work.options.expected
                if conflicts and whole:
                    return Finish(outcomes=_refused(work, conflicts, wanted))
                first = FirstTry(session, work.base, claimant_of(work), wanted.previous.run)
                draft = _draft(work, session, plan, first)
                taken = take_to_publish(work, session, wanted, first)
                if taken is None:
                    return _done_earlier(work, conflicts, wanted)
                lock, journal = taken, draft.journal
                # To read the journal back may have taken long: others may hold ours for dead.
                lock.keep()
                place_journal(session, draft.rename)
            _note_beginning(work, journal, wanted)
            sweeps = not Findings(work.runtime.connection).is_swept(work.claim.facts["target"])
            result = carry_out(
                session,
                work.base,
                journal,
                lock.keep,
                untouched=going_on is None,
                last=None if sweeps else Release(lock, work.member.run),
            )
            if sweeps:
                _sweep(work, session, lock)
                lock.release(work.member.run)
        if result.unset_modes:
            work.warn_once("chmod", result.unset_modes)
        seconds = round(result.mixed_seconds, 3)
        _log.info("published", files=len(journal.moves), mixed_seconds=seconds)
        return Finish(
            outcomes=_refused(work, {**result.failed, **conflicts}, wanted),
            fields={"publish_seconds": seconds},
            counts={
                "dirs_created": len(journal.directories),
                "deleted": len(_deleted(journal, wanted) - result.failed.keys()),
            },
        )

    def give_up(self, work: Work, error: SiteferryError) -> None:
        """The run ends; a journal that stands is finished by the next command."""


def _deleted(journal: Journal, wanted: Wanted) -> set[str]:
    cleared = {aside.path for aside in journal.clear}.intersection(wanted.removal.files)
    return cleared | {aside.path for aside in journal.remove}


def _is_idle(work: Work) -> bool:
    """Whether the run's counts alone tell that `Wanted.nothing` will say so: nothing was sent, the
    plan saw nothing else to publish, and nothing was sought that only the server has."""
    facts = work.claim.facts
    return (
        facts["transferred"] == "0"
        and facts.get("publishes_besides") == "0"
        and facts["seeks_extras"] != "1"
        and not work.options.expected
    )


def gather(work: Work) -> Wanted:
    """What the run's items have left in the ledger, put together."""
    runs, run = work.runtime.runs, work.member.run
    tree = runs.tree(run)
    files: dict[str, Entry] = {}
    for directory, text in runs.all_previous_parts(run):
        prefix = f"{directory}/" if directory else ""
        for name, entry in manifests.decode_part(text).items():
            files[prefix + name] = entry
    previous = Manifest(
        run=tree["published_by"],
        site=work.website.name,
        directories=frozenset(tree["previous"]),
        files=files,
    )
    staged = {path: Staged(*facts["staged"]) for path, facts in runs.outcomes(run)}
    return Wanted(
        run,
        work.website.name,
        previous,
        frozenset(tree["directories"]),
        staged,
        _removal(work, tree),
        writes_manifest=tree["writes_manifest"],
    )


def _removal(work: Work, tree: Mapping[str, Any]) -> Removal:
    """What was gone from the source when the run was planned, and what only the server has."""
    removal = Removal(tuple(tree["remove"]), tuple(tree["remove_directories"]))
    if work.claim.facts["seeks_extras"] != "1":
        return removal
    extras = Findings(work.runtime.connection).extras(work.member.run)
    return removal.joined(
        (path for path, kind in extras.items() if kind == "file"),
        (path for path, kind in extras.items() if kind == "directory"),
    )


def _check(work: Work, wanted: Wanted) -> None:
    """The last look before anything is touched.

    Raises:
        SafetyLimit: more would be deleted than may be.
        PlanOutdated: from `_check_plan`.
    """
    if not (work.options.purge or work.options.purge_first):
        limit = work.website.delete.max
        files, removed = wanted.previous.files, wanted.removal.files
        known = len(files) + sum(path not in files for path in removed)
        check_limit(len(removed), limit.allowed(known), known, str(limit))
    _check_plan(work, wanted)


def _check_plan(work: Work, wanted: Wanted) -> None:
    """See that this is what a plan said that was to be carried out, if there was one.

    Raises:
        PlanOutdated: it is not.
    """
    if work.options.expected:
        steps = [Step.put(path, s.size, s.sha256) for path, s in wanted.staged.items()]
        steps += [Step.delete(path) for path in wanted.removal.files]
        check_expected(steps, work.options.expected)


def _plan(work: Work, session: Session, wanted: Wanted) -> PublishPlan:
    if doubtful := wanted.doubtful:
        wanted = wanted.forgetting(one_file(session, work.base, doubtful))
    observed = observe(session, work.base, wanted.new_directories, wanted.new_files)
    return plan_publish(
        wanted,
        staging=work.base.staging(work.member.run),
        order=work.website.publish_order,
        existing=observed.existing,
        files_in_the_way=observed.files,
        folders_in_the_way=observed.folders,
        trash_name_of=map(trash_name, itertools.count()),
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A journal that is on the server, but not in its place yet."""

    journal: Journal
    rename: Rename


def _draft(work: Work, session: Session, plan: PublishPlan, first: FirstTry) -> _Draft:
    """Manifest and journal go to the server, into the run's staging directory. Both may be large,
    so this is before the lock is taken; the first try to do that travels along with their end."""
    run, base = work.member.run, work.base
    content = manifests.encode(plan.manifest)
    # No two attempts write to the same name: one that the ledger has forgotten may have begun.
    own = f"{work.member.attempt}{work.token}"
    name = f"{MANIFEST_NAME}.{own}"
    digest = hashlib.sha256(content).hexdigest()
    journal = replace(
        plan.journal,
        manifest=Move(name, MANIFEST_NAME, len(content), digest),
        directory_mode=work.website.directory_mode,
    )
    # An earlier attempt may have done all, and removed it with its journal.
    if run not in session.prepared or work.member.attempt > 1:
        prepare_staging(session, base, run)
    store_document(session, f"{base.staging(run)}/{name}", content)
    work.go_on()
    try:
        rename = draft_journal(session, base, journal, f"{JOURNAL_NAME}.{own}", first)
    except SiteferryError:
        if first.lock is not None and not session.lost:
            first.lock.release(first.after)
        raise
    return _Draft(journal, rename)


def _note_beginning(work: Work, journal: Journal, wanted: Wanted) -> None:
    facts = {
        "publishing_since": time.time(),
        "publish_creates": len(journal.directories),
        "publish_deletes": len(_deleted(journal, wanted)),
    }
    work.runtime.runs.set_fields(work.member.run, facts)


def _done_earlier(work: Work, conflicts: Mapping[str, SiteferryError], wanted: Wanted) -> Finish:
    facts = work.claim.facts
    return Finish(
        outcomes=_refused(work, conflicts, wanted),
        counts={
            "dirs_created": int(facts.get("publish_creates", 0)),
            "deleted": int(facts.get("publish_deletes", 0)),
        },
    )


def _sweep(work: Work, session: Session, lock: Lock) -> None:
    """Remove what dead runs have left here."""
    # Still with the lock: what is swept here must not be in somebody's publish.
    lock.keep()
    now, run = dt.datetime.now(dt.UTC), work.member.run
    swept = remove_old_stagings(session, work.base, run, work.runtime.runs.state, now)
    if swept.removed:
        _log.info("removed what earlier runs had staged", runs=list(swept.removed))
    if swept.complete:
        Findings(work.runtime.connection).note_swept(work.claim.facts["target"], run)


def _refused(work: Work, errors: Mapping[str, SiteferryError], wanted: Wanted) -> list[Outcome]:
    return [
        work.failure(
            path,
            error,
            Status.UNPUBLISHED,
            wanted.staged[path].size if path in wanted.staged else 0,
        )
        for path, error in errors.items()
    ]
