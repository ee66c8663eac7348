"""Two workers and one Redis, each started by hand."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.holdings import wait_until
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

LIMIT = 8


def wait_for_workers(server: RedisServer, count: int) -> None:
    """Until so many worker processes beat; bounded."""
    deadline = time.monotonic() + 30
    client = server.client()
    try:
        while client.zcard("siteferry:nodes") < count:
            assert time.monotonic() < deadline, "the workers did not start"
            time.sleep(0.05)
    finally:
        client.close()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_two_workers_share_an_import_within_the_accounts_connections(
    vsftpd: Callable[..., FtpServer],
    redis_server: RedisServer,
    tmp_path: Path,
    wordpress_tree: Path,
) -> None:
    server = vsftpd().fresh()
    with FtpProxy.in_front_of(server) as proxy, ExitStack() as stack:
        installation = Installation(tmp_path, redis=redis_server.url)
        source = installation.add_site(server.through(proxy.port), ftp={"max_connections": LIMIT})
        shutil.copytree(wordpress_tree, source, dirs_exist_ok=True)
        for _ in range(2):
            stack.enter_context(installation.process("worker"))
        wait_for_workers(redis_server, 2)
        result = installation.run("import", "example", "--json", "--quiet", timeout=120)
        assert result.code == 0, result.output
        assert result.json["stats"]["uploaded"] == 2521
        assert tree_of(server.root / "public_html") == tree_of(source)
        assert left_over(server.root / "public_html") == []
        shares = result.json["workers"]
        assert len(shares) == 2
        assert sum(shares.values()) == 2521
        assert min(shares.values()) > 2521 // 10, f"work is not shared: {shares}"
        assert proxy.most_connections <= LIMIT
        assert proxy.logins <= 2 * LIMIT, f"{proxy.logins} logins"


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_workers_that_come_later_get_their_part_though_the_first_could_do_it_alone(
    vsftpd: Callable[..., FtpServer], redis_server: RedisServer, tmp_path: Path
) -> None:
    """It has as many threads as there are connections, which go over to the others one by one."""
    server = vsftpd().fresh()
    with FtpProxy.in_front_of(server) as proxy, ExitStack() as stack:
        installation = Installation(tmp_path, redis=redis_server.url)
        installation.configure(batch={"files": 4})
        source = installation.add_site(
            server.through(proxy.port), ftp={"max_connections": LIMIT}, bandwidth="2M"
        )
        files = {f"{n % 10}/file-{n}.bin": n.to_bytes(4, "big") * 16384 for n in range(600)}
        write_tree(source, files)
        stack.enter_context(installation.process("worker"))
        wait_for_workers(redis_server, 1)
        run = installation.run("import", "example", "--detach").stdout.strip()
        wait_until(
            lambda: installation.run("status", run, "--json").json["stats"]["uploaded"],
            "nothing was uploaded",
        )
        wait_until(lambda: proxy.most_connections == LIMIT, "its connections did not grow")
        for _ in range(3):
            stack.enter_context(installation.process("worker"))
        wait_for_workers(redis_server, 4)
        result = installation.run("watch", run, "--json", timeout=120)
        assert result.code == 0, result.output
        assert tree_of(server.root / "public_html") == tree_of(source)
        shares = result.json["workers"]
        assert len(shares) == 4
        assert sum(shares.values()) == len(files)
        assert min(shares.values()) > len(files) // 20, f"work is not shared: {shares}"
        assert proxy.most_connections <= LIMIT
        assert proxy.logins <= 2 * LIMIT, f"{proxy.logins} logins"
