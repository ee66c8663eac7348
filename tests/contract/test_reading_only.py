"""A session that only reads: what passes, and that nothing else reaches a server."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteferry.errors import PathRefused, SafetyLimit
from siteferry.ftp.checksums import download_digest
from siteferry.ftp.directories import make_directories, remove_tree
from siteferry.ftp.documents import read_document, write_document
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.listing import list_directories
from siteferry.ftp.reading_only import READING_VERBS, ReadingOnly, is_reading, reading_only
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import open_transfer
from siteferry.ftp.upload import Upload, upload_files
from siteferry.secret import Secret
from tests.servers.base import FtpServer
from tests.servers.scripted import LOGIN, ScriptedServer, turn
from tests.servers.sessions import (
    endpoint_of,
    make_file,
    plant,
    scripted_session,
    session_on,
)
from tests.servers.wire import WireProxy

# -- which lines pass ----------------------------------------------------------------------------

WRITING_VERBS = [
    *("STOR", "STOU", "APPE", "DELE", "RMD", "XRMD", "MKD", "XMKD", "RNFR", "RNTO", "SITE", "MFMT"),
    *(
        "MFCT",
        "MFF",
        "ALLO",
        "SMNT",
        "REIN",
        "ACCT",
        "COMB",
        "RMDA",
        "THMB",
        "CSID",
        "ABOR",
        "XCWD",
    ),
]
ANY_CASE = st.sampled_from([str.upper, str.lower, str.title, str.swapcase])
BLANKS = st.text(" \t\v\f\x1c\x85\xa0", max_size=3)


def line_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass") + b"\r\n"


@given(st.text(max_size=12), BLANKS, st.text(max_size=20))
@example("STOR", "", "")
@example("RETRX", "", "a")
@example("", "", "RETR a")
def test_no_line_passes_whose_verb_is_not_on_the_list(verb: str, before: str, rest: str) -> None:
    line = line_of(f"{before}{verb} {rest}")
    first = line.split(b" ")[0].split(b"\r\n")[0]
    if first.decode("latin-1").upper() not in READING_VERBS:
        assert not is_reading(line)


@given(st.sampled_from(WRITING_VERBS), ANY_CASE, BLANKS, st.sampled_from(" \t\0\r\n"), st.text())
def test_no_writing_verb_passes_whatever_its_case_and_spaces(
    verb: str, case: Callable[[str], str], before: str, after: str, rest: str
) -> None:
    assert not is_reading(line_of(f"{before}{case(verb)}{after}{rest}"))


@given(st.sampled_from(sorted(READING_VERBS)), st.sampled_from(WRITING_VERBS), st.text(max_size=5))
def test_no_second_command_hides_behind_a_reading_one(
    reading: str, writing: str, between: str
) -> None:
    for mark in ("\r\n", "\n", "\r", "\0"):
        assert not is_reading(line_of(f"{reading} /a{between}{mark}{writing} /b"))
        assert not is_reading(line_of(f"{reading}{mark}{writing} /b"))
    assert not is_reading(line_of(f"{reading}\t{writing} /b"))


@given(st.sampled_from(sorted(READING_VERBS)), ANY_CASE)
def test_reading_verbs_pass_in_either_case(verb: str, case: Callable[[str], str]) -> None:
    assert is_reading(line_of(f"{case(verb)} /a b/ü"))
    assert is_reading(line_of(case(verb))) or verb == "MDTM"


@pytest.mark.parametrize(
    "line",
    [
        "MDTM 20200102030405 /a",
        "mdtm 20200102030405 /a",
        "MDTM 20200102 a",
        "MDTM  20200102030405 /a",
        "MDTM 20200102030405.123 /a",
        "MDTM +20200102030405 /a",
        "MDTM a",
        "MDTM",
    ],
)
def test_a_question_for_a_time_passes_only_where_it_cannot_set_one(line: str) -> None:
    assert not is_reading(line_of(line))
    assert is_reading(b"MDTM /20200102030405 a\r\n")


@pytest.mark.parametrize("line", [b"", b"\r\n", b" \r\n", b"NOOP", b"NOOP\n", b"NOOP\r\n\r\n"])
def test_what_is_no_line_does_not_pass(line: bytes) -> None:
    assert not is_reading(line)


# -- on sessions ---------------------------------------------------------------------------------


@pytest.fixture
def proxy(ftp_server: FtpServer) -> Iterator[WireProxy]:
    """In front of a server with a file `a` and a directory `d`; sees each command in plain."""
    plant(ftp_server, "a", "d/")
    with WireProxy(ftp_server) as carrying:
        yield carrying


def changing(root: str) -> list[str]:
    """Commands that would each change something below `root`, on one server or another."""
    return [
        f"STOR {root}/new",
        f"APPE {root}/a",
        f"STOU {root}/new",
        f"DELE {root}/a",
        f"RMD {root}/d",
        f"MKD {root}/e",
        f"RNFR {root}/a",
        f"RNTO {root}/b",
        f"SITE CHMOD 600 {root}/a",
        f"MFMT 20200102030405 {root}/a",
        f"MDTM 20200102030405 {root}/a",
        f"dele {root}/a",
        f" DELE {root}/a",
    ]


def state(server: FtpServer) -> list[tuple[str, int, int, int]]:
    """Names, modes, sizes and times of everything on the server's side."""
    facts = [(path, path.lstat()) for path in sorted(server.root.rglob("*"))]
    return [(str(path), one.st_mode, one.st_size, one.st_mtime_ns) for path, one in facts]


