"""Sessions of one process, kept for the next item of the same account while they are wanted."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Protocol

from siteferry.errors import (
    ConnectionLimited,
    CredentialError,
    HostUnknown,
    LoginRefused,
    SlotsBusy,
)
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.profile import KEEP_SECONDS, ServerProfile, profile_of
from siteferry.ftp.replies import limited_by, told_limit
from siteferry.ftp.session import Session
from siteferry.log import get_logger
from siteferry.secret import Secret

_JUST_NOW_SECONDS = 60.0
_FAREWELL_SECONDS = 1.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """One user on one host, and how many connections it and the host's address allow."""

    name: str
    endpoint: Endpoint
    connections: int
    address_connections: int


class Profiles(Protocol):
    """Where profiles are kept, as text (`siteferry.ledger.profiles`)."""

    def read(self, account: str) -> str | None:
        """The account's profile; None where nothing is known yet."""

    def write(self, account: str, text: str) -> None:
        """Keep a profile in place of the one before."""


class Slots(Protocol):
    """Grants of connections, shared by all workers (`siteferry.ledger.slots`)."""

    def take(self, account: Account, address: str, token: str) -> bool:
        """Take a lease of the account and one of the address in one step, or neither."""

    def free(self, account: Account, address: str, token: str) -> None:
        """Give both leases back."""

    def admitted(self, account: Account, address: str, token: str) -> None:
        """The host has admitted this one's login."""

    def refused(
        self, account: Account, address: str, token: str, told: int | None, whose: str | None
    ) -> int:
        """The host admits no more than the others; this one's leases are given back. Gives how many
        the others are."""

    def others(self, account: Account, token: str) -> int:
        """How many sessions of the account are logged in beside this one."""

    def wanted(self, account: Account, address: str) -> bool:
        """Whether a worker elsewhere waits for a slot of this account, or of this address."""


class Gate(Protocol):
    """Keeps wrong passwords from being tried again and again (`siteferry.ledger.accounts`)."""

    def check(self, account: Account) -> None:
        """Raise AccountStopped while the account must not log in."""

    def refused(self, account: Account, error: LoginRefused) -> None:
        """The host does not accept the login: nobody tries it for a while."""

    def accepted(self, account: Account) -> None:
        """It does."""


Login = Callable[[bool], tuple[str, Secret]]
"""Gives user name and password; True: as they are in the store now, whatever was kept of them."""


@dataclass(slots=True)
class Held:
    """A session with its leases; `token` names them in the ledger."""

    session: Session
    account: Account
    address: str
    token: str
    idle_since: float = 0.0


@dataclass(slots=True)
class _Profile:
    """A profile in use, and as it was last written."""

    profile: ServerProfile
    written: ServerProfile


