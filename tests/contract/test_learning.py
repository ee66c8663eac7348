"""What a session learns of its server, and what the next one makes of it."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siteferry.errors import SessionLost, TlsFailed
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.profile import ServerProfile, TlsResult, TlsVersion
from siteferry.ftp.sending import Outcome, Stored, Upload
from siteferry.ftp.session import Session
from siteferry.ftp.sockets import send_whole_lines
from siteferry.ftp.upload import upload_files
from siteferry.secret import Secret
from tests.conftest import Servers
from tests.servers import scripted
from tests.servers.base import FtpServer
from tests.servers.scripted import (
    EPSV,
    HANG_UP,
    LOGIN,
    PASSWORD,
    PASV,
    RECEIVE,
    USER,
    ScriptedServer,
    Turn,
    login,
    turn,
)
from tests.servers.sessions import endpoint_of, make_file, scripted_endpoint, session_on

ONE_FILE = [
    turn(EPSV, ("STOR /a", "150 go", RECEIVE, "226 done")),
    turn(("SIZE /a", "213 1")),
]


def send_one(session: Session, folder: Path, remote: str) -> Outcome:
    upload = Upload(make_file(folder, "a", b"a"), remote)
    ((_, outcome),) = upload_files(session, [upload])
    return outcome


# -- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoken", "tls"),
    [
        ("TLSv1.2", {"1.2": "resumed"}),
        ("TLSv1.3", {"1.2": "refused", "1.3": "resumed"}),
        ("TLSv1.2 TLSv1.3", {"1.2": "resumed"}),
    ],
)
def test_the_version_that_the_server_speaks_and_resumes_is_found_in_one_login(
    proftpd: Callable[..., FtpServer],
    tmp_path: Path,
    spoken: str,
    tls: dict[TlsVersion, TlsResult],
) -> None:
    server = proftpd(tls=True, extra=[f"TLSProtocol {spoken}"])
    profile = ServerProfile()
    with session_on(server, profile) as session:
        assert isinstance(send_one(session, tmp_path, f"{server.remote_root}/a"), Stored)
        assert session.data_sessions_reused == session.data_connections == 1
    assert profile.tls == tls
    assert server.logins() == 1
    server.remove()


def test_a_server_that_hangs_up_in_the_handshake_has_said_nothing_of_versions() -> None:
    """Or one bad moment would be remembered for a week, by all workers."""
    profile = ServerProfile()
    script = [turn(("AUTH TLS", "234 go", HANG_UP))]
    with ScriptedServer(script) as server:
        session = Session(scripted_endpoint(server, security="explicit"), profile)
        with pytest.raises(SessionLost, match="broke off"):
            session.open(USER, Secret(PASSWORD))
    assert profile.tls == {}


class Forgetful(Session):
    """Offers no session to resume on its data connections."""

    def session_to_resume(self, control: ssl.SSLSocket) -> ssl.SSLSession | None:
        return None


@pytest.mark.parametrize("kind", ["vsftpd", "proftpd"])
def test_where_the_server_demands_what_one_version_does_not_give_the_other_is_tried(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    """A session that fails for it is lost, so its files are sent by another one."""
    server = servers.shared(kind, tls=True).fresh()
    profile = ServerProfile()
    session = Forgetful(endpoint_of(server), profile)
    session.open(server.user, Secret(server.password))
    with pytest.raises(SessionLost, match="demands that data connections resume"):
        send_one(session, tmp_path, f"{server.remote_root}/a")
    assert session.lost
    session.leave()
    assert profile.tls == {"1.2": "full"}
    session = Forgetful(endpoint_of(server), profile)
    session.open(server.user, Secret(server.password))
    refusal = send_one(session, tmp_path, f"{server.remote_root}/a")
    assert isinstance(refusal, TlsFailed)
    assert "under neither version" in refusal.message
    session.leave()
    assert profile.tls == {"1.2": "full", "1.3": "full"}
    # A session that offers one is taken, and that is remembered.
    with session_on(server, profile) as session:
        assert isinstance(send_one(session, tmp_path, f"{server.remote_root}/a"), Stored)
    assert profile.tls["1.3"] == "resumed"


def test_a_server_that_resumes_under_neither_version_but_does_not_ask_for_it_is_used(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers.shared("pureftpd", tls=True).fresh()
    profile = ServerProfile()
    for _ in range(3):
        session = Forgetful(endpoint_of(server), profile)
        session.open(server.user, Secret(server.password))
        assert isinstance(send_one(session, tmp_path, f"{server.remote_root}/a"), Stored)
        session.leave()
    assert profile.tls == {"1.2": "full", "1.3": "full"}
    assert isinstance(session.context, ssl.SSLContext)
    assert profile.tls_version == "1.3"


# -- passive mode --------------------------------------------------------------------------------


def test_over_ipv6_files_go_by_epsv_whatever_is_known_of_it(tmp_path: Path) -> None:
    script = [*LOGIN, *ONE_FILE]
    with ScriptedServer(script, host="::1") as server:
        session = Session(scripted_endpoint(server), ServerProfile(epsv=False))
        session.open(USER, Secret(PASSWORD))
        assert isinstance(send_one(session, tmp_path, "/a"), Stored)
        assert session.af == socket.AF_INET6
        session.leave()


@contextlib.contextmanager
def port_that_says_nothing() -> Iterator[int]:
    """A port behind which connections vanish, as behind a firewall: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((scripted.HOST, 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_where_epsv_leads_nowhere_the_next_session_uses_pasv(tmp_path: Path) -> None:
    """Old firewalls do not understand it and drop what it announces. No reply is waited for: the
    server waits for the connection as well."""
    profile = ServerProfile()
    with port_that_says_nothing() as port:
        first = [*LOGIN, turn(("EPSV", f"229 Extended ok (|||{port}|)"), ("STOR /a",))]
        second: list[Turn] = [
            *LOGIN,
            turn(PASV, ("STOR /a", "150 go", RECEIVE, "226 done")),
            turn(("SIZE /a", "213 1")),
        ]
        deadlines = Deadlines(connect_seconds=1, control_seconds=60, data_seconds=60)
        with ScriptedServer(first, further=[second]) as server:
            session = Session(scripted_endpoint(server, deadlines=deadlines), profile)
            session.open(USER, Secret(PASSWORD))
            with pytest.raises(SessionLost, match="timed out"):
                send_one(session, tmp_path, "/a")
            session.leave()
            assert not profile.epsv
            session = Session(scripted_endpoint(server), profile)
            session.open(USER, Secret(PASSWORD))
            assert isinstance(send_one(session, tmp_path, "/a"), Stored)
            session.leave()


def test_one_data_connection_that_fails_does_not_condemn_an_epsv_that_has_worked(
    tmp_path: Path,
) -> None:
    profile = ServerProfile()
    with port_that_says_nothing() as port:
        script = [
            *LOGIN,
            *ONE_FILE,
            turn(("EPSV", f"229 Extended ok (|||{port}|)"), ("STOR /a",)),
        ]
        with ScriptedServer(script) as server:
            session = Session(scripted_endpoint(server, deadlines=Deadlines(1, 60, 60)), profile)
            session.open(USER, Secret(PASSWORD))
            assert isinstance(send_one(session, tmp_path, "/a"), Stored)
            with pytest.raises(SessionLost):
                send_one(session, tmp_path, "/a")
            session.leave()
    assert profile.epsv


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "reply", "encoding"),
    [
        (["UTF8"], "504 what?", "utf-8"),
        ([], "200 Always in UTF8 mode.", "utf-8"),
        ([], "500 what?", "latin-1"),
    ],
)
def test_names_are_utf_8_where_the_server_says_so_and_latin_1_elsewhere(
    features: list[str], reply: str, encoding: str
) -> None:
    *opening, last = login("EPSV", "SIZE", *features)
    script = [*opening, turn(*last.exchanges[:-1], ("OPTS UTF8 ON", reply))]
    profile = ServerProfile()
    with ScriptedServer(script) as server:
        session = Session(scripted_endpoint(server), profile)
        session.open(USER, Secret(PASSWORD))
        assert session.encoding == profile.encoding == encoding
        session.leave()


