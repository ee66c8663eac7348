"""Renames in bursts, and what to do where a server does not rename over an existing file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from siteferry.errors import NotFound, SiteferryError
from siteferry.ftp.directories import are_directories, file_sizes
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.log import get_logger

_STAGED = re.compile(r"\.ht[a-z]+(-[0-9]+)+\.[0-9]+[0-9a-z]+\.[0-9]+")
"""Names that siteferry.publish.staging gives: item, attempt, token and number."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rename:
    """Move the file `source` to `target`, replacing it; `size` in bytes tells the two apart when a
    reply was lost. None: something that is put aside, a file or a directory."""

    source: str
    target: str
    size: int | None = None


def rename_all(session: Session, renames: Sequence[Rename]) -> dict[Rename, SiteferryError]:
    """Carry out renames, two commands each, in bursts.

    Returns:
        The renames that did not succeed, each with its error. One that an earlier, interrupted try
        has done already counts as done.

    Raises:
        SessionLost: the session is suspect; any number of them may be done.
    """
    if session.profile.rename_over:
        return _rename_over(session, renames)
    aside = [rename for rename in renames if rename.size is None]
    replacing = [rename for rename in renames if rename.size is not None]
    return _rename_over(session, aside) | _rename_after_delete(session, replacing)


def _rename_over(session: Session, renames: Sequence[Rename]) -> dict[Rename, SiteferryError]:
    folder = _folder_of_all(renames)
    # From the directory of the sources, for names are most of what is sent, and bursts are bounded.
    # Where it cannot be entered, the names are found nowhere else: each staged name is only once.
    enter = [f"CWD {folder}"] if folder else []
    names = [posixpath.basename(r.source) if folder else r.source for r in renames]
    replies = session.burst(
        [
            *enter,
            *(
                c
                for n, r in zip(names, renames, strict=True)
                for c in (f"RNFR {n}", f"RNTO {r.target}")
            ),
        ]
    )[len(enter) :]
    missing: dict[Rename, Reply] = {}
    refused: dict[Rename, Reply] = {}
    for rename, rnfr, rnto in zip(renames, replies[::2], replies[1::2], strict=True):
        if rnfr.code >= 400:
            missing[rename] = rnfr
        elif not rnto.ok:
            refused[rename] = rnto
    return _settle_missing(session, missing) | _settle_refused(session, refused)


def _folder_of_all(renames: Sequence[Rename]) -> str | None:
    """The staging directory from which all of `renames` come; None where it would not pay, and for
    what is put aside: that is the site's own, and a name such as `.htaccess` is in many places."""
    folders = {posixpath.dirname(rename.source) for rename in renames}
    staged = all(
        _STAGED.fullmatch(posixpath.basename(r.source)) and r.size is not None for r in renames
    )
    return folders.pop() if len(folders) == 1 and staged and len(renames) > 1 else None


def _settle_missing(
    session: Session, missing: Mapping[Rename, Reply]
) -> dict[Rename, SiteferryError]:
    """A source that cannot be renamed is no failure where the work is done: a staged file that is
    gone and whose target has the right size, or something to be put aside that is not there any
    more. While the source stands, an old target of the same size proves nothing."""
    if not missing:
        return {}
    replacing = [r.target for r in missing if r.size is not None]
    sizes = file_sizes(session, [*(r.source for r in missing), *replacing])
    folders = are_directories(session, [r.source for r in missing if r.size is None])
    failed: dict[Rename, SiteferryError] = {}
    for rename, reply in missing.items():
        done = sizes[rename.source] is None
        if rename.size is not None:
            done = done and sizes[rename.target] == rename.size
        else:
            done = done and rename.source not in folders
        if not done:
            failed[rename] = _refusal(rename, reply)
    return failed


def _settle_refused(
    session: Session, refused: Mapping[Rename, Reply]
) -> dict[Rename, SiteferryError]:
    """IIS, FileZilla Server and hardened set-ups refuse to rename over a file (550, 553): there the
    target is deleted first. Where no file stands at the target, the refusal is final."""
    if not refused:
        return {}
    sizes = file_sizes(session, [rename.target for rename in refused])
    in_the_way = [
        rename
        for rename, reply in refused.items()
        if reply.code >= 500 and rename.size is not None and sizes[rename.target] is not None
    ]
    failed = {r: _refusal(r, reply) for r, reply in refused.items() if r not in in_the_way}
    # One alone first: where deleting does not help, the reason is another one (the live directory
    # on another file system, say), and no second file may be deleted for it.
    first = _rename_after_delete(session, in_the_way[:1])
    rest = in_the_way[1:]
    if first or not in_the_way:
        return failed | first | {rename: _refusal(rename, refused[rename]) for rename in rest}
    session.profile.rename_over = False
    _log.warning(
        "the server does not rename over an existing file: it is deleted first, so each "
        "replaced file is missing for the length of one burst"
    )
    return failed | _rename_after_delete(session, rest)


def _rename_after_delete(
    session: Session, renames: Sequence[Rename]
) -> dict[Rename, SiteferryError]:
    # A target is deleted only while its replacement is known to stand ready.
    sources = file_sizes(session, [rename.source for rename in renames])
    ready = [rename for rename in renames if sources[rename.source] is not None]
    gone = [rename for rename in renames if sources[rename.source] is None]
    replies = session.burst(
        [c for r in ready for c in (f"DELE {r.target}", f"RNFR {r.source}", f"RNTO {r.target}")]
    )
    failed = {
        rename: _refusal(rename, rnto if rnfr.code < 400 else rnfr)
        for rename, rnfr, rnto in zip(ready, replies[1::3], replies[2::3], strict=True)
        if not rnto.ok
    }
    targets = file_sizes(session, [rename.target for rename in gone])
    for rename in gone:
        if targets[rename.target] != rename.size:
            failed[rename] = NotFound(
                f"{rename.source} is gone and {rename.target} is not what it should be",
                code=550,
                reply="550 (by SIZE)",
            )
    return failed


def _refusal(rename: Rename, reply: Reply) -> SiteferryError:
    return error_for(reply, f"moving {rename.source} to {rename.target}")
