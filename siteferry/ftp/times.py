"""Times of remote files by MDTM (RFC 3659, section 3), for servers whose listing tells none that is
exact: vsftpd, which has no MLSD."""

from __future__ import annotations

from collections.abc import Sequence

from siteferry.ftp.facts import parse_time
from siteferry.ftp.session import Session


def remote_times(session: Session, paths: Sequence[str]) -> dict[str, int | None]:
    """Unix seconds of each path, as the server tells them; None where it tells none. One burst.

    Args:
        paths: absolute remote paths.
    """
    if "MDTM" not in session.profile.features:
        return dict.fromkeys(paths)
    replies = session.burst([f"MDTM {path}" for path in paths])
    return {
        path: parse_time(reply.text[4:].strip()) if reply.code == 213 else None
        for path, reply in zip(paths, replies, strict=True)
    }
