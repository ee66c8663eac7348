"""The proxy that counts, delays and fails on control and data connections, before each server."""

from __future__ import annotations

import ftplib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from siteferry.errors import SessionLost, SiteferryError
from siteferry.ftp.documents import read_document
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.upload import Stored, Upload
from tests.servers.base import FtpServer
from tests.servers.client import client, logged_in, retrieve, store, store_pipelined
from tests.servers.sessions import make_file, outcomes, plant, session_on
from tests.servers.wire import WireProxy
from tests.servers.wire_data import DataTurns, RecordTypes
from tests.servers.wire_faults import (
    Blackhole,
    CutControl,
    CutControlAtByte,
    CutData,
    Direction,
    EndlessReply,
    RefuseDataConnect,
    SayInstead,
    Silent,
    Truncate,
    WrongPassiveAddress,
)

BROKEN = (ftplib.Error, EOFError, OSError)
CONTENT = b"content of a file\n" * 20_000


@pytest.fixture
def wire(pyftpd_server: FtpServer) -> Iterator[WireProxy]:
    with WireProxy(pyftpd_server) as proxy:
        yield proxy


def remote(server: FtpServer, name: str = "a") -> str:
    return f"{server.remote_root.rstrip('/')}/{name}"


def replies_to(ftp: ftplib.FTP, *commands: str) -> list[str]:
    assert ftp.sock is not None
    ftp.sock.sendall("".join(f"{command}\r\n" for command in commands).encode())
    return [ftp.getresp() for _ in commands]


def store_without_end(ftp: ftplib.FTP, path: str) -> NoReturn:
    with ftp.transfercmd(f"STOR {path}") as data:
        while True:
            data.sendall(CONTENT)


def everything_until_the_end(ftp: ftplib.FTP) -> bytes:
    assert ftp.sock is not None
    received = b""
    with suppress(ConnectionResetError):
        while chunk := ftp.sock.recv(100):
            received += chunk
        pytest.fail("the connection ended in good order")
    return received


def be_impatient(ftp: ftplib.FTP) -> None:
    """From now on this client waits for a moment only."""
    assert ftp.sock is not None
    ftp.timeout = 0.3
    ftp.sock.settimeout(ftp.timeout)


# -- carrying and counting -----------------------------------------------------------------------


def test_it_counts_what_passes(ftp_server: FtpServer) -> None:
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        assert proxy.round_trips == 3  # USER, PASS, TYPE
        store_pipelined(ftp, remote(ftp_server), b"content")
        assert proxy.round_trips == 3 + 3  # EPSV with STOR behind it, the connect, the data
        assert retrieve(ftp, remote(ftp_server)) == b"content"
        assert proxy.round_trips == 6 + 5  # TYPE, PASV, the connect, RETR, the data
        assert (proxy.connections, proxy.data_connections, proxy.logins) == (1, 2, 1)
        assert proxy.commands[2:5] == ["TYPE I", "EPSV", f"STOR {remote(ftp_server)}"]
    assert (ftp_server.root / "a").read_bytes() == b"content"


def test_tls_passes_end_to_end(ftps_server: FtpServer, tmp_path: Path) -> None:
    path = remote(ftps_server)
    with WireProxy(ftps_server) as proxy:
        with session_on(proxy.server, fingerprint=proxy.server.fingerprint) as session:
            before = proxy.round_trips
            result = outcomes(session, [Upload(make_file(tmp_path, "a", CONTENT), path)])
            turns = proxy.round_trips - before
            assert read_document(session, path) == CONTENT
        assert isinstance(result["a"], Stored)
        assert (proxy.connections, proxy.data_connections) == (1, 2)
        assert set(proxy.commands) == {"AUTH TLS"}
    # EPSV with STOR, the connect, two to four for a handshake, the last file's size and time.
    assert 5 <= turns <= 7


def record(kind: int, size: int = 40) -> bytes:
    return bytes([kind, 3, 3]) + size.to_bytes(2) + bytes(size)


HANDSHAKE, CHANGE_CIPHER_SPEC, APPLICATION_DATA = record(22), record(20), record(23)


