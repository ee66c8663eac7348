"""The ledger as commands reach it: the configured Redis, or the user's private one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_redis_password
from siteferry.embedded.server import EmbeddedServer
from siteferry.ledger.connection import Connection, connect
from siteferry.secret import Secret
from siteferry.settings import Settings

PATIENCE_SECONDS = 10.0
"""How long a command waits for a Redis that is away before it says so and ends with 7."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A connection, the URL it goes to, and whether that is the private server."""

    connection: Connection
    url: str
    username: str | None
    password: Secret | None
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
            yield _ledger(settings, server.url, None, None, True, server.check)
        return
    password = resolve_redis_password(Stores(settings))
    username = settings.redis.username
    yield _ledger(settings, settings.redis.url, username, password, False, _nothing)


def _ledger(
    settings: Settings,
    url: str,
    username: str | None,
    password: Secret | None,
    embedded: bool,
    check: Callable[[], None],
) -> Ledger:
    connection = connect(
        url,
        username=username,
        password=password,
        prefix=settings.redis.key_prefix,
        patience_seconds=PATIENCE_SECONDS,
    )
    return Ledger(connection, url, username, password, embedded, check)


def _nothing() -> None:
    """A configured Redis is looked after by its operator."""
