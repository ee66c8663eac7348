"""Small documents on the server (manifest, journal): read and written whole, in memory."""

from __future__ import annotations

import hashlib

from siteferry.errors import DocumentDamaged, NotPermitted, SiteferryError
from siteferry.ftp.directories import file_sizes
from siteferry.ftp.receive import EndedUnannounced, receive
from siteferry.ftp.replies import error_for
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import finish_upload, open_transfer

LARGEST_BYTES = 256 * 1024 * 1024


def read_document(session: Session, path: str, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """Give the whole content of a remote file.

    Raises:
        NotFound: the server says that there is no such file.
        DocumentDamaged: it is larger than `largest_bytes`.
        SiteferryError: it cannot be read; SessionLost: the session is suspect.
    """
    doing = f"reading {path}"
    opening = open_transfer(session, "RETR", path, doing, confirmed=True)
    content = bytearray()

    def take(chunk: memoryview) -> None:
        content.extend(chunk)
        if len(content) > largest_bytes:
            raise DocumentDamaged(f"{path} on the server is larger than {largest_bytes} bytes")

    ending = receive(session, opening.connection(), doing, take)
    if isinstance(ending, EndedUnannounced):
        if file_sizes(session, [path])[path] != len(content):
            raise ending
    elif isinstance(ending, SiteferryError):
        raise ending
    return bytes(content)


def write_document(session: Session, path: str, content: bytes) -> None:
    """Store `content` under `path` and read it back.

    Raises:
        DocumentDamaged: what came back differs.
        SiteferryError: the server refused; SessionLost: the session is suspect.
    """
    doing = f"storing {path}"
    opening = open_transfer(session, "STOR", path, doing, confirmed=True)
    data = opening.connection()
    try:
        data.sendall(content)
    except OSError:
        # The server closed early; its final reply, read next, says why, and the look at what it
        # kept settles the rest.
        session.on_activity()
    finish_upload(session, data, doing)
    back = read_document(session, path, max(len(content), 1))
    if hashlib.sha256(back).digest() != hashlib.sha256(content).digest():
        raise DocumentDamaged(f"{path} came back from the server other than it was sent")


def exists(session: Session, path: str) -> bool:
    """Whether a file of that name is there, by SIZE (RFC 3659).

    Raises:
        SiteferryError: the server's answer is neither yes nor a plain "no such file".
    """
    reply = session.burst([f"SIZE {path}"])[0]
    if reply.code == 213:
        return True
    if reply.code == 550 and not isinstance(error_for(reply, "looking"), NotPermitted):
        return False
    raise error_for(reply, f"looking for {path}")
