"""The test servers themselves: what the other tests take for granted of them."""

from __future__ import annotations

import ftplib
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.base import FtpServer
from tests.servers.client import (
    TIMEOUT_SECONDS,
    client,
    logged_in,
    retrieve,
    store,
    store_pipelined,
)
from tests.servers.guarded import GuardedProcess

KINDS = ["vsftpd", "proftpd", "pureftpd", "pyftpd"]


def carries_files(server: FtpServer) -> None:
    content = os.urandom(100_000)
    with logged_in(server) as ftp:
        store(ftp, f"{server.remote_root}/one.bin", content)
        store_pipelined(ftp, f"{server.remote_root}/two.bin", content[::-1])
        assert retrieve(ftp, f"{server.remote_root}/one.bin") == content
    assert (server.root / "one.bin").read_bytes() == content
    assert (server.root / "two.bin").read_bytes() == content[::-1]


def test_a_server_takes_files_and_gives_them_back(ftp_server: FtpServer) -> None:
    carries_files(ftp_server)


def test_a_server_with_tls_takes_files_and_gives_them_back(ftps_server: FtpServer) -> None:
    carries_files(ftps_server)


def test_a_server_with_tls_refuses_a_login_in_plain(ftps_server: FtpServer) -> None:
    with ftplib.FTP() as ftp:
        ftp.connect(ftps_server.host, ftps_server.port, timeout=TIMEOUT_SECONDS)
        with pytest.raises(ftplib.Error):
            ftp.login(ftps_server.user, ftps_server.password)


def test_a_server_that_asks_for_session_reuse_refuses_data_without(ftps_server: FtpServer) -> None:
    if not ftps_server.requires_session_reuse:
        return
    content = b"x" * 1_000_000
    ftp = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ftps_server.certificate))
    try:
        ftp.connect(ftps_server.host, ftps_server.port, timeout=TIMEOUT_SECONDS)
        ftp.login(ftps_server.user, ftps_server.password)
        ftp.prot_p()
        with pytest.raises((ftplib.Error, OSError)):
            store(ftp, f"{ftps_server.remote_root}/x", content)
    finally:
        ftp.close()
    stored = ftps_server.root / "x"
    assert not stored.exists() or stored.read_bytes() != content


def test_a_wrong_password_is_refused(ftp_server: FtpServer) -> None:
    with client(ftp_server) as ftp, pytest.raises(ftplib.error_perm, match=r"^530"):
        ftp.login(ftp_server.user, "wrong")


def test_an_area_is_empty_and_apart_from_another_test_s(ftp_server: FtpServer) -> None:
    other = ftp_server.fresh()
    with logged_in(ftp_server) as ftp:
        store(ftp, f"{ftp_server.remote_root}/mine", b"")
    assert [path.name for path in ftp_server.root.iterdir() if path.is_file()] == ["mine"]
    assert list(other.root.iterdir()) == []
    assert other.remote_root != ftp_server.remote_root


def test_the_log_tells_logins_and_sessions_where_it_can(ftp_server: FtpServer) -> None:
    if not ftp_server.counts():
        with pytest.raises(NotImplementedError, match="FtpProxy"):
            ftp_server.most_connections()
        return
    with logged_in(ftp_server), logged_in(ftp_server):
        pass
    with logged_in(ftp_server):
        pass
    assert ftp_server.logins() == 3
    assert ftp_server.most_connections() == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", ["max_clients", "max_per_ip"])
def test_a_limit_admits_as_many_and_refuses_the_next(
    kind: str, limit: str, request: pytest.FixtureRequest
) -> None:
    start: Callable[..., FtpServer] = request.getfixturevalue(kind)
    with start(**{limit: 2}) as server, logged_in(server), logged_in(server):
        with pytest.raises((ftplib.Error, EOFError)) as refused, logged_in(server):
            pass
        assert isinstance(refused.value, EOFError) or str(refused.value)[:3] in {"421", "530"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_server_lets_in_and_refuses_changes(
    kind: str, request: pytest.FixtureRequest
) -> None:
    with request.getfixturevalue(kind)(read_only=True) as server:
        (server.root / "there").write_bytes(b"content")
        with logged_in(server) as ftp:
            path = f"{server.remote_root.rstrip('/')}/there"
            assert retrieve(ftp, path) == b"content"
            for change in (lambda: store(ftp, path, b"new"), lambda: ftp.delete(path)):
                with pytest.raises(ftplib.error_perm, match=r"^55"):
                    change()
        assert (server.root / "there").read_bytes() == b"content"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_server_refuses_and_comes_back_with_its_files(
    kind: str, request: pytest.FixtureRequest
) -> None:
    with request.getfixturevalue(kind)() as server:
        with logged_in(server) as ftp:
            store(ftp, f"{server.remote_root.rstrip('/')}/kept", b"kept")
            server.stop()
            with pytest.raises((OSError, EOFError, ftplib.Error)):
                ftp.pwd()
        with pytest.raises(ConnectionRefusedError):
            client(server)
        server.start()
        with logged_in(server) as ftp:
            assert retrieve(ftp, f"{server.remote_root.rstrip('/')}/kept") == b"kept"


def test_stopping_ends_the_orphans_of_a_command_too(tmp_path: Path) -> None:
    """A grandchild in a session of its own, whose parent has gone, is what servers leave behind."""
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' & exec sleep 600"
    process = GuardedProcess(["sh", "-c", script], output=tmp_path / "log")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
        assert process.alive()
    orphan = int((tmp_path / "pid").read_text())
    os.kill(orphan, 0)
    process.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(orphan, 0)
