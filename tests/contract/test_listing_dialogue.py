"""What listings make of servers that cannot be installed: the dialogue, line by line."""

from __future__ import annotations

import pytest

from siteferry.errors import (
    ListingDamaged,
    NotFound,
    PermanentReply,
    SessionLost,
    SiteferryError,
    TransientReply,
)
from siteferry.ftp import listing
from siteferry.ftp.facts import Entry
from siteferry.ftp.listing import list_directories
from tests.servers.scripted import (
    CLOSE_DATA_PORT,
    EPSV,
    HANG_UP,
    LOGIN,
    Deliver,
    ScriptedServer,
    Turn,
    login,
    turn,
)
from tests.servers.sessions import scripted_session

MLSD_LOGIN = login("EPSV", "SIZE", "MLST type*;size*;modify*;", "UTF8")
ONE = b"type=file;size=1; one\r\n"
DOT = b"drwxr-xr-x   10 1        1            4096 Nov 24 05:45 .\r\n"
FILE = b"-rw-r--r--    1 1        1               1 Nov 24 05:45 one\r\n"


def mlsd(path: str, content: bytes, final: str = "226 done") -> Turn:
    return turn(EPSV, (f"MLSD {path}", "150 go", Deliver(content), final))


def by_list(path: str, content: bytes, final: str = "226 done", argument: str = "-a") -> Turn:
    return turn(
        (f"CWD {path}", "250 there"),
        EPSV,
        (f"LIST {argument}", "150 go", Deliver(content), final),
    )


def run_script(script: list[Turn], *paths: str) -> list[list[Entry] | SiteferryError]:
    """List `paths` on a scripted server; the session must be in sync at the end."""
    with ScriptedServer(script) as server, scripted_session(server) as session:
        outcomes = list(list_directories(session, paths))
        assert not session.lost
    assert [path for path, _ in outcomes] == list(paths)
    return [outcome for _, outcome in outcomes]


@pytest.mark.parametrize("final", ["426 aborted", "451 disk error", "550 gone", "500 what"])
def test_a_listing_that_does_not_end_in_2yz_is_an_error_whatever_has_come(final: str) -> None:
    script = [*MLSD_LOGIN, mlsd("/a", ONE, final), mlsd("/b", ONE)]
    broken, whole = run_script(script, "/a", "/b")
    assert isinstance(broken, SiteferryError)
    assert broken.reply == final
    assert whole == [Entry("one", "file", 1)]


def test_a_listing_whose_last_line_is_cut_is_an_error_though_it_says_226() -> None:
    script = [*MLSD_LOGIN, mlsd("/a", ONE + b"type=file;size=1; tw"), mlsd("/b", ONE)]
    broken, whole = run_script(script, "/a", "/b")
    assert isinstance(broken, ListingDamaged)
    assert whole == [Entry("one", "file", 1)]


@pytest.mark.parametrize(
    "final",
    [
        "226 Output truncated to 10000 matches",
        "226 Transfer done (but failed to open directory).",
        "226-Sorry, we were unable to read [.]\r\n226 0 matches total",
    ],
)
def test_a_226_that_says_that_something_is_missing_is_an_error(final: str) -> None:
    broken, whole = run_script([*MLSD_LOGIN, mlsd("/a", ONE, final), mlsd("/b", ONE)], "/a", "/b")
    assert isinstance(broken, ListingDamaged)
    assert broken.reply
    assert whole == [Entry("one", "file", 1)]


@pytest.mark.parametrize(
    "line",
    [b"no facts at all", b"type=file; ../../etc/passwd", b"type=dir; a/b", b"type=file;size=x; a"],
)
def test_one_line_that_makes_no_sense_damages_the_listing_and_names_it(line: bytes) -> None:
    script = [*MLSD_LOGIN, mlsd("/a", ONE + line + b"\r\n" + ONE), mlsd("/b", ONE)]
    broken, whole = run_script(script, "/a", "/b")
    assert isinstance(broken, ListingDamaged)
    assert "/a" in broken.message
    assert line.decode() in (broken.reply or "")
    assert whole == [Entry("one", "file", 1)]


def test_a_line_feed_alone_ends_a_line() -> None:
    content = b"type=file;size=1; one\ntype=dir; two\n"
    assert run_script([*MLSD_LOGIN, mlsd("/a", content)], "/a") == [
        [Entry("one", "file", 1), Entry("two", "directory")]
    ]


def test_an_empty_listing_of_what_cannot_be_entered_is_an_error() -> None:
    script = [
        *MLSD_LOGIN,
        mlsd("/a", b""),
        turn(("CWD /a", "550 /a: Permission denied")),
        mlsd("/b", b""),
        turn(("CWD /b", "250 there")),
    ]
    closed, empty = run_script(script, "/a", "/b")
    assert isinstance(closed, PermanentReply)
    assert "read" in closed.next_step
    assert empty == []


def test_a_refusal_that_leaves_the_data_port_open_is_that_directorys_error() -> None:
    """vsftpd and Pure-FTPd do: the kernel takes the connection."""
    script = [
        *MLSD_LOGIN,
        turn(EPSV, ("MLSD /a", "550 /a: No such file or directory")),
        turn(EPSV, ("MLSD /b", "450 busy", CLOSE_DATA_PORT)),
        mlsd("/c", ONE),
    ]
    missing, busy, whole = run_script(script, "/a", "/b", "/c")
    assert isinstance(missing, NotFound)
    assert isinstance(busy, TransientReply)
    assert whole == [Entry("one", "file", 1)]


