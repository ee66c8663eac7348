"""A Redis that stays away is waited for, and one that has lost its data is told as such."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_ending_runs import FILES, Hold, Site
from tests.clear_errors import assert_clear
from tests.installation import Installation, Outcome, tree_of
from tests.integration.test_broker_guards import wait_for
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer
from tests.servers.proxy import FtpProxy

AWAY, BACK = "Redis is away; waiting for it", "Redis is back"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture
def proxy(pyftpd_server: FtpServer) -> Iterator[FtpProxy]:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        yield proxy


@pytest.fixture
def site(
    pyftpd_server: FtpServer, redis_server: RedisServer, proxy: FtpProxy, tmp_path: Path
) -> Iterator[Site]:
    """Its commands wait for a minute."""
    made = Site(tmp_path, redis_server, pyftpd_server, proxy)
    made.installation.configure(redis={"patience_seconds": 60}, batch={"files": 10})
    yield made
    made.connection.client.close()


def said(installation: Installation, command: str) -> str:
    return (installation.folder / f"{command}.log").read_text()


def wait_until_said(installation: Installation, command: str, words: str) -> None:
    wait_for(f"{command} does not say {words}", lambda: words in said(installation, command))


def said_once_each(installation: Installation, command: str) -> bool:
    return [said(installation, command).count(words) for words in (AWAY, BACK)] == [1, 1]


def test_a_command_waits_for_a_redis_that_comes_late(site: Site, redis_server: RedisServer) -> None:
    redis_server.stop()
    with site.installation.process("runs") as command:
        wait_until_said(site.installation, "runs", AWAY)
        redis_server.start()
        assert command.wait(30) == 0
    assert said_once_each(site.installation, "runs"), said(site.installation, "runs")


def test_the_patience_of_a_command_is_what_the_settings_say(
    site: Site, redis_server: RedisServer
) -> None:
    site.installation.configure(redis={"patience_seconds": 0.5})
    redis_server.stop()
    begin = time.monotonic()
    outcome = site.installation.run("runs")
    seconds = time.monotonic() - begin
    assert_clear(site.installation, outcome, 7, "Redis cannot be reached", secrets=[PASSWORD])
    assert seconds < 5, "the default is ten"


def test_a_worker_waits_for_its_redis_when_it_starts_and_while_it_is_idle(
    site: Site, redis_server: RedisServer
) -> None:
    site.installation.configure(redis={"patience_seconds": 0})  # a command's, not a worker's
    redis_server.stop()
    with site.installation.process("worker") as worker:
        wait_until_said(site.installation, "worker", AWAY)
        redis_server.start()
        wait_until_said(site.installation, "worker", "worker started")
        assert said_once_each(site.installation, "worker"), said(site.installation, "worker")
        redis_server.stop(keep=True)
        wait_for("once more", lambda: said(site.installation, "worker").count(AWAY) == 2)
        redis_server.start()
        wait_for("back again", lambda: said(site.installation, "worker").count(BACK) == 2)
        outcome = site.installation.run("import", "example", timeout=90)
        assert worker.poll() is None
    assert outcome.code == 0, outcome.output
    assert tree_of(site.live) == tree_of(site.source)


def test_a_command_and_a_worker_that_lose_redis_in_the_middle_say_so_once_and_go_on(
    site: Site, proxy: FtpProxy, redis_server: RedisServer
) -> None:
    hold = Hold(proxy, "STOR", number=25)
    with site.installation.process("worker") as worker:
        with site.installation.process("import", "example") as command:
            hold.wait()
            redis_server.stop(keep=True)
            for process in ("import", "worker"):
                wait_until_said(site.installation, process, AWAY)
            hold.release()
            redis_server.start()
            assert command.wait(90) == 0, said(site.installation, "import")
        assert worker.poll() is None
    assert said_once_each(site.installation, "import"), said(site.installation, "import")
    assert said_once_each(site.installation, "worker"), said(site.installation, "worker")
    assert tree_of(site.live) == tree_of(site.source)


def lose(redis: RedisServer, how: str) -> None:
    if how == "flushed":
        redis.flush()
    else:
        redis.restart(keep=False)


def the_end_of(site: Site, code: int | None) -> Outcome:
    assert code is not None
    return Outcome(code, "", said(site.installation, "import"))


@pytest.mark.parametrize("how", ["flushed", "restarted without its data"])
def test_a_run_that_redis_has_lost_before_publishing_leaves_the_live_site_and_is_begun_anew(
    how: str, site: Site, proxy: FtpProxy, redis_server: RedisServer
) -> None:
    hold = Hold(proxy, "STOR", number=25)
    with site.installation.process("worker") as worker:
        with site.installation.process("import", "example") as command:
            hold.wait()
            wait_until_said(site.installation, "import", "example transferring")
            lose(redis_server, how)
            ended = the_end_of(site, command.wait(30))
        assert_clear(
            site.installation,
            ended,
            7,
            "Redis has lost its data, and with it run ",
            "which was transferring when last seen",
            "unless it had begun to publish since, example is as it was",
            "Run the same import again",
            secrets=[PASSWORD],
        )
        assert tree_of(site.live) == {}
        hold.release()
        following = site.installation.run("import", "example", "--json", "--quiet", timeout=90)
        assert worker.poll() is None
    assert following.code == 0, following.output
    assert following.json["stats"]["uploaded"] == len(FILES)
    assert tree_of(site.live) == tree_of(site.source)
    leaves_nothing_of_what_was_lost(site)


def test_a_run_that_redis_has_lost_while_publishing_is_finished_by_the_next_import(
    site: Site, proxy: FtpProxy, redis_server: RedisServer
) -> None:
    hold = Hold(proxy, "RNTO", ends="/page-030.html")
    with site.installation.process("worker") as worker:
        with site.installation.process("import", "example") as command:
            hold.wait()
            wait_until_said(site.installation, "import", "example publishing")
            lose(redis_server, "flushed")
            ended = the_end_of(site, command.wait(30))
        assert_clear(
            site.installation,
            ended,
            7,
            "Redis has lost its data, and with it run ",
            "which was publishing",
            "siteferry import example. It finishes the publish first",
            secrets=[PASSWORD],
        )
        hold.release()
        following = site.installation.run("import", "example", timeout=120)
        assert worker.poll() is None
    assert following.code == 0, following.output
    assert tree_of(site.live) == tree_of(site.source)
    leaves_nothing_of_what_was_lost(site)


def leaves_nothing_of_what_was_lost(site: Site) -> None:
    """What workers still tell of a run that is gone must not bring half of it back."""
    with site.connection.client as client:
        known = set(site.runs.latest())
        for key in client.scan_iter("siteferry:run:*"):
            assert key.split(":")[2] in known, f"{key} came back"
