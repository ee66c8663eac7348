"""Replies of an FTP server, and which of our errors each one means (RFC 959, section 4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from siteferry.errors import (
    ConnectionLimited,
    HostError,
    LoginRefused,
    NotFound,
    NotPermitted,
    PermanentReply,
    SessionLost,
    SiteferryError,
    StorageFull,
    TransientReply,
)

# vsftpd: "421 There are too many connections from your internet address."
# Pure-FTPd: "421 8 users (the maximum) are already logged in, sorry"
# ProFTPD: "530 Sorry, the maximum number of clients (3) for this user are already ..."
# cPanel: "421 Too many connections (8) from this IP"
_LIMIT = re.compile(
    r"too many|maximum|connection limit|already (logged|connected)|simultaneous|no more conn",
    re.IGNORECASE,
)
# ProFTPD and Pure-FTPd pass on the text of ENOSPC and EDQUOT behind a 45x.
_FULL = re.compile(r"no space left|quota|disk full|insufficient (storage|disk)", re.IGNORECASE)
# vsftpd, Pure-FTPd and ProFTPD when a write fails, without the reason: nearly always a full disk.
_UNWRITTEN = re.compile(r"failure writing|error during write to file|input/output", re.IGNORECASE)
_MISSING = re.compile(r"no such|not found|does ?n[o']t exist|can't find", re.IGNORECASE)
_DENIED = re.compile(
    r"permission|denied|not allowed|read-only|prohibited|not permitted|unauthori", re.IGNORECASE
)
_TLS_WANTED = re.compile(r"\b(TLS|SSL|encrypt)", re.IGNORECASE)
# "421 Temporarily banned for too many failed login attempts" (FileZilla Server),
# "530 Maximum login attempts exceeded"
_BAN = re.compile(
    r"(too many|maximum)\b.*\b(fail|attempt|authentication)|\b(banned|blocked|blacklisted)\b",
    re.IGNORECASE,
)
_OF_ADDRESS = re.compile(
    r"(this|your) (ip|host|internet address|address|network)\b|per[ -](ip|host)\b", re.IGNORECASE
)
_OF_ACCOUNT = re.compile(
    r"(this|your|same) (user|account|login)\b|per[ -](user|account)\b|for user\b", re.IGNORECASE
)
_TOLD_LIMIT = re.compile(r"\(([0-9]{1,4})\)|\b([0-9]{1,4}) users \(the maximum\)")
_PORT_229 = re.compile(r"\(([!-~])\1\1([0-9]{1,5})\1\)")
# Some servers leave out the parentheses.
_PORT_227 = re.compile(r"[0-9]{1,3}(?:,[0-9]{1,3}){3},([0-9]{1,3}),([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete reply; `lines` keep the server's text, the code included, without line ends."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The last line, which carries the meaning; multi-line help stands before it."""
        return self.lines[-1]

    @property
    def told(self) -> str:
        """All lines as one: Pure-FTPd begins a failed transfer's reply with the reason, and ends it
        with the speed."""
        first, *others = self.lines
        if not others:
            return first
        rest = (re.sub(rf"^{self.code}[ -]", "", line).strip() for line in others)
        return " ".join([f"{self.code} {first[4:].strip()}", *rest])

    @property
    def preliminary(self) -> bool:
        return self.code < 200

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def missing(self) -> bool:
        """Whether this reply says that the path does not exist, rather than that it is closed."""
        return self.code in (550, 553, 450) and _MISSING.search(self.text) is not None


