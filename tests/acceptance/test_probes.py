"""`siteferry-probe` beside real workers: each answer is true, and comes within its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from siteferry.health.probe import NOBODY, WITHIN_SECONDS
from siteferry.ledger.connection import connect
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from tests.holdings import wait_until
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.probing import Probing, own_worker
from tests.servers.base import FtpServer
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import Blackhole

START_SECONDS = 60.0
AWAY_SECONDS = 10.0
"""Within this a worker that has lost Redis says that it is not ready."""
BACK_SECONDS = 45.0
"""And within this that it is again: kombu's pauses between its tries grow by two seconds."""
MIB = 1024 * 1024
SITES = ("slow", "quick")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture
def installation(redis_server: RedisServer, tmp_path: Path) -> Installation:
    return Installation(tmp_path, redis=redis_server.url)


@pytest.fixture
def probing(installation: Installation) -> Probing:
    return Probing(installation)


@pytest.fixture
def worker(installation: Installation, probing: Probing) -> Iterator[subprocess.Popen[str]]:
    """One that is ready."""
    with installation.process("worker", "-c", "4") as started:
        probing.wait("ready", 0, START_SECONDS, meanwhile_alive=False)
        yield started


@contextmanager
def busy_machine() -> Iterator[None]:
    """Two more processes want the processor for each core."""
    with ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            burner = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while 1: pass"]))
            stack.callback(burner.kill)
        yield


def test_a_busy_worker_on_a_busy_machine_is_alive_and_ready_at_every_look(
    vsftpd: Callable[..., FtpServer],
    redis_server: RedisServer,
    installation: Installation,
    probing: Probing,
) -> None:
    """First all threads wait for their share of the bandwidth, then all send with all they have."""
    server = vsftpd(tls=True).fresh()
    # Each film is an item of its own, and takes four seconds.
    installation.configure(batch={"files": 20, "bytes": "1MiB"})
    ftp = {"max_connections": 4}
    slow = installation.add_site(server, "slow", remote="slow", bandwidth="1MiB", ftp=ftp)
    quick = installation.add_site(server, "quick", remote="quick", ftp=ftp)
    write_tree(slow, {f"film-{n}.mp4": os.urandom(MIB) for n in range(6)})
    write_tree(quick, {f"{n % 7}/page-{n:03}.html": f"page {n}" for n in range(600)})
    most_in_hand = looks = 0
    runs = [installation.run("import", site, "--detach").stdout.strip() for site in SITES]
    with ledger_of(redis_server) as ledger, installation.process("worker", "-c", "4"):
        probing.wait("ready", 0, START_SECONDS, meanwhile_alive=False)
        with busy_machine():
            while not all(ledger.snapshot(run).state.ended for run in runs):
                for word in ("alive", "ready"):
                    answer = probing.ask(word)
                    assert answer.code == 0, answer.line
                looks += 1
                most_in_hand = max(most_in_hand, *(r["in_hand"] for r in probing.records()))
        assert {ledger.snapshot(run).state for run in runs} == {RunState.DONE}
    assert most_in_hand == 4, "never were all threads busy"
    assert looks > 10
    assert tree_of(server.root / "quick") == tree_of(quick)


@contextmanager
def ledger_of(server: RedisServer) -> Iterator[Runs]:
    connection = connect(server.url)
    yield Runs(connection)
    connection.client.close()


def redis_process(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.info()["process_id"])


def test_a_redis_that_hangs_makes_a_worker_not_ready_and_leaves_it_alive(
    probing: Probing, redis_server: RedisServer, worker: subprocess.Popen[str]
) -> None:
    number = redis_process(redis_server)
    os.kill(number, signal.SIGSTOP)
    try:
        answer = probing.wait("ready", 1, AWAY_SECONDS)
        assert "not ready: Redis has not answered for " in answer.line
        # Past the time after which a health file would count as old.
        wait_until(
            lambda: f"for {WITHIN_SECONDS + 2:.0f} s" in probing.ask("ready").line,
            "it does not go on to say so",
        )
        assert probing.alive()
    finally:
        os.kill(number, signal.SIGCONT)
    probing.wait("ready", 0, BACK_SECONDS)
    assert worker.poll() is None


def test_a_redis_that_is_gone_makes_a_worker_not_ready_until_it_is_back(
    probing: Probing, redis_server: RedisServer, worker: subprocess.Popen[str]
) -> None:
    redis_server.stop(keep=True)
    probing.wait("ready", 1, AWAY_SECONDS)
    wait_until(
        lambda: "Redis has not answered for 12 s" in probing.ask("ready").line, "it does not say so"
    )
    assert probing.alive()
    redis_server.start()
    probing.wait("ready", 0, BACK_SECONDS)
    assert worker.poll() is None


def test_a_worker_that_starts_before_redis_is_alive_and_becomes_ready(
    installation: Installation, probing: Probing, redis_server: RedisServer
) -> None:
    redis_server.stop()
    with installation.process("worker"):
        probing.wait("alive", 0, START_SECONDS)
        assert "Redis has not answered yet" in probing.ask("ready").line
        redis_server.start()
        probing.wait("ready", 0, START_SECONDS)


