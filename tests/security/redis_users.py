"""A Redis with the users of config/redis-users.acl, and processes that log in as one of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.installation import REPOSITORY, Installation
from tests.private_redis import RedisServer
from tests.servers.ports import PortBlock

PASSWORDS = {
    "siteferry-producer": "word-of-the-producer",
    "siteferry-beat": "word-of-beat",
    "siteferry-worker": "word-of-the-worker",
    "siteferry-flower": "word-of-flower",
}
_EXAMPLE = REPOSITORY / "config/redis-users.acl"


def users_file(folder: Path) -> Path:
    """The example with a password for each user, made as its own recipe says."""
    for name, password in PASSWORDS.items():
        (folder / f"{name.removeprefix('siteferry-')}.password").write_text(f"{password}\n")
    shutil.copy(_EXAMPLE, folder)
    recipe = re.search(r"^# +hash\(\).*users\.acl$", _EXAMPLE.read_text(), re.DOTALL | re.MULTILINE)
    assert recipe is not None
    lines = [line.lstrip("# ") for line in recipe[0].splitlines()]
    subprocess.run(["sh", "-e", "-c", "\n".join(lines)], cwd=folder, check=True)
    return folder / "users.acl"


@contextmanager
def redis_with_users(binary: str, folder: Path, *, appends: bool = False) -> Iterator[RedisServer]:
    ports = PortBlock()
    server = RedisServer(binary, port=ports.control, users=users_file(folder), appends=appends)
    try:
        yield server
    finally:
        server.remove()
        ports.release()


def login(installation: Installation, server: RedisServer, user: str) -> None:
    """From now on the processes of `installation` are this user."""
    installation.environment["SITEFERRY_REDIS_URL"] = server.tcp_url.replace("//", f"//{user}@")
    installation.environment["SITEFERRY_REDIS_PASSWORD"] = PASSWORDS[user]


def client_as(server: RedisServer, user: str) -> redis.Redis:
    return redis.Redis.from_url(
        server.tcp_url, username=user, password=PASSWORDS[user], driver_info=None
    )


def denied(server: RedisServer) -> list[tuple[str, str, str]]:
    """What ACL LOG has: user, reason, and the command, key or channel."""
    with server.client() as admin:
        entries: list[dict[str, Any]] = admin.acl_log()
    return [
        (str(entry["username"]), str(entry["reason"]), f"{entry['context']} {entry['object']}")
        for entry in entries
    ]
