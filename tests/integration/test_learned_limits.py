"""Limits of connections that nobody has configured right: learned from what hosts admit and refuse.

Time passes by moving what the ledger has noted back; its clock is Redis' own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Items
from siteferry.ledger.runs import NewRun, Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Direction, Member

CONFIGURED = 8
AT = "192.0.2.1"


@dataclass
class Host:
    """A host that admits so many connections, and the workers that log in to it."""

    connection: Connection
    admits: int
    most: int = 0
    inside: list[tuple[str, str]] = field(default_factory=list)
    tokens: int = 0

    @property
    def slots(self) -> SlotLedger:
        return SlotLedger(self.connection)

    def ask(self, account: str = "a") -> str | None:
        """Ask the ledger for a slot: the token of the one that it grants."""
        self.tokens += 1
        granted = self.slots.take(
            account,
            AT,
            str(self.tokens),
            most_account=CONFIGURED,
            most_address=CONFIGURED,
            connects_per_second=1000,
        )
        return str(self.tokens) if granted else None

    def answer(self, token: str, account: str = "a", whose: str | None = None) -> bool:
        """The host's answer to the login of that slot."""
        self.most = max(self.most, len(self.inside) + 1)
        if len(self.inside) < self.admits:
            self.inside.append((account, token))
            self.slots.admitted(account, AT, token)
            return True
        self.slots.refused(account, AT, token, told=None, whose=whose)
        return False

    def log_in(self, account: str = "a", whose: str | None = None) -> bool:
        """Whether a session came about."""
        token = self.ask(account)
        return token is not None and self.answer(token, account, whose)

    def leave(self) -> None:
        for account, token in self.inside:
            self.slots.free(account, AT, token)
        self.inside = []

    def pass_time(self, seconds: float) -> None:
        """Have the refusals been so much longer ago."""
        client, keys = self.connection.client, self.connection.keys
        for key in (keys.limits_of_account("a"), keys.limits_of_address(AT)):
            if client.hexists(key, "refused_at"):
                client.hincrbyfloat(key, "refused_at", -seconds)


@pytest.fixture
def host(connection: Connection) -> Host:
    return Host(connection, admits=4)


def test_the_first_import_begins_with_one_connection_and_each_login_allows_another(
    host: Host,
) -> None:
    first = host.ask()
    assert first is not None
    assert host.ask() is None, "two logins at once, with none proven"
    assert host.answer(first)
    second = host.ask()
    assert second is not None
    assert host.ask() is None
    assert host.answer(second)
    assert host.log_in()


def test_the_host_never_sees_more_than_one_connection_beyond_its_limit(host: Host) -> None:
    assert sum(host.log_in() for _ in range(50)) == 4
    assert host.most == 5
    host.leave()
    assert sum(host.log_in() for _ in range(50)) == 4
    assert host.most == 5


def test_after_a_refusal_one_more_is_tried_a_minute_later_and_then_ever_later(host: Host) -> None:
    assert sum(host.log_in() for _ in range(9)) == 4
    host.pass_time(59)
    assert host.ask() is None
    host.pass_time(2)
    assert not host.log_in(), "the host has refused it again"
    host.pass_time(100)
    assert host.ask() is None
    host.pass_time(25)
    assert host.ask() is not None


def test_a_limit_that_was_raised_is_found_again_step_by_step(host: Host) -> None:
    assert sum(host.log_in() for _ in range(9)) == 4
    host.admits = 6
    host.pass_time(61)
    assert sum(host.log_in() for _ in range(9)) == 1
    host.pass_time(61)
    assert sum(host.log_in() for _ in range(9)) == 1
    assert len(host.inside) == 6


def test_what_was_admitted_once_is_asked_for_at_once_the_next_time(host: Host) -> None:
    assert sum(host.log_in() for _ in range(4)) == 4
    host.leave()
    tokens = [host.ask() for _ in range(6)]
    assert sum(token is not None for token in tokens) == 5, "four are proven; and one more"


def test_logins_under_way_do_not_count_as_admitted(host: Host) -> None:
    """Or a host that has become stricter would be sent one more with each that it admits."""
    host.admits = 6
    assert sum(host.log_in() for _ in range(6)) == 6
    host.leave()
    host.admits = 2
    tokens = [token for token in [host.ask() for _ in range(9)] if token is not None]
    assert len(tokens) == 7
    assert host.answer(tokens[0])
    assert host.ask() is None
    assert [host.answer(token) for token in tokens[1:]] == [True, *[False] * 5]
    assert [host.log_in() for _ in range(5)] == [False] * 5
    limits = host.connection.client.hgetall(host.connection.keys.limits_of_account("a"))
    assert (limits["proven"], limits["ceiling"], limits["patience"]) == ("2", "2", "60")


