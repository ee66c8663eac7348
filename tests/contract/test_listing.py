"""Directories listed on every server: whole, or an error; three round trips for each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from siteferry.errors import ListingDamaged, PermanentReply, ReplyError, SiteferryError
from siteferry.ftp.directories import list_names
from siteferry.ftp.facts import Entry
from siteferry.ftp.listing import list_directories
from siteferry.ftp.session import Session
from tests.conftest import Servers
from tests.servers.base import FtpServer, remove_tree
from tests.servers.proxy import FtpProxy
from tests.servers.sessions import MTIME, give_to_the_server, plant, session_on

LATE = 5_000_000_000
"""In the year 2128, Unix seconds: LIST cannot tell it from one in the last months."""

NAMES = [
    " leading", ".dot", "..dots", "#hash", "100%", "%41", 'quo"te', "apo'strophe", "*?[a]",
    "~", "-", "ümläut 日本 🚢", "semi;colon=d; e", "a" * 200, "{brace}", "a -> b", "total 5",
    "$HOME", "20240101000000 file", "type=dir; f",
]  # fmt: skip


def listed(
    session: Session, server: FtpServer, *names: str
) -> dict[str, list[Entry] | SiteferryError]:
    """The outcome of each directory below the server's root, by its name."""
    paths = [f"{server.remote_root}/{name}".replace("//", "/") for name in names]
    outcomes = list(list_directories(session, paths))
    assert [path for path, _ in outcomes] == paths
    return dict(zip(names, (outcome for _, outcome in outcomes), strict=True))


def by_name(outcome: list[Entry] | SiteferryError) -> dict[str, Entry]:
    assert not isinstance(outcome, SiteferryError), outcome
    entries = {entry.name: entry for entry in outcome}
    assert len(entries) == len(outcome)
    return entries


def without_mlsd(session: Session) -> Session:
    """The same, of a server that does not know MLSD: the profile says so."""
    session.profile.features -= {"MLST", "MLSD"}
    return session


def plant_a_site(server: FtpServer) -> None:
    plant(server, "site/one/", "site/page", "site/empty", "site/.well-known/x", "none/")
    (server.root / "site/empty").write_bytes(b"")
    (server.root / "site/large").write_bytes(b"x" * 3_000_000)
    for name in ("page", "empty", "large", "one"):
        os.utime(server.root / "site" / name, (MTIME + 0.75, MTIME + 0.75))
    os.utime(server.root / "site/large", (LATE, LATE))
    (server.root / "site/to page").symlink_to("page")
    (server.root / "site/to one").symlink_to("one")
    os.mkfifo(server.root / "site/fifo")
    give_to_the_server(server.root)


def check_a_site(server: FtpServer, session: Session) -> None:
    machine = "MLST" in session.profile.features
    times = (MTIME, LATE) if machine else (None, None)
    found = listed(session, server, "site", "none", "site/one", "site/.well-known")
    site = by_name(found["site"])
    assert found["none"] == found["site/one"] == []
    assert list(by_name(found["site/.well-known"])) == ["x"]
    assert set(site) - {"fifo"} == {
        "one", "page", "empty", "large", ".well-known", "to page", "to one"
    }  # fmt: skip
    facts = {name: (e.kind, e.size, e.mtime) for name, e in site.items()}
    assert facts["page"] == ("file", len("site/page"), times[0])
    assert facts["empty"] == ("file", 0, times[0])
    assert facts["large"] == ("file", 3_000_000, times[1])
    assert facts["one"] == ("directory", None, times[0])
    assert site[".well-known"].kind == "directory"
    links = site["to page"].kind, site["to one"].kind
    if machine and server.kind == "pyftpd":  # follows them
        assert links == ("file", "directory")
    else:
        assert links == ("link", "link")
    if machine and server.kind in ("pyftpd", "proftpd"):  # call everything else a file
        assert site["fifo"].kind == "file"
    elif server.kind == "pureftpd" and not machine:  # leaves it out
        assert "fifo" not in site
    else:
        assert site["fifo"].kind == "other"
    if machine:
        assert len({entry.unique for entry in site.values() if entry.kind == "file"}) >= 3


def test_a_listing_tells_kind_size_and_time_of_every_entry(ftp_server: FtpServer) -> None:
    plant_a_site(ftp_server)
    with session_on(ftp_server) as session:
        assert ("MLST" in session.profile.features) == (ftp_server.kind != "vsftpd")
        check_a_site(ftp_server, session)
        assert not session.lost
        assert session.command("NOOP", "saying nothing").ok


def test_a_listing_over_tls_tells_the_same(ftps_server: FtpServer) -> None:
    plant_a_site(ftps_server)
    with session_on(ftps_server) as session:
        check_a_site(ftps_server, session)
        check_a_site(ftps_server, without_mlsd(session))
        assert session.command("NOOP", "saying nothing").ok


