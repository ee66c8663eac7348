"""The lock on the server: one publish at a time, of machines that share no ledger too.

The directory `.htlock` in the base holds one empty directory, whose name says all:

    20261124-092805-93a469              nobody holds it; that run published last
    20261124-092805-93a469.5f0c21aa.3   that run holds it: its attempt's token, and a number that
                                        rises while it works

(No dot in front: there are servers that do not list such names.) Every step renames that entry from
the name that it was seen under, which succeeds for one only: taking it, taking it over from a dead
run, showing life, giving it back. Who takes it from the name of the run whose manifest it has
planned with knows that nothing was published since. The reasons are in docs/decisions/0009.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from siteferry.errors import (
    LeaseLost,
    ListingDamaged,
    RemoteDirectoryRefused,
    SiteferryError,
    TargetHeld,
)
from siteferry.ftp.directories import present_directories
from siteferry.ftp.listing import list_directories
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.publish.staging import RUN_NAME, Base

LOCK_NAME = ".htlock"

RENEWED_AFTER_SECONDS = 5.0
"""Before each burst, the holder shows life if the last time is longer ago than this."""

SILENT_SECONDS = 20.0
"""A holder that shows no life for so long, while it is watched, is dead. So what it sends between
two signs of life has at least 15 seconds to arrive."""

_LOOK_SECONDS = 1.0
_MOST_LOOKS = 10
_HELD = re.compile(rf"({RUN_NAME})\.[0-9a-f]+\.[0-9]+")
_FREE = re.compile(RUN_NAME)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who wants the lock.

    token: hex digits, other ones for each attempt.
    patience: for how many seconds a holding run is watched before it is taken for dead, at once
        if 0; None: it is known to live.
    clock: seconds, for showing life. sleep: waits for so many seconds. check: raises LeaseLost
        when this attempt must stop; called while a holder is watched.
    """

    run: str
    token: str
    patience: Callable[[str], float | None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    check: Callable[[], None]


@dataclass(slots=True)
class Lock:
    """The lock, held. `found`: the run that had published last, if the lock was free."""

    session: Session
    base: Base
    claimant: Claimant
    found: str | None
    renewed_at: float
    _number: int = 0

    @property
    def entry(self) -> str:
        return _held_name(self.claimant, self._number)

    def keep(self) -> None:
        """Show life when it is time. Called before whatever only the holder may do.

        Raises:
            TargetHeld: the lock was taken over, for this holder was taken for dead.
            LeaseLost: by another attempt of this run; or from the claimant's check.
        """
        self.claimant.check()
        now = self.claimant.clock()
        if now - self.renewed_at < RENEWED_AFTER_SECONDS:
            return
        renewed = _held_name(self.claimant, self._number + 1)
        refusal = _rename(self.session, self.base, self.entry, renewed)
        if refusal is None:
            self._number += 1
            self.renewed_at = now
        else:
            raise self._why_lost(refusal)

    def _why_lost(self, refusal: Reply) -> SiteferryError:
        entry = _look(self.session, self.base)
        if entry == self.entry:
            return error_for(refusal, f"renaming {_path(self.base, self.entry)}")
        if entry and _holder(entry) == self.claimant.run:
            return LeaseLost("another attempt of this run has taken over the lock on the server")
        return TargetHeld(
            f"nothing was heard of this run for {SILENT_SECONDS:.0f} seconds, so another one has "
            "taken over the lock on the server",
            next_step="Run the same import again when that one has ended.",
        )

    def release(self, published_by: str) -> None:
        """Give it back. Best effort: what stays behind is taken over by the next run.

        Args:
            published_by: the run in the manifest that stands on the server; this run where none
                does.
        """
        release = Release(self, published_by)
        try:
            release.answered(self.session.burst(release.commands()))
        except SiteferryError as error:
            _log.warning("the lock on the server stays behind", error=str(error))


@dataclass(frozen=True, slots=True)
class Release:
    """Giving `lock` back, for whoever sends the commands along with others; see `Lock.release`."""

    lock: Lock
    published_by: str

    def commands(self) -> list[str]:
        return _renaming(self.lock.base, self.lock.entry, self.published_by)

    def answered(self, replies: Sequence[Reply]) -> None:
        if refusal := _refusal(replies):
            _log.warning("the lock on the server was not ours any more", reply=refusal.text)


@dataclass(slots=True)
class FirstTry:
    """Taking the lock without a look, along with other commands: it succeeds where `after`, the run
    whose manifest was read for this one, published last and nobody holds it. `lock`: what has come
    of it; None: `take` must look."""

    session: Session
    base: Base
    claimant: Claimant
    after: str
    lock: Lock | None = None
    _begun: float = 0.0

    def commands(self) -> list[str]:
        self.claimant.check()
        self._begun = self.claimant.clock()
        return _renaming(self.base, self.after, _held_name(self.claimant, 0))

    def answered(self, replies: Sequence[Reply]) -> None:
        if _refusal(replies) is None:
            self.lock = Lock(self.session, self.base, self.claimant, self.after, self._begun)


def take(session: Session, base: Base, claimant: Claimant) -> Lock:
    """Take the lock, after a look at it.

    A lock of the claimant's own run, which another attempt has left, is taken from that.

    Raises:
        TargetHeld: another run holds it and lives.
        RemoteDirectoryRefused: the server does not let us make it.
        LeaseLost: from the claimant's check.
    """
    own = _held_name(claimant, 0)
    refusal: Reply | None = None
    contended = False
    for _ in range(_MOST_LOOKS):
        entry = _look(session, base)
        if entry is None:
            if refusal is not None:
                raise _refused(base, refusal)
            begun = claimant.clock()
            refusal = _make(session, base, claimant)
            if refusal is None:
                return Lock(session, base, claimant, None, begun)
            continue
        holder = _holder(entry)
        if holder not in (None, claimant.run):
            if contended:
                # It has changed hands while we looked on, so whoever holds it now is alive.
                raise _is_held(base, holder)
            if not _seems_dead(session, base, claimant, entry):
                contended = True
                continue
            _log.warning("taking over the lock of a dead run", dead=holder)
        begun = claimant.clock()
        if _rename(session, base, entry, own) is None:
            return Lock(session, base, claimant, None if holder else entry, begun)
        contended = True
    raise _is_held(base, None)


def last_publisher(session: Session, base: Base) -> str | None:
    """The run that has published last, by the lock; None where it is held, or there is none."""
    entry = _look(session, base)
    return entry if entry and _holder(entry) is None else None


def _held_name(claimant: Claimant, number: int) -> str:
    return f"{claimant.run}.{claimant.token}.{number}"


def _holder(entry: str) -> str | None:
    found = _HELD.fullmatch(entry)
    return found[1] if found else None


def _path(base: Base, entry: str) -> str:
    return posixpath.join(base.path, LOCK_NAME, entry)


def _rename(session: Session, base: Base, old: str, new: str) -> Reply | None:
    """None: done; else the refusal."""
    return _refusal(session.burst(_renaming(base, old, new)))


def _renaming(base: Base, old: str, new: str) -> list[str]:
    return [f"RNFR {_path(base, old)}", f"RNTO {_path(base, new)}"]


def _refusal(replies: Sequence[Reply]) -> Reply | None:
    rnfr, rnto = replies
    if rnfr.code >= 400:
        return rnfr
    return None if rnto.ok else rnto


def _look(session: Session, base: Base) -> str | None:
    """The entry; None where there is no lock, or an empty directory in its place."""
    path = posixpath.join(base.path, LOCK_NAME)
    for _, entries in list_directories(session, [path]):
        if isinstance(entries, ListingDamaged) or (
            isinstance(entries, SiteferryError) and entries.transient
        ):
            raise entries
        # Servers have the same words for what is missing and what is closed; in a closed place
        # nothing can be made either.
        names = [] if isinstance(entries, SiteferryError) else [entry.name for entry in entries]
        known = [name for name in names if _HELD.fullmatch(name) or _FREE.fullmatch(name)]
        return max(known, key=len, default=None)
    return None


def _make(session: Session, base: Base, claimant: Claimant) -> Reply | None:
    """Make the lock, held by `claimant`, unless there is one. None: done; else the refusal.

    It is made elsewhere and gets its place whole: a directory is not renamed over one that holds
    something.
    """
    staging, own = base.staging(claimant.run), _held_name(claimant, 0)
    draft = posixpath.join(staging, f"{LOCK_NAME}.{claimant.token}")
    place = posixpath.join(base.path, LOCK_NAME)
    replies = session.burst(
        [
            f"MKD {staging}",
            f"MKD {draft}",
            f"MKD {draft}/{own}",
            f"RNFR {draft}",
            f"RNTO {place}",
            # What counts, whatever this server takes a rename to an existing directory for.
            f"CWD {_path(base, own)}",
            f"CWD {base.path}",
        ]
    )
    made = replies[-2].ok
    rest = [] if made else [f"RMD {draft}/{own}", f"RMD {draft}"]
    if replies[0].ok:
        rest.append(f"RMD {staging}")
    session.burst(rest)
    return None if made else next((r for r in replies[1:] if r.code >= 400), replies[4])


def _seems_dead(session: Session, base: Base, claimant: Claimant, entry: str) -> bool:
    """Watch a holder for as long as it takes to know; False: it has shown life.

    Raises:
        TargetHeld: it is known to live.
    """
    holder = _holder(entry)
    patience = claimant.patience(holder) if holder else 0.0
    if patience is None:
        raise _is_held(base, holder)
    if patience:
        _log.warning("looking whether the run that holds the lock lives", holder=holder)
    waited = 0.0
    while waited < patience:
        claimant.sleep(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
        claimant.check()
        if not present_directories(session, [_path(base, entry)]):
            return False
    return True


def _is_held(base: Base, holder: str | None) -> TargetHeld:
    if holder is None:
        return TargetHeld(
            f"other machines publish to {base.remote_dir} at the same time",
            next_step="Run the same import again when they have ended.",
        )
    day, clock = holder[:8], holder[9:15]
    since = f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}:{clock[4:]} UTC"
    return TargetHeld(
        f"run {holder}, begun {since}, publishes to {base.remote_dir} at the moment, from another "
        "machine or by another website of the configuration",
        next_step="Run the same import again when that run has ended.",
    )


def _refused(base: Base, reply: Reply) -> SiteferryError:
    cause = error_for(reply, f"making the lock {posixpath.join(base.path, LOCK_NAME)}")
    if cause.ends_run:
        return cause
    return RemoteDirectoryRefused(
        cause.message,
        reply=cause.reply,
        next_step="Check that the FTP account may make and rename directories there.",
    )
