"""Slots: leases of an account's and an address' connections, shared by all workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import WANTED_MS

LEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SlotLedger:
    """Leases in Redis; each lives LEASE_SECONDS from its last heartbeat, or until it is freed.
    All methods raise LedgerUnreachable."""

    connection: Connection

    def take(
        self, account: str, address: str, token: str, *, most_account: int, most_address: int
    ) -> bool:
        """Take a lease of the account and one of the address in one step; False: no room, and word
        is left that a slot is wanted. `token` begins with the worker's node and a dot."""
        answer = self.connection.run_script(
            "take_slots",
            account,
            address,
            token,
            most_account,
            most_address,
            LEASE_SECONDS,
            WANTED_MS,
        )
        return bool(answer)

    def free(self, account: str, address: str, token: str) -> None:
        """Give both leases back."""
        keys, client = self.connection.keys, self.connection.client
        node = token.rpartition(".")[0] or token

        def remove() -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.zrem(keys.slots_of_account(account), token)
                pipe.zrem(keys.slots_of_address(address), token)
                pipe.hdel(keys.leases(node), token)
                pipe.execute()

        self.connection.call(remove)

    def wanted(self, account: str) -> bool:
        """Whether some worker looked for a slot of this account in vain just now."""
        key = self.connection.keys.wanted(account)
        return bool(self.connection.call(lambda: self.connection.client.exists(key)))

    def used(self, account: str) -> int:
        """How many leases of the account are alive."""
        keys, client = self.connection.keys, self.connection.client
        now = self.connection.call(client.time)[0]
        return int(
            self.connection.call(
                lambda: client.zcount(keys.slots_of_account(account), f"({now}", "+inf")
            )
        )

    def beat(self, node: str, leases: Sequence[tuple[str, str, str]]) -> None:
        """Heartbeat of a worker process with the (account, address, token) of its sessions."""
        self.connection.run_script("beat_node", node, LEASE_SECONDS, json.dumps(leases))

    def nodes(self, within_seconds: float = 5.0) -> list[str]:
        """Worker processes that have beaten within that time."""
        keys, client = self.connection.keys, self.connection.client
        seconds, micros = self.connection.call(client.time)
        since = seconds + micros / 1e6 - within_seconds
        return list(self.connection.call(lambda: client.zrangebyscore(keys.nodes(), since, "+inf")))
