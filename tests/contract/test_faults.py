"""What holds while the network fails: nothing is called stored that is not, nothing hangs.

Each fault happens on the way between a session and a real server (`tests.servers.wire_faults`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from siteferry.errors import SessionLost, SiteferryError, TransientReply
from siteferry.ftp.directories import make_directories
from siteferry.ftp.documents import read_document, write_document
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.listing import list_directories
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.renames import Rename, rename_all
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Outcome, Stored, Upload, upload_files
from tests.conftest import SERVERS
from tests.servers.base import FtpServer
from tests.servers.sessions import make_file, plant, session_on
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import (
    Blackhole,
    CutControl,
    CutControlAtByte,
    CutData,
    EndlessReply,
    Fault,
    RefuseDataConnect,
    SayInstead,
    Silent,
    Truncate,
    WrongPassiveAddress,
)

SHORT = Deadlines(connect_seconds=1, control_seconds=1, data_seconds=0.5)
MOST_SECONDS = 5.0
"""A stalled data connection, and then a reply that does not come, with room for a busy machine."""
LARGE_BYTES = 300_000
HANG_UP = "421 Timeout (no operation for 1800 seconds)."


def on(fixture: str, everywhere: list[Fault], on_one: list[Fault]) -> pytest.MarkDecorator:
    """Some faults in front of each server; and those that are all the same to a server in front of
    pyftpdlib, which runs everywhere."""
    pairs = [(kind, fault) for kind in SERVERS for fault in everywhere]
    pairs += [("pyftpd", fault) for fault in on_one]
    return pytest.mark.parametrize(
        (fixture, "fault"), pairs, indirect=[fixture], ids=[f"{k}-{f}" for k, f in pairs]
    )


@contextmanager
def wired(server: FtpServer, **changes: Any) -> Iterator[tuple[WireProxy, Session]]:
    """A session with short deadlines behind a proxy; it may be lost at the end."""
    with WireProxy(server) as proxy:
        view = proxy.server
        with session_on(
            view, fingerprint=view.fingerprint, **({"deadlines": SHORT} | changes)
        ) as session:
            yield proxy, session


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MOST_SECONDS


def joined(server: FtpServer, path: str) -> str:
    return f"{server.remote_root.rstrip('/')}/{path}"


def assert_in_sync(session: Session) -> None:
    assert session.command("NOOP", "saying nothing").text.startswith("200")


# -- uploads -------------------------------------------------------------------------------------

BYTES: list[Fault] = [
    CutData(0),
    CutData(100_000, connection=2),
    Truncate(1000),
    Truncate(1000, connection=5),
    Blackhole(),
    Blackhole(100_000, connection=2),
    RefuseDataConnect(3),
    CutControlAtByte(250),
    CutControlAtByte(250, "down"),
]
COMMANDS: list[Fault] = [
    CutControl("STOR", 2, "after"),
    SayInstead("STOR", HANG_UP, 2, then_hang_up=True),
]
REPLIES: list[Fault] = [
    CutControl("EPSV"),
    CutControl("STOR", 2),
    CutControl("STOR", 5, "after"),
    CutControl("SIZE", when="after"),
    CutControl("SIZE", 5, "after"),
    SayInstead("EPSV", HANG_UP, then_hang_up=True),
    SayInstead("SIZE", HANG_UP, then_hang_up=True),
    SayInstead("STOR", "452 Disk full, they say.", 2),
    SayInstead("SIZE", "213 7", 2),
    SayInstead("SIZE", "550 No such file.", 5),
    SayInstead("STOR", "nonsense", 2),
    EndlessReply("STOR", number=2),
    EndlessReply("SIZE"),
    Silent("EPSV"),
    Silent("STOR", 3),
]


def send_in_spite_of(server: FtpServer, folder: Path, fault: Fault) -> None:
    sizes = {"a": 3600, "b": LARGE_BYTES, "c": 1, "d": 5000, "e": 3600}
    files = [make_file(folder, name, os.urandom(size)) for name, size in sizes.items()]
    uploads = [Upload(file, joined(server, file.path)) for file in files]
    result: dict[str, Outcome] = {}
    raised = False
    with wired(server) as (proxy, session):
        proxy.inject(fault)
        with in_time():
            try:
                for upload, outcome in upload_files(session, uploads):
                    assert upload.found.path not in result
                    result[upload.found.path] = outcome
            except SessionLost:
                raised = True
        proxy.heal()
        if raised:
            assert session.lost
        else:
            assert_in_sync(session)
            assert set(result) == set(sizes)
        bad = {name: outcome for name, outcome in result.items() if not isinstance(outcome, Stored)}
        assert raised or bad, "the fault has not happened"
        for name in result.keys() - bad.keys():
            assert (server.root / name).read_bytes() == (folder / name).read_bytes(), name
        assert all(isinstance(outcome, SiteferryError) for outcome in bad.values())
        # On a sound line the rest goes through. Under other names: vsftpd locks a file until the
        # session that was lost has ended on its side, too.
        rest = [file for file in files if not isinstance(result.get(file.path), Stored)]
        again = [Upload(file, joined(server, f"{file.path}.2")) for file in rest]
        with session_on(proxy.server, fingerprint=proxy.server.fingerprint) as sound:
            assert all(isinstance(outcome, Stored) for _, outcome in upload_files(sound, again))
    for file in rest:
        assert (server.root / f"{file.path}.2").read_bytes() == Path(file.local).read_bytes()


@on("ftp_server", [*BYTES, *COMMANDS], REPLIES)
def test_what_is_called_stored_is_whole_on_the_server_whatever_breaks(
    ftp_server: FtpServer, tmp_path: Path, fault: Fault
) -> None:
    send_in_spite_of(ftp_server, tmp_path, fault)


@on("ftps_server", BYTES, [])
def test_what_is_called_stored_over_tls_is_whole_on_the_server_whatever_breaks(
    ftps_server: FtpServer, tmp_path: Path, fault: Fault
) -> None:
    send_in_spite_of(ftps_server, tmp_path, fault)


@pytest.mark.parametrize("code", [426, 450, 451])
def test_a_refusal_of_a_file_that_is_whole_counts_as_stored(
    ftp_server: FtpServer, tmp_path: Path, code: int
) -> None:
    """Some servers say so when a connection ended otherwise than they like; SIZE decides."""
    sizes = {"a": 9, "b": 0, "c": 9999}
    files = [make_file(tmp_path, name, os.urandom(size)) for name, size in sizes.items()]
    uploads = [Upload(file, joined(ftp_server, file.path)) for file in files]
    with wired(ftp_server) as (proxy, session):
        for number in (1, 2, 3):
            proxy.inject(SayInstead("STOR", f"{code} Broken off.", number))
        result = {upload.found.path: outcome for upload, outcome in upload_files(session, uploads)}
        assert_in_sync(session)
    assert {name: type(outcome) for name, outcome in result.items()} == dict.fromkeys("abc", Stored)
    for file in files:
        assert (ftp_server.root / file.path).read_bytes() == Path(file.local).read_bytes()


def test_the_same_refusal_of_a_file_that_is_not_whole_stands(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    file = make_file(tmp_path, "a", os.urandom(9999))
    with wired(ftp_server) as (proxy, session):
        proxy.inject(Truncate(1000))
        proxy.inject(SayInstead("STOR", "426 Failure reading network stream."))
        [(_, outcome)] = upload_files(session, [Upload(file, joined(ftp_server, "a"))])
        assert_in_sync(session)
    assert isinstance(outcome, TransientReply)
    assert outcome.code == 426


def test_the_address_in_a_reply_to_pasv_is_ignored(ftp_server: FtpServer, tmp_path: Path) -> None:
    """Behind NAT it is a private one; a hostile server could name any."""
    content = os.urandom(3600)
    upload = Upload(make_file(tmp_path, "a", content), joined(ftp_server, "a"))
    with (
        WireProxy(ftp_server) as proxy,
        session_on(proxy.server, ServerProfile(epsv=False), deadlines=SHORT) as session,
    ):
        proxy.inject(WrongPassiveAddress())
        with in_time():
            [(_, outcome)] = upload_files(session, [upload])
        assert "PASV" in proxy.commands
    assert isinstance(outcome, Stored)
    assert (ftp_server.root / "a").read_bytes() == content


# -- directories and renames ---------------------------------------------------------------------


def hard(verb: str) -> list[Fault]:
    return [CutControl(verb, 3, "after"), SayInstead(verb, HANG_UP, 3, then_hang_up=True)]


def further(verb: str) -> list[Fault]:
    return [
        CutControl(verb),
        CutControl(verb, 3),
        CutControlAtByte(70),
        CutControlAtByte(30, "down"),
        SayInstead(verb, "nonsense", 2),
        EndlessReply(verb, number=3),
        Silent(verb, 3),
    ]


@on("ftp_server", hard("MKD"), further("MKD"))
def test_directories_are_made_in_the_second_try_when_the_session_is_lost_in_the_first(
    ftp_server: FtpServer, fault: Fault
) -> None:
    paths = [joined(ftp_server, path) for path in ("a", "a/b", "a/b/c", "d", "d/e")]
    with wired(ftp_server) as (proxy, session):
        proxy.inject(fault)
        with in_time(), pytest.raises(SessionLost):
            make_directories(session, paths)
        assert session.lost
        proxy.heal()
        with session_on(proxy.server) as again:
            made, failed = make_directories(again, paths)
    assert failed == {}
    assert set(made) <= set(paths)
    assert (ftp_server.root / "a/b/c").is_dir()
    assert (ftp_server.root / "d/e").is_dir()


@on("ftp_server", hard("RNTO"), [*hard("RNFR"), *further("RNFR"), *further("RNTO")])
def test_no_file_is_lost_by_renames_that_break_off_and_the_second_try_completes_them(
    ftp_server: FtpServer, fault: Fault
) -> None:
    (ftp_server.root / "live").mkdir()
    plant(ftp_server, *[f"staged/{name}" for name in "abcde"], "live/b", "live/e")
    for name in "be":
        (ftp_server.root / f"live/{name}").write_text("old")
    renames = [
        Rename(joined(ftp_server, f"staged/{name}"), joined(ftp_server, f"live/{name}"), 8)
        for name in "abcde"
    ]
    with wired(ftp_server) as (proxy, session):
        proxy.inject(fault)
        with in_time(), pytest.raises(SessionLost):
            rename_all(session, renames)
        assert session.lost
        proxy.heal()
        with session_on(proxy.server) as again:
            assert rename_all(again, renames) == {}
    assert not list((ftp_server.root / "staged").iterdir())
    for name in "abcde":
        assert (ftp_server.root / f"live/{name}").read_text() == f"staged/{name}"


def test_a_refused_rename_that_was_carried_out_all_the_same_counts_as_done(
    ftp_server: FtpServer,
) -> None:
    plant(ftp_server, "staged", "other")
    renames = [
        Rename(joined(ftp_server, "staged"), joined(ftp_server, "live"), len("staged")),
        Rename(joined(ftp_server, "other"), joined(ftp_server, "second"), len("other")),
    ]
    with wired(ftp_server) as (proxy, session):
        proxy.inject(SayInstead("RNTO", "550 Rename failed."))
        assert rename_all(session, renames) == {}
        assert_in_sync(session)
    assert (ftp_server.root / "live").read_text() == "staged"
    assert (ftp_server.root / "second").read_text() == "other"


# -- listings and documents ----------------------------------------------------------------------

DOCUMENT = b"".join(b"line %d of a document\n" % number for number in range(20_000))
NAMES = [f"a file with a long name, number {number}" for number in range(2000)]


def listed(session: Session, server: FtpServer) -> list[str]:
    [(_, entries)] = list_directories(session, [server.remote_root])
    if isinstance(entries, SiteferryError):
        raise entries
    return sorted(entry.name for entry in entries)


def document(session: Session, server: FtpServer) -> bytes:
    return read_document(session, joined(server, "document"))


def prepare(server: FtpServer) -> None:
    (server.root / "document").write_bytes(DOCUMENT)
    plant(server, *NAMES)


Reader = Callable[[Session, FtpServer], object]
READERS = pytest.mark.parametrize("read", [listed, document])


def read_in_spite_of(server: FtpServer, read: Reader, fault: Fault) -> None:
    prepare(server)
    with wired(server) as (proxy, session):
        proxy.inject(fault)
        with in_time(), pytest.raises(SiteferryError):
            read(session, server)
        proxy.heal()
        if not session.lost:
            assert_in_sync(session)
        with session_on(proxy.server, fingerprint=proxy.server.fingerprint) as again:
            expected = DOCUMENT if read is document else sorted([*NAMES, "document"])
            assert read(again, server) == expected


@READERS
@on(
    "ftp_server",
    [CutData(20_000, "down"), Blackhole(20_000, "down"), CutControlAtByte(60, "down")],
    [CutData(0, "down"), Blackhole(), RefuseDataConnect(), CutControlAtByte(10)],
)
def test_what_broke_off_is_an_error_and_never_a_listing_or_a_document(
    ftp_server: FtpServer, read: Reader, fault: Fault
) -> None:
    read_in_spite_of(ftp_server, read, fault)


@READERS
@on(
    "ftps_server",
    [CutData(20_000, "down"), Truncate(20_000, "down")],
    [
        Blackhole(),
        Blackhole(20_000, "down"),
        Truncate(40_000, "down"),
        CutControlAtByte(200, "down"),
    ],
)
def test_what_ends_without_a_word_of_tls_is_an_error_and_never_a_listing_or_a_document(
    ftps_server: FtpServer, read: Reader, fault: Fault
) -> None:
    """A close_notify is missing, so somebody else has ended it (RFC 8446, section 6.1)."""
    read_in_spite_of(ftps_server, read, fault)


@READERS
@pytest.mark.parametrize("code", [426, 451])
def test_what_ends_with_a_refusal_is_an_error_and_never_a_listing_or_a_document(
    ftp_server: FtpServer, read: Reader, code: int
) -> None:
    """All that can be known in plain of a listing that is too short: MLSD and LIST tell no length,
    so an early end behind which the server says 226 passes for a shorter directory."""
    prepare(ftp_server)
    with wired(ftp_server) as (proxy, session):
        verb = "RETR" if read is document else "MLSD" if ftp_server.kind != "vsftpd" else "LIST"
        proxy.inject(SayInstead(verb, f"{code} Broken off."))
        with in_time(), pytest.raises(SiteferryError):
            read(session, ftp_server)
        assert_in_sync(session)


@on(
    "ftp_server",
    [Truncate(1000), CutData(1000), Truncate(1000, "down", connection=2)],
    [Blackhole(1000), Blackhole(0, "down", connection=2)],
)
def test_a_document_that_did_not_arrive_whole_is_never_called_written(
    ftp_server: FtpServer, fault: Fault
) -> None:
    """It is read back, and what came back is compared."""
    with wired(ftp_server) as (proxy, session):
        proxy.inject(fault)
        with in_time(), pytest.raises(SiteferryError):
            write_document(session, joined(ftp_server, "document"), DOCUMENT)
