"""A Redis on a unix socket, with users: workers and commands log in, and tell nobody how."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.broker import make_broker
from siteferry.secret import Secret
from tests.acceptance.test_two_workers import wait_for_workers
from tests.conftest import unavailable
from tests.holdings import wait_until
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer, redis_binary
from tests.security.redis_users import PASSWORDS, redis_with_users
from tests.servers.base import FtpServer

WORKER = "siteferry-worker"


@pytest.fixture
def redis_on_a_socket(tmp_path: Path) -> Iterator[RedisServer]:
    binary = redis_binary()
    if binary is None:
        unavailable("no Redis")
    with redis_with_users(binary, tmp_path) as server:
        yield server


def test_a_worker_on_a_socket_does_its_work_and_tells_who_asks_no_password(
    redis_on_a_socket: RedisServer, pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    url = redis_on_a_socket.url
    site = Installation(tmp_path / "site", redis=url)
    site.configure(redis={"username": WORKER})
    site.environment["SITEFERRY_REDIS_PASSWORD"] = PASSWORDS[WORKER]
    write_tree(site.add_site(pyftpd_server), {"index.html": "hello"})
    asking = make_broker(url, username=WORKER, password=Secret(PASSWORDS[WORKER])).app
    told: list[str] = []

    def answered() -> bool:
        told[:] = [repr(asking.control.inspect(timeout=1).stats() or "")]
        return "redis+socket" in told[0]

    with site.process("worker"):
        wait_for_workers(redis_on_a_socket, 1)
        outcome = site.run("import", "example", "--json", "--quiet")
        assert outcome.code == 0, outcome.output
        wait_until(answered, "the worker does not tell its state")
    assert PASSWORDS[WORKER] not in told[0]
    asking.close()