def test_a_server_without_mlsd_tells_kind_and_size_but_no_time(ftp_server: FtpServer) -> None:
    plant_a_site(ftp_server)
    with session_on(ftp_server) as session:
        check_a_site(ftp_server, without_mlsd(session))


@pytest.mark.parametrize("machine", [True, False], ids=["MLSD", "LIST"])
def test_names_of_every_kind_are_listed_and_lead_to_what_they_name(
    ftp_server: FtpServer, machine: bool
) -> None:
    names = [*NAMES, "tab\tbed", "back\\slash", "trailing "]
    plant(ftp_server, *(f"site/{name}" for name in names), *(f"{name}/in" for name in names))
    with session_on(ftp_server) as session:
        if not machine:
            without_mlsd(session)
        found = by_name(listed(session, ftp_server, "site")["site"])
        if ftp_server.kind == "pureftpd":
            names.remove("tab\tbed")  # hides names with control characters
        assert set(found) == set(names)
        for name in names:
            assert found[name] == Entry(
                name, "file", len(f"site/{name}".encode()), found[name].mtime, found[name].unique
            )
        if ftp_server.kind == "pureftpd":
            names.remove("back\\slash")  # lists such a name, and refuses every command with it
            names.remove("trailing ")  # takes the space off
        inside = listed(session, ftp_server, *names)
    assert {name: list(by_name(inside[name])) for name in names} == {n: ["in"] for n in names}


def test_a_name_that_is_no_utf8_is_told_by_its_bytes(ftp_server: FtpServer) -> None:
    """By the very ones, but for pyftpdlib, which writes a question mark."""
    raw = os.fsencode(ftp_server.root) + b"/lat\xfcin"
    with open(raw, "wb"):  # noqa: PTH123 - Path takes no bytes
        pass
    give_to_the_server(ftp_server.root)
    with session_on(ftp_server) as session:
        (name,) = by_name(listed(session, ftp_server, "")[""])
        sent = name.encode("utf-8", "surrogateescape")
    assert sent == (b"lat?in" if ftp_server.kind == "pyftpd" else b"lat\xfcin")


def test_a_name_in_latin_1_is_read_where_the_website_says_so(ftp_server: FtpServer) -> None:
    raw = os.fsencode(ftp_server.root) + b"/lat\xfcin"
    with open(raw, "wb"):  # noqa: PTH123
        pass
    with session_on(ftp_server, encoding="latin-1") as session:
        (name,) = by_name(listed(session, ftp_server, "")[""])
    assert name == ("lat?in" if ftp_server.kind == "pyftpd" else "latüin")


@pytest.mark.parametrize("machine", [True, False], ids=["MLSD", "LIST"])
def test_a_name_with_a_line_break_makes_the_listing_an_error_never_another_name(
    ftp_server: FtpServer, machine: bool
) -> None:
    plant(ftp_server, "broken/a\nb", "broken/c", "return/a\rb", "whole/c")
    with session_on(ftp_server) as session:
        if not machine:
            without_mlsd(session)
        found = listed(session, ftp_server, "broken", "return", "whole")
        assert session.command("NOOP", "saying nothing").ok
    assert list(by_name(found["whole"])) == ["c"]
    if ftp_server.kind == "pureftpd":  # hides such names
        assert list(by_name(found["broken"])) == ["c"]
        assert found["return"] == []
    else:
        assert isinstance(found["broken"], ListingDamaged)
        assert isinstance(found["return"], ListingDamaged)


@pytest.mark.parametrize("machine", [True, False], ids=["MLSD", "LIST"])
def test_what_cannot_be_listed_is_an_error_never_an_empty_listing(
    ftp_server: FtpServer, machine: bool
) -> None:
    """vsftpd, ProFTPD and Pure-FTPd answer LIST of a directory that they cannot read, and ProFTPD
    and pyftpdlib MLSD of one that they cannot enter, with 226 and nothing."""
    modes = {"closed": 0, "only entered": 0o311, "only read": 0o444}
    plant(ftp_server, "whole/c", "a file", *(f"{name}/in" for name in modes))
    for name, mode in modes.items():
        (ftp_server.root / name).chmod(mode)
    broken = [*modes, "missing", "missing/below", "a file"]
    with session_on(ftp_server) as session:
        if not machine:
            without_mlsd(session)
        found = listed(session, ftp_server, *broken, "whole")
        assert not session.lost
        assert session.command("NOOP", "saying nothing").ok
    assert list(by_name(found["whole"])) == ["c"]
    assert {name: isinstance(found[name], SiteferryError) for name in broken} == dict.fromkeys(
        broken, True
    )
    for name in ("closed", "only read", "missing", "missing/below", "a file"):
        refusal = found[name]
        assert isinstance(refusal, ReplyError)
        assert refusal.reply
        assert "write" not in refusal.next_step


