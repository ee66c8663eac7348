"""What happens to a session while nobody uses it must not cost the next item an attempt."""

from __future__ import annotations

import itertools
import select
from collections.abc import Callable

from siteferry.ftp.directories import remove_tree
from siteferry.ftp.listing import list_directories
from siteferry.ftp.pool import Account, SessionPool
from siteferry.ftp.session import Session
from siteferry.publish.staging import base_of, prepare_staging
from siteferry.secret import Secret
from tests.contract.test_pool import MemoryGate, MemoryProfiles, MemorySlots
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.sessions import endpoint_of, session_on

RUN = "20261124-092805-93a469"


def make_pool(
    server: FtpServer, slots: MemorySlots
) -> tuple[SessionPool, Account, Callable[[bool], tuple[str, Secret]]]:
    numbers = map("token-{}".format, itertools.count())
    pool = SessionPool(slots, MemoryProfiles(), MemoryGate(), new_token=lambda: next(numbers))
    account = Account("site@host", endpoint_of(server), connections=2, address_connections=2)
    return pool, account, lambda _fresh: (server.user, Secret(server.password))


def wait_for_the_end_of(session: Session) -> None:
    poll = select.poll()
    poll.register(session.sock, select.POLLRDHUP)
    assert poll.poll(10_000), "the server's end has not arrived"


def test_an_idle_session_that_the_server_has_ended_is_not_lent(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    """Both are ended; the next item has a new one at once, and both leases are free again."""
    slots = MemorySlots()
    pool, account, login = make_pool(ftp_server.through(ftp_proxy.port), slots)
    with pool.session(account, login) as one, pool.session(account, login) as other:
        pass
    ftp_proxy.cut()
    ftp_proxy.revive()
    for session in (one, other):
        wait_for_the_end_of(session)
    with pool.session(account, login) as fresh:
        assert fresh not in (one, other)
        assert fresh.command("NOOP", "saying nothing").ok
        assert len(slots.held) == 1
    pool.close_idle(everything=True)
    assert slots.held == {}


def test_an_idle_session_under_tls_that_lives_is_lent_again(ftps_server: FtpServer) -> None:
    """Whatever records the server has sent beside its replies, they are no end."""
    pool, account, login = make_pool(ftps_server, MemorySlots())
    with pool.session(account, login) as one:
        pass
    with pool.session(account, login) as again:
        assert again is one
    pool.close_idle(everything=True)


def test_a_session_outlives_the_staging_directory_that_it_has_prepared(
    ftp_server: FtpServer,
) -> None:
    """Another session removes it at the end of the publish. Pure-FTPd, which enters what it lists
    and then goes back, ends a session ("421 chdir") that cannot go back."""
    base = base_of(f"{ftp_server.remote_root.rstrip('/')}/public_html", None)
    with session_on(ftp_server) as sending, session_on(ftp_server) as publishing:
        prepare_staging(sending, base, RUN)
        remove_tree(publishing, base.staging(RUN))
        listed = dict(list_directories(sending, [base.remote_dir]))
        assert [entry.name for entry in listed[base.remote_dir]] == [".htsiteferry"]
