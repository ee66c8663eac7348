"""Sessions of one process, kept for the next item of the same account while they are wanted."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from siteferry.errors import (
    ConnectionLimited,
    HostUnknown,
    SlotsBusy,
)
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.logins import Logins
from siteferry.ftp.replies import limited_by, told_limit
from siteferry.ftp.session import Session
from siteferry.ftp.sharing import Account, Gate, Login, Profiles, Slots
from siteferry.ftp.sockets import has_hung_up
from siteferry.log import get_logger

_FAREWELL_SECONDS = 1.0

_log = get_logger(__name__)


@dataclass(slots=True)
class Held:
    """A session with its leases; `token` names them in the ledger."""

    session: Session
    account: Account
    address: str
    token: str
    idle_since: float = 0.0


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
    logins: Logins = field(init=False)
    _idle: dict[str, list[Held]] = field(default_factory=lambda: defaultdict(list))
    _busy: dict[str, Held] = field(default_factory=dict)
    _leaving: list[Held] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _freed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.logins = Logins(self.slots, self.profiles, self.gate, self.clock)

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

    def leases(self) -> list[tuple[Account, str, str]]:
        """Account, address and token of every session that lives or logs in, for the heartbeat to
        renew."""
        with self._lock:
            idle = (held for of_account in self._idle.values() for held in of_account)
            every = [*self._busy.values(), *idle, *self._leaving]
        return self.logins.under_way() + [
            (held.account, held.address, held.token) for held in every
        ]

    def close_idle(self, *, everything: bool = False) -> None:
        """Close sessions that waited long enough, or whose slots a worker elsewhere wants."""
        now = self.clock()
        wanted = set() if everything else self._wanted()
        closing: list[Held] = []
        with self._lock:
            for name, idle in self._idle.items():
                keep: list[Held] = []
                for held in idle:
                    old = now - held.idle_since >= self.idle_seconds
                    (closing if everything or old or name in wanted else keep).append(held)
                self._idle[name] = keep
            # Their leases are renewed until they are given back.
            self._leaving += closing
        for held in closing:
            held.session.take_leave()
        end = self.clock() + _FAREWELL_SECONDS
        for number, held in enumerate(closing):
            try:
                self._close(held, max(0.0, end - self.clock()), said=True)
            except BaseException:
                # Who frees a lease may find Redis away: it expires, but the connection must go.
                for left in closing[number:]:
                    left.session.drop()
                raise
            finally:
                with self._lock:
                    self._leaving.remove(held)

    def _wanted(self) -> set[str]:
        """Accounts whose slots, or those of their address, a worker elsewhere wants."""
        with self._lock:
            first = {name: idle[0] for name, idle in self._idle.items() if idle}
        return {name for name, h in first.items() if self.slots.wanted(h.account, h.address)}

    # -- inside ----------------------------------------------------------------------------------

    def _reuse(self, account: Account) -> Held | None:
        """An idle session that the server has not ended meanwhile: an attempt that begins with one
        that it has would be fruitless, and its item would wait for the next."""
        while True:
            with self._lock:
                idle = self._idle[account.name]
                if not idle:
                    return None
                held = idle.pop()
            sock = held.session.sock
            if sock is not None and not has_hung_up(sock):
                return held
            _log.debug("an idle session was ended by the server", account=account.name)
            held.session.lost = True
            self._close(held)

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
                # Another thread may have been refused while this one waited.
                self.gate.check(account)
                session = self.logins.log_in(account, address, token, known, login)
            except ConnectionLimited as error:
                reply = error.reply or ""
                told, whose = told_limit(reply), limited_by(reply)
                others = self.slots.refused(account, address, token, told, whose)
                _log.warning("the host admits no more", others=others, reply=reply)
                if others <= 0:
                    # Somebody else's connections: there is none of ours to wait for.
                    raise
                continue
            except BaseException:
                self.slots.free(account, address, token)
                raise
            # What was admitted may have made room for another one.
            self._freed.set()
            _log.debug("logged in", account=account.name, address=address)
            return Held(session, account, address, token)

    def _take_slot(
        self, account: Account, address: str, token: str, deadline: float
    ) -> Held | None:
        """Take the leases; or give a session of this process that came free before they did."""
        while not (taken := self.slots.take(account, address, token)):
            if idle := self._reuse(account):
                return idle
            if taken is not None and (other := self._idle_at(address)):
                # Its slot of the address is nearer than those of other processes.
                self._close(other)
                continue
            left = deadline - self.clock()
            if left <= 0:
                raise SlotsBusy(
                    f"new connections to {address} have to wait: there were many within a second, "
                    "or Redis was away"
                    if taken is None
                    else f"all {account.connections} connections of {account.name} are in use"
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
        self.logins.keep_profile(held.account)

    def _close(self, held: Held, seconds: float = _FAREWELL_SECONDS, *, said: bool = False) -> None:
        if not said:
            held.session.take_leave()
        # A host that still counts it would refuse whoever gets the slot.
        held.session.await_end(seconds)
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
