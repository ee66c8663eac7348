"""The dialogue between the greeting and the first transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteferry.errors import NotAnFtpServer, SessionLost, TlsFailed
from siteferry.ftp.replies import Reply, error_for, login_error
from siteferry.secret import Secret

if TYPE_CHECKING:
    from siteferry.ftp.session import Session


def read_greeting(session: Session) -> Reply:
    """The server's first reply.

    Raises:
        NotAnFtpServer: what came is none. SessionLost: nothing came.
    """
    try:
        return session.read_reply()
    except SessionLost as error:
        said = error.reply or ""
        if said.startswith("SSH-"):
            raise NotAnFtpServer(
                f"{session.endpoint} is an SSH/SFTP server, not FTP",
                reply=said,
                next_step="Use the FTP port of the host, usually 21.",
            ) from error
        if said:
            raise NotAnFtpServer(f"{session.endpoint} does not speak FTP", reply=said) from error
        raise


def log_in(session: Session, username: str, password: Secret) -> None:
    """USER and PASS (RFC 959, section 4.1.1).

    Raises:
        LoginRefused, ConnectionLimited, HostError: see `login_error`.
    """
    reply = _ask(session, f"USER {username}")
    if reply.code == 331:
        reply = _ask(session, f"PASS {password.reveal()}")
    if not reply.ok:
        raise login_error(reply)


def prepare(session: Session) -> None:
    """Everything else in one burst: protected data connections (RFC 4217), binary transfers, what
    the server can do (RFC 2389), UTF-8 names (RFC 2640).

    Raises:
        TlsFailed: the server refuses to encrypt data connections.
        SiteferryError: it refuses binary transfers.
    """
    asked = session.endpoint.encoding
    commands = ["TYPE I", "FEAT"]
    if session.encrypted:
        commands = ["PBSZ 0", "PROT P", *commands]
    if asked != "latin-1":
        commands.append("OPTS UTF8 ON")
    replies = dict(zip(commands, session.burst(commands), strict=True))
    if session.encrypted and not replies["PROT P"].ok:
        raise TlsFailed(
            f"{session.endpoint} refuses to encrypt data connections",
            reply=replies["PROT P"].text,
        )
    if not replies["TYPE I"].ok:
        raise error_for(replies["TYPE I"], "choosing binary transfers")
    feat = replies["FEAT"]
    words = frozenset(line.split()[0].upper() for line in feat.lines[1:-1] if line.split())
    session.profile.learn_features(words if feat.ok else frozenset())
    session.mind_acknowledgements()
    if asked == "auto":
        # Pure-FTPd lists UTF8 and does not know OPTS UTF8; vsftpd the other way round.
        speaks = "UTF8" in words or replies["OPTS UTF8 ON"].ok
        asked = "utf-8" if speaks else "latin-1"
    session.encoding = session.profile.encoding = asked


def _ask(session: Session, command: str) -> Reply:
    # Not by burst(), for which a 421 is only the end: here its text tells why we may not enter.
    session.write_lines([session.encode(command)])
    return session.read_reply()