def test_an_accounts_refusal_leaves_the_other_accounts_of_the_address_alone(host: Host) -> None:
    assert sum(host.log_in("a", whose="account") for _ in range(9)) == 4
    host.admits = 100
    assert host.log_in("b")
    assert host.log_in("b")
    assert not host.log_in("a")


def test_an_addresses_refusal_holds_for_all_its_accounts(host: Host) -> None:
    """The host does not say what it counts; an account with nothing else there is not too much."""
    assert sum(host.log_in("a") for _ in range(3)) == 3
    assert host.log_in("b")
    assert not host.log_in("c"), "refused by the host"
    token = host.ask("d")
    assert token is None, "and not tried by another account"


def test_new_connections_a_second_are_limited(connection: Connection) -> None:
    slots = SlotLedger(connection)
    limits = {"most_account": 99, "most_address": 99, "connects_per_second": 3}
    for token in "123":
        assert slots.take("a", AT, token, **limits)
        slots.admitted("a", AT, token)
    assert not slots.take("a", AT, "4", **limits)
    connects = connection.keys.connects_to(AT)
    for token, score in connection.client.zrange(connects, 0, -1, withscores=True):
        connection.client.zadd(connects, {token: score - 1})
    assert slots.take("a", AT, "4", **limits)


# -- the window follows -----------------------------------------------------------------------


def started(connection: Connection, account: str, count: int) -> list[Member]:
    """So many runs of one account, each with its plan; gives what may be sent."""
    out: list[Member] = []
    for number in range(count):
        name = f"{account}-{number}"
        out += Runs(connection).start(
            NewRun(name, name, Direction.IMPORT, account, name, CONFIGURED, "hold", {})
        )
    return out


def test_the_window_shrinks_to_the_learned_limit(host: Host) -> None:
    assert sum(host.log_in() for _ in range(9)) == 4
    assert len(started(host.connection, "a", 9)) == 4


def test_accounts_of_one_address_share_its_window(host: Host) -> None:
    host.admits = 3
    for account in ("a", "b", "c", "d"):
        host.log_in(account)
        host.slots.free(account, AT, str(host.tokens))
    host.inside = []
    connection = host.connection
    connection.client.hset(connection.keys.limits_of_address(AT), "configured", 3)
    sent = [member for account in "abcd" for member in started(connection, account, 3)]
    assert len(sent) == 3, "the address' window is full"
    served: list[str] = []
    waiting = sent
    while waiting:
        member = waiting.pop(0)
        served.append(member.run[0])
        assert Items(connection).claim(member, "node") is not None
        waiting += Items(connection).fail_run(
            member.run, "cancelled", None, spare_publish=False
        ) or Items(connection).release(member, "node", [], 0, None, blameless=True)
    assert sorted(served) == sorted("abcd" * 3), "every item had its turn"


def test_a_small_account_does_not_wait_for_a_large_one_at_the_same_address(host: Host) -> None:
    connection = host.connection
    for account in ("a", "b"):
        assert host.log_in(account)
    connection.client.hset(connection.keys.limits_of_address(AT), "configured", 2)
    large = started(connection, "a", 50)
    assert len(large) == 2
    assert started(connection, "b", 1) == []
    assert Items(connection).claim(large[0], "node") is not None
    Items(connection).fail_run(large[0].run, "cancelled", None, spare_publish=False)
    following = Items(connection).release(large[0], "node", [], 0, None, blameless=True)
    assert [member.run for member in following] == ["b-0"]


def test_an_account_that_has_moved_to_another_address_counts_at_the_old_one_no_more(
    host: Host,
) -> None:
    connection = host.connection
    for account in ("a", "b"):
        assert host.log_in(account)
    connection.client.hset(connection.keys.limits_of_address(AT), "configured", 2)
    assert len(started(connection, "a", 9)) == 2
    connection.client.hset(connection.keys.account("a"), "address", "192.0.2.2")
    assert len(started(connection, "b", 2)) == 2


def test_a_refusal_that_is_told_twice_counts_once(host: Host) -> None:
    assert sum(host.log_in() for _ in range(9)) == 4
    limits = host.connection.keys.limits_of_account("a")
    before = host.connection.client.hgetall(limits)
    again = host.slots.refused("a", AT, "5", told=None, whose=None)
    assert again == 4
    assert host.connection.client.hgetall(limits) == before
