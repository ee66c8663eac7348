"""Everything one worker process shares between its threads."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from siteferry.broker import Broker, broker_of
from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_redis_password
from siteferry.dispatch.hands import Hands
from siteferry.dispatch.versions import Versions
from siteferry.errors import AccountStopped, LoginRefused, SourceElsewhere
from siteferry.ftp.pool import SessionPool
from siteferry.ftp.sharing import Account
from siteferry.ledger.accounts import StoppedAccounts
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Items
from siteferry.ledger.profiles import ProfileLedger
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.log import get_logger
from siteferry.settings import Settings
from siteferry.settings.models import CONNECTS_PER_SECOND
from siteferry.settings.redis_tls import tls_of
from siteferry.tree.content_hashes import ContentHashes, NoCache
from siteferry.tree.hash_cache import HashCache
from siteferry.websites import Website, load_website
from siteferry.websites.ad_hoc import AdHocWebsite
from siteferry.websites.loading import SUFFIXES, files_of

_MOST_WEBSITES = 256

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SharedSlots:
    """The ledger's slots in the form that the session pool asks for."""

    ledger: SlotLedger
    connects_per_second: int = CONNECTS_PER_SECOND

    def take(self, account: Account, address: str, token: str) -> bool | None:
        return self.ledger.take(
            account.name,
            address,
            token,
            most_account=account.connections,
            most_address=account.address_connections,
            connects_per_second=self.connects_per_second,
        )

    def free(self, account: Account, address: str, token: str) -> None:
        self.ledger.free(account.name, address, token)

    def admitted(self, account: Account, address: str, token: str) -> None:
        self.ledger.admitted(account.name, address, token)

    def refused(
        self, account: Account, address: str, token: str, told: int | None, whose: str | None
    ) -> int:
        return self.ledger.refused(account.name, address, token, told=told, whose=whose)

    def others(self, account: Account, token: str) -> int:
        return self.ledger.others(account.name, token)

    def wanted(self, account: Account, address: str) -> bool:
        return self.ledger.wanted(account.name, address)


@dataclass(frozen=True, slots=True)
class LoginGate:
    """The ledger's stopped accounts in the form that the session pool asks for."""

    stopped: StoppedAccounts

    def check(self, account: Account) -> None:
        stop = self.stopped.find(account.name)
        if stop is None:
            return
        until = dt.datetime.fromtimestamp(stop.until, dt.UTC)
        raise AccountStopped(
            f"the host has refused the login of {account.name}; it is not tried again before "
            f"{until:%H:%M:%S} UTC, for hosts ban who tries too often",
            reply=stop.reply,
            next_step="Correct the credential, then: "
            f"siteferry account resume {account.name}, and run the same import again.",
        )

    def refused(self, account: Account, error: LoginRefused) -> None:
        self.stopped.stop(account.name, error.reply or "")
        _log.error("logins are stopped", account=account.name, reply=error.reply)

    def accepted(self, account: Account) -> None:
        self.stopped.resume(account.name)


@dataclass(slots=True)
class Runtime:
    """One worker process: settings, ledger, broker, sessions."""

    settings: Settings
    node: str
    connection: Connection
    broker: Broker
    pool: SessionPool
    items: Items
    runs: Runs
    slots: SlotLedger
    stores: Stores
    hands: Hands = field(default_factory=Hands)
    hashes: ContentHashes = field(default_factory=NoCache)
    versions: Versions = field(default_factory=Versions)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process was told to stop: it begins nothing more, and gives back what it can."""
    missed_leases: set[str] = field(default_factory=set)
    """Leases that the ledger did not know at the last heartbeat."""
    sleep: Callable[[float], None] = time.sleep
    """Waits for so many seconds, where a step has to wait for time itself to pass."""
    _websites: dict[tuple[str, str], Website] = field(default_factory=dict)
    _websites_lock: threading.Lock = field(default_factory=threading.Lock)

    def website(self, name: str, run: str, ad_hoc: AdHocWebsite | None = None) -> Website:
        """The website as this machine's configuration had it when `run` first came here, or as the
        run brings it along.

        Raises:
            SourceElsewhere: this machine has no file of it.
            ConfigurationError: it has, and the file is not as it must be.
        """
        with self._websites_lock:
            known = self._websites.get((name, run))
            if known is None:
                known = ad_hoc.website() if ad_hoc else self._load(name)
                while len(self._websites) >= _MOST_WEBSITES:
                    del self._websites[next(iter(self._websites))]
                self._websites[name, run] = known
            return known

    def _load(self, name: str) -> Website:
        if not files_of(name, self.settings):
            file = self.settings.paths.websites / f"{name}{SUFFIXES[0]}"
            raise SourceElsewhere(
                f"worker {self.node} does not have the file of website {name} ({file})",
                next_step="Bring it there, or correct paths.websites of that worker.",
            )
        return load_website(name, self.settings)


def new_node_name() -> str:
    """A name for a worker process, unique for each start: a restarted worker is another one."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


def make_runtime(settings: Settings, redis_url: str, node: str) -> Runtime:
    """Put a worker process together; nothing is sent before it is used."""
    username, prefix = settings.redis.username, settings.redis.key_prefix
    stores = Stores(settings)
    password = resolve_redis_password(stores)
    tls = tls_of(settings.redis, redis_url)
    connection = connect(redis_url, username=username, password=password, tls=tls, prefix=prefix)
    broker = broker_of(settings, redis_url, password)
    slots = SlotLedger(connection)
    pool = SessionPool(
        SharedSlots(slots, settings.connects_per_second),
        ProfileLedger(connection),
        LoginGate(StoppedAccounts(connection)),
        new_token=lambda: f"{node}.{secrets.token_hex(4)}",
        idle_seconds=settings.worker.idle_seconds,
    )
    return Runtime(
        settings=settings,
        node=node,
        connection=connection,
        broker=broker,
        pool=pool,
        items=Items(connection),
        runs=Runs(connection),
        slots=slots,
        stores=stores,
        hashes=HashCache.open(settings.state_dir / "hashes"),
    )
