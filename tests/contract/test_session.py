"""Connecting, logging in and talking to every server, in plain and over TLS."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from siteferry.errors import (
    HostError,
    LoginRefused,
    TlsFailed,
)
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.profile import ServerProfile, TlsVersion
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Stored, Upload, upload_files
from siteferry.secret import Secret
from tests.conftest import Servers
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.sessions import (
    endpoint_of,
    make_file,
    refused_login,
    session_on,
)

TIME_VERBS = {"vsftpd": "MDTM", "proftpd": "MFMT", "pureftpd": "MFMT", "pyftpd": "MFMT"}


def test_a_login_in_plain_learns_what_the_server_can(ftp_server: FtpServer) -> None:
    with session_on(ftp_server) as session:
        assert not session.encrypted
        assert {"EPSV", "SIZE"} <= session.profile.features
        assert session.profile.time_verb == TIME_VERBS[ftp_server.kind]
        assert session.command("NOOP", "saying nothing").ok


def test_a_login_over_tls_learns_what_the_server_can(ftps_server: FtpServer) -> None:
    with session_on(ftps_server) as session:
        assert session.encrypted
        assert isinstance(session.sock, ssl.SSLSocket)
        assert {"EPSV", "SIZE", "PROT"} <= session.profile.features
        assert session.profile.time_verb == TIME_VERBS[ftps_server.kind]
        assert session.command("NOOP", "saying nothing").ok


def test_a_wrong_password_is_a_refused_login_with_the_servers_words(ftp_server: FtpServer) -> None:
    with pytest.raises(LoginRefused) as refused:
        refused_login(endpoint_of(ftp_server), ftp_server.user, "Wrong-Ferry-0000")
    assert refused.value.reply is not None
    assert refused.value.reply.startswith("530")
    assert "Correct the credential" in refused.value.next_step
    assert "Wrong-Ferry-0000" not in str(refused.value)


def test_a_wrong_password_over_tls_is_a_refused_login(ftps_server: FtpServer) -> None:
    with pytest.raises(LoginRefused):
        refused_login(endpoint_of(ftps_server), ftps_server.user, "Wrong-Ferry-0000")


def test_the_pinned_fingerprint_takes_the_place_of_the_chain(ftps_server: FtpServer) -> None:
    spellings = [ftps_server.fingerprint, f"sha256:{ftps_server.fingerprint}".upper()]
    for pinned in spellings:
        with session_on(ftps_server, ca_file=None, fingerprint=pinned) as session:
            assert session.encrypted


def test_another_certificate_than_the_pinned_one_is_refused_and_its_fingerprint_told(
    ftps_server: FtpServer,
) -> None:
    with FtpProxy.in_front_of(ftps_server) as proxy:
        server = ftps_server.through(proxy.port)
        with pytest.raises(TlsFailed) as failed:
            refused_login(endpoint_of(server, ca_file=None, fingerprint="sha256:" + "0" * 64))
        assert proxy.logins == 0
    assert f"sha256:{ftps_server.fingerprint}" in failed.value.next_step


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_ways_out(
    ftps_server: FtpServer,
) -> None:
    with pytest.raises(TlsFailed) as failed:
        refused_login(endpoint_of(ftps_server, ca_file=None))
    assert "is not trusted" in failed.value.message
    assert "ftp.ca_file" in failed.value.next_step
    assert "ftp.fingerprint" in failed.value.next_step


def test_a_certificate_of_another_name_is_refused(ftps_server: FtpServer) -> None:
    with pytest.raises(TlsFailed, match=r"not trusted.*'127\.1'"):
        # Resolves to where the server is, and is no name of its certificate.
        refused_login(endpoint_of(ftps_server, host="127.1"))


def test_no_check_at_all_has_to_be_asked_for(ftps_server: FtpServer) -> None:
    with session_on(ftps_server, ca_file=None, verify=False) as session:
        assert session.encrypted


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TlsFailed, match=r"nowhere\.pem") as failed:
        Session(Endpoint("127.0.0.1", ca_file=tmp_path / "nowhere.pem"))
    assert "ftp.ca_file" in failed.value.next_step


def test_plain_against_a_server_that_demands_tls_says_how_to_set_it(
    ftps_server: FtpServer,
) -> None:
    with pytest.raises(HostError) as refused:
        refused_login(endpoint_of(ftps_server, security="none"), ftps_server.user)
    assert type(refused.value) is HostError
    assert refused.value.next_step == "Set ftp.security: explicit for the website."


def test_explicit_tls_never_falls_back_to_plain(ftp_server: FtpServer) -> None:
    with FtpProxy.in_front_of(ftp_server) as proxy:
        server = ftp_server.through(proxy.port)
        with pytest.raises(TlsFailed, match="refuses TLS") as failed:
            refused_login(endpoint_of(server, security="explicit"), server.user, server.password)
        assert proxy.commands == ["AUTH TLS"]
    assert failed.value.next_step == "If the host really has none, write ftp.security: none."


def test_auto_warns_where_the_server_has_no_tls(
    ftp_server: FtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    with session_on(ftp_server, security="auto") as session:
        assert not session.encrypted
    assert "go in plain text" in caplog.text


def test_auto_uses_tls_where_the_server_has_it(
    ftps_server: FtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    with session_on(ftps_server, security="auto") as session:
        assert session.encrypted
    assert "plain text" not in caplog.text


def test_implicit_tls_against_a_server_without_it_is_a_failed_handshake(
    pyftpd_server: FtpServer,
) -> None:
    with pytest.raises(TlsFailed):
        refused_login(endpoint_of(pyftpd_server, security="implicit"))


ONLY: dict[TlsVersion, TlsVersion] = {"1.2": "1.3", "1.3": "1.2"}
"""Profiles of servers that refuse the other version."""


@pytest.mark.parametrize("version", ONLY)
def test_every_data_connection_resumes_the_tls_session(
    ftps_server: FtpServer, tmp_path: Path, version: TlsVersion
) -> None:
    session = Session(endpoint_of(ftps_server), ServerProfile(tls={ONLY[version]: "refused"}))
    session.open(ftps_server.user, Secret(ftps_server.password))
    assert isinstance(session.sock, ssl.SSLSocket)
    assert session.sock.version() == f"TLSv{version}"
    uploads = [
        Upload(make_file(tmp_path, f"{n}", b"x" * n), f"{ftps_server.remote_root}/{n}")
        for n in range(20)
    ]
    for _, outcome in upload_files(session, uploads):
        assert isinstance(outcome, Stored)
    session.leave()
    assert session.data_connections == 20
    if ftps_server.kind == "pureftpd" and version == "1.3":
        # Its tickets are of no use: it hands them out and then makes a full handshake all the
        # same. It does not ask for more, so the files are stored.
        assert session.data_sessions_reused == 0
    else:
        assert session.data_sessions_reused == 20


def test_a_pinned_certificate_is_checked_on_data_connections_that_resume_nothing(
    pureftpd: Callable[..., FtpServer], tmp_path: Path
) -> None:
    server = pureftpd(tls=True)
    upload = Upload(make_file(tmp_path, "a", b"a"), f"{server.remote_root}/a")
    profile = ServerProfile(tls={"1.2": "refused"})
    with session_on(server, profile, ca_file=None, fingerprint=server.fingerprint) as session:
        assert isinstance(next(upload_files(session, [upload]))[1], Stored)
    assert profile.tls["1.3"] == "full"
    server.remove()


# -- bursts --------------------------------------------------------------------------------------


def test_a_long_burst_keeps_order_and_count(ftp_server: FtpServer) -> None:
    root = ftp_server.remote_root
    _long_burst(ftp_server, root)


def test_a_long_burst_over_tls_keeps_order_and_count(ftps_server: FtpServer) -> None:
    _long_burst(ftps_server, ftps_server.remote_root)


def _long_burst(server: FtpServer, root: str) -> None:
    commands = [
        command
        for number in range(300)
        for command in (f"MKD {root}/{number}", f"CWD {root}/{number}", "PWD")
    ]
    with session_on(server) as session:
        replies = session.burst(commands)
    assert len(replies) == 900
    assert all(reply.ok for reply in replies)
    for number in range(300):
        path = f'"{root}/{number}"'.replace("//", "/")
        assert path in replies[3 * number + 2].text


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_proftpd_joins_no_two_commands_of_a_burst(servers: Servers, tls: bool) -> None:
    """ProFTPD 1.3.8 joins two commands where a read of its ends between CR and LF: where a run of
    commands has 4,103 bytes. Each reply here names its path; some paths get a slash more."""
    server = servers.shared("proftpd", tls=tls)
    chance = random.Random(1)
    bursts = [_missing_paths(server, [chance.randint(10, 230) for _ in range(3000)])]
    # And commands that end just there: whole lines of 100 bytes, one that fills up, ten more.
    for end in range(4090, 4112):
        bursts.append(_missing_paths(server, [100] * 39 + [end - 3900] + [100] * 10))
    with session_on(server) as session:
        for paths in bursts:
            replies = session.burst([f"RNFR {path}" for path in paths])
            assert [reply.text.replace("//", "/", 1) for reply in replies] == [
                f"550 {path}: No such file or directory" for path in paths
            ]


def _missing_paths(server: FtpServer, line_bytes: list[int]) -> list[str]:
    """Different paths that make RNFR lines of these lengths, line ends included."""
    starts = [f"{server.remote_root.rstrip('/')}/{number}-" for number in range(len(line_bytes))]
    return [
        start + "x" * (length - len(f"RNFR {start}\r\n"))
        for start, length in zip(starts, line_bytes, strict=True)
    ]
