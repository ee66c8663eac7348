"""Carries out a journal that stands on the server: from the start, or where another was cut off."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from siteferry.errors import (
    DocumentDamaged,
    PermanentReply,
    RemoteDirectoryRefused,
    SiteferryError,
)
from siteferry.ftp.directories import (
    make_directories,
    present,
    remove_empty_directories,
    remove_tree,
)
from siteferry.ftp.documents import Along, exists, read_document, write_document
from siteferry.ftp.permissions import chmod_warning, set_modes
from siteferry.ftp.renames import Rename, rename_all
from siteferry.ftp.replies import error_for
from siteferry.ftp.sending import size_of
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.publish.staging import JOURNAL_NAME, Base
from siteferry.tree import journal as journals
from siteferry.tree import manifest as manifests
from siteferry.tree.journal import Journal, Move, PutAside
from siteferry.tree.manifest import Entry

_RENAMES_A_BURST = 170
"""What one write holds (`siteferry.ftp.bursts`), so that the lease is looked at before each."""

T = TypeVar("T")

_log = get_logger(__name__)


@dataclass(slots=True)
class Published:
    """What a publish did: the paths that the server refused for good, for how many seconds visitors
    could see both versions, and a warning about directories without the permissions that were
    asked for."""

    failed: dict[str, SiteferryError] = field(default_factory=dict)
    mixed_seconds: float = 0.0
    unset_modes: str | None = None


def find_journal(session: Session, base: Base) -> Journal | None:
    """The journal of a publish that was begun and not finished, if there is one.

    Raises:
        DocumentDamaged: one stands there but cannot be read; nothing was touched.
    """
    if not exists(session, base.journal):
        return None
    try:
        return _checked(journals.decode(read_document(session, base.journal)), base)
    except PermanentReply:
        # Who looks without the lock may see another machine remove it meanwhile.
        if exists(session, base.journal):
            raise
        return None
    except DocumentDamaged as error:
        raise DocumentDamaged(
            f"the publish journal {base.journal} is damaged: {error.message}",
            next_step="Look at that file and at its run's directory beside it; when the site is as "
            "you want it, delete both.",
        ) from error


def published_by(session: Session, base: Base) -> str | None:
    """The run in the manifest that stands on the server; None where none stands, or a damaged one.

    Raises:
        SiteferryError: it cannot be read.
    """
    if not exists(session, base.manifest):
        return None
    try:
        return manifests.decode(read_document(session, base.manifest)).run
    except DocumentDamaged:
        return None


def _checked(journal: Journal, base: Base) -> Journal:
    # The staging directory is removed in the end: it must be ours beyond doubt.
    if journal.staging != base.staging(journal.run):
        raise DocumentDamaged(f"it speaks of {journal.staging}")
    return journal


def draft_journal(
    session: Session,
    base: Base,
    journal: Journal,
    name: str = JOURNAL_NAME,
    along: Along | None = None,
) -> Rename:
    """Put the journal into the run's staging directory, read back: what `place_journal` takes.

    Of the manifest, which is staged by now, only the size is looked at: it has its own checksum,
    and one that is damaged costs a comparison with the listing, nothing more.

    Args:
        name: the draft's, which no other attempt may write to.
        along: travels behind it, and with the command that reads it back.
    """
    draft = posixpath.join(journal.staging, name)
    content = journals.encode(journal)
    staged = _staged(journal, journal.manifest.staged)
    (held,) = write_document(session, draft, content, [f"SIZE {staged}"], along)
    if held.code == 550 or size_of(held) not in (journal.manifest.size, None):
        raise DocumentDamaged(f"{staged} has another size on the server than was sent")
    return Rename(draft, base.journal, len(content))


def place_journal(session: Session, draft: Rename) -> None:
    """Rename the journal to its place, so that one that stands is always whole. From here on the
    publish is only ever finished."""
    refused = rename_all(session, [draft])
    # The first move from one directory into another: nothing of the site has been touched yet.
    session.profile.rename_across = not refused
    for error in refused.values():
        if error.transient:
            raise error
        source, target = (posixpath.dirname(path) for path in (draft.source, draft.target))
        raise RemoteDirectoryRefused(
            f"the server does not move a file from {source} into {target}",
            reply=error.reply,
            next_step="Set ftp.staging_dir to a directory on the same file system as "
            "ftp.remote_dir; a server that moves nothing between directories cannot be used.",
        ) from error


def carry_out(
    session: Session,
    base: Base,
    journal: Journal,
    may_go_on: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
    *,
    untouched: bool = False,
    last: Along | None = None,
) -> Published:
    """Do all that the journal says and has not been done yet; it is removed last.

    Every step can be repeated, and a step that is done already is recognised as done, so a second
    worker may take over after any command.

    Args:
        may_go_on: called before each burst; raises when this worker must stop writing.
        untouched: the journal was written just now, so nothing of it can have been done.
        last: travels with the journal's removal.

    Raises:
        SessionLost: the session is suspect; call again with another one.
        SiteferryError: from `may_go_on`.
    """
    result = Published()
    if untouched or exists(session, _staged(journal, journal.manifest.staged)):
        _replace(session, base, journal, may_go_on, result, clock)
    else:
        _check_replaced(session, base, journal)
    may_go_on()
    remove_empty_directories(session, [base.live(path) for path in journal.empty])
    trash = [_staged(journal, a.trash) for a in (*journal.clear, *journal.remove)]
    *slices, names = [*_slices(trash)] or [[]]
    for some in slices:
        may_go_on()
        session.burst([f"DELE {path}" for path in some])
    # A journal that another worker has written since must not go.
    may_go_on()
    # Not from within: Pure-FTPd ends a session (421) whose directory has gone.
    further = last.commands() if last is not None else []
    cleanup = [
        *(f"DELE {path}" for path in names),
        f"CWD {base.path}",
        f"RMD {journal.staging}",
        f"DELE {base.journal}",
    ]
    replies = session.burst([*cleanup, *further])
    removed, deleted = replies[len(cleanup) - 2 : len(cleanup)]
    if last is not None:
        last.answered(replies[len(cleanup) :])
    if not removed.ok:
        # Something that the journal does not name is in it: transfers that were cut off.
        remove_tree(session, journal.staging)
    if not deleted.ok and exists(session, base.journal):
        raise error_for(deleted, "removing the publish journal")
    return result


def _replace(
    session: Session,
    base: Base,
    journal: Journal,
    may_go_on: Callable[[], None],
    result: Published,
    clock: Callable[[], float],
) -> None:
    """All that visitors can see. The manifest's rename ends it, and so tells a later worker that
    what stands in the trash is only waiting to be removed."""
    begin = clock()
    _put_aside(session, base, journal, journal.clear, may_go_on, result)
    _make_directories(session, base, journal, may_go_on, result)
    for group in journal.classes:
        _move(session, base, journal, group, may_go_on, result)
    _put_aside(session, base, journal, journal.remove, may_go_on, result)
    result.mixed_seconds = clock() - begin
    may_go_on()
    _put_manifest(session, base, journal, result)


def _make_directories(
    session: Session,
    base: Base,
    journal: Journal,
    may_go_on: Callable[[], None],
    result: Published,
) -> None:
    live = {base.live(path): path for path in journal.directories}
    may_go_on()
    _, refused = make_directories(session, list(live))
    for path, error in refused.items():
        _log.warning("a directory could not be made", path=path, error=str(error))
    if journal.directory_mode is None:
        return
    may_go_on()
    # Also those that stood already: another worker may have been cut off in between.
    there = [path for path in live if path not in refused]
    for path, refusal in set_modes(session, there, journal.directory_mode).items():
        result.unset_modes = chmod_warning(live[path], refusal)
        break


def _check_replaced(session: Session, base: Base, journal: Journal) -> None:
    content = read_document(session, base.manifest)
    try:
        run = manifests.decode(content).run
    except DocumentDamaged:
        # Damaged on its way, for only its size was looked at (`draft_journal`).
        if len(content) != journal.manifest.size:
            raise
        return
    if run != journal.run:
        raise DocumentDamaged(
            f"the journal of run {journal.run} stands on the server, but what it staged is gone",
            next_step=f"Delete {base.journal} and {base.manifest} there; the next import then "
            "sends the whole site again.",
        )


def _move(
    session: Session,
    base: Base,
    journal: Journal,
    group: Sequence[Move],
    may_go_on: Callable[[], None],
    result: Published,
) -> None:
    for some in _slices(group):
        may_go_on()
        renames = {
            Rename(_staged(journal, m.staged), base.live(m.target), m.size): m.target for m in some
        }
        for rename, error in rename_all(session, list(renames)).items():
            result.failed[renames[rename]] = error


def _put_aside(
    session: Session,
    base: Base,
    journal: Journal,
    asides: Sequence[PutAside],
    may_go_on: Callable[[], None],
    result: Published,
) -> None:
    # What is in the trash already is done: by now something new may stand at its old path.
    trash = {aside: _staged(journal, aside.trash) for aside in asides}
    for some in _slices(asides):
        may_go_on()
        done = present(session, [trash[aside] for aside in some])
        renames = {
            Rename(base.live(a.path), trash[a]): a.path for a in some if trash[a] not in done
        }
        for rename, error in rename_all(session, list(renames)).items():
            result.failed[renames[rename]] = error


def _put_manifest(session: Session, base: Base, journal: Journal, result: Published) -> None:
    """The new manifest takes its place; it must not claim what the server refused to move, and
    still knows what it refused to delete."""
    staged = _staged(journal, journal.manifest.staged)
    size = journal.manifest.size
    if result.failed:
        try:
            manifest = manifests.decode(read_document(session, staged))
        except DocumentDamaged as damage:
            # So it claims nothing: the next import compares with the listing.
            _log.warning("the manifest was damaged on its way", error=str(damage))
        else:
            files = {path: e for path, e in manifest.files.items() if path not in result.failed}
            files |= _not_deleted(session, base, journal, result)
            content = manifests.encode(replace(manifest, files=files))
            size = len(content)
            write_document(session, staged, content)
    for error in rename_all(session, [Rename(staged, base.manifest, size)]).values():
        raise error


def _not_deleted(
    session: Session, base: Base, journal: Journal, result: Published
) -> dict[str, Entry]:
    stays = {aside.path for aside in journal.remove} & result.failed.keys()
    if not stays or not exists(session, base.manifest):
        return {}
    try:
        before = manifests.decode(read_document(session, base.manifest)).files
    except DocumentDamaged:
        return {}  # then nobody knew it before, either
    return {path: before[path] for path in stays if path in before}


def _staged(journal: Journal, name: str) -> str:
    return posixpath.join(journal.staging, name)


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _RENAMES_A_BURST):
        yield items[start : start + _RENAMES_A_BURST]
