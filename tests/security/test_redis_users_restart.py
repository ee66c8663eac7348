"""A server with the users of config/redis-users.acl has its data after a restart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from tests.conftest import unavailable
from tests.private_redis import RedisServer, redis_binary
from tests.security.redis_users import PASSWORDS, client_as, redis_with_users

WORKER = "siteferry-worker"


@pytest.mark.parametrize("kind", ["bundled", "distribution"])
def test_what_a_transaction_has_written_is_there_after_a_kill(kind: str, tmp_path: Path) -> None:
    """Redis 7.0 checks the rights of `default` at each EXEC in its append-only file."""
    binary = redis_binary() if kind == "bundled" else shutil.which("redis-server")
    if binary is None:
        unavailable(f"no Redis ({kind})")
    with redis_with_users(binary, tmp_path, appends=True) as server:
        with client_as(server, WORKER) as client, client.pipeline(transaction=True) as together:
            together.set("siteferry:one", "1").set("siteferry:two", "2").execute()
        server.restart(keep=False)
        with client_as(server, WORKER) as client:
            assert [client.get(f"siteferry:{key}") for key in ("one", "two")] == [b"1", b"2"]
        refuse_strangers(server)


def refuse_strangers(server: RedisServer) -> None:
    """The rights of `default` are nobody's who comes over the network."""
    for login in ({}, {"username": "default", "password": PASSWORDS[WORKER]}):
        stranger = redis.Redis.from_url(server.tcp_url, **login)
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("siteferry:one")