def test_what_would_change_something_never_reaches_the_server(
    ftp_server: FtpServer, proxy: WireProxy
) -> None:
    before = state(ftp_server)
    with session_on(proxy.server) as session:
        arrived = len(proxy.commands)
        with reading_only(session):
            for command in changing(ftp_server.remote_root):
                with pytest.raises(ReadingOnly, match="was not sent: a dry run only reads"):
                    session.burst([command])
                with pytest.raises(ReadingOnly):
                    session.command(command, "changing")
                with pytest.raises(ReadingOnly):
                    session.putline(command)
            assert session.command("NOOP", "saying nothing").ok
        assert proxy.commands[arrived:] == ["NOOP"]
    assert state(ftp_server) == before


def test_our_own_ways_of_changing_do_not_either(
    ftp_server: FtpServer, proxy: WireProxy, tmp_path: Path
) -> None:
    root = ftp_server.remote_root
    upload = Upload(make_file(tmp_path, "new", b"new"), f"{root}/new")
    before = state(ftp_server)
    with session_on(proxy.server) as session, reading_only(session):
        arrived = len(proxy.commands)
        for change in (
            lambda: write_document(session, f"{root}/new", b"new"),
            lambda: list(upload_files(session, [upload])),
            lambda: make_directories(session, [f"{root}/e"]),
            lambda: remove_tree(session, f"{root}/d"),
            lambda: remove_tree(session, root),
            lambda: session.storbinary(f"STOR {root}/new", io.BytesIO(b"new")),
            lambda: session.delete(f"{root}/a"),
        ):
            with pytest.raises(ReadingOnly):
                change()
        assert not session.lost
        assert session.command("NOOP", "saying nothing").ok
        sent = proxy.commands[arrived:]
        assert all(is_reading(line_of(command)) for command in sent)
    assert state(ftp_server) == before


def reads(server: FtpServer) -> None:
    """Everything that reads, on a session that reads alone from before its login on."""
    root = server.remote_root
    session = Session(endpoint_of(server))
    with reading_only(session):
        session.open(server.user, Secret(server.password))
        ((_, entries),) = list_directories(session, [root])
        assert isinstance(entries, list)
        assert sorted(entry.name for entry in entries) == ["a", "d"]
        assert read_document(session, f"{root}/a") == b"a"
        assert download_digest(session, f"{root}/a").algorithm == "sha256"
        size, time = session.burst([f"SIZE {root}/a", f"MDTM {root}/a"])
        assert (size.code, time.code) == (213, 213)
        with pytest.raises(ReadingOnly):
            session.burst([f"DELE {root}/a"])
        session.leave()


