"""Permissions on the server, by SITE CHMOD: no RFC has it, and a server may not know it.

ProFTPD 1.3.8, Pure-FTPd 1.0.50 and pyftpdlib 2.2.0 do as they come; vsftpd 3.0.3 refuses it to
anonymous users (550), and knows it only with its `chmod_enable` (the default).
"""

from __future__ import annotations

from collections.abc import Sequence

from siteferry.ftp.replies import Reply
from siteferry.ftp.session import Session
from siteferry.tree.name_limits import limits_for
from siteferry.tree.paths import shown

NOT_KNOWN = "the server does not know SITE CHMOD"
_TOO_LONG = "the path is too long for the server behind SITE CHMOD"
# 202 is "not implemented, superfluous at this site" (RFC 959, section 4.2).
_UNKNOWN = (202, 500, 501, 502, 504)


def chmod_command(mode: int, path: str) -> str:
    """The command that gives `path` the permission bits `mode`."""
    return f"SITE CHMOD {mode:03o} {path}"


def chmod_refusal(session: Session, reply: Reply) -> str | None:
    """What a reply to `chmod_command` says instead of success; None: the mode is set. A server that
    does not know the command is not asked again."""
    if reply.code in _UNKNOWN:
        session.profile.chmod = False
    elif reply.ok:
        return None
    return reply.text


def set_modes(session: Session, paths: Sequence[str], mode: int) -> dict[str, str]:
    """Give all of `paths`, which are absolute, the permission bits `mode`; one burst.

    Returns:
        For each path that did not get it what the server said, or why it was not asked.
    """
    if not session.profile.chmod:
        return dict.fromkeys(paths, NOT_KNOWN)
    # A line that is too long may end the session, or bring two replies (pyftpdlib).
    most = limits_for(session.profile.features, session.encoding).chmod_bytes
    asked = [p for p in paths if most is None or len(session.encode(p)) - len("\r\n") <= most]
    refused = dict.fromkeys(set(paths) - set(asked), _TOO_LONG)
    replies = session.burst([chmod_command(mode, path) for path in asked])
    for path, reply in zip(asked, replies, strict=True):
        refusal = chmod_refusal(session, reply)
        if refusal is not None:
            refused[path] = refusal
    return refused


def chmod_warning(path: str, refusal: str) -> str:
    """What a report says, once, of all that did not get its permissions: `path` is one of them."""
    return f"permissions (chmod) could not be set, such as those of {shown(path)}: {refusal}"
