"""`--purge-first`: the remote directory is emptied before anything is sent."""

from __future__ import annotations

from siteferry.dispatch.server_lock import claimant_of
from siteferry.dispatch.work import Work
from siteferry.errors import ConfigurationError, SiteferryError
from siteferry.ftp.directories import (
    list_names,
    present,
    remove_empty_directories,
    remove_tree,
)
from siteferry.ftp.listing import list_directories
from siteferry.ftp.replies import error_for
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.publish.lock import LOCK_NAME, Lock, take
from siteferry.publish.staging import prepare_staging
from siteferry.tree.paths import join
from siteferry.tree.selection import Selection

_log = get_logger(__name__)


def purge_first(work: Work, session: Session, selection: Selection) -> int:
    """Delete all that is in the remote directory, except what is protected or another website's.
    siteferry's own documents go first, for they would speak of what is not there any more; its lock
    is held meanwhile, and stays.

    Returns:
        How many files were deleted by this attempt.

    Raises:
        ConfigurationError: the remote directory is the server's root, and the website's file does
            not allow that.
        TargetHeld: another machine publishes.
        SiteferryError: a listing or a deletion was refused; what is deleted until then is gone.
    """
    base = work.base
    if base.remote_dir == "/" and not work.website.allow_purge_root:
        raise ConfigurationError(
            f"website {work.website.name}: --purge-first would empty the server's root directory",
            next_step="Set ftp.remote_dir, or write allow_purge_root: true into the website's "
            "file.",
        )
    if base.remote_dir not in present(session, [base.remote_dir]):
        return 0
    prepare_staging(session, base, work.member.run)
    lock = take(session, base, claimant_of(work))
    deleted = _empty(session, work, selection, lock)
    # A plan that was made before is outdated, and there is no manifest to tell.
    lock.release(work.member.run)
    _log.warning("emptied the remote directory", directory=base.remote_dir, files=deleted)
    return deleted


def _empty(session: Session, work: Work, selection: Selection, lock: Lock) -> int:
    base = work.base
    _remove_own(session, work, lock)
    deleted = 0
    folders: list[str] = []
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        files, subdirectories = _disposable(session, work, selection, directory)
        lock.keep()
        deleted += _delete(session, work, files)
        waiting += subdirectories
        folders += subdirectories
    lock.keep()
    remove_empty_directories(session, [base.live(f) for f in sorted(folders, reverse=True)])
    return deleted


def _remove_own(session: Session, work: Work, lock: Lock) -> None:
    folders, files = list_names(session, work.base.path)
    for folder in folders:
        if folder != LOCK_NAME:
            lock.keep()
            remove_tree(session, join(work.base.path, folder))
    lock.keep()
    session.burst([f"DELE {join(work.base.path, name)}" for name in files])


def _disposable(
    session: Session, work: Work, selection: Selection, directory: str
) -> tuple[list[str], list[str]]:
    """Files and directories in `directory` that are to go, as published paths."""
    for _, entries in list_directories(session, [work.base.live(directory)]):
        if isinstance(entries, SiteferryError):
            raise entries
        found = [(join(directory, entry.name), entry.kind == "directory") for entry in entries]
        going = [
            (p, folder)
            for p, folder in found
            if selection.may_purge(p, folder) and work.base.live(p) != work.base.path
        ]
        return [p for p, folder in going if not folder], [p for p, folder in going if folder]
    return [], []


def _delete(session: Session, work: Work, files: list[str]) -> int:
    commands = [f"DELE {work.base.live(path)}" for path in files]
    for path, reply in zip(files, session.burst(commands), strict=True):
        if not reply.ok:
            raise error_for(reply, f"deleting {path}")
    return len(files)