def test_listing_and_reading_work_from_the_login_on(ftp_server: FtpServer) -> None:
    plant(ftp_server, "a", "d/")
    reads(ftp_server)


def test_listing_and_reading_work_over_tls(ftps_server: FtpServer) -> None:
    plant(ftps_server, "a", "d/")
    reads(ftps_server)


def test_a_burst_with_one_command_that_changes_is_not_sent_at_all() -> None:
    """Also when it is longer than what may be under way at a time."""
    with (
        ScriptedServer([*LOGIN, turn(("NOOP", "200 still here"))]) as server,
        scripted_session(server) as session,
        reading_only(session),
    ):
        for place in (0, 1500, 2999):
            burst = [f"SIZE /{number}" for number in range(3000)]
            burst[place] = "DELE /a"
            with pytest.raises(ReadingOnly, match="DELE was not sent"):
                session.burst(burst)
        # The script would fail if anything but this arrived.
        assert session.command("NOOP", "saying nothing").code == 200


def test_an_upload_whose_opening_is_one_write_leaves_the_session_as_it_was() -> None:
    with (
        ScriptedServer([*LOGIN, turn(("NOOP", "200 still here"))]) as server,
        scripted_session(server) as session,
        reading_only(session),
    ):
        with pytest.raises(ReadingOnly, match="STOR was not sent"):
            open_transfer(session, "STOR", "/a", "storing /a", ["SIZE /a"], confirmed=True)
        assert session.command("NOOP", "saying nothing").code == 200


def test_a_restart_point_that_was_set_makes_the_session_suspect(
    ftp_server: FtpServer, proxy: WireProxy
) -> None:
    """It would hold for the next RETR, which then would bring a part for the whole."""
    path = f"{ftp_server.remote_root}/a"
    with session_on(proxy.server) as session, reading_only(session):
        with pytest.raises(ReadingOnly):
            open_transfer(session, "STOR", path, "storing", confirmed=True, restart=1)
        assert session.lost
    with session_on(proxy.server) as session, reading_only(session):
        session.burst(["REST 1", "REST 0"])
        with pytest.raises(ReadingOnly):
            session.burst([f"DELE {path}"])
        assert read_document(session, path) == b"a"


def test_after_the_block_the_session_may_write_again(ftp_server: FtpServer) -> None:
    root = ftp_server.remote_root
    with session_on(ftp_server) as session:
        with reading_only(session), reading_only(session):
            pass
        with pytest.raises(PathRefused), reading_only(session):
            session.burst(["SIZE /a\r\nDELE /a"])
        assert session.command(f"MKD {root}/e", "making a directory").ok
    assert (ftp_server.root / "e").is_dir()


def test_leaving_an_inner_block_keeps_the_outer_one() -> None:
    with (
        ScriptedServer(LOGIN) as server,
        scripted_session(server) as session,
        reading_only(session),
    ):
        with reading_only(session):
            pass
        with pytest.raises(ReadingOnly):
            session.burst(["DELE /a"])


def test_the_refusal_ends_the_run_and_tells_no_more_than_the_verb() -> None:
    session = Session(Endpoint("127.0.0.1"))
    with reading_only(session), pytest.raises(SafetyLimit) as refused:
        session.burst(["ACCT Ferry-Tide-0001"])
    assert refused.value.ends_run
    assert str(refused.value).startswith("ACCT was not sent: a dry run only reads. Nothing was")
    with reading_only(session), pytest.raises(ReadingOnly, match=r"^\S{16} was not sent"):
        session.burst(["Ferry-Tide-0001" * 100])
