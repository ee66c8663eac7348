"""Directories on the server: made in bursts, looked at, emptied."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

import ftputil
from ftputil.error import FTPError

from siteferry.errors import SessionLost, SiteferryError
from siteferry.ftp.facts import parse_described
from siteferry.ftp.listing import list_directories
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session


def make_directories(
    session: Session, paths: Sequence[str]
) -> tuple[list[str], dict[str, SiteferryError]]:
    """Make remote directories, parents first in `paths`, with few round trips.

    What exists already is success: servers say so with 550, 521 or 257 and a note, and only a look
    at the path tells that from a refusal.

    Returns:
        The paths that were made now, and for each path that is no directory afterwards the error.
    """
    made: list[str] = []
    doubtful: dict[str, Reply] = {}
    for path, reply in zip(paths, session.burst([f"MKD {p}" for p in paths]), strict=True):
        if reply.ok:
            made.append(path)
        else:
            doubtful[path] = reply
    there = are_directories(session, list(doubtful))
    return made, {
        path: error_for(reply, f"making the directory {path}")
        for path, reply in doubtful.items()
        if path not in there
    }


def are_directories(session: Session, paths: Sequence[str]) -> set[str]:
    """Those of `paths` that can be entered; one burst of CWD. Paths used later are absolute, so
    where the session stands afterwards does not matter. Meant for paths that are likely there."""
    replies = session.burst([f"CWD {p}" for p in paths])
    return {path for path, reply in zip(paths, replies, strict=True) if reply.ok}


def present(session: Session, paths: Sequence[str]) -> set[str]:
    """Those of `paths` where something stands, a file or a directory; one burst, or two.

    Not by RNFR: ProFTPD 1.3.8 then refuses everything but RNTO, and there, in Pure-FTPd and in
    pyftpdlib the RNFR lasts, so that a later RNTO whose own RNFR failed would move the wrong file.
    CWD to what is missing is kept from Pure-FTPd, which punishes each with a longer wait and ends
    the session after some; servers without MLST (RFC 3659; vsftpd, IIS) do not.

    Raises:
        SiteferryError: a transient refusal, from which nothing can be concluded.
    """
    if "MLST" not in session.profile.features:
        files = are_files(session, paths)
        return files | are_directories(session, [path for path in paths if path not in files])
    there: set[str] = set()
    for path, reply in zip(paths, session.burst([f"MLST {p}" for p in paths]), strict=True):
        if reply.ok:
            there.add(path)
        elif reply.code < 500:
            raise error_for(reply, f"looking at {path}")
    return there


def present_directories(session: Session, paths: Sequence[str]) -> set[str]:
    """Those of `paths` that are directories; one burst. As `present`, with the same exceptions."""
    if "MLST" not in session.profile.features:
        return are_directories(session, paths)
    there: set[str] = set()
    for path, reply in zip(paths, session.burst([f"MLST {p}" for p in paths]), strict=True):
        if reply.ok:
            # RFC 3659, section 7.2: the middle line, behind one space.
            described = [line[1:] for line in reply.lines[1:-1] if line.startswith(" ")]
            if any(parse_described(line).kind == "directory" for line in described):
                there.add(path)
        elif reply.code < 500:
            raise error_for(reply, f"looking at {path}")
    return there


def are_files(session: Session, paths: Sequence[str]) -> set[str]:
    """Those of `paths` that are files; one burst of SIZE (RFC 3659)."""
    return {path for path, size in file_sizes(session, paths).items() if size is not None}


def file_sizes(session: Session, paths: Sequence[str]) -> dict[str, int | None]:
    """Bytes of each path by SIZE; None for what is not there or is no file.

    Raises:
        SiteferryError: an answer that is neither a size nor 550, so nothing can be concluded.
    """
    sizes: dict[str, int | None] = {}
    for path, reply in zip(paths, session.burst([f"SIZE {p}" for p in paths]), strict=True):
        if reply.code == 213 and reply.text[4:].strip().isdecimal():
            sizes[path] = int(reply.text[4:])
        elif reply.code == 550:
            sizes[path] = None
        else:
            raise error_for(reply, f"looking at {path}")
    return sizes


def list_names(session: Session, directory: str) -> tuple[list[str], list[str]]:
    """Names of the directories and of the other entries in `directory`, dotfiles included.

    Raises:
        SiteferryError: the listing could not be had completely.
    """
    folders: list[str] = []
    others: list[str] = []
    try:
        with _host(session) as host:
            for name in host.listdir(directory):
                path = posixpath.join(directory, name)
                is_folder = host.path.isdir(path) and not host.path.islink(path)
                (folders if is_folder else others).append(name)
    except FTPError as error:
        raise SessionLost(f"listing {directory} failed", reply=str(error)) from error
    return folders, others


def remove_tree(session: Session, directory: str, known_files: Iterable[str] = ()) -> None:
    """Remove `directory` of ours with all that is in it.

    Args:
        known_files: absolute paths in it that the caller knows of: when these are all, two bursts
            do and no listing is needed.

    Raises:
        SiteferryError: something stays behind.
    """
    # Not from within: Pure-FTPd ends a session (421) whose directory has gone.
    leave = f"CWD {posixpath.dirname(directory)}"
    reply = session.burst([*(f"DELE {path}" for path in known_files), leave, f"RMD {directory}"])[
        -1
    ]
    if reply.ok or not are_directories(session, [directory]):
        return
    before = None
    # More than once, for Pure-FTPd lists 10,000 names at a time; but not in vain.
    while not reply.ok and (found := list_names(session, directory)) != before:
        before = found
        folders, files = found
        for folder in folders:
            remove_tree(session, posixpath.join(directory, folder))
        dele = [f"DELE {posixpath.join(directory, name)}" for name in files]
        # Listing has led into it.
        reply = session.burst([*dele, leave, f"RMD {directory}"])[-1]
    if not reply.ok:
        raise error_for(reply, f"removing {directory}")


def remove_empty_directories(session: Session, paths: Sequence[str]) -> None:
    """Remove those of `paths` that hold nothing; children first in `paths`.

    A refusal means that something is in it. RFC 959 does not say that a server refuses then, so one
    that is not known to is looked into first.
    """
    if session.profile.is_known:
        session.burst([f"RMD {path}" for path in paths])
        return
    for path, entries in list_directories(session, paths):
        if entries == []:
            session.burst([f"RMD {path}"])


class _LentSession:
    """Gives ftputil our session for as long as it needs one, and keeps it open afterwards."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def close(self) -> None:
        """ftputil closes its sessions at the end; this one goes on, in binary as before: ftplib
        lists in ASCII mode."""
        if not self._session.lost:
            self._session.command("TYPE I", "choosing binary transfers")


def _host(session: Session) -> ftputil.FTPHost:
    host = ftputil.FTPHost(session_factory=lambda: _LentSession(session))
    host.use_list_a_option = True
    return host