def error_for(reply: Reply, doing: str) -> SiteferryError:
    """The error that an unwelcome `reply` to a command means.

    Args:
        reply: a reply with a code of 400 or more, or an unexpected one.
        doing: what was tried, as the start of a sentence: "storing a/b.css".
    """
    text = reply.told
    message = f"{doing} was refused"
    if reply.code == 421:
        return SessionLost(f"the server ended the session while {doing}", reply=text)
    if reply.code == 552 or (reply.code in (450, 451, 452, 550, 553) and _FULL.search(text)):
        return StorageFull(
            f"{doing} failed: the host's disk or quota is full",
            reply=text,
            next_step="Make room on the host, then run the same import again.",
        )
    if reply.code == 530:
        return login_error(reply)
    if 400 <= reply.code < 500:
        perhaps = "The host's disk or quota may be full: make room there, and run the import again."
        return TransientReply(
            message,
            code=reply.code,
            reply=text,
            next_step=perhaps if _UNWRITTEN.search(text) else "",
        )
    if reply.code in (550, 553) and _DENIED.search(text):
        return NotPermitted(
            message,
            code=reply.code,
            reply=text,
            next_step="Give the FTP account write permission there.",
        )
    if reply.missing:
        return NotFound(message, code=reply.code, reply=text)
    return PermanentReply(message, code=reply.code, reply=text)


def login_error(reply: Reply) -> SiteferryError:
    """What a refusal before or at login means: a limit, a demand for TLS, a wrong password."""
    text = reply.text
    if is_ban(text):
        return LoginRefused(
            "the host turns our logins away for a while, because of earlier ones that failed",
            reply=text,
            next_step="Correct the credential, wait until the host lifts it, then run the same "
            "import again.",
        )
    if reply.code in (421, 530) and _LIMIT.search(text):
        return ConnectionLimited(
            "the host admits no more connections at the moment",
            reply=text,
            next_step="Lower ftp.max_connections of the website.",
        )
    # Pure-FTPd says it with a 421, the others with 530 or 550.
    if (reply.code == 421 or reply.code >= 500) and _TLS_WANTED.search(text):
        return HostError(
            "the server demands an encrypted session",
            reply=text,
            next_step="Set ftp.security: explicit for the website.",
        )
    if 400 <= reply.code < 500:
        return SessionLost("the server turned the login away", reply=text)
    return LoginRefused(
        "the host does not accept the user name or the password",
        reply=text,
        next_step="Correct the credential, then run the same import again.",
    )


def told_limit(text: str) -> int | None:
    """The number of connections that a refusal for too many names: "Too many connections (8) from
    this IP", "8 users (the maximum) are already logged in"; None where it names none."""
    found = _TOLD_LIMIT.search(text[4:])
    return int(found[1] or found[2]) if found else None


def is_ban(text: str) -> bool:
    """Whether a refusal says that too many logins have failed. To knock on prolongs that."""
    return _BAN.search(text) is not None


def limited_by(text: str) -> Literal["account", "address"] | None:
    """What a refusal for too many connections counts: those of the user, or those of our address;
    None where it does not say. Pure-FTPd: "from this IP"; vsftpd: "from your internet address";
    ProFTPD: "from your host", "for your user"."""
    if _OF_ADDRESS.search(text):
        return "address"
    return "account" if _OF_ACCOUNT.search(text) else None


def parse_reply(lines: tuple[str, ...]) -> Reply:
    """Make a Reply of the raw lines of one reply.

    Raises:
        SessionLost: the first line does not begin with a reply code.
    """
    head = lines[0][:3]
    if len(head) != 3 or not head.isascii() or not head.isdigit():
        raise SessionLost(
            "the server sent something that is not an FTP reply", reply=lines[0][:200]
        )
    return Reply(int(head), lines)


def told_port(reply: Reply) -> int | None:
    """The port that a reply to EPSV (229; RFC 2428, section 3) or PASV (227; RFC 959, section
    4.1.2) tells; None where it tells none."""
    port = 0
    if reply.code == 229 and (extended := _PORT_229.search(reply.text)):
        port = int(extended[2])
    elif reply.code == 227 and (passive := _PORT_227.search(reply.text)):
        high, low = int(passive[1]), int(passive[2])
        port = high * 256 + low if low < 256 else 0
    return port if 0 < port < 65536 else None
