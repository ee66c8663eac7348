"""Small documents on every server: written, read back, missing, too large."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from siteferry.errors import DocumentDamaged, NotFound, PermanentReply, SessionLost, SiteferryError
from siteferry.ftp.documents import exists, read_document, write_document
from siteferry.ftp.endpoint import Deadlines
from tests.servers.base import FtpServer
from tests.servers.scripted import (
    EPSV,
    HANG_UP,
    LOGIN,
    RECEIVE,
    Deliver,
    ScriptedServer,
    turn,
)
from tests.servers.sessions import scripted_session, session_on

CONTENTS = [b"", b"{}\n", b"a\r\nb\nc\0\xff" * 100, random.Random(3).randbytes(3_000_000)]


def write_and_read(server: FtpServer) -> None:
    path = f"{server.remote_root}/.htmanifest"
    with session_on(server) as session:
        for content in CONTENTS:
            write_document(session, path, content)
            assert (server.root / ".htmanifest").read_bytes() == content
            assert read_document(session, path) == content
            assert exists(session, path)
        assert session.command("NOOP", "saying nothing").ok


def test_a_document_is_what_was_written(ftp_server: FtpServer) -> None:
    write_and_read(ftp_server)


def test_a_document_over_tls_is_what_was_written(ftps_server: FtpServer) -> None:
    write_and_read(ftps_server)


def miss(server: FtpServer) -> None:
    path = f"{server.remote_root}/nowhere"
    (server.root / "folder").mkdir()
    with session_on(server, deadlines=Deadlines(5, 20, 2)) as session:
        began = time.monotonic()
        assert not exists(session, path)
        assert not exists(session, f"{server.remote_root}/folder")
        with pytest.raises(PermanentReply) as refused:
            write_document(session, f"{path}/in/it", b"x")
        assert (refused.value.reply or "").startswith(("550", "553"))
        with pytest.raises(PermanentReply) as missing:
            read_document(session, path)
        assert (missing.value.reply or "").startswith("550")
        if server.kind != "vsftpd":  # "550 Failed to open file." is all that it says
            assert isinstance(missing.value, NotFound)
        assert time.monotonic() - began < 2, "a deadline passed before the refusal was seen"
        assert not session.lost
        assert session.command("NOOP", "saying nothing").ok


def test_a_missing_document_is_not_found_and_the_session_goes_on(
    ftp_server: FtpServer,
) -> None:
    miss(ftp_server)


def test_a_missing_document_over_tls_is_not_found_and_the_session_goes_on(
    ftps_server: FtpServer,
) -> None:
    miss(ftps_server)


def test_a_document_that_is_larger_than_it_may_be_is_not_read_to_its_end(
    ftp_server: FtpServer,
) -> None:
    (ftp_server.root / "large").write_bytes(b"x" * 2_000_000)
    with session_on(ftp_server) as session:
        with pytest.raises(DocumentDamaged, match="larger than 1000 bytes"):
            read_document(session, f"{ftp_server.remote_root}/large", 1000)
        # What was on its way is not waited for.
        assert session.lost


def test_a_document_of_just_the_allowed_size_is_read(pyftpd_server: FtpServer) -> None:
    (pyftpd_server.root / "d").write_bytes(b"x" * 1000)
    with session_on(pyftpd_server) as session:
        assert read_document(session, f"{pyftpd_server.remote_root}/d", 1000) == b"x" * 1000


def test_an_account_that_may_only_read_is_told_so(vsftpd: Callable[..., FtpServer]) -> None:
    server = vsftpd(read_only=True)
    with session_on(server) as session:
        with pytest.raises(SiteferryError) as refused:
            write_document(session, f"{server.remote_root}/d", b"x")
        assert "write permission" in refused.value.next_step
    server.remove()


# -- what cannot be installed --------------------------------------------------------------------


def test_what_comes_back_other_than_it_was_sent_is_damaged() -> None:
    script = [
        *LOGIN,
        turn(EPSV, ("STOR /d", "150 go", RECEIVE, "226 done")),
        turn(EPSV, ("RETR /d", "150 go", Deliver(b"sens"), "226 done")),
    ]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        with pytest.raises(DocumentDamaged, match="came back"):
            write_document(session, "/d", b"sent")
        assert server.received == [b"sent"]


@pytest.mark.parametrize("final", ["426 aborted", "451 disk error"])
def test_a_reading_that_the_server_broke_off_gives_nothing(final: str) -> None:
    script = [*LOGIN, turn(EPSV, ("RETR /d", "150 go", Deliver(b"half"), final))]
    with (
        ScriptedServer(script) as server,
        scripted_session(server) as session,
        pytest.raises(SiteferryError) as broken,
    ):
        read_document(session, "/d")
    assert broken.value.transient


def test_a_reading_whose_end_the_server_did_not_confirm_gives_nothing() -> None:
    script = [*LOGIN, turn(EPSV, ("RETR /d", "150 go", Deliver(b"half"), HANG_UP))]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        with pytest.raises(SessionLost):
            read_document(session, "/d")
        assert session.lost


@pytest.mark.parametrize(
    "answer", ["550 Permission denied.", "450 busy", "500 what?"], ids=["closed", "busy", "no SIZE"]
)
def test_whether_a_document_exists_is_not_guessed(answer: str) -> None:
    with (
        ScriptedServer([*LOGIN, turn(("SIZE /d", answer))]) as server,
        scripted_session(server) as session,
        pytest.raises(SiteferryError),
    ):
        exists(session, "/d")
