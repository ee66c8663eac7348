"""What the sessions of one process share with those of all others: accounts, and what keeps them
within the limits of their hosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from siteferry.errors import LoginRefused
from siteferry.ftp.endpoint import Endpoint
from siteferry.secret import Secret


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

    def take(self, account: Account, address: str, token: str) -> bool | None:
        """Take a lease of the account and one of the address in one step, or neither. None: not at
        this moment, whoever gives one up."""

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
