"""Decides what a publish does: the journal, the new manifest, and the conflicts. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from siteferry.errors import TargetConflict
from siteferry.tree.journal import Journal, Move, PutAside
from siteferry.tree.manifest import Entry, Manifest
from siteferry.tree.publish_order import PublishClass, in_classes
from siteferry.tree.removal import Removal
from siteferry.tree.twins import twins


@dataclass(frozen=True, slots=True)
class Staged:
    """A transferred file as the ledger keeps it: staged name, bytes, SHA-256, server's time, and
    the permission bits that were asked for."""

    name: str
    size: int
    sha256: str
    mtime: int | None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run wants to publish, against what was published before; where nothing was, `previous`
    is of the run itself."""

    run: str
    site: str
    previous: Manifest
    directories: frozenset[str]
    staged: Mapping[str, Staged]
    removal: Removal = field(default_factory=Removal)
    writes_manifest: bool = False
    """The one on the server is missing, or other than what stands there."""

    @property
    def new_directories(self) -> list[str]:
        """Directories that the last manifest does not have, parents first."""
        return sorted(self.directories - self.previous.directories - {""})

    @property
    def new_files(self) -> list[str]:
        """Files that the last manifest does not have."""
        return sorted(path for path in self.staged if path not in self.previous.files)

    @property
    def doubtful(self) -> Mapping[str, str]:
        """What is to be deleted, but may be, under another spelling, a file that stays."""
        going = set(self.removal.files)
        kept = (path for path in self.previous.files if path not in going)
        stays = (path for path in kept if path not in self.staged) if going else ()
        return twins(going, stays)

    def forgetting(self, paths: AbstractSet[str]) -> Wanted:
        """The same, where `paths` are neither deleted nor known: each is another file's name."""
        files = {path: entry for path, entry in self.previous.files.items() if path not in paths}
        going = tuple(path for path in self.removal.files if path not in paths)
        return replace(
            self,
            previous=replace(self.previous, files=files),
            removal=replace(self.removal, files=going),
        )

    @property
    def nothing(self) -> bool:
        return not (self.staged or self.new_directories or self.removal or self.writes_manifest)


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """A journal to carry out, the manifest that goes with it, and what cannot be published.

    The journal's own `manifest` is filled in by who knows how the manifest is written down.
    """

    journal: Journal
    manifest: Manifest
    conflicts: Mapping[str, TargetConflict]


def plan_publish(
    wanted: Wanted,
    *,
    staging: str,
    order: Sequence[PublishClass],
    existing: AbstractSet[str],
    files_in_the_way: AbstractSet[str],
    folders_in_the_way: Mapping[str, AbstractSet[str]],
    trash_name_of: Iterable[str],
) -> PublishPlan:
    """Make the journal.

    What stands in the way is put aside only when siteferry published all of it, or when it is to
    be deleted anyway; anything else is a conflict, for nothing is deleted unasked.

    Args:
        existing: new directories that are on the server already.
        files_in_the_way: wanted directories where a file stands.
        folders_in_the_way: wanted files where a directory stands, with the files in it.
        trash_name_of: an endless supply of names in the staging directory.
    """
    ours = wanted.previous.files
    removal = wanted.removal
    deleted_anyway = set(removal.files)
    names = iter(trash_name_of)
    clear: list[str] = []
    blocked: dict[str, str] = {}
    for path in sorted(files_in_the_way):
        if path in ours or path in deleted_anyway:
            clear.append(path)
        else:
            blocked[path] = f"a file that siteferry did not publish stands at {path}"
    for path, found in sorted(folders_in_the_way.items()):
        foreign = sorted(p for p in found if p not in ours and p not in deleted_anyway)
        if not foreign and (path in wanted.previous.directories or path in removal.directories):
            clear.append(path)
        elif not foreign:
            blocked[path] = f"a directory that siteferry did not publish stands at {path}"
        else:
            some = ", ".join(foreign[:3]) + (" …" if len(foreign) > 3 else "")
            blocked[path] = f"the directory {path} holds what siteferry did not publish: {some}"
    conflicts = {
        path: TargetConflict(
            reason, next_step="Move it away on the server, then run the same import again."
        )
        for path in wanted.staged
        if (reason := _first_blocked(path, blocked))
    }
    moves = wanted.staged
    if conflicts:
        moves = {path: s for path, s in moves.items() if path not in conflicts}
    directories = [
        d for d in wanted.new_directories if d not in existing and not _first_blocked(d, blocked)
    ]
    cleared = set(clear)
    removed = {p for p in removal.files if p not in moves and not _within(p, cleared)}
    # Before its other spelling takes its place: where both are one name, that would go with it.
    first = sorted(twins(removed, moves))
    emptied = [d for d in removal.directories if not _within(d, cleared)]
    files = {
        path: entry
        for path, entry in ours.items()
        if path not in removed and not _within(path, cleared)
    }
    files.update((p, Entry(s.size, s.sha256, s.mtime)) for p, s in moves.items())
    journal = Journal(
        run=wanted.run,
        site=wanted.site,
        staging=staging,
        clear=tuple(PutAside(path, next(names)) for path in (*clear, *first)),
        directories=tuple(directories),
        classes=tuple(
            tuple(Move(moves[p].name, p, moves[p].size, moves[p].sha256) for p in group)
            for group in in_classes(list(moves), order)
        ),
        remove=tuple(PutAside(path, next(names)) for path in sorted(removed.difference(first))),
        manifest=Move("", "", 0, ""),
        empty=tuple(emptied),
    )
    manifest = Manifest(
        run=wanted.run,
        site=wanted.site,
        directories=frozenset(d for d in wanted.directories if not _first_blocked(d, blocked))
        | frozenset(
            d for d in wanted.previous.directories.difference(emptied) if not _within(d, cleared)
        ),
        files=files,
    )
    return PublishPlan(journal, manifest, conflicts)


def _above(path: str) -> list[str]:
    above: list[str] = []
    while path := posixpath.dirname(path):
        above.append(path)
    return above


def _within(path: str, places: AbstractSet[str]) -> bool:
    return bool(places) and (path in places or any(above in places for above in _above(path)))


def _first_blocked(path: str, blocked: Mapping[str, str]) -> str | None:
    if blocked:
        for place in (path, *_above(path)):
            if place in blocked:
                return blocked[place]
    return None
