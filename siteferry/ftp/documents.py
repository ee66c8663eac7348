"""Small documents on the server (manifest, journal): read and written whole, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from siteferry.errors import DocumentDamaged, NotPermitted, SiteferryError
from siteferry.ftp.directories import file_sizes
from siteferry.ftp.receive import EndedUnannounced, receive, refused_reading
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import finish_upload, open_transfer

LARGEST_BYTES = 256 * 1024 * 1024


class Along(Protocol):
    """What is sent along with other commands, to save a round trip."""

    def commands(self) -> list[str]:
        """Asked for when everything before has been answered."""

    def answered(self, replies: Sequence[Reply]) -> None:
        """The replies to them."""


def read_document(session: Session, path: str, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """Give the whole content of a remote file.

    Raises:
        NotFound: the server says that there is no such file.
        DocumentDamaged: it is larger than `largest_bytes`.
        SiteferryError: it cannot be read; SessionLost: the session is suspect.
    """
    _, content = ask_and_read(session, [], path, largest_bytes)
    if isinstance(content, SiteferryError):
        raise content
    return content


def ask_and_read(
    session: Session, commands: Sequence[str], path: str, largest_bytes: int = LARGEST_BYTES
) -> tuple[list[Reply], bytes | SiteferryError]:
    """Send `commands`, and read a remote file in the same three round trips.

    Returns:
        The replies to `commands`, and the content, or why the server does not give it.

    Raises:
        SessionLost: the session is suspect; DocumentDamaged: as for `read_document`.
    """
    doing = f"reading {path}"
    opening = open_transfer(session, "RETR", path, doing, commands, confirmed=True)
    if opening.refusal is not None:
        return opening.prelude, refused_reading(opening.refusal)
    content = bytearray()

    def take(chunk: memoryview) -> None:
        content.extend(chunk)
        if len(content) > largest_bytes:
            raise DocumentDamaged(f"{path} on the server is larger than {largest_bytes} bytes")

    ending = receive(session, opening.connection(), doing, take)
    if isinstance(ending, EndedUnannounced):
        if file_sizes(session, [path])[path] != len(content):
            return opening.prelude, ending
    elif isinstance(ending, SiteferryError):
        return opening.prelude, ending
    return opening.prelude, bytes(content)


def write_document(
    session: Session,
    path: str,
    content: bytes,
    commands: Sequence[str] = (),
    along: Along | None = None,
) -> list[Reply]:
    """Store `content` under `path` and read it back; gives the replies to `commands`, which travel
    in front of it.

    Args:
        along: travels between the two; it is answered whatever comes back.

    Raises:
        DocumentDamaged: what came back differs.
        SiteferryError: the server refused; SessionLost: the session is suspect.
    """
    replies = store_document(session, path, content, commands)
    behind = along.commands() if along is not None else []
    answers, back = ask_and_read(session, behind, path, max(len(content), 1))
    if along is not None:
        along.answered(answers)
    if isinstance(back, SiteferryError):
        raise back
    if hashlib.sha256(back).digest() != hashlib.sha256(content).digest():
        raise DocumentDamaged(f"{path} came back from the server other than it was sent")
    return replies


def store_document(
    session: Session, path: str, content: bytes, commands: Sequence[str] = ()
) -> list[Reply]:
    """Store `content` under `path`; gives the replies to `commands`, which travel in front of it.
    What the server has kept of it is for the caller to look at.

    Raises:
        SiteferryError: the server refused; SessionLost: the session is suspect.
    """
    doing = f"storing {path}"
    opening = open_transfer(session, "STOR", path, doing, commands, confirmed=True)
    data = opening.connection()
    try:
        data.sendall(content)
    except OSError:
        # The server closed early; its final reply, read next, says why, and the look at what it
        # kept settles the rest.
        session.on_activity()
    finish_upload(session, data, doing)
    return opening.prelude


def exists(session: Session, path: str) -> bool:
    """Whether a file of that name is there, by SIZE (RFC 3659).

    Raises:
        SiteferryError: the server's answer is neither yes nor a plain "no such file".
    """
    return told_to_exist(session.burst([f"SIZE {path}"])[0], path)


def told_to_exist(reply: Reply, path: str) -> bool:
    """What a reply to SIZE says of it; raises as `exists`."""
    if reply.code == 213:
        return True
    if reply.code == 550 and not isinstance(error_for(reply, "looking"), NotPermitted):
        return False
    raise error_for(reply, f"looking for {path}")
