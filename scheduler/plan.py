"""The plan of an import: what was published before, what is in the sources, what is to be deleted;
and directory items, which compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scheduler.labels import directories_label
from scheduler.previous import Previous, nothing_before
from scheduler.purging import purge_first
from scheduler.two_sides import look_at_both
from siteferry.credentials.references import password_warning
from siteferry.dispatch.sources import foreign_directories, selection_of
from siteferry.dispatch.work import Work
from siteferry.errors import LeaseLost, SiteferryError
from siteferry.ledger.findings import Findings
from siteferry.ledger.items import Child, Finish
from siteferry.run import ItemKind, RunState
from siteferry.tree import manifest as manifests
from siteferry.tree.batches import group_directories
from siteferry.tree.found import Failure, Scan
from siteferry.tree.manifest import Manifest
from siteferry.tree.name_limits import NameLimits
from siteferry.tree.paths import shown
from siteferry.tree.preflight import check_names
from siteferry.tree.removal import Removal, check_limit, gone_from_source
from siteferry.tree.selection import Selection


@dataclass(frozen=True, slots=True)
class PlanStep:
    """Plans a run. Who starts a run need not see its sources or credentials: this does."""

    kind: ItemKind = ItemKind.PLAN

    def carry(self, work: Work) -> Finish:
        """Plan; see the module."""
        website, options, settings = work.website, work.options, work.runtime.settings
        deleting = _delete_mode(work)
        foreign = foreign_directories(website, settings) if deleting != "none" else frozenset()
        selection = selection_of(website, settings, options, foreign)
        # Before anything is done on the server, which may be to empty the site.
        work.check_sources()
        looked, found = look_at_both(work, selection)
        if found.failures:
            work.check_sources()
        work.moved()
        refused, collisions = _preflight(work, found, looked.limits)
        failures = (*found.failures, *((shown(path), error) for path, error in refused))
        previous, emptied = looked.previous, 0
        empties = options.purge_first and not options.dry_run
        # Not if nothing would be published for what has failed: the site would stay empty.
        if empties and (not failures or website.on_failure == "publish"):
            with work.session() as session:
                emptied = purge_first(work, session, selection)
            previous = replace(previous, manifest=nothing_before(work), missing=True)
        if work.counts_no_more:
            raise LeaseLost("the ledger has taken this attempt away")
        # Not earlier: what has an outcome counts as progress, and an attempt is repeated for that.
        for path, error in failures:
            work.failed(path, error)
        removal = _removal(work, deleting, previous, found, selection)
        names = [path for path, _ in refused]
        _keep(work, previous, found, removal, Kept(sorted(foreign), names, collisions))
        # Nothing will be published then, and what is sent now would wait for that name.
        holds = bool(refused) and website.on_failure == "hold"
        groups = () if holds else group_directories(found)
        return Finish(
            children=_directory_items(groups),
            fields={
                "state": RunState.TRANSFERRING.value,
                "planned": 1,
                "files_found": found.files,
                "bytes_found": found.bytes,
                "comparing": len(groups),
                "comparison": previous.comparison,
                "refused": len(refused),
                "seeks_extras": int(deleting == "all" and not options.purge_first),
                "left_staged": looked.left_staged,
                "removes": len(removal.files),
                "deleted": emptied,
                "publishes_besides": int(_publishes_besides(work, previous, found, removal)),
                **looked.measured,
            },
        )

    def give_up(self, work: Work, error: SiteferryError) -> None:
        """Without a plan there is no run."""


def _delete_mode(work: Work) -> str:
    if work.options.purge or work.options.purge_first:
        return "all"
    return work.website.delete.mode


def _removal(
    work: Work, deleting: str, previous: Previous, found: Scan, selection: Selection
) -> Removal:
    """What siteferry published and is gone from the source. What only the server has is found by
    the directory items, where it is to be deleted as well."""
    if deleting == "none" or work.options.purge_first:
        return Removal()
    removal = gone_from_source(previous.manifest, found, selection)
    if deleting == "published" and not work.options.dry_run:
        # Otherwise this is not all; the publish step counts then.
        limit, known = work.website.delete.max, len(previous.manifest.files)
        check_limit(len(removal.files), limit.allowed(known), known, str(limit))
    return removal


def _publishes_besides(work: Work, previous: Previous, found: Scan, removal: Removal) -> bool:
    """Whether there is something to publish even if no file is sent: a new directory, what is
    deleted, or a manifest that is missing; see `Wanted.nothing`."""
    new = {directory.path for directory in found.directories} - previous.manifest.directories
    return bool(new or removal or _writes_manifest(work, previous))


def _writes_manifest(work: Work, previous: Previous) -> bool:
    return previous.missing or work.options.adopt


def _preflight(
    work: Work, found: Scan, limits: NameLimits
) -> tuple[tuple[Failure, ...], tuple[str, ...]]:
    """Names that the server cannot hold are failures before anything is sent. Gives them, and
    warnings."""
    directories = [directory.path for directory in found.directories]
    files = [file.path for directory in found.directories for file in directory.files]
    return check_names(directories, files, limits.below(work.base.remote_dir))


@dataclass(frozen=True, slots=True)
class Kept:
    """What the plan leaves beside trees. refused: paths that the server cannot hold."""

    foreign: list[str]
    refused: list[str]
    warnings: tuple[str, ...]


def _keep(work: Work, previous: Previous, found: Scan, removal: Removal, kept: Kept) -> None:
    runs, run = work.runtime.runs, work.member.run
    warnings = [*previous.warnings, *found.warnings, *kept.warnings]
    if work.website.password_in_file:
        warnings.insert(0, password_warning(work.website.name))
    runs.warn(run, warnings)
    runs.keep_plan(
        run,
        _parts(work, previous.manifest),
        {
            "directories": [d.path for d in found.without(kept.refused).directories],
            "previous": sorted(previous.manifest.directories),
            "remove": removal.files,
            "remove_directories": removal.directories,
            "foreign": kept.foreign,
            "refused": kept.refused,
            "uncovered": sorted({*found.unseen, *kept.refused}),
            "writes_manifest": _writes_manifest(work, previous),
            "published_by": previous.manifest.run,
        },
    )
    if work.options.dry_run:
        planned: dict[str, Sequence[object]] = {
            path: ("delete", previous.manifest.files[path].size) for path in removal.files
        }
        if previous.comparison in ("manifest", "nothing"):
            # Else the directory items look for themselves.
            known = previous.manifest.directories | {""}
            made = (d.path for d in found.directories if d.path not in known)
            planned |= dict.fromkeys(made, ("mkdir", 0))
        Findings(work.runtime.connection).add_planned(run, planned)


def _parts(work: Work, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """They are kept one after the other: two attempts must not both be at it."""
    for directory, part in manifests.by_directory(manifest):
        work.check()
        yield directory, manifests.encode_part(part)


def _directory_items(groups: Sequence[Sequence[str]]) -> list[Child]:
    return [
        Child(
            f"{ItemKind.DIRECTORY}-{index}",
            {"directories": list(group)},
            label=directories_label(group),
        )
        for index, group in enumerate(groups)
    ]
