"""What uploads make of servers that cannot be installed: the dialogue, line by line."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from siteferry.errors import (
    NotFound,
    PermanentReply,
    ReplyError,
    SessionLost,
    StorageFull,
    TransferMismatch,
)
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Conduct, Outcome, Part, Stored, Upload, upload_files
from siteferry.secret import Secret
from tests.servers.scripted import (
    CLOSE_DATA_PORT,
    EPSV,
    HANG_UP,
    LOGIN,
    PASSWORD,
    PASV,
    RECEIVE,
    USER,
    Receive,
    ScriptedServer,
    Turn,
    login,
    turn,
)
from tests.servers.sessions import (
    MTIME,
    make_file,
    outcomes,
    scripted_endpoint,
    scripted_session,
    stored,
)

IN_STEP = turn(("NOOP", "200 nothing done"))
"""Where the replies to a transfer that was not opened end (see `_settle_unopened`)."""


def run_script(
    script: list[Turn],
    contents: dict[str, bytes],
    profile: ServerProfile | None = None,
) -> dict[str, Outcome]:
    """Upload `contents`, by name, to the root of a scripted server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ScriptedServer(script) as server,
        scripted_session(server, profile) as session,
    ):
        uploads = []
        for name, content in contents.items():
            found = make_file(Path(folder), name, content)
            os.utime(found.local, (MTIME, MTIME))
            uploads.append(Upload(found, f"/{name}"))
        result = outcomes(session, uploads)
        assert not session.lost
        return result


def ordinary(name: str, size: int) -> list[Turn]:
    return [
        turn(EPSV, (f"STOR /{name}", "150 go", RECEIVE, "226 done")),
        turn((f"SIZE /{name}", f"213 {size}")),
    ]


def test_a_size_that_differs_is_a_mismatch_of_that_file() -> None:
    script = [
        *LOGIN,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /a", "213 3"), EPSV, ("STOR /b", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /b", "213 3")),
    ]
    result = run_script(script, {"a": b"four", "b": b"111"})
    assert isinstance(result["a"], TransferMismatch)
    assert "holds 3 bytes of a, 4 were sent" in result["a"].message
    assert result["b"] == stored(b"111", None)


def test_a_file_that_is_gone_after_its_226_is_an_error() -> None:
    script = [*LOGIN, ordinary("a", 0)[0], turn(("SIZE /a", "550 /a: No such file or directory"))]
    assert isinstance(run_script(script, {"a": b"four"})["a"], NotFound)


def test_a_server_without_size_is_believed() -> None:
    script = [*LOGIN, ordinary("a", 0)[0], turn(("SIZE /a", "502 not implemented"))]
    assert run_script(script, {"a": b"four"})["a"] == stored(b"four", None)