def test_tickets_behind_a_handshake_are_no_round_trip() -> None:
    counted: list[None] = []
    turns = DataTurns(lambda: counted.append(None), encrypted=True)
    turns.client_wrote(HANDSHAKE)
    turns.client_heard()
    turns.client_wrote(CHANGE_CIPHER_SPEC + APPLICATION_DATA)
    assert len(counted) == 2
    for _ in range(3):
        turns.client_heard()
        turns.client_wrote(APPLICATION_DATA)
    assert len(counted) == 2


def test_each_further_flight_of_a_handshake_is_a_round_trip() -> None:
    """A HelloRetryRequest under TLS 1.3, or a handshake in full under TLS 1.2."""
    counted: list[None] = []
    turns = DataTurns(lambda: counted.append(None), encrypted=True)
    for flight in (HANDSHAKE, HANDSHAKE + CHANGE_CIPHER_SPEC + HANDSHAKE, APPLICATION_DATA):
        turns.client_wrote(flight[:7])
        turns.client_wrote(flight[7:])
        turns.client_heard()
    assert len(counted) == 3


def test_record_types_are_found_however_the_stream_is_cut() -> None:
    stream = record(22, 0) + record(20, 1) + record(23, 300) + record(21, 2)
    for step in (1, 2, 3, 5, 7, 100, 1000):
        records, found = RecordTypes(), list[int]()
        for start in range(0, len(stream), step):
            found += records.among(stream[start : start + step])
        assert set(found) == {20, 21, 22, 23}, step


def test_what_is_written_while_replies_trickle_in_is_one_round_trip_where_they_are_merged(
    pyftpd_server: FtpServer,
) -> None:
    with WireProxy(pyftpd_server, merge_seconds=0.1) as proxy, logged_in(proxy.server) as ftp:
        assert ftp.sock is not None
        ftp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = proxy.round_trips
        ftp.sock.sendall(b"NOOP\r\n" * 50)
        for _ in range(50):
            ftp.getresp()
            ftp.sock.sendall(b"NOOP\r\n")
        for _ in range(50):
            ftp.getresp()
        assert proxy.round_trips - before == 2


def test_a_delay_makes_each_round_trip_take_twice_as_long(pyftpd_server: FtpServer) -> None:
    delay_seconds = 0.05
    seconds: list[float] = []
    with (
        WireProxy(pyftpd_server, delay_seconds=delay_seconds) as proxy,
        logged_in(proxy.server) as ftp,
    ):
        for _ in range(3):  # a busy machine makes it longer, and never shorter
            began = time.monotonic()
            store_pipelined(ftp, remote(pyftpd_server), b"content")
            seconds.append(time.monotonic() - began)
    assert 3 <= min(seconds) / (2 * delay_seconds) < 4


# -- faults of data connections ------------------------------------------------------------------


@pytest.mark.parametrize("after_bytes", [0, 1000])
def test_cut_data_breaks_the_upload_on_both_sides(ftp_server: FtpServer, after_bytes: int) -> None:
    """What the server then says is its own affair: 426, 226, or nothing for a long time."""
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(CutData(after_bytes))
        with pytest.raises((ConnectionError, ftplib.error_temp)):
            store_without_end(ftp, remote(ftp_server))
        ftp.close()
    left = ftp_server.root / "a"
    assert not left.exists() or left.stat().st_size <= after_bytes


def test_cut_data_breaks_the_download(wire: WireProxy) -> None:
    (wire.server.root / "a").write_bytes(CONTENT)
    with logged_in(wire.server) as ftp:
        wire.inject(CutData(1000, "down"))
        with pytest.raises(ConnectionResetError):
            retrieve(ftp, remote(wire.server))
        ftp.close()  # before the server's 426 could be taken for the answer to QUIT


def test_cut_data_works_under_tls(ftps_server: FtpServer) -> None:
    (ftps_server.root / "a").write_bytes(CONTENT)
    content = b""
    # Now and then Pure-FTPd says nothing at all afterwards.
    deadlines = Deadlines(connect_seconds=5, control_seconds=2, data_seconds=2)
    with WireProxy(ftps_server) as proxy:
        pinned = {"fingerprint": proxy.server.fingerprint, "deadlines": deadlines}
        with session_on(proxy.server, **pinned) as session:
            proxy.inject(CutData(10_000, "down"))
            with suppress(SiteferryError):
                content = read_document(session, remote(ftps_server))
    assert len(content) < 10_000


