"""Many accounts at one address that admits few connections, and two websites on one account."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fleet import Size, host, import_all
from tests.acceptance.test_two_workers import wait_for_workers
from tests.conftest import unavailable
from tests.installation import Installation
from tests.long_tests import LONG
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.pureftpd import PureFtpd

FLEET = Size(200, 50, 20, 2, 8) if LONG else Size(24, 8, 6, 2, 4)
LARGE_FILES = 20_000 if LONG else 8000
SMALL_FILES = 10


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.timeout(600)
def test_the_address_never_sees_more_connections_than_it_admits() -> None:
    if reason := PureFtpd.missing():
        unavailable(reason)
    with (
        host(replace(FLEET, limit=FLEET.limit + 8), None) as server,
        FtpProxy.in_front_of(server) as proxy,
    ):
        fleet = import_all(FLEET, server.through(proxy.port))
        print(f"{FLEET}: at most {proxy.most_connections}, {proxy.logins} logins")  # noqa: T201
        assert [run["exit_code"] for run in fleet.runs] == [0] * FLEET.sites
        assert 1 < proxy.most_connections <= FLEET.limit


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_small_website_does_not_wait_for_a_large_one_on_its_account(
    vsftpd: Callable[..., FtpServer], redis_server: RedisServer, tmp_path: Path
) -> None:
    server = vsftpd().fresh()
    installation = Installation(tmp_path, redis=redis_server.url)
    for name, count in (("large", LARGE_FILES), ("small", SMALL_FILES)):
        source = installation.add_site(server, name, remote=name, ftp={"max_connections": 2})
        for number in range(count):
            folder = source / str(number // 100)
            folder.mkdir(exist_ok=True)
            (folder / f"{number}.txt").write_text(f"{name} {number}")
    with ExitStack() as stack:
        stack.enter_context(installation.process("worker"))
        wait_for_workers(redis_server, 1)
        large = installation.run("import", "large", "--detach").stdout.strip()
        begin = time.monotonic()
        small = installation.run("import", "small", "--json", "--quiet")
        waited = time.monotonic() - begin
        state = installation.run("status", large, "--json").json
        print(f"{SMALL_FILES} files beside {LARGE_FILES}: {waited:.2f} s")  # noqa: T201
        assert small.code == 0, small.output
        assert state["state"] == "transferring", "the large one was over before it could matter"
        assert installation.run("watch", large, timeout=200).code == 0
