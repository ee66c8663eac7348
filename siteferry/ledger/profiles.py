"""Server profiles, shared by all workers: what one has learned of a server, all know."""

from __future__ import annotations

from dataclasses import dataclass

from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import ACCOUNT_SECONDS


@dataclass(frozen=True, slots=True)
class ProfileLedger:
    """Profiles as text (`siteferry.ftp.profile`). All methods raise LedgerUnreachable."""

    connection: Connection

    def read(self, account: str) -> str | None:
        """The account's profile; None where nothing is known yet."""
        key, client = self.connection.keys.profile(account), self.connection.client
        text = self.connection.call(lambda: client.get(key))
        return None if text is None else str(text)

    def write(self, account: str, text: str) -> None:
        """Keep a profile in place of the one before; the last writer wins."""
        key, client = self.connection.keys.profile(account), self.connection.client
        self.connection.call(lambda: client.set(key, text, ex=ACCOUNT_SECONDS))
