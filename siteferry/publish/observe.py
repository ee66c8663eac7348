"""Looks at the places that a publish wants to take, before anything is touched."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from siteferry.ftp.directories import are_files, list_names, present
from siteferry.ftp.session import Session
from siteferry.publish.staging import BASE_NAME, Base


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


def _files_below(session: Session, base: Base, directory: str) -> list[str]:
    folders, names = list_names(session, base.live(directory))
    found = [posixpath.join(directory, name) for name in names]
    for folder in folders:
        if folder != BASE_NAME:
            found.extend(_files_below(session, base, posixpath.join(directory, folder)))
    return found
