"""One transfer on a session: the burst that opens it, its data connection, its final reply.

A transfer costs three round trips: EPSV and STOR leave together and 229 comes back (1), the data
connection is made (2), the data goes and 226 comes back (3). Whatever else the previous file needs
(its time, its size) travels in front of EPSV, in the same write, and costs none. Under TLS the
handshake of the data connection is one more.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from siteferry.errors import SessionLost, SiteferryError, TlsFailed
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.ftp.sockets import told, too_long
from siteferry.ftp.tls import send_close_notify

_MOST_STRAY_REPLIES = 4
BROKEN_OFF = (426, 450, 451)
"""What some servers answer to a file that is whole, because the TLS or TCP connection ended in a
way that they did not expect: SIZE tells."""
_NOT_RESUMED = (425, 522)
"""ProFTPD and vsftpd, where they demand that data connections resume the TLS session."""


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
    restart: int = 0,
    owed: Owed | None = None,
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
        restart: byte to begin at (REST; RFC 3659, section 5). It costs one round trip more: behind
            a REST that was refused, STOR would write over the file from its beginning.
        owed: the final reply of the transfer before, which comes in front of the prelude's.

    Raises:
        SessionLost: the session is suspect; whether the prelude was carried out is unknown.
        TlsFailed: the data connection's handshake failed though the transfer was accepted.
    """
    opening = Opening([])
    if restart:
        passive = _open_at(session, f"{verb} {path}", restart, prelude, opening)
    else:
        passive = _open_together(session, verb, path, prelude, opening, owed)
    if isinstance(passive, SiteferryError):
        opening.refusal = passive
        return opening
    _connect(session, session.passive_port(passive), doing, opening, confirmed)
    return opening


def _open_at(
    session: Session, command: str, restart: int, prelude: Sequence[str], opening: Opening
) -> Reply | SiteferryError:
    """The restart point first, and the transfer only when it is taken; else as
    `_open_together`."""
    *opening.prelude, passive, rest = session.burst(
        [*prelude, session.passive_verb(), f"REST {restart}"]
    )
    if not passive.ok:
        _learn_passive(session, passive)
        passive, rest = session.burst([session.passive_verb(), f"REST {restart}"])
    if passive.ok and rest.code == 350:
        session.write_lines([session.encode(command)])
        return passive
    if rest.code == 350:
        # Else it would hold for the next file.
        session.burst(["REST 0"])
    refused = rest if passive.ok else passive
    return error_for(refused, "opening a passive data connection" if refused is passive else "REST")


def _learn_passive(session: Session, refused: Reply) -> None:
    if refused.code in (500, 501, 502, 522):
        session.profile.epsv = False


def _open_together(
    session: Session,
    verb: str,
    path: str,
    prelude: Sequence[str],
    opening: Opening,
    owed: Owed | None,
) -> Reply | SiteferryError:
    """Everything in one write; gives the reply that tells the port, or why there is none."""
    passive = _ask(session, [*prelude, session.passive_verb(), f"{verb} {path}"], opening, owed)
    if not passive.ok:
        _settle_unopened(session)
        _learn_passive(session, passive)
        # Once more: with PASV, or because two sessions of ProFTPD came upon the same port.
        passive = _ask(session, [session.passive_verb(), f"{verb} {path}"], opening)
    if not passive.ok:
        _settle_unopened(session)
        return error_for(passive, "opening a passive data connection")
    return passive


def _ask(
    session: Session, commands: Sequence[str], opening: Opening, owed: Owed | None = None
) -> Reply:
    """Send a prelude, the passive verb and the transfer command; gives the reply to the second."""
    session.write_lines([session.encode(command) for command in commands])
    if owed is not None:
        owed.settle()
    opening.prelude.extend(session.read_answer() for _ in commands[:-2])
    return session.read_answer()


def _settle_unopened(session: Session) -> None:
    """Read what became of a transfer command whose EPSV was refused; nothing runs then.

    ProFTPD 1.3.8 may say nothing at all: when two of its sessions come upon the same port at the
    same moment, one gets "425 EPSV: Address already in use", and the command behind it is lost. The
    reply to NOOP tells where the replies end.
    """
    session.write_lines([session.encode("NOOP")])
    for _ in range(_MOST_STRAY_REPLIES):
        if session.read_answer().code == 200:
            return
    session.lost = True
    raise SessionLost("the server does not answer NOOP")


