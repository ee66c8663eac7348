"""Workers that end, asked to or not: what they held goes to others at once, and counts once.

That it goes at once is read in the ledger, right after the end of the process: the sweeper would
come to it only after five seconds of silence, and a dead node stays known to it for a minute.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.holdings import NOTHING, holdings_of, node_of, nodes_of, wait_until
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import Blackhole
from worker.stopping import CUT_SHORT

MIB = 1024 * 1024
PAGES = {f"page-{n:02}.html": f"page {n}, a little longer" for n in range(40)}


class Place:
    """An installation whose workers run beside the test, and the run of its website."""

    def __init__(self, installation: Installation, redis: RedisServer) -> None:
        self.installation, self.redis = installation, redis
        self.run = ""
        self._at_the_end = ExitStack()

    def worker(self) -> tuple[subprocess.Popen[str], str]:
        """Start one; gives it and its node's name."""
        process = self._at_the_end.enter_context(self.installation.process("worker"))
        return process, node_of(self.redis, process)

    def start(self) -> None:
        self.run = self.installation.run("import", "example", "--detach").stdout.strip()

    @property
    def transferred(self) -> int:
        with self.redis.client() as client:
            return int(client.hget(f"siteferry:run:{self.run}", "transferred") or 0)

    def log_says(self, text: str) -> bool:
        return text in (self.installation.folder / "worker.log").read_text()

    @property
    def waiting_messages(self) -> int:
        """In the shared queue, for whoever comes."""
        with self.redis.client() as client:
            return int(client.llen("siteferry:siteferry.work"))

    def watch(self) -> dict[str, object]:
        """The report of the run, which must be done."""
        result = self.installation.run("watch", self.run, "--json")
        assert result.code == 0, result.output
        report: dict[str, object] = result.json
        return report

    def close(self) -> None:
        self._at_the_end.close()


@pytest.fixture
def place(redis_server: RedisServer, tmp_path: Path) -> Iterator[Place]:
    opened = Place(Installation(tmp_path, redis=redis_server.url), redis_server)
    yield opened
    opened.close()


def at_work(server: RedisServer, node: str) -> bool:
    """Whether the node carries something over a connection at this moment."""
    held = holdings_of(server, node)
    return bool(held.claimed and held.leases)


def assert_published(report: dict[str, object], files: int, source: Path, live: Path) -> None:
    """All of it, each file once."""
    assert report["stats"]["uploaded"] == files  # type: ignore[index]
    assert report["stats"]["failed"] == 0  # type: ignore[index]
    assert sum(report["workers"].values()) == files  # type: ignore[attr-defined]
    assert tree_of(live) == tree_of(source)
    assert left_over(live) == []


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_worker_that_is_stopped_in_an_import_leaves_nothing_behind_and_the_other_goes_on(
    vsftpd: Callable[..., FtpServer], place: Place, wordpress_tree: Path
) -> None:
    server = vsftpd().fresh()
    source = place.installation.add_site(server)
    shutil.copytree(wordpress_tree, source, dirs_exist_ok=True)
    (first, leaving), (_, staying) = place.worker(), place.worker()
    place.start()
    wait_until(
        lambda: place.transferred > 200 and at_work(place.redis, leaving),
        "nothing was carried",
    )
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 0
    assert holdings_of(place.redis, leaving) == NOTHING
    locks = (place.installation.folder / "state/workers").iterdir()
    names = [lock.read_text().strip() for lock in locks]
    assert sorted(names) == ["", staying], "whoever starts next has nobody to bury"
    assert place.transferred < 2521, "there was nothing left to go on with"
    report = place.watch()
    assert_published(report, 2521, source, server.root / "public_html")
    assert set(report["workers"]) == {leaving, staying}  # type: ignore[call-overload]


def hang_in_a_file(place: Place, proxy: WireProxy) -> tuple[subprocess.Popen[str], str]:
    """A worker that waits for a server which takes no more of a file."""
    proxy.inject(Blackhole(5, connection=15))
    started = place.worker()
    place.start()
    wait_until(lambda: place.transferred >= 12, "the import did not come to that file")
    return started


def test_at_the_second_signal_a_worker_hands_back_what_it_holds_and_ends(
    pyftpd_server: FtpServer, place: Place
) -> None:
    with WireProxy(pyftpd_server) as proxy:
        source = place.installation.add_site(proxy.server, ftp={"max_connections": 1})
        write_tree(source, PAGES)
        worker, node = hang_in_a_file(place, proxy)
        worker.send_signal(signal.SIGTERM)
        wait_until(lambda: place.log_says("stopping"), "the signal was not heard")
        assert len(holdings_of(place.redis, node).claimed) == 1
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=10) == CUT_SHORT
        assert holdings_of(place.redis, node) == NOTHING
        assert place.waiting_messages == 1
        place.worker()
        assert_published(place.watch(), 40, source, pyftpd_server.root / "public_html")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_the_grace_is_over_a_worker_hands_back_what_it_holds_and_ends(
    pyftpd_server: FtpServer, place: Place, number: int
) -> None:
    place.installation.configure(worker={"grace_seconds": 0.5})
    with WireProxy(pyftpd_server) as proxy:
        source = place.installation.add_site(proxy.server, ftp={"max_connections": 1})
        write_tree(source, PAGES)
        worker, node = hang_in_a_file(place, proxy)
        worker.send_signal(number)
        assert worker.wait(timeout=10) == CUT_SHORT
        assert place.log_says("grace of 0.5 s is over")
        assert holdings_of(place.redis, node) == NOTHING
        assert place.waiting_messages == 1
        place.worker()
        assert_published(place.watch(), 40, source, pyftpd_server.root / "public_html")


