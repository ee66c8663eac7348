"""What only the server has, where all that is not in the source is to be deleted."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.remote_look import Look
from siteferry.dispatch.sources import selection_of
from siteferry.dispatch.work import Work
from siteferry.ledger.findings import Findings
from siteferry.ledger.items import Child
from siteferry.run import ItemKind
from siteferry.tree.found import Scan
from siteferry.tree.paths import is_own_name, join, parents

_DIRECTORIES_AN_ITEM = 64


def seek_extras(work: Work, look: Look, found: Scan, paths: Sequence[str]) -> list[Child]:
    """Note what may be deleted, and give items for directories that the source does not have. What
    the source could not be asked about is let be.

    Args:
        found: what the source has in the directories `paths`; nothing where it has none of them.
    """
    tree = work.runtime.runs.tree(work.member.run)
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
            if path in local or path in wanted or is_own_name(entry.name):
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
    return [
        Child(
            f"{ItemKind.DIRECTORY}-{number}x{index}",
            {"directories": deeper[start : start + _DIRECTORIES_AN_ITEM], "foreign": True},
        )
        for index, start in enumerate(range(0, len(deeper), _DIRECTORIES_AN_ITEM))
    ]