def test_a_start_that_hangs_once_redis_has_answered_does_not_blame_redis(
    installation: Installation, probing: Probing, tmp_path: Path
) -> None:
    fifo = tmp_path / "dead-mount"
    os.mkfifo(fifo)
    installation.configure()
    with own_worker(installation, "--start", str(fifo)):
        wait_until(lambda: "it is starting" in probing.ask("ready").line, "it does not say so")
        assert probing.alive()
        fifo.write_bytes(b"")
        probing.wait("ready", 0, START_SECONDS)


def test_a_worker_with_a_thread_that_hangs_is_not_alive_and_says_over_what(
    pyftpd_server: FtpServer, installation: Installation, probing: Probing, tmp_path: Path
) -> None:
    """The other thread goes on. The patience is four seconds instead of three minutes."""
    fifo = tmp_path / "dead-mount"
    os.mkfifo(fifo)
    for site in ("stuck", "well"):
        write_tree(installation.add_site(pyftpd_server, site, remote=site), {"index.html": site})
    with own_worker(installation, "--stalled", "4", "--fifo", str(fifo)) as worker:
        probing.wait("ready", 0, START_SECONDS, meanwhile_alive=False)
        run = installation.run("import", "stuck", "--detach").stdout.strip()
        wait_until(lambda: any(r["in_hand"] for r in probing.records()), "nothing was begun")
        answer = probing.wait("alive", 1, 15)
        assert f"of run {run} (website stuck) has not moved for " in answer.line
        assert answer.line.startswith("not alive: files-")
        assert probing.ask("ready").code == 1
        assert worker.poll() is None


def test_a_worker_that_is_stopped_is_not_alive_after_ten_seconds_and_is_when_it_goes_on(
    probing: Probing, worker: subprocess.Popen[str]
) -> None:
    worker.send_signal(signal.SIGSTOP)
    answer = probing.wait("alive", 1, WITHIN_SECONDS + 3)
    assert "not alive: written " in answer.line
    assert "not ready: written " in probing.ask("ready").line
    worker.send_signal(signal.SIGCONT)
    probing.wait("alive", 0, 3)
    probing.wait("ready", 0, 10)


def test_a_worker_that_was_told_to_stop_is_not_ready_at_once_and_alive_to_its_end(
    pyftpd_server: FtpServer, installation: Installation, probing: Probing
) -> None:
    """It waits for a server that takes no more of a file, until its grace is over."""
    installation.configure(worker={"grace_seconds": 6})
    with WireProxy(pyftpd_server) as proxy:
        source = installation.add_site(proxy.server, ftp={"max_connections": 1})
        write_tree(source, {f"page-{n:02}.html": f"page {n}, longer" for n in range(20)})
        proxy.inject(Blackhole(5, connection=8))
        with installation.process("worker") as worker:
            probing.wait("ready", 0, START_SECONDS, meanwhile_alive=False)
            installation.run("import", "example", "--detach")
            wait_until(lambda: proxy.data_connections >= 8, "it did not come to that file")
            worker.send_signal(signal.SIGTERM)
            answer = probing.wait("ready", 1, 3)
            assert "not ready: it was told to stop" in answer.line
            log = installation.folder / "worker.log"
            while "ending at once" not in log.read_text():
                alive = probing.ask("alive")
                ended = "ending at once" in log.read_text()
                assert alive.code == 0 or ended, alive.line
            worker.wait(10)
    assert "gone: worker " in probing.ask("alive").line


def test_a_worker_that_has_ended_leaves_no_file(
    probing: Probing, worker: subprocess.Popen[str]
) -> None:
    worker.terminate()
    assert worker.wait(20) == 0
    assert probing.records() == []
    answer = probing.ask("alive")
    assert answer.code == NOBODY
    assert "not alive: no process of siteferry that runs has written" in answer.line


def test_a_worker_that_was_killed_is_gone_at_once_and_the_next_one_clears_its_file_away(
    installation: Installation, probing: Probing, worker: subprocess.Popen[str]
) -> None:
    worker.kill()
    worker.wait()
    assert "; gone: worker " in probing.ask("alive").line
    (left,) = probing.records()
    with installation.process("worker") as following:
        probing.wait("ready", 0, START_SECONDS, meanwhile_alive=False)
        (there,) = probing.records()
        assert left["pid"] == worker.pid
        assert there["pid"] == following.pid


def test_of_two_workers_both_must_be_ready_or_the_one_that_is_asked_for(
    installation: Installation, probing: Probing, worker: subprocess.Popen[str]
) -> None:
    with installation.process("worker") as other:
        wait_until(lambda: len(probing.records()) == 2, "the other one has not started")
        probing.wait("ready", 0, START_SECONDS)
        other.send_signal(signal.SIGSTOP)
        probing.wait("ready", 1, WITHIN_SECONDS + 3, meanwhile_alive=False)
        assert probing.ask("ready", "--pid", str(worker.pid)).code == 0
        assert probing.ask("alive", "--pid", str(other.pid), "--kind", "worker").code == 1


def test_the_worker_of_a_command_is_its_command_s_affair(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    alone = Installation(tmp_path)
    write_tree(alone.add_site(pyftpd_server), {"index.html": "home"})
    assert alone.run("import", "example").code == 0
    assert not Probing(alone).folder.exists()
