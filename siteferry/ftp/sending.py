"""One file on an open data connection: its bytes, its end, and what the server then holds of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from siteferry.errors import LeaseLost, SessionLost, SiteferryError, SourceError, TransferMismatch
from siteferry.ftp.facts import parse_size
from siteferry.ftp.pacing import Pace
from siteferry.ftp.permissions import NOT_KNOWN, chmod_command, chmod_refusal
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.ftp.sockets import told
from siteferry.ftp.transfer import Owed, abandon, end_early, finish_upload
from siteferry.tree.content_hashes import FileState
from siteferry.tree.reading import Digest, SourceReader
from siteferry.tree.scan import FoundFile

CHUNK_BYTES = 1024 * 1024
_SLICE_BYTES = 128 * 1024
"""What must go within the data deadline: Python's is for a whole call, however far it comes."""
UNCONFIRMED_BYTES = 64 * 1024
"""Up to this size a file is written before the server has said 150: the kernels on the way hold it,
even if the server refuses the transfer and never reads."""
_KEEP_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to send: what it is locally, the absolute remote name that it gets, and the
    permission bits, None to leave them to the server."""

    found: FoundFile
    remote: str
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands on the server now: bytes, SHA-256 (hex) of what was sent, and the time that the
    server keeps for it (Unix seconds), None where it could not be set.

    unset_mode: why it did not get the permissions that were asked for, None where it did.
    """

    size: int
    sha256: str
    mtime: int | None
    unset_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What has been sent of a file that is not finished.

    remote: its name on the server. size: bytes of the source when it was begun. offset, sha256: how
    much of it was sent at least, and the SHA-256 (hex) of that, by which a later attempt knows
    whether the source is still the same. ended: the server has confirmed the transfer's end, so
    nobody writes there any more.
    """

    remote: str
    size: int
    offset: int
    sha256: str
    ended: bool = False


Outcome = Stored | Part | SiteferryError


@dataclass(frozen=True, slots=True)
class Conduct:
    """How files are sent, and who is told.

    moved: called with the number of bytes handed to the network; may raise to stop at once.
    keep: called with what stands of a file: each second of a long one, when it yields, and when an
        error leaves open what has become of it.
    yields: whether a long file is to stop at the next border of a chunk; a Part is its outcome.
    remember: called with what has been read of a whole file, so that nobody need read it again.
    """

    moved: Callable[[int], None] = lambda _bytes: None
    keep: Callable[[Upload, Part], None] = lambda _upload, _part: None
    yields: Callable[[], bool] = lambda: False
    remember: Callable[[FileState, Digest], None] = lambda _state, _digest: None
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Sent:
    """A file whose last byte was sent. `told`: the server said that the transfer broke off.
    `owed`: it has not said anything yet."""

    upload: Upload
    digest: Digest
    told: SiteferryError | None = None
    owed: Owed | None = None

    @property
    def doubt(self) -> SiteferryError | None:
        """What SIZE has to decide."""
        return self.owed.doubt if self.owed else self.told

    @property
    def part(self) -> Part:
        """All of it, as long as nobody has looked."""
        return Part(self.upload.remote, self.digest.size, self.digest.size, self.digest.sha256)


def send(
    session: Session,
    upload: Upload,
    reader: SourceReader,
    data: socket.socket,
    conduct: Conduct,
) -> Sent | Part | SiteferryError:
    """Send what `reader` has left, and end the transfer.

    Raises:
        SessionLost: the session is suspect.
        LeaseLost: from `conduct.moved`; the session is suspect as well.
    """
    # What comes back may owe a reply: nothing else may be read before it is settled.
    doing = f"storing {upload.found.path}"
    try:
        done = _send_chunks(session, upload, reader, data, conduct)
        digest = finish(reader, conduct) if done else None
    except SourceError as error:
        # The part that was sent stands under a name that nothing will ever refer to.
        return _end_quietly(session, data, doing, error)
    except OSError as error:
        conduct.keep(upload, _part(upload, reader))
        return _end_quietly(session, data, doing, SessionLost(f"{doing} broke off: {told(error)}"))
    try:
        if digest and session.profile.answers_late(encrypted=session.encrypted):
            owed = end_early(session, data, doing)
            return owed.refusal or Sent(upload, digest, owed=owed)
        doubt = finish_upload(session, data, doing)
    except SessionLost:
        conduct.keep(upload, _part(upload, reader))
        raise
    except SiteferryError as error:
        return error
    if digest is None:
        part = _part(upload, reader, ended=doubt is None)
        conduct.keep(upload, part)
        return doubt or part
    return Sent(upload, digest, doubt)


def finish(reader: SourceReader, conduct: Conduct) -> Digest:
    """The digest of a file that was read to its end. It counts for the file itself, so it is
    remembered whatever becomes of the transfer.

    Raises:
        SourceChanged: as `SourceReader.finish`.
    """
    digest = reader.finish()
    conduct.remember(FileState.of(reader.opened, reader.opened_ns), digest)
    return digest


def _send_chunks(
    session: Session, upload: Upload, reader: SourceReader, data: socket.socket, conduct: Conduct
) -> bool:
    """Send until the end, or until the file is to yield: False then."""
    pace, clock = conduct.pace, conduct.clock
    kept = clock()
    for chunk in reader.read_chunks(pace.chunk_bytes(CHUNK_BYTES)):
        view = memoryview(chunk)
        for start in range(0, len(chunk), _SLICE_BYTES):
            data.sendall(view[start : start + _SLICE_BYTES])
            session.on_activity()
        try:
            conduct.moved(len(chunk))
        except LeaseLost:
            conduct.keep(upload, _part(upload, reader))
            raise
        pace.moved(len(chunk))
        if reader.count < reader.size:
            if clock() - kept >= _KEEP_EVERY_SECONDS:
                kept = clock()
                conduct.keep(upload, _part(upload, reader))
            if conduct.yields():
                return False
    return True


def _part(upload: Upload, reader: SourceReader, *, ended: bool = False) -> Part:
    return Part(upload.remote, reader.size, reader.count, reader.digest_so_far(), ended)


def _end_quietly(
    session: Session, data: socket.socket, doing: str, cause: SiteferryError
) -> SiteferryError:
    """End a transfer that cannot succeed; the server's own reason is better than a broken pipe."""
    try:
        doubt = finish_upload(session, data, doing)
    except SessionLost:
        abandon(session, data)
        raise
    except SiteferryError as error:
        doubt = error
    return doubt if doubt and isinstance(cause, SessionLost) else cause


