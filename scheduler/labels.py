"""What an item is called where people look at tasks: which directories, which files. Paths and
counts only; bounded, and without characters that could begin a line or move a cursor."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from siteferry.report.figures import human_bytes
from siteferry.tree.found import FoundFile
from siteferry.tree.paths import shown, split

LONGEST = 120
"""Characters of a label: a line of a table."""
_TOP = "top directory"


def directories_label(paths: Sequence[str], *, foreign: bool = False) -> str:
    """`wp-content/uploads`; of several `wp-content (12 directories)`, or `wp-admin to wp-includes
    (12 directories)` where they share no parent.

    Args:
        paths: relative to the root of the website, in their order; the root itself is empty.
        foreign: the source does not have them: they are on the server.
    """
    facts = [f"{len(paths)} directories"] if len(paths) > 1 else []
    if foreign:
        facts.append("only on the server")
    return _label(paths, ", ".join(facts))


def files_label(files: Sequence[FoundFile]) -> str:
    """`img/film.mp4 (1.2 GB)`; of several their directory: `wp-content/uploads (64 files)`."""
    if len(files) == 1:
        return _label([files[0].path], human_bytes(files[0].size))
    return _label([split(found.path)[0] for found in files], f"{len(files)} files")


def _label(paths: Sequence[str], facts: str) -> str:
    tail = f" ({facts})" if facts else ""
    room = LONGEST - len(tail)
    shared = posixpath.commonpath(paths)
    if shared or len(set(paths)) == 1:
        return _end_of(shared, room) + tail
    between = " to "
    half = (room - len(between)) // 2
    return _end_of(paths[0], half) + between + _end_of(paths[-1], half) + tail


def _end_of(path: str, most: int) -> str:
    """The path; of one that is too long its end, which tells more than its beginning."""
    text = shown(path) or _TOP
    return text if len(text) <= most else f"…{text[1 - most :]}"