@dataclass(slots=True)
class SessionPool:
    """Lends sessions to threads. A session that comes back suspect is closed, its slots freed.

    Args:
        slots: grants connections.
        profiles: keeps what is learned of a server for other processes.
        gate: knows accounts whose login the host refuses.
        new_token: makes a name for a pair of leases, unique among all workers.
        idle_seconds: how long an idle session waits for the next item.
        wait_seconds: how long a thread may wait for a slot that another session is giving up.
    """

    slots: Slots
    profiles: Profiles
    gate: Gate
    new_token: Callable[[], str]
    idle_seconds: float = 3.0
    wait_seconds: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _idle: dict[str, list[Held]] = field(default_factory=lambda: defaultdict(list))
    _busy: dict[str, Held] = field(default_factory=dict)
    _connecting: dict[str, tuple[Account, str]] = field(default_factory=dict)
    _accepted: dict[str, tuple[tuple[str, Secret], float]] = field(default_factory=dict)
    """By account the login that the host has accepted last, and when."""
    _profiles: dict[str, _Profile] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _freed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def session(self, account: Account, login: Login) -> Iterator[Session]:
        """Lend a session of `account`: an idle one, or a new one that logs in with `login`.

        Raises:
            SlotsBusy: no slot came free in time; give the item back and try later.
            AccountStopped: the host has refused the login a short while ago.
            HostError, LoginRefused, SessionLost: from connecting.
        """
        held = self._reuse(account) or self._connect(account, login)
        with self._lock:
            self._busy[held.token] = held
        try:
            yield held.session
        except BaseException:
            # After an error nobody knows what the server is still going to say.
            held.session.lost = True
            raise
        finally:
            self._give_back(held)

    def profile(self, account: Account) -> ServerProfile:
        """What is known of the account's server: one object for all its sessions here."""
        with self._lock:
            known = self._profiles.get(account.name)
            if known is not None and time.time() - known.profile.learned > KEEP_SECONDS:
                del self._profiles[account.name]
                known = None
        if known is None:
            text = self.profiles.read(account.name)
            fresh = profile_of(text, time.time())
            with self._lock:
                # Of two threads that come here at once, the first one's stays.
                known = self._profiles.setdefault(account.name, _Profile(fresh, copy(fresh)))
        return known.profile

    def _keep_profile(self, account: Account) -> None:
        """Bring what was learned to the ledger; costs nothing where that is nothing."""
        known = self._profiles.get(account.name)
        if known is None or known.profile == known.written:
            return
        learned = copy(known.profile)
        try:
            self.profiles.write(account.name, learned.text())
        except Exception as error:  # noqa: BLE001  # no work may fail for it, whatever it is
            # The next session that ends brings it.
            _log.warning("a server profile is not kept", account=account.name, error=str(error))
        else:
            known.written = learned

    def leases(self) -> list[tuple[Account, str, str]]:
        """Account, address and token of every session that lives or logs in, for the heartbeat to
        renew."""
        with self._lock:
            every = [*self._busy.values(), *(h for idle in self._idle.values() for h in idle)]
            coming = [(account, at, token) for token, (account, at) in self._connecting.items()]
        return coming + [(held.account, held.address, held.token) for held in every]

    def close_idle(self, *, everything: bool = False) -> None:
        """Close sessions that waited long enough, or whose slots a worker elsewhere wants."""
        now = self.clock()
        with self._lock:
            first = {name: idle[0] for name, idle in self._idle.items() if idle}
        wanted = {name for name, h in first.items() if self.slots.wanted(h.account, h.address)}
        closing: list[Held] = []
        with self._lock:
            for name, idle in self._idle.items():
                keep: list[Held] = []
                for held in idle:
                    old = now - held.idle_since >= self.idle_seconds
                    (closing if everything or old or name in wanted else keep).append(held)
                self._idle[name] = keep
        for held in closing:
            held.session.take_leave()
        for held in closing:
            self._close(held, said=True)

    # -- inside ----------------------------------------------------------------------------------

    def _reuse(self, account: Account) -> Held | None:
        with self._lock:
            idle = self._idle[account.name]
            return idle.pop() if idle else None

    def _connect(self, account: Account, login: Login) -> Held:
        self.gate.check(account)
        known = login(False)
        address = _address(account.endpoint)
        deadline = self.clock() + self.wait_seconds
        while True:
            token = self.new_token()
            if idle := self._take_slot(account, address, token, deadline):
                return idle
            try:
                session = self._log_in_as(account, address, token, known, login)
            except ConnectionLimited as error:
                reply = error.reply or ""
                told, whose = told_limit(reply), limited_by(reply)
                others = self.slots.refused(account, address, token, told, whose)
                _log.warning("the host admits no more", others=others, reply=reply)
                if not others:
                    # Somebody else's connections: there is none of ours to wait for.
                    raise
                continue
            except BaseException:
                self.slots.free(account, address, token)
                raise
            _log.debug("logged in", account=account.name, address=address)
            return Held(session, account, address, token)

    def _log_in_as(
        self, account: Account, address: str, token: str, known: tuple[str, Secret], login: Login
    ) -> Session:
        with self._lock:
            self._connecting[token] = (account, address)
        try:
            session = self._log_in(account, token, known, login)
            try:
                self.gate.accepted(account)
                self.slots.admitted(account, address, token)
            except BaseException:
                session.drop()
                raise
            # What was admitted may have made room for another one.
            self._freed.set()
            return session
        finally:
            with self._lock:
                del self._connecting[token]

    def _log_in(
        self, account: Account, token: str, known: tuple[str, Secret], login: Login
    ) -> Session:
        try:
            session = self._open(account, *known)
        except LoginRefused as error:
            if self._means_limit(account, token, known):
                raise ConnectionLimited(
                    "the host refuses a login that it has accepted a short while ago: it seems to "
                    "admit no more connections at the moment",
                    reply=error.reply,
                    next_step="Lower ftp.max_connections of the website.",
                ) from error
            # The password may have been changed since it was fetched: once more, with what is in
            # the store now, if that is another one.
            try:
                fresh = login(True)
            except CredentialError:
                # Whatever the store says now: this login has been refused.
                self.gate.refused(account, error)
                raise
            if fresh == known:
                self.gate.refused(account, error)
                raise
            try:
                session = self._open(account, *fresh)
            except LoginRefused as again:
                self.gate.refused(account, again)
                raise
            known = fresh
        self._accepted[account.name] = (known, self.clock())
        return session

    def _means_limit(self, account: Account, token: str, login: tuple[str, Secret]) -> bool:
        """Whether a login that is refused without a word about a limit is so for one: the same was
        accepted a short while ago, and other sessions of the account are there; or just now, when
        the server may not know yet that the last one has gone."""
        accepted, at = self._accepted.get(account.name, (None, 0.0))
        if accepted is not None and accepted != login:
            return False
        if accepted is not None and self.clock() - at < _JUST_NOW_SECONDS:
            return True
        return self.slots.others(account, token) > 0

    def _open(self, account: Account, username: str, password: Secret) -> Session:
        session = Session(account.endpoint, self.profile(account))
        try:
            session.open(username, password)
        finally:
            self._keep_profile(account)
        return session

    def _take_slot(
        self, account: Account, address: str, token: str, deadline: float
    ) -> Held | None:
        """Take the leases; or give a session of this process that came free before they did."""
        while not self.slots.take(account, address, token):
            if idle := self._reuse(account):
                return idle
            if other := self._idle_at(address):
                # Its slot of the address is nearer than those of other processes.
                self._close(other)
                continue
            left = deadline - self.clock()
            if left <= 0:
                raise SlotsBusy(
                    f"all {account.connections} connections of {account.name} are in use"
                )
            # A session of this process or of a worker elsewhere will be given up for us.
            self._freed.clear()
            self._freed.wait(min(left, 0.05))
        return None

    def _idle_at(self, address: str) -> Held | None:
        """An idle session of any account at the address: the one that waits longest."""
        with self._lock:
            there = [h for idle in self._idle.values() for h in idle if h.address == address]
            if not there:
                return None
            oldest = min(there, key=lambda held: held.idle_since)
            self._idle[oldest.account.name].remove(oldest)
            return oldest

    def _give_back(self, held: Held) -> None:
        held.session.on_activity = _nothing
        with self._lock:
            self._busy.pop(held.token, None)
            idles = not held.session.lost
            if idles:
                held.idle_since = self.clock()
                self._idle[held.account.name].append(held)
                self._freed.set()
        if not idles:
            self._close(held)
        self._keep_profile(held.account)

    def _close(self, held: Held, *, said: bool = False) -> None:
        if not said:
            held.session.take_leave()
        # A host that still counts it would refuse whoever gets the slot.
        held.session.await_end(_FAREWELL_SECONDS)
        self.slots.free(held.account, held.address, held.token)
        self._freed.set()


def _nothing() -> None:
    """An idle session is nobody's sign of life."""


def _address(endpoint: Endpoint) -> str:
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise HostUnknown(
            f"the host name {endpoint.host} does not resolve: {error.strerror}",
            next_step="Correct ftp.host of the website, or the machine's DNS.",
        ) from error
    return str(found[0][4][0])
