"""What downloads make of servers that cannot be installed: the dialogue, line by line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from siteferry.errors import (
    NotFound,
    PermanentReply,
    SessionLost,
    SiteferryError,
    TransferMismatch,
    TransientReply,
)
from siteferry.ftp.download import Download, Fetched, download_files
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.landing import PART_PREFIX
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.session import Session
from siteferry.secret import Secret
from tests.servers.scripted import (
    CLOSE_DATA_PORT,
    EPSV,
    HANG_UP,
    LOGIN,
    PASSWORD,
    PASV,
    USER,
    Deliver,
    ScriptedServer,
    Turn,
    login,
    turn,
)
from tests.servers.sessions import MTIME, scripted_endpoint, scripted_session

FULL_LOGIN = login("EPSV", "SIZE", "MDTM", "REST STREAM", "UTF8")
STAMP = "20140513165320"
IN_STEP = turn(("NOOP", "200 nothing done"))

Outcomes = dict[str, Fetched | SiteferryError]


def run_script(
    script: list[Turn], *downloads: Download, profile: ServerProfile | None = None
) -> Outcomes:
    """Fetch on a scripted server; the session must be in sync at the end."""
    with ScriptedServer(script) as server, scripted_session(server, profile) as session:
        result = {one.local.name: outcome for one, outcome in download_files(session, downloads)}
        assert not session.lost
        return result


def of(folder: Path, name: str, **known: int | bool) -> Download:
    return Download(f"/{name}", folder / name, **known)  # type: ignore[arg-type]


def fetched(content: bytes, mtime: int | None = None) -> Fetched:
    return Fetched(len(content), hashlib.sha256(content).hexdigest(), mtime)


def retr(name: str, content: bytes, size: str = "", final: str = "226 done") -> Turn:
    return turn(
        (f"SIZE /{name}", size or f"213 {len(content)}"),
        EPSV,
        (f"RETR /{name}", "150 go", Deliver(content), final),
    )


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_size_and_time_are_asked_for_in_front_of_the_transfer(tmp_path: Path) -> None:
    """Also that all leave together, and that nothing is sent behind a running RETR."""
    script = [
        *FULL_LOGIN,
        turn(
            ("SIZE /a", "213 1"),
            ("MDTM /a", f"213 {STAMP}.5"),
            EPSV,
            ("RETR /a", "150 go", Deliver(b"1"), "226 done"),
        ),
        turn(
            ("MDTM /b", f"213 {STAMP}"),
            EPSV,
            ("RETR /b", "150 go", Deliver(b"22"), "226 done"),
        ),
        turn(EPSV, ("RETR /c", "150 go", Deliver(b"333"), "226 done")),
    ]
    downloads = [of(tmp_path, "a"), of(tmp_path, "b", size=2), of(tmp_path, "c", size=3, mtime=7)]
    assert run_script(script, *downloads) == {
        "a": fetched(b"1", MTIME),
        "b": fetched(b"22", MTIME),
        "c": fetched(b"333", 7),
    }
    assert {path.name: int(path.stat().st_mtime) for path in tmp_path.iterdir()} == {
        "a": MTIME, "b": MTIME, "c": 7
    }  # fmt: skip


def test_less_than_its_size_is_a_mismatch_though_the_server_says_226(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    script = [*LOGIN, retr("a", b"1", size="213 4"), retr("b", b"22")]
    result = run_script(script, of(tmp_path, "a"), of(tmp_path, "b"))
    assert isinstance(result["a"], TransferMismatch)
    assert "1 bytes have come, it should be 4" in result["a"].message
    assert result["b"] == fetched(b"22")
    assert names_in(tmp_path) == {"a", "b"}
    assert (tmp_path / "a").read_text() == "before"


def test_more_than_its_size_is_a_mismatch_though_the_server_says_226(tmp_path: Path) -> None:
    script = [*LOGIN, retr("a", b"12345", size="213 4"), retr("b", b"22")]
    result = run_script(script, of(tmp_path, "a"), of(tmp_path, "b"))
    assert isinstance(result["a"], TransferMismatch)
    assert result["b"] == fetched(b"22")
    assert names_in(tmp_path) == {"b"}


def test_a_file_without_end_is_given_up(tmp_path: Path) -> None:
    script = [
        *LOGIN,
        turn(("SIZE /a", "213 4"), EPSV, ("RETR /a", "150 go", Deliver(bytes(1_000_000)))),
    ]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        ((_, outcome),) = download_files(session, [of(tmp_path, "a")])
        assert session.lost
    assert isinstance(outcome, TransferMismatch)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("final", ["426 aborted", "450 not so", "451 Error during close"])
def test_a_whole_file_is_whole_whatever_the_server_says_of_the_connection(
    final: str, tmp_path: Path
) -> None:
    script = [*LOGIN, retr("a", b"four", final=final), retr("b", b"22")]
    result = run_script(script, of(tmp_path, "a"), of(tmp_path, "b"))
    assert result == {"a": fetched(b"four"), "b": fetched(b"22")}
    assert (tmp_path / "a").read_bytes() == b"four"


@pytest.mark.parametrize(
    ("size", "final"),
    [
        ("213 5", "426 aborted"),
        ("500 no SIZE", "426 aborted"),
        ("213 4", "425 session not reused"),
        ("213 4", "550 what was that"),
    ],
)
def test_a_refusal_at_the_end_counts_where_the_size_does_not_speak_against_it(
    size: str, final: str, tmp_path: Path
) -> None:
    script = [*LOGIN, retr("a", b"four", size=size, final=final), retr("b", b"22")]
    result = run_script(script, of(tmp_path, "a"), of(tmp_path, "b"))
    refused = result["a"]
    assert isinstance(refused, TransientReply | PermanentReply)
    assert refused.reply == final
    assert result["b"] == fetched(b"22")
    assert names_in(tmp_path) == {"b"}


@pytest.mark.parametrize("answer", ["500 what?", "550 no", "213 many", "213 -4", "213"])
def test_a_server_without_size_is_believed_with_its_226(answer: str, tmp_path: Path) -> None:
    result = run_script([*LOGIN, retr("a", b"four", size=answer)], of(tmp_path, "a"))
    assert result == {"a": fetched(b"four")}


@pytest.mark.parametrize("answer", ["500 what?", "550 no", "213 today", "213 20140230000000"])
def test_a_server_that_tells_no_time_gives_a_file_without(answer: str, tmp_path: Path) -> None:
    script = [
        *FULL_LOGIN,
        turn(
            ("SIZE /a", "213 1"),
            ("MDTM /a", answer),
            EPSV,
            ("RETR /a", "150 go", Deliver(b"1"), "226 done"),
        ),
    ]
    assert run_script(script, of(tmp_path, "a")) == {"a": fetched(b"1")}


def test_a_time_that_no_file_can_have_is_no_reason_to_refuse_the_file(tmp_path: Path) -> None:
    script = [*LOGIN, turn(EPSV, ("RETR /a", "150 go", Deliver(b"1"), "226 done"))]
    result = run_script(script, of(tmp_path, "a", size=1, mtime=10**30))
    assert result == {"a": fetched(b"1")}


def test_a_refusal_that_leaves_the_data_port_open_is_that_files_outcome(tmp_path: Path) -> None:
    """vsftpd and Pure-FTPd do: the kernel takes the connection."""
    refused = turn(("SIZE /a", "550 no"), EPSV, ("RETR /a", "550 /a: No such file or directory"))
    result = run_script([*LOGIN, refused, retr("b", b"22")], of(tmp_path, "a"), of(tmp_path, "b"))
    assert isinstance(result["a"], NotFound)
    assert result["b"] == fetched(b"22")
    assert names_in(tmp_path) == {"b"}


def test_a_refusal_that_has_closed_the_data_port_is_that_files_outcome(tmp_path: Path) -> None:
    refused = turn(
        ("SIZE /a", "213 5"),
        ("EPSV", "229 Entering Extended Passive Mode (|||{port}|)", CLOSE_DATA_PORT),
        ("RETR /a", "450 busy"),
    )
    result = run_script([*LOGIN, refused, retr("b", b"22")], of(tmp_path, "a"), of(tmp_path, "b"))
    assert isinstance(result["a"], TransientReply)
    assert result["b"] == fetched(b"22")


def test_where_epsv_is_refused_the_answers_in_front_of_it_still_count(tmp_path: Path) -> None:
    script = [
        *LOGIN,
        turn(("SIZE /a", "213 9"), ("EPSV", "500 what?"), ("RETR /a", "425 no data connection")),
        IN_STEP,
        turn(PASV, ("RETR /a", "150 go", Deliver(b"1"), "226 done")),
    ]
    profile = ServerProfile()
    result = run_script(script, of(tmp_path, "a"), profile=profile)
    assert isinstance(result["a"], TransferMismatch)
    assert not profile.epsv


LOSSES: dict[str, list[Turn]] = {
    "421 to SIZE": [turn(("SIZE /b", "421 Timeout", HANG_UP), ("EPSV",), ("RETR /b",))],
    "421 to RETR": [turn(("SIZE /b", "213 2"), EPSV, ("RETR /b", "421 Shutting down", HANG_UP))],
    "421 after the data": [retr("b", b"22", final="421 Timeout")],
    "hung up after the data": [
        turn(("SIZE /b", "213 2"), EPSV, ("RETR /b", "150 go", Deliver(b"22"), HANG_UP))
    ],
    "hung up in the data": [
        turn(("SIZE /b", "213 9"), EPSV, ("RETR /b", "150 go", Deliver(b"22"), HANG_UP))
    ],
    "garbage": [retr("b", b"22", final="done, I think")],
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_session_that_ends_in_the_middle_leaves_the_files_before_and_nothing_of_this_one(
    loss: str, tmp_path: Path
) -> None:
    (tmp_path / "b").write_text("before")
    script = [*LOGIN, retr("a", b"1"), *LOSSES[loss]]
    got: Outcomes = {}
    with ScriptedServer(script) as server, scripted_session(server) as session:
        running = download_files(session, [of(tmp_path, name) for name in "abc"])
        with pytest.raises(SessionLost):
            got.update((one.local.name, outcome) for one, outcome in running)
        assert session.lost
    assert got == {"a": fetched(b"1")}
    assert names_in(tmp_path) == {"a", "b"}
    assert (tmp_path / "b").read_text() == "before"


def test_a_transfer_in_which_nothing_comes_loses_the_session_at_its_deadline(
    tmp_path: Path,
) -> None:
    script = [*LOGIN, turn(("SIZE /a", "213 2"), EPSV, ("RETR /a", "150 go"))]
    with ScriptedServer(script) as server:
        session = Session(scripted_endpoint(server, deadlines=Deadlines(3, 3, 0.1)))
        session.open(USER, Secret(PASSWORD))
        with pytest.raises(SessionLost, match="fetching /a stalled"):
            list(download_files(session, [of(tmp_path, "a")]))
        assert session.lost
    assert names_in(tmp_path) == set()


# -- going on in the middle ----------------------------------------------------------------------


def resumable(folder: Path) -> Download:
    return of(folder, "a", size=10, mtime=MTIME, resume=True)


UNCHANGED = turn(("SIZE /a", "213 10"), ("MDTM /a", f"213 {STAMP}"))
BEGUN = turn(EPSV, ("RETR /a", "150 go", Deliver(b"0123"), HANG_UP))


def go_on(folder: Path, *turns: Turn) -> Outcomes:
    """A session that is lost after four of ten bytes, and then one that plays `turns`."""
    one = resumable(folder)
    with ScriptedServer([*FULL_LOGIN, BEGUN], further=[[*FULL_LOGIN, *turns]]) as server:
        with scripted_session(server) as session, pytest.raises(SessionLost):
            list(download_files(session, [one]))
        assert [path.read_bytes() for path in folder.iterdir()] == [b"0123"]
        with scripted_session(server) as session:
            downloads = [one, of(folder, "b")]
            result = {d.local.name: o for d, o in download_files(session, downloads)}
            assert not session.lost
    return result


NEXT = turn(
    ("SIZE /b", "213 2"),
    ("MDTM /b", f"213 {STAMP}"),
    EPSV,
    ("RETR /b", "150 go", Deliver(b"22"), "226 done"),
)


def test_what_has_come_is_not_asked_for_again(tmp_path: Path) -> None:
    rest = turn(
        ("REST 4", "350 from 4"), EPSV, ("RETR /a", "150 go", Deliver(b"456789"), "226 done")
    )
    result = go_on(tmp_path, UNCHANGED, rest, NEXT)
    assert result == {"a": fetched(b"0123456789", MTIME), "b": fetched(b"22", MTIME)}
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    assert names_in(tmp_path) == {"a", "b"}


@pytest.mark.parametrize(
    "now", [("213 11", f"213 {STAMP}"), ("213 10", "213 20140513165321"), ("500 what", "500 what")]
)
def test_a_file_that_is_another_now_begins_anew(now: tuple[str, str], tmp_path: Path) -> None:
    asked = turn(("SIZE /a", now[0]), ("MDTM /a", now[1]))
    whole = turn(EPSV, ("RETR /a", "150 go", Deliver(b"abcdefghij"), "226 done"))
    assert go_on(tmp_path, asked, whole, NEXT)["a"] == fetched(b"abcdefghij", MTIME)


def test_where_rest_is_refused_the_file_begins_anew(tmp_path: Path) -> None:
    whole = turn(
        ("REST 4", "502 no"), EPSV, ("RETR /a", "150 go", Deliver(b"0123456789"), "226 done")
    )
    assert go_on(tmp_path, UNCHANGED, whole, NEXT)["a"] == fetched(b"0123456789", MTIME)


def test_a_server_that_ignores_rest_is_found_out_and_the_part_thrown_away(tmp_path: Path) -> None:
    ignored = turn(
        ("REST 4", "350 yes"), EPSV, ("RETR /a", "150 go", Deliver(b"0123456789"), "226 done")
    )
    result = go_on(tmp_path, UNCHANGED, ignored, NEXT)
    assert isinstance(result["a"], TransferMismatch)
    assert names_in(tmp_path) == {"b"}


def test_a_refused_restart_does_not_hold_for_the_next_file(tmp_path: Path) -> None:
    """Where RETR was never carried out, a server may still keep the restart point."""
    refused = turn(("REST 4", "350 yes"), EPSV, ("RETR /a", "554 too far", CLOSE_DATA_PORT))
    reset = turn(("REST 0", "350 from 0"))
    result = go_on(tmp_path, UNCHANGED, refused, reset, NEXT)
    assert isinstance(result["a"], PermanentReply)
    assert result["b"] == fetched(b"22", MTIME)
    assert names_in(tmp_path) == {"b"}


def test_a_part_survives_what_may_pass(tmp_path: Path) -> None:
    busy = turn(("REST 4", "350 yes"), EPSV, ("RETR /a", "450 busy", CLOSE_DATA_PORT))
    result = go_on(tmp_path, UNCHANGED, busy, turn(("REST 0", "350 from 0")), NEXT)
    assert isinstance(result["a"], TransientReply)
    (part,) = [path for path in tmp_path.iterdir() if path.name.startswith(PART_PREFIX)]
    assert part.read_bytes() == b"0123"


def test_without_rest_among_the_features_nothing_is_kept(tmp_path: Path) -> None:
    script = [*login("EPSV", "SIZE", "MDTM"), BEGUN]
    with (
        ScriptedServer(script) as server,
        scripted_session(server) as session,
        pytest.raises(SessionLost),
    ):
        list(download_files(session, [resumable(tmp_path)]))
    assert names_in(tmp_path) == set()
