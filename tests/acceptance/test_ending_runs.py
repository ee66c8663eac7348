"""`cancel`, Ctrl-C and `retry`, with a worker in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

FILES = {f"page-{n:03}.html": f"page {n}" for n in range(60)}


class Hold:
    """Holds the `number`th command from now on that begins and ends so, until it is let go."""

    def __init__(self, proxy: FtpProxy, begins: str, *, ends: str = "", number: int = 1) -> None:
        self._reached, self._released = threading.Event(), threading.Event()
        self._wanted, self._left = (begins, ends), number
        proxy.cut_matching(self._look)

    def _look(self, command: str) -> bool:
        begins, ends = self._wanted
        self._left -= command.startswith(begins) and command.endswith(ends)
        if self._left == 0 and not self._reached.is_set():
            self._reached.set()
            self._released.wait(60)
        return False

    def wait(self) -> None:
        assert self._reached.wait(60)

    def release(self) -> None:
        self._released.set()


def stored(proxy: FtpProxy) -> int:
    return sum(command.startswith("STOR ") for command in proxy.commands)


class Site:
    """A website behind a proxy that can be held, and its ledger."""

    def __init__(
        self, folder: Path, redis: RedisServer, server: FtpServer, proxy: FtpProxy
    ) -> None:
        self.installation = Installation(folder, redis=redis.url)
        self.installation.configure(batch={"files": 10, "bytes": "1MiB"})
        self.source = self.installation.add_site(
            server.through(proxy.port), ftp={"max_connections": 1}
        )
        self.live = server.root / "public_html"
        self.connection: Connection = connect(redis.url)
        self.runs = Runs(self.connection)
        write_tree(self.source, FILES)

    def detached(self) -> str:
        started = self.installation.run("import", "example", "--detach")
        assert started.code == 0, started.output
        return started.stdout.strip()


@pytest.fixture
def proxy(pyftpd_server: FtpServer) -> Iterator[FtpProxy]:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        yield proxy


@pytest.fixture
def site(
    pyftpd_server: FtpServer, redis_server: RedisServer, proxy: FtpProxy, tmp_path: Path
) -> Iterator[Site]:
    made = Site(tmp_path, redis_server, pyftpd_server, proxy)
    with made.installation.process("worker"):
        yield made
    made.connection.client.close()


def test_a_cancelled_run_stops_between_files_and_retry_sends_the_rest(
    site: Site, proxy: FtpProxy
) -> None:
    hold = Hold(proxy, "STOR", number=15)
    run = site.detached()
    hold.wait()
    cancelled = site.installation.run("cancel", run)
    assert cancelled.code == 0, cancelled.output
    assert "nothing of the live site was touched" in cancelled.stdout
    hold.release()
    watched = site.installation.run("watch", run, "--json")
    assert watched.code == 8
    sent = watched.json["stats"]["uploaded"]
    assert 0 < sent < len(FILES)
    assert tree_of(site.live) == {}

    before = stored(proxy)
    again = site.installation.run("retry", run, "--json", "--quiet")
    assert again.code == 0, again.output
    assert again.json["stats"]["uploaded"] == len(FILES)
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []
    assert stored(proxy) - before == len(FILES) - sent + 2, "the rest, manifest and journal"


def test_a_run_that_publishes_is_not_cancelled_and_the_reason_is_told(
    site: Site, proxy: FtpProxy
) -> None:
    hold = Hold(proxy, "RNTO", ends="/.htjournal")
    run = site.detached()
    hold.wait()
    refused = site.installation.run("cancel", run)
    assert refused.code == 1
    assert "it is only ever finished" in refused.stderr
    hold.release()
    assert site.installation.run("watch", run, "--json").code == 0
    assert tree_of(site.live) == tree_of(site.source)
    late = site.installation.run("cancel", run)
    assert (late.code, "has ended already: done" in late.stderr) == (1, True)


def test_an_interrupt_before_publishing_leaves_the_live_site_alone(
    site: Site, proxy: FtpProxy
) -> None:
    hold = Hold(proxy, "STOR", number=5)
    with site.installation.process("import", "example") as command:
        hold.wait()
        os.kill(command.pid, signal.SIGINT)
        assert command.wait(20) == 130
        hold.release()
    assert tree_of(site.live) == {}
    (run,) = site.runs.latest()
    assert site.runs.state(run) is RunState.CANCELLED


def test_retry_of_a_run_that_is_done_does_nothing(site: Site) -> None:
    done = site.installation.run("import", "example", "--json", "--quiet")
    assert done.code == 0, done.output
    again = site.installation.run("retry", done.json["run"])
    assert (again.code, "nothing is left of it" in again.stdout) == (0, True)


@pytest.mark.parametrize("begun", ["STOR", "RNTO"])
def test_on_the_private_server_a_run_whose_command_was_killed_is_finished_by_the_next_one(
    begun: str, pyftpd_server: FtpServer, proxy: FtpProxy, tmp_path: Path
) -> None:
    """Command, worker and server are gone at once, as when the power fails."""
    installation = Installation(tmp_path)
    source = installation.add_site(pyftpd_server.through(proxy.port), ftp={"max_connections": 1})
    write_tree(source, FILES)
    hold = Hold(proxy, begun, number=5)
    with installation.process("import", "example") as command:
        hold.wait()
        _kill_all(command.pid)
        hold.release()
    other = installation.run("import", "example", "--json", "--quiet", "--if-not-running")
    assert other.code == 0, other.output
    assert "finishing run" in other.stderr
    assert other.json["stats"]["failed"] == 0
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)
    assert left_over(pyftpd_server.root / "public_html") == []


def _kill_all(command: int) -> None:
    """The command and all that it has started: its worker and the private server."""
    family = {command}
    parents = {
        int(stat.parent.name): int(stat.read_text().rpartition(")")[2].split()[1])
        for stat in Path("/proc").glob("[0-9]*/stat")
    }
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family:
        os.kill(pid, signal.SIGKILL)
