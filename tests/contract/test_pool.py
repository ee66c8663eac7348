"""Sessions kept for the next item: reused, called back, given up, never more than are allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from siteferry.errors import (
    AccountStopped,
    ConnectionLimited,
    CredentialAbsent,
    CredentialUnreachable,
    HostUnknown,
    HostUnreachable,
    LedgerUnreachable,
    LoginRefused,
    SessionLost,
    SlotsBusy,
)
from siteferry.ftp.directories import make_directories
from siteferry.ftp.pool import Account, SessionPool
from siteferry.ftp.profile import profile_of
from siteferry.secret import Secret
from tests.pool_doubles import Clock, MemoryGate, MemoryProfiles, MemorySlots
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.scripted import HANG_UP, LOGIN, PASSWORD, USER, ScriptedServer, turn
from tests.servers.sessions import endpoint_of, scripted_endpoint


@pytest.fixture
def slots() -> MemorySlots:
    return MemorySlots()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate() -> MemoryGate:
    return MemoryGate()


@pytest.fixture
def profiles() -> MemoryProfiles:
    return MemoryProfiles()


@pytest.fixture
def pool(
    slots: MemorySlots, profiles: MemoryProfiles, gate: MemoryGate, clock: Clock
) -> Iterator[SessionPool]:
    numbers = iter(range(10**6))
    made = SessionPool(
        slots, profiles, gate, new_token=lambda: f"token-{next(numbers)}", clock=clock
    )
    yield made
    made.close_idle(everything=True)
    assert slots.held == {}, "a lease outlived its session"


@pytest.fixture
def proxy(pyftpd_server: FtpServer) -> Iterator[FtpProxy]:
    with FtpProxy.in_front_of(pyftpd_server) as made:
        yield made


@pytest.fixture
def account(pyftpd_server: FtpServer, proxy: FtpProxy) -> Account:
    endpoint = endpoint_of(pyftpd_server.through(proxy.port))
    return Account("site@host", endpoint, connections=2, address_connections=2)


@pytest.fixture
def login(pyftpd_server: FtpServer) -> Callable[[bool], tuple[str, Secret]]:
    return lambda _fresh: (pyftpd_server.user, Secret(pyftpd_server.password))


Login = Callable[[bool], tuple[str, Secret]]


def test_a_session_serves_the_next_item_without_another_login(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, proxy: FtpProxy
) -> None:
    for _ in range(3):
        with pool.session(account, login) as session:
            assert session.command("NOOP", "saying nothing").ok
    assert proxy.logins == 1
    assert slots.taken == 1
    assert list(slots.held.values()) == [("site@host", "127.0.0.1")]


def test_two_items_at_a_time_have_two_sessions_and_the_later_one_is_reused_first(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login
) -> None:
    with pool.session(account, login) as one, pool.session(account, login) as other:
        assert one is not other
    with pool.session(account, login) as again:
        assert again is one  # `other` was given back before it
    assert slots.taken == 2


def test_an_idle_session_waits_its_seconds_and_is_then_closed(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, clock: Clock
) -> None:
    with pool.session(account, login) as session:
        clock.now += 100  # work is not idling
    clock.now += pool.idle_seconds - 0.01
    pool.close_idle()
    assert not session.lost
    assert len(slots.held) == 1
    clock.now += 0.01
    pool.close_idle()
    assert session.lost
    assert slots.held == {}


def test_a_session_at_work_is_never_closed(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, clock: Clock
) -> None:
    with pool.session(account, login) as session:
        slots.wanted_accounts = {account.name}
        clock.now += 1000
        pool.close_idle(everything=True)
        assert session.command("NOOP", "saying nothing").ok
        assert len(slots.held) == 1


def test_an_idle_session_is_given_up_at_once_when_its_slot_is_wanted_elsewhere(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, proxy: FtpProxy
) -> None:
    with pool.session(account, login) as session:
        pass
    slots.wanted_accounts = {"another@host"}
    pool.close_idle()
    assert not session.lost
    slots.wanted_accounts = {account.name}
    pool.close_idle()
    assert session.lost
    assert slots.held == {}
    slots.wanted_accounts = set()
    with pool.session(account, login) as second:
        assert second is not session
    assert proxy.logins == 2


def test_where_every_slot_stays_taken_the_item_is_told_so_and_nothing_is_connected(
    pool: SessionPool,
    slots: MemorySlots,
    account: Account,
    login: Login,
    clock: Clock,
    proxy: FtpProxy,
) -> None:
    slots.limit = 0
    slots.on_refusal = lambda: setattr(clock, "now", clock.now + 0.9)
    with pytest.raises(SlotsBusy, match="all 2 connections of site@host are in use"):
        pool.session(account, login).__enter__()
    assert slots.refusals == 3  # at 0, 0.9 and 1.8 seconds; 2.7 would be too late
    assert proxy.connections == 0


def test_a_slot_that_comes_free_in_time_is_taken(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login
) -> None:
    slots.limit = 0
    slots.on_refusal = lambda: setattr(slots, "limit", 1)
    with pool.session(account, login) as session:
        assert session.command("NOOP", "saying nothing").ok
    assert slots.refusals == 1


def test_who_waits_for_a_slot_gets_the_session_that_is_given_back_here(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, proxy: FtpProxy
) -> None:
    slots.limit = 1
    waiting = threading.Event()
    slots.on_refusal = waiting.set
    got: list[object] = []

    def second() -> None:
        with pool.session(account, login) as session:
            got.append(session)

    with pool.session(account, login) as first:
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        assert got == []
    thread.join(10)
    assert got == [first]
    assert proxy.logins == 1


def test_a_session_in_which_something_was_raised_is_not_used_again(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, proxy: FtpProxy
) -> None:
    with pytest.raises(KeyError), pool.session(account, login) as session:
        raise KeyError
    assert session.lost
    assert slots.held == {}
    with pool.session(account, login) as second:
        assert second is not session
        assert second.command("NOOP", "saying nothing").ok
    assert proxy.logins == 2


def test_a_session_that_was_lost_without_an_error_is_not_used_again(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login
) -> None:
    with pool.session(account, login) as session:
        session.drop()
    assert slots.held == {}


def test_a_session_that_the_server_ended_frees_its_slot(
    pool: SessionPool, slots: MemorySlots
) -> None:
    script = [*LOGIN, turn(("NOOP", "421 Timeout", HANG_UP))]
    with ScriptedServer(script) as server:
        account = Account("scripted", scripted_endpoint(server), 1, 1)
        with (
            pytest.raises(SessionLost),
            pool.session(account, lambda _fresh: (USER, Secret(PASSWORD))) as session,
        ):
            session.command("NOOP", "saying nothing")
    assert slots.taken == 1
    assert slots.held == {}


def test_a_refused_login_frees_its_slot(
    pool: SessionPool, slots: MemorySlots, account: Account
) -> None:
    with pytest.raises(LoginRefused):
        pool.session(account, lambda _fresh: ("site", Secret("Wrong-Ferry-0000"))).__enter__()
    assert slots.taken == 1
    assert slots.held == {}


def changing(server: FtpServer, kept: str, fresh: str, asked: list[bool]) -> Login:
    """A login whose password in the store is `fresh`, while `kept` is what was fetched before."""

    def login(past_the_cache: bool) -> tuple[str, Secret]:
        asked.append(past_the_cache)
        return server.user, Secret(fresh if past_the_cache else kept)

    return login


def test_a_password_that_was_changed_meanwhile_is_fetched_once_more(
    pool: SessionPool,
    slots: MemorySlots,
    gate: MemoryGate,
    account: Account,
    pyftpd_server: FtpServer,
    proxy: FtpProxy,
) -> None:
    asked: list[bool] = []
    login = changing(pyftpd_server, "The-Old-0000", pyftpd_server.password, asked)
    with pool.session(account, login) as session:
        assert session.command("NOOP", "saying nothing").ok
    assert asked == [False, True]
    assert (gate.stopped, gate.accepted_logins) == ([], 1)
    assert (proxy.connections, slots.taken) == (2, 1)


@pytest.mark.parametrize(
    ("fresh", "tried"), [("The-Old-0000", 1), ("Another-Wrong-0000", 2)], ids=["same", "another"]
)
def test_after_a_second_refusal_the_account_is_stopped_and_nothing_is_connected(
    pool: SessionPool,
    slots: MemorySlots,
    gate: MemoryGate,
    account: Account,
    pyftpd_server: FtpServer,
    proxy: FtpProxy,
    fresh: str,
    tried: int,
) -> None:
    """The same password is not even tried twice."""
    login = changing(pyftpd_server, "The-Old-0000", fresh, [])
    with pytest.raises(LoginRefused):
        pool.session(account, login).__enter__()
    assert proxy.connections == tried
    with pytest.raises(AccountStopped):
        pool.session(account, login).__enter__()
    assert proxy.connections == tried
    assert slots.held == {}


def test_a_refused_login_stops_the_account_also_when_the_store_is_away_by_then(
    pool: SessionPool, gate: MemoryGate, account: Account, proxy: FtpProxy
) -> None:
    """Or each retry would log in once more with the value that was kept."""

    def login(fresh: bool) -> tuple[str, Secret]:
        if fresh:
            raise CredentialUnreachable("gone")
        return "site", Secret("Wrong-Ferry-0000")

    with pytest.raises(CredentialUnreachable):
        pool.session(account, login).__enter__()
    assert gate.stopped == [account.name]
    with pytest.raises(AccountStopped):
        pool.session(account, login).__enter__()
    assert proxy.connections == 1


def test_a_ledger_that_fails_when_a_session_comes_back_costs_no_slot(
    pool: SessionPool, profiles: MemoryProfiles, account: Account, login: Login
) -> None:
    with pool.session(account, login) as session:
        session.profile.rename_over = False
        profiles.trouble = RuntimeError("OOM command not allowed when used memory > 'maxmemory'")
    pool.close_idle(everything=True)
    assert pool.leases() == []


def test_a_ledger_that_fails_when_a_login_was_accepted_leaves_no_session(
    pool: SessionPool,
    slots: MemorySlots,
    gate: MemoryGate,
    account: Account,
    login: Login,
    proxy: FtpProxy,
) -> None:
    gate.trouble = LedgerUnreachable("gone")
    with pytest.raises(LedgerUnreachable):
        pool.session(account, login).__enter__()
    assert slots.held == {}
    gate.trouble = None
    with pool.session(account, login):
        assert proxy.most_connections == 1


def test_a_host_that_does_not_answer_frees_its_slot(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login, proxy: FtpProxy
) -> None:
    proxy.cut()
    with pytest.raises(HostUnreachable):
        pool.session(account, login).__enter__()
    assert slots.taken == 1
    assert slots.held == {}


def test_a_credential_that_cannot_be_had_and_an_unknown_host_take_no_slot(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login
) -> None:
    def absent(_fresh: bool) -> tuple[str, Secret]:
        raise CredentialAbsent("no such entry")

    with pytest.raises(CredentialAbsent):
        pool.session(account, absent).__enter__()
    nowhere = replace(account, endpoint=replace(account.endpoint, host="nowhere.invalid"))
    with pytest.raises(HostUnknown):
        pool.session(nowhere, login).__enter__()
    assert slots.taken == 0


def test_accounts_do_not_share_sessions(
    pool: SessionPool, account: Account, login: Login, proxy: FtpProxy
) -> None:
    with pool.session(account, login) as one:
        pass
    with pool.session(replace(account, name="other@host"), login) as other:
        assert other is not one
    assert proxy.logins == 2


def test_what_one_session_learns_the_next_one_of_the_account_knows(
    pool: SessionPool, account: Account, login: Login
) -> None:
    with pool.session(account, login) as one:
        one.profile.epsv = False
        one.drop()
    with pool.session(account, login) as other:
        assert other is not one
        assert not other.profile.epsv
        assert other.profile is pool.profile(account)


def test_what_one_process_learns_of_a_server_another_one_knows(
    pool: SessionPool, slots: MemorySlots, profiles: MemoryProfiles, account: Account, login: Login
) -> None:
    with pool.session(account, login) as one:
        one.profile.rename_over = False
    elsewhere = SessionPool(slots, profiles, MemoryGate(), new_token=lambda: "elsewhere")
    with elsewhere.session(account, login) as other:
        assert not other.profile.rename_over
        assert other.profile.features == one.profile.features != frozenset()
    elsewhere.close_idle(everything=True)


def test_a_profile_that_cannot_be_kept_now_is_kept_later(
    pool: SessionPool, profiles: MemoryProfiles, account: Account, login: Login
) -> None:
    profiles.trouble = LedgerUnreachable("Redis does not answer")
    with pool.session(account, login) as session:
        session.profile.rename_over = False
    assert profiles.texts == {}
    profiles.trouble = None
    with pool.session(account, login):
        pass
    assert not profile_of(profiles.texts[account.name], time.time()).rename_over


def test_a_refusal_is_told_with_the_number_and_what_it_counts(
    pool: SessionPool, slots: MemorySlots
) -> None:
    """Said in ProFTPD's words; with the scripted server, for most servers name none."""
    refusal = "530 Sorry, the maximum number of clients (3) for this user already connected."
    script = [*LOGIN[:1], turn((f"PASS {PASSWORD}", refusal))]
    with ScriptedServer(script) as server:
        limited = Account("a@b", scripted_endpoint(server), connections=9, address_connections=9)
        with (
            pytest.raises(ConnectionLimited),
            pool.session(limited, lambda _fresh: (USER, Secret(PASSWORD))),
        ):
            pass
    assert slots.told == [(3, "account")]


