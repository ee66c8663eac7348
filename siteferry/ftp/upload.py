"""Sends a batch of files over one session: three round trips for each small file."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from siteferry.errors import (
    SessionLost,
    SiteferryError,
    SourceError,
    TransferMismatch,
)
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import Opening, abandon, finish_upload, open_transfer
from siteferry.tree.reading import Digest, SourceReader, open_source
from siteferry.tree.scan import FoundFile

CHUNK_BYTES = 256 * 1024
UNCONFIRMED_BYTES = 64 * 1024
"""Up to this size a file is written before the server has said 150: the kernels on the way hold it,
even if the server refuses the transfer and never reads."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to send: what it is locally, and the absolute remote name that it gets."""

    found: FoundFile
    remote: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands on the server now: bytes, SHA-256 (hex) of what was sent, and the time that the
    server keeps for it (Unix seconds), None where it could not be set."""

    size: int
    sha256: str
    mtime: int | None


@dataclass(slots=True)
class _Sent:
    upload: Upload
    digest: Digest
    after: list[str]


def upload_files(
    session: Session,
    uploads: Iterable[Upload],
    moved: Callable[[int], None] = lambda _bytes: None,
) -> Iterator[tuple[Upload, Stored | SiteferryError]]:
    """Send files one after the other, yielding the outcome of each as soon as it is certain.

    The size check and the time of one file travel with the opening of the next; so an outcome
    comes one file late, and the last file's needs one more round trip.

    Args:
        session: a session in sync; it is used until the iterator ends or raises.
        uploads: files, read lazily: the caller may stop between two of them.
        moved: called with the number of bytes handed to the network.

    Raises:
        SessionLost: the session is suspect. Files without an outcome may or may not be there.
    """
    before: _Sent | None = None
    for upload in uploads:
        reader = _open(upload)
        if isinstance(reader, SourceError):
            yield upload, reader
            continue
        with reader:
            prelude = before.after if before else []
            opening = open_transfer(
                session,
                "STOR",
                upload.remote,
                f"storing {upload.found.path}",
                prelude,
                confirmed=reader.size > UNCONFIRMED_BYTES,
            )
            with _closed_on_error(session, opening):
                if before:
                    yield before.upload, _verdict(session, before, opening.prelude)
                    before = None
                if opening.refusal is not None:
                    yield upload, opening.refusal
                    continue
                outcome = _send(session, upload, reader, opening.connection(), moved)
        if isinstance(outcome, SiteferryError):
            yield upload, outcome
        else:
            before = _Sent(upload, outcome, _after(session, upload, outcome))
    if before:
        yield before.upload, _verdict(session, before, session.burst(before.after))


@contextmanager
def _closed_on_error(session: Session, opening: Opening) -> Iterator[None]:
    """A caller that stops in the middle leaves a transfer open: nothing more can be said then."""
    try:
        yield
    except BaseException:
        if opening.data is not None:
            abandon(session, opening.data)
        raise


def _open(upload: Upload) -> SourceReader | SourceError:
    try:
        return open_source(upload.found)
    except SourceError as error:
        return error


def _send(
    session: Session,
    upload: Upload,
    reader: SourceReader,
    data: socket.socket,
    moved: Callable[[int], None],
) -> Digest | SiteferryError:
    doing = f"storing {upload.found.path}"
    try:
        for chunk in reader.read_chunks(CHUNK_BYTES):
            data.sendall(chunk)
            moved(len(chunk))
            session.on_activity()
        digest = reader.finish()
    except SourceError as error:
        # The part that was sent stands under a name that nothing will ever refer to.
        return _end_quietly(session, data, doing, error)
    except OSError as error:
        return _end_quietly(session, data, doing, SessionLost(f"{doing} broke off: {error}"))
    try:
        finish_upload(session, data, doing)
    except SessionLost:
        raise
    except SiteferryError as error:
        return error
    return digest


def _end_quietly(
    session: Session, data: socket.socket, doing: str, cause: SiteferryError
) -> SiteferryError:
    """End a transfer that cannot succeed; the server's own reason is better than a broken pipe."""
    try:
        finish_upload(session, data, doing)
    except SessionLost:
        abandon(session, data)
        raise
    except SiteferryError as error:
        return error if isinstance(cause, SessionLost) else cause
    return cause


def _after(session: Session, upload: Upload, digest: Digest) -> list[str]:
    commands = [f"SIZE {upload.remote}"]
    if session.profile.time_verb:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(digest.mtime))
        commands.append(f"{session.profile.time_verb} {stamp} {upload.remote}")
    return commands


def _verdict(session: Session, sent: _Sent, replies: list[Reply]) -> Stored | SiteferryError:
    size = replies[0]
    if size.code == 213:
        held = _number(size)
        if held != sent.digest.size:
            return TransferMismatch(
                f"the server holds {held} bytes of {sent.upload.found.path}, "
                f"{sent.digest.size} were sent"
            )
    elif size.code == 550:
        return error_for(size, f"looking at {sent.upload.found.path} after storing it")
    # Any other refusal means that this server has no SIZE; the 226 has to do.
    mtime: int | None = None
    if len(replies) > 1:
        if replies[1].ok:
            mtime = sent.digest.mtime
        else:
            # MDTM with a time is vsftpd's: others look for a file of that name, or know no such
            # syntax. The file is whole either way.
            session.profile.refuse_time_verb()
    return Stored(sent.digest.size, sent.digest.sha256, mtime)


def _number(reply: Reply) -> int | None:
    word = reply.text[4:].strip()
    return int(word) if word.isascii() and word.isdigit() else None
