"""The ledger as commands reach it: the configured Redis, or the user's private one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_redis_password
from siteferry.embedded.server import EmbeddedServer
from siteferry.ledger.connection import Connection, connect
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.redis_tls import RedisTls, tls_of


@dataclass(frozen=True, slots=True)
class Ledger:
    """A connection, the URL it goes to, and whether that is the private server."""

    connection: Connection
    url: str
    username: str | None
    password: Secret | None
    tls: RedisTls | None
    embedded: bool
    check: Callable[[], None]
    """To be called while a command waits: starts a private server that has died again."""


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """Connect to the configured Redis, or join the private server for as long as the block lasts.

    Raises:
        LedgerUnreachable: from the first call on the connection, or for want of a server.
    """
    if settings.redis.url is None:
        with EmbeddedServer(settings.state_dir) as server:
            connection = connect(
                server.url,
                prefix=settings.redis.key_prefix,
                patience_seconds=settings.redis.patience_seconds,
                keep_seconds=settings.redis.keep_runs,
            )
            yield Ledger(connection, server.url, None, None, None, True, server.check)
        return
    url, username = settings.redis.url, settings.redis.username
    password = resolve_redis_password(Stores(settings))
    tls = tls_of(settings.redis, url)
    connection = _connect(settings, url, password, tls, settings.redis.patience_seconds)
    yield Ledger(connection, url, username, password, tls, False, _nothing)


def wait_for_redis(settings: Settings, url: str) -> None:
    """Wait for a Redis that is away, for ever, saying so once; for a worker, before it begins.

    Raises:
        LedgerUnreachable: it answers, and refuses us.
        ConfigurationError, CredentialError: the files for TLS or the password are not to be had.
    """
    password = resolve_redis_password(Stores(settings))
    connection = _connect(settings, url, password, tls_of(settings.redis, url), math.inf)
    connection.call(connection.client.ping)
    connection.client.close()


def _connect(
    settings: Settings,
    url: str,
    password: Secret | None,
    tls: RedisTls | None,
    patience_seconds: float,
) -> Connection:
    return connect(
        url,
        username=settings.redis.username,
        password=password,
        tls=tls,
        prefix=settings.redis.key_prefix,
        patience_seconds=patience_seconds,
        keep_seconds=settings.redis.keep_runs,
    )


def _nothing() -> None:
    """A configured Redis is looked after by its operator."""
