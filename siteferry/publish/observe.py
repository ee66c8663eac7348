"""Looks at the places that a publish wants to take, before anything is touched."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from siteferry.errors import SiteferryError
from siteferry.ftp.directories import are_files, list_names, present
from siteferry.ftp.listing import list_directories
from siteferry.ftp.session import Session
from siteferry.publish.staging import BASE_NAME, Base
from siteferry.tree.twins import parting


@dataclass(frozen=True, slots=True)
class Observed:
    """What stands at the wanted places. Published paths, not remote ones.

    `existing`: wanted directories that are there. `files`: wanted directories where a file stands.
    `folders`: wanted files where a directory stands, with all files in it.
    """

    existing: frozenset[str]
    files: frozenset[str]
    folders: dict[str, frozenset[str]]


def observe(
    session: Session, base: Base, directories: Sequence[str], files: Collection[str]
) -> Observed:
    """Look at the places of new directories and new files, in a few bursts.

    Args:
        directories: wanted directories that we did not publish before, parents first.
        files: wanted files that we did not publish before.
    """
    there = present(session, [base.live(d) for d in directories])
    as_files = are_files(session, sorted(there))
    existing = {d for d in directories if base.live(d) in there and base.live(d) not in as_files}
    # Nothing can stand in a directory that is not there.
    missing = set(directories) - existing
    places = [base.live(f) for f in files if posixpath.dirname(f) not in missing]
    taken = present(session, places)
    folders = taken - are_files(session, sorted(taken))
    return Observed(
        existing=frozenset(existing),
        files=frozenset(d for d in directories if base.live(d) in as_files),
        folders={
            path: frozenset(_files_below(session, base, path))
            for path in files
            if base.live(path) in folders
        },
    )


def one_file(session: Session, base: Base, spellings: Mapping[str, str]) -> set[str]:
    """Those of `spellings` that are no files of their own beside their value: the server lists only
    one of the two names.

    Raises:
        SiteferryError: a directory could not be listed.
    """
    partings = {path: parting(path, other) for path, other in spellings.items()}
    remote = {base.live(above): above for above, _, _ in partings.values()}
    names: dict[str, set[str]] = {}
    for directory, entries in list_directories(session, list(remote)):
        if isinstance(entries, SiteferryError):
            raise entries
        names[remote[directory]] = {entry.name for entry in entries}
    return {path for path, (above, a, b) in partings.items() if not {a, b} <= names[above]}


def _files_below(session: Session, base: Base, directory: str) -> list[str]:
    folders, names = list_names(session, base.live(directory))
    found = [posixpath.join(directory, name) for name in names]
    for folder in folders:
        if folder != BASE_NAME:
            found.extend(_files_below(session, base, posixpath.join(directory, folder)))
    return found
