"""Two schedulers, a worker, a Redis and an FTP server: every due minute has exactly one run."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from siteferry.ledger.connection import connect
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from tests.acceptance.test_two_workers import wait_for_workers
from tests.beat_at import Clocked
from tests.installation import Installation, tree_of, write_tree
from tests.integration.test_broker_guards import wait_for
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

NOON = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC).timestamp()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


class Minutes:
    """The minutes after noon, and the runs that were due in them."""

    def __init__(self, clocked: Clocked, runs: Runs) -> None:
        self.clocked, self.runs = clocked, runs
        self.now = 0
        clocked.set(NOON + 1)

    def next(self) -> None:
        self.now += 1
        self.clocked.set(NOON + 60 * self.now)

    def pass_one(self) -> None:
        """The next minute, until its run has been carried out."""
        self.next()
        self.wait_until_done()

    def wait_until_done(self) -> None:
        wait_for(f"minute {self.now} has no run", lambda: self.now in self.due())
        wait_for(f"the run of minute {self.now} does not end", lambda: self.runs.live() == 0)

    def due(self) -> list[int]:
        """For which minutes there is a run; a minute that has two stands here twice."""
        snapshots = self.runs.snapshots(self.runs.latest(1000)).values()
        assert {s.state for s in snapshots if s.state.ended} <= {RunState.DONE}
        return sorted(round((s.due - NOON) / 60) for s in snapshots if s.due is not None)


@pytest.fixture
def site(pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path) -> Installation:
    installation = Installation(tmp_path, redis=redis_server.url)
    source = installation.add_site(pyftpd_server, schedule={"cron": "* * * * *"})
    write_tree(source, {"index.html": "<p>hello", "css/site.css": "p {}"})
    return installation


@pytest.fixture
def minutes(site: Installation, redis_server: RedisServer) -> Iterator[Minutes]:
    connection = connect(redis_server.url)
    with site.process("worker"):
        wait_for_workers(redis_server, 1)
        yield Minutes(Clocked(site), Runs(connection))
    connection.client.close()


def test_one_is_killed_and_the_other_paused_and_each_due_minute_has_one_run(
    minutes: Minutes, site: Installation, pyftpd_server: FtpServer
) -> None:
    clocked = minutes.clocked
    with ExitStack() as stack:
        one = stack.enter_context(clocked.scheduler())
        other = stack.enter_context(clocked.scheduler())
        for _ in range(2):
            minutes.pass_one()

        minutes.next()
        one.kill()  # at whatever it is about in this minute
        minutes.wait_until_done()
        minutes.pass_one()

        third = stack.enter_context(clocked.scheduler())
        minutes.next()
        other.pause()  # perhaps with the due time in its hand
        minutes.wait_until_done()
        for _ in range(2):
            minutes.pass_one()
        other.go_on()
        other.wait_for_turn()
        third.wait_for_turn()
        assert minutes.due() == [1, 2, 3, 4, 5, 6, 7]

        minutes.next()
        third.kill()
        other.pause()
        other.go_on()
        minutes.wait_until_done()
        other.pause()
        for _ in range(3):  # nobody is there
            minutes.next()
        other.go_on()
        minutes.wait_until_done()
        other.wait_for_turn()
        assert minutes.due() == [1, 2, 3, 4, 5, 6, 7, 8, 11], "what was missed is one run"
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(
        site.folder / "workspaces/example/output"
    )


def test_one_that_stood_still_with_a_due_time_in_its_hand_starts_nothing(
    minutes: Minutes,
) -> None:
    with minutes.clocked.scheduler() as one, minutes.clocked.scheduler() as other:
        minutes.pass_one()
        other.pause()
        one.stop_at("in-hand")
        minutes.next()
        one.wait_until_stopped("in-hand")
        other.go_on()
        minutes.wait_until_done()
        minutes.pass_one()
        one.go_on()
        one.wait_for_turn()
        assert minutes.due() == [1, 2, 3]


@pytest.mark.parametrize("moment", ["in-hand", "unsent"])
def test_one_that_is_killed_before_or_after_the_step_in_redis_loses_and_doubles_nothing(
    moment: str, minutes: Minutes
) -> None:
    """What is entered and not sent is sent by the workers' sweeper."""
    with minutes.clocked.scheduler() as one, minutes.clocked.scheduler() as other:
        minutes.pass_one()
        other.pause()
        one.stop_at(moment)
        minutes.next()
        one.wait_until_stopped(moment)
        assert minutes.due() == ([1] if moment == "in-hand" else [1, 2])
        one.kill()
        other.go_on()
        minutes.wait_until_done()
        other.wait_for_turn()
        minutes.pass_one()
        assert minutes.due() == [1, 2, 3]


def test_no_scheduler_at_all_is_made_up_for_by_the_next_one(minutes: Minutes) -> None:
    with minutes.clocked.scheduler() as only:
        minutes.pass_one()
        only.kill()
    for _ in range(5):
        minutes.next()
    with minutes.clocked.scheduler() as following:
        minutes.wait_until_done()
        following.wait_for_turn()
        assert minutes.due() == [1, 6]


def test_a_changed_file_is_picked_up_and_a_run_tells_when_it_was_due(
    minutes: Minutes, site: Installation, pyftpd_server: FtpServer
) -> None:
    with minutes.clocked.scheduler() as scheduler:
        minutes.pass_one()
        site.add_site(pyftpd_server, schedule={"cron": "30 9 * * *"})
        write_tree(
            site.add_site(pyftpd_server, "new", remote="new", schedule={"cron": "* * * * *"}),
            {"a.html": "a"},
        )
        minutes.pass_one()
        scheduler.wait_for_turn()
        status = site.run("status", "--json").json
        listed = site.run("schedule", "list", "--json").json
    assert (status["site"], status["due"]) == ("new", "2026-06-01T12:02:00.000Z")
    assert [one["site"] for one in listed] == ["example", "new"]
    assert listed[0]["last"]["due"] == "2026-06-01T12:01:00+00:00"
    assert listed[0]["cron"] == "30 9 * * *"
    assert (listed[1]["last"]["run"], listed[1]["last"]["state"]) == (status["run"], "done")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_scheduler_that_is_told_to_stop_ends_with_0(
    number: signal.Signals, minutes: Minutes
) -> None:
    with minutes.clocked.scheduler() as scheduler:
        scheduler.process.send_signal(number)
        assert scheduler.process.wait(10) == 0