@pytest.mark.parametrize("after_bytes", [1, 1000])
def test_a_truncated_upload_is_a_success_on_both_sides(
    ftp_server: FtpServer, after_bytes: int
) -> None:
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(Truncate(after_bytes))
        store(ftp, remote(ftp_server), CONTENT)
    assert (ftp_server.root / "a").read_bytes() == CONTENT[:after_bytes]


@pytest.mark.parametrize("after_bytes", [0, 1000])
def test_a_truncated_download_ends_with_the_usual_reply(
    ftp_server: FtpServer, after_bytes: int
) -> None:
    (ftp_server.root / "a").write_bytes(CONTENT)
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(Truncate(after_bytes, "down"))
        assert retrieve(ftp, remote(ftp_server)) == CONTENT[:after_bytes]
        assert retrieve(ftp, remote(ftp_server)) == CONTENT


@pytest.mark.parametrize("after_bytes", [0, 1000])
def test_behind_a_blackhole_nobody_hears_anything(wire: WireProxy, after_bytes: int) -> None:
    with logged_in(wire.server) as ftp:
        wire.inject(Blackhole(after_bytes))
        be_impatient(ftp)
        with pytest.raises(TimeoutError):
            store(ftp, remote(wire.server), b"x" * 2000)
    kept = wire.server.root / "a"
    assert (kept.stat().st_size if kept.exists() else 0) <= after_bytes


def test_data_connections_are_refused_from_the_chosen_one_until_it_heals(wire: WireProxy) -> None:
    with logged_in(wire.server) as ftp:
        wire.inject(RefuseDataConnect(2))
        store(ftp, remote(wire.server), b"a")
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                store(ftp, remote(wire.server, "b"), b"b")
        wire.heal()
        store(ftp, remote(wire.server, "b"), b"b")


def test_a_fault_counts_data_connections_from_its_injection(wire: WireProxy) -> None:
    with logged_in(wire.server) as ftp:
        store(ftp, remote(wire.server, "before"), CONTENT)
        wire.inject(Truncate(5, connection=2))
        for name in "abc":
            store(ftp, remote(wire.server, name), CONTENT)
    sizes = {path.name: path.stat().st_size for path in wire.server.root.iterdir()}
    whole = len(CONTENT)
    assert sizes == {"before": whole, "a": whole, "b": 5, "c": whole}


# -- faults of control connections ---------------------------------------------------------------


def test_a_cut_before_a_command_lets_the_ones_ahead_of_it_through(ftp_server: FtpServer) -> None:
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(CutControl("MKD", number=3))
        assert ftp.sock is not None
        burst = "".join(f"MKD {remote(ftp_server, name)}\r\n" for name in "abcd")
        ftp.sock.sendall(burst.encode())
        assert ftp.getresp().startswith("257")
        assert ftp.getresp().startswith("257")
        with pytest.raises(ConnectionResetError):
            ftp.getresp()
    assert {path.name for path in ftp_server.root.iterdir()} == {"a", "b"}


def test_a_cut_after_a_command_hides_its_final_reply(ftp_server: FtpServer) -> None:
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(CutControl("STOR", when="after"))
        with pytest.raises(ConnectionResetError):
            store(ftp, remote(ftp_server), CONTENT)
    assert (ftp_server.root / "a").read_bytes() == CONTENT


def test_a_cut_of_one_control_connection_leaves_the_others_alone(wire: WireProxy) -> None:
    with logged_in(wire.server) as one, logged_in(wire.server) as other:
        wire.inject(CutControl("PWD"))
        with pytest.raises(ConnectionResetError):
            one.pwd()
        assert other.pwd() == "/"


@pytest.mark.parametrize(("direction", "seen"), [("up", b""), ("down", b"20")])
def test_a_cut_at_a_byte_happens_in_the_middle_of_a_line(
    wire: WireProxy, direction: Direction, seen: bytes
) -> None:
    with logged_in(wire.server) as ftp:
        assert ftp.sock is not None
        wire.inject(CutControlAtByte(2, direction))
        ftp.sock.sendall(b"NOOP\r\n")
        assert everything_until_the_end(ftp) == seen


