"""One transfer on a session: the burst that opens it, its data connection, its final reply.

A transfer costs three round trips: EPSV and STOR leave together and 229 comes back (1), the data
connection is made (2), the data goes and 226 comes back (3). Whatever else the previous file needs
(its time, its size) travels in front of EPSV, in the same write, and costs none.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from siteferry.errors import SessionLost, SiteferryError, TlsFailed
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.ftp.tls import send_close_notify

_MOST_STRAY_REPLIES = 4


@dataclass(slots=True)
class Opening:
    """What became of a burst that opens a transfer: the prelude's replies, then either a data
    connection that is ready or the refusal of this one transfer (the session is fine then)."""

    prelude: list[Reply]
    data: socket.socket | None = None
    refusal: SiteferryError | None = None

    def connection(self) -> socket.socket:
        """The data connection; raises the refusal where there is none."""
        if self.data is None:
            raise self.refusal or SessionLost("there is no data connection")
        return self.data


def open_transfer(
    session: Session,
    verb: str,
    path: str,
    doing: str,
    prelude: Sequence[str] = (),
    *,
    confirmed: bool,
) -> Opening:
    """Send `prelude`, EPSV and `verb path` in one write, and open the data connection.

    Args:
        verb: STOR, APPE, RETR, MLSD or LIST.
        path: absolute remote path.
        doing: for messages, as the start of a sentence: "storing a/b.css".
        prelude: commands that end with one reply each and need no data connection.
        confirmed: wait for the server's 150 before giving the connection out. The kernel takes the
            connection of a transfer that the server refuses: who then reads from it, or writes more
            than the kernels hold, waits for the deadline. What is small need not wait.

    Raises:
        SessionLost: the session is suspect; whether the prelude was carried out is unknown.
        TlsFailed: the data connection's handshake failed though the transfer was accepted.
    """
    opening = Opening([])
    passive = _ask(session, [*prelude, session.passive_verb(), f"{verb} {path}"], opening)
    if not passive.ok:
        _settle_unopened(session)
        if passive.code in (500, 501, 502, 522):
            session.profile.epsv = False
        # Once more: with PASV, or because two sessions of ProFTPD came upon the same port.
        passive = _ask(session, [session.passive_verb(), f"{verb} {path}"], opening)
    if not passive.ok:
        _settle_unopened(session)
        opening.refusal = error_for(passive, "opening a passive data connection")
        return opening
    _connect(session, session.passive_port(passive), doing, opening, confirmed)
    return opening


def _ask(session: Session, commands: Sequence[str], opening: Opening) -> Reply:
    """Send a prelude, the passive verb and the transfer command; gives the reply to the second."""
    session.write_lines([session.encode(command) for command in commands])
    opening.prelude.extend(_read(session) for _ in commands[:-2])
    return _read(session)


def _settle_unopened(session: Session) -> None:
    """Read what became of a transfer command whose EPSV was refused; nothing runs then.

    ProFTPD 1.3.8 may say nothing at all: when two of its sessions come upon the same port at the
    same moment, one gets "425 EPSV: Address already in use", and the command behind it is lost. The
    reply to NOOP tells where the replies end.
    """
    session.write_lines([session.encode("NOOP")])
    for _ in range(_MOST_STRAY_REPLIES):
        if _read(session).code == 200:
            return
    session.lost = True
    raise SessionLost("the server does not answer NOOP")


def _connect(session: Session, port: int, doing: str, opening: Opening, confirmed: bool) -> None:
    began: Reply | None = None

    def listening() -> bool:
        nonlocal began
        if began is None and session.reply_waits():
            began = _read(session)
            if not began.preliminary:
                raise ConnectionAbortedError("the server refused the transfer")
        return began is None

    conn: socket.socket | None = None
    try:
        conn = session.connect_data(port)
        opening.data = session.secure_data(conn, listening)
        if confirmed and began is None:
            began = _read(session)
            if not began.preliminary:
                raise ConnectionAbortedError("the server refused the transfer")
    except OSError as error:
        opening.data = None
        if conn is not None:
            conn.close()
        # A server that refuses the transfer closes its listening port at once: the refusal that
        # waits on the control connection is the reason then.
        reply = began or _read(session)
        if reply.preliminary:
            session.lost = True
            if isinstance(error, ssl.SSLError):
                raise TlsFailed(f"the TLS handshake for {doing} failed: {error.reason}") from error
            raise SessionLost(f"the data connection for {doing} failed: {error}") from error
        opening.refusal = error_for(reply, doing)
    except SiteferryError:
        if conn is not None:
            conn.close()
        raise


def finish_upload(session: Session, data: socket.socket, doing: str) -> None:
    """End the data, read the final reply, and only then close the socket.

    Raises:
        SiteferryError: the server refused the transfer or did not take all of it.
    """
    try:
        if isinstance(data, ssl.SSLSocket):
            send_close_notify(data)
        else:
            data.shutdown(socket.SHUT_WR)
    except OSError:
        # The server has closed already; its reply, read below, says why.
        session.on_activity()
    try:
        _check_final(session, doing)
    finally:
        data.close()


def finish_download(session: Session, data: socket.socket, doing: str) -> None:
    """Close the data connection after its end was read, and read the final reply."""
    if isinstance(data, ssl.SSLSocket):
        send_close_notify(data)
    data.close()
    reply = _read(session)
    if not reply.ok:
        raise error_for(reply, doing)


def abandon(session: Session, data: socket.socket) -> None:
    """Break a transfer off in the middle: the session is suspect afterwards and is dropped."""
    data.close()
    session.drop()


def _check_final(session: Session, doing: str) -> None:
    reply = _read_final(session)
    if not reply.ok:
        raise error_for(reply, doing)


def _read_final(session: Session) -> Reply:
    reply = _read(session)
    return _read(session) if reply.preliminary else reply


def _read(session: Session) -> Reply:
    reply = session.read_reply()
    if reply.code == 421:
        session.lost = True
        raise SessionLost("the server ended the session", reply=reply.text)
    return reply