def test_every_living_session_is_among_the_leases_to_renew(
    pool: SessionPool, slots: MemorySlots, account: Account, login: Login
) -> None:
    assert pool.leases() == []
    with pool.session(account, login), pool.session(account, login):
        assert {token for _, _, token in pool.leases()} == set(slots.held)
    assert len(pool.leases()) == 2
    with pool.session(account, login):
        leases = pool.leases()
        assert {(lent.name, address) for lent, address, _ in leases} == set(slots.held.values())
        assert {token for _, _, token in leases} == set(slots.held)
    pool.close_idle(everything=True)
    assert pool.leases() == []


def test_an_idle_session_is_no_sign_of_life_of_the_item_before(
    pool: SessionPool, account: Account, login: Login
) -> None:
    signs: list[int] = []
    with pool.session(account, login) as session:
        session.on_activity = lambda: signs.append(1)
        session.command("NOOP", "saying nothing")
    assert signs == [1]
    with pool.session(account, login) as session:
        session.command("NOOP", "saying nothing")
    assert signs == [1]


def test_twenty_threads_never_hold_more_connections_than_are_allowed(
    account: Account, login: Login, proxy: FtpProxy, pyftpd_server: FtpServer
) -> None:
    slots = MemorySlots(limit=4)
    numbers = iter(range(10**6))
    pool = SessionPool(
        slots, MemoryProfiles(), MemoryGate(), new_token=lambda: f"{next(numbers)}", wait_seconds=60
    )

    def work(number: int) -> None:
        with pool.session(account, login) as session:
            made, failed = make_directories(session, [f"{pyftpd_server.remote_root}/{number}"])
            assert (len(made), failed) == (1, {})
            if number % 10 == 0:
                session.drop()

    with ThreadPoolExecutor(20) as threads:
        for done in [threads.submit(work, number) for number in range(100)]:
            done.result()
    pool.close_idle(everything=True)
    assert len(list(pyftpd_server.root.iterdir())) == 100
    assert slots.most <= 4
    assert proxy.most_connections <= 4
    assert slots.refusals > 0, "the threads never met the limit"
    assert proxy.logins == slots.taken <= 4 + 10  # each dropped one is followed by one at most
    assert slots.held == {}