def test_a_session_that_ends_in_the_middle_ends_with_what_is_certain() -> None:
    script = [
        *MLSD_LOGIN,
        mlsd("/a", ONE),
        turn(EPSV, ("MLSD /b", "150 go", Deliver(ONE), HANG_UP)),
    ]
    got = []
    with ScriptedServer(script) as server, scripted_session(server) as session:
        running = list_directories(session, ["/a", "/b", "/c"])
        with pytest.raises(SessionLost):
            got.extend(running)
        assert session.lost
    assert got == [("/a", [Entry("one", "file", 1)])]


def test_a_listing_beyond_its_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LARGEST_LISTING_BYTES", 100_000)
    script = [*MLSD_LOGIN, turn(EPSV, ("MLSD /a", "150 go", Deliver(ONE * 10_000)))]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        ((_, outcome),) = list_directories(session, ["/a"])
        assert session.lost
    assert isinstance(outcome, ListingDamaged)
    assert "larger than 100000 bytes" in outcome.message


def test_a_listing_of_too_many_entries_or_too_long_a_line_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MOST_ENTRIES", 10)
    long = b"type=file;x=" + b"y" * listing.LONGEST_LINE_BYTES + b"; one\r\n"
    script = [*MLSD_LOGIN, mlsd("/a", ONE * 11), mlsd("/b", long), mlsd("/c", ONE * 10)]
    many, line, whole = run_script(script, "/a", "/b", "/c")
    assert isinstance(many, ListingDamaged)
    assert isinstance(line, ListingDamaged)
    assert isinstance(whole, list)
    assert len(whole) == 10


# -- LIST ----------------------------------------------------------------------------------------


def test_a_server_without_mlsd_is_asked_for_the_directory_it_stands_in() -> None:
    script = [*LOGIN, by_list("/a b", DOT + FILE), by_list("/*", b"total 4\r\n" + DOT)]
    assert run_script(script, "/a b", "/*") == [[Entry("one", "file", 1)], []]


def test_what_is_listed_after_a_refused_cwd_is_another_directory() -> None:
    script = [
        *LOGIN,
        turn(
            ("CWD /a", "550 /a: No such file or directory"),
            EPSV,
            ("LIST -a", "150 go", Deliver(DOT + FILE), "226 done"),
        ),
        by_list("/b", DOT),
    ]
    missing, empty = run_script(script, "/a", "/b")
    assert isinstance(missing, NotFound)
    assert empty == []


def test_nothing_at_all_from_a_server_that_lists_the_directory_itself_is_an_error() -> None:
    """ProFTPD, of a directory that it cannot read: 226, and nothing."""
    script = [*LOGIN, by_list("/a", DOT + FILE), by_list("/b", b""), by_list("/c", DOT)]
    whole, unread, empty = run_script(script, "/a", "/b", "/c")
    assert whole == [Entry("one", "file", 1)]
    assert isinstance(unread, ListingDamaged)
    assert empty == []


def test_nothing_at_all_at_first_is_compared_with_the_root() -> None:
    nothing = [by_list("/a", b""), by_list("/a", b"", argument=".")]
    (unread,) = run_script([*LOGIN, *nothing, by_list("/", DOT)], "/a")
    assert isinstance(unread, ListingDamaged)
    (empty,) = run_script([*LOGIN, *nothing, by_list("/", FILE)], "/a")
    assert empty == []
    closed = turn(("CWD /", "250 there"), EPSV, ("LIST -a", "550 no", CLOSE_DATA_PORT))
    (unread,) = run_script([*LOGIN, *nothing, closed], "/a")
    assert isinstance(unread, ListingDamaged)


@pytest.mark.parametrize(
    "answer", [("550 -a: No such file or directory",), ("150 go", Deliver(b""), "226 done")]
)
def test_a_server_that_takes_the_option_for_a_path_is_asked_without(
    answer: tuple[str | Deliver, ...],
) -> None:
    script = [
        *LOGIN,
        turn(("CWD /a", "250 there"), EPSV, ("LIST -a", *answer)),
        by_list("/a", FILE, argument="."),
        by_list("/b", FILE, argument="."),
    ]
    assert run_script(script, "/a", "/b") == [[Entry("one", "file", 1)]] * 2


def test_a_listing_in_the_form_of_dos_is_read() -> None:
    content = b"11-24-26  05:45AM       <DIR>          x\r\n11-24-26  05:45PM         12 y z\r\n"
    assert run_script([*LOGIN, by_list("/a", content)], "/a") == [
        [Entry("x", "directory"), Entry("y z", "file", 12)]
    ]


def test_a_list_that_does_not_end_in_2yz_is_an_error_whatever_has_come() -> None:
    script = [*LOGIN, by_list("/a", DOT + FILE, "451 disk error"), by_list("/b", DOT + FILE)]
    broken, whole = run_script(script, "/a", "/b")
    assert isinstance(broken, TransientReply)
    assert whole == [Entry("one", "file", 1)]
