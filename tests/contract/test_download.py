"""Batches of files fetched over one session: their outcomes, their bytes, their round trips."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siteferry.errors import (
    ConfigurationError,
    NotPermitted,
    PathRefused,
    PermanentReply,
    RunCancelled,
    SessionLost,
    SiteferryError,
    TargetConflict,
    TransferMismatch,
    WorkspaceUnwritable,
)
from siteferry.ftp import landing
from siteferry.ftp.download import Download, Fetched, download_files, local_path
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.facts import Entry
from siteferry.ftp.listing import list_directories
from tests.servers.base import FtpServer
from tests.servers.downloads import download, fetched, outcomes, plant_contents
from tests.servers.proxy import FtpProxy
from tests.servers.sessions import MTIME, plant, session_on


def site_contents() -> dict[str, bytes]:
    """Sizes around what matters: nothing, one byte, a segment, a chunk of ours, and 20 MiB."""
    chance = random.Random(21)
    contents = {f"file {n}.css": chance.randbytes(chance.randrange(1, 9000)) for n in range(30)}
    return contents | {
        "empty": b"",
        "one byte": b"\n",
        "line ends": b"a\r\nb\nc\rd\0\xff\xff\xf4" * 100,
        "chunk": chance.randbytes(256 * 1024),
        "chunk and one": chance.randbytes(256 * 1024 + 1),
        "large.bin": chance.randbytes(20 * 1024 * 1024),
        "last": b"and the session goes on",
        "empty last": b"",
    }


def fetch_a_site(server: FtpServer, folder: Path) -> None:
    contents = site_contents()
    plant_contents(server, contents)
    moved: list[int] = []
    with session_on(server) as session:
        downloads = [download(server, folder, name) for name in contents]
        result = {d.local.name: o for d, o in download_files(session, downloads, moved.append)}
        assert session.data_connections == len(contents)
        assert session.command("NOOP", "saying nothing").ok
    assert result == {name: fetched(content) for name, content in contents.items()}
    assert sum(moved) == sum(map(len, contents.values()))
    for name, content in contents.items():
        assert (folder / name).read_bytes() == content
        assert (folder / name).stat().st_mtime_ns == MTIME * 10**9
    assert {path.name for path in folder.iterdir()} == set(contents)


def test_files_of_every_size_come_with_their_bytes_and_times(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    fetch_a_site(ftp_server, tmp_path)


def test_files_of_every_size_come_over_tls_with_their_bytes_and_times(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    fetch_a_site(ftps_server, tmp_path)


def test_what_is_listed_is_fetched_without_further_questions(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, tmp_path: Path
) -> None:
    plant_contents(ftp_server, {"a": b"1", "ümläut 日本": b"22", "semi;c = d": b"333", " b": b""})
    server = ftp_server.through(ftp_proxy.port)
    with session_on(server) as session:
        ((_, entries),) = list_directories(session, [server.remote_root])
        assert isinstance(entries, list)
        result = outcomes(session, [of_entry(server, tmp_path, entry) for entry in entries])
        knows_times = "MLST" in session.profile.features
    assert result == {
        "a": fetched(b"1"), "ümläut 日本": fetched(b"22"), "semi;c = d": fetched(b"333"),
        " b": fetched(b""),
    }  # fmt: skip
    verbs = [command.split(" ")[0] for command in ftp_proxy.commands]
    assert "SIZE" not in verbs
    assert verbs.count("MDTM") == (0 if knows_times else 4)  # LIST tells no exact time


def of_entry(server: FtpServer, folder: Path, entry: Entry) -> Download:
    path = f"{server.remote_root}/{entry.name}".replace("//", "/")
    return Download(path, local_path(folder, entry.name), entry.size, entry.mtime)


def test_a_file_takes_the_place_of_the_one_that_was_there(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(pyftpd_server, {"a": b"new"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a").symlink_to(elsewhere)
    with session_on(pyftpd_server) as session:
        assert outcomes(session, [download(pyftpd_server, folder, "a")]) == {"a": fetched(b"new")}
    assert not (folder / "a").is_symlink()
    assert (folder / "a").read_bytes() == b"new"
    assert elsewhere.read_text() == "untouched"


def test_a_file_is_readable_as_every_other_that_we_make(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(pyftpd_server, {"a": b"1"})
    (tmp_path / "ordinary").touch()
    with session_on(pyftpd_server) as session:
        outcomes(session, [download(pyftpd_server, tmp_path, "a")])
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def fetch_around_refused_ones(server: FtpServer, folder: Path) -> None:
    plant(server, "a", "directory/", "closed", "c", "d")
    (server.root / "closed").chmod(0)
    names = ["a", "missing", "directory", "closed", "c", "d"]
    (folder / "missing").write_text("of an earlier export")
    with session_on(server, deadlines=Deadlines(5, 20, 3)) as session:
        began = time.monotonic()
        result = outcomes(session, [download(server, folder, name) for name in names])
        seconds = time.monotonic() - began
        assert not session.lost
        assert session.command("NOOP", "saying nothing").ok
    assert list(result) == names
    for name in "acd":
        assert isinstance(result[name], Fetched)
        assert (folder / name).read_text() == name
    for name in ("missing", "directory", "closed"):
        refused = result[name]
        assert isinstance(refused, PermanentReply)
        assert (refused.reply or "").startswith("550")
        assert "write" not in refused.next_step
    if server.kind != "vsftpd":  # "550 Failed to open file." is all that it says
        assert isinstance(result["closed"], NotPermitted)
    assert {path.name for path in folder.iterdir()} == {"a", "c", "d", "missing"}
    assert (folder / "missing").read_text() == "of an earlier export"
    assert seconds < 3, "a deadline passed before the refusal was seen"


def test_a_refused_file_is_that_files_outcome_and_the_session_goes_on(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    fetch_around_refused_ones(ftp_server, tmp_path)


def test_a_refused_file_over_tls_is_that_files_outcome_and_the_session_goes_on(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    fetch_around_refused_ones(ftps_server, tmp_path)


def test_a_file_that_has_changed_since_the_listing_is_a_mismatch_and_not_there(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(ftp_server, {"grown": b"12345", "shrunk": b"1", "same": b"123"})
    with session_on(ftp_server) as session:
        downloads = [
            download(ftp_server, tmp_path, name, size=3, mtime=MTIME)
            for name in ("grown", "shrunk", "same")
        ]
        result = outcomes(session, downloads)
        assert session.command("NOOP", "saying nothing").ok
    assert isinstance(result["grown"], TransferMismatch)
    assert "5 bytes have come, it should be 3" in result["grown"].message
    assert isinstance(result["shrunk"], TransferMismatch)
    assert result["same"] == fetched(b"123")
    assert {path.name for path in tmp_path.iterdir()} == {"same"}


def test_a_file_that_has_grown_a_lot_is_not_read_to_its_end(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(ftp_server, {"grown": bytes(30_000_000)})
    moved: list[int] = []
    with session_on(ftp_server) as session:
        running = download_files(
            session, [download(ftp_server, tmp_path, "grown", size=3)], moved.append
        )
        ((_, outcome),) = running
        assert session.lost
    assert isinstance(outcome, TransferMismatch)
    assert sum(moved) < 2_000_000
    assert list(tmp_path.iterdir()) == []


def test_files_are_taken_one_by_one_so_the_caller_may_stop(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(ftp_server, {"0": b"0", "1": b"1"})
    taken: list[int] = []

    def endless() -> Iterator[Download]:
        for number in range(10**6):
            taken.append(number)
            yield download(ftp_server, tmp_path, str(number))

    with session_on(ftp_server) as session:
        running = download_files(session, endless())
        assert [next(running)[1] for _ in range(2)] == [fetched(b"0"), fetched(b"1")]
        assert taken == [0, 1]
        assert session.command("NOOP", "saying nothing").ok


def test_every_chunk_and_reply_is_a_sign_of_life(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    plant_contents(pyftpd_server, {"a": bytes(1024 * 1024)})
    signs = 0

    def alive() -> None:
        nonlocal signs
        signs += 1

    with session_on(pyftpd_server) as session:
        session.on_activity = alive
        outcomes(session, [download(pyftpd_server, tmp_path, "a")])
    assert signs >= 4 + 5  # chunks of at most 256 KiB; SIZE, MDTM, EPSV, RETR (two)


def test_what_stops_the_caller_stops_the_transfer_and_leaves_no_file(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(ftp_server, {"a": bytes(5_000_000)})

    def cancelled(_count: int) -> None:
        raise RunCancelled("enough")

    with session_on(ftp_server) as session:
        with pytest.raises(RunCancelled):
            list(download_files(session, [download(ftp_server, tmp_path, "a")], cancelled))
        assert session.lost
    assert list(tmp_path.iterdir()) == []


# -- the local side ------------------------------------------------------------------------------


def test_a_directory_in_the_files_place_is_a_conflict_and_nothing_is_asked_for_it(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(pyftpd_server, {"a": b"1", "b": b"2"})
    (tmp_path / "a" / "inside").mkdir(parents=True)
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        server = pyftpd_server.through(proxy.port)
        with session_on(server) as session:
            result = outcomes(session, [download(server, tmp_path, name) for name in "ab"])
        assert [command[-2:] for command in proxy.commands if "RETR" in command] == ["/b"]
    assert isinstance(result["a"], TargetConflict)
    assert isinstance(result["b"], Fetched)
    assert (tmp_path / "a" / "inside").is_dir()


def test_a_name_that_is_too_long_here_is_refused(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    with session_on(pyftpd_server) as session:
        long = Download("/x", tmp_path / ("x" * 300))
        nul = Download("/x", Path(f"{tmp_path}/a\0b"))
        missing = Download("/x", tmp_path / "nowhere" / "a")
        below = Download("/x", tmp_path / "file" / "a")
        (tmp_path / "file").touch()
        result = [outcome for _, outcome in download_files(session, [long, nul, missing, below])]
        assert session.command("NOOP", "saying nothing").ok
    assert [type(outcome) for outcome in result] == [
        PathRefused, PathRefused, WorkspaceUnwritable, TargetConflict
    ]  # fmt: skip


def test_a_remote_path_that_cannot_be_sent_is_that_files_outcome(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(pyftpd_server, {"b": b"2"})
    with session_on(pyftpd_server) as session:
        bad = Download("/a\r\nDELE b", tmp_path / "a")
        result = outcomes(session, [bad, download(pyftpd_server, tmp_path, "b")])
    assert isinstance(result["a"], PathRefused)
    assert result["b"] == fetched(b"2")
    assert {path.name for path in tmp_path.iterdir()} == {"b"}


def test_a_directory_that_may_not_be_written_is_that_files_outcome(
    pyftpd_server: FtpServer, open_folder: Path, as_ordinary_user: Callable[..., object]
) -> None:
    plant_contents(pyftpd_server, {"a": b"1"})
    open_folder.chmod(0o555)

    def attempt() -> dict[str, Fetched | SiteferryError]:
        with session_on(pyftpd_server) as session:
            return outcomes(session, [download(pyftpd_server, open_folder, "a")])

    result = as_ordinary_user(attempt)
    assert isinstance(result, dict)
    assert type(result["a"]) is WorkspaceUnwritable
    assert "writable" in result["a"].next_step


def test_a_full_disk_here_ends_the_run_and_leaves_no_file(
    pyftpd_server: FtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_contents(pyftpd_server, {"a": bytes(3_000_000)})
    real = os.fdopen

    def small(descriptor: int, mode: str) -> object:
        file = real(descriptor, mode)

        class Full:
            def write(self, chunk: bytes) -> int:
                if file.tell() > 1_000_000:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return file.write(chunk)

            def close(self) -> None:
                file.close()

        return Full()

    monkeypatch.setattr(landing.os, "fdopen", small)
    with session_on(pyftpd_server) as session:
        result = outcomes(session, [download(pyftpd_server, tmp_path, "a")])
        assert session.lost
    assert isinstance(result["a"], ConfigurationError)
    assert result["a"].ends_run
    assert "No space left" in result["a"].message
    assert list(tmp_path.iterdir()) == []


# -- a connection that breaks --------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_breaks_at_a_file_leaves_the_earlier_ones_whole(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, tmp_path: Path, when: str
) -> None:
    plant_contents(ftp_server, {"a": b"1", "b": b"22", "c": b"333"})
    server = ftp_server.through(ftp_proxy.port)
    ftp_proxy.cut_matching(
        lambda command: command.startswith("RETR") and command.endswith("/b"),
        "before" if when == "before" else "after",
    )
    result: dict[str, Fetched | SiteferryError] = {}
    with session_on(server) as session:
        running = download_files(session, [download(server, tmp_path, name) for name in "abc"])
        with pytest.raises(SessionLost):
            result.update((one.local.name, outcome) for one, outcome in running)
        assert session.lost
    assert result == {"a": fetched(b"1")}
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


# -- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [True, False])
def test_a_small_file_costs_three_round_trips(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, tmp_path: Path, listed: bool
) -> None:
    """Counted as in test_upload.py: one for EPSV and RETR together (the proxy's direction changes),
    with SIZE and MDTM in front where no listing has told them, and for each data connection one to
    make it and one until the 226. The files are smaller than a first window."""
    count = 40
    plant_contents(ftp_server, {str(number): b"x" * 3600 for number in range(count)})
    server = ftp_server.through(ftp_proxy.port)
    known = {"size": 3600, "mtime": MTIME} if listed else {}
    with session_on(server) as session:
        before = ftp_proxy.round_trips
        result = outcomes(session, [download(server, tmp_path, str(n), **known) for n in range(40)])
        turns = ftp_proxy.round_trips - before
        assert session.data_connections == count
    assert set(result.values()) == {fetched(b"x" * 3600)}
    assert turns == count
    assert turns + 2 * session.data_connections == 3 * count
