"""How often a second import, for which nothing has changed, waits for the network.

Counted on the wire with real servers (`tests.servers.wire`), from the login's last reply on. What a
manifest takes beyond a first TCP window (some 14 kB) is not in it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from tests.inline import import_now
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.sessions import session_on
from tests.servers.wire_turns import TurnsProxy

MOST_ROUND_TRIPS = 10
FEWEST_ROUND_TRIPS = 4
"""Some look at the journal; RETR, connect and content of the manifest. With fewer the counting is
broken, or nobody has looked at what stands on the server."""
MERGE_SECONDS = 0.004

ON_REAL_SERVERS = pytest.mark.parametrize(
    "ftp_server", ["vsftpd", "proftpd", "pureftpd"], indirect=True
)
ON_REAL_SERVERS_WITH_TLS = pytest.mark.parametrize(
    "ftps_server", ["vsftpd", "proftpd", "pureftpd"], indirect=True
)


def small_site(directories: int) -> dict[str, str | bytes]:
    """Three files in each of the directories."""
    return {
        f"part-{d}/page-{n}.html": f"<p>{d} {n}</p>" for d in range(directories) for n in range(3)
    }


def second_import(
    proxy: TurnsProxy, redis: RedisServer, folder: Path, tree: Path | dict[str, str | bytes]
) -> Snapshot:
    """Import twice through the proxy, by two workers one after the other; the proxy's turns are the
    second one's."""
    installation = Installation(folder, redis=redis.url)
    pinned = {"fingerprint": f"sha256:{proxy.server.fingerprint}"} if proxy.server.tls else {}
    # The certificate does not name the proxy's address.
    proxy.server.certificate = None
    source = installation.add_site(proxy.server, ftp=pinned)
    if isinstance(tree, Path):
        shutil.copytree(tree, source, dirs_exist_ok=True)
    else:
        write_tree(source, tree)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in installation.environment.items():
            patch.setenv(name, value)
        first = import_now(installation, redis)
        proxy.wait_for_links()
        assert first.state is RunState.DONE
        assert first.transferred == first.files_found > 0
        # What is merged waits: not for each file of the first import.
        proxy.merge_seconds = MERGE_SECONDS
        proxy.turns.clear()
        proxy.commands.clear()
        second = import_now(installation, redis)
        proxy.wait_for_links()
    assert second.state is RunState.DONE
    assert (second.transferred, second.skipped) == (0, first.files_found)
    return second


def told(turns: list[list[str]]) -> str:
    return "\n".join(f"{number} {' | '.join(turn)}" for number, turn in enumerate(turns, 1))


@pytest.mark.slow
@ON_REAL_SERVERS
def test_an_unchanged_wordpress_is_known_to_be_so_in_ten_round_trips(
    ftp_server: FtpServer, redis_server: RedisServer, tmp_path: Path, wordpress_tree: Path
) -> None:
    with TurnsProxy(ftp_server) as proxy:
        second = second_import(proxy, redis_server, tmp_path, wordpress_tree)
        assert second.skipped == 2521
        turns = proxy.after_login()
        assert FEWEST_ROUND_TRIPS <= len(turns) <= MOST_ROUND_TRIPS, told(turns)
        assert sum(command.startswith("PASS ") for command in proxy.commands) == 1


@ON_REAL_SERVERS
def test_the_round_trips_of_an_unchanged_import_do_not_grow_with_the_site(
    ftp_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    counts: list[int] = []
    for directories in (1, 40):
        with TurnsProxy(ftp_server.fresh()) as proxy:
            folder = tmp_path / str(directories)
            second_import(proxy, redis_server, folder, small_site(directories))
            counts.append(len(proxy.after_login()))
        redis_server.flush()
    assert counts[0] == counts[1] <= MOST_ROUND_TRIPS


@ON_REAL_SERVERS_WITH_TLS
def test_an_unchanged_site_is_known_to_be_so_in_ten_round_trips_over_tls(
    ftps_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """What the login takes is counted alone, for under TLS the proxy cannot tell where it ends."""
    with TurnsProxy(ftps_server, merge_seconds=MERGE_SECONDS) as proxy:
        with session_on(proxy.server, fingerprint=proxy.server.fingerprint):
            pass
        proxy.wait_for_links()
        login_and_leave = len(proxy.turns)
        second_import(proxy, redis_server, tmp_path, small_site(5))
        # The first burst of a session comes after its login, so it counts.
        after_login = len(proxy.turns) - login_and_leave + 1
    assert FEWEST_ROUND_TRIPS <= after_login <= MOST_ROUND_TRIPS
