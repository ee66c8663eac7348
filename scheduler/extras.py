"""What only the server has, where all that is not in the source is to be deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.labels import directories_label
from scheduler.remote_look import Look
from siteferry.dispatch.sources import selection_of
from siteferry.dispatch.work import Work
from siteferry.errors import PathRefused
from siteferry.ledger.findings import Findings
from siteferry.ledger.items import Child
from siteferry.log import get_logger
from siteferry.run import ItemKind
from siteferry.tree.found import Scan
from siteferry.tree.paths import check_path, is_own_name, join, parents, shown, split

_DIRECTORIES_AN_ITEM = 64

_log = get_logger(__name__)


def seek_extras(
    work: Work, look: Look, found: Scan, paths: Sequence[str], tree: Mapping[str, Any]
) -> list[Child]:
    """Note what may be deleted, and give items for directories that the source does not have. What
    the source could not be asked about is let be.

    Args:
        found: what the source has in the directories `paths`; nothing where it has none of them.
        tree: what the plan has left.
    """
    wanted, uncovered = set(tree["directories"]), set(tree["uncovered"])
    uncovered |= found.unseen
    selection = selection_of(
        work.website, work.runtime.settings, work.options, frozenset(tree["foreign"])
    )
    local = {file.path for directory in found.directories for file in directory.files}
    extras: dict[str, str] = {}
    planned: dict[str, Sequence[object]] = {}
    deeper: list[str] = []
    for directory in paths:
        for entry in look.directories.get(directory, ()):
            path, is_directory = join(directory, entry.name), entry.kind == "directory"
            # What is neither file, directory nor link might hold something.
            if path in local or path in wanted or entry.kind == "other":
                continue
            if not _can_be_deleted(path):
                continue
            if not uncovered.isdisjoint(("", *parents(path), path)):
                continue
            if is_directory and selection.may_look_into(path):
                deeper.append(path)
            if not selection.may_delete(path, is_directory):
                continue
            extras[path] = "directory" if is_directory else "file"
            if not is_directory:
                planned[path] = ("delete", entry.size or 0)
    findings = Findings(work.runtime.connection)
    findings.add_extras(work.member.run, extras)
    if work.options.dry_run:
        findings.add_planned(work.member.run, planned)
    number = work.member.item.partition("-")[2]
    starts = range(0, len(deeper), _DIRECTORIES_AN_ITEM)
    return [
        Child(
            f"{ItemKind.DIRECTORY}-{number}x{index}",
            {"directories": some, "foreign": True},
            label=directories_label(some, foreign=True),
        )
        for index, some in enumerate(deeper[s : s + _DIRECTORIES_AN_ITEM] for s in starts)
    ]


def _can_be_deleted(path: str) -> bool:
    """siteferry's own names are not; neither is what a journal cannot name, such as bytes that are
    no UTF-8."""
    try:
        check_path(path)
    except PathRefused as error:
        if not is_own_name(split(path)[1]):
            _log.warning("this stays on the server", path=shown(path), reason=error.message)
        return False
    return True