# -- commands ------------------------------------------------------------------------------------


def test_no_segment_ends_inside_a_command() -> None:
    """Each read of a reader that takes all there is ends where a command ends, though the segments
    of this connection are small."""
    lines = [f"RNFR /some/path/{'x' * (number % 300)}\r\n".encode() for number in range(500)]
    with socket.create_server((scripted.HOST, 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        with socket.create_connection(listener.getsockname()) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server, _ = listener.accept()
            with server:
                ends = [_send_and_read(client, server, lines) for _ in range(3)]
    assert ends == [{b"\r\n"}] * 3


def _send_and_read(client: socket.socket, server: socket.socket, lines: list[bytes]) -> set[bytes]:
    ends = set()
    left = sum(map(len, lines))
    writer = threading.Thread(target=send_whole_lines, args=(client, lines))
    writer.start()
    while left:
        chunk = server.recv(4 * 1024 * 1024)
        left -= len(chunk)
        ends.add(chunk[-2:])
    writer.join()
    return ends


def test_proftpd_joins_two_commands_whose_line_end_comes_in_two_reads(servers: Servers) -> None:
    """Why no segment may end inside a command: the two NOOPs become one, and a reply is missing.
    A version for which this fails has been mended."""
    server = servers.shared("proftpd", tls=False)
    with session_on(server) as session:
        assert session.sock is not None
        session.sock.sendall(b"NOOP\r")
        # Until the server has read that: its reply to nothing cannot be waited for.
        while _unread_bytes(server.port, session.sock.getsockname()[1]):
            os.sched_yield()
        session.sock.sendall(b"\nNOOP\r\nPWD\r\n")
        assert [session.read_reply().code for _ in range(2)] == [200, 257]


def _unread_bytes(server_port: int, client_port: int) -> int:
    """Bytes that wait in the receive queue of the server's end (/proc/net/tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(f":{server_port:04X}") and remote.endswith(f":{client_port:04X}"):
            return int(queues.split(":")[1], 16)
    raise AssertionError("the connection is gone")
