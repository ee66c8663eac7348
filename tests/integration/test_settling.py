"""After Redis was away, sessions live whose leases it lacks, or takes for expired."""

from __future__ import annotations

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Fate, Items
from siteferry.ledger.slots import LEASE_SECONDS, SlotLedger
from siteferry.run import Member
from tests.integration.test_ledger import NODE, OTHER, sweep

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

    def take(self, token: str) -> bool | None:
        return self.slots.take(
            "a", "ip", token, most_account=2, most_address=2, connects_per_second=9
        )

    def silence(self, seconds: float) -> None:
        """As if nobody had been heard for so long."""
        self.client.incrbyfloat(self.keys.heard(), -seconds)
        for node in (NODE, OTHER):
            self.client.zincrby(self.keys.nodes(), -seconds, node)
        for _, _, token in LEASES:
            for key in (self.keys.slots_of_account("a"), self.keys.slots_of_address("ip")):
                self.client.zadd(key, {token: -seconds}, xx=True, incr=True)

    def forget(self, token: str) -> None:
        """As if Redis had lost its last second, in which that lease was taken."""
        self.client.zrem(self.keys.slots_of_account("a"), token)
        self.client.zrem(self.keys.slots_of_address("ip"), token)

    def settled(self) -> None:
        """As if a lease's life had gone by since."""
        assert self.client.incrbyfloat(self.keys.settling(), -LEASE_SECONDS)


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
    assert host.take(f"{OTHER}.1") is None, "there is room only as far as Redis knows"
    missed = host.slots.beat(NODE, LEASES)
    assert host.take(f"{OTHER}.1") is None
    assert host.slots.beat(NODE, LEASES, missed) == set()
    host.settled()
    assert host.take(f"{OTHER}.1") is False
    assert host.slots.used("a") == 2


@pytest.mark.parametrize("seconds", [LEASE_SECONDS + 1, 600])
@pytest.mark.parametrize("first", ["wanted", "admitted", "refused", "swept"])
def test_leases_that_expired_while_redis_was_away_are_renewed_before_others_are_given(
    first: str, seconds: float, host: Host
) -> None:
    """Whoever comes first."""
    host.silence(seconds)
    if first == "admitted":
        host.slots.admitted("a", "ip", f"{NODE}.2")
    elif first == "refused":
        host.slots.refused("a", "ip", f"{OTHER}.9", told=None, whose=None)
    elif first == "swept":
        sweep(Items(host.connection), stale=5)
    assert host.take(f"{OTHER}.1") is None
    assert host.slots.beat(NODE, LEASES) == set()
    host.settled()
    assert host.take(f"{OTHER}.1") is False
    assert host.slots.used("a") == 2


def test_those_of_a_worker_that_died_meanwhile_go_with_the_wait(host: Host) -> None:
    host.silence(LEASE_SECONDS + 1)
    host.slots.beat(OTHER, [])
    assert host.take(f"{OTHER}.1") is None
    host.settled()
    assert host.take(f"{OTHER}.1")
    assert host.slots.used("a") == 1


def test_one_silent_worker_among_others_holds_nobody_up(host: Host) -> None:
    host.slots.free("a", "ip", f"{NODE}.2")
    host.client.zincrby(host.keys.nodes(), -60, NODE)
    assert host.take(f"{OTHER}.1")
    assert not host.client.exists(host.keys.settling())


def test_an_attempt_that_tells_its_files_is_heard_as_well(host: Host) -> None:
    """A heartbeat tells them one after the other: it may be late for the process itself."""
    host.slots.free("a", "ip", f"{NODE}.2")
    for _ in range(3):
        host.client.incrbyfloat(host.keys.heard(), -2)
        Items(host.connection).report(Member("run", "files-0-0", 1), NODE, [])
    assert host.take(f"{OTHER}.1")


def test_a_clock_that_is_set_back_ends_the_wait(host: Host) -> None:
    host.silence(3)
    assert host.take(f"{OTHER}.1") is None
    host.client.incrbyfloat(host.keys.settling(), 3600)
    host.client.incrbyfloat(host.keys.heard(), 3603)
    host.slots.beat(OTHER, [])
    host.slots.free("a", "ip", f"{NODE}.2")
    assert host.take(f"{OTHER}.1")


def test_when_the_last_worker_has_left_the_next_one_waits_for_nobody(host: Host) -> None:
    for node in (NODE, OTHER):
        Items(host.connection).bury(node, Fate.LEFT)
    host.slots.beat("node-c", [])
    assert host.take("node-c.1")
    assert not host.client.exists(host.keys.settling())


def test_the_first_worker_of_all_waits_for_nobody(connection: Connection) -> None:
    slots = SlotLedger(connection)
    assert slots.take("a", "ip", f"{NODE}.1", most_account=1, most_address=1)