@pytest.mark.slow
def test_a_long_file_that_the_grace_was_too_short_for_is_gone_on_with(
    proftpd: Callable[..., FtpServer], place: Place
) -> None:
    """At 5 MiB a second, until the way is closed after 12 MiB."""
    server = proftpd()
    place.installation.configure(log={"format": "json"}, worker={"grace_seconds": 0.5})
    with WireProxy(server) as proxy:
        ftp = {"max_connections": 1}
        source = place.installation.add_site(proxy.server, ftp=ftp, bandwidth="5MiB")
        write_tree(source, {"film.mp4": random.Random(1).randbytes(20 * MIB)})
        proxy.inject(Blackhole(12 * MIB))
        worker, node = place.worker()
        place.start()
        key = f"siteferry:run:{place.run}:parts"
        with place.redis.client() as client:
            wait_until(
                lambda: json.loads(client.hget(key, "film.mp4") or "[0,0,0]")[2] > 8 * MIB,
                "the import did not come so far",
            )
            worker.send_signal(signal.SIGTERM)
            wait_until(lambda: worker.poll() is not None, "the worker goes on and on")
            kept = json.loads(client.hget(key, "film.mp4"))[2]  # type: ignore[arg-type]
        assert holdings_of(place.redis, node) == NOTHING
        place.worker()
        assert_published(place.watch(), 1, source, server.root / "public_html")
    log = (place.installation.folder / "worker.log").read_text().splitlines()
    resumed = [json.loads(line)["at_byte"] for line in log if '"resumed"' in line]
    assert [at >= min(kept, 8 * MIB) for at in resumed] == [True]
    server.remove()


def test_a_long_file_is_left_at_a_chunk_when_its_worker_is_stopped(
    proftpd: Callable[..., FtpServer], place: Place
) -> None:
    server = proftpd()
    place.installation.configure(log={"format": "json"})
    ftp = {"max_connections": 1}
    source = place.installation.add_site(server, ftp=ftp, bandwidth="10MiB")
    write_tree(source, {"film.mp4": random.Random(2).randbytes(40 * MIB)})
    worker, node = place.worker()
    place.start()
    with place.redis.client() as client:
        key = f"siteferry:run:{place.run}:parts"
        wait_until(lambda: bool(client.exists(key)), "nothing was told of the file")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert holdings_of(place.redis, node) == NOTHING
    assert place.transferred == 0
    place.worker()
    assert_published(place.watch(), 1, source, server.root / "public_html")
    assert place.log_says('"resumed"')
    server.remove()


@pytest.mark.slow
def test_a_worker_started_after_one_was_killed_hands_back_first_of_all(
    vsftpd: Callable[..., FtpServer], place: Place, wordpress_tree: Path
) -> None:
    """Before it counts as alive itself. Of two dead ones both are buried by the one that comes."""
    server = vsftpd().fresh()
    source = place.installation.add_site(server)
    shutil.copytree(wordpress_tree, source, dirs_exist_ok=True)
    started = [place.worker(), place.worker()]
    dead = {node for _, node in started}
    place.start()
    wait_until(
        lambda: place.transferred > 200 and all(at_work(place.redis, node) for node in dead),
        "nothing was carried by one of them",
    )
    for process, _ in started:
        process.kill()
    for process, _ in started:
        process.wait()
    assert all(holdings_of(place.redis, node).alive for node in dead)
    assert any(holdings_of(place.redis, node).leases for node in dead)
    _, node = place.worker()
    assert nodes_of(place.redis) == {node}
    for one in dead:
        assert holdings_of(place.redis, one) == NOTHING
    assert_published(place.watch(), 2521, source, server.root / "public_html")


def test_a_command_that_comes_after_one_was_killed_goes_on_with_its_run(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """With the private server. The first one's worker waits for a server that says nothing."""
    with WireProxy(pyftpd_server) as proxy:
        installation = Installation(tmp_path)
        source = installation.add_site(proxy.server, ftp={"max_connections": 1})
        write_tree(source, PAGES)
        proxy.inject(Blackhole(5, connection=15))
        with installation.process("import", "example") as command:
            wait_until(lambda: proxy.data_connections >= 15, "it did not come to that file")
            command.kill()
            command.wait()
        result = installation.run("import", "example", "--json", "--quiet")
        assert result.code == 0, result.output
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)


def test_a_commands_own_worker_that_is_killed_hands_back_when_it_is_started_again(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    with WireProxy(pyftpd_server) as proxy:
        installation = Installation(tmp_path)
        source = installation.add_site(proxy.server, ftp={"max_connections": 1})
        write_tree(source, PAGES)
        proxy.inject(Blackhole(5, connection=15))
        with installation.process("import", "example") as command:
            wait_until(lambda: proxy.data_connections >= 15, "it did not come to that file")
            (lock,) = (tmp_path / "state/workers").iterdir()
            node = lock.read_text().strip()
            os.kill(int(node.split("-")[-2]), signal.SIGKILL)
            assert command.wait(timeout=60) == 0
    log = (tmp_path / "state/worker.log").read_text()
    assert f"an earlier worker has died dead={node} handed_back=1" in log
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)