def test_a_server_that_sets_no_times_is_asked_once() -> None:
    script = [
        *login("EPSV", "SIZE", "MDTM"),
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(
            ("SIZE /a", "213 1"),
            ("MDTM 20140513165320 /a", "550 no such file"),
            EPSV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /b", "213 1")),
    ]
    profile = ServerProfile()
    assert run_script(script, {"a": b"1", "b": b"2"}, profile) == {
        "a": stored(b"1", None),
        "b": stored(b"2", None),
    }
    assert profile.time_verb is None
    # Nor by the next session of the account.
    profile.learn_features(profile.features)
    assert profile.time_verb is None


def test_a_refusal_that_has_closed_the_data_port_is_that_files_refusal() -> None:
    """The connect fails, or finds nobody; the reason waits on the control connection."""
    script = [
        *LOGIN,
        turn(
            ("EPSV", "229 Entering Extended Passive Mode (|||{port}|)", CLOSE_DATA_PORT),
            ("STOR /a", "553 Could not create file."),
        ),
        *ordinary("b", 1),
    ]
    result = run_script(script, {"a": b"1", "b": b"1"})
    refused = result["a"]
    assert isinstance(refused, PermanentReply)
    assert (refused.code, refused.reply) == (553, "553 Could not create file.")
    assert result["b"] == stored(b"1", None)


def test_a_passive_connection_that_cannot_be_had_is_asked_for_once_more() -> None:
    script = [
        *LOGIN,
        turn(("EPSV", "425 EPSV: Address already in use"), ("STOR /a", "425 no data connection")),
        IN_STEP,
        *ordinary("a", 1),
    ]
    profile = ServerProfile()
    assert run_script(script, {"a": b"1"}, profile) == {"a": stored(b"1", None)}
    assert profile.epsv


def test_a_transfer_command_that_is_lost_with_its_epsv_is_not_waited_for() -> None:
    """ProFTPD 1.3.8 does that where two of its sessions come upon the same port."""
    script = [
        *LOGIN,
        turn(("EPSV", "425 EPSV: Address already in use"), ("STOR /a",)),
        IN_STEP,
        *ordinary("a", 1),
    ]
    assert run_script(script, {"a": b"1"}) == {"a": stored(b"1", None)}


def test_a_server_that_opens_no_passive_connection_refuses_one_file_at_a_time() -> None:
    refused = turn(("EPSV", "425 no port is free"), ("STOR /a", "425 no data connection"))
    script = [*LOGIN, refused, IN_STEP, refused, IN_STEP, *ordinary("b", 1)]
    result = run_script(script, {"a": b"1", "b": b"1"})
    assert isinstance(result["a"], ReplyError)
    assert result["a"].transient
    assert result["a"].reply == "425 no port is free"
    assert result["b"] == stored(b"1", None)


def test_a_full_disk_is_told_by_its_name() -> None:
    script = [
        *LOGIN,
        turn(EPSV, ("STOR /a", "150 go", Receive(10), "552 Disk full: user quota exceeded")),
        *ordinary("b", 1),
    ]
    result = run_script(script, {"a": b"x" * 1000, "b": b"1"})
    assert isinstance(result["a"], StorageFull)
    assert result["a"].reply == "552 Disk full: user quota exceeded"
    assert result["a"].ends_run


def test_a_server_that_stops_taking_a_long_file_gives_its_reason_not_a_broken_pipe() -> None:
    script = [
        *LOGIN,
        turn(EPSV, ("STOR /a", "150 go", Receive(100_000), "552 No space left on device")),
    ]
    result = run_script(script, {"a": b"x" * 30_000_000})
    assert isinstance(result["a"], StorageFull)


def broken_off(reply: str, size: str) -> list[Turn]:
    """A first file of one byte that ends with `reply`, and a second one behind it."""
    return [
        *LOGIN,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, reply)),
        turn(("SIZE /a", size), EPSV, ("STOR /b", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /b", "213 1")),
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "426 Connection closed; transfer aborted.",
        "450 TLS shutdown failed",
        "451 Failure reading network stream.",
    ],
)
def test_a_file_that_is_whole_is_stored_even_if_its_transfer_is_said_to_have_broken_off(
    reply: str,
) -> None:
    result = run_script(broken_off(reply, "213 1"), {"a": b"1", "b": b"1"})
    assert result == {"a": stored(b"1", None), "b": stored(b"1", None)}


@pytest.mark.parametrize("size", ["213 0", "550 /a: No such file", "502 no SIZE here"])
def test_a_transfer_that_broke_off_and_is_not_seen_to_be_whole_is_transient(size: str) -> None:
    result = run_script(broken_off("426 transfer aborted", size), {"a": b"1", "b": b"1"})
    assert isinstance(result["a"], ReplyError)
    assert result["a"].transient
    assert result["a"].reply == "426 transfer aborted"
    assert result["b"] == stored(b"1", None)


