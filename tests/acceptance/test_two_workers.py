"""Two workers and one Redis, each started by hand."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.installation import Installation, left_over, tree_of
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
