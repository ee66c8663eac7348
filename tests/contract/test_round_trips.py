"""How often a session waits for the network, counted on the wire with real servers.

A proxy that carries control and data connections counts (`tests.servers.wire`): each write on the
control connection after a reply, each connect, each turn on a data connection. Slow start is not in
it: the files are smaller than a first window.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from siteferry.ftp.directories import make_directories
from siteferry.ftp.renames import Rename, rename_all
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Stored, Upload
from tests.servers.base import FtpServer
from tests.servers.sessions import give_to_the_server, make_file, outcomes, session_on
from tests.servers.wire import WireProxy

SMALL_FILES = 60
SMALL_BYTES = 3600
"""The median of WordPress."""
MERGE_SECONDS = 0.004
DELAY_SECONDS = 0.05
TRIES = 4
"""A busy machine makes it longer, and never shorter."""
STAGING = ".htsiteferry/20261124-053702-abcdef"

ON_REAL_SERVERS = pytest.mark.parametrize(
    "ftp_server", ["vsftpd", "proftpd", "pureftpd"], indirect=True
)
ON_REAL_SERVERS_WITH_TLS = pytest.mark.parametrize(
    "ftps_server", ["vsftpd", "proftpd", "pureftpd"], indirect=True
)


@contextmanager
def counted(server: FtpServer) -> Iterator[tuple[Session, WireProxy]]:
    """A session on `server`, logged in, behind a proxy that begins to count now."""
    with WireProxy(server, merge_seconds=MERGE_SECONDS) as proxy:
        with session_on(proxy.server, fingerprint=proxy.server.fingerprint) as session:
            proxy.round_trips = 0
            yield session, proxy
        assert proxy.connections == 1


def joined(server: FtpServer, path: str) -> str:
    return f"{server.remote_root.rstrip('/')}/{path}"


def send_small_files(server: FtpServer, folder: Path, most: float, mode: int | None = None) -> None:
    files = [make_file(folder, f"{n}.css", os.urandom(SMALL_BYTES)) for n in range(SMALL_FILES)]
    with counted(server) as (session, proxy):
        uploads = [Upload(file, joined(server, file.path), mode) for file in files]
        result = outcomes(session, uploads)
        if mode is not None:
            asked = sum(command.startswith("SITE CHMOD ") for command in proxy.commands)
            assert asked == SMALL_FILES or server.tls
        round_trips = proxy.round_trips
        assert session.data_connections == proxy.data_connections == SMALL_FILES
        if server.tls:
            assert session.data_sessions_reused == SMALL_FILES
    assert all(isinstance(outcome, Stored) for outcome in result.values())
    for file in files:
        assert (server.root / file.path).read_bytes() == Path(file.local).read_bytes()
    # It cannot be done with fewer: then the counting is broken.
    assert int(most) <= round_trips / SMALL_FILES <= most


@ON_REAL_SERVERS
def test_a_small_file_costs_three_round_trips_with_its_data_connection(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """EPSV and STOR; the connect; the data until 226. Size and time travel with the next file."""
    send_small_files(ftp_server, tmp_path, 3.1)


@ON_REAL_SERVERS_WITH_TLS
def test_a_small_file_costs_four_round_trips_over_tls_for_every_session_is_resumed(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    """One more, for the handshake."""
    send_small_files(ftps_server, tmp_path, 4.2)


@ON_REAL_SERVERS
def test_permissions_cost_no_round_trip(ftp_server: FtpServer, tmp_path: Path) -> None:
    send_small_files(ftp_server, tmp_path, 3.1, mode=0o640)


@ON_REAL_SERVERS_WITH_TLS
def test_permissions_cost_no_round_trip_over_tls(ftps_server: FtpServer, tmp_path: Path) -> None:
    send_small_files(ftps_server, tmp_path, 4.2, mode=0o640)


def wait_for_small_files(server: FtpServer, folder: Path, round_trips: int) -> None:
    """The same by the clock: a wait for one connection before the next word on another one, which
    the proxy does not count, takes a round trip's time."""
    files = [make_file(folder, f"{n}.css", os.urandom(SMALL_BYTES)) for n in range(4)]
    uploads = [Upload(file, joined(server, file.path)) for file in files]
    with (
        WireProxy(server, delay_seconds=DELAY_SECONDS) as proxy,
        session_on(proxy.server, fingerprint=proxy.server.fingerprint) as session,
    ):
        for _ in range(TRIES):
            # One more than for the files: size and time of the last one.
            waits = (waits_in(lambda: outcomes(session, uploads)) - 1) / len(files)
            if waits < round_trips + 0.8:
                break
    assert round_trips <= waits < round_trips + 0.8


