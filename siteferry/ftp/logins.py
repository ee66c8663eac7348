"""Logs in: with what is in the store now if need be, and never so often that a host bans us."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field

from siteferry.errors import ConnectionLimited, CredentialError, LoginRefused
from siteferry.ftp.profile import KEEP_SECONDS, ServerProfile, profile_of
from siteferry.ftp.replies import is_ban
from siteferry.ftp.session import Session
from siteferry.ftp.sharing import Account, Gate, Login, Profiles, Slots
from siteferry.log import get_logger
from siteferry.secret import Secret

_JUST_NOW_SECONDS = 60.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Profile:
    """A profile in use, and as it was last written."""

    profile: ServerProfile
    written: ServerProfile


@dataclass(slots=True)
class Logins:
    """The logins of one process, and what they teach of the servers."""

    slots: Slots
    profiles: Profiles
    gate: Gate
    clock: Callable[[], float]
    _connecting: dict[str, tuple[Account, str]] = field(default_factory=dict)
    _accepted: dict[str, tuple[tuple[str, Secret], float]] = field(default_factory=dict)
    """By account the login that the host has accepted last, and when."""
    _doubted: set[str] = field(default_factory=set)
    """Accounts whose refused login was believed to be a limit, though never accepted here."""
    _profiles: dict[str, _Profile] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def under_way(self) -> list[tuple[Account, str, str]]:
        """Account, address and token of those that the host has not answered yet."""
        with self._lock:
            return [(account, at, token) for token, (account, at) in self._connecting.items()]

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

    def keep_profile(self, account: Account) -> None:
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

    def log_in(
        self, account: Account, address: str, token: str, known: tuple[str, Secret], login: Login
    ) -> Session:
        """A session that was logged in with a lease of those names; it proves that the host admits
        so many.

        Args:
            known: what `login` has given.

        Raises:
            ConnectionLimited: the host admits no more.
            LoginRefused: it does not accept the login, and nobody tries it for a while.
        """
        with self._lock:
            self._connecting[token] = (account, address)
        try:
            session = self._try(account, token, known, login)
            try:
                self.gate.accepted(account)
                self.slots.admitted(account, address, token)
            except BaseException:
                session.drop()
                raise
            return session
        finally:
            with self._lock:
                del self._connecting[token]

    def _try(
        self, account: Account, token: str, known: tuple[str, Secret], login: Login
    ) -> Session:
        try:
            session = self._open(account, *known)
        except LoginRefused as error:
            # The password may have been changed since it was fetched: once more, with what is in
            # the store now, if that is another one.
            try:
                fresh = login(True)
            except CredentialError:
                # Whatever the store says now: this login has been refused.
                self._refused(account, token, known, error)
                raise
            if fresh == known:
                self._refused(account, token, known, error)
                raise
            try:
                session = self._open(account, *fresh)
            except LoginRefused as again:
                self.gate.refused(account, again)
                raise
            known = fresh
        self._accepted[account.name] = (known, self.clock())
        self._doubted.discard(account.name)
        return session

    def _refused(
        self, account: Account, token: str, login: tuple[str, Secret], error: LoginRefused
    ) -> None:
        """Stop the account, unless it seems to be a limit.

        Raises:
            ConnectionLimited: it does.
        """
        if not self._means_limit(account, token, login, error.reply or ""):
            self.gate.refused(account, error)
            return
        raise ConnectionLimited(
            "the host refuses a login that it has accepted a short while ago: it seems to admit no "
            "more connections at the moment",
            reply=error.reply,
            next_step="Lower ftp.max_connections of the website.",
        ) from error

    def _means_limit(
        self, account: Account, token: str, login: tuple[str, Secret], reply: str
    ) -> bool:
        """Whether a login that is refused without a word about a limit is so for one: the same was
        accepted a short while ago, and other sessions of the account are there; or just now, when
        the server may not know yet that the last one has gone. Where this process has never seen it
        accepted, the sessions of others are believed once."""
        if is_ban(reply):
            return False
        accepted, at = self._accepted.get(account.name, (None, 0.0))
        if accepted is None:
            if account.name in self._doubted or not self.slots.others(account, token):
                return False
            self._doubted.add(account.name)
            return True
        if accepted != login:
            return False
        just_now = self.clock() - at < _JUST_NOW_SECONDS
        return just_now or self.slots.others(account, token) > 0

    def _open(self, account: Account, username: str, password: Secret) -> Session:
        session = Session(account.endpoint, self.profile(account))
        try:
            session.open(username, password)
        finally:
            self.keep_profile(account)
        return session
