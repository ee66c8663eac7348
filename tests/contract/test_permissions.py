"""Permissions by SITE CHMOD: what each server makes of it, and that a refusal costs no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from siteferry.ftp.permissions import NOT_KNOWN, set_modes
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.resume import resume_upload
from siteferry.ftp.sending import Conduct, Part, Stored
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Upload
from siteferry.tree.name_limits import limits_for
from tests.contract.test_odd_names import deep_directory
from tests.servers.base import FtpServer
from tests.servers.scripted import EPSV, RECEIVE, ScriptedServer, login, turn
from tests.servers.sessions import (
    MTIME,
    make_file,
    outcomes,
    plant,
    scripted_session,
    session_on,
    stored,
)

REFUSED_BY_VSFTPD = "550 Permission denied."
"""The account in the tests is an anonymous one (docs/servers.md), which may not."""


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def joined(server: FtpServer, path: str) -> str:
    return f"{server.remote_root.rstrip('/')}/{path}"


def expected(server: FtpServer, asked: int, own: int) -> int:
    return own if server.kind == "vsftpd" else asked


def test_each_file_gets_the_permissions_that_are_asked_for(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    modes = {"a.html": 0o640, "b.php": 0o600, "c c.html": 0o444, "d.html": None}
    uploads = []
    for name, mode in modes.items():
        found = make_file(tmp_path, name, name.encode())
        os.utime(found.local, (MTIME, MTIME))
        uploads.append(Upload(found, joined(ftp_server, name), mode))
    with session_on(ftp_server) as session:
        result = outcomes(session, uploads)
    for name, mode in modes.items():
        refusal = REFUSED_BY_VSFTPD if ftp_server.kind == "vsftpd" and mode else None
        whole = stored(name.encode())
        assert result[name] == Stored(whole.size, whole.sha256, MTIME, refusal)
        assert mode_of(ftp_server.root / name) == expected(ftp_server, mode or 0o644, 0o644)


def test_directories_get_them_all_in_one_burst(ftp_server: FtpServer) -> None:
    plant(ftp_server, "a/", "a/ü/", "b b/")
    paths = [joined(ftp_server, name) for name in ("a", "a/ü", "b b", "missing")]
    with session_on(ftp_server) as session:
        refused = set_modes(session, paths, 0o710)
        assert session.profile.chmod
    if ftp_server.kind == "vsftpd":
        assert refused == dict.fromkeys(paths, REFUSED_BY_VSFTPD)
    else:
        assert list(refused) == paths[3:]
    for name in ("a", "a/ü", "b b"):
        assert mode_of(ftp_server.root / name) == expected(ftp_server, 0o710, 0o755)


def test_a_file_that_is_gone_on_with_gets_them_too(ftp_server: FtpServer, tmp_path: Path) -> None:
    found = make_file(tmp_path, "a.html", b"all of it")
    upload = Upload(found, joined(ftp_server, "new"), 0o640)
    nothing = Part(joined(ftp_server, "old"), found.size, 0, "")
    with session_on(ftp_server) as session:
        assert isinstance(resume_upload(session, upload, nothing, Conduct()), Stored)
    assert mode_of(ftp_server.root / "new") == expected(ftp_server, 0o640, 0o644)


@pytest.mark.parametrize("over", [0, 1], ids=["the longest path", "a byte more"])
def test_a_path_that_is_too_long_behind_site_chmod_is_not_sent(
    ftp_server: FtpServer, over: int
) -> None:
    """A line that is too long ends the session in vsftpd, and brings two replies in pyftpdlib."""
    with session_on(ftp_server) as session:
        most = limits_for(session.profile.features).chmod_bytes
        assert most is not None
        root = ftp_server.remote_root.rstrip("/")
        with deep_directory(ftp_server, most + over - len(root) - 1) as directory:
            path = f"{root}/{directory}"
            assert len(path) == most + over
            refused = set_modes(session, [path], 0o711)
        assert session.burst(["NOOP"])[0].ok
    if over:
        assert "too long" in refused[path]
    elif ftp_server.kind == "vsftpd":
        assert refused == {path: REFUSED_BY_VSFTPD}
    else:
        assert refused == {}


# -- servers that know no SITE CHMOD ---------------------------------------------------------------


def upload_two(session: Session, folder: Path) -> dict[str, object]:
    files = [make_file(folder, name, name.encode()) for name in "ab"]
    for file in files:
        os.utime(file.local, (MTIME, MTIME))
    return dict(outcomes(session, [Upload(f, f"/{f.path}", 0o640) for f in files]))


@pytest.mark.parametrize("reply", ["500 what?", "501 what?", "502 no", "504 no", "202 superfluous"])
def test_a_server_that_does_not_know_it_is_asked_once(reply: str, tmp_path: Path) -> None:
    script = [
        *login("EPSV", "SIZE"),
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(
            ("SIZE /a", "213 1"),
            ("SITE CHMOD 640 /a", reply),
            EPSV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /b", "213 1")),
    ]
    profile = ServerProfile()
    with ScriptedServer(script) as server, scripted_session(server, profile) as session:
        result = upload_two(session, tmp_path)
        assert set_modes(session, ["/a"], 0o755) == {"/a": NOT_KNOWN}
    assert [r.unset_mode for r in result.values() if isinstance(r, Stored)] == [reply, NOT_KNOWN]
    assert not profile.chmod


@pytest.mark.parametrize("reply", ["550 denied", "450 busy", "530 no"])
def test_a_refusal_is_of_one_path_and_the_next_one_is_asked_for(reply: str, tmp_path: Path) -> None:
    """The time's refusal between them is not taken for that of the permissions."""
    script = [
        *login("EPSV", "SIZE", "MFMT"),
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(
            ("SIZE /a", "213 1"),
            ("MFMT 20140513165320 /a", "500 what?"),
            ("SITE CHMOD 640 /a", reply),
            EPSV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /b", "213 1"), ("SITE CHMOD 640 /b", "200 set")),
    ]
    profile = ServerProfile()
    with ScriptedServer(script) as server, scripted_session(server, profile) as session:
        result = upload_two(session, tmp_path)
    assert [r.unset_mode for r in result.values() if isinstance(r, Stored)] == [reply, None]
    assert profile.chmod
    assert profile.time_verb is None
