"""Sessions that cannot change anything on the server: what a dry run goes through.

Not a promise of the code above, but a check where bytes leave: a line passes only when its verb is
on the list below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from siteferry.errors import SafetyLimit
from siteferry.ftp.session import Session
from siteferry.tree.paths import shown

READING_VERBS = frozenset({
    "USER", "PASS", "AUTH", "PBSZ", "PROT", "FEAT", "OPTS", "TYPE", "MODE", "STRU", "SYST",
    "NOOP", "QUIT", "PWD", "CWD", "CDUP", "EPSV", "PASV", "REST", "RETR",
    "MLSD", "MLST", "LIST", "NLST", "SIZE", "MDTM", "STAT",
    "HASH", "XSHA256", "XSHA512", "XSHA1", "XSHA", "XMD5", "MD5",
})  # fmt: skip
"""SITE is not among them: what it does is each server's own affair. Of OPTS every known one changes
the session alone."""

_LINE = re.compile(rb"([A-Za-z0-9]{3,7})(?: ([^\r\n\0]*))?\r\n")
_MOST_SHOWN = 16


class ReadingOnly(SafetyLimit):
    """A command that could change something was to be sent in a dry run. It was not sent."""


@contextmanager
def reading_only(session: Session) -> Iterator[Session]:
    """Within this block `session` sends reading commands alone; also before it has been opened.

    Every line of a burst is looked at before the first one is written, so a refusal leaves the
    session as it was. One exception: where a restart point (REST) is set already, and would hold
    for the next RETR, the session is suspect.

    Raises, in the block:
        ReadingOnly: from whatever was to send something else; nothing of it has reached the server.
    """
    before = session.guard
    session.guard = _Guard(session, before)
    try:
        yield session
    finally:
        session.guard = before


def is_reading(line: bytes) -> bool:
    """Whether a command line, with its end, is one that a dry run may send."""
    found = _LINE.fullmatch(line)
    if found is None:
        return False
    verb, argument = found[1].decode().upper(), found[2] or b""
    # vsftpd sets the time of a file with "MDTM YYYYMMDDHHMMSS path"; only what begins like an
    # absolute path cannot be a time.
    return verb in READING_VERBS and (verb != "MDTM" or argument.startswith(b"/"))


class _Guard:
    """Looks at the lines of one session."""

    def __init__(self, session: Session, before: Callable[[Sequence[bytes]], None]) -> None:
        self._session = session
        self._before = before
        self._restart_waits = False

    def __call__(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            if not is_reading(line):
                self._refuse(line)
        self._before(lines)
        for line in lines:
            verb, _, argument = line.rstrip().upper().partition(b" ")
            if verb == b"REST":
                self._restart_waits = argument.strip(b"0") != b""
            elif verb == b"RETR":
                self._restart_waits = False

    def _refuse(self, line: bytes) -> None:
        if self._restart_waits:
            self._session.lost = True
        # The verb alone: what follows it may be secret.
        verb = line.split(maxsplit=1)[0] if line.strip() else b"an empty line"
        named = shown(verb[:_MOST_SHOWN].decode("ascii", "backslashreplace"))
        raise ReadingOnly(
            f"{named} was not sent: a dry run only reads",
            next_step="Nothing was changed. This is a fault of siteferry: please report it.",
        )
