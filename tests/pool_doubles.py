"""Doubles of what a session pool shares with other processes: in memory, for one test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from siteferry.errors import AccountStopped, LoginRefused
from siteferry.ftp.sharing import Account


@dataclass
class MemorySlots:
    """Leases of one account and its address, in memory."""

    limit: int = 2
    held: dict[str, tuple[str, str]] = field(default_factory=dict)
    most: int = 0
    taken: int = 0
    refusals: int = 0
    wanted_accounts: set[str] = field(default_factory=set)
    admitted_tokens: set[str] = field(default_factory=set)
    told: list[tuple[int | None, str | None]] = field(default_factory=list)
    not_now: bool = False
    """Nobody gets one, whoever gives one up."""
    on_refusal: Callable[[], None] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, account: Account, address: str, token: str) -> bool | None:
        with self.lock:
            assert token not in self.held
            if len(self.held) < self.limit and not self.not_now:
                self.held[token] = (account.name, address)
                self.taken += 1
                self.most = max(self.most, len(self.held))
                return True
            self.refusals += 1
        self.on_refusal()
        return None if self.not_now else False

    def free(self, account: Account, address: str, token: str) -> None:
        with self.lock:
            assert self.held.pop(token) == (account.name, address)

    def admitted(self, account: Account, address: str, token: str) -> None:
        with self.lock:
            assert token in self.held
            self.admitted_tokens.add(token)

    def refused(
        self, account: Account, address: str, token: str, told: int | None, whose: str | None
    ) -> int:
        self.free(account, address, token)
        self.told.append((told, whose))
        with self.lock:
            self.limit = max(1, len(self.held))
            return len(self.held)

    def others(self, account: Account, token: str) -> int:
        with self.lock:
            return len(self.admitted_tokens & self.held.keys() - {token})

    def wanted(self, account: Account, address: str) -> bool:
        return account.name in self.wanted_accounts


@dataclass
class MemoryProfiles:
    """Profiles of accounts, in memory; `trouble` is raised when one is written."""

    texts: dict[str, str] = field(default_factory=dict)
    trouble: Exception | None = None

    def read(self, account: str) -> str | None:
        return self.texts.get(account)

    def write(self, account: str, text: str) -> None:
        if self.trouble:
            raise self.trouble
        self.texts[account] = text


@dataclass
class MemoryGate:
    """Accounts whose login was refused, in memory."""

    stopped: list[str] = field(default_factory=list)
    accepted_logins: int = 0
    trouble: Exception | None = None

    def check(self, account: Account) -> None:
        if account.name in self.stopped:
            raise AccountStopped("not yet")

    def refused(self, account: Account, error: LoginRefused) -> None:
        self.stopped.append(account.name)

    def accepted(self, account: Account) -> None:
        if self.trouble:
            raise self.trouble
        self.accepted_logins += 1


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
