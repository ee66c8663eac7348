"""The counting and cutting proxy, in front of each server."""

from __future__ import annotations

import ftplib
import socket
import threading

import pytest

from tests.servers.base import FtpServer
from tests.servers.client import client, logged_in, retrieve, store, store_pipelined
from tests.servers.proxy import FtpProxy
from tests.servers.relay import ControlRelay

CUT = (ftplib.Error, EOFError, OSError)


def test_the_proxy_counts_what_passes(ftp_server: FtpServer, ftp_proxy: FtpProxy) -> None:
    server = ftp_server.through(ftp_proxy.port)
    with logged_in(server) as one:
        with logged_in(server):
            pass
        store_pipelined(one, f"{server.remote_root}/a", b"content")
    assert (ftp_server.root / "a").read_bytes() == b"content"
    assert ftp_proxy.connections == 2
    assert ftp_proxy.most_connections == 2
    assert ftp_proxy.logins == 2
    assert ftp_proxy.commands == [
        *[f"USER {server.user}", f"PASS {server.password}", "TYPE I"] * 2,
        "QUIT",
        "EPSV",
        f"STOR {server.remote_root}/a",
        "QUIT",
    ]
    # USER, PASS, TYPE and QUIT twice, each after a reply, and EPSV with STOR behind it once.
    assert ftp_proxy.round_trips == 9


def test_connections_one_after_the_other_count_as_one_at_a_time(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    server = ftp_server.through(ftp_proxy.port)
    for _ in range(3):
        with logged_in(server):
            pass
        client(server).close()  # without QUIT
    assert ftp_proxy.connections == 6
    assert ftp_proxy.most_connections == 1


def test_a_client_that_has_hung_up_is_known_to_have_left_though_its_last_words_are_unread() -> None:
    with FtpProxy("127.0.0.1", 9) as proxy, socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        client_end, _ = listener.accept()
        with ours, client_end:
            relay = ControlRelay(proxy, client_end, ours)  # never started: it reads nothing
            ours.sendall(b"NOOP\r\n")
            assert not relay.client_has_left()
            ours.close()
            assert relay.client_has_left()


def test_with_tls_the_proxy_still_counts_connections(ftps_server: FtpServer) -> None:
    with FtpProxy.in_front_of(ftps_server) as proxy:
        server = ftps_server.through(proxy.port)
        with logged_in(server) as ftp:
            store(ftp, f"{server.remote_root}/a", b"content")
        assert (ftps_server.root / "a").read_bytes() == b"content"
        assert proxy.commands == ["AUTH TLS"]
        assert proxy.connections == 1


def test_a_cut_before_a_command_keeps_it_from_the_server(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    server = ftp_server.through(ftp_proxy.port)
    with logged_in(server) as ftp:
        ftp_proxy.cut_at(len(ftp_proxy.commands) + 3)
        ftp.mkd(f"{server.remote_root}/one")
        ftp.mkd(f"{server.remote_root}/two")
        with pytest.raises(CUT):
            ftp.mkd(f"{server.remote_root}/three")
        ftp.close()
    assert ftp_proxy.wait_until_dead()
    assert ftp_proxy.commands[-1] == f"MKD {server.remote_root}/three"
    assert {path.name for path in ftp_server.root.iterdir()} == {"one", "two"}


def test_a_cut_before_a_pipelined_command_lets_the_ones_ahead_of_it_through(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    server = ftp_server.through(ftp_proxy.port)
    with logged_in(server) as ftp:
        ftp_proxy.cut_matching(lambda command: command.startswith("MKD"), number=3)
        burst = "".join(f"MKD {server.remote_root}/{name}\r\n" for name in "abcd")
        assert ftp.sock is not None
        ftp.sock.sendall(burst.encode())
        assert ftp.getresp().startswith("257")
        assert ftp.getresp().startswith("257")
        with pytest.raises(CUT):
            ftp.getresp()
        ftp.close()
    assert {path.name for path in ftp_server.root.iterdir()} == {"a", "b"}


def test_a_cut_after_a_command_lets_the_server_carry_it_out_and_hides_the_reply(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    server = ftp_server.through(ftp_proxy.port)
    with logged_in(server) as ftp:
        ftp_proxy.cut_matching(lambda command: command.startswith("MKD"), "after", number=2)
        burst = "".join(f"MKD {server.remote_root}/{name}\r\n" for name in "abc")
        assert ftp.sock is not None
        ftp.sock.sendall(burst.encode())
        assert ftp.getresp().startswith("257")
        with pytest.raises(CUT):
            ftp.getresp()
        ftp.close()
    assert {path.name for path in ftp_server.root.iterdir()} == {"a", "b"}


def test_a_cut_after_a_transfer_leaves_the_whole_file(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    server = ftp_server.through(ftp_proxy.port)
    with logged_in(server) as ftp:
        ftp_proxy.cut_matching(lambda command: command.startswith("STOR"), "after")
        with pytest.raises(CUT):
            store(ftp, f"{server.remote_root}/file", b"content" * 1000)
        ftp.close()
    assert ftp_proxy.wait_until_dead()
    assert (ftp_server.root / "file").read_bytes() == b"content" * 1000


def test_after_a_cut_every_connection_is_gone_and_none_comes_until_the_proxy_revives(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    server = ftp_server.through(ftp_proxy.port)
    with logged_in(server) as one, logged_in(server) as other:
        store(other, f"{server.remote_root}/kept", b"kept")
        ftp_proxy.cut_at(len(ftp_proxy.commands) + 1)
        for ftp in (one, other):
            with pytest.raises(CUT):
                ftp.pwd()
            ftp.close()
    with pytest.raises(ConnectionRefusedError):
        client(server)
    ftp_proxy.revive()
    with logged_in(server) as ftp:
        assert retrieve(ftp, f"{server.remote_root}/kept") == b"kept"


def test_a_server_that_is_down_is_an_empty_greeting_behind_the_proxy(
    pyftpd_server: FtpServer,
) -> None:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        pyftpd_server.stop()
        with pytest.raises(CUT):
            client(pyftpd_server.through(proxy.port))


def test_a_stopped_proxy_leaves_no_thread(pyftpd_server: FtpServer) -> None:
    before = threading.active_count()
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        ftp = client(pyftpd_server.through(proxy.port))
        assert threading.active_count() > before
    ftp.close()
    assert threading.active_count() == before
