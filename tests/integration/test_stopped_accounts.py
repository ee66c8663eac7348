"""Accounts whose login the host refuses are left alone for a while, by all workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.ledger.accounts import LONGEST_STOP_SECONDS, StoppedAccounts
from siteferry.ledger.connection import Connection
from tests.acceptance.test_two_workers import wait_for_workers
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

ACCOUNT = "u123@ftp.example.com:21"


@pytest.fixture
def stopped(connection: Connection) -> StoppedAccounts:
    return StoppedAccounts(connection)


def test_an_account_that_was_never_refused_may_log_in(stopped: StoppedAccounts) -> None:
    assert stopped.find(ACCOUNT) is None
    assert stopped.every() == []
    assert not stopped.resume(ACCOUNT)


def end(connection: Connection) -> None:
    """As if the time of the stop were over."""
    connection.client.hset(connection.keys.stopped(ACCOUNT), "until", 1.0)


def test_each_refusal_stops_it_for_twice_as_long_up_to_six_hours(
    stopped: StoppedAccounts, connection: Connection
) -> None:
    seconds = []
    for number in range(1, 12):
        stopped.stop(ACCOUNT, "530 Login incorrect.")
        found = stopped.find(ACCOUNT)
        assert found is not None
        assert (found.refusals, found.reply) == (number, "530 Login incorrect.")
        seconds.append(round(found.until - found.since))
        end(connection)
    assert seconds[:4] == [60, 120, 240, 480]
    assert seconds[-1] == LONGEST_STOP_SECONDS


def test_logins_that_were_under_way_at_the_same_moment_are_one_refusal(
    stopped: StoppedAccounts,
) -> None:
    for _ in range(8):
        stopped.stop(ACCOUNT, "530")
    found = stopped.find(ACCOUNT)
    assert found is not None
    assert (found.refusals, round(found.until - found.since)) == (1, 60)


def test_when_its_time_is_over_it_may_log_in_and_the_count_goes_on(
    stopped: StoppedAccounts, connection: Connection
) -> None:
    stopped.stop(ACCOUNT, "530")
    end(connection)
    assert stopped.find(ACCOUNT) is None
    assert stopped.every() == []
    stopped.stop(ACCOUNT, "530")
    found = stopped.find(ACCOUNT)
    assert found is not None
    assert found.refusals == 2


def test_a_resumed_account_begins_anew(stopped: StoppedAccounts) -> None:
    stopped.stop(ACCOUNT, "530")
    assert stopped.resume(ACCOUNT)
    assert stopped.find(ACCOUNT) is None
    stopped.stop(ACCOUNT, "530")
    found = stopped.find(ACCOUNT)
    assert found is not None
    assert found.refusals == 1


def test_every_stopped_account_is_listed_by_name(stopped: StoppedAccounts) -> None:
    for name in ("b@h:21", "a@h:21"):
        stopped.stop(name, "530")
    assert [stop.account for stop in stopped.every()] == ["a@h:21", "b@h:21"]


def test_what_is_known_against_an_account_is_forgotten_in_the_end(
    stopped: StoppedAccounts, connection: Connection
) -> None:
    stopped.stop(ACCOUNT, "530")
    assert connection.client.ttl(connection.keys.stopped(ACCOUNT)) > 3600


@pytest.mark.slow
def test_a_wrong_password_is_tried_once_by_however_many_imports_until_the_account_is_resumed(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        server = pyftpd_server.through(proxy.port)
        installation = Installation(tmp_path, redis=redis_server.url)
        for site in ("one", "two"):
            source = installation.add_site(server, site, remote=site, password="Wrong-Ferry-0000")
            write_tree(source, {"index.html": site})
        with installation.process("worker"):
            wait_for_workers(redis_server, 1)
            outcomes = [installation.run("import", site) for site in ("one", "two", "one")]
            assert [outcome.code for outcome in outcomes] == [3, 3, 3]
            assert "does not accept the user name or the password" in outcomes[0].output
            for later in outcomes[1:]:
                assert "is not tried again before" in later.output
                assert "siteferry account resume" in later.output
            assert proxy.connections == 1
            listed = installation.run("account", "list", "--json").json
            assert [stop["refusals"] for stop in listed] == [1]
            (name,) = (stop["account"] for stop in listed)
            assert "refused once" in installation.run("account", "list").stdout
            assert installation.run("account", "resume", name).code == 0
            assert installation.run("account", "resume", name).code == 2
            assert installation.run("account", "list").stdout == "no account is stopped\n"
        for variable in list(installation.environment):
            installation.environment[variable] = server.password
        with installation.process("worker"):
            wait_for_workers(redis_server, 1)
            assert installation.run("import", "one").code == 0
