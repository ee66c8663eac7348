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
RUN_NAME = r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}"
"""What `siteferry.run.new_run_id` makes, as a pattern."""

_FORGOTTEN_AFTER = dt.timedelta(days=1)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a search for what dead runs have left did.

    removed: the runs whose directories have gone. complete: nothing that is dead has stayed.
    """

    removed: tuple[str, ...]
    complete: bool


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
    """Make the staging directory of `run` and what leads to it, and the remote directory, which may
    lie elsewhere.

    Raises:
        RemoteDirectoryRefused: the server does not let us.
    """
    staging = base.staging(run)
    # The remote directory leads to the staging directory, unless that was configured elsewhere.
    chain = list(dict.fromkeys([*_leading_to(base.remote_dir), *_leading_to(staging)]))
    # The session does not stay in what another one removes after the publish: Pure-FTPd 1.0.50 goes
    # into what it lists and back, and where there is no way back it ends the session (421).
    needed = list(dict.fromkeys([staging, base.remote_dir]))
    replies = session.burst([*(f"MKD {path}" for path in chain), *(f"CWD {p}" for p in needed)])
    made = dict(zip(chain, replies, strict=False))
    answers = dict(zip(needed, replies[len(chain) :], strict=True))
    for directory in reversed(needed):
        entered = answers[directory]
        if not entered.ok:
            # A server that says of a directory that it is there refuses to make it, too.
            refused = made.get(directory, entered)
            cause = error_for(entered if refused.ok else refused, f"making {directory}")
            raise RemoteDirectoryRefused(
                f"the remote directory {base.remote_dir} cannot be written",
                reply=cause.reply,
                next_step="Check ftp.remote_dir, and that the FTP account may write there.",
            ) from cause


def _leading_to(directory: str) -> list[str]:
    """Absolute directories down to this one, without the root."""
    parts = directory.strip("/").split("/")
    return ["/" + "/".join(parts[: n + 1]) for n in range(len(parts)) if parts[0]]


def remove_old_stagings(
    session: Session,
    base: Base,
    own: str,
    state_of: Callable[[str], RunState | None],
    now: dt.datetime,
) -> Swept:
    """Remove what dead runs have left in the base, each directory by its exact name.

    Best effort: what cannot be removed now is tried again after the next publish.

    Args:
        own: the run that does this.
        state_of: the ledger's word on a run; None: it does not know it.
    """
    names = _directories_in(session, base)
    if names is None:
        return Swept((), complete=False)
    removed, complete = [], True
    for name in names:
        if name == own or not _is_dead(name, state_of, now):
            continue
        try:
            remove_tree(session, base.staging(name))
        except SiteferryError as error:
            if session.lost:
                raise
            _log.warning("an old staging directory stays", run=name, error=str(error))
            complete = False
        else:
            removed.append(name)
    return Swept(tuple(removed), complete)


def remove_own(session: Session, base: Base, may_go_on: Callable[[], None]) -> None:
    """Remove siteferry's documents and all staging directories, and the base unless something else
    is in it: the lock, or what was there before.

    Args:
        may_go_on: called before each step; what it raises ends it.

    Raises:
        SiteferryError: something of it stays behind.
    """
    if base.path not in present_directories(session, [base.path]):
        return
    documents = [base.manifest, base.journal]
    may_go_on()
    replies = dict(zip(documents, session.burst([f"DELE {d}" for d in documents]), strict=True))
    for document in present(session, documents):
        raise error_for(replies[document], f"deleting {document}")
    for _, entries in list_directories(session, [base.path]):
        if isinstance(entries, SiteferryError):
            raise entries
        for entry in entries:
            if entry.kind == "directory" and re.fullmatch(RUN_NAME, entry.name):
                may_go_on()
                remove_tree(session, base.staging(entry.name))
    if base.path != base.remote_dir:
        remove_empty_directories(session, [base.path])


def _directories_in(session: Session, base: Base) -> list[str] | None:
    """None: they cannot be listed."""
    for _, entries in list_directories(session, [base.path]):
        if isinstance(entries, SiteferryError):
            if session.lost:
                raise entries
            _log.warning("cannot look for old staging directories", error=str(entries))
            return None
        return [entry.name for entry in entries if entry.kind == "directory"]
    return []


def _is_dead(name: str, state_of: Callable[[str], RunState | None], now: dt.datetime) -> bool:
    """A run that the ledger knows to have ended; or one that it does not know and that began so
    long ago that no other ledger's run is meant."""
    if not re.fullmatch(RUN_NAME, name):
        return False
    state = state_of(name)
    if state is not None:
        return state.ended
    begun = dt.datetime.strptime(name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=dt.UTC)
    return now - begun > _FORGOTTEN_AFTER
