"""Uploads to servers whose 226 comes a round trip behind the end of the data (vsftpd)."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.errors import PermanentReply, ReplyError, SessionLost, StorageFull
from siteferry.ftp.upload import Conduct, Part, Stored, Upload, upload_files
from tests.contract.test_upload_dialogue import IN_STEP, run_script, whole
from tests.servers.scripted import EPSV, HANG_UP, RECEIVE, ScriptedServer, login, turn
from tests.servers.sessions import make_file, scripted_session, stored

LATE = login("EPRT", "EPSV", "MDTM", "PASV", "REST STREAM", "SIZE", "TVFS")
"""vsftpd's features: it closes the data connection a round trip before its 226 comes."""


def test_where_the_226_comes_late_the_next_file_does_not_wait_for_it() -> None:
    time = "20140513165320"
    script = [
        *LATE,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE)),
        turn(
            ("SIZE /a", "226 done", "213 1"),
            (f"MDTM {time} /a", "213 set"),
            EPSV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        # The last one's is waited for: nothing would be saved.
        turn(("SIZE /b", "213 2"), (f"MDTM {time} /b", "213 set")),
    ]
    assert run_script(script, {"a": b"1", "b": b"22"}) == {"a": stored(b"1"), "b": stored(b"22")}


@pytest.mark.parametrize(
    ("reply", "size", "kind"),
    [
        ("426 broken off", "213 1", Stored),
        ("426 broken off", "213 0", ReplyError),
        ("552 quota", "213 1", StorageFull),
    ],
)
def test_a_late_reply_that_is_no_226_is_the_outcome_of_its_own_file(
    reply: str, size: str, kind: type
) -> None:
    script = [
        *LATE,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE)),
        turn(
            ("SIZE /a", reply, size),
            ("MDTM 20140513165320 /a", "213 set"),
            EPSV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /b", "213 1"), ("MDTM 20140513165320 /b", "213 set")),
    ]
    result = run_script(script, {"a": b"1", "b": b"1"})
    assert isinstance(result["a"], kind)
    assert result["b"] == stored(b"1")


def test_a_transfer_that_is_refused_is_seen_where_the_226_comes_late() -> None:
    """vsftpd leaves the data connection of a transfer that it refuses open."""
    script = [
        *LATE,
        turn(EPSV, ("STOR /a", "553 Could not create file.")),
        turn(EPSV, ("STOR /b", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /b", "213 1"), ("MDTM 20140513165320 /b", "213 set")),
    ]
    result = run_script(script, {"a": b"1", "b": b"1"})
    assert isinstance(result["a"], PermanentReply)
    assert result["b"] == stored(b"1")


def test_a_source_that_cannot_be_read_behind_a_file_whose_226_is_still_to_come(
    tmp_path: Path,
) -> None:
    """The caller may stop at any outcome, and then nothing may be owed."""
    script = [*LATE, turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")), IN_STEP]
    uploads = [Upload(make_file(tmp_path, name, b"1"), f"/{name}") for name in "ab"]
    Path(uploads[1].found.local).unlink()
    with ScriptedServer(script) as server, scripted_session(server) as session:
        running = upload_files(session, uploads)
        assert next(running)[0] is uploads[1]
        running.close()
        assert session.command("NOOP", "saying nothing").ok


def test_a_session_that_ends_before_a_late_226_keeps_the_file(tmp_path: Path) -> None:
    script = [
        *LATE,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE)),
        turn(("SIZE /a", HANG_UP)),
    ]
    kept: list[Part] = []
    conduct = Conduct(keep=lambda _upload, part: kept.append(part))
    uploads = [Upload(make_file(tmp_path, n, n.encode() * 2), f"/{n}") for n in "ab"]
    with (
        ScriptedServer(script) as server,
        scripted_session(server) as session,
        pytest.raises(SessionLost),
    ):
        list(upload_files(session, uploads, conduct))
    assert kept == [whole("a", b"aa")]
