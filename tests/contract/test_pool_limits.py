"""Sessions and the limits of hosts: what a refusal means, and whose slot makes room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import pytest

from siteferry.errors import AccountStopped, ConnectionLimited, LoginRefused, SlotsBusy
from siteferry.ftp.pool import SessionPool
from siteferry.ftp.sharing import Account
from siteferry.secret import Secret
from tests.pool_doubles import Clock, MemoryGate, MemoryProfiles, MemorySlots
from tests.servers.base import FtpServer
from tests.servers.scripted import LOGIN, PASSWORD, USER, ScriptedServer, Turn, turn
from tests.servers.sessions import endpoint_of, scripted_endpoint

WORDLESS = "530 Login incorrect."
REFUSAL = [*LOGIN[:1], turn((f"PASS {PASSWORD}", WORDLESS))]


@dataclass
class Watching(MemoryGate):
    """Notes which leases were renewed while a login was under way."""

    pool: SessionPool | None = None
    renewed: list[str] = field(default_factory=list)

    def accepted(self, account: Account) -> None:
        assert self.pool is not None
        self.renewed += [token for _, _, token in self.pool.leases()]
        super().accepted(account)


@contextmanager
def servers(pool: SessionPool, *scripts: list[Turn]) -> Iterator[list[Account]]:
    """Servers that follow `scripts`, each as a place of the same account."""
    with ExitStack() as stack:
        yield [at(stack.enter_context(ScriptedServer(script))) for script in scripts]
        pool.close_idle(everything=True)


@pytest.fixture
def slots() -> MemorySlots:
    return MemorySlots(limit=9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate() -> Watching:
    return Watching()


@pytest.fixture
def pool(slots: MemorySlots, gate: Watching, clock: Clock) -> Iterator[SessionPool]:
    numbers = iter(range(10**6))
    made = SessionPool(
        slots, MemoryProfiles(), gate, new_token=lambda: f"token-{next(numbers)}", clock=clock
    )
    gate.pool = made
    yield made
    made.close_idle(everything=True)
    assert slots.held == {}, "a lease outlived its session"


def at(server: ScriptedServer) -> Account:
    return Account("a@b", scripted_endpoint(server), connections=9, address_connections=9)


def known(_fresh: bool) -> tuple[str, Secret]:
    return USER, Secret(PASSWORD)


def test_a_login_that_was_accepted_and_is_refused_beside_its_session_is_a_limit(
    pool: SessionPool, slots: MemorySlots, gate: Watching, clock: Clock
) -> None:
    slots.on_refusal = lambda: setattr(clock, "now", clock.now + 5)
    with servers(pool, LOGIN, REFUSAL) as (first, second), pool.session(first, known):
        clock.now += 1000
        with pytest.raises(SlotsBusy), pool.session(second, known):
            pass
    assert gate.stopped == []
    assert slots.told == [(None, None)]
    assert slots.limit == 1, "the limit is what was there"


def test_a_login_that_was_accepted_a_moment_ago_is_no_wrong_password(
    pool: SessionPool, gate: Watching, clock: Clock
) -> None:
    """The session has just gone, but the server counts it still."""
    with servers(pool, LOGIN, REFUSAL) as (first, second):
        with pool.session(first, known):
            pass
        pool.close_idle(everything=True)
        clock.now += 59
        with pytest.raises(ConnectionLimited, match="accepted a short while ago") as limited:
            pool.session(second, known).__enter__()
    assert limited.value.reply == WORDLESS
    assert gate.stopped == []


def test_with_no_session_of_it_left_a_refused_login_stops_the_account(
    pool: SessionPool, gate: Watching, clock: Clock
) -> None:
    with servers(pool, LOGIN, REFUSAL) as (first, second):
        with pool.session(first, known):
            pass
        pool.close_idle(everything=True)
        clock.now += 61
        with pytest.raises(LoginRefused):
            pool.session(second, known).__enter__()
    assert gate.stopped == ["a@b"]


def test_another_password_than_the_accepted_one_is_refused_for_good(
    pool: SessionPool, gate: Watching
) -> None:
    refusal = [*LOGIN[:1], turn(("PASS changed", WORDLESS))]
    with (
        servers(pool, LOGIN, refusal) as (first, second),
        pool.session(first, known),
        pytest.raises(LoginRefused),
    ):
        pool.session(second, lambda _fresh: (USER, Secret("changed"))).__enter__()
    assert gate.stopped == ["a@b"]


def test_who_is_refused_goes_on_with_a_session_that_is_given_back_here(
    pool: SessionPool, slots: MemorySlots
) -> None:
    with servers(pool, LOGIN, REFUSAL) as (first, second):
        lending = ExitStack()
        session = lending.enter_context(pool.session(first, known))
        slots.on_refusal = lending.close
        with pool.session(second, known) as given:
            assert given is session


def test_an_idle_session_of_another_account_gives_up_its_slot_of_the_address(
    pool: SessionPool, slots: MemorySlots, pyftpd_server: FtpServer
) -> None:
    slots.limit = 1
    one = Account("one@host", endpoint_of(pyftpd_server), 8, 1)
    login = (pyftpd_server.user, Secret(pyftpd_server.password))
    with pool.session(one, lambda _fresh: login) as first:
        pass
    with pool.session(replace(one, name="other@host"), lambda _fresh: login) as second:
        assert second.command("NOOP", "saying nothing").ok
    assert first.lost
    assert slots.most == 1


def test_an_idle_session_of_another_account_is_kept_where_nobody_gets_a_slot_now(
    pool: SessionPool, slots: MemorySlots, clock: Clock, pyftpd_server: FtpServer
) -> None:
    """New connections have to wait: to close it would gain nothing, and cost a login."""
    one = Account("one@host", endpoint_of(pyftpd_server), 8, 8)
    login = (pyftpd_server.user, Secret(pyftpd_server.password))
    with pool.session(one, lambda _fresh: login):
        pass
    slots.not_now = True
    slots.on_refusal = lambda: setattr(clock, "now", clock.now + 0.9)
    with pytest.raises(SlotsBusy, match="new connections to 127"):
        pool.session(replace(one, name="other@host"), lambda _fresh: login).__enter__()
    with pool.session(one, lambda _fresh: login):
        assert slots.taken == 1


def test_the_lease_of_a_login_that_takes_its_time_is_renewed(
    pool: SessionPool, gate: Watching, slots: MemorySlots
) -> None:
    with servers(pool, LOGIN) as (only,):
        with pool.session(only, known):
            assert gate.renewed == ["token-0"]
            assert slots.admitted_tokens == {"token-0"}
        assert [token for _, _, token in pool.leases()] == ["token-0"]


def test_who_waited_for_a_slot_while_the_account_was_stopped_does_not_log_in(
    pool: SessionPool, slots: MemorySlots, gate: Watching, pyftpd_server: FtpServer
) -> None:
    """Eight threads with one wrong password must not be eight refused logins."""
    slots.limit = 0

    def stopped_meanwhile() -> None:
        gate.stopped.append("a@b")
        slots.limit = 1

    slots.on_refusal = stopped_meanwhile
    with pytest.raises(AccountStopped):
        pool.session(Account("a@b", endpoint_of(pyftpd_server), 8, 8), known).__enter__()
    assert slots.held == {}


def test_sessions_of_others_are_believed_once_where_the_login_was_never_accepted_here(
    pool: SessionPool, slots: MemorySlots, gate: Watching, clock: Clock
) -> None:
    slots.held["elsewhere"] = ("a@b", "127.0.0.1")
    slots.admitted_tokens.add("elsewhere")
    slots.on_refusal = lambda: setattr(clock, "now", clock.now + 5)
    with servers(pool, REFUSAL, REFUSAL) as (first, second):
        with pytest.raises(SlotsBusy):
            pool.session(first, known).__enter__()
        assert gate.stopped == []
        slots.limit = 9
        with pytest.raises(LoginRefused):
            pool.session(second, known).__enter__()
    assert gate.stopped == ["a@b"]
    del slots.held["elsewhere"]


def test_a_refused_login_is_tried_with_what_the_store_has_now_before_it_counts_as_a_limit(
    pool: SessionPool, gate: Watching, slots: MemorySlots, pyftpd_server: FtpServer
) -> None:
    slots.held["elsewhere"] = ("one@host", "127.0.0.1")
    slots.admitted_tokens.add("elsewhere")
    one = Account("one@host", endpoint_of(pyftpd_server), 8, 8)

    def login(fresh: bool) -> tuple[str, Secret]:
        return pyftpd_server.user, Secret(pyftpd_server.password if fresh else "changed since")

    with pool.session(one, login) as session:
        assert session.command("NOOP", "saying nothing").ok
    assert slots.told == []
    assert gate.stopped == []
    del slots.held["elsewhere"]


def test_a_ban_stops_the_account_though_its_words_speak_of_too_many(
    pool: SessionPool, gate: Watching
) -> None:
    ban = "530 Too many failed login attempts, try again later."
    banned = [*LOGIN[:1], turn((f"PASS {PASSWORD}", ban))]
    with (
        servers(pool, LOGIN, banned) as (first, second),
        pool.session(first, known),
        pytest.raises(LoginRefused, match="turns our logins away"),
    ):
        pool.session(second, known).__enter__()
    assert gate.stopped == ["a@b"]


def test_sessions_that_take_their_leave_together_wait_together_and_keep_their_leases(
    pool: SessionPool, gate: Watching, slots: MemorySlots
) -> None:
    """Servers that do not close on QUIT: a second for all of them, not for each."""
    with servers(pool, LOGIN, LOGIN) as places:
        with ExitStack() as stack:
            for place in places:
                stack.enter_context(pool.session(place, known))
        seen: list[int] = []
        free = slots.free

        def watching(account: Account, address: str, token: str) -> None:
            seen.append(len(pool.leases()))
            free(account, address, token)

        slots.free = watching  # type: ignore[method-assign]
        pool.close_idle(everything=True)
    assert seen == [2, 1]
