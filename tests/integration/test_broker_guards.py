"""Pins what made us choose Celery 5.7 with kombu 5.7 and a guard (docs/decisions/0002)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from siteferry.ledger.connection import connect
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Snapshot
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer


def wait_for(told: str, is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Until `is_so`; bounded."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, told
        time.sleep(0.02)


def started(installation: Installation, redis: RedisServer) -> tuple[Runs, str]:
    connection = connect(redis.url, patience_seconds=20)
    wait_for("no worker beats", lambda: bool(SlotLedger(connection).nodes()))
    result = installation.run("import", "example", "--detach")
    assert result.code == 0, result.output
    return Runs(connection), result.stdout.strip()


def ended(runs: Runs, run: str, seconds: float = 90) -> Snapshot:
    wait_for(f"{run} does not end", lambda: runs.snapshot(run).state.ended, seconds)
    runs.connection.client.close()
    return runs.snapshot(run)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_survives_a_redis_that_restarts_in_the_middle_of_a_task(
    times: int, pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """With kombu 5.7.0 unguarded the worker ends with status 1 here."""
    installation = Installation(tmp_path, redis=redis_server.url)
    source = installation.add_site(pyftpd_server, ftp={"max_connections": 2})
    write_tree(source, {f"{n % 7}/file-{n}.html": f"{n} " * 300 for n in range(1200)})
    with installation.process("worker", "-c", "4") as worker:
        runs, run = started(installation, redis_server)
        for turn in range(times):
            wait_for(
                "nothing is carried",
                lambda done=200 * (turn + 1): runs.snapshot(run).transferred >= done,
            )
            redis_server.restart()
        snapshot = ended(runs, run)
        assert worker.poll() is None, "the worker has died"
    assert (snapshot.state.value, snapshot.transferred) == ("done", 1200), snapshot
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)


@pytest.mark.slow
def test_a_full_prefetch_does_not_stall_the_worker(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Window, threads and prefetch are all 2 and no event timer wakes the loop: kombu 5.6 slept up
    to seconds at each hand-over here. The worker's own log tells when each item was begun."""
    installation = Installation(tmp_path, redis=redis_server.url)
    source = installation.add_site(pyftpd_server, ftp={"max_connections": 2})
    (installation.folder / "config/siteferry.yaml").write_text(
        f"paths: {{workspaces: {installation.folder}/workspaces}}\nbatch: {{files: 1}}\n"
    )
    write_tree(source, {f"file-{n}.html": f"{n}" for n in range(80)})
    with installation.process("--log-format", "text", "worker", "-c", "2"):
        runs, run = started(installation, redis_server)
        snapshot = ended(runs, run, seconds=60)
    assert snapshot.transferred == 80
    log = (installation.folder / "--log-format.log").read_text()
    begun = re.findall(r"T(\d\d):(\d\d):([\d.]+)Z .*task=files-\S+ begun", log)
    moments = sorted(int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in begun)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(gaps) > 70
    assert sum(gap > 0.4 for gap in gaps) < 8, f"stalled: {sorted(gaps)[-10:]}"