def _connect(session: Session, port: int, doing: str, opening: Opening, confirmed: bool) -> None:
    began: Reply | None = None

    def listening() -> bool:
        nonlocal began
        if began is None and session.reply_waits():
            began = session.read_answer()
            if not began.preliminary:
                raise ConnectionAbortedError("the server refused the transfer")
        return began is None

    conn: socket.socket | None = None
    try:
        conn = session.connect_data(port)
        opening.data = session.secure_data(conn, listening)
        if confirmed and began is None:
            began = session.read_answer()
            if not began.preliminary:
                raise ConnectionAbortedError("the server refused the transfer")
    except OSError as error:
        opening.data = None
        resumed = conn is None or _resumed(conn)
        if conn is not None:
            conn.close()
        if began is None and too_long(error) and not session.reply_waits():
            # The server waits for the connection as we did.
            session.lost = True
            raise SessionLost(f"the data connection for {doing} failed: {told(error)}") from error
        # A server that refuses the transfer closes its listening port at once: the refusal that
        # waits on the control connection is the reason then.
        reply = began or session.read_answer()
        if reply.preliminary:
            session.lost = True
            if isinstance(error, ssl.SSLError):
                raise TlsFailed(f"the TLS handshake for {doing} failed: {error.reason}") from error
            raise SessionLost(f"the data connection for {doing} failed: {told(error)}") from error
        _check_resumed(session, resumed, reply)
        opening.refusal = error_for(reply, doing)
    except SiteferryError:
        if conn is not None:
            conn.close()
        raise


@dataclass(slots=True)
class Owed:
    """The final reply of an upload that has ended and was not told yet.

    doubt: what it says, where SIZE has to decide; refusal: what it says, where that is final.
    """

    session: Session
    doing: str
    doubt: SiteferryError | None = None
    refusal: SiteferryError | None = None
    _settled: bool = False

    def settle(self) -> None:
        """Read it, once.

        Raises:
            SessionLost: it did not come.
        """
        if not self._settled:
            self.take(_read_final(self.session))

    def take(self, reply: Reply) -> None:
        """`reply` is the final one."""
        self._settled = True
        if not reply.ok:
            error = error_for(reply, self.doing)
            if reply.code in BROKEN_OFF and not error.ends_run:
                self.doubt = error
            else:
                self.refusal = error


def end_early(session: Session, data: socket.socket, doing: str) -> Owed:
    """End an upload on a server that answers late (`ServerProfile.answers_late`): when it has
    closed the data connection the transfer is over, and the next commands need not wait for the
    226. They acknowledge the 150, too, which is what the 226 waits for.

    Raises:
        SessionLost: neither an end nor a reply came in time.
    """
    owed = Owed(session, doing)
    with closing(data):
        try:
            data.shutdown(socket.SHUT_WR)
            while session.end_or_reply(data) == "reply":
                reply = session.read_answer()
                if not reply.preliminary:
                    owed.take(reply)
                    break
        except OSError:
            # The server has closed already; its reply, read next, says why.
            session.on_activity()
    return owed


def finish_upload(session: Session, data: socket.socket, doing: str) -> SiteferryError | None:
    """End the data and read the final reply; under TLS the socket is closed only then.

    Returns:
        None, or an error that says that the transfer broke off though all of it was sent. Servers
        say that of whole files, too: what SIZE tells decides.

    Raises:
        SiteferryError: the server refused the transfer or did not take all of it.
    """
    try:
        if isinstance(data, ssl.SSLSocket):
            send_close_notify(data)
        else:
            # Nothing comes back on it. The kernel delivers what was written, and then its end.
            data.close()
    except OSError:
        # The server has closed already; its reply, read below, says why.
        session.on_activity()
    try:
        reply = _read_final(session)
    except SiteferryError:
        data.close()
        raise
    resumed = _resumed(data)
    data.close()
    if reply.ok:
        return None
    _check_resumed(session, resumed, reply)
    error = error_for(reply, doing)
    if reply.code in BROKEN_OFF and not error.ends_run:
        return error
    raise error


def finish_download(session: Session, data: socket.socket, doing: str) -> Reply:
    """Close the data connection after its end was read, and give the final reply, a 2yz.

    Raises:
        SiteferryError: what another final reply means.
    """
    if isinstance(data, ssl.SSLSocket):
        send_close_notify(data)
    resumed = _resumed(data)
    data.close()
    reply = session.read_answer()
    if not reply.ok:
        _check_resumed(session, resumed, reply)
        raise error_for(reply, doing)
    return reply


def _resumed(data: socket.socket) -> bool:
    return not isinstance(data, ssl.SSLSocket) or bool(data.session_reused)


def _check_resumed(session: Session, resumed: bool, reply: Reply) -> None:
    """See whether `reply` refuses a data connection because it did not resume the TLS session.

    Raises:
        SessionLost: it does, and a new session, perhaps with the other version, may do better.
        TlsFailed: it does, and neither version resumes.
    """
    if resumed or reply.code not in _NOT_RESUMED:
        return
    session.lost = True
    message = "the server demands that data connections resume the TLS session"
    if set(session.profile.tls) == {"1.2", "1.3"}:
        raise TlsFailed(
            f"{message}, and resumes it under neither version",
            reply=reply.text,
            next_step="Ask the host to lift the demand (ProFTPD: TLSOptions "
            "NoSessionReuseRequired; vsftpd: require_ssl_reuse=NO).",
        )
    raise SessionLost(message, reply=reply.text)


def abandon(session: Session, data: socket.socket) -> None:
    """Break a transfer off in the middle: the session is suspect afterwards and is dropped."""
    data.close()
    session.drop()


def _read_final(session: Session) -> Reply:
    reply = session.read_answer()
    return session.read_answer() if reply.preliminary else reply
