"""The connection to Redis, the scripts on it, and patience while it is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, TypeVar

import redis
import redis.exceptions

from siteferry.errors import LedgerUnreachable
from siteferry.ledger.keys import Keys
from siteferry.log import get_logger
from siteferry.secret import Secret

T = TypeVar("T")

_log = get_logger(__name__)

_SCRIPTS = (
    "start",
    "claim",
    "finish",
    "report",
    "release",
    "fail",
    "sweep",
    "beat_node",
    "take_slots",
    "admitted",
    "refused",
    "key_names",
)


@dataclass(frozen=True, slots=True)
class Connection:
    """Redis as the ledger uses it. Every call goes through `call`, which waits for a Redis that is
    away; so everything called there may be done twice without harm (scripts are fenced).

    redis-py's own Retry did not save a call made while the port was closed, hence this loop.
    """

    client: Any
    """redis.Redis with decoded answers; its type says neither which commands give text."""
    keys: Keys
    patience_seconds: float
    scripts: dict[str, Any] = field(default_factory=dict)

    def call(self, action: Callable[[], T]) -> T:
        """Do `action`, again and again while Redis cannot be reached, for `patience_seconds`.

        Raises:
            LedgerUnreachable: it stayed away, or it refuses us.
        """
        deadline = time.monotonic() + self.patience_seconds
        pause = 0.1
        while True:
            try:
                return action()
            except (redis.exceptions.AuthenticationError, redis.exceptions.NoPermissionError) as e:
                raise LedgerUnreachable(
                    "Redis refuses the user name or password",
                    reply=str(e),
                    next_step="Check SITEFERRY_REDIS_URL and SITEFERRY_REDIS_PASSWORD.",
                ) from e
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                if time.monotonic() + pause > deadline:
                    raise LedgerUnreachable(
                        f"Redis cannot be reached: {error}",
                        next_step="Start it, or check --redis and SITEFERRY_REDIS_URL.",
                    ) from error
                _log.warning("Redis is away, trying again", pause_seconds=pause)
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def run_script(self, name: str, *arguments: object) -> Any:
        """Run one of our Lua scripts; the key prefix is its first argument."""
        script = self.scripts[name]
        return self.call(lambda: script(args=[self.keys.prefix, *arguments]))


def connect(
    url: str,
    *,
    username: str | None = None,
    password: Secret | None = None,
    prefix: str = "siteferry:",
    patience_seconds: float = 30.0,
) -> Connection:
    """Prepare a connection; nothing is sent before the first call.

    Args:
        url: `redis://`, `rediss://` or `unix://` without a password.
        patience_seconds: how long each call waits for a Redis that is away.
    """
    secrets: dict[str, Any] = {}
    if username:
        secrets["username"] = username
    if password:
        secrets["password"] = password.reveal()
    client = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=15,
        socket_connect_timeout=5,
        health_check_interval=30,
        **secrets,
    )
    folder = resources.files("siteferry.ledger").joinpath("lua")
    prelude = folder.joinpath("prelude.lua").read_text("utf-8")
    scripts = {
        name: client.register_script(prelude + folder.joinpath(f"{name}.lua").read_text("utf-8"))
        for name in _SCRIPTS
    }
    return Connection(client, Keys(prefix), patience_seconds, scripts)