def test_a_cut_at_a_byte_works_under_tls(ftps_server: FtpServer) -> None:
    with (
        WireProxy(ftps_server) as proxy,
        session_on(proxy.server, fingerprint=proxy.server.fingerprint) as session,
    ):
        proxy.inject(CutControlAtByte(100))
        with pytest.raises(SessionLost):
            session.burst(["NOOP"] * 20)


def test_another_reply_takes_the_place_of_the_final_one(ftp_server: FtpServer) -> None:
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(SayInstead("STOR", "426 Failure reading network stream.", number=2))
        store(ftp, remote(ftp_server), CONTENT)
        with pytest.raises(ftplib.error_temp, match=r"^426 Failure"):
            store(ftp, remote(ftp_server, "b"), CONTENT)
        assert replies_to(ftp, "NOOP")[0].startswith("200")
    assert (ftp_server.root / "b").read_bytes() == CONTENT


def test_a_server_may_hang_up_behind_its_reply(wire: WireProxy) -> None:
    with logged_in(wire.server) as ftp:
        wire.inject(SayInstead("MKD", "421 Timeout.", number=2, then_hang_up=True))
        assert ftp.sock is not None
        burst = "".join(f"MKD {remote(wire.server, name)}\r\n" for name in "abc")
        ftp.sock.sendall(burst.encode())
        assert ftp.getresp().startswith("257")
        with pytest.raises(ftplib.error_temp, match=r"^421 Timeout"):
            ftp.getresp()
        with pytest.raises(EOFError):
            ftp.getresp()


def test_an_endless_reply_lasts_until_the_client_hangs_up(wire: WireProxy) -> None:
    with logged_in(wire.server) as ftp:
        wire.inject(EndlessReply("FEAT", "211-endless"))
        assert ftp.sock is not None
        ftp.sock.sendall(b"FEAT\r\n")
        received = b""
        while len(received) < 1_000_000:
            received += ftp.sock.recv(65536)
        assert received.startswith(b"211-endless\r\n211-endless\r\n")
        ftp.close()
    assert received.count(b"211-endless") > 50_000


def test_a_silent_server_keeps_the_connection_open_and_does_nothing(wire: WireProxy) -> None:
    with logged_in(wire.server) as ftp:
        wire.inject(Silent("MKD", number=2))
        be_impatient(ftp)
        ftp.mkd(remote(wire.server))
        with pytest.raises(TimeoutError):
            ftp.mkd(remote(wire.server, "b"))
        assert ftp.sock is not None
        ftp.sock.sendall(b"NOOP\r\n")
        with pytest.raises(TimeoutError):
            ftp.sock.recv(1)
    assert {path.name for path in wire.server.root.iterdir()} == {"a"}


def test_a_wrong_passive_address_stands_in_front_of_the_right_port(ftp_server: FtpServer) -> None:
    with WireProxy(ftp_server) as proxy, logged_in(proxy.server) as ftp:
        proxy.inject(WrongPassiveAddress())
        reply = replies_to(ftp, "PASV")[0]
        host, port = ftplib.parse227(reply)
        assert host == "10.0.0.1"
        assert port in range(1024, 32768)
        assert replies_to(ftp, "EPSV")[0].startswith("229")


# -- the proxy's own end -------------------------------------------------------------------------


def test_a_stopped_proxy_leaves_no_thread_and_no_port(pyftpd_server: FtpServer) -> None:
    plant(pyftpd_server, "a")
    before = threading.active_count()
    with WireProxy(pyftpd_server) as proxy:
        ftp = client(proxy.server)
        idle = client(proxy.server)
        assert threading.active_count() == before + 1
    for connection in (ftp, idle):
        with pytest.raises(BROKEN):
            connection.voidcmd("NOOP")
        connection.close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        client(proxy.server)


def test_a_server_that_is_down_resets_the_connection(pyftpd_server: FtpServer) -> None:
    with WireProxy(pyftpd_server) as proxy:
        pyftpd_server.stop()
        with pytest.raises(BROKEN):
            client(proxy.server)


def test_proxies_side_by_side_have_addresses_of_their_own(pyftpd_server: FtpServer) -> None:
    with WireProxy(pyftpd_server) as one, WireProxy(pyftpd_server) as other:
        with logged_in(one.server) as ftp:
            store(ftp, remote(pyftpd_server), b"a")
        assert (one.data_connections, other.data_connections) == (1, 0)
