"""What older servers take otherwise than the bundled one: on the Redis of the distribution."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Items
from siteferry.ledger.runs import Runs
from tests.conftest import unavailable
from tests.integration.test_ledger import empty_files_in_doubt
from tests.private_redis import RedisServer


@pytest.fixture
def distributions_redis() -> Iterator[Connection]:
    binary = shutil.which("redis-server")
    if binary is None:
        unavailable("redis-server is not installed (Debian: apt install redis-server)")
    server = RedisServer(binary)
    connection = connect(server.url, patience_seconds=0.5)
    yield connection
    connection.client.close()
    server.remove()


def test_an_empty_file_that_was_in_doubt_is_recorded(distributions_redis: Connection) -> None:
    """Lua's -0 is no integer to a Redis before 7.2."""
    empty_files_in_doubt(Items(distributions_redis), Runs(distributions_redis))
