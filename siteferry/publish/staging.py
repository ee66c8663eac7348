"""Where a run keeps what it has sent until it is published, and siteferry's own documents."""

from __future__ import annotations

import datetime as dt
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

from siteferry.errors import RemoteDirectoryRefused, SiteferryError
from siteferry.ftp.directories import (
    present,
    present_directories,
    remove_empty_directories,
    remove_tree,
)
from siteferry.ftp.listing import list_directories
from siteferry.ftp.replies import error_for
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.run import Member, RunState

BASE_NAME = ".htsiteferry"
MANIFEST_NAME = ".htmanifest"
JOURNAL_NAME = ".htjournal"

_RUN_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
_FORGOTTEN_AFTER = dt.timedelta(days=1)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Base:
    """siteferry's directory for one website on the server (absolute path)."""

    path: str
    remote_dir: str

    @property
    def manifest(self) -> str:
        return posixpath.join(self.path, MANIFEST_NAME)

    @property
    def journal(self) -> str:
        return posixpath.join(self.path, JOURNAL_NAME)

    def staging(self, run: str) -> str:
        return posixpath.join(self.path, run)

    def live(self, path: str) -> str:
        """The absolute remote path of a published path."""
        return posixpath.join(self.remote_dir, path) if path else self.remote_dir


def base_of(remote_dir: str, staging_dir: str | None) -> Base:
    """The base for a website: below its remote directory unless configured elsewhere.

    Names begin with `.ht`, which Apache's stock configuration does not serve.
    """
    root = _absolute(remote_dir)
    return Base(_absolute(staging_dir) if staging_dir else posixpath.join(root, BASE_NAME), root)


def _absolute(directory: str) -> str:
    return posixpath.normpath("/" + directory.strip("/"))


def staged_name(member: Member, token: str, index: int) -> str:
    """The name of one file in the staging directory: item, attempt and the attempt's own token are
    in it, so that no two attempts ever write to the same name."""
    return f".ht{member.item}.{member.attempt}{token}.{index}"


def trash_name(index: int) -> str:
    return f".httrash.{index}"


def prepare_staging(session: Session, base: Base, run: str) -> None:
    """Make the staging directory of `run`, the remote directory, and what leads to both.

    Raises:
        RemoteDirectoryRefused: the server does not let us.
    """
    staging = base.staging(run)
    # The remote directory leads to the staging directory, unless that was configured elsewhere.
    chain = list(dict.fromkeys([*_chain(base.remote_dir), *_chain(staging)]))
    needed = list(dict.fromkeys([base.remote_dir, staging]))
    replies = session.burst([*(f"MKD {path}" for path in chain), *(f"CWD {p}" for p in needed)])
    made = dict(zip(chain, replies, strict=False))
    for directory, entered in zip(needed, replies[len(chain) :], strict=True):
        if not entered.ok:
            # A server that says of a directory that it is there refuses to make it, too.
            refused = made.get(directory, entered)
            cause = error_for(entered if refused.ok else refused, f"making {directory}")
            raise RemoteDirectoryRefused(
                f"the remote directory {base.remote_dir} cannot be written",
                reply=cause.reply,
                next_step="Check ftp.remote_dir, and that the FTP account may write there.",
            ) from cause


def _chain(directory: str) -> list[str]:
    """An absolute directory and all above it but the root, parents first."""
    chain: list[str] = []
    while directory != "/":
        chain.insert(0, directory)
        directory = posixpath.dirname(directory)
    return chain


def remove_old_stagings(
    session: Session,
    base: Base,
    own: str,
    state_of: Callable[[str], RunState | None],
    now: dt.datetime,
) -> list[str]:
    """Remove what dead runs have left in the base, each directory by its exact name.

    Best effort: what cannot be removed now is tried again after the next publish.

    Args:
        own: the run that does this.
        state_of: the ledger's word on a run; None: it does not know it.
    """
    removed: list[str] = []
    for name in _directories_in(session, base):
        if name == own or not _is_dead(name, state_of, now):
            continue
        try:
            remove_tree(session, base.staging(name))
        except SiteferryError as error:
            if session.lost:
                raise
            _log.warning("an old staging directory stays", run=name, error=str(error))
        else:
            removed.append(name)
    return removed


def remove_own(session: Session, base: Base) -> None:
    """Remove siteferry's documents and all staging directories, and the base unless something else
    is in it: it may be a directory that was there before.

    Raises:
        SiteferryError: something of it stays behind.
    """
    if base.path not in present_directories(session, [base.path]):
        return
    documents = [base.manifest, base.journal]
    replies = dict(zip(documents, session.burst([f"DELE {d}" for d in documents]), strict=True))
    for document in present(session, documents):
        raise error_for(replies[document], f"deleting {document}")
    for _, entries in list_directories(session, [base.path]):
        if isinstance(entries, SiteferryError):
            raise entries
        for entry in entries:
            if entry.kind == "directory" and _RUN_NAME.fullmatch(entry.name):
                remove_tree(session, base.staging(entry.name))
    if base.path != base.remote_dir:
        remove_empty_directories(session, [base.path])


def _directories_in(session: Session, base: Base) -> list[str]:
    for _, entries in list_directories(session, [base.path]):
        if isinstance(entries, SiteferryError):
            if session.lost:
                raise entries
            _log.warning("cannot look for old staging directories", error=str(entries))
            return []
        return [entry.name for entry in entries if entry.kind == "directory"]
    return []


def _is_dead(name: str, state_of: Callable[[str], RunState | None], now: dt.datetime) -> bool:
    """A run that the ledger knows to have ended; or one that it does not know and that began so
    long ago that no other ledger's run is meant."""
    if not _RUN_NAME.fullmatch(name):
        return False
    state = state_of(name)
    if state is not None:
        return state.ended
    begun = dt.datetime.strptime(name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=dt.UTC)
    return now - begun > _FORGOTTEN_AFTER
