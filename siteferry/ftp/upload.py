"""Sends a batch of files over one session: three round trips for each small file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from siteferry.errors import LeaseLost, SessionLost, SourceError
from siteferry.ftp.sending import (
    UNCONFIRMED_BYTES,
    Conduct,
    Outcome,
    Part,
    Sent,
    Stored,
    Upload,
    after,
    look,
    send,
    verdict,
)
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import Opening, abandon, open_transfer
from siteferry.tree.reading import SourceReader, open_source

__all__ = ["Conduct", "Outcome", "Part", "Stored", "Upload", "upload_files"]


def upload_files(
    session: Session, uploads: Iterable[Upload], conduct: Conduct | None = None
) -> Iterator[tuple[Upload, Outcome]]:
    """Send files one after the other, yielding the outcome of each as soon as it is certain.

    The size check, the time and the permissions of one file travel with the opening of the next;
    so an outcome comes one file late, and the last file's needs one more round trip.

    Args:
        session: a session in sync; it is used until the iterator ends or raises.
        uploads: files, read lazily: the caller may stop between two of them.
        conduct: None: as fast as it goes, and nobody is told.

    Raises:
        SessionLost: the session is suspect. Files without an outcome may or may not be there.
        LeaseLost: from `conduct.moved`; likewise.
    """
    conduct = conduct or Conduct()
    before: Sent | None = None
    for upload in uploads:
        reader = _open(upload)
        if isinstance(reader, SourceError):
            with _kept_on_error(before, conduct):
                _settle(before)
            yield upload, reader
            continue
        with reader:
            asked = after(session, before) if before else {}
            with _kept_on_error(before, conduct):
                opening = open_transfer(
                    session,
                    "STOR",
                    upload.remote,
                    f"storing {upload.found.path}",
                    list(asked.values()),
                    confirmed=reader.size > UNCONFIRMED_BYTES,
                    owed=before.owed if before else None,
                )
            with _closed_on_error(session, opening):
                if before:
                    replies = dict(zip(asked, opening.prelude, strict=True))
                    yield before.upload, verdict(session, before, replies)
                    before = None
                if opening.refusal is not None:
                    yield upload, opening.refusal
                    continue
                outcome = send(session, upload, reader, opening.connection(), conduct)
        if isinstance(outcome, Sent):
            before = outcome
        else:
            yield upload, outcome
    if before:
        with _kept_on_error(before, conduct):
            stored = look(session, before)
        yield before.upload, stored


def _open(upload: Upload) -> SourceReader | SourceError:
    try:
        return open_source(upload.found)
    except SourceError as error:
        return error


def _settle(sent: Sent | None) -> None:
    if sent is not None and sent.owed is not None:
        sent.owed.settle()


@contextmanager
def _kept_on_error(before: Sent | None, conduct: Conduct) -> Iterator[None]:
    """A file whose last byte the server has taken need not be sent again for want of a reply."""
    try:
        yield
    except (SessionLost, LeaseLost):
        if before:
            conduct.keep(before.upload, before.part)
        raise


@contextmanager
def _closed_on_error(session: Session, opening: Opening) -> Iterator[None]:
    """A caller that stops in the middle leaves a transfer open: nothing more can be said then."""
    try:
        yield
    except BaseException:
        if opening.data is not None:
            abandon(session, opening.data)
        raise