Question = Literal["size", "time", "mode"]


def after(session: Session, sent: Sent) -> dict[Question, str]:
    """The commands that look at a file that was sent and give it its time and its permissions."""
    upload, profile = sent.upload, session.profile
    commands: dict[Question, str] = {"size": f"SIZE {upload.remote}"}
    if verb := profile.time_verb:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(sent.digest.mtime))
        commands["time"] = f"{verb} {stamp} {upload.remote}"
    if upload.mode is not None and profile.chmod:
        commands["mode"] = chmod_command(upload.mode, upload.remote)
    return commands


def look(session: Session, sent: Sent) -> Stored | SiteferryError:
    """Ask `after`'s commands alone; gives the verdict."""
    if sent.owed is not None:
        sent.owed.settle()
    asked = after(session, sent)
    replies = session.burst(list(asked.values()))
    return verdict(session, sent, dict(zip(asked, replies, strict=True)))


def verdict(
    session: Session, sent: Sent, replies: Mapping[Question, Reply]
) -> Stored | SiteferryError:
    """What the replies to `after`'s commands mean; `sent` owes no reply by then."""
    if sent.owed and sent.owed.refusal:
        return sent.owed.refusal
    size = replies["size"]
    path = sent.upload.found.path
    if size.code == 213:
        held = size_of(size)
        if held != sent.digest.size:
            return sent.doubt or TransferMismatch(
                f"the server holds {held} bytes of {path}, {sent.digest.size} were sent"
            )
    elif size.code == 550:
        return sent.doubt or error_for(size, f"looking at {path} after storing it")
    elif sent.doubt:
        return sent.doubt
    else:
        # This server has no SIZE; the 226 has to do.
        session.profile.size = False
    mtime: int | None = None
    if "time" in replies:
        if replies["time"].ok:
            mtime = sent.digest.mtime
        else:
            # MDTM with a time is vsftpd's: others look for a file of that name, or know no such
            # syntax. The file is whole either way.
            session.profile.refuse_time_verb()
    unset_mode = None
    if "mode" in replies:
        unset_mode = chmod_refusal(session, replies["mode"])
    elif sent.upload.mode is not None:
        unset_mode = NOT_KNOWN
    return Stored(sent.digest.size, sent.digest.sha256, mtime, unset_mode)


def size_of(reply: Reply) -> int | None:
    """The number in a reply to SIZE (RFC 3659, section 4); None where there is none."""
    return parse_size(reply.text[4:].strip()) if reply.code == 213 else None
