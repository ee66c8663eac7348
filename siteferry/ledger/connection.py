"""The connection to Redis, the scripts on it, and patience while it is away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any, TypeVar

import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from siteferry.ledger.keys import LIVE_SECONDS, Keys
from siteferry.ledger.outage import Outage, pauses
from siteferry.ledger.refusals import is_away, refusal, unreachable
from siteferry.log import get_logger
from siteferry.secret import Secret
from siteferry.settings.redis_tls import RedisTls

T = TypeVar("T")

_log = get_logger(__name__)

_SHARED = (
    "names",
    "runs",
    "counts",
    "ends",
    "limits",
    "window",
    "outcomes",
    "attempts",
    "schedules",
)
"""What stands in front of every script, in this order: each builds on those before it."""
_SCRIPTS = (
    "start",
    "claim",
    "finish",
    "report",
    "release",
    "fail",
    "note",
    "sweep",
    "bury",
    "beat_node",
    "take_slots",
    "admitted",
    "refused",
    "metrics",
    "settle",
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
    scheme: str = "redis"
    user: str = ""
    keep_seconds: int = LIVE_SECONDS
    """How long runs that are started here are known after their end."""
    outage: Outage = field(default_factory=Outage)

    def hashes(self, keys: Sequence[str]) -> tuple[float, list[dict[str, str]]]:
        """What stands in each of `keys`, in one question, and the time of Redis' clock (Unix
        seconds); an empty dictionary where nothing does.

        Raises:
            LedgerUnreachable: see `call`.
        """

        def ask() -> list[Any]:
            with self.client.pipeline(transaction=False) as pipe:
                pipe.time()
                for key in keys:
                    pipe.hgetall(key)
                return list(pipe.execute())

        (seconds, micros), *found = self.call(ask)
        return seconds + micros / 1e6, found

    def call(self, action: Callable[[], T]) -> T:
        """Do `action`, again and again while Redis cannot be reached, for `patience_seconds`.

        Raises:
            LedgerUnreachable: it stayed away, or it refuses us.
        """
        deadline = time.monotonic() + self.patience_seconds
        looks = pauses(random.random)
        in_vain = False
        while True:
            pause = next(looks)
            try:
                answer = action()
            except redis.exceptions.RedisError as error:
                refused = refusal(error, self.user)
                if refused is not None:
                    raise refused from error
                if not is_away(error):
                    raise
                if time.monotonic() + pause > deadline:
                    raise unreachable(error, self.scheme) from error
                if in_vain:
                    self.outage.lasts(error, self.patience_seconds)
                in_vain = True
            else:
                self.outage.over()
                return answer
            time.sleep(pause)

    def run_script(self, name: str, *arguments: object) -> Any:
        """Run one of our Lua scripts; the key prefix is its first argument."""
        script = self.scripts[name]
        return self.call(lambda: script(args=[self.keys.prefix, *arguments]))

    def hurried(self, seconds: float) -> Connection:
        """The same ledger through a client of its own, with no patience: what takes longer than
        `seconds` to connect, or to answer, is away."""
        pool = self.client.connection_pool
        limits = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        own = redis.ConnectionPool(
            connection_class=pool.connection_class, **{**pool.connection_kwargs, **limits}
        )
        client = redis.Redis(connection_pool=own)
        scripts = {
            name: client.register_script(script.script) for name, script in self.scripts.items()
        }
        return replace(self, client=client, patience_seconds=0.0, scripts=scripts, outage=Outage())


def connect(
    url: str,
    *,
    username: str | None = None,
    password: Secret | None = None,
    tls: RedisTls | None = None,
    prefix: str = "siteferry:",
    patience_seconds: float = 30.0,
    keep_seconds: int = LIVE_SECONDS,
) -> Connection:
    """Prepare a connection; nothing is sent before the first call.

    Args:
        url: `redis://`, `rediss://` or `unix://` without a password.
        tls: for `rediss://`; see `siteferry.settings.redis_tls.tls_of`.
        patience_seconds: how long each call waits for a Redis that is away.
        keep_seconds: how long runs that are started with it are known after their end.
    """
    options: dict[str, Any] = tls.options() if tls is not None else {}
    if username:
        options["username"] = username
    if password:
        options["password"] = password.reveal()
    if tls is not None and not tls.verify:
        _log.warning("the certificate of Redis is NOT checked: redis.verify is false", url=url)
    client = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=15,
        socket_connect_timeout=5,
        health_check_interval=30,
        # One loop that waits is enough: with redis-py's own, a server that hangs takes four times
        # as long to be noticed.
        retry=Retry(NoBackoff(), 0),
        # CLIENT SETINFO would need a right that is none of our users' business.
        driver_info=None,
        **options,
    )
    folder = resources.files("siteferry.ledger").joinpath("lua")
    shared = "".join(
        folder.joinpath("shared", f"{name}.lua").read_text("utf-8") for name in _SHARED
    )
    scripts = {
        name: client.register_script(shared + folder.joinpath(f"{name}.lua").read_text("utf-8"))
        for name in _SCRIPTS
    }
    scheme = url.partition(":")[0]
    return Connection(
        client, Keys(prefix), patience_seconds, scripts, scheme, username or "", keep_seconds
    )
