"""Fetches a batch of files over one session: three round trips for each small file.

SIZE and MDTM travel in front of EPSV and RETR in the same write, where the listing has not told
them. What arrives is written under another name and takes the target's only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from siteferry.errors import (
    ConfigurationError,
    PathRefused,
    ReplyError,
    SiteferryError,
    TargetConflict,
    TransferMismatch,
    WorkspaceUnwritable,
)
from siteferry.ftp.facts import parse_size, parse_time
from siteferry.ftp.landing import Landing, open_landing
from siteferry.ftp.receive import EndedUnannounced, receive, refused_reading
from siteferry.ftp.replies import Reply
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import BROKEN_OFF, open_transfer
from siteferry.tree.paths import check_path, shown

_SURPLUS_BYTES = 256 * 1024
"""Of a file that has grown, so much more is read for the session's sake; then it is given up."""
_LOCAL_ERRORS = (PathRefused, TargetConflict, ConfigurationError, WorkspaceUnwritable)


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch.

    remote: its absolute path on the server.
    local: where it goes; its directory is there. What stands there is replaced.
    size, mtime: bytes and Unix seconds as a listing has told them; None: the server is asked.
    resume: keep what has come when the transfer breaks off, and go on from there the next time, for
        the same remote path, size and mtime: both must be given, and the server must still tell the
        same two then. For large files: that question costs a round trip, and what is there is read
        for its digest. Needs REST (RFC 3659, section 5); without it, begins anew.
    """

    remote: str
    local: Path
    size: int | None = None
    mtime: int | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is there now: bytes, SHA-256 (hex) of what was received, and the time that the file was
    given (Unix seconds), None where the server tells none."""

    size: int
    sha256: str
    mtime: int | None


def download_files(
    session: Session,
    downloads: Iterable[Download],
    moved: Callable[[int], None] = lambda _bytes: None,
) -> Iterator[tuple[Download, Fetched | SiteferryError]]:
    """Fetch files one after the other, yielding the outcome of each.

    Args:
        session: a session in sync; between two files it is so again, and the caller may stop.
        downloads: files, read lazily.
        moved: called with the number of bytes that have come.

    Returns:
        Each file with what became of it: a refusal; TransferMismatch where less or more came than
        the server or the listing had told; what `local_error` says of the local side. A file that
        cannot be written on, or does not end where it should, costs the session, and the next one
        finds it lost.

    Raises:
        SessionLost: the session is suspect. The file without an outcome is not there, or is the one
            that was there before.
        TlsFailed: the data connection's handshake failed.
    """
    for download in downloads:
        yield download, _fetch(session, download, moved)


def local_path(root: Path, relative: str) -> Path:
    """Where a published path lies below `root`, checked not to lead out of it.

    A server chooses the names of what is downloaded (basic-ftp CVE-2026-27699 and its sisters). A
    link in the last place leads nowhere, for a download replaces it.

    Args:
        root: the workspace's directory; it may itself be reached through links.

    Raises:
        PathRefused: the path cannot be published either, or a link in it leads out of `root`.
    """
    check_path(relative)
    path = root / relative
    base = os.path.realpath(root)
    above = os.path.realpath(path.parent if relative else root)
    if above != base and not above.startswith(base.rstrip("/") + "/"):
        raise PathRefused(
            f"{shown(relative)!r} would be written outside of {shown(str(root))}: "
            "a link in it leads out",
            next_step="Remove the link from the workspace.",
        )
    return path


def _fetch(
    session: Session, download: Download, moved: Callable[[int], None]
) -> Fetched | SiteferryError:
    try:
        session.encode(f"RETR {download.remote}")
        landing = open_landing(download.local, _part_key(session, download))
    except _LOCAL_ERRORS as error:
        return error
    with landing:
        try:
            if landing.size and not _is_unchanged(session, download):
                landing.restart()
            return _transfer(session, download, landing, moved)
        except (*_LOCAL_ERRORS, TransferMismatch) as error:
            return error


def _transfer(
    session: Session, download: Download, landing: Landing, moved: Callable[[int], None]
) -> Fetched | SiteferryError:
    doing = f"fetching {shown(download.remote)}"
    questions = _questions(session, download, landing.size)
    opening = open_transfer(
        session, "RETR", download.remote, doing, list(questions.values()), confirmed=True
    )
    answers = dict(zip(questions, opening.prelude, strict=False))
    if opening.refusal:
        if landing.size:
            # Else it would hold for the next file, where RETR was never carried out.
            session.burst(["REST 0"])
        return _failed(landing, opening.refusal)
    if "REST" in answers and answers["REST"].code != 350:
        landing.restart()
    size = download.size if download.size is not None else _told(answers, "SIZE", parse_size)
    mtime = download.mtime if download.mtime is not None else _told(answers, "MDTM", parse_time)

    def take(chunk: memoryview) -> None:
        landing.write(chunk)
        moved(len(chunk))
        if size is not None and landing.size > size + _SURPLUS_BYTES:
            landing.spoil()
            raise TransferMismatch(f"{doing}: more comes than the {size} bytes that it has")

    ending = receive(session, opening.connection(), doing, take)
    # A server that misses the end of our TLS, or resets the connection, says so of what was sent.
    if isinstance(ending, SiteferryError) and not (_perhaps_whole(ending) and landing.size == size):
        return _failed(landing, ending)
    if size is not None and landing.size != size:
        landing.spoil()
        return TransferMismatch(f"{doing}: {landing.size} bytes have come, it should be {size}")
    mtime = landing.finish(mtime)
    return Fetched(landing.size, landing.digest, mtime)


def _questions(session: Session, download: Download, offset: int) -> dict[str, str]:
    """Commands in front of EPSV and RETR, by verb."""
    questions: dict[str, str] = {}
    if download.size is None:
        questions["SIZE"] = f"SIZE {download.remote}"
    if download.mtime is None and "MDTM" in session.profile.features:
        questions["MDTM"] = f"MDTM {download.remote}"
    if offset:
        questions["REST"] = f"REST {offset}"
    return questions


def _told(answers: dict[str, Reply], verb: str, parse: Callable[[str], int | None]) -> int | None:
    """What a 213 says (RFC 3659, sections 3 and 4); None where the server refuses or says nonsense,
    for whether the file can be had is RETR's to tell."""
    reply = answers.get(verb)
    return parse(reply.text[4:].strip()) if reply and reply.code == 213 else None


def _failed(landing: Landing, refusal: SiteferryError) -> SiteferryError:
    # A permanent refusal may be one of the restart point.
    if not refusal.transient:
        landing.spoil()
    return refused_reading(refusal)


def _perhaps_whole(refusal: SiteferryError) -> bool:
    if isinstance(refusal, EndedUnannounced):
        return True
    return isinstance(refusal, ReplyError) and refusal.code in BROKEN_OFF


def _part_key(session: Session, download: Download) -> str | None:
    """A name for this version of the file, so that no other one is ever gone on with."""
    if not download.resume or download.size is None or download.mtime is None:
        return None
    if "REST" not in session.profile.features:
        return None
    version = f"{session.endpoint}\n{download.remote}\n{download.size}\n{download.mtime}"
    return hashlib.sha256(version.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _is_unchanged(session: Session, download: Download) -> bool:
    size, mtime = session.burst([f"SIZE {download.remote}", f"MDTM {download.remote}"])
    answers = {"SIZE": size, "MDTM": mtime}
    return (
        _told(answers, "SIZE", parse_size) == download.size
        and _told(answers, "MDTM", parse_time) == download.mtime
    )
