"""Goes on with a file of which an earlier attempt has left a part on the server."""

from __future__ import annotations

from dataclasses import replace

from siteferry.errors import SiteferryError, SourceError
from siteferry.ftp.sending import (
    Conduct,
    Outcome,
    Part,
    Sent,
    Upload,
    finish,
    look,
    send,
    size_of,
)
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import Opening, abandon, open_transfer
from siteferry.log import get_logger
from siteferry.tree.reading import SourceReader, open_source

_log = get_logger(__name__)


def resume_upload(session: Session, upload: Upload, part: Part, conduct: Conduct) -> Outcome:
    """Send of a file what the server does not hold yet; all of it where that cannot be known.

    The part is renamed to `upload.remote` first, so what an earlier attempt opens from now on is
    another file. An earlier attempt that still writes through its open connection writes the bytes
    that this one writes, to the same places: the source is compared with the part's hash, and REST
    says where to write. APPE has no place of its own, so it is used only behind a confirmed end.
    Where the source is another one by now, the part is deleted, so that nobody writes into what is
    sent in its place.

    A file that has to be begun anew yields no more: where a server lets nobody go on, it would be
    begun anew for ever.

    Raises:
        SessionLost: the session is suspect.
        LeaseLost: from `conduct.moved`; likewise.
    """
    try:
        reader = open_source(upload.found)
    except SourceError as error:
        return error
    with reader:
        try:
            held = _adopt(session, upload, part)
            offset = _offset(held, part, reader)
        except SourceError as error:
            return error
        if 0 < offset == reader.size:
            sent: Sent | Part | SiteferryError = Sent(upload, finish(reader, conduct))
        else:
            may_append = part.ended and held == offset
            opening = _go_on(session, upload, reader, offset, may_append) if offset else None
            if opening is None:
                conduct = replace(conduct, yields=lambda: False)
                opening = _begin_anew(session, upload, reader)
            if opening.refusal is not None:
                return opening.refusal
            try:
                sent = send(session, upload, reader, opening.connection(), conduct)
            except BaseException:
                abandon(session, opening.connection())
                raise
    return look(session, sent) if isinstance(sent, Sent) else sent


def _adopt(session: Session, upload: Upload, part: Part) -> int:
    """Take the part over under the new name; gives how much of it is there."""
    renamed, size = session.burst(
        [f"RNFR {part.remote}", f"RNTO {upload.remote}", f"SIZE {upload.remote}"]
    )[1:]
    return (size_of(size) or 0) if renamed.ok else 0


def _offset(held: int, part: Part, reader: SourceReader) -> int:
    """From which byte on to send; 0 unless the source is what it was when the part was sent."""
    offset = min(held, part.offset)
    if not offset or held > part.size or reader.size != part.size:
        return 0
    return offset if reader.skip(offset, part.offset, part.sha256) else 0


def _go_on(
    session: Session, upload: Upload, reader: SourceReader, offset: int, may_append: bool
) -> Opening | None:
    """A transfer that adds to what stands; None where the server allows none. ProFTPD as it comes
    answers REST with 350 and then STOR with 451 (AllowStoreRestart off)."""
    doing = f"storing {upload.found.path}"
    profile = session.profile
    if profile.restart and "REST" in profile.features:
        opening = open_transfer(
            session, "STOR", upload.remote, doing, confirmed=True, restart=offset
        )
        if opening.refusal is None:
            _log.info("resumed", path=upload.found.path, at_byte=offset, of_bytes=reader.size)
            return opening
        _log.info("not resumed", path=upload.found.path, error=str(opening.refusal))
        profile.restart = False
    if may_append and profile.append:
        opening = open_transfer(session, "APPE", upload.remote, doing, confirmed=True)
        if opening.refusal is None:
            _log.info("appended to", path=upload.found.path, at_byte=offset, of_bytes=reader.size)
            return opening
        profile.append = False
    return None


def _begin_anew(session: Session, upload: Upload, reader: SourceReader) -> Opening:
    reader.rewind()
    return open_transfer(
        session,
        "STOR",
        upload.remote,
        f"storing {upload.found.path}",
        [f"DELE {upload.remote}"],
        confirmed=True,
    )