def test_a_link_to_a_directory_lists_what_is_there(ftp_server: FtpServer) -> None:
    plant(ftp_server, "folder/in")
    (ftp_server.root / "link").symlink_to("folder")
    with session_on(ftp_server) as session:
        assert list(by_name(listed(session, ftp_server, "link")["link"])) == ["in"]
        without_mlsd(session)
        assert list(by_name(listed(session, ftp_server, "link")["link"])) == ["in"]


def test_a_large_directory_is_listed_whole(ftp_server: FtpServer) -> None:
    names = {f"a rather long name of a file, number {number:06}" for number in range(3000)}
    plant(ftp_server, "full/")
    for name in names:
        (ftp_server.root / "full" / name).touch()
    with session_on(ftp_server) as session:
        assert set(by_name(listed(session, ftp_server, "full")["full"])) == names
        without_mlsd(session)
        assert set(by_name(listed(session, ftp_server, "full")["full"])) == names


@pytest.mark.parametrize("machine", [True, False], ids=["MLSD", "LIST"])
def test_a_listing_that_the_server_cuts_short_is_an_error_though_it_says_226(
    pureftpd: Callable[..., FtpServer], machine: bool
) -> None:
    """Pure-FTPd ends a listing at 10,000 names, or fewer: "226 Output truncated to 10 matches"."""
    server = pureftpd(extra=["--limitrecursion", "10:5"])
    plant(server, *(f"full/{number}" for number in range(20)), "few/a", "few/b")
    with session_on(server) as session:
        if not machine:
            without_mlsd(session)
        found = listed(session, server, "full", "few")
    server.remove()
    assert isinstance(found["full"], ListingDamaged)
    assert "truncated to 10 matches" in (found["full"].reply or "")
    assert set(by_name(found["few"])) == {"a", "b"}


def test_listing_leaves_ftputil_and_the_session_as_they_were(ftp_server: FtpServer) -> None:
    plant(ftp_server, "folder/in", "page")
    with session_on(ftp_server) as session:
        before = list_names(session, ftp_server.remote_root)
        listed(session, ftp_server, "", "folder", "missing")
        listed(without_mlsd(session), ftp_server, "", "folder", "missing")
        assert list_names(session, ftp_server.remote_root) == before


def test_directories_are_taken_one_by_one_so_the_caller_may_stop(ftp_server: FtpServer) -> None:
    plant(ftp_server, "0/in", "1/in")
    taken: list[int] = []

    def endless() -> Iterator[str]:
        for number in range(10**6):
            taken.append(number)
            yield f"{ftp_server.remote_root}/{number}"

    with session_on(ftp_server) as session:
        running = list_directories(session, endless())
        assert [len(by_name(next(running)[1])) for _ in range(2)] == [1, 1]
        assert taken == [0, 1]
        assert session.command("NOOP", "saying nothing").ok


def test_a_path_that_cannot_be_sent_is_that_directorys_error(pyftpd_server: FtpServer) -> None:
    plant(pyftpd_server, "whole/c")
    with session_on(pyftpd_server) as session:
        found = listed(session, pyftpd_server, "a\r\nDELE b", "whole")
        assert session.command("NOOP", "saying nothing").ok
        assert isinstance(found["a\r\nDELE b"], SiteferryError)
        assert not isinstance(found["a\r\nDELE b"], PermanentReply)
        assert list(by_name(found["whole"])) == ["c"]


def test_the_end_of_a_listing_over_tls_does_not_wait_for_an_acknowledgement(
    servers: Servers,
) -> None:
    """Pure-FTPd has Nagle's algorithm on: 40 ms a listing, if the kernel delays what it owes."""
    count = 60
    server = servers.shared("pureftpd", tls=True).fresh()
    plant(server, *(f"{number}/file" for number in range(count)))
    with session_on(server) as session:
        began = time.monotonic()
        found = listed(session, server, *map(str, range(count)))
        seconds = time.monotonic() - began
    remove_tree(server.root)
    assert all(list(by_name(outcome)) == ["file"] for outcome in found.values())
    assert seconds < 0.03 * count


# -- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", [True, False], ids=["MLSD", "LIST"])
def test_a_directory_costs_three_round_trips(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, machine: bool
) -> None:
    """Counted as in test_upload.py: one for EPSV and MLSD together (the proxy's direction changes),
    and for each data connection one to make it and one until the 226. The directories are shorter
    than a first window."""
    names = [f"d{number}" for number in range(40)]
    plant(ftp_server, *(f"{name}/{file}" for name in names for file in "abcde"))
    server = ftp_server.through(ftp_proxy.port)
    with session_on(server) as session:
        if not machine:
            without_mlsd(session)
        before = ftp_proxy.round_trips
        found = listed(session, server, *names)
        turns = ftp_proxy.round_trips - before
        assert session.data_connections == len(names)
    assert all(set(by_name(outcome)) == set("abcde") for outcome in found.values())
    assert turns == len(names)
    assert turns + 2 * session.data_connections == 3 * len(names)
