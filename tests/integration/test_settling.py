"""After Redis was away, sessions live whose leases it lacks, or takes for expired."""

from __future__ import annotations

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.slots import LEASE_SECONDS, SlotLedger
from tests.integration.test_ledger import NODE, OTHER

LEASES = [("a", "ip", f"{NODE}.1"), ("a", "ip", f"{NODE}.2")]


class Host:
    """One that admits two connections, both of which NODE has."""

    def __init__(self, connection: Connection) -> None:
        self.slots, self.connection = SlotLedger(connection), connection
        self.client, self.keys = connection.client, connection.keys
        for node in (NODE, OTHER):
            self.slots.beat(node, [])
        for _, _, token in LEASES:
            assert self.take(token)
            self.slots.admitted("a", "ip", token)

    def take(self, token: str) -> bool:
        return self.slots.take(
            "a", "ip", token, most_account=2, most_address=2, connects_per_second=9
        )

    def silence(self, seconds: float, *nodes: str) -> None:
        """As if nobody, or none of `nodes`, had been heard for so long."""
        for node in nodes or (NODE, OTHER):
            self.client.zincrby(self.keys.nodes(), -seconds, node)
        if not nodes:
            for _, _, token in LEASES:
                for key in (self.keys.slots_of_account("a"), self.keys.slots_of_address("ip")):
                    self.client.zadd(key, {token: -seconds}, xx=True, incr=True)

    def forget(self, token: str) -> None:
        """As if Redis had lost its last second, in which that lease was taken."""
        self.client.zrem(self.keys.slots_of_account("a"), token)
        self.client.zrem(self.keys.slots_of_address("ip"), token)

    def settled(self) -> None:
        """As if a lease's life had gone by."""
        assert 0 < self.client.pttl(self.keys.settling()) <= LEASE_SECONDS * 1000
        self.client.delete(self.keys.settling())


@pytest.fixture
def host(connection: Connection) -> Host:
    return Host(connection)


@pytest.mark.parametrize("first", ["a worker that wants a connection", "a heartbeat"])
def test_a_lease_that_redis_has_lost_is_told_again_before_another_one_is_given(
    first: str, host: Host
) -> None:
    host.forget(f"{NODE}.2")
    host.silence(3)
    if first == "a heartbeat":
        host.slots.beat(OTHER, [])
    assert not host.take(f"{OTHER}.1"), "there is room only as far as Redis knows"
    missed = host.slots.beat(NODE, LEASES)
    assert not host.take(f"{OTHER}.1")
    assert host.slots.beat(NODE, LEASES, missed) == set()
    host.settled()
    assert not host.take(f"{OTHER}.1")
    assert host.slots.used("a") == 2


def test_leases_that_expired_while_redis_was_away_are_renewed_before_others_are_given(
    host: Host,
) -> None:
    host.silence(LEASE_SECONDS + 1)
    assert not host.take(f"{OTHER}.1")
    host.slots.admitted("a", "ip", f"{NODE}.2")  # an answer that was on its way drops none of them
    assert host.slots.beat(NODE, LEASES) == set()
    host.settled()
    assert not host.take(f"{OTHER}.1")
    assert host.slots.used("a") == 2


def test_those_of_a_worker_that_died_meanwhile_go_with_the_wait(host: Host) -> None:
    host.silence(LEASE_SECONDS + 1)
    host.slots.beat(OTHER, [])
    assert not host.take(f"{OTHER}.1")
    host.settled()
    assert host.take(f"{OTHER}.1")
    assert host.slots.used("a") == 1


def test_one_silent_worker_among_others_holds_nobody_up(host: Host) -> None:
    host.slots.free("a", "ip", f"{NODE}.2")
    host.silence(60, NODE)
    assert host.take(f"{OTHER}.1")
    assert not host.client.exists(host.keys.settling())


def test_the_first_worker_of_all_waits_for_nobody(connection: Connection) -> None:
    slots = SlotLedger(connection)
    assert slots.take("a", "ip", f"{NODE}.1", most_account=1, most_address=1)
