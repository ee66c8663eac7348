"""Every message of a run is published again by hand, thousands of times: while the run goes on, and
when it has ended. Nothing runs twice, and the counts stay exact.

5,000 messages; SITEFERRY_LONG_TESTS=1: 50,000. With `-rP` the test says what a refused one takes.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from siteferry.broker import SHARED_QUEUE, Broker, make_broker
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Member, RunState
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.long_tests import LONG
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

COPIES = 50_000 if LONG else 5_000
FILES = {f"{n % 9}/page-{n:03}.html": f"page {n} " * (n % 5) for n in range(400)}
_BATCH = 5
_WORKERS = 2


def wait_for(told: str, is_so: Callable[[], bool], seconds: float) -> None:
    """Until `is_so`; bounded."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, told
        time.sleep(0.02)


class Messages:
    """The run's messages, and copies of them.

    copies: how many were published by hand.
    """

    def __init__(self, connection: Connection, broker: Broker, run: str) -> None:
        self._connection, self._broker, self.run = connection, broker, run
        self.copies = 0

    def members(self) -> list[Member]:
        """Every item that there was so far, as it was sent at first."""
        key = self._connection.keys.attempts(self.run)
        return [Member(self.run, item, 1) for item in self._connection.client.hkeys(key)]

    def publish_again(self, most: int) -> None:
        """Once each, to the queue that all workers read, but no more than `most`."""
        members = self.members()[:most]
        self._broker.send(members)
        self.copies += len(members)

    def are_consumed(self) -> bool:
        """Whether no message is in the shared queue, or taken and not acknowledged."""
        client, prefix = self._connection.client, self._connection.keys.prefix
        left = client.llen(f"{prefix}{SHARED_QUEUE}"), client.hlen(f"{prefix}unacked")
        return left == (0, 0)


@pytest.fixture
def proxy(pyftpd_server: FtpServer) -> Iterator[FtpProxy]:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        yield proxy


@pytest.mark.slow
@pytest.mark.timeout(1800 if LONG else 240)
def test_what_is_published_again_by_hand_runs_once_and_counts_once(
    pyftpd_server: FtpServer,
    proxy: FtpProxy,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    installation = Installation(tmp_path, redis=redis_server.url)
    installation.configure(batch={"files": _BATCH, "bytes": "1MiB"})
    source = installation.add_site(pyftpd_server.through(proxy.port), ftp={"max_connections": 3})
    write_tree(source, FILES)
    connection, broker = connect(redis_server.url), make_broker(redis_server.url)
    runs = Runs(connection)
    with ExitStack() as stack:
        # With debug, the workers tell of every message that they refuse.
        arguments = ("--log-format", "text", "--log-level", "debug", "worker", "-c", "4")
        workers = [stack.enter_context(installation.process(*arguments)) for _ in range(_WORKERS)]
        beating = SlotLedger(connection)
        wait_for("no workers", lambda: len(beating.nodes()) == _WORKERS, 60)
        started = installation.run("import", "example", "--detach")
        assert started.code == 0, started.output
        messages = Messages(connection, broker, started.stdout.strip())

        while not runs.snapshot(messages.run).state.ended:
            messages.publish_again(COPIES // 2)
        meanwhile = messages.copies
        assert meanwhile > len(messages.members()), "the run was over before it was disturbed"
        wait_for("copies stay in the queue", messages.are_consumed, 600)

        _halt(workers, signal.SIGSTOP)
        while messages.copies < max(COPIES, meanwhile + 1000):
            messages.publish_again(max(COPIES, meanwhile + 1000) - messages.copies)
        _halt(workers, signal.SIGCONT)
        begun = time.monotonic()
        wait_for("copies stay in the queue", messages.are_consumed, 1200)
        seconds = time.monotonic() - begun
        assert [worker.poll() for worker in workers] == [None] * _WORKERS

    told, items = runs.snapshot(messages.run), len(messages.members())
    connection.client.close()
    broker.app.close()
    sizes = [len(content.encode()) for content in FILES.values()]
    assert (told.state, told.failed) == (RunState.DONE, 0)
    assert (told.transferred, told.transferred_bytes) == (len(FILES), sum(sizes))
    assert (told.files_found, told.files_to_send) == (len(FILES), len(FILES))
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)
    assert left_over(pyftpd_server.root / "public_html") == []
    stored = [command for command in proxy.commands if command.startswith("STOR ")]
    assert len(stored) == len(FILES) + 2, "each file once, manifest and journal"

    log = (installation.folder / "--log-format.log").read_text()
    begun_items = Counter(re.findall(r"task=(\S+) begun attempt", log))
    assert len(begun_items) == items
    assert set(begun_items.values()) == {1}, begun_items.most_common(3)
    refused = log.count("not mine to do")
    assert refused == messages.copies, "each copy was delivered, and refused"
    each = 1000 * seconds / (messages.copies - meanwhile)
    sys.stdout.write(
        f"{messages.copies} copies, {meanwhile} while it ran; {each:.2f} ms for each\n"
    )


def _halt(workers: list[subprocess.Popen[str]], number: signal.Signals) -> None:
    """Stop all, or let all go on."""
    for worker in workers:
        os.kill(worker.pid, number)
