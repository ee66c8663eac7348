"""Slots: leases of an account's and an address' connections, shared by all workers."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass

from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import WANTED_MS
from siteferry.settings.models import CONNECTS_PER_SECOND

LEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SlotLedger:
    """Leases in Redis; each lives LEASE_SECONDS from its last heartbeat, or until it is freed.
    All methods raise LedgerUnreachable."""

    connection: Connection

    def take(
        self,
        account: str,
        address: str,
        token: str,
        *,
        most_account: int,
        most_address: int,
        connects_per_second: int = CONNECTS_PER_SECOND,
    ) -> bool | None:
        """Take a lease of the account and one of the address in one step; False: no room by what is
        configured and by what was learned, and word is left that a slot is wanted. None: not now,
        for there were `connects_per_second` new connections to the address within the last second,
        or no worker was heard for a while, and those that live first tell what they have. `token`
        begins with the worker's node and a dot."""
        answer = self.connection.run_script(
            "take_slots",
            account,
            address,
            token,
            most_account,
            most_address,
            LEASE_SECONDS,
            WANTED_MS,
            connects_per_second,
        )
        return None if answer < 0 else bool(answer)

    def admitted(self, account: str, address: str, token: str) -> None:
        """The host has admitted the login of this lease: its limit is not below what is there."""
        self.connection.run_script("admitted", account, address, token)

    def refused(
        self, account: str, address: str, token: str, *, told: int | None, whose: str | None
    ) -> int:
        """The host admits no more than are there without this lease, which is given back.

        Args:
            told: the number that the host names as its limit.
            whose: `account` or `address`, as far as the host says what it counts.

        Returns:
            How many connections of ours are left that count towards that limit.
        """
        answer = self.connection.run_script(
            "refused", account, address, token, told or 0, whose or ""
        )
        return int(answer)

    def others(self, account: str, token: str) -> int:
        """How many sessions of the account are logged in beside this lease."""
        keys, client = self.connection.keys, self.connection.client
        now = self.connection.call(client.time)[0]

        def count() -> list[int]:
            with client.pipeline(transaction=True) as pipe:
                pipe.zcount(keys.slots_of_account(account), f"({now}", "+inf")
                pipe.zcount(keys.logins_of_account(account), f"({now}", "+inf")
                pipe.zscore(keys.logins_of_account(account), token)
                return list(pipe.execute())

        slots, logins, mine = self.connection.call(count)
        return slots - logins - (0 if mine is not None else 1)

    def free(self, account: str, address: str, token: str) -> None:
        """Give both leases back."""
        keys, client = self.connection.keys, self.connection.client
        node = token.rpartition(".")[0] or token

        def remove() -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.zrem(keys.slots_of_account(account), token)
                pipe.zrem(keys.slots_of_address(address), token)
                pipe.zrem(keys.logins_of_account(account), token)
                pipe.zrem(keys.logins_of_address(address), token)
                pipe.hdel(keys.leases(node), token)
                pipe.execute()

        self.connection.call(remove)

    def wanted(self, account: str, address: str) -> bool:
        """Whether some worker looked just now for a slot of this account or address in vain."""
        keys, client = self.connection.keys, self.connection.client
        wanted = (keys.wanted_of_account(account), keys.wanted_of_address(address))
        return bool(self.connection.call(lambda: client.exists(*wanted)))

    def used(self, account: str) -> int:
        """How many leases of the account are alive."""
        keys, client = self.connection.keys, self.connection.client
        now = self.connection.call(client.time)[0]
        return int(
            self.connection.call(
                lambda: client.zcount(keys.slots_of_account(account), f"({now}", "+inf")
            )
        )

    def beat(
        self,
        node: str,
        leases: Sequence[tuple[str, str, str]],
        missed: Set[str] = frozenset(),
        load: int | None = None,
    ) -> set[str]:
        """Heartbeat of a worker process with the (account, address, token) of its sessions.

        Args:
            missed: what the heartbeat before this one has returned.
            load: items in the hands of a process that has a thread to spare; None: it has none, or
                is not to be given more.

        Returns:
            The tokens of leases that the ledger does not have: it has lost them, or they are being
            given back at this moment. Those that were `missed` before are made anew.
        """
        rows = [[*lease, lease[2] in missed] for lease in leases]
        answer = self.connection.run_script(
            "beat_node", node, LEASE_SECONDS, json.dumps(rows), "" if load is None else load
        )
        return set(json.loads(answer) or ())

    def nodes(self, within_seconds: float = 5.0) -> list[str]:
        """Worker processes that have beaten within that time."""
        keys, client = self.connection.keys, self.connection.client
        seconds, micros = self.connection.call(client.time)
        since = seconds + micros / 1e6 - within_seconds
        return list(self.connection.call(lambda: client.zrangebyscore(keys.nodes(), since, "+inf")))