def waits_in(work: Callable[[], object]) -> float:
    """How many round trips fit into the time that `work` takes."""
    began = time.monotonic()
    work()
    return (time.monotonic() - began) / (2 * DELAY_SECONDS)


@ON_REAL_SERVERS
def test_a_small_file_takes_the_time_of_three_round_trips(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    wait_for_small_files(ftp_server, tmp_path, 3)


@ON_REAL_SERVERS_WITH_TLS
def test_a_small_file_takes_the_time_of_four_round_trips_over_tls(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    wait_for_small_files(ftps_server, tmp_path, 4)


def make_all_directories(server: FtpServer, tree: Path) -> None:
    names = [f"{path.relative_to(tree)}/" for path in sorted(tree.rglob("*")) if path.is_dir()]
    paths = [joined(server, f"site/{name}".rstrip("/")) for name in ["", *names]]
    assert len(paths) == 258
    with counted(server) as (session, proxy):
        made, failed = make_directories(session, paths)
        round_trips = proxy.round_trips
    assert (made, failed) == (paths, {})
    assert sum(path.is_dir() for path in server.root.rglob("*")) == 258
    assert 1 <= round_trips <= 6


@ON_REAL_SERVERS
def test_the_directories_of_a_website_are_made_in_six_round_trips(
    ftp_server: FtpServer, wordpress_tree: Path
) -> None:
    make_all_directories(ftp_server, wordpress_tree)


@ON_REAL_SERVERS_WITH_TLS
def test_the_directories_of_a_website_are_made_in_six_round_trips_over_tls(
    ftps_server: FtpServer, wordpress_tree: Path
) -> None:
    make_all_directories(ftps_server, wordpress_tree)


def rename_a_website(server: FtpServer, tree: Path, most: int) -> None:
    """From one staging directory into the 258 of the website."""
    staging = server.root / STAGING
    staging.mkdir(parents=True)
    renames: list[Rename] = []
    for number, path in enumerate(path for path in sorted(tree.rglob("*")) if path.is_file()):
        target = str(path.relative_to(tree))
        staged = f".htfiles-{number // 200}-1.{number % 7 + 0x1ABC0:x}.{number % 200}"
        (staging / staged).write_text(target)
        (server.root / target).parent.mkdir(parents=True, exist_ok=True)
        renames.append(
            Rename(joined(server, f"{STAGING}/{staged}"), joined(server, target), len(target))
        )
    give_to_the_server(server.root)
    assert len(renames) == 2521
    with counted(server) as (session, proxy):
        assert rename_all(session, renames) == {}
        round_trips = proxy.round_trips
    assert not list(staging.iterdir())
    for rename in renames:
        relative = rename.target.removeprefix(joined(server, ""))
        assert (server.root / relative).read_text() == relative
    assert 1 <= round_trips <= most


@pytest.mark.parametrize(
    ("ftp_server", "most"),
    # ProFTPD in plain: no more than 4,000 bytes may be under way (docs/decisions/0005).
    [("vsftpd", 30), ("proftpd", 30), ("pureftpd", 30)],
    indirect=["ftp_server"],
)
def test_the_renames_of_a_website_take_few_round_trips(
    ftp_server: FtpServer, wordpress_tree: Path, most: int
) -> None:
    rename_a_website(ftp_server, wordpress_tree, most)


@ON_REAL_SERVERS_WITH_TLS
def test_the_renames_of_a_website_take_thirty_round_trips_over_tls(
    ftps_server: FtpServer, wordpress_tree: Path
) -> None:
    rename_a_website(ftps_server, wordpress_tree, 30)


@ON_REAL_SERVERS
def test_one_connection_is_one_login(ftp_server: FtpServer, tmp_path: Path) -> None:
    with WireProxy(ftp_server) as proxy:
        for number in range(3):
            with session_on(proxy.server) as session:
                file = make_file(tmp_path, f"{number}", b"x")
                outcomes(session, [Upload(file, joined(ftp_server, file.path))])
        assert proxy.logins == proxy.connections == 3
        assert sum(command.startswith("PASS ") for command in proxy.commands) == 3