@pytest.mark.parametrize("code", [500, 501, 502, 522])
def test_where_epsv_is_refused_pasv_is_used_and_remembered(code: int) -> None:
    script = [
        *login("PASV", "SIZE", "MFMT"),
        turn(
            ("EPSV", f"{code} what?"),
            ("STOR /a", "425 Use PORT or PASV first."),
        ),
        IN_STEP,
        turn(PASV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(
            ("SIZE /a", "213 1"),
            ("MFMT 20140513165320 /a", "213"),
            PASV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /b", "213 2"), ("MFMT 20140513165320 /b", "213")),
    ]
    profile = ServerProfile()
    assert run_script(script, {"a": b"1", "b": b"22"}, profile) == {
        "a": stored(b"1"),
        "b": stored(b"22"),
    }
    assert not profile.epsv
    # The next session of the account does not ask again.
    script = [*LOGIN, turn(PASV, ("STOR /c", "150", RECEIVE, "226")), turn(("SIZE /c", "213 1"))]
    assert isinstance(run_script(script, {"c": b"1"}, ServerProfile(epsv=False))["c"], Stored)


def test_a_refused_epsv_does_not_lose_the_verdict_on_the_file_before() -> None:
    """EPSV refused in the middle: the replies in front of it belong to the file before."""
    script = [
        *LOGIN,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /a", "213 9"), ("EPSV", "500 no more"), ("STOR /b", "425 no")),
        IN_STEP,
        turn(PASV, ("STOR /b", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /b", "213 1")),
    ]
    result = run_script(script, {"a": b"1", "b": b"1"})
    assert isinstance(result["a"], TransferMismatch)
    assert result["b"] == stored(b"1", None)


def test_a_private_address_in_pasv_is_not_followed() -> None:
    """Servers behind NAT tell their inner address; the control connection's is the right one."""
    script = [
        *LOGIN,
        turn(
            ("PASV", "227 Entering Passive Mode (10,11,12,13,{high},{low})."),
            ("STOR /a", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /a", "213 5")),
    ]
    assert run_script(script, {"a": b"12345"}, ServerProfile(epsv=False))["a"] == stored(
        b"12345", None
    )


@pytest.mark.parametrize(
    "answer",
    ["229 no port at all", "229 (|||99999999|)", "229 (|||0|)", "227 (127,0,0,1,400,1)", "200 ok"],
)
def test_a_passive_reply_that_makes_no_sense_loses_the_session(answer: str, tmp_path: Path) -> None:
    script = [*LOGIN, turn(("EPSV", answer), ("STOR /a", "425 no data connection"))]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        uploads = [Upload(make_file(tmp_path, "a", b"1"), "/a")]
        with pytest.raises(SessionLost):
            outcomes(session, uploads)
        assert session.lost


LOSSES: dict[str, list[Turn]] = {
    "421 to EPSV": [turn(("EPSV", "421 Timeout", HANG_UP), ("STOR /b",))],
    "421 to STOR": [turn(EPSV, ("STOR /b", "421 Shutting down", HANG_UP))],
    "421 after the data": [turn(EPSV, ("STOR /b", "150 go", RECEIVE, "421 Timeout", HANG_UP))],
    "hung up after the data": [turn(EPSV, ("STOR /b", "150 go", RECEIVE, HANG_UP))],
    "hung up in the data": [turn(EPSV, ("STOR /b", "150 go", Receive(10), HANG_UP))],
    "garbage": [turn(EPSV, ("STOR /b", "150 go", RECEIVE, "done, I think"))],
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_session_that_ends_in_the_middle_leaves_outcomes_only_of_what_is_certain(
    loss: str, tmp_path: Path
) -> None:
    script = [*LOGIN, turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done"))]
    ending = LOSSES[loss][0]
    script.append(turn(("SIZE /a", "213 1"), *ending.exchanges))
    # b is large, so that the server's leaving shows while it is sent.
    files = {"a": b"1", "b": b"2" * 20_000_000, "c": b"3"}
    uploads = [Upload(make_file(tmp_path, n, content), f"/{n}") for n, content in files.items()]
    got: dict[str, Outcome] = {}
    with ScriptedServer(script) as server:
        session = Session(scripted_endpoint(server))
        session.open(USER, Secret(PASSWORD))
        running = upload_files(session, uploads)
        with pytest.raises(SessionLost):
            got.update((upload.found.path, outcome) for upload, outcome in running)
        assert session.lost
        session.leave()
    assert set(got) <= {"a"}
    assert all(isinstance(outcome, Stored) for outcome in got.values())


def whole(path: str, content: bytes) -> Part:
    return Part(f"/{path}", len(content), len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("lost", ["the reply to the last byte", "the replies behind it"])
def test_a_file_whose_last_byte_was_sent_is_kept_when_the_session_is_lost(
    lost: str, tmp_path: Path
) -> None:
    """So the next attempt looks whether it is there, instead of sending it again."""
    script = [*LOGIN, turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done"))]
    script.append(
        turn(("SIZE /a", "213 2"), EPSV, ("STOR /b", "150 go", RECEIVE, HANG_UP))
        if lost == "the reply to the last byte"
        else turn(("SIZE /a", HANG_UP))
    )
    kept: dict[str, Part] = {}
    conduct = Conduct(keep=lambda upload, part: kept.update({upload.found.path: part}))
    uploads = [Upload(make_file(tmp_path, n, n.encode() * 2), f"/{n}") for n in "ab"]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        got: list[Outcome] = []
        with pytest.raises(SessionLost):
            got.extend(outcome for _, outcome in upload_files(session, uploads, conduct))
    if lost == "the reply to the last byte":
        assert (len(got), kept) == (1, {"b": whole("b", b"bb")})
    else:
        assert (got, kept) == ([], {"a": whole("a", b"aa")})


def test_size_and_time_travel_in_front_of_the_next_transfer() -> None:
    """Also that nothing is sent behind a running STOR, and both commands leave together."""
    script = [
        *login("EPSV", "SIZE", "MFMT"),
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(
            ("SIZE /a", "213 1"),
            ("MFMT 20140513165320 /a", "213 Modify=20140513165320; /a"),
            EPSV,
            ("STOR /b", "150 go", RECEIVE, "226 done"),
        ),
        turn(("SIZE /b", "213 2"), ("MFMT 20140513165320 /b", "213 Modify=20140513165320; /b")),
    ]
    assert run_script(script, {"a": b"1", "b": b"22"}) == {"a": stored(b"1"), "b": stored(b"22")}


def test_a_caller_that_leaves_in_the_middle_leaves_a_session_that_is_lost(tmp_path: Path) -> None:
    """By the time that a's outcome is known, b's transfer is open."""
    script = [
        *LOGIN,
        turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /a", "213 1"), EPSV, ("STOR /b", "150 go", RECEIVE)),
    ]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        uploads = [Upload(make_file(tmp_path, name, b"1"), f"/{name}") for name in "abc"]
        running = upload_files(session, uploads)
        assert next(running)[0] is uploads[0]
        running.close()
        assert session.lost
