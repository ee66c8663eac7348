"""One data connection read to its end, and what the server says about it."""

from __future__ import annotations

import socket
from collections.abc import Callable

from siteferry.errors import NotPermitted, SessionLost, SiteferryError, TransferMismatch
from siteferry.ftp.replies import Reply
from siteferry.ftp.session import Session
from siteferry.ftp.sockets import quick_ack, told, too_long
from siteferry.ftp.transfer import abandon, finish_download

_CHUNK_BYTES = 256 * 1024


class EndedUnannounced(TransferMismatch):
    """The server says that all was sent, and the connection ended otherwise than at its end: by a
    reset, or under TLS without close_notify (RFC 8446, section 6.1), as IIS ends every one. It is
    whole only where its size is known to be right."""


def receive(
    session: Session, data: socket.socket, doing: str, take: Callable[[memoryview], None]
) -> Reply | SiteferryError:
    """Read `data` to its end in pieces, then the final reply.

    Args:
        doing: for messages, as the start of a sentence: "fetching /a/b.css".
        take: gets each piece; the memory is used again for the next one. What it raises is passed
            on, with the transfer broken off and the session suspect.

    Returns:
        The final reply when the server says that all was sent (2yz), and the connection ended as it
        should; else why not, EndedUnannounced among others. The session is in sync.

    Raises:
        SessionLost: the session is suspect.
    """
    memory = memoryview(bytearray(_CHUNK_BYTES))
    broken: OSError | None = None
    try:
        while count := _read(data, memory):
            take(memory[:count])
            session.on_activity()
    except OSError as error:
        if too_long(error):
            abandon(session, data)
            raise SessionLost(f"{doing} stalled") from error
        broken = error  # the reply tells more than a reset connection does
    except BaseException:
        abandon(session, data)
        raise
    try:
        final = finish_download(session, data, doing)
    except SessionLost:
        raise
    except SiteferryError as error:
        return refused_reading(error)
    return EndedUnannounced(f"{doing} broke off: {told(broken)}") if broken else final


def _read(data: socket.socket, memory: memoryview) -> int:
    # Pure-FTPd keeps Nagle's algorithm on: under TLS the end of a listing waits for our
    # acknowledgement of its beginning, 40 ms.
    quick_ack(data)
    return data.recv_into(memory)


def refused_reading(error: SiteferryError) -> SiteferryError:
    """The same refusal with the next step for reading: `error_for` thinks of writing."""
    if not isinstance(error, NotPermitted):
        return error
    return NotPermitted(
        error.message,
        code=error.code,
        reply=error.reply or "",
        next_step="Give the FTP account permission to read it.",
    )
