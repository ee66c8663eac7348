"""`--purge-first`: the remote directory is emptied before anything is sent."""

from __future__ import annotations

from siteferry.dispatch.server_lock import claimant_of
from siteferry.dispatch.work import Work
from siteferry.errors import ConfigurationError, SiteferryError
from siteferry.ftp.directories import file_sizes, present, remove_empty_directories
from siteferry.ftp.listing import list_directories, without_followed_links
from siteferry.ftp.replies import error_for
from siteferry.ftp.session import Session
from siteferry.ledger.findings import Findings
from siteferry.log import get_logger
from siteferry.publish.lock import Lock, take
from siteferry.publish.staging import prepare_staging, remove_own
from siteferry.tree.paths import join, shown
from siteferry.tree.selection import Selection

_PURGED, _VANISHED = "purged", "vanished"

_log = get_logger(__name__)


def purge_first(work: Work, session: Session, selection: Selection) -> int:
    """Delete all that is in the remote directory, except what is protected or another website's.
    siteferry's own documents go first, for they would speak of what is not there any more; its lock
    is held meanwhile, and stays. May be repeated after it was cut off anywhere.

    Returns:
        How many files were deleted, by earlier attempts too.

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
    _empty(session, work, selection, lock)
    # A plan that was made before is outdated, and there is no manifest to tell.
    lock.release(work.member.run)
    noted = Findings(work.runtime.connection).extras(work.member.run)
    deleted = sum(kind == _PURGED for kind in noted.values())
    _log.warning("emptied the remote directory", directory=base.remote_dir, files=deleted)
    return deleted


def _empty(session: Session, work: Work, selection: Selection, lock: Lock) -> None:
    base = work.base
    remove_own(session, base, lock.keep)
    folders: list[str] = []
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        files, subdirectories = _disposable(session, work, selection, directory)
        lock.keep()
        _delete(session, work, files)
        waiting += subdirectories
        folders += subdirectories
    lock.keep()
    remove_empty_directories(session, [base.live(f) for f in sorted(folders, reverse=True)])


def _disposable(
    session: Session, work: Work, selection: Selection, directory: str
) -> tuple[list[str], list[str]]:
    """Files and directories in `directory` that are to go, as published paths."""
    for _, entries in list_directories(session, [work.base.live(directory)]):
        if isinstance(entries, SiteferryError):
            raise entries
        entries = without_followed_links(session, work.base.live(directory), entries)
        found = [(join(directory, entry.name), entry.kind == "directory") for entry in entries]
        going = [
            (p, folder)
            for p, folder in found
            if selection.may_purge(p, folder) and work.base.live(p) != work.base.path
        ]
        return [p for p, folder in going if not folder], [p for p, folder in going if folder]
    return [], []


def _delete(session: Session, work: Work, files: list[str]) -> None:
    findings, run = Findings(work.runtime.connection), work.member.run
    # Before they go: an attempt that is cut off behind the burst cannot tell any more.
    findings.add_extras(run, dict.fromkeys(map(shown, files), _PURGED))
    replies = session.burst([f"DELE {work.base.live(path)}" for path in files])
    refused = {path: r for path, r in zip(files, replies, strict=True) if not r.ok}
    sizes = file_sizes(session, [work.base.live(path) for path in refused])
    for path, reply in refused.items():
        # What somebody else removed meanwhile is gone as well.
        if reply.code != 550 or sizes[work.base.live(path)] is not None:
            raise error_for(reply, f"deleting {shown(path)}")
        findings.add_extras(run, {shown(path): _VANISHED})
