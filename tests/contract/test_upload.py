"""Batches of files sent over one session: their outcomes, their bytes, their round trips."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from siteferry.errors import (
    NotFound,
    NotPermitted,
    PermanentReply,
    ReplyError,
    SourceChanged,
    SourceUnreadable,
)
from siteferry.ftp.directories import list_names
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.upload import Conduct, Outcome, Stored, Upload, upload_files
from siteferry.tree.scan import FoundFile
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.sessions import MTIME, make_file, outcomes, session_on, stored


def to(server: FtpServer, found: FoundFile) -> Upload:
    return Upload(found, f"{server.remote_root}/{found.path}".replace("//", "/"))


def make_site(folder: Path) -> dict[str, bytes]:
    """Sizes around what matters: nothing, one byte, a segment, a chunk of ours, and 20 MiB."""
    chance = random.Random(20)
    contents = {f"file {n}.css": chance.randbytes(chance.randrange(1, 9000)) for n in range(30)}
    contents |= {
        "empty": b"",
        "one byte": b"\n",
        "line ends": b"a\r\nb\nc\rd\0\xff\xff\xf4" * 100,
        "chunk": chance.randbytes(256 * 1024),
        "chunk and one": chance.randbytes(256 * 1024 + 1),
        "large.bin": chance.randbytes(20 * 1024 * 1024),
        "last": b"and the session goes on",
        "empty last": b"",
    }
    for name, content in contents.items():
        os.utime(make_file(folder, name, content).local, (MTIME, MTIME))
    return contents


def send_a_site(server: FtpServer, folder: Path) -> None:
    contents = make_site(folder)
    moved: list[int] = []
    with session_on(server) as session:
        uploads = [to(server, make_found(folder, name)) for name in contents]
        result = {
            u.found.path: o for u, o in upload_files(session, uploads, Conduct(moved=moved.append))
        }
        assert session.data_connections == len(contents)
    assert result == {name: stored(content) for name, content in contents.items()}
    assert sum(moved) == sum(map(len, contents.values()))
    for name, content in contents.items():
        kept = server.root / name
        assert kept.read_bytes() == content
        assert int(kept.stat().st_mtime) == MTIME
    assert len(list(server.root.iterdir())) == len(contents)


def make_found(folder: Path, name: str) -> FoundFile:
    local = folder / name
    return FoundFile(name, str(local), local.stat().st_size, int(local.stat().st_mtime))


def test_files_of_every_size_arrive_with_their_bytes_and_times(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    send_a_site(ftp_server, tmp_path)


def test_files_of_every_size_arrive_over_tls_with_their_bytes_and_times(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    send_a_site(ftps_server, tmp_path)


def test_names_of_every_kind_arrive(ftp_server: FtpServer, tmp_path: Path) -> None:
    names = [
        "with space", " leading", "trailing ", "-dash", ".dot", "..dots", "#hash", "100%", "%41",
        'quo"te', "apo'strophe", "back\\slash", "*?[a]", "ümläut 日本 🚢", "semi;colon", "a" * 200,
        "~tilde", "$HOME", "tab\tbed", "20240101000000 file", "{brace}", "\xa0",
    ]  # fmt: skip
    if ftp_server.kind == "pureftpd":
        # It prohibits the backslash, and writes a tab, and a space at either end, as an underscore:
        # the first is refused, a space is noticed by SIZE, a tab is not.
        names.remove("tab\tbed")
        for name, refusal in {"trailing ": PermanentReply, "back\\slash": NotPermitted}.items():
            names.remove(name)
            with session_on(ftp_server) as session:
                upload = to(ftp_server, make_file(tmp_path, name, b"x"))
                assert isinstance(outcomes(session, [upload])[name], refusal)
        (ftp_server.root / "trailing_").unlink()
    uploads = [to(ftp_server, make_file(tmp_path, name, name.encode())) for name in names]
    with session_on(ftp_server) as session:
        result = outcomes(session, uploads)
    assert {name: type(outcome) for name, outcome in result.items()} == dict.fromkeys(names, Stored)
    assert {path.name for path in ftp_server.root.iterdir()} == set(names)
    for name in names:
        assert (ftp_server.root / name).read_bytes() == name.encode()


def send_around_a_refused_one(server: FtpServer, folder: Path, size: int) -> None:
    names = ["a", "missing/directory/b", "directory", "c", "d"]
    (server.root / "directory").mkdir()
    uploads = [to(server, make_file(folder, name, b"x" * size)) for name in names]
    with session_on(server, deadlines=Deadlines(5, 20, 3)) as session:
        began = time.monotonic()
        result = outcomes(session, uploads)
        seconds = time.monotonic() - began
        assert not session.lost
        assert session.command("NOOP", "saying nothing").ok
    assert list(result) == names
    assert [type(result[name]) for name in "acd"] == [Stored] * 3
    for refused in (result["missing/directory/b"], result["directory"]):
        assert isinstance(refused, PermanentReply)
        assert refused.code in (550, 553)
        assert (refused.reply or "").startswith(str(refused.code))
    assert {path.name for path in server.root.iterdir()} == {"a", "c", "d", "directory"}
    assert seconds < 3, "a deadline passed before the refusal was seen"


def test_a_refused_name_is_that_files_outcome_and_the_session_goes_on(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    send_around_a_refused_one(ftp_server, tmp_path, 10)


def test_the_refusal_of_a_large_file_is_seen_without_a_deadline(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """More than what the kernels on the way take before the server reads a byte."""
    send_around_a_refused_one(ftp_server, tmp_path, 8 * 1024 * 1024)


def test_a_refused_name_over_tls_is_that_files_outcome_and_the_session_goes_on(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    send_around_a_refused_one(ftps_server, tmp_path, 10)


def test_a_server_that_names_the_missing_directory_gives_not_found(
    proftpd: Callable[..., FtpServer], tmp_path: Path
) -> None:
    server = proftpd()
    with session_on(server) as session:
        result = outcomes(session, [to(server, make_file(tmp_path, "missing/b", b"b"))])
    server.remove()
    assert isinstance(result["missing/b"], NotFound)


def test_an_account_that_may_only_read_gets_a_refusal_for_each_file(
    pureftpd: Callable[..., FtpServer], tmp_path: Path
) -> None:
    server = pureftpd(read_only=True)
    with session_on(server) as session:
        result = outcomes(session, [to(server, make_file(tmp_path, n, b"x")) for n in "ab"])
    server.remove()
    for outcome in result.values():
        assert isinstance(outcome, ReplyError)
        assert "write permission" in outcome.next_step


def test_a_source_that_cannot_be_read_is_its_own_outcome_and_nothing_is_sent_for_it(
    pyftpd_server: FtpServer, open_folder: Path, as_ordinary_user: Callable[..., object]
) -> None:
    closed = make_file(open_folder, "closed", b"secret")
    Path(closed.local).chmod(0)
    files = [make_file(open_folder, "a", b"a"), closed, make_file(open_folder, "b", b"b")]

    def attempt() -> dict[str, Outcome]:
        with session_on(server) as session:
            return outcomes(session, [to(server, found) for found in files])

    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        server = pyftpd_server.through(proxy.port)
        result = as_ordinary_user(attempt)
        assert isinstance(result, dict)
        assert not any("closed" in command for command in proxy.commands)
    assert isinstance(result["closed"], SourceUnreadable)
    assert isinstance(result["a"], Stored)
    assert isinstance(result["b"], Stored)
    assert {path.name for path in pyftpd_server.root.iterdir()} == {"a", "b"}


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten", "is replaced"])
def test_a_source_that_changes_while_it_is_sent_is_noticed_and_the_next_file_is_sent(
    ftp_server: FtpServer, tmp_path: Path, change: str
) -> None:
    large = make_file(tmp_path, "large", b"x" * 2_000_000)
    os.utime(large.local, (MTIME, MTIME))
    local = Path(large.local)
    files = [make_file(tmp_path, "a", b"a"), large, make_file(tmp_path, "b", b"b")]
    changed = False

    def meanwhile(count: int) -> None:
        nonlocal changed
        if count > 1000 and not changed:
            changed = True
            if change == "grows":
                with local.open("ab") as file:
                    file.write(b"more")
            elif change == "shrinks":
                os.truncate(local, 1_000_000)
            elif change == "is rewritten":
                with local.open("r+b") as file:
                    file.write(b"y")
            else:
                make_file(tmp_path, "other", b"y" * 2_000_000)
                (tmp_path / "other").replace(local)

    with session_on(ftp_server) as session:
        uploads = [to(ftp_server, found) for found in files]
        result = {
            u.found.path: o for u, o in upload_files(session, uploads, Conduct(moved=meanwhile))
        }
        assert not session.lost
    assert changed
    assert isinstance(result["large"], SourceChanged)
    assert isinstance(result["a"], Stored)
    assert isinstance(result["b"], Stored)
    assert (ftp_server.root / "b").read_bytes() == b"b"


def test_uploads_are_taken_one_by_one_so_the_caller_may_stop(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    taken: list[int] = []

    def endless() -> Iterable[Upload]:
        for number in range(10**6):
            taken.append(number)
            yield to(ftp_server, make_file(tmp_path, str(number), b"x"))
            if number == 4:
                return

    with session_on(ftp_server) as session:
        result = outcomes(session, endless())
        assert session.command("NOOP", "saying nothing").ok
    assert list(result) == ["0", "1", "2", "3", "4"]
    assert taken == [0, 1, 2, 3, 4]


def test_every_chunk_and_reply_is_a_sign_of_life(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    signs = 0

    def alive() -> None:
        nonlocal signs
        signs += 1

    with session_on(pyftpd_server) as session:
        session.on_activity = alive
        outcomes(session, [to(pyftpd_server, make_file(tmp_path, "a", b"x" * 1024 * 1024))])
    assert signs >= 4 + 5  # chunks of 256 KiB; replies to EPSV, STOR (two), SIZE and MFMT


def test_listing_leaves_the_session_binary(ftp_server: FtpServer, tmp_path: Path) -> None:
    """ftplib lists in ASCII mode, in which servers turn line ends around."""
    content = b"a\nb\r\nc\n" * 1000
    with session_on(ftp_server) as session:
        list_names(session, ftp_server.remote_root)
        result = outcomes(session, [to(ftp_server, make_file(tmp_path, "a", content))])
    assert isinstance(result["a"], Stored)
    assert (ftp_server.root / "a").read_bytes() == content


# -- round trips ---------------------------------------------------------------------------------


def test_a_small_file_costs_three_round_trips(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, tmp_path: Path
) -> None:
    """Counted: writes of ours on the control connection that came after a reply (the proxy's
    `round_trips`: direction changes), and for each data connection one round trip to make it and
    one until the file's last byte is acknowledged by 226. Slow start is not in it: the files are
    smaller than a first window."""
    count = 40
    server = ftp_server.through(ftp_proxy.port)
    uploads = [to(server, make_file(tmp_path, f"{n}", b"x" * 3600)) for n in range(count)]
    with session_on(server) as session:
        before = ftp_proxy.round_trips
        result = outcomes(session, uploads)
        turns = ftp_proxy.round_trips - before
        assert session.data_connections == count
    assert all(isinstance(outcome, Stored) for outcome in result.values())
    assert turns == count + 1  # the one more: size and time of the last file
    assert turns + 2 * count <= 3 * count + 1
